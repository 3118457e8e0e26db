"""What does the graph hold right now, column by column, and did it hold still while we looked?

Reads are READ COMMITTED: another session's commit shows up between two pages. When the newest commit is the same after
reading as before, nobody wrote, and all is of one moment; that costs two small questions. Where somebody wrote, every
part (a label, a relation type, the images …) is read again until two readings running agree in all of them: what read
the same twice held in between, so all were true when the earlier reading ended.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue
from typing import Any

import pyarrow as pa

from cypher import Statement, load
from kg.errors import GraphBusy
from kg.graph import Graph
from kg.progress import Reporter
from kg.schema import Domain
from kg.snapshots.columns import Columns, EdgeColumns, ImageColumns, NodeColumns, Rows
from kg.snapshots.node_text import node_texts

__all__ = ["SHARE", "Part", "fields_of", "node_columns", "parts_of", "read_parts"]

SHARE = "share"
"""The one property of relations that a snapshot keeps: how often, 0..1, where a domain declares it."""

_NODES_A_PAGE = 40_000
_EDGES_A_PAGE = 150_000
_PAGES_OF_ALL = 24
"""Enough that a page's overhead does not count, few enough that neither side ever holds a big list. A later page of a
type scans past the earlier ones, so pages of relations grow with the graph: never more than so many, of the whole."""

_MOST_EDGES_A_PAGE = 1_000_000
_CONNECTIONS = min(4, max(2, (os.cpu_count() or 2) // 2))
"""The server works at one page while another is on its way into arrays."""

_TRIES = 8

Page = Mapping[str, Any]


@dataclass(frozen=True)
class Part:
    """One thing to read: its pages, the label or type that tells whether it is there, what collects it."""

    name: str
    page: Statement
    columns: Callable[[], Columns]
    label: str | None = None
    type: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    page_rows: int = _NODES_A_PAGE


def parts_of(domain: Domain, *, edges: int = 0) -> list[Part]:
    """All that a snapshot of `domain` reads: nodes by label, relations by type, images, hierarchy, scenes, captions.

    `edges` is how many relations there are, about, and decides how large their pages are.
    """
    nodes = [_node_part(domain, label) for label in domain.node_types]
    page_rows = min(max(_EDGES_A_PAGE, edges // _PAGES_OF_ALL), _MOST_EDGES_A_PAGE)
    types = sorted({relation.type for relation in domain.relations})
    return [*nodes, _concept_part(), *(_edge_part(domain, name, page_rows) for name in types), *_overlay_parts(domain)]


def fields_of(domain: Domain, label: str) -> tuple[str, ...]:
    """The properties a node's row needs: its key, then those of its text template."""
    node_type = domain.node_type(label)
    return tuple(dict.fromkeys((node_type.key, *node_type.text_fields)))


def node_columns(domain: Domain, label: str) -> NodeColumns:
    """What collects a label's nodes, each with the values of `fields_of`."""
    fields, template = fields_of(domain, label), domain.node_types[label].text
    # Where a template finds nothing, the label stands: a key may say more than the template wants said, the class even.
    return NodeColumns(partial(node_texts, template, fields, otherwise=label))


def read_parts(graph: Graph, domain: Domain, *, reporter: Reporter) -> dict[str, Any]:
    """The columns of every part of `domain`, all true at one moment, by the part's name.

    Raises: GraphBusy when somebody keeps writing faster than we read.
    """
    mark = graph.newest_commit()
    (present,) = graph.run("pull/present")
    parts = parts_of(domain, edges=present["relationships"])
    total = present["nodes"] + present["relationships"]
    # Planning a statement costs the server more than reading a small part: none is asked for what is not there.
    read: dict[str, Any] = {part.name: part.columns() for part in parts}
    read |= _read_all(graph, [part for part in parts if _is_present(part, present)], total, reporter)
    for attempt in range(1, _TRIES):
        newest = graph.newest_commit()
        if newest == mark:
            return read
        mark = newest
        again = _read_all(graph, parts, total, reporter, note=f" again, since somebody wrote ({attempt})")
        if not (changed := _changed(read, again)):
            return read
    raise GraphBusy(
        f"pulling the graph: {', '.join(changed[:4])} kept changing during {_TRIES} reads; "
        "pull again when the import or the curators pause"
    )


