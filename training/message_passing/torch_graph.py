"""How does plain torch carry messages: sparse products over blocks built backwards from the seeds, on any device?

A sparse product is a bag sum: row i of the result is the weighted sum of the rows in bag i. torch has a fast kernel for
it on CPU and GPU (`embedding_bag`, on a CPU well ahead of its CSR product), and the gradient is the same product with
the transposed matrix.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from kg.schema import EdgeType
from kg.snapshots.heterograph import edges_both_ways
from training.message_passing import Block, weights_of_edges

__all__ = ["TorchBlock", "TorchGraph", "open_graph", "weighted_sums"]


def open_graph(
    snapshot: Any,
    *,
    drop: Mapping[EdgeType, np.ndarray] | None = None,
    weights: Mapping[EdgeType, np.ndarray] | None = None,
) -> TorchGraph:
    """The snapshot's graph with reverse edges, without the dropped ones; `weights` (default 1) are for all edges.

    Shapes: drop[edge_type], weights[edge_type] (edges of that type,).
    Raises: SchemaViolation where there are more weights than edges, or fewer.
    """
    edges = edges_both_ways(snapshot.domain, snapshot.edges, drop=drop)
    counts = {label: snapshot.count(label) for label in snapshot.node_types}
    given = {t: weights_of_edges(t, len(ends[0]), drop=drop, weights=weights) for t, ends in edges.items()}
    return TorchGraph(edges, counts, weights=given)


class _Incoming(NamedTuple):
    """Edges of one type, ordered by destination: those of node i lie between starts[i] and starts[i + 1]."""

    src: Tensor
    weight: Tensor
    starts: Tensor

    def of(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Source row, destination's place in `rows` and weight of every edge into `rows`. Shapes: three (edges,)."""
        first, degree = self.starts[rows], self.starts[rows + 1] - self.starts[rows]
        dst = torch.repeat_interleave(torch.arange(len(rows)), degree)
        at = (first - degree.cumsum(0) + degree)[dst] + torch.arange(len(dst))
        return self.src[at], dst, self.weight[at]

    def draw(self, rows: Tensor, most: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """As `of` for rows with at most so many edges; of others so many edges drawn with replacement, by weight.

        The mean over what is drawn is in expectation the mean over all.
        """
        degree = self.starts[rows + 1] - self.starts[rows]
        few = degree <= most
        src, dst, weight = self.of(rows[few])
        dst = torch.nonzero(few).flatten()[dst]
        if few.all():
            return src, dst, weight
        many = torch.nonzero(~few).flatten()
        upto = F.pad(self.weight.cumsum(0), (1, 0))
        first, last = self.starts[rows[many]], self.starts[rows[many] + 1]
        chance = torch.rand(len(many), most, generator=generator, dtype=torch.float64)
        wanted = upto[first][:, None] + chance * (upto[last] - upto[first])[:, None]
        drawn = (torch.searchsorted(upto, wanted, right=True) - 1).clamp(first[:, None], last[:, None] - 1).flatten()
        dst = torch.cat([dst, many.repeat_interleave(most)])
        src, weight = torch.cat([src, self.src[drawn]]), torch.cat([weight, torch.ones(len(drawn), dtype=weight.dtype)])
        order = dst.argsort(stable=True)
        return src[order], dst[order], weight[order]


class TorchGraph:
    """A `MessageGraph` of sorted edge arrays."""

    def __init__(
        self,
        edges: Mapping[EdgeType, tuple[np.ndarray, np.ndarray]],
        counts: Mapping[str, int],
        *,
        weights: Mapping[EdgeType, np.ndarray] | None = None,
    ) -> None:
        self.edge_types: tuple[EdgeType, ...] = tuple(edges)
        self._counts = dict(counts)
        self._incoming = {t: _incoming(*ends, (weights or {}).get(t), counts[t[2]]) for t, ends in edges.items()}

    def blocks(self, seeds: Mapping[str, Tensor], n_layers: int) -> list[Block]:
        """Blocks with full neighbourhoods backwards from `seeds`; `blocks[0]` is outermost."""
        blocks: list[Block] = []
        frontier = {label: rows.long() for label, rows in seeds.items()}
        for _ in range(n_layers):
            blocks.insert(0, self._block(frontier))
            frontier = dict(blocks[0].src_rows)
        return blocks

    def sampled_blocks(
        self, seeds: Mapping[str, Tensor], fan_outs: Sequence[int], generator: torch.Generator
    ) -> list[Block]:
        """Blocks with at most `fan_outs[i]` neighbours a relation in layer i, outermost first; see `_Incoming.draw`."""
        blocks: list[Block] = []
        frontier = {label: rows.long() for label, rows in seeds.items()}
        for most in reversed(fan_outs):
            edges = {
                t: self._incoming[t].draw(frontier[t[2]], most, generator) for t in self.edge_types if t[2] in frontier
            }
            blocks.insert(0, self._block(frontier, edges))
            frontier = dict(blocks[0].src_rows)
        return blocks

    def _block(
        self, frontier: Mapping[str, Tensor], edges: Mapping[EdgeType, tuple[Tensor, Tensor, Tensor]] | None = None
    ) -> TorchBlock:
        """All edges into the frontier, or the given ones."""
        found = edges or {t: self._incoming[t].of(frontier[t[2]]) for t in self.edge_types if t[2] in frontier}
        found = {t: edges for t, edges in found.items() if len(edges[0])}
        src_rows, edges = dict(frontier), {}
        for label in {t[0] for t in found}:
            first = frontier.get(label, torch.zeros(0, dtype=torch.long))
            types = [t for t in found if t[0] == label]
            place = torch.full((self._counts[label],), -1)
            place[first] = torch.arange(len(first))
            reached = torch.zeros(self._counts[label], dtype=torch.bool)
            for t in types:
                reached[found[t][0]] = True
            new = torch.nonzero(reached & (place < 0)).flatten()
            place[new] = len(first) + torch.arange(len(new))
            src_rows[label] = torch.cat([first, new])
            edges |= {t: (place[found[t][0]], *found[t][1:]) for t in types}
        ordered = {t: edges[t] for t in self.edge_types if t in edges}
        return TorchBlock(ordered, src_rows, {label: len(rows) for label, rows in frontier.items()})


class TorchBlock(Block):
    """A `Block` of edge arrays; its matrices are made when they are first asked for, and kept."""

    def __init__(
        self,
        edges: Mapping[EdgeType, tuple[Tensor, Tensor, Tensor]],
        src_rows: Mapping[str, Tensor],
        dst_counts: Mapping[str, int],
    ) -> None:
        """`edges`: source place, destination place (ordered) and weight, whose sum at a destination may be anything."""
        self.edge_types, self.src_rows, self.dst_counts = tuple(edges), src_rows, dst_counts
        self._edges = {t: (src, dst, _shares(dst, weight)) for t, (src, dst, weight) in edges.items()}
        self._senders = {t: _senders(src, len(src_rows[t[0]])) for t, (src, _, _) in self._edges.items()}
        self._matrices: dict[Any, _Matrix] = {}

    def mean(self, edge_type: EdgeType, feat: Tensor) -> Tensor:
        """Weighted mean of `feat` over the neighbours by `edge_type`."""
        places = self.senders(edge_type)
        return self.sum_of_means({edge_type: feat if places is None else feat[places]})

    def has_neighbours(self, edge_type: EdgeType) -> Tensor:
        """1 where a destination has a neighbour by `edge_type`, else 0."""
        dst = self._edges[edge_type][1]
        return torch.zeros(self.dst_counts[edge_type[2]], 1, device=dst.device).index_fill_(0, dst, 1.0)

    def senders(self, edge_type: EdgeType) -> Tensor | None:
        """Places of the senders among the sources; None where all of them are."""
        return self._senders[edge_type][0]

    def sum_of_means(self, sent: Mapping[EdgeType, Tensor]) -> Tensor:
        """All edge types at once, as one sparse product."""
        parts = list(sent.values())
        feat = parts[0] if len(parts) == 1 else torch.cat(parts)
        return weighted_sums(feat, self._matrix(tuple(sent), feat.dtype))

    def edges(self, edge_type: EdgeType) -> tuple[Tensor, Tensor]:
        """Sender and destination of each edge, by destination."""
        return self._senders[edge_type][1], self._edges[edge_type][1]

    def to(self, device: torch.device | str) -> TorchBlock:
        """The same block with its tensors on a device."""
        edges = {t: tuple(part.to(device) for part in parts) for t, parts in self._edges.items()}
        return TorchBlock(edges, {label: rows.to(device) for label, rows in self.src_rows.items()}, self.dst_counts)

    def _matrix(self, edge_types: tuple[EdgeType, ...], dtype: torch.dtype) -> _Matrix:
        """The matrix that takes what the senders of these types send, one below the other, to their destinations."""
        if (edge_types, dtype) not in self._matrices:
            columns, rows, values, width = [], [], [], 0
            for t in edge_types:
                columns.append(self._senders[t][1] + width)
                rows.append(self._edges[t][1])
                values.append(self._edges[t][2])
                width += self._senders[t][2]
            entries = torch.cat(rows), torch.cat(columns), torch.cat(values).to(dtype)
            self._matrices[edge_types, dtype] = _Matrix.of(*entries, (self.dst_counts[edge_types[0][2]], width))
        return self._matrices[edge_types, dtype]


class _Bags(NamedTuple):
    """Bag i holds members[starts[i]:starts[i + 1]], each with its weight."""

    members: Tensor
    starts: Tensor
    weights: Tensor

    @classmethod
    def of(cls, owner: Tensor, members: Tensor, weights: Tensor, count: int) -> _Bags:
        order = owner.argsort(stable=True)
        return cls(members[order], _starts(owner, count), weights[order])

    def sums(self, feat: Tensor) -> Tensor:
        return F.embedding_bag(
            self.members, feat, self.starts, mode="sum", per_sample_weights=self.weights, include_last_offset=True
        )


class _Matrix(NamedTuple):
    """A sparse matrix, by row and by column."""

    rows: _Bags
    columns: _Bags

    @classmethod
    def of(cls, row: Tensor, column: Tensor, value: Tensor, shape: tuple[int, int]) -> _Matrix:
        return cls(_Bags.of(row, column, value, shape[0]), _Bags.of(column, row, value, shape[1]))


class _WeightedSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, feat: Tensor, matrix: _Matrix) -> Tensor:
        ctx.matrix = matrix
        return matrix.rows.sums(feat.contiguous())

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return ctx.matrix.columns.sums(grad.contiguous()), None


