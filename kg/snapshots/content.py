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

from kg.errors import SchemaViolation
from kg.schema import Domain, EdgeType
from kg.snapshots.node_text import node_text
from kg.snapshots.pull_pages import SHARE, EdgeColumns, NodeColumns, fields_of

__all__ = ["TABLE_COLUMNS", "Content", "NodeTable", "assemble"]

_FORMAT = b"korvai-snapshot-1"
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
    """Nodes of one label, ordered by key."""

    keys: list[str]
    texts: list[str]


@dataclass(frozen=True)
class Content:
    """A snapshot in memory; an image is (sha256, uri, width, height, split).

    Shapes: edges (2, E) int32 rows, shares (E,) float32, item_image (2, n) int32.
    """

    domain: Domain
    nodes: dict[str, NodeTable]
    edges: dict[EdgeType, np.ndarray]
    shares: dict[EdgeType, np.ndarray]
    images: list[tuple[str, str, int, int, str | None]]
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
        _add_json(digest, [(image[0], image[4]) for image in self.images])
        _add_array(digest, self.item_image)
        _add_json(digest, [[name, self.tables[name]] for name in sorted(self.tables)])
        return digest.hexdigest()


def assemble(domain: Domain, read: Mapping[str, Any]) -> Content:
    """Bring what `kg.snapshots.pull_pages.read_parts` read into canonical order; internal ids end here.

    Raises: SchemaViolation for nodes without a key and keys that two nodes share.
    """
    nodes, rows_of = {}, {}
    for label in domain.node_types:
        nodes[label], rows_of[label] = _node_table(domain, label, read[f"nodes:{label}"])
    images, item_image = _images(read["images"].rows, rows_of[domain.item])
    shown = {image[0] for image in images}
    edges, shares = _edges(domain, read, rows_of)
    return Content(domain, nodes, edges, shares, images, item_image, _tables(domain, read, nodes, rows_of, shown))


class _RowsOf:
    """From internal ids to rows."""

    def __init__(self, ids: np.ndarray, rows: np.ndarray) -> None:
        order = np.argsort(ids)
        self._ids, self._rows = ids[order], rows[order].astype(np.int32)

    def __call__(self, ids: np.ndarray) -> np.ndarray:
        """Rows of `ids`, -1 where an id is none of this label's."""
        if not len(self._ids):
            return np.full(len(ids), -1, np.int32)
        place = np.minimum(np.searchsorted(self._ids, ids), len(self._ids) - 1)
        return np.where(self._ids[place] == ids, self._rows[place], np.int32(-1))


def _node_table(domain: Domain, label: str, columns: NodeColumns) -> tuple[NodeTable, _RowsOf]:
    ids = _joined(columns.ids)
    fields, template = fields_of(domain, label), domain.node_types[label].text
    keys = _checked_keys(domain, label, [values[0] for values in columns.values])
    order = sorted(range(len(keys)), key=keys.__getitem__)
    # Where a template finds nothing, the label stands: a key may say more than the template wants said, the class even.
    texts = [node_text(template, dict(zip(fields, columns.values[i], strict=True)), otherwise=label) for i in order]
    rows = np.empty(len(keys), np.int32)
    rows[order] = np.arange(len(keys), dtype=np.int32)
    return NodeTable([keys[i] for i in order], texts), _RowsOf(ids, rows)


def _checked_keys(domain: Domain, label: str, values: Sequence[Any]) -> list[str]:
    key = domain.node_types[label].key
    if missing := sum(value is None or value == "" for value in values):
        raise SchemaViolation(
            f"pull {domain.domain}: {missing} {label} nodes have no {key!r}; find them with "
            f"`MATCH (n:{label}) WHERE n.{key} IS NULL OR n.{key} = '' RETURN n` and name or delete them"
        )
    keys = [str(value) for value in values]
    if len(set(keys)) < len(keys):
        seen: set[str] = set()
        twice = next(value for value in keys if value in seen or seen.add(value))
        raise SchemaViolation(
            f"pull {domain.domain}: two {label} nodes have the {key} {twice!r}; merge or rename one of them in Browser"
        )
    return keys


