"""How does a heterogeneous GraphSAGE turn a class node's neighbourhood into one vector?

Reference: Hamilton et al. 2017, Inductive Representation Learning on Large Graphs (mean aggregator), one projection for
each edge type and one for a node's own state:  h'_v = W_self h_v + sum_r W_r mean_{u in N_r(v)} h_u.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from kg.schema import EdgeType
from training.message_passing import Block

__all__ = ["HeteroSage", "SageLayer", "live_edge_types"]


def live_edge_types(edge_types: Sequence[EdgeType], target: str, n_layers: int) -> list[tuple[EdgeType, ...]]:
    """The edge types that can reach `target` in each layer, outermost first; all others cannot change its embedding."""
    layers: list[tuple[EdgeType, ...]] = []
    reached = {target}
    for _ in range(n_layers):
        live = tuple(edge_type for edge_type in edge_types if edge_type[2] in reached)
        layers.insert(0, live)
        reached |= {source for source, _, _ in live}
    return layers


class SageLayer(nn.Module):
    """One mean-aggregating layer. Shapes: per label (sources, width_in) -> (destinations, width_out)."""

    def __init__(self, edge_types: Sequence[EdgeType], *, width_in: int, width_out: int) -> None:
        super().__init__()
        labels = sorted({target for _, _, target in edge_types})
        self.own = nn.ModuleDict({label: nn.Linear(width_in, width_out) for label in labels})
        self.neighbours = nn.ModuleDict({_name(t): nn.Linear(width_in, width_out, bias=False) for t in edge_types})

    def forward(
        self, block: Block, feats: Mapping[str, Tensor], *, keep: Mapping[EdgeType, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """`keep[edge_type]` (destinations, 1) scales that edge type's mean, 0 to hide those neighbours."""
        out = {
            label: self.own[label](feats[label][:count])
            for label, count in block.dst_counts.items()
            if label in self.own and label in feats
        }
        for edge_type in block.edge_types:
            source, _, target = edge_type
            if _name(edge_type) in self.neighbours and source in feats and target in out:
                out[target] = out[target] + self._message(block, edge_type, feats[source], keep)
        return out

    def _message(
        self, block: Block, edge_type: EdgeType, feat: Tensor, keep: Mapping[EdgeType, Tensor] | None
    ) -> Tensor:
        """Project on whichever side of the mean has fewer rows; the two orders are equal because both are linear."""
        project = self.neighbours[_name(edge_type)]
        if len(feat) > block.dst_counts[edge_type[2]]:
            message = project(block.mean(edge_type, feat))
        else:
            message = block.mean(edge_type, project(feat))
        return message * keep[edge_type] if keep and edge_type in keep else message


class HeteroSage(nn.Module):
    """Layers of `SageLayer` with ReLU and dropout between. Shapes: (sources, width) -> (seeds, width_out)."""

    def __init__(
        self,
        edge_types: Sequence[EdgeType],
        target: str,
        *,
        width: int,
        width_out: int,
        n_layers: int,
        dropout: float = 0.0,
        zero_start: bool = False,
    ) -> None:
        super().__init__()
        live = live_edge_types(edge_types, target, n_layers)
        widths = [width] * n_layers + [width_out]
        self.target, self.dropout = target, nn.Dropout(dropout)
        self.layers = nn.ModuleList(
            SageLayer(types if i < n_layers - 1 else _into(types, target), width_in=widths[i], width_out=widths[i + 1])
            for i, types in enumerate(live)
        )
        if zero_start:
            for parameter in self.layers[-1].parameters():
                nn.init.zeros_(parameter)

    def forward(
        self, blocks: Sequence[Block], feats: Mapping[str, Tensor], *, keep: Mapping[EdgeType, Tensor] | None = None
    ) -> Tensor:
        """`keep` hides neighbours of the seeds, in the last layer."""
        for i, block in enumerate(blocks):
            feats = self.step(i, block, feats, keep=keep if i == len(self.layers) - 1 else None)
        return feats[self.target]

    def step(
        self, i: int, block: Block, feats: Mapping[str, Tensor], *, keep: Mapping[EdgeType, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """States after layer `i` from those before it. Shapes: per label (sources, width) -> (destinations, width)."""
        out = self.layers[i](block, feats, keep=keep)
        if i == len(self.layers) - 1:
            return out
        return {label: self.dropout(torch.relu(feat)) for label, feat in out.items()}


def _into(edge_types: Sequence[EdgeType], target: str) -> tuple[EdgeType, ...]:
    return tuple(edge_type for edge_type in edge_types if edge_type[2] == target)


def _name(edge_type: EdgeType) -> str:
    """An edge type as a parameter name; dots are not allowed in one."""
    return "__".join(edge_type).replace(".", "_")
