"""Through which narrow interface do models touch a graph's edges?

A model asks for blocks backwards from its seeds and then only ever takes weighted means over neighbours. Whatever
implements `MessageGraph` can carry every recipe; `training.message_passing.dgl_graph` is the first implementation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from kg.schema import EdgeType

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Block", "MessageGraph", "reverse_of"]


class Block(Protocol):
    """The edges of one message-passing step, from source nodes to destination nodes of several types.

    Destination nodes are the first of the source nodes of their type.
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


class MessageGraph(Protocol):
    """A heterogeneous graph with a reverse for every edge type."""

    edge_types: Sequence[EdgeType]

    def blocks(self, seeds: Mapping[str, Tensor], n_layers: int) -> list[Block]:
        """Blocks with full neighbourhoods backwards from `seeds`; `blocks[0]` is outermost."""


def reverse_of(edge_type: EdgeType) -> EdgeType:
    """The edge type of the reverse edges, as `Snapshot.to_dgl` names it."""
    source, relation, target = edge_type
    return (target, relation.removeprefix("rev_") if relation.startswith("rev_") else f"rev_{relation}", source)