def _edges(
    domain: Domain, read: Mapping[str, Any], rows_of: Mapping[str, _RowsOf]
) -> tuple[dict[EdgeType, np.ndarray], dict[EdgeType, np.ndarray]]:
    """Edges by type, source and target label: one relation type may join several pairs of labels. And their shares."""
    edges: dict[EdgeType, np.ndarray] = {}
    shares: dict[EdgeType, np.ndarray] = {}
    for relation in domain.relations:
        columns: EdgeColumns = read[f"edges:{relation.type}"]
        heads = rows_of[relation.source](_joined(columns.sources))
        tails = rows_of[relation.target](_joined(columns.targets))
        weights = np.asarray(columns.extra, np.float32) if columns.extra else np.zeros(len(heads), np.float32)
        both = (heads >= 0) & (tails >= 0)
        heads, tails, weights = heads[both], tails[both], weights[both]
        order = np.lexsort((weights, tails, heads))
        edges[relation.edge_type] = np.stack([heads[order], tails[order]])
        if SHARE in relation.properties:
            shares[relation.edge_type] = _completed(weights[order], heads[order])
    return edges, shares


def _completed(shares: np.ndarray, heads: np.ndarray) -> np.ndarray:
    """Shares; an edge that a curator drew without one counts as one of all its source's edges, all alike."""
    if not len(heads):
        return shares
    alike = 1 / np.bincount(heads)[heads]
    return np.where(shares < 0, alike, shares).astype(np.float32)


def _images(pairs: Iterable[tuple[int, list]], item_rows: _RowsOf) -> tuple[list[tuple], np.ndarray]:
    pairs = [(item, image) for item, image in pairs if image[0]]
    by_hash = {
        image[0]: (image[0], image[1] or "", image[2] or 0, image[3] or 0, image[4] or None) for _, image in pairs
    }
    images = [by_hash[sha256] for sha256 in sorted(by_hash)]
    row_of = {image[0]: row for row, image in enumerate(images)}
    items = item_rows(np.array([item for item, _ in pairs], np.int64))
    rows = np.array([row_of[image[0]] for _, image in pairs], np.int32)
    order = np.lexsort((rows, items))
    return images, np.stack([items[order], rows[order]]).astype(np.int32)


def _tables(
    domain: Domain,
    read: Mapping[str, Any],
    nodes: Mapping[str, NodeTable],
    rows_of: Mapping[str, _RowsOf],
    shown: set[str],
) -> dict[str, list[tuple]]:
    concepts = {
        int(node): (str(key), str(name or ""))
        for node, (key, name) in zip(_joined(read["nodes:Concept"].ids), read["nodes:Concept"].values, strict=True)
        if key and str(key).startswith(f"{domain.domain}/")
    }
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
                    found[place] = (label, nodes[label].keys[row])
        return found

    ends = zip(named(_joined(columns.sources)), named(_joined(columns.targets)), columns.extra, strict=True)
    return [(*child, *parent, facet) for child, parent, facet in ends if child and parent]


def _ordered(rows: Iterable[Sequence[Any]]) -> list[tuple]:
    """Rows by the text of their values, since some may be missing."""
    return sorted(map(tuple, rows), key=lambda row: [str(value) for value in row])


def _joined(pages: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(pages) if pages else np.zeros(0, np.int64)


def _add_json(digest: Any, value: Any) -> None:
    digest.update(json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode())


def _add_strings(digest: Any, values: Sequence[str]) -> None:
    encoded = [value.encode("utf-8", "surrogatepass") for value in values]
    _add_array(digest, np.array([len(value) for value in encoded], np.int64))
    digest.update(b"".join(encoded))


def _add_array(digest: Any, array: np.ndarray) -> None:
    digest.update(str(array.shape).encode())
    digest.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())
