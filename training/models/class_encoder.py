"""How does a class become a vector: from the words of its context, the images linked to it, and a graph network?

    E_c = unit( start(c) + sage(c) )
    start(c) = sum_r a_r mean_{u in N_r(c)} phrase_r(u)  +  b mean_{i in items(c)} visual(i)  -  centre,  + w where c has no item

`phrase_r(u)` is the text embedding of what relation r says of node u ("green border"). With an untrained SAGE, whose last
layer starts at zero, a class without images is its attribute phrases' mean: attribute matching is where training starts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kg.schema import EdgeType
from training.message_passing import Block
from training.models.sage import HeteroSage

__all__ = ["ClassEncoder", "ClassInputs", "ImageProjection"]


@dataclass
class ClassInputs:
    """All that the class vectors of one graph are computed from; prepared once and used every step."""

    blocks: list[Block]
    """For the network; empty where it has no layers."""
    near: Block
    """The one step into the class nodes."""
    texts: dict[str, Tensor]
    """Label -> (outermost sources, text width)."""
    visual: Tensor
    """Image features of the outermost item sources, (items, image width); zero for items without a readable image."""
    phrases: dict[EdgeType, Tensor] = field(default_factory=dict)
    """Edge type into the classes -> (sources in `near`, width)."""
    near_visual: Tensor | None = None
    """Image features of the item sources in `near`."""
    own: Tensor | None = None
    """Text features of the classes themselves, (classes, text width)."""


class ImageProjection(nn.Module):
    """Image features to the joint space: identity plus a learned rest where widths agree, else a learned map.

    A linear map that trains like an affine one: features of one encoder share a large mean m, so v - m (m.v / |m|^2) centres
    them almost exactly and stays linear, which is what a published tower can carry.
    Shapes: (n, width_in) -> (n, width_out), not unit length.
    """

    def __init__(self, width_in: int, width_out: int, *, learned: bool) -> None:
        super().__init__()
        self.identity = width_in == width_out
        learned = learned or not self.identity
        self.rest = nn.Linear(width_in, width_out, bias=False) if learned else None
        self.offset = nn.Parameter(torch.zeros(width_out)) if learned else None
        self.register_buffer("mean", torch.zeros(width_in))
        self.register_buffer("inverse_spread", torch.ones(width_in))
        if self.identity and learned:
            nn.init.zeros_(self.rest.weight)

    def forward(self, feat: Tensor) -> Tensor:
        if self.rest is None:
            return feat
        along = feat @ self._along()
        mapped = self.rest((feat - along * self.mean) * self.inverse_spread) + along * self.offset
        return feat + mapped if self.identity else mapped

    @torch.no_grad()
    def standardise(self, feat: Tensor) -> None:
        """Take mean and spread of the learned map's input from training features, as a linear probe does."""
        self.mean.copy_(feat.mean(0))
        self.inverse_spread.copy_(1 / (feat.std(0) * feat.shape[1] ** 0.5).clamp_min(1e-6))

    @torch.no_grad()
    def matrix(self) -> Tensor | None:
        """The whole map as one matrix, or None for the identity. Shapes: (width_out, width_in)."""
        if self.rest is None:
            return None
        return self(torch.eye(self.rest.in_features, device=self.rest.weight.device)).T.contiguous()

    def _along(self) -> Tensor:
        """How much of the mean a feature holds, about 1. Shapes: (width_in, 1)."""
        return (self.mean / self.mean.square().sum().clamp_min(1e-12)).unsqueeze(1)


