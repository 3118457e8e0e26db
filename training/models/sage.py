"""How does one GraphSAGE layer mix a node's own state with its neighbours', exactly and with the fewest products?

    h'_v = W_self h_v + sum_r W_r mean_{u in N_r(v)} m_r(h_u),    m_r(h) = h or relu(P_r h)

The published form has a self-projection for every edge type; their sum is one matrix, so one is what we keep. The mean
is linear, so W_r goes to whichever side of it has fewer rows, and all that was projected before it is summed in one
sparse product for each node type. Only nodes that have an edge are projected.

Reference: Hamilton et al. 2017, Inductive Representation Learning on Large Graphs, algorithm 1, mean aggregator.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from kg.schema import EdgeType
from training.message_passing import Block

__all__ = ["SageLayer", "parameter_name"]


class SageLayer(nn.Module):
    """One mean-aggregating layer. Shapes: per label (sources, width_in) -> (destinations, width_out)."""

    def __init__(self, edge_types: Sequence[EdgeType], *, width_in: int, width_out: int, project: bool = False) -> None:
        super().__init__()
        labels, names = sorted({target for _, _, target in edge_types}), [parameter_name(t) for t in edge_types]
        self.own = nn.ModuleDict({label: nn.Linear(width_in, width_out) for label in labels})
        self.neighbours = nn.ModuleDict({name: nn.Linear(width_in, width_out, bias=False) for name in names})
        self.project = nn.ModuleDict({name: nn.Linear(width_in, width_in) for name in names if project})

    def forward(
        self, block: Block, feats: Mapping[str, Tensor], *, keep: Mapping[EdgeType, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """`keep[edge_type]` (destinations, 1) scales that edge type's mean, 0 to hide those neighbours."""
        return {
            label: self._into(label, block, feats, keep or {})
            for label in block.dst_counts
            if label in self.own and label in feats
        }

    def message(self, edge_type: EdgeType, feat: Tensor) -> Tensor:
        """What neighbours say before the mean. Shapes: (n, width_in) -> (n, width_out)."""
        return self.neighbours[parameter_name(edge_type)](self._sent(edge_type, feat))

    def last_maps(self) -> Iterator[Tensor]:
        """The parameters that, all zero, make the layer's output zero."""
        yield from self.own.parameters()
        yield from self.neighbours.parameters()

    def _into(self, label: str, block: Block, feats: Mapping[str, Tensor], keep: Mapping[EdgeType, Tensor]) -> Tensor:
        count, early = block.dst_counts[label], {}
        out = self.own[label](feats[label][:count])
        for edge_type in block.edge_types:
            if edge_type[2] != label or edge_type[0] not in feats or parameter_name(edge_type) not in self.neighbours:
                continue
            places, feat = block.senders(edge_type), feats[edge_type[0]]
            sent = self._sent(edge_type, feat if places is None else feat[places])
            project = self.neighbours[parameter_name(edge_type)]
            if len(sent) < count and edge_type not in keep:
                early[edge_type] = project(sent)
                continue
            late = project(block.sum_of_means({edge_type: sent}))
            out += late * keep[edge_type] if edge_type in keep else late
        if early:
            out += block.sum_of_means(early)
        return out

    def _sent(self, edge_type: EdgeType, feat: Tensor) -> Tensor:
        name = parameter_name(edge_type)
        return torch.relu_(self.project[name](feat)) if name in self.project else feat


def parameter_name(edge_type: EdgeType) -> str:
    """An edge type as a parameter name; dots are not allowed in one."""
    return "__".join(edge_type).replace(".", "_")
