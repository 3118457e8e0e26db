"""What must a database or a snapshot be able to tell, so that neighbourhoods can be picked from it?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from kg.schema import Domain, EdgeType

__all__ = ["Asked", "Direction", "Found", "Source", "directions"]


@dataclass(frozen=True)
class Direction:
    """An edge type, walked from its source to its target, or back."""

    edge_type: EdgeType
    back: bool

    @property
    def near(self) -> str:
        """The label that it is walked from."""
        return self.edge_type[2 if self.back else 0]

    @property
    def far(self) -> str:
        """The label that it leads to."""
        return self.edge_type[0 if self.back else 2]

    @property
    def name(self) -> str:
        """As DGL calls it: `Style`, and `rev_Style` for the way back."""
        return f"rev_{self.edge_type[1]}" if self.back else self.edge_type[1]


@dataclass(frozen=True, eq=False)
class Asked:
    """Nodes of a direction's near label, by the source's own numbers, and what is asked about them.

    `few` restricts the answer to relations with some far nodes; `whole` to near nodes with so many relations or less.
    """

    direction: Direction
    nodes: np.ndarray
    whole: int | None = None
    few: np.ndarray | None = None


@dataclass(frozen=True)
class Found:
    """Relations of the nodes that were asked about. Shapes: degrees (nodes,), near places in nodes and far (found,)"""

    degrees: np.ndarray
    near: np.ndarray
    far: np.ndarray


class Source(Protocol):
    """A database or a snapshot, whose nodes have numbers from 0 within their label."""

    domain: Domain
    whole: int
    """Neighbour lists up to this length are always read as they are."""

    def hashes(self, label: str) -> np.ndarray:
        """`key_hashes` of all nodes of a label."""

    def edge_count(self, edge_type: EdgeType) -> int:
        """How many relations there are, about."""

    def look(self, asked: Sequence[Asked]) -> list[Found]:
        """The relations of nodes; the degree may count some that are not of the edge type."""


def directions(domain: Domain) -> list[Direction]:
    """All ways there, then all ways back: dealt out in turn, both shares are of the same kind."""
    return [Direction(edge_type, back) for back in (False, True) for edge_type in domain.edge_types]
