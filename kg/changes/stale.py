"""Whose embeddings are out of date after a change: how far does it reach in L message-passing layers?

A node's state after k layers depends on its own text and images, on its edges of the live types, and on its neighbours'
states after k - 1. So what is stale spreads by one hop a layer, along the edge types that can reach the classes at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kg.changes.adjacency import Adjacency, live_layers, reverse_of
from kg.changes.compare import Changes
from kg.schema import EdgeType

__all__ = ["Stale", "stale_sets"]

Rows = dict[str, np.ndarray]


@dataclass(frozen=True)
class Stale:
    """Rows of the new snapshot that are stale after 0, 1, … L layers, by label."""

    layers: list[Rows]
    target: str
    """Label of the class nodes."""
    counts: Mapping[str, int]
    """Nodes of each label in the new snapshot."""

    @property
    def classes(self) -> np.ndarray:
        """Class rows whose embeddings must be made again."""
        return self.layers[-1].get(self.target, np.zeros(0, np.int64))

    @property
    def share_of_classes(self) -> float:
        """Of all classes, 0..1."""
        return len(self.classes) / max(1, self.counts[self.target])

    def share_of_states(self, layer: int) -> float:
        """Of all nodes that have a state after that many layers, 0..1."""
        labels = self.layers[layer]
        return sum(map(len, labels.values())) / max(1, sum(self.counts[label] for label in labels))


def stale_sets(
    adjacency: Adjacency,
    changes: Changes,
    target: str,
    hops: int,
    *,
    layers: Sequence[Sequence[EdgeType]] | None = None,
) -> Stale:
    """What `changes` make stale, layer by layer; `adjacency` is of the snapshot after them.

    `layers` are the edge types of each layer, first layer first; by default all that can reach `target`.
    """
    snapshot = adjacency.snapshot
    layers = layers or live_layers(adjacency.edge_types, target, hops)
    rows = _changed_nodes(snapshot, changes)
    ends = _changed_ends(snapshot, adjacency, changes)
    # What has a state after k layers: whatever ends an edge there; before the first, also where edges begin.
    needed = [
        {end for s, _, t in layers[0] for end in (s, t)} if layers else {target},
        *({t for _, _, t in types} for types in layers),
    ]
    found = [{label: rows.get(label, _NONE) for label in sorted(needed[0] | {target})}]
    for types, labels in zip(layers, needed[1:], strict=True):
        found.append(_spread(adjacency, found[-1], ends, types, labels))
    return Stale(found, target, {label: snapshot.count(label) for label in snapshot.node_types})


_NONE = np.zeros(0, np.int64)


def _spread(
    adjacency: Adjacency, before: Rows, ends: dict[EdgeType, np.ndarray], types: Sequence[EdgeType], labels: set[str]
) -> Rows:
    """One layer on: whose own state, edges or neighbours are stale."""
    parts: dict[str, list[np.ndarray]] = {label: [before.get(label, _NONE)] for label in sorted(labels)}
    for edge_type in types:
        source, _, target = edge_type
        parts[target].append(ends.get(edge_type, _NONE))
        if len(rows := before.get(source, _NONE)):
            parts[target].append(adjacency.out_of(edge_type, rows))
    return {label: np.unique(np.concatenate(rows)) for label, rows in parts.items()}


def _changed_nodes(snapshot: Any, changes: Changes) -> Rows:
    return {
        label: np.sort(snapshot.rows(label, [*nodes.added, *nodes.changed])) for label, nodes in changes.nodes.items()
    }


def _changed_ends(snapshot: Any, adjacency: Adjacency, changes: Changes) -> dict[EdgeType, np.ndarray]:
    """By edge type, both ways: the nodes whose incoming edges are others than before."""
    ends: dict[EdgeType, np.ndarray] = {}
    for edge_type, pairs in changes.relations.items():
        sources = _present(snapshot, edge_type[0], [source for source, _ in pairs.touched])
        targets = _present(snapshot, edge_type[2], [target for _, target in pairs.touched])
        if reverse_of(edge_type) in adjacency.edge_types:
            ends[edge_type], ends[reverse_of(edge_type)] = targets, sources
        else:
            ends[edge_type] = np.union1d(sources, targets)
    return ends


def _present(snapshot: Any, label: str, keys: list[str]) -> np.ndarray:
    rows = snapshot.rows(label, sorted(set(keys)))
    return np.unique(rows[rows >= 0])
