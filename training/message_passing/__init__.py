"""Through which narrow interface do models touch a graph's edges?

A model asks for blocks backwards from its seeds and then only ever takes weighted means over neighbours, or looks at
the edges themselves. Whatever implements `MessageGraph` can carry every recipe: `dgl_graph` and `torch_graph` do, and
give the same numbers; the second also runs where DGL's wheel does not, on a GPU.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from kg.errors import SchemaViolation
from kg.schema import EdgeType

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor

__all__ = ["Block", "MessageGraph", "open_graph", "reverse_of", "weights_of_edges"]


class Block(Protocol):
    """The edges of one message-passing step, from source nodes to destination nodes of several types.

    Destination nodes are the first of the source nodes of their type. The sources that have an edge of a type are that
    type's senders: only they need to be projected.
    """

    edge_types: Sequence[EdgeType]
    """Edge types with at least one edge in this block; others cannot change any output."""
    src_rows: Mapping[str, Tensor]
    """Label -> rows of the snapshot that its source nodes are."""
    dst_counts: Mapping[str, int]
    """Label -> number of destination nodes."""

    def mean(self, edge_type: EdgeType, feat: Tensor) -> Tensor:
        """Weighted mean of `feat` over the neighbours by `edge_type`; zero where there is none.

        Shapes: feat (sources of its source label, d) -> (destinations of its target label, d).
        """

    def has_neighbours(self, edge_type: EdgeType) -> Tensor:
        """1 where a destination has a neighbour by `edge_type`, else 0. Shapes: (destinations, 1)."""

    def senders(self, edge_type: EdgeType) -> Tensor | None:  # noqa: ARG002
        """Places of the senders among the sources; None: every source counts as one. Shapes: (senders,)."""
        return None

    def sum_of_means(self, sent: Mapping[EdgeType, Tensor]) -> Tensor:
        """The sum of weighted means by several edge types into one label, of what their senders send.

        Shapes: edge type -> (senders, d); -> (destinations, d).
        """
        means = [self.mean(edge_type, feat) for edge_type, feat in sent.items()]
        return sum(means[1:], means[0])

    def edges(self, edge_type: EdgeType) -> tuple[Tensor, Tensor]:
        """Which sender each edge comes from and which destination it goes to, by destination. Shapes: two (edges,)."""

    def to(self, device: torch.device | str) -> Block:
        """The same block with its tensors on a device."""


class MessageGraph(Protocol):
    """A heterogeneous graph with a reverse for every edge type."""

    edge_types: Sequence[EdgeType]

    def blocks(self, seeds: Mapping[str, Tensor], n_layers: int) -> list[Block]:
        """Blocks with full neighbourhoods backwards from `seeds`; `blocks[0]` is outermost."""


def open_graph(
    snapshot: Any,
    *,
    library: str = "dgl",
    drop: Mapping[EdgeType, np.ndarray] | None = None,
    weights: Mapping[EdgeType, np.ndarray] | None = None,
) -> MessageGraph:
    """The snapshot's graph with reverse edges, without the dropped ones; `weights` (default 1) are for all edges.

    Shapes: drop[edge_type], weights[edge_type] (edges of that type,).
    Raises: SchemaViolation where there are more weights than edges, or fewer.
    """
    module = importlib.import_module(f"training.message_passing.{library}_graph")
    return module.open_graph(snapshot, drop=drop, weights=weights)


def reverse_of(edge_type: EdgeType) -> EdgeType:
    """The edge type of the reverse edges, as `Snapshot.to_dgl` names it."""
    source, relation, target = edge_type
    return (target, relation.removeprefix("rev_") if relation.startswith("rev_") else f"rev_{relation}", source)


def weights_of_edges(
    edge_type: EdgeType,
    count: int,
    *,
    drop: Mapping[EdgeType, np.ndarray] | None,
    weights: Mapping[EdgeType, np.ndarray] | None,
) -> np.ndarray:
    """Weights of the edges that are left, of an edge type or its reverse; 1 where none were given.

    Raises: SchemaViolation for weights that are not one an edge, as those of a symmetric relation: it is held in both
    directions in place and has other edges than the snapshot.
    """
    import numpy as np

    original = edge_type if edge_type in (weights or {}) else reverse_of(edge_type)
    given = (weights or {}).get(original)
    if given is None:
        return np.ones(count)
    mask = (drop or {}).get(original)
    kept = np.asarray(given, np.float64) if mask is None else np.asarray(given, np.float64)[~np.asarray(mask, bool)]
    if len(kept) != count:
        raise SchemaViolation(
            f"weights of {'-'.join(edge_type)}: {len(kept):,} for {count:,} edges; give one an edge, and declare "
            "no share on a symmetric relation"
        )
    return kept
