"""What is in a snapshot, in which order, and what is its hash?

Rows are ordered by key, edges by row, so the same graph gives the same content whatever order the database keeps it in.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kg.errors import SchemaViolation
from kg.schema import Domain, EdgeType
from kg.snapshots.columns import EdgeColumns, ImageColumns, NodeColumns, joined
from kg.snapshots.pull_pages import SHARE

__all__ = ["TABLE_COLUMNS", "Content", "NodeTable", "assemble", "images_of"]

_FORMAT = b"korvai-snapshot-1"
_SPARSE = 4
"""Internal ids of one label that spread over more than so many times their number are looked up by search."""

_ROWS_AT_ONCE = 50_000
TABLE_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "concepts": ("key", "name"),
    "hierarchy": ("child_label", "child_key", "parent_label", "parent_key", "facet"),
    "scenes": ("sha256", "id", "name", "x", "y", "w", "h", "attributes"),
    "scene_relations": ("subject", "predicate", "object"),
    "captions": ("sha256", "text", "source"),
}
"""Overlay tables of a snapshot and their columns."""


@dataclass(frozen=True)
class NodeTable:
    """Nodes of one label, ordered by key. Shapes: two of n large strings."""

    keys: pa.Array
    texts: pa.Array


@dataclass(frozen=True)
class Content:
    """A snapshot in memory; `images` has the columns sha256, uri, width, height, split.

    Shapes: edges (2, E) int32 rows, shares (E,) float32, item_image (2, n) int32.
    """

    domain: Domain
    nodes: dict[str, NodeTable]
    edges: dict[EdgeType, np.ndarray]
    shares: dict[EdgeType, np.ndarray]
    images: pa.Table
    item_image: np.ndarray
    tables: dict[str, list[tuple]]

    @cached_property
    def hash(self) -> str:
        """sha256 over schema, keys, texts, relations, image hashes with their splits, hierarchy, scenes, captions."""
        digest = hashlib.sha256(_FORMAT)
        schema = self.domain.model_dump(
            mode="json", include={"domain", "item", "node_types", "relations", "tasks", "hierarchies"}
        )
        _add_json(digest, schema)
        for label in sorted(self.nodes):
            _add_json(digest, label)
            _add_strings(digest, self.nodes[label].keys)
            _add_strings(digest, self.nodes[label].texts)
        for edge_type in sorted(self.edges):
            _add_json(digest, edge_type)
            _add_array(digest, self.edges[edge_type])
            _add_array(digest, self.shares.get(edge_type, np.zeros(0, np.float32)))
        _add_image_splits(digest, self.images)
        _add_array(digest, self.item_image)
        _add_json(digest, [[name, self.tables[name]] for name in sorted(self.tables)])
        return digest.hexdigest()


def assemble(domain: Domain, read: dict[str, Any]) -> Content:
    """Bring what `kg.snapshots.pull_pages.read_parts` read into canonical order; internal ids end here.

    `read` is emptied on the way, so that no column lives twice for longer than it must.
    Raises: SchemaViolation for nodes without a key and keys that two nodes share.
    """
    nodes, rows_of = {}, {}
    for label in domain.node_types:
        nodes[label], rows_of[label] = _node_table(domain, label, read.pop(f"nodes:{label}"))
    edges, shares = _edges(domain, read, rows_of)
    pairs = read.pop("images")
    images, item_image = images_of(pairs, rows_of[domain.item](joined(pairs.items)))
    return Content(domain, nodes, edges, shares, images, item_image, _tables(domain, read, nodes, rows_of, images))


def images_of(columns: ImageColumns, items: np.ndarray) -> tuple[pa.Table, np.ndarray]:
    """Each image once, by sha256, and which item row has which. Shapes: (pairs,) -> (2, pairs) int32"""
    pairs = columns.table()
    named = pc.not_equal(pairs["sha256"], "").to_numpy()
    pairs, items = pairs.filter(pa.array(named)), items[named]
    order = pc.sort_indices(pairs["sha256"])
    pairs, items = pairs.take(order), items[order.to_numpy()]
    fresh = np.ones(len(items), bool)
    sha256 = pairs["sha256"].combine_chunks()
    fresh[1:] = pc.not_equal(sha256[1:], sha256[:-1]).to_numpy(zero_copy_only=False)
    rows = np.cumsum(fresh) - 1
    by_item = np.lexsort((rows, items))
    return pairs.filter(pa.array(fresh)), np.stack([items[by_item], rows[by_item]]).astype(np.int32)


class _RowsOf:
    """From internal ids to rows: an array from the lowest id to the highest, or a search where those would be few."""

    def __init__(self, ids: np.ndarray, rows: np.ndarray) -> None:
        self._first = int(ids.min()) if len(ids) else 0
        span = int(ids.max()) - self._first + 1 if len(ids) else 0
        self._ids = None
        if span > _SPARSE * len(ids) + 1024:
            order = np.argsort(ids)
            self._ids, self._rows = ids[order], rows[order]
        else:
            self._rows = np.full(span + 1, -1, np.int32)
            self._rows[ids - self._first] = rows

    def __call__(self, ids: np.ndarray) -> np.ndarray:
        """Rows of `ids`, -1 where an id is none of this label's. Shapes: (n,) -> (n,) int32."""
        if self._ids is None:
            place = ids - self._first
            outside = len(self._rows) - 1
            place[(place < 0) | (place > outside)] = outside
            return self._rows[place]
        place = np.minimum(np.searchsorted(self._ids, ids), len(self._ids) - 1)
        return np.where(self._ids[place] == ids, self._rows[place], np.int32(-1))


