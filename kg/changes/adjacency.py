"""Who are the neighbours of a few nodes, without walking through all edges?

A snapshot's arrays of pairs, sorted once by either end. Every relation can be followed both ways, as `Snapshot.to_dgl`
names it: (s, name, t) from s to t, (t, "rev_name", s) back; a symmetric one holds both directions itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from kg.schema import EdgeType

__all__ = ["Adjacency", "both_ways", "live_layers", "reverse_of"]


def reverse_of(edge_type: EdgeType) -> EdgeType:
    """The edge type that goes the other way."""
    source, relation, target = edge_type
    back = relation.removeprefix("rev_") if relation.startswith("rev_") else f"rev_{relation}"
    return (target, back, source)


def both_ways(snapshot: Any) -> tuple[EdgeType, ...]:
    """All edge types along which messages go."""
    symmetric = _symmetric(snapshot)
    forward = [tuple(edge_type) for edge_type in snapshot.edge_types]
    return (*forward, *(reverse_of(edge_type) for edge_type in forward if edge_type not in symmetric))


def live_layers(edge_types: tuple[EdgeType, ...], target: str, hops: int) -> list[tuple[EdgeType, ...]]:
    """The edge types that can change `target` through each of `hops` layers, the first layer first."""
    layers: list[tuple[EdgeType, ...]] = []
    reached = {target}
    for _ in range(hops):
        layers.insert(0, tuple(edge_type for edge_type in edge_types if edge_type[2] in reached))
        reached |= {source for source, _, _ in layers[0]}
    return layers


@dataclass(frozen=True)
class _Sorted:
    """Edges sorted by one end. Shapes: starts (nodes + 1,), others and places (edges,): other end, edge's number."""

    starts: np.ndarray
    others: np.ndarray
    places: np.ndarray

    def of(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions of the edges of `rows`, and for each which of `rows` it belongs to."""
        first, count = self.starts[rows], self.starts[rows + 1] - self.starts[rows]
        owner = np.repeat(np.arange(len(rows)), count)
        before = np.cumsum(count) - count
        return np.arange(len(owner)) - before[owner] + first[owner], owner


class Adjacency:
    """A snapshot's edges by either end; each order is made when it is first asked for, and kept."""

    def __init__(self, snapshot: Any) -> None:
        self.snapshot = snapshot
        self._sorted: dict[EdgeType, _Sorted] = {}

    @cached_property
    def edge_types(self) -> tuple[EdgeType, ...]:
        """All edge types, both ways."""
        return both_ways(self.snapshot)

    def into(self, edge_type: EdgeType, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Where the edges that end in `rows` come from, which of `rows` each ends in, and its number in the snapshot.

        Shapes: (n,) -> (edges,), (edges,), (edges,). The numbers are of no use for a symmetric relation.
        """
        edges = self._by_target(edge_type)
        at, owner = edges.of(np.asarray(rows, np.int64))
        return edges.others[at], owner, edges.places[at]

    def out_of(self, edge_type: EdgeType, rows: np.ndarray) -> np.ndarray:
        """Rows in which the edges that leave `rows` end, each once."""
        symmetric = edge_type in _symmetric(self.snapshot)
        return np.unique(self.into(edge_type if symmetric else reverse_of(edge_type), rows)[0])

    def _by_target(self, edge_type: EdgeType) -> _Sorted:
        if edge_type not in self._sorted:
            self._sorted[edge_type] = self._sort(edge_type)
        return self._sorted[edge_type]

    def _sort(self, edge_type: EdgeType) -> _Sorted:
        backwards = edge_type not in self.snapshot.edge_types
        sources, targets = (np.asarray(rows) for rows in self.snapshot.edges(_forward(edge_type, backwards)))
        if edge_type in _symmetric(self.snapshot):
            pairs = np.stack([np.concatenate([sources, targets]), np.concatenate([targets, sources])])
            sources, targets = np.unique(pairs, axis=1)
        if backwards:
            sources, targets = targets, sources
        order = np.argsort(targets, kind="stable")
        counts = np.bincount(targets, minlength=self.snapshot.count(edge_type[2]))
        starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
        return _Sorted(starts, sources[order].astype(np.int64), order)


def _forward(edge_type: EdgeType, backwards: bool) -> EdgeType:
    return reverse_of(edge_type) if backwards else edge_type


def _symmetric(snapshot: Any) -> set[EdgeType]:
    return {relation.edge_type for relation in snapshot.domain.relations if relation.symmetric}
