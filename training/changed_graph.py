"""What would a snapshot be with fewer relations, wrong ones, other texts, or another division of its images?

Experiments look at a graph through these views; nothing is written, and what is not changed is the snapshot's own.
Every random change follows from its seed alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from kg.errors import RecipeConfigError
from kg.schema import EdgeType
from kg.snapshots.heterograph import heterograph

__all__ = [
    "ChangedGraph",
    "TextSource",
    "changed",
    "dropped",
    "rewired",
    "with_splits",
    "with_texts",
    "without",
    "without_items",
    "without_relation",
]

TextSource = Literal["none", "name", "description", "neighbourhood"]
"""Nothing, the key, the template's text without the key, or the key and the names of what the node is related to."""
_NAMED_AT_MOST = 12


@dataclass(frozen=True)
class ChangedGraph:
    """A snapshot with other edges, texts or image splits; all else is answered by the snapshot below."""

    base: Any
    edge_arrays: Mapping[EdgeType, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    edge_shares: Mapping[EdgeType, np.ndarray] = field(default_factory=dict)
    """Of changed edge types that carry shares."""
    text_source: TextSource | None = None
    splits: tuple[str, ...] | None = None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.base, name)

    def edges(self, edge_type: EdgeType) -> tuple[np.ndarray, np.ndarray]:
        """Source and target rows, ordered by both. Shapes: (edges,), (edges,)."""
        return self.edge_arrays.get(tuple(edge_type)) or self.base.edges(edge_type)

    def shares(self, edge_type: EdgeType) -> np.ndarray | None:
        """How often each edge holds, None where the relation declares no share. Shapes: (edges,)."""
        if tuple(edge_type) in self.edge_arrays:
            return self.edge_shares.get(tuple(edge_type))
        return self.base.shares(edge_type)

    def texts(self, label: str) -> list[str]:
        """Texts by row. Items keep theirs: no recipe reads them."""
        if self.text_source is None or label == self.base.domain.item:
            return self.base.texts(label)
        return _texts(self, label, self.text_source)

    @property
    def images(self) -> Any:
        """The image table, with the given splits."""
        found = self.base.images
        return found if self.splits is None else replace(found, split=list(self.splits))

    def to_dgl(self, *, reverse: bool = True, drop: Mapping[EdgeType, np.ndarray] | None = None) -> Any:
        """As `Snapshot.to_dgl`, of the changed edges."""
        counts = {label: self.base.count(label) for label in self.base.node_types}
        return heterograph(self.base.domain, counts, self.edges, reverse=reverse, drop=drop)


def changed(snapshot: Any, edges: Mapping[EdgeType, tuple[np.ndarray, np.ndarray, np.ndarray | None]]) -> ChangedGraph:
    """The snapshot with other edges of some types. Shapes: edge type -> sources, targets and shares (edges,)."""
    arrays, shares = {}, {}
    for edge_type, (source, target, share) in edges.items():
        order = np.lexsort((target, source))
        arrays[edge_type] = source[order], target[order]
        if share is not None:
            shares[edge_type] = np.asarray(share)[order]
    if isinstance(snapshot, ChangedGraph):
        kept = {t: share for t, share in snapshot.edge_shares.items() if t not in arrays}
        return replace(snapshot, edge_arrays={**snapshot.edge_arrays, **arrays}, edge_shares={**kept, **shares})
    return ChangedGraph(snapshot, arrays, shares)


def without(snapshot: Any, masks: Mapping[EdgeType, np.ndarray]) -> ChangedGraph:
    """The snapshot without the edges whose mask is True. Shapes: edge type -> bool (edges,)."""
    return changed(snapshot, {edge_type: _taken(snapshot, edge_type, ~mask) for edge_type, mask in masks.items()})


def without_relation(snapshot: Any, edge_type: EdgeType) -> ChangedGraph:
    """The snapshot without any edge of one type."""
    return without(snapshot, {edge_type: np.ones(len(snapshot.edges(edge_type)[0]), bool)})


def without_items(snapshot: Any, rows: np.ndarray) -> ChangedGraph:
    """The snapshot whose items in `rows` are related to nothing."""
    item = snapshot.domain.item
    gone = np.zeros(snapshot.count(item), bool)
    gone[rows] = True
    masks = {}
    for edge_type in snapshot.edge_types:
        ends = zip((edge_type[0], edge_type[2]), snapshot.edges(edge_type), strict=True)
        if touched := [gone[at] for label, at in ends if label == item]:
            masks[edge_type] = np.logical_or.reduce(touched)
    return without(snapshot, masks)


