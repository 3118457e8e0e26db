"""How does DGL carry messages: weighted neighbour means over blocks built backwards from the seeds?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kg.errors import RecipeConfigError
from kg.schema import EdgeType
from training.message_passing import Block, weights_of_edges

__all__ = ["DglGraph", "open_graph"]


def open_graph(
    snapshot: Any,
    *,
    drop: Mapping[EdgeType, np.ndarray] | None = None,
    weights: Mapping[EdgeType, np.ndarray] | None = None,
) -> DglGraph:
    """The snapshot's graph with reverse edges, without the dropped ones; `weights` (default 1) are for all edges.

    Shapes: drop[edge_type], weights[edge_type] (edges of that type,).
    Raises: SchemaViolation where there are more weights than edges, or fewer.
    """
    graph = snapshot.to_dgl(reverse=True, drop=drop or None)
    for edge_type in graph.canonical_etypes:
        _, dst = graph.edges(etype=edge_type)
        raw = torch.as_tensor(weights_of_edges(edge_type, len(dst), drop=drop, weights=weights))
        total = raw.new_zeros(graph.num_nodes(edge_type[2])).index_add_(0, dst.long(), raw)
        # Each edge's share of its destination's total, so that a mean is one weighted sum.
        graph.edges[edge_type].data["weight"] = (raw / total.clamp_min(1e-12)[dst.long()]).unsqueeze(1)
    return DglGraph(graph)


class DglGraph:
    """A `MessageGraph` on DGL's heterograph."""

    def __init__(self, graph: Any) -> None:
        self._graph = graph
        self.edge_types: tuple[EdgeType, ...] = tuple(graph.canonical_etypes)

    def blocks(self, seeds: Mapping[str, Tensor], n_layers: int) -> list[Block]:
        """Blocks with full neighbourhoods backwards from `seeds`; `blocks[0]` is outermost."""
        import dgl

        blocks: list[Block] = []
        frontier = {label: rows.to(self._graph.idtype) for label, rows in seeds.items()}
        for _ in range(n_layers):
            block = dgl.to_block(dgl.in_subgraph(self._graph, frontier), frontier)
            blocks.insert(0, DglBlock(block))
            frontier = {
                label: block.srcnodes[label].data[dgl.NID] for label in block.srctypes if block.num_src_nodes(label)
            }
        return blocks


class DglBlock(Block):
    """A `Block` on DGL's message-flow graph; each relation is sliced out once, since a heterograph's scope costs more
    than the product it wraps."""

    def __init__(self, block: Any) -> None:
        import dgl

        self.edge_types: tuple[EdgeType, ...] = tuple(t for t in block.canonical_etypes if block.num_edges(t))
        self.src_rows = {t: block.srcnodes[t].data[dgl.NID].long() for t in block.srctypes if block.num_src_nodes(t)}
        self.dst_counts = {t: block.num_dst_nodes(t) for t in block.dsttypes if block.num_dst_nodes(t)}
        self._slices = {t: block[t] for t in self.edge_types}
        exact = {t: block.edges[t].data["weight"] for t in self.edge_types}
        self._weights = {torch.float64: exact, torch.float32: {t: weight.float() for t, weight in exact.items()}}
        self._has = {t: (block.in_degrees(etype=t) > 0).float().unsqueeze(1) for t in self.edge_types}

    def mean(self, edge_type: EdgeType, feat: Tensor) -> Tensor:
        """Weighted mean of `feat` over the neighbours by `edge_type`."""
        from dgl import ops

        return ops.u_mul_e_sum(self._slices[edge_type], feat.contiguous(), self._weights[feat.dtype][edge_type])

    def has_neighbours(self, edge_type: EdgeType) -> Tensor:
        """1 where a destination has a neighbour by `edge_type`, else 0."""
        return self._has[edge_type]

    def edges(self, edge_type: EdgeType) -> tuple[Tensor, Tensor]:
        """Source and destination of each edge, by destination."""
        src, dst = self._slices[edge_type].edges()
        order = dst.argsort(stable=True)
        return src[order].long(), dst[order].long()

    def to(self, device: torch.device | str) -> DglBlock:
        """Itself on a CPU. Raises: RecipeConfigError elsewhere, where DGL's wheel cannot follow."""
        if torch.device(device).type != "cpu":
            raise RecipeConfigError(f"DGL's wheel is for CPUs, asked for {device}; set message_passing=torch")
        return self
