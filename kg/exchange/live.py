"""What does the graph hold right now, as columns and with all properties?

Keys, properties and relations of a whole domain, page by page, true at one moment: when somebody wrote meanwhile, all
is read again. Vectors stay where they are. Overlay records come one by one, for the few that there are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from cypher import load
from kg.errors import GraphError
from kg.graph import Graph
from kg.importers.columns import KEY, SOURCE, TARGET, GraphColumns, column_of, edge_name
from kg.progress import Advance, Reporter
from kg.schema import Domain, EdgeType

__all__ = ["overlay_records", "read_graph"]

_ROWS_A_PAGE = 20_000
_TRIES = 3
_VECTORS = "embedding"
"""What the names of vector properties begin with."""

_OVERLAY_KEYS = {
    "Image": "sha256",
    "Concept": "key",
    "Caption": "id",
    "SceneObject": "id",
    "Attribute": "key",
    "Edit": "id",
    "Prediction": "id",
}
"""Labels of the overlay that an export takes along. Models, vectors, jobs and batches mean nothing elsewhere."""

_OVERLAY_TYPES = (
    "HAS_IMAGE",
    "BROADER",
    "HAS_CAPTION",
    "DEPICTS",
    "HAS_ATTRIBUTE",
    "RELATION",
    "ON",
    "SAYS",
    "UNDOES",
    "OF",
)


def read_graph(graph: Graph, domain: Domain, *, reporter: Reporter) -> GraphColumns:
    """All nodes and relations of a domain with their properties.

    Raises: GraphError (somebody keeps writing), GraphUnavailable.
    """
    mark, last = graph.newest_commit(), None
    for _ in range(_TRIES):
        try:
            columns = _read(graph, domain, reporter)
        except _Changed:
            columns = None
        newest = graph.newest_commit()
        if columns is not None and (newest == mark or columns.fingerprint() == last):
            return columns
        mark, last = newest, columns.fingerprint() if columns is not None else None
    raise GraphError(
        f"reading {domain.domain}: it was changed during each of {_TRIES} reads; export again when imports are done"
    )


def overlay_records(graph: Graph, domain: Domain) -> Iterator[tuple[str, dict[str, Any]]]:
    """(label or relation type, record) of what Korvai added to the graph, without vectors and models."""
    (present,) = graph.run("pull/present")
    for label in (label for label in _OVERLAY_KEYS if label in present["labels"]):
        statement = load("export/overlay_nodes").fill(label=label)
        for row in _pages_of_rows(graph, statement):
            properties = {n: v for n, v in row["properties"].items() if not n.startswith(_VECTORS)}
            yield label, properties
    keys = _OVERLAY_KEYS | {label: node_type.key for label, node_type in domain.node_types.items()}
    for kind in (kind for kind in _OVERLAY_TYPES if kind in present["types"]):
        statement = load("export/overlay_relations").fill(type=kind)
        for row in _pages_of_rows(graph, statement, keys=keys):
            if row["source_key"] is not None and row["target_key"] is not None:
                ends = {name: [row[f"{name}_label"], row[f"{name}_key"]] for name in (SOURCE, TARGET)}
                yield kind, ends | ({"properties": row["properties"]} if row["properties"] else {})


def _pages_of_rows(graph: Graph, statement: Any, **params: Any) -> Iterator[Mapping[str, Any]]:
    after = -1
    while rows := graph.run(statement, after=after, page_rows=_ROWS_A_PAGE, **params):
        yield from rows
        after = rows[-1]["id"]


class _Changed(Exception):
    """What one page said no longer held on the next."""


def _read(graph: Graph, domain: Domain, reporter: Reporter) -> GraphColumns:
    """Planning a statement costs the server more than reading a small part: none is asked for what is not there."""
    (present,) = graph.run("pull/present")
    total = present["nodes"] + present["relationships"]
    with reporter.stage(f"reading {domain.domain}", total, "rows") as advance:
        return _read_present(graph, domain, present, advance)


def _read_present(graph: Graph, domain: Domain, present: Mapping[str, Any], advance: Advance) -> GraphColumns:
    labels = [label for label in domain.node_types if label in present["labels"]]
    types = list({relation.type for relation in domain.relations} & set(present["types"]))
    of_label = {
        row["label"]: row["names"] for row in graph.run("export/node_properties", labels=labels, hidden=_VECTORS)
    }
    of_type = {row["type"]: row["names"] for row in graph.run("export/relation_properties", types=types)}
    nodes, ids = {}, {}
    for label in labels:
        key = domain.node_type(label).key
        fields = [key, *(name for name in of_label.get(label, ()) if name != key)]
        ids[label], nodes[label] = _read_nodes(graph, label, fields, advance)
    edges = {}
    for edge_type in domain.edge_types:
        if edge_type[1] in types and edge_type[0] in ids and edge_type[2] in ids:
            table = _read_relations(graph, edge_type, of_type.get(edge_type[1], []), nodes, ids, advance)
            if table.num_rows:
                edges[edge_type] = table
    return GraphColumns(domain, {label: table for label, table in nodes.items() if table.num_rows}, edges)


def _read_nodes(graph: Graph, label: str, fields: list[str], advance: Advance) -> tuple[np.ndarray, pa.Table]:
    """Internal ids, rising, and the label's table; the first field is the key."""
    statement = load("export/node_page").fill(label=label)
    ids, pages, after = [np.zeros(0, np.int64)], [], -1
    while True:
        (page,) = graph.stream(statement, fields=fields, after=after, page_rows=_ROWS_A_PAGE)
        if page["last"] is None:
            break
        ids.append(np.array(page["ids"], np.int64))
        pages.append(_columns(page["values"], len(fields)))
        after = page["last"]
        advance(len(page["ids"]))
    columns = [_array([page[n] for page in pages], f"{label}.{name}") for n, name in enumerate(fields)]
    if columns[0].null_count or not (pa.types.is_string(columns[0].type) or not len(columns[0])):
        raise GraphError(
            f"reading {label}: {fields[0]} is missing, or is no text, in some nodes; `korvai validate` names them"
        )
    return np.concatenate(ids), pa.table(
        [columns[0].cast(pa.string()), *columns[1:]], names=[KEY, *map(column_of, fields[1:])]
    )