def _changed(read: dict[str, Any], again: dict[str, Any]) -> list[str]:
    """Names of the parts that differ; `read` holds the later reading from now on, `again` nothing."""
    changed = []
    for name in list(again):
        fresh = again.pop(name)
        if fresh.digest() != read[name].digest():
            changed.append(name)
        read[name] = fresh
    return changed


def _read_all(
    graph: Graph, parts: Sequence[Part], total: int, reporter: Reporter, *, note: str = ""
) -> dict[str, Columns]:
    """Every part, over several connections; progress is told from this thread, as some reporters demand."""
    pages: SimpleQueue[int | None] = SimpleQueue()
    with (
        reporter.stage(f"pulling the graph{note}", total, "rows") as advance,
        ThreadPoolExecutor(_CONNECTIONS, thread_name_prefix="pull") as pool,
    ):
        reading = {part.name: pool.submit(_read, graph, part, pages) for part in parts}
        left = len(parts)
        while left:
            rows = pages.get()
            left -= rows is None
            advance(rows or 0)
        return {name: columns.result() for name, columns in reading.items()}


def _read(graph: Graph, part: Part, pages: SimpleQueue[int | None]) -> Columns:
    try:
        columns = part.columns()
        for page in _pages(graph, part):
            columns.add(page)
            pages.put(page["count"])
        return columns
    finally:
        pages.put(None)


def _is_present(part: Part, present: Page) -> bool:
    return part.label in present["labels"] if part.label else part.type in present["types"]


def _pages(graph: Graph, part: Part) -> Iterator[Page]:
    """In id order, each page from the last id of the one before."""
    after = -1
    while True:
        # `stream` hands lists over as they come; `run` would copy every number of them.
        (page,) = graph.stream(part.page, after=after, page_rows=part.page_rows, **part.params)
        if page["count"]:
            yield page
        if page["count"] < part.page_rows:
            return
        after = page["last"]


def _node_part(domain: Domain, label: str) -> Part:
    return _nodes(label, fields_of(domain, label), partial(node_columns, domain, label))


def _concept_part() -> Part:
    return _nodes("Concept", ("key", "name"), partial(NodeColumns, _names))


def _names(columns: Sequence[Sequence[Any]]) -> pa.Array:
    return pa.array([str(name or "") for name in columns[1]], pa.large_string())


def _nodes(label: str, fields: Sequence[str], columns: Callable[[], Columns]) -> Part:
    page = load("pull/node_page").fill(label=label)
    return Part(f"nodes:{label}", page, columns, label=label, params={"fields": list(fields)})


def _edge_part(domain: Domain, name: str, page_rows: int) -> Part:
    shared = any(SHARE in relation.properties for relation in domain.relations if relation.type == name)
    if shared:
        page = load("pull/weighted_edge_page").fill(type=name, weight=SHARE)
    else:
        page = load("pull/edge_page").fill(type=name)
    return Part(f"edges:{name}", page, EdgeColumns, type=name, page_rows=page_rows)


def _overlay_parts(domain: Domain) -> list[Part]:
    images = load("pull/image_page").fill(item=domain.item)
    return [
        Part("images", images, ImageColumns, type="HAS_IMAGE"),
        Part("hierarchy", load("pull/hierarchy_page"), EdgeColumns, type="BROADER"),
        Part("scene", load("pull/scene_page"), partial(Rows, ("objects", "attributes")), type="DEPICTS"),
        Part("scene_relation", load("pull/scene_relation_page"), partial(Rows, ("triples",)), type="RELATION"),
        Part("caption", load("pull/caption_page"), partial(Rows, ("captions",)), type="HAS_CAPTION"),
    ]
