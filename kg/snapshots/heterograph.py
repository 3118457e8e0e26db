"""Which edges does a network see of a snapshot, or of a part of one, and how does DGL hold them?"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from kg.errors import SchemaViolation
from kg.schema import Domain, EdgeType

if TYPE_CHECKING:
    import dgl

__all__ = ["edges_both_ways", "heterograph"]


def heterograph(
    domain: Domain,
    counts: Mapping[str, int],
    edges_of: Callable[[EdgeType], tuple[np.ndarray, np.ndarray]],
    *,
    reverse: bool = True,
    drop: Mapping[EdgeType, np.ndarray] | None = None,
) -> dgl.DGLHeteroGraph:
    """DGL's heterograph of `edges_both_ways`, on int64 ids; node i of a type is row i."""
    os.environ.setdefault("DGLBACKEND", "pytorch")  # else DGL says so on every start and writes into the home
    import dgl
    import torch

    edges = edges_both_ways(domain, edges_of, reverse=reverse, drop=drop)
    data = {edge_type: tuple(torch.from_numpy(ends) for ends in both) for edge_type, both in edges.items()}
    return dgl.heterograph(data, num_nodes_dict=dict(counts))


def edges_both_ways(
    domain: Domain,
    edges_of: Callable[[EdgeType], tuple[np.ndarray, np.ndarray]],
    *,
    reverse: bool = True,
    drop: Mapping[EdgeType, np.ndarray] | None = None,
) -> dict[EdgeType, tuple[np.ndarray, np.ndarray]]:
    """Source and target rows of every edge type. Shapes: edge type -> two of (edges,) int64.

    `drop` holds a mask per edge type, True where an edge stays out, its reverse too. Symmetric relations hold both
    directions in place, each once; every other type (s, name, t) gets (t, "rev_name", s) with `reverse`.
    Raises: SchemaViolation for an unknown edge type, or a mask of another length.
    """
    masks = _checked_masks(drop or {}, edges_of)
    edges: dict[EdgeType, tuple[np.ndarray, np.ndarray]] = {}
    for relation in domain.relations:
        edge_type = relation.edge_type
        source, target = _kept(*edges_of(edge_type), masks.get(edge_type), both_ways=relation.symmetric)
        edges[edge_type] = (source, target)
        if reverse and not relation.symmetric:
            edges[edge_type[2], f"rev_{edge_type[1]}", edge_type[0]] = (target, source)
    return edges


def _kept(
    source: np.ndarray, target: np.ndarray, mask: np.ndarray | None, *, both_ways: bool
) -> tuple[np.ndarray, np.ndarray]:
    if mask is not None:
        source, target = source[~mask], target[~mask]
    source, target = np.array(source, np.int64), np.array(target, np.int64)
    if both_ways:
        pairs = np.unique(np.stack([np.concatenate([source, target]), np.concatenate([target, source])]), axis=1)
        source, target = np.ascontiguousarray(pairs[0]), np.ascontiguousarray(pairs[1])
    return source, target


def _checked_masks(
    drop: Mapping[EdgeType, np.ndarray], edges_of: Callable[[EdgeType], tuple[np.ndarray, np.ndarray]]
) -> dict[EdgeType, np.ndarray]:
    masks = {}
    for edge_type, mask in drop.items():
        masks[tuple(edge_type)] = mask = np.asarray(mask, bool)
        count = len(edges_of(edge_type)[0])
        if mask.shape != (count,):
            raise SchemaViolation(
                f"drop {edge_type}: a mask of shape {mask.shape} for {count} edges; give one bool an edge"
            )
    return masks
