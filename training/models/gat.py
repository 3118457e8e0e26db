"""How does one GATv2 layer weigh a node's neighbours by attention, without keeping a vector for every edge?

    h'_v = W_self h_v + sum_r mean_k sum_{u in N_r(v)} alpha_{r,k}(u, v) S_{r,k} h_u
    alpha_{r,k}(., v) = softmax over N_r(v) of  a_{r,k} . LeakyReLU(S_{r,k} h_u + D_{r,k} h_v)

Edges' vectors are the cost: hundreds of thousands times the width. Only one edge type, one head and some ten thousand
edges are at hand at a time, forwards and backwards; what is kept of an edge is its weight.

Reference: Brody et al. 2022, How Attentive are Graph Attention Networks?, equation 7; heads are averaged.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from kg.schema import EdgeType
from training.message_passing import Block
from training.models.sage import parameter_name

__all__ = ["GatLayer", "attend"]

_NEGATIVE_SLOPE = 0.2
_EDGES_TOGETHER = 32_768


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
        return attend(said, asked, self.score[k], src, dst)


def attend(
    said: Tensor, asked: Tensor, score: Tensor, src: Tensor, dst: Tensor, *, together: int = _EDGES_TOGETHER
) -> Tensor:
    """sum_u alpha(u, v) said_u, where alpha(., v) = softmax over v's edges of score . LeakyReLU(said_u + asked_v).

    Shapes: said (senders, d), asked (receivers, d), score (d,), src and dst (edges,), by destination, each with an edge
    -> (receivers, d). `together`: edges whose vectors are at hand at once. Has first gradients only.
    """
    return _Attend.apply(said, asked, score, src, dst, together)


class _Attend(torch.autograd.Function):
    """Written out, because automatic differentiation would keep several vectors of every edge."""

    @staticmethod
    def forward(
        ctx: Any, said: Tensor, asked: Tensor, score: Tensor, src: Tensor, dst: Tensor, together: int
    ) -> Tensor:
        ctx.together, parts = together, _parts(together, src, dst)
        logit = torch.cat([F.leaky_relu(said[s] + asked[d], _NEGATIVE_SLOPE) @ score for s, d in parts])
        highest = logit.new_full((len(asked),), -math.inf).scatter_reduce(0, dst, logit, "amax")
        weight = (logit - highest[dst]).exp()
        weight /= _per_receiver(weight, dst, len(asked))
        ctx.save_for_backward(said, asked, score, src, dst, weight)
        return _sums(said, src, dst, weight, len(asked))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        said, asked, score, src, dst, weight = ctx.saved_tensors
        of_weight = torch.cat([(said[s] * grad[d]).sum(1) for s, d in _parts(ctx.together, src, dst)])
        of_logit = weight * (of_weight - _per_receiver(weight * of_weight, dst, len(asked)))
        by_src = src.argsort(stable=True)
        of_said = _sums(grad, dst[by_src], src[by_src], weight[by_src], len(said))
        of_asked, of_score = torch.zeros_like(asked), torch.zeros_like(score)
        for s, d, part in _parts(ctx.together, src, dst, of_logit):
            before = said[s] + asked[d]
            of_score += part @ F.leaky_relu(before, _NEGATIVE_SLOPE)
            slope = (before > 0).to(before).mul_(1 - _NEGATIVE_SLOPE).add_(_NEGATIVE_SLOPE)
            of_before = slope.mul_(score).mul_(part[:, None])
            of_said.index_add_(0, s, of_before)
            of_asked.index_add_(0, d, of_before)
        return of_said, of_asked, of_score, None, None, None


def _parts(together: int, *of_edges: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Some edges of each at a time."""
    return zip(*(column.split(together) for column in of_edges), strict=True)


def _per_receiver(values: Tensor, dst: Tensor, count: int) -> Tensor:
    """For every edge the sum over all edges of its receiver."""
    return values.new_zeros(count).index_add_(0, dst, values)[dst]


def _sums(feat: Tensor, src: Tensor, dst: Tensor, weight: Tensor, count: int) -> Tensor:
    """Weighted sums of rows `src` of feat at ordered `dst`, without a vector for any edge. Shapes: -> (count, d)."""
    starts = F.pad(torch.bincount(dst, minlength=count).cumsum(0), (1, 0))
    return F.embedding_bag(src, feat, starts, mode="sum", per_sample_weights=weight, include_last_offset=True)


def _part(linear: nn.Linear, k: int, score: Tensor, feat: Tensor) -> Tensor:
    """One head's part of a linear map."""
    own = slice(k * score.shape[1], (k + 1) * score.shape[1])
    return F.linear(feat, linear.weight[own], linear.bias[own])
