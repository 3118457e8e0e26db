"""What does the graph hold right now, column by column, and did it hold still while we looked?

Reads are READ COMMITTED: another session's commit shows up between two pages. So every part (a label, a relation type,
the images …) adds up a fingerprint of what it read, the graph is asked for its fingerprints afterwards, and parts that
differ are read again. When all agree, they were all true at one moment: the one before the question.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cypher import Statement, load
from kg.errors import GraphError
from kg.graph import Graph
from kg.progress import Advance, Reporter
from kg.schema import Domain

__all__ = ["SHARE", "EdgeColumns", "NodeColumns", "Part", "Rows", "fields_of", "parts_of", "read_parts"]

SHARE = "share"
"""The one property of relations that a snapshot keeps: how often, 0..1, where a domain declares it."""

_ROWS_A_PAGE = 20_000
"""Enough that a page's overhead does not count, few enough that neither side ever holds a big list."""

_TRIES = 8

Row = Mapping[str, Any]
Fingerprint = tuple[int, int]
_NOTHING: Fingerprint = (0, 0)
_NO_IDS = np.zeros(0, np.int64)


@dataclass
class NodeColumns:
    """Nodes of one label. Shapes: ids (n,) int64, values n lists of the fields that were asked for."""

    ids: list[np.ndarray] = field(default_factory=list)
    values: list[list[Any]] = field(default_factory=list)

    def add(self, page: Row) -> None:
        """Take over one page."""
        self.ids.append(np.array(page["ids"], np.int64))
        self.values += page["values"]


@dataclass
class EdgeColumns:
    """Pairs of internal ids, and what else each pair carries. Shapes: sources, targets (n,) int64 once joined."""

    sources: list[np.ndarray] = field(default_factory=list)
    targets: list[np.ndarray] = field(default_factory=list)
    extra: list[Any] = field(default_factory=list)

    def add(self, page: Row) -> None:
        """Take over one page."""
        self.sources.append(np.array(page["sources"], np.int64))
        self.targets.append(np.array(page["targets"], np.int64))
        self.extra += page.get("weights") or page.get("facets") or ()


@dataclass
class Rows:
    """Plain rows, for what is small or has no internal ids to join."""

    rows: list[Any] = field(default_factory=list)
    columns: tuple[str, ...] = ()

    def add(self, page: Row) -> None:
        """Take over one page."""
        lists = [page[column] for column in self.columns]
        self.rows += lists[0] if len(lists) == 1 else zip(*lists, strict=True)


