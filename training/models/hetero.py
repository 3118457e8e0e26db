"""How does a stack of graph layers turn class nodes' neighbourhoods into vectors, paying only for what reaches them?

Layers exist for live edge types only; all others cannot change a class's vector. What a layer does is `SageLayer`'s or
`GatLayer`'s affair; both take a `Block` and states by label, and know no more of the graph.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from kg.schema import EdgeType
from training.message_passing import Block
from training.models.gat import GatLayer
from training.models.sage import SageLayer

__all__ = ["Form", "HeteroNetwork", "live_edge_types"]

Form = Literal["sage", "sage-project", "gatv2"]
"""Which layer: neighbours' mean, the mean of what a learned ReLU layer makes of them, or attention."""


def live_edge_types(
    edge_types: Sequence[EdgeType], targets: str | Sequence[str], n_layers: int
) -> list[tuple[EdgeType, ...]]:
    """The edge types that can reach the targets in each layer, outermost first; others cannot change an embedding."""
    layers: list[tuple[EdgeType, ...]] = []
    reached = {targets} if isinstance(targets, str) else set(targets)
    for _ in range(n_layers):
        live = tuple(edge_type for edge_type in edge_types if edge_type[2] in reached)
        layers.insert(0, live)
        reached |= {source for source, _, _ in live}
    return layers


class HeteroNetwork(nn.Module):
    """Layers with ReLU and dropout between. Shapes: label -> (sources, width), -> target -> (seeds, width_out)."""

    def __init__(
        self,
        edge_types: Sequence[EdgeType],
        targets: Sequence[str],
        *,
        width: int,
        width_out: int,
        n_layers: int,
        form: Form = "sage",
        heads: int = 4,
        dropout: float = 0.0,
        zero_start: bool = False,
    ) -> None:
        super().__init__()
        self.targets, self.dropout = tuple(targets), dropout
        widths = [width] * n_layers + [width_out]
        self.layers = nn.ModuleList(
            _layer(form, types, heads=heads, width_in=widths[i], width_out=widths[i + 1])
            for i, types in enumerate(live_edge_types(edge_types, self.targets, n_layers))
        )
        if zero_start:
            for parameter in self.layers[-1].last_maps():
                nn.init.zeros_(parameter)

    def forward(
        self, blocks: Sequence[Block], feats: Mapping[str, Tensor], *, keep: Mapping[EdgeType, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """`keep` hides neighbours of the seeds, in the last layer."""
        for i, block in enumerate(blocks):
            feats = self.step(i, block, feats, keep=keep if i == len(self.layers) - 1 else None)
        return {label: feats[label] for label in self.targets if label in feats}

    def step(
        self, i: int, block: Block, feats: Mapping[str, Tensor], *, keep: Mapping[EdgeType, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """States after layer `i` from those before it. Shapes: per label (sources, width) -> (destinations, width)."""
        out = self.layers[i](block, feats, keep=keep)
        if i == len(self.layers) - 1:
            return out
        active = {label: feat.relu_() for label, feat in out.items()}  # nobody else holds a layer's fresh sums
        if not (self.dropout and self.training):
            return active
        return {label: torch.dropout(feat, self.dropout, train=True) for label, feat in active.items()}


def _layer(form: Form, edge_types: Sequence[EdgeType], *, heads: int, width_in: int, width_out: int) -> nn.Module:
    if form == "gatv2":
        return GatLayer(edge_types, width_in=width_in, width_out=width_out, heads=heads)
    return SageLayer(edge_types, width_in=width_in, width_out=width_out, project=form == "sage-project")
