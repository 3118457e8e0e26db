"""How do node and relation tables of any shape become a graph of any domain?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kg.graph import Graph, connect
from kg.importers.csv_mapping import Link, Mapping, Table, load_mapping, mapping_from_files
from kg.importers.csv_reading import Record, read_table
from kg.importers.images import ImageRow, import_images
from kg.importers.report import ImportReport
from kg.importers.tables import CONNECTIONS, Importer, NodeRow, RelationRow, importing
from kg.loading.batch import Batch
from kg.loading.collecting import ColumnSink, refuse_too_large
from kg.loading.offline import load_offline, refuse_unless_empty
from kg.progress import Reporter
from kg.schema import Domain
from kg.settings import Settings
from kg.store import Store

__all__ = ["import_csv", "import_csv_offline"]


def import_csv(
    graph: Graph,
    store: Store,
    what: Path | Domain,
    *,
    nodes: dict[str, Path] | None = None,
    relations: dict[str, Path] | None = None,
    folder: Path | None = None,
    reporter: Reporter,
    dry_run: bool = False,
    connections: int = CONNECTIONS,
    all_or_nothing: bool = False,
    over_edits: bool = False,
) -> ImportReport:
    """Import the tables of a mapping file, or of `nodes` (label -> file) and `relations` (type -> file) of a domain.

    Raises: SchemaViolation (mapping, missing file or column), StoreError, GraphUnavailable.
    """
    mapping = _mapping(what, nodes, relations, folder)
    form = {"kind": "csv", "source": _source(mapping), "reporter": reporter, "dry_run": dry_run}
    form |= {"connections": connections, "all_or_nothing": all_or_nothing, "over_edits": over_edits}
    with importing(graph, store, domain=mapping.domain, **form) as importer:
        _import_tables(importer, mapping)
    return importer.report


def import_csv_offline(
    settings: Settings,
    what: Path | Domain,
    *,
    nodes: dict[str, Path] | None = None,
    relations: dict[str, Path] | None = None,
    folder: Path | None = None,
    reporter: Reporter,
    dry_run: bool = False,
    all_or_nothing: bool = False,
) -> ImportReport:
    """The same tables through Neo4j's offline import, into an empty embedded database; images are hung up online after.

    Raises: SchemaViolation (see `import_csv`; tables that do not fit into memory; not empty), ServiceError, StoreError.
    """
    mapping = _mapping(what, nodes, relations, folder)
    refuse_too_large(table.file for table in mapping.tables)
    store, sink = Store(settings.store_dir), ColumnSink(mapping.domain)
    form = {"kind": "csv", "source": _source(mapping)}
    with connect(settings) as graph:
        refuse_unless_empty(graph, "offline load")
        reading = Importer(
            graph, store, Batch(graph, store, None, domain=mapping.domain, **form), sink,
            domain=mapping.domain, reporter=reporter,
        )  # fmt: skip
        without_images = tuple(table.model_copy(update={"image": None}) for table in mapping.tables)
        _import_tables(reading, mapping.model_copy(update={"tables": without_images}))
    form |= {"dry_run": dry_run, "all_or_nothing": all_or_nothing}
    report = load_offline(settings, sink.columns(), reporter=reporter, problems=reading.report.problems, **form)
    if any(table.image for table in mapping.tables) and not dry_run and not report.rolled_back:
        reporter.note("images are not part of an offline load: run the same import without --offline for them")
    return report


def _mapping(
    what: Path | Domain, nodes: dict[str, Path] | None, relations: dict[str, Path] | None, folder: Path | None
) -> Mapping:
    if isinstance(what, Domain):
        return mapping_from_files(what, nodes or {}, relations or {})
    return load_mapping(Path(what), folder=folder)


def _import_tables(importer: Importer, mapping: Mapping) -> None:
    tables = sorted(mapping.tables, key=lambda table: table.relation is not None)
    for table in tables:
        _import_nodes(importer, table)
    for table in tables:
        _import_relations(importer, table)


def _source(mapping: Mapping) -> str:
    files = ", ".join(table.file.name for table in mapping.tables)
    return f"{mapping.path}: {files}" if mapping.path.suffix else files


def _import_nodes(importer: Importer, table: Table) -> None:
    """Nodes of the table and the targets that its links make; only this pass reports what cannot be read."""
    if table.node is None:
        return
    made: dict[str, dict[str, NodeRow]] = {link.target: {} for link in table.links if link.make}
    key = table.key or ""

    def rows() -> Iterator[NodeRow]:
        for record in _records(importer, table, aloud=True):
            for link in table.links:
                if link.make:
                    _collect(made[link.target], link, record)
            yield NodeRow(record.cells[key], _properties(table, record), record.where)

    importer.nodes(table.node, rows())
    for label, targets in made.items():
        importer.nodes(label, targets.values(), total=len(targets), repeats=True)


def _import_relations(importer: Importer, table: Table) -> None:
    if table.relation is not None:
        importer.relations(table.relation, _pairs(importer, table))
        return
    for link in table.links:
        ends = (table.node or "", link.target)
        edge_type = (ends[1], link.type, ends[0]) if link.reverse else (ends[0], link.type, ends[1])
        importer.relations(edge_type, _links(importer, table, link))
    if table.image:
        import_images(importer, _images(importer, table))


def _records(importer: Importer, table: Table, *, aloud: bool) -> Iterator[Record]:
    complain = importer.problem if aloud else lambda *_: None
    form = {"delimiter": table.delimiter, "encoding": table.encoding, "quote": table.quote}
    return read_table(table.file, complain, needed=table.columns, **form)


def _properties(table: Table, record: Record) -> dict[str, str | list[str]]:
    return {
        name: _parts(record.cells[column], table.separators.get(name))
        if name in table.separators
        else record.cells[column]
        for name, column in table.properties.items()
    }


def _parts(cell: str, separator: str | None) -> list[str]:
    parts = cell.split(separator) if separator else [cell]
    return list(dict.fromkeys(part.strip() for part in parts if part.strip()))


def _collect(made: dict[str, NodeRow], link: Link, record: Record) -> None:
    for key in _parts(record.cells[link.column], link.separator):
        if key not in made:
            made[key] = NodeRow(
                key, {name: record.cells[column] for name, column in link.properties.items()}, record.where
            )


def _links(importer: Importer, table: Table, link: Link) -> Iterator[RelationRow]:
    for record in _records(importer, table, aloud=False):
        row = record.cells[table.key or ""]
        if not row:
            continue  # the pass over the nodes has reported it
        for other in _parts(record.cells[link.column], link.separator):
            yield RelationRow(*((other, row) if link.reverse else (row, other)), {}, record.where)


def _pairs(importer: Importer, table: Table) -> Iterator[RelationRow]:
    for record in _records(importer, table, aloud=True):
        ends = record.cells[table.source or ""], record.cells[table.target or ""]
        yield RelationRow(*ends, _properties(table, record), record.where)


def _images(importer: Importer, table: Table) -> Iterator[ImageRow]:
    for record in _records(importer, table, aloud=False):
        file = record.cells[table.image or ""]
        if file:
            split = record.cells[table.split] or None if table.split else None
            yield ImageRow(record.cells[table.key or ""], table.file.parent / file, split, where=record.where)