@dataclass(frozen=True)
class Part:
    """One thing to read: its pages, the label or type that tells whether it changed, what collects it."""

    name: str
    page: Statement
    columns: Callable[[], Any]
    label: str | None = None
    type: str | None = None
    sources: tuple[str, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    page_rows: int = _ROWS_A_PAGE


def parts_of(domain: Domain) -> list[Part]:
    """All that a snapshot of `domain` reads: nodes by label, relations by type, images, hierarchy, scenes, captions."""
    nodes = [_node_part(label, fields_of(domain, label)) for label in domain.node_types]
    edges = [_edge_part(domain, name) for name in sorted({relation.type for relation in domain.relations})]
    images = Part("images", load("pull/image_page").fill(item=domain.item), lambda: Rows(columns=("items", "images")))
    overlay = [
        Part("hierarchy", load("pull/hierarchy_page"), EdgeColumns, type="BROADER"),
        Part("scene", load("pull/scene_page"), lambda: Rows(columns=("objects", "attributes")), type="DEPICTS"),
        Part("scene_relation", load("pull/scene_relation_page"), lambda: Rows(columns=("triples",)), type="RELATION"),
        Part("caption", load("pull/caption_page"), lambda: Rows(columns=("captions",)), type="HAS_CAPTION"),
    ]
    return [*nodes, _node_part("Concept", ("key", "name")), *edges, images, *overlay]


def fields_of(domain: Domain, label: str) -> tuple[str, ...]:
    """The properties a node's row needs: its key, then those of its text template."""
    node_type = domain.node_type(label)
    return tuple(dict.fromkeys((node_type.key, *node_type.text_fields)))


def read_parts(graph: Graph, domain: Domain, *, reporter: Reporter) -> dict[str, Any]:
    """The columns of every part of `domain`, all true at one moment, by the part's name.

    Raises: GraphError when somebody keeps writing faster than we read.
    """
    parts = parts_of(domain)
    (present,) = graph.run("pull/present")
    total = present["nodes"] + present["relationships"]
    read: dict[str, Any] = {part.name: part.columns() for part in parts}
    seen: dict[str, Fingerprint] = dict.fromkeys(read, _NOTHING)
    # Planning a statement costs the server more than reading a small part: none is asked for what is not there. Should
    # it come meanwhile, the fingerprints say so.
    changed = [part for part in parts if _is_present(part, present)]
    for attempt in range(_TRIES):
        again = f", what changed meanwhile ({attempt})" if attempt else ""
        with reporter.stage(f"pulling the graph{again}", total, "rows") as advance:
            for part in changed:
                read[part.name], seen[part.name] = _read(graph, part, read, advance)
        now = _fingerprints(graph, domain, parts)
        changed = [part for part in parts if _differs(graph, part, seen[part.name], now[part.name])]
        total = sum(now[part.name][0] for part in changed)
        if not changed:
            return read
    raise GraphError(
        f"pulling the graph: {', '.join(part.name for part in changed[:4])} kept changing during {_TRIES} reads; "
        "pull again when the import or the curators pause"
    )


def _is_present(part: Part, present: Row) -> bool:
    return part.label in present["labels"] if part.label else (part.type or "HAS_IMAGE") in present["types"]


def _read(graph: Graph, part: Part, read: Mapping[str, Any], advance: Advance) -> tuple[Any, Fingerprint]:
    columns, count, check = part.columns(), 0, 0
    for page in _pages_by_source(graph, part, read) if part.sources else _pages(graph, part):
        columns.add(page)
        count, check = count + page["count"], check + page["check"]
        advance(page["count"])
    return columns, (count, check)


def _pages(graph: Graph, part: Part) -> Iterator[Row]:
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


def _pages_by_source(graph: Graph, part: Part, read: Mapping[str, Any]) -> Iterator[Row]:
    """By the ids of the nodes that were read: the server seeks them, where id order would scan all that lies before."""
    ids = np.unique(np.concatenate([page for label in part.sources for page in (_NO_IDS, *read[f"nodes:{label}"].ids)]))
    for start in range(0, len(ids), part.page_rows):
        (page,) = graph.stream(part.page, ids=ids[start : start + part.page_rows].tolist())
        if page["count"]:
            yield page


def _fingerprints(graph: Graph, domain: Domain, parts: Sequence[Part]) -> dict[str, Fingerprint]:
    """Count and id sum of every part, by three statements whatever the number of labels and types."""
    labels = graph.run("pull/node_fingerprints", labels=[part.label for part in parts if part.label])
    types = graph.run("pull/edge_fingerprints", types=[part.type for part in parts if part.type])
    (images,) = graph.run(load("pull/image_fingerprint").fill(item=domain.item))
    found = {("label", row["name"]): (row["count"], row["check"]) for row in labels}
    found |= {("type", row["name"]): (row["count"], row["check"]) for row in types}
    found["images", None] = (images["count"], images["check"])
    return {part.name: found.get(_counted_as(part), _NOTHING) for part in parts}


def _differs(graph: Graph, part: Part, seen: Fingerprint, expected: Fingerprint) -> bool:
    """Whether a part changed. Only where another domain may use the same relation type is it counted by label: slow."""
    if seen == expected or not part.sources:
        return seen != expected
    (row,) = graph.run(load("pull/edge_fingerprint").fill(type=part.type), labels=list(part.sources))
    return seen != (row["count"], row["check"])


def _counted_as(part: Part) -> tuple[str, str | None]:
    if part.label:
        return "label", part.label
    return ("type", part.type) if part.type else ("images", None)


def _node_part(label: str, fields: Sequence[str]) -> Part:
    page = load("pull/node_page").fill(label=label)
    return Part(f"nodes:{label}", page, NodeColumns, label=label, params={"fields": list(fields)})


def _edge_part(domain: Domain, name: str) -> Part:
    relations = [relation for relation in domain.relations if relation.type == name]
    if any(SHARE in relation.properties for relation in relations):
        page = load("pull/weighted_edge_page").fill(type=name, weight=SHARE)
    else:
        page = load("pull/edge_page").fill(type=name)
    sources = tuple(dict.fromkeys(relation.source for relation in relations))
    return Part(f"edges:{name}", page, EdgeColumns, type=name, sources=sources)
