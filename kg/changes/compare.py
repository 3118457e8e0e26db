"""What differs between two snapshots: which nodes and relations were added, changed or deleted?

Works without any trigger. Keys and texts are compared as columns, relations as sorted arrays of pairs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kg.schema import EdgeType

__all__ = ["Changes", "NodeChanges", "RelationChanges", "compare", "rows_in"]

Pair = tuple[str, str]


@dataclass(frozen=True)
class NodeChanges:
    """Keys of one label's nodes, sorted. Changed is a node whose text or images differ."""

    added: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    @property
    def touched(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.added, *self.deleted, *self.changed)

    def __bool__(self) -> bool:
        return bool(self.added or self.deleted or self.changed)


@dataclass(frozen=True)
class RelationChanges:
    """Pairs of keys (source, target) of one edge type, sorted. Changed is a pair whose share or number differs."""

    added: tuple[Pair, ...] = ()
    deleted: tuple[Pair, ...] = ()
    changed: tuple[Pair, ...] = ()

    @property
    def touched(self) -> tuple[Pair, ...]:
        """All of them."""
        return (*self.added, *self.deleted, *self.changed)

    def __bool__(self) -> bool:
        return bool(self.added or self.deleted or self.changed)


@dataclass(frozen=True)
class Changes:
    """What differs; labels, edge types and tables where nothing does are left out."""

    nodes: dict[str, NodeChanges] = field(default_factory=dict)
    relations: dict[EdgeType, RelationChanges] = field(default_factory=dict)
    tables: tuple[str, ...] = ()
    """Overlay tables that differ: hierarchy, captions …; class vectors do not depend on them."""

    def __bool__(self) -> bool:
        return bool(self.nodes or self.relations or self.tables)

    @property
    def count(self) -> int:
        """Nodes and relations that differ."""
        return sum(len(part.touched) for part in (*self.nodes.values(), *self.relations.values()))

    def rows(self) -> Iterator[tuple[str, int, int, int]]:
        """(what, added, changed, deleted) for people."""
        for label, nodes in self.nodes.items():
            yield label, len(nodes.added), len(nodes.changed), len(nodes.deleted)
        for (source, relation, target), pairs in self.relations.items():
            what = f"({source})-[{relation}]->({target})"
            yield what, len(pairs.added), len(pairs.changed), len(pairs.deleted)


def compare(old: Any, new: Any) -> Changes:
    """How `new` differs from `old`; both are snapshots of one domain."""
    place = {label: rows_in(new, old, label) for label in new.node_types}
    images = _image_changes(old, new, place[new.domain.item])
    nodes = {label: _node_changes(old, new, label, place[label], images) for label in new.node_types}
    relations = {edge_type: _relation_changes(old, new, edge_type, place) for edge_type in new.edge_types}
    return Changes(
        {label: found for label, found in nodes.items() if found},
        {edge_type: found for edge_type, found in relations.items() if found},
        tuple(
            name
            for name in ("hierarchy", "concepts", "scenes", "scene_relations", "captions")
            if _differs(old, new, name)
        ),
    )


def rows_in(new: Any, old: Any, label: str) -> np.ndarray:
    """Where each old row of a label is in the new snapshot, -1 where its key is no more. Shapes: (old nodes,) int64."""
    if _column(old, "key", label).equals(_column(new, "key", label)):
        return np.arange(new.count(label))
    before, after = old.keys(label), new.keys(label)
    row_of = {key: row for row, key in enumerate(after.tolist())}
    return np.array([row_of.get(key, -1) for key in before.tolist()], np.int64)


def _node_changes(old: Any, new: Any, label: str, place: np.ndarray, images: np.ndarray) -> NodeChanges:
    stays = place >= 0
    is_new = np.ones(new.count(label), bool)
    is_new[place[stays]] = False
    texts = _column(old, "text", label).filter(pa.array(stays))
    differ = pc.not_equal(texts, _column(new, "text", label).take(pa.array(place[stays])))
    changed = set(place[stays][differ.to_numpy(zero_copy_only=False)].tolist())
    if label == new.domain.item:
        changed |= {int(row) for row in images if not is_new[row]}
    added, deleted = np.flatnonzero(is_new), np.flatnonzero(~stays)
    return NodeChanges(_keys(new, label, added), _keys(old, label, deleted), _keys(new, label, sorted(changed)))