def weighted_sums(feat: Tensor, matrix: _Matrix) -> Tensor:
    """The sparse product, which has a gradient in `feat`. Shapes: (columns, d) -> (rows, d)."""
    return _WeightedSums.apply(feat, matrix)


def _incoming(source: np.ndarray, target: np.ndarray, weight: np.ndarray | None, count: int) -> _Incoming:
    src, dst = (torch.as_tensor(np.asarray(rows, np.int64)) for rows in (source, target))
    raw = torch.ones(len(src), dtype=torch.float64) if weight is None else torch.as_tensor(weight, dtype=torch.float64)
    order = dst.argsort(stable=True)
    return _Incoming(src[order], raw[order], _starts(dst, count))


def _starts(owner: Tensor, count: int) -> Tensor:
    """Where each owner's members begin once they are ordered by owner, and where the last one's end."""
    return F.pad(torch.bincount(owner, minlength=count).cumsum(0), (1, 0))


def _shares(dst: Tensor, weight: Tensor) -> Tensor:
    """Each edge's share of its destination's total weight, so that a mean is one weighted sum. Shapes: (edges,)."""
    total = weight.new_zeros(int(dst[-1]) + 1).index_add_(0, dst, weight)
    return weight / total.clamp_min(1e-12)[dst]


def _senders(src: Tensor, count: int) -> tuple[Tensor | None, Tensor, int]:
    """Places of the sources with an edge (None: all of them), each edge's place among those, and their number."""
    places, compact = torch.unique(src, return_inverse=True)
    return (None, src, count) if len(places) == count else (places, compact, len(places))
