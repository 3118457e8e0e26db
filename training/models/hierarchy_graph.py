"""How do the classes of a hierarchy tell each other what they know, and how do patches ask them?

`GraphEncoder` passes messages along parent and child, `attended_patches` lets each patch of a picture gather the
prototypes that it looks like. Hierarchies have tens to hundreds of nodes, so edges are one dense mask.

Reference: Xia et al. 2023, "HGCLIP: Exploring Vision-Language Models with Graph Representations for Hierarchical
Understanding" (arXiv 2311.14064), section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kg.hierarchy import Tree

__all__ = ["GatLayer", "GraphEncoder", "HierarchyNodes", "attended_patches", "edge_mask"]

Kind = Literal["gat", "gcn", "sage"]
Heads = Literal["all", "first"]


class HierarchyNodes:
    """All classes of several facets as nodes: level 0 once, then the upper levels facet by facet."""

    def __init__(self, trees: Sequence[Tree]) -> None:
        self.trees = tuple(trees)
        self.slices: list[list[slice]] = []
        self.count = trees[0].count(0)
        for tree in trees:
            parts = [slice(0, tree.count(0))]
            for level in range(1, tree.depth):
                parts.append(slice(self.count, self.count + tree.count(level)))
                self.count += tree.count(level)
            self.slices.append(parts)

    def members(self) -> Tensor:
        """Which classes of level 0 belong to which node. Shapes: (nodes, classes) of bool."""
        rows = [torch.as_tensor(self.trees[0].members(0))]
        rows += [torch.as_tensor(tree.members(level)) for tree in self.trees for level in range(1, tree.depth)]
        return torch.cat(rows)

    def child_parent(self) -> tuple[Tensor, Tensor]:
        """Every step of every facet, as node rows. Shapes: (steps,), (steps,)."""
        pairs = []
        for tree, parts in zip(self.trees, self.slices, strict=True):
            for level in range(tree.depth - 1):
                child = torch.arange(tree.count(level)) + parts[level].start
                pairs.append(torch.stack([child, torch.as_tensor(tree.parents(level)) + parts[level + 1].start]))
        child, parent = torch.cat(pairs, 1)
        return child, parent


def edge_mask(nodes: HierarchyNodes, *, direction: Literal["both", "down"]) -> Tensor:
    """`mask[i, j]`: node i hears node j. Every node hears itself; `down`: children hear parents only, as published code
    has it.

    Shapes: -> (nodes, nodes) of bool.
    """
    child, parent = nodes.child_parent()
    mask = torch.eye(nodes.count, dtype=torch.bool)
    mask[child, parent] = True
    if direction == "both":
        mask[parent, child] = True
    return mask


class GatLayer(nn.Module):
    """Graph attention with several heads, side by side.

        e_ij = LeakyReLU(of . W h_j + toward . W h_i),   alpha_i = softmax of e_i over i's neighbours
        out_i = sum over j of alpha_ij W h_j

    Reference: Velickovic et al. 2018, "Graph attention networks", equations 1 to 4.
    Shapes: (nodes, width_in), mask (nodes, nodes) -> (nodes, heads, width_out).
    """

    def __init__(self, width_in: int, width_out: int, *, heads: int) -> None:
        super().__init__()
        self.heads, self.width_out = heads, width_out
        self.project = nn.Linear(width_in, heads * width_out, bias=False)
        self.toward, self.of = (nn.Parameter(torch.empty(heads, width_out)) for _ in range(2))
        self.bias = nn.Parameter(torch.zeros(heads, width_out))
        for weight in (self.project.weight, self.toward, self.of):
            nn.init.xavier_normal_(weight, gain=nn.init.calculate_gain("relu"))

    def forward(self, feat: Tensor, mask: Tensor) -> Tensor:
        projected = self.project(feat).view(len(feat), self.heads, self.width_out)
        source, target = (projected * self.of).sum(-1), (projected * self.toward).sum(-1)
        energy = F.leaky_relu(target[:, None] + source[None], 0.2)
        share = energy.masked_fill(~mask[:, :, None], float("-inf")).softmax(1)
        return torch.einsum("ijh,jhd->ihd", share, projected) + self.bias


class _Mean(nn.Module):
    """GCN (Kipf and Welling 2017, equation 2) or SAGE with means (Hamilton et al. 2017, algorithm 1).

    Shapes: (nodes, width_in), mask (nodes, nodes) -> (nodes, 1, width_out).
    """

    def __init__(self, width_in: int, width_out: int, *, own: bool) -> None:
        super().__init__()
        self.neighbours = nn.Linear(width_in, width_out)
        self.own = nn.Linear(width_in, width_out, bias=False) if own else None

    def forward(self, feat: Tensor, mask: Tensor) -> Tensor:
        edges = mask.to(feat.dtype)
        degree = edges.sum(1)
        if self.own is None:
            weights = edges / (degree[:, None] * degree[None]).sqrt()
            return self.neighbours(weights @ feat)[:, None]
        others = edges * ~torch.eye(len(feat), dtype=torch.bool, device=feat.device)
        mean = others @ feat / others.sum(1, keepdim=True).clamp_min(1)
        return (self.neighbours(mean) + self.own(feat))[:, None]


class GraphEncoder(nn.Module):
    """Layers of one kind with GELU between; heads are concatenated inside and averaged at the end.

    `heads_used="first"` is the published code's form: of each layer's heads the first goes on, so it is the only one
    that learns. With `residual` the graph adds to what a node brings and begins at nothing; without, it replaces it.
    Shapes: (nodes, width), mask (nodes, nodes) -> (nodes, width).
    """

    def __init__(
        self,
        width: int,
        *,
        hidden: int,
        layers: int = 3,
        heads: int = 8,
        kind: Kind = "gat",
        heads_used: Heads = "all",
        residual: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.first, self.residual, self.dropout = heads_used == "first", residual, dropout
        many = heads if kind == "gat" else 1
        inner = hidden * (1 if self.first else many)
        ends = [(width if n == 0 else inner, width if n == layers - 1 else hidden) for n in range(layers)]
        make = {
            "gat": lambda a, b: GatLayer(a, b, heads=many),
            "gcn": lambda a, b: _Mean(a, b, own=False),
            "sage": lambda a, b: _Mean(a, b, own=True),
        }[kind]
        self.layers = nn.ModuleList(make(*pair) for pair in ends)
        self.gate = nn.Parameter(torch.zeros(())) if residual and layers else None

    def forward(self, feat: Tensor, mask: Tensor) -> Tensor:
        told = feat
        for number, layer in enumerate(self.layers):
            told = F.dropout(told, self.dropout, training=self.training)
            heads = layer(told, mask)
            last = number == len(self.layers) - 1
            told = heads[:, 0] if self.first else heads.mean(1) if last else heads.flatten(1)
            told = told if last else F.gelu(told)
        if self.gate is None:
            return told
        return feat + self.gate * told


def attended_patches(patches: Tensor, prototypes: Tensor, *, sharpness: float) -> Tensor:
    """What patches see of prototypes: each gathers them by softmax(sharpness * p P^T); mean plus max of that, unit.

    Shapes: patches (n, tokens, width), prototypes (nodes, width) -> (n, width).
    Reference: HGCLIP section 3.4 (attention of patches to class prototypes); its code: sharpness 2, unnormalised.
    """
    shares = (sharpness * patches @ prototypes.T).softmax(-1)
    seen = shares @ prototypes
    return F.normalize(seen.mean(1) + seen.amax(1), dim=-1)