class ClassEncoder(nn.Module):
    """Class vectors from `ClassInputs`; see the module's formula. Shapes: (classes, width), unit length."""

    def __init__(
        self,
        edge_types: Sequence[EdgeType],
        item_edge: EdgeType,
        *,
        described_by: Sequence[EdgeType],
        width: int,
        text_width: int,
        image_width: int,
        hidden: int,
        n_layers: int,
        dropout: float = 0.0,
        start: bool = True,
    ) -> None:
        super().__init__()
        self.item_edge, self.described_by = item_edge, tuple(described_by)
        self.item_label, target = item_edge[0], item_edge[2]
        self.text_map = nn.Linear(text_width, hidden)
        self.visual_map = nn.Linear(image_width, hidden) if n_layers else None
        self.sage = (
            HeteroSage(
                edge_types, target, width=hidden, width_out=width, n_layers=n_layers, dropout=dropout, zero_start=start
            )
            if n_layers
            else None
        )
        self.own_map = None if n_layers else nn.Linear(hidden, width)
        self.start = ClassStart(item_edge, self.described_by, width=width) if start and n_layers else None

    def forward(self, inputs: ClassInputs, projection: ImageProjection, *, keep_items: Tensor | None = None) -> Tensor:
        """`keep_items` (classes, 1) is 0 where a class must do without the images linked to it."""
        return F.normalize(self.raw(inputs, projection, keep_items=keep_items), dim=-1)

    def raw(self, inputs: ClassInputs, projection: ImageProjection, *, keep_items: Tensor | None = None) -> Tensor:
        """The vectors before normalisation."""
        total = self._network(inputs, keep_items)
        return total if self.start is None else total + self.start(inputs, projection, keep_items=keep_items)

    def _network(self, inputs: ClassInputs, keep_items: Tensor | None) -> Tensor:
        if self.sage is None:
            return self.own_map(torch.relu(self.text_map(inputs.own)))
        feats = {label: self.text_map(feat) for label, feat in inputs.texts.items()}
        if len(inputs.visual):
            feats[self.item_label] = self.visual_map(inputs.visual)
        keep = None if keep_items is None else {self.item_edge: keep_items}
        return self.sage(inputs.blocks, feats, keep=keep)


class ClassStart(nn.Module):
    """Where training starts: attribute phrases and linked images, each a unit vector, weighed by learned scalars."""

    def __init__(self, item_edge: EdgeType, described_by: Sequence[EdgeType], *, width: int) -> None:
        super().__init__()
        self.item_edge, self.described_by = item_edge, tuple(described_by)
        self.log_relation_weight = nn.Parameter(torch.zeros(max(1, len(self.described_by))))
        self.log_text_weight = nn.Parameter(torch.zeros(()))
        self.log_image_weight = nn.Parameter(torch.zeros(()))
        self.without_items = nn.Parameter(torch.zeros(width))
        self.register_buffer("text_centre", torch.zeros(width))
        self.register_buffer("image_centre", torch.zeros(width))

    def forward(self, inputs: ClassInputs, projection: ImageProjection, *, keep_items: Tensor | None = None) -> Tensor:
        """Shapes: (classes, width)."""
        linked = inputs.near.has_neighbours(self.item_edge) if self.item_edge in inputs.near.edge_types else None
        total = self.text_part(inputs, projection)
        if linked is not None:
            linked = linked if keep_items is None else linked * keep_items
            total = total + self.log_image_weight.exp() * linked * self.image_part(inputs, projection)
        return total + (1 - linked if linked is not None else 1) * self.without_items

    def text_part(self, inputs: ClassInputs, projection: ImageProjection) -> Tensor:
        """The phrases' mean, centred, unit length; nothing where no relation has a phrase."""
        mean = self.text_mean(inputs, projection)
        return self.log_text_weight.exp() * F.normalize(mean - self.text_centre, dim=-1) if inputs.phrases else mean

    def text_mean(self, inputs: ClassInputs, projection: ImageProjection) -> Tensor:
        """Weighted mean of the phrases' means over the relations that a class has. Shapes: (classes, width)."""
        classes = inputs.near.dst_counts[self.item_edge[2]]
        total, weight = self.without_items.new_zeros((classes, 1)), self.without_items.new_zeros((classes, 1))
        for i, edge_type in enumerate(self.described_by):
            if edge_type in inputs.phrases and edge_type in inputs.near.edge_types:
                scale = self.log_relation_weight[i].exp()
                total = total + scale * inputs.near.mean(edge_type, inputs.phrases[edge_type])
                weight = weight + scale * inputs.near.has_neighbours(edge_type)
        mean = total / weight.clamp_min(1e-6)
        return mean if projection.identity or not inputs.phrases else projection(mean)

    def image_part(self, inputs: ClassInputs, projection: ImageProjection) -> Tensor:
        """Mean of the linked images in the joint space, centred, unit length."""
        mean = projection(inputs.near.mean(self.item_edge, inputs.near_visual))
        return F.normalize(mean - self.image_centre, dim=-1)

    @torch.no_grad()
    def set_centres(self, inputs: ClassInputs, projection: ImageProjection, *, classes: Tensor) -> None:
        """Take what all training classes have in common out of both parts; a new class gets the same centres."""
        if inputs.phrases and projection.identity:
            self.text_centre.copy_(self.text_mean(inputs, projection)[classes].mean(0))
        if projection.identity and self.item_edge in inputs.near.edge_types:
            self.image_centre.copy_(inputs.near.mean(self.item_edge, inputs.near_visual)[classes].mean(0))