def _read_relations(
    graph: Graph,
    edge_type: EdgeType,
    fields: list[str],
    nodes: Mapping[str, pa.Table],
    ids: Mapping[str, np.ndarray],
    advance: Advance,
) -> pa.Table:
    source, kind, target = edge_type
    statement = load("export/relation_page").fill(type=kind, target=target)
    ends: dict[str, list] = {SOURCE: [np.zeros(0, np.int64)], TARGET: [np.zeros(0, np.int64)]}
    pages = []
    for start in range(0, len(ids[source]), _ROWS_A_PAGE):
        (page,) = graph.stream(statement, ids=ids[source][start : start + _ROWS_A_PAGE].tolist(), fields=fields)
        for name, column in ((SOURCE, "sources"), (TARGET, "targets")):
            ends[name].append(np.array(page[column], np.int64))
        if fields:
            pages.append(_columns(page["values"], len(fields)))
        advance(len(page["sources"]))
    table = {}
    for name, label in ((SOURCE, source), (TARGET, target)):
        rows = _rows_of(ids[label], np.concatenate(ends[name]))
        table[name] = nodes[label][KEY].take(pa.array(rows))
    what = edge_name(edge_type)
    for n, name in enumerate(fields):
        column = _array([page[n] for page in pages], f"{what}.{name}")
        if column.null_count < len(column):  # another relation of this type has it
            table[column_of(name)] = column
    return pa.table(table)


def _rows_of(known: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Where ids stand among the known ones, which rise. Shapes: (nodes,), (n,) to (n,) int64. Raises: _Changed."""
    if not len(known):
        if len(ids):
            raise _Changed
        return ids
    rows = np.minimum(np.searchsorted(known, ids), len(known) - 1)
    if (known[rows] != ids).any():
        raise _Changed
    return rows


def _columns(rows: Sequence[Sequence[Any]], width: int) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]


def _array(pages: list[list[Any]], what: str) -> pa.ChunkedArray:
    """One column of all pages; values of several kinds, and those that Arrow does not know, become texts."""
    for shape in (lambda value: value, _plain, _text):
        try:
            return _chunks(pages, shape)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
            continue
    raise GraphError(f"reading {what}: its values cannot be written; remove the property from the export's nodes")


def _chunks(pages: list[list[Any]], shape: Callable[[Any], Any]) -> pa.ChunkedArray:
    arrays = [pa.array([shape(value) for value in page]) for page in pages]
    kinds = {array.type for array in arrays if not pa.types.is_null(array.type)}
    if len(kinds) > 1:
        raise pa.ArrowInvalid("several kinds of values")
    kind = kinds.pop() if kinds else pa.string()
    return pa.chunked_array([array.cast(kind) for array in arrays], kind)


def _plain(value: Any) -> Any:
    """Dates and times as ISO texts."""
    return value.iso_format() if hasattr(value, "iso_format") else value


def _text(value: Any) -> str | None:
    value = _plain(value)
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