def _node_table(domain: Domain, label: str, columns: NodeColumns) -> tuple[NodeTable, _RowsOf]:
    ids, keys = joined(columns.ids), _strings(columns.keys)
    columns.keys.clear()
    order = pc.sort_indices(keys)
    keys = keys.take(order)
    _check_keys(domain, label, keys)
    texts = _strings(columns.texts)
    columns.texts.clear()
    places = order.to_numpy()
    rows = np.empty(len(places), np.int32)
    rows[places] = np.arange(len(places), dtype=np.int32)
    return NodeTable(keys, texts.take(order)), _RowsOf(ids, rows)


def _check_keys(domain: Domain, label: str, keys: pa.Array) -> None:
    """Ordered keys: missing ones are empty and come first, equal ones lie beside each other."""
    key = domain.node_types[label].key
    if missing := pc.sum(pc.equal(keys, "")).as_py() or 0:
        raise SchemaViolation(
            f"pull {domain.domain}: {missing} {label} nodes have no {key!r}; find them with "
            f"`MATCH (n:{label}) WHERE n.{key} IS NULL OR n.{key} = '' RETURN n` and name or delete them"
        )
    twice = pc.equal(keys[1:], keys[:-1])
    if pc.any(twice).as_py():
        value = keys[pc.index(twice, True).as_py()].as_py()
        raise SchemaViolation(
            f"pull {domain.domain}: two {label} nodes have the {key} {value!r}; merge or rename one of them in Browser"
        )


def _edges(
    domain: Domain, read: dict[str, Any], rows_of: Mapping[str, _RowsOf]
) -> tuple[dict[EdgeType, np.ndarray], dict[EdgeType, np.ndarray]]:
    """Edges by type, source and target label: one relation type may join several pairs of labels. And their shares."""
    edges: dict[EdgeType, np.ndarray] = {}
    shares: dict[EdgeType, np.ndarray] = {}
    for name in {relation.type: None for relation in domain.relations}:
        columns: EdgeColumns = read.pop(f"edges:{name}")
        for relation in domain.relations:
            if relation.type != name:
                continue
            pairs, weights = _rows_of_ends(columns, rows_of[relation.source], rows_of[relation.target])
            edges[relation.edge_type], order = _ordered_pairs(pairs, weights)
            if SHARE in relation.properties:
                shares[relation.edge_type] = _completed(weights[order], edges[relation.edge_type][0])
    return {edge_type: edges[edge_type] for edge_type in domain.edge_types}, shares


def _rows_of_ends(columns: EdgeColumns, heads_of: _RowsOf, tails_of: _RowsOf) -> tuple[np.ndarray, np.ndarray]:
    """Both ends' rows as one number an edge, tail above none, and the weights; other labels' edges are left out.

    Shapes: (E,) int64 of head * 2**32 + tail, (E,) float32 or (0,)
    """
    pairs, weights = [np.zeros(0, np.int64)], [np.zeros(0, np.float32)]
    for page, (sources, targets) in enumerate(zip(columns.sources, columns.targets, strict=True)):
        heads, tails = heads_of(sources), tails_of(targets)
        both = (heads >= 0) & (tails >= 0)
        pairs.append((heads[both].astype(np.int64) << 32) | tails[both])
        if columns.weights:
            weights.append(columns.weights[page][both])
    return np.concatenate(pairs), np.concatenate(weights)


