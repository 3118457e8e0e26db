"""How does one GATv2 layer weigh a node's neighbours by attention, without keeping a vector for every edge?

    h'_v = W_self h_v + sum_r mean_k sum_{u in N_r(v)} alpha_{r,k}(u, v) S_{r,k} h_u
    alpha_{r,k}(., v) = softmax over N_r(v) of  a_{r,k} . LeakyReLU(S_{r,k} h_u + D_{r,k} h_v)

Edges' vectors are the cost: hundreds of thousands times the width. They are made again in the backward pass, for one
edge type and head at a time, so that memory is that of the largest edge type with one head.

Reference: Brody et al. 2022, How Attentive are Graph Attention Networks?, equation 7; heads are averaged.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from kg.schema import EdgeType
from training.message_passing import Block
from training.models.sage import parameter_name

__all__ = ["GatLayer"]

_NEGATIVE_SLOPE = 0.2


class GatLayer(nn.Module):
    """One attention layer. Shapes: per label (sources, width_in) -> (destinations, width_out)."""

    def __init__(self, edge_types: Sequence[EdgeType], *, width_in: int, width_out: int, heads: int) -> None:
        super().__init__()
        labels = sorted({target for _, _, target in edge_types})
        self.own = nn.ModuleDict({label: nn.Linear(width_in, width_out) for label in labels})
        self.attention = nn.ModuleDict(
            {parameter_name(t): _Attention(width_in, width_out, heads=heads) for t in edge_types}
        )

    def forward(
        self, block: Block, feats: Mapping[str, Tensor], *, keep: Mapping[EdgeType, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """`keep[edge_type]` (destinations, 1) scales what comes by that edge type, 0 to hide those neighbours."""
        out = {
            label: self.own[label](feats[label][:count])
            for label, count in block.dst_counts.items()
            if label in self.own and label in feats
        }
        for edge_type in block.edge_types:
            source, _, target = edge_type
            if source in feats and target in out and parameter_name(edge_type) in self.attention:
                heard = self._heard(block, edge_type, feats)
                out[target] += heard * keep[edge_type] if keep and edge_type in keep else heard
        return out

    def last_maps(self) -> Iterator[Tensor]:
        """The parameters that, all zero, make the layer's output zero."""
        yield from self.own.parameters()
        for attention in self.attention.values():
            yield from attention.source.parameters()

    def _heard(self, block: Block, edge_type: EdgeType, feats: Mapping[str, Tensor]) -> Tensor:
        """What comes by one edge type; only nodes with an edge are projected."""
        places, feat = block.senders(edge_type), feats[edge_type[0]]
        src, dst = block.edges(edge_type)
        receivers, dst = torch.unique_consecutive(dst, return_inverse=True)
        count = block.dst_counts[edge_type[2]]
        attention = self.attention[parameter_name(edge_type)]
        heard = attention(feat if places is None else feat[places], feats[edge_type[2]][receivers], src, dst)
        return heard.new_zeros(count, heard.shape[1]).index_copy(0, receivers, heard)


class _Attention(nn.Module):
    """Attention of one edge type. Shapes: (senders, width_in), (receivers, width_in) -> (receivers, width_out)."""

    def __init__(self, width_in: int, width_out: int, *, heads: int) -> None:
        super().__init__()
        self.source, self.target = nn.Linear(width_in, heads * width_out), nn.Linear(width_in, heads * width_out)
        self.score = nn.Parameter(torch.randn(heads, width_out) / math.sqrt(width_out))

    def forward(self, sender: Tensor, receiver: Tensor, src: Tensor, dst: Tensor) -> Tensor:
        """`src`, `dst` (edges,): which sender each edge comes from and which receiver it goes to."""
        heads = len(self.score)
        parts = [checkpoint(self._head, k, sender, receiver, src, dst, use_reentrant=False) for k in range(heads)]
        return sum(parts[1:], parts[0]) / heads

    def _head(self, k: int, sender: Tensor, receiver: Tensor, src: Tensor, dst: Tensor) -> Tensor:
        said, asked = _part(self.source, k, self.score, sender), _part(self.target, k, self.score, receiver)
        carried = said[src]
        score = F.leaky_relu(carried + asked[dst], _NEGATIVE_SLOPE) @ self.score[k]
        highest = score.new_full((len(receiver),), -math.inf).scatter_reduce(0, dst, score.detach(), "amax")
        weight = (score - highest[dst]).exp()
        total = weight.new_zeros(len(receiver)).index_add(0, dst, weight)
        return carried.new_zeros(len(receiver), said.shape[1]).index_add(
            0, dst, carried * (weight / total[dst])[:, None]
        )


def _part(linear: nn.Linear, k: int, score: Tensor, feat: Tensor) -> Tensor:
    """One head's part of a linear map."""
    own = slice(k * score.shape[1], (k + 1) * score.shape[1])
    return F.linear(feat, linear.weight[own], linear.bias[own])