def dropped(snapshot: Any, share: float, *, rng_seed: int) -> ChangedGraph:
    """The snapshot without a random share of the edges of every type."""
    chosen = _chosen(snapshot, share, rng_seed)
    return without(snapshot, chosen)


def rewired(snapshot: Any, share: float, *, rng_seed: int) -> ChangedGraph:
    """A random share of the edges of every type leads to another target of the same label, any but its own.

    Where a label has one node alone, there is no other, and its edges stay.
    """
    rng = np.random.default_rng(rng_seed + 1)
    edges = {}
    for edge_type, mask in _chosen(snapshot, share, rng_seed).items():
        source, target, shares = _taken(snapshot, edge_type, np.ones(len(mask), bool))
        count = snapshot.count(edge_type[2])
        if count > 1:
            target = target.copy()
            target[mask] = (target[mask] + rng.integers(1, count, int(mask.sum()))) % count
            edges[edge_type] = source, target, shares
    return changed(snapshot, edges)


def with_texts(snapshot: Any, source: TextSource) -> ChangedGraph:
    """The snapshot with other texts on all nodes that are no items."""
    changed_before = snapshot if isinstance(snapshot, ChangedGraph) else ChangedGraph(snapshot)
    return replace(changed_before, text_source=source)


def with_splits(snapshot: Any, splits: Sequence[str]) -> ChangedGraph:
    """The snapshot as if its images had come with these splits. Shapes: (images,) of names."""
    changed_before = snapshot if isinstance(snapshot, ChangedGraph) else ChangedGraph(snapshot)
    return replace(changed_before, splits=tuple(splits))


def _chosen(snapshot: Any, share: float, rng_seed: int) -> dict[EdgeType, np.ndarray]:
    """A random share of each type's edges. Raises: RecipeConfigError."""
    if not 0 <= share <= 1:
        raise RecipeConfigError(f"noise: {share} of the edges; give a share between 0 and 1")
    rng, found = np.random.default_rng(rng_seed), {}
    for edge_type in snapshot.edge_types:
        count = len(snapshot.edges(edge_type)[0])
        found[edge_type] = np.zeros(count, bool)
        found[edge_type][rng.permutation(count)[: round(share * count)]] = True
    return {edge_type: mask for edge_type, mask in found.items() if mask.any()}


def _taken(snapshot: Any, edge_type: EdgeType, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    source, target = (np.asarray(rows)[kept] for rows in snapshot.edges(edge_type))
    share = snapshot.shares(edge_type)
    return source, target, None if share is None else np.asarray(share)[kept]


def _texts(snapshot: ChangedGraph, label: str, source: TextSource) -> list[str]:
    keys = [str(key) for key in snapshot.keys(label)]
    if source == "none":
        return ["node"] * len(keys)
    if source == "name":
        return keys
    if source == "description":
        texts = snapshot.base.texts(label)
        return [" ".join(text.replace(key, "").split()) or "node" for key, text in zip(keys, texts, strict=True)]
    return [". ".join([key, *said]) for key, said in zip(keys, _said(snapshot, label), strict=True)]


def _said(snapshot: ChangedGraph, label: str) -> list[list[str]]:
    """For each node what its relations to nodes that are no items say: "body colour: red, green"."""
    said: list[list[str]] = [[] for _ in range(snapshot.count(label))]
    for edge_type in snapshot.edge_types:
        ends = [np.asarray(rows) for rows in snapshot.edges(edge_type)]
        for own, other, way in ((0, 1, "{}"), (1, 0, "{} of")):
            if edge_type[2 * own] != label or edge_type[2 * other] == snapshot.base.domain.item:
                continue
            words = way.format(edge_type[1].replace("_", " ").lower())
            keys, named = snapshot.keys(edge_type[2 * other]), {}
            for row, neighbour in zip(ends[own], ends[other], strict=True):
                named.setdefault(int(row), []).append(str(keys[neighbour]))
            for row, names in named.items():
                said[row].append(f"{words}: {', '.join(names[:_NAMED_AT_MOST])}")
    return said