def _ordered_pairs(pairs: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Edges by head, tail and weight, and the order that this was. Shapes: (2, E) int32"""
    order = None
    if len(weights):
        order = np.lexsort((weights, pairs))
        pairs = pairs[order]
    else:
        pairs.sort()
    ends = np.empty((2, len(pairs)), np.int32)
    ends[0] = pairs >> 32
    ends[1] = pairs & 0xFFFFFFFF
    return ends, order


def _completed(shares: np.ndarray, heads: np.ndarray) -> np.ndarray:
    """Shares; an edge that a curator drew without one counts as one of all its source's edges, all alike."""
    if not len(heads):
        return np.zeros(0, np.float32)
    alike = 1 / np.bincount(heads)[heads]
    return np.where(shares < 0, alike, shares).astype(np.float32)


def _tables(
    domain: Domain,
    read: Mapping[str, Any],
    nodes: Mapping[str, NodeTable],
    rows_of: Mapping[str, _RowsOf],
    images: pa.Table,
) -> dict[str, list[tuple]]:
    found: NodeColumns = read["nodes:Concept"]
    keys, names = (_strings(column).to_pylist() for column in (found.keys, found.texts))
    concepts = {
        int(node): (key, name)
        for node, key, name in zip(joined(found.ids), keys, names, strict=True)
        if key.startswith(f"{domain.domain}/")
    }
    shown = set(images["sha256"].to_pylist()) if read["scene"].rows or read["caption"].rows else set()
    scenes = [
        (*scene, tuple(sorted(filter(None, attributes))))
        for scene, attributes in read["scene"].rows
        if scene[0] in shown
    ]
    objects = {scene[1] for scene in scenes}
    return {
        "concepts": _ordered(concepts.values()),
        "hierarchy": _ordered(_hierarchy(read["hierarchy"], nodes, rows_of, concepts)),
        "scenes": _ordered(scenes),
        "scene_relations": _ordered(row for row in read["scene_relation"].rows if {row[0], row[2]} <= objects),
        "captions": _ordered(row for row in read["caption"].rows if row[0] in shown and row[1]),
    }


def _hierarchy(
    columns: EdgeColumns,
    nodes: Mapping[str, NodeTable],
    rows_of: Mapping[str, _RowsOf],
    concepts: Mapping[int, tuple[str, str]],
) -> list[tuple]:
    def named(ids: np.ndarray) -> list[tuple[str, str] | None]:
        found: list[tuple[str, str] | None] = [
            ("Concept", concepts[i][0]) if i in concepts else None for i in ids.tolist()
        ]
        for label, rows in rows_of.items():
            for place, row in enumerate(rows(ids).tolist()):
                if row >= 0:
                    found[place] = (label, nodes[label].keys[row].as_py())
        return found

    ends = zip(named(joined(columns.sources)), named(joined(columns.targets)), columns.facets, strict=True)
    return [(*child, *parent, facet) for child, parent, facet in ends if child and parent]


def _ordered(rows: Iterable[Sequence[Any]]) -> list[tuple]:
    """Rows by the text of their values, since some may be missing."""
    return sorted(map(tuple, rows), key=lambda row: [str(value) for value in row])


def _strings(pages: Sequence[pa.Array]) -> pa.Array:
    return pa.concat_arrays(pages) if pages else pa.array([], pa.large_string())


def _add_json(digest: Any, value: Any) -> None:
    digest.update(_json(value))


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def _add_image_splits(digest: Any, images: pa.Table) -> None:
    """As the JSON of all [sha256, split], a piece at a time."""
    digest.update(b"[")
    for start in range(0, images.num_rows, _ROWS_AT_ONCE):
        piece = images.slice(start, _ROWS_AT_ONCE)
        pairs = list(zip(piece["sha256"].to_pylist(), piece["split"].to_pylist(), strict=True))
        digest.update((b"," if start else b"") + _json(pairs)[1:-1])
    digest.update(b"]")


def _add_strings(digest: Any, values: pa.Array) -> None:
    _, offsets, data = values.buffers()
    ends = np.frombuffer(offsets, np.int64)[values.offset : values.offset + len(values) + 1] if len(values) else []
    _add_array(digest, np.diff(ends).astype(np.int64))
    if len(values):
        digest.update(memoryview(data)[ends[0] : ends[-1]] if data is not None else b"")


def _add_array(digest: Any, array: np.ndarray) -> None:
    digest.update(str(array.shape).encode())
    digest.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")))