def _image_changes(old: Any, new: Any, place: np.ndarray) -> np.ndarray:
    """New rows of items whose images differ."""
    number: dict[str, int] = {}

    def codes(snapshot: Any, rows_of: np.ndarray | None) -> np.ndarray:
        items, images = (np.asarray(rows, np.int64) for rows in snapshot.item_images)
        sha = np.array([number.setdefault(sha256, len(number)) for sha256 in snapshot.images.sha256], np.int64)
        items = items if rows_of is None else rows_of[items]
        kept = items >= 0
        return items[kept] * _MANY + (sha[images[kept]] if len(images) else images)

    return np.unique(np.setxor1d(codes(old, place), codes(new, None)) // _MANY)


_MANY = 1 << 31
"""Above any row."""


def _relation_changes(old: Any, new: Any, edge_type: EdgeType, place: dict[str, np.ndarray]) -> RelationChanges:
    source, _, target = edge_type
    sources, targets = (np.asarray(rows, np.int64) for rows in old.edges(edge_type))
    # Where an end is gone, the edge is; both are told in keys.
    heads, tails = place[source][sources], place[target][targets]
    stays = (heads >= 0) & (tails >= 0)
    before, after = heads[stays] * _MANY + tails[stays], _codes(new, edge_type)
    shares_before, shares_after = old.shares(edge_type), new.shares(edge_type)
    shares_before = None if shares_before is None else np.asarray(shares_before)[stays]
    added, deleted, changed = _differences(before, after, shares_before, shares_after)
    gone = _pairs(old, edge_type, sources[~stays], targets[~stays])
    return RelationChanges(
        _named(new, edge_type, added),
        tuple(sorted({*_named(new, edge_type, deleted), *gone})),
        _named(new, edge_type, changed),
    )


def _differences(
    before: np.ndarray, after: np.ndarray, shares_before: np.ndarray | None, shares_after: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes that came, that went, and that carry another share or stand there another number of times."""
    if shares_before is None and np.array_equal(before, after):
        return before[:0], before[:0], before[:0]
    was, times_before = np.unique(before, return_counts=True)
    now, times_after = np.unique(after, return_counts=True)
    both, at, to = np.intersect1d(was, now, assume_unique=True, return_indices=True)
    other = times_before[at] != times_after[to]
    if shares_before is not None and shares_after is not None:
        other |= _sums(before, shares_before, was)[at] != _sums(after, np.asarray(shares_after), now)[to]
    return np.setdiff1d(now, was, assume_unique=True), np.setdiff1d(was, now, assume_unique=True), both[other]


def _sums(codes: np.ndarray, shares: np.ndarray, unique: np.ndarray) -> np.ndarray:
    """Shares added up by code; exact enough to see a difference, since equal shares add up equally."""
    return np.bincount(np.searchsorted(unique, codes), weights=shares, minlength=len(unique))


def _codes(snapshot: Any, edge_type: EdgeType) -> np.ndarray:
    sources, targets = (np.asarray(rows, np.int64) for rows in snapshot.edges(edge_type))
    return sources * _MANY + targets


def _named(snapshot: Any, edge_type: EdgeType, codes: np.ndarray) -> tuple[Pair, ...]:
    return _pairs(snapshot, edge_type, codes // _MANY, codes % _MANY)


def _pairs(snapshot: Any, edge_type: EdgeType, sources: np.ndarray, targets: np.ndarray) -> tuple[Pair, ...]:
    if not len(sources):
        return ()
    heads, tails = snapshot.keys(edge_type[0])[sources], snapshot.keys(edge_type[2])[targets]
    return tuple(sorted(set(zip(heads.tolist(), tails.tolist(), strict=True))))


def _keys(snapshot: Any, label: str, rows: Any) -> tuple[str, ...]:
    return tuple(sorted(snapshot.keys(label)[rows].tolist())) if len(rows) else ()


def _column(snapshot: Any, what: str, label: str) -> pa.Array:
    """Keys or texts as they lie in the snapshot's file, where it has one."""
    of = getattr(snapshot, f"{what}_column", None)
    return of(label) if of else pa.array(list(getattr(snapshot, f"{what}s")(label)), pa.large_string())


def _differs(old: Any, new: Any, name: str) -> bool:
    table = getattr(new, "table", None)
    return table is not None and not old.table(name).equals(new.table(name))
