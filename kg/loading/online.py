"""How does a whole graph in columns get into a live database, however often?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

from kg.graph import Graph
from kg.importers.columns import KEY, SOURCE, TARGET, GraphColumns, edge_name
from kg.importers.report import ImportReport, Problem
from kg.importers.tables import CONNECTIONS, Importer, NodeRow, Where, importing
from kg.loading.engine import EdgeRows
from kg.loading.specs import edge_spec
from kg.progress import Advance, Reporter
from kg.store import Store

__all__ = ["load_online"]

_NODES_A_SLICE = 20_000
_RELATIONS_A_SLICE = 200_000


def load_online(
    graph: Graph,
    store: Store,
    columns: GraphColumns,
    *,
    kind: str,
    source: str,
    reporter: Reporter,
    problems: Iterable[Problem] = (),
    connections: int = CONNECTIONS,
    dry_run: bool = False,
    all_or_nothing: bool = False,
    over_edits: bool = False,
) -> ImportReport:
    """Upsert a graph, or a part of one whose other ends are there already; a second time it creates nothing.

    `problems` are those of reading it; they stand in the report too. `kind` and `source` name the batch.
    Raises: SchemaViolation (unknown labels or relations, another domain's labels), StoreError, GraphUnavailable.
    """
    columns = columns.trimmed()
    form = {"kind": kind, "source": source, "reporter": reporter, "dry_run": dry_run, "connections": connections}
    form |= {"all_or_nothing": all_or_nothing, "over_edits": over_edits}
    with importing(graph, store, domain=columns.domain, **form) as importer:
        importer.report.problems += problems
        with reporter.stage("nodes", columns.node_count, "nodes") as advance:
            for label, table in columns.nodes.items():
                importer.nodes(label, _node_rows(label, table, advance), quiet=True)
        with reporter.stage("relations", columns.edge_count, "relations") as advance:
            for edge_type, table in columns.edges.items():
                _load_relations(importer, edge_type, table, advance)
    return importer.report


def _node_rows(label: str, table: pa.Table, advance: Advance) -> Iterator[NodeRow]:
    names = GraphColumns.properties(table)
    for start in range(0, table.num_rows, _NODES_A_SLICE):
        rows = table.slice(start, _NODES_A_SLICE).to_pylist()
        for row in rows:
            yield NodeRow(row[KEY], {name: row[column] for column, name in names.items()}, Where(label))
        advance(len(rows))


def _load_relations(importer: Importer, edge_type: tuple[str, str, str], table: pa.Table, advance: Advance) -> None:
    """Straight to the engine as columns: keys of both ends need no check of their own, they exist or do not."""
    spec, where = edge_spec(importer.domain, edge_type), Where(edge_name(edge_type))
    names = GraphColumns.properties(table)
    for start in range(0, table.num_rows, _RELATIONS_A_SLICE):
        part = table.slice(start, _RELATIONS_A_SLICE)
        properties = _properties(part, names) if any(part[n].null_count < part.num_rows for n in names) else None
        ends = part[SOURCE].fill_null("").to_pylist(), part[TARGET].fill_null("").to_pylist()
        importer.columns(spec, EdgeRows(*ends, properties), where)
        advance(part.num_rows)


def _properties(part: pa.Table, names: dict[str, str]) -> list[dict[str, object]]:
    rows = part.select(list(names)).to_pylist()
    return [{names[n]: value for n, value in row.items() if value not in (None, "", [])} for row in rows]
