"""How does a class become a vector: from the words of its context, the images linked to it, and a graph network?

    class(c) = unit( a unit(text(c)) + b unit(mean of linked images - image centre) + sage(c) )
    text(c)  = weighted sum over the relations r that c has of  (mean_{u in N_r(c)} phrase_r(u) - centre_r)

One formula for every class: one that came yesterday has no images and so no second part. `phrase_r(u)` is the text
embedding of what relation r says of node u ("green border"). Where images are readings (`kg.encoders.readings`) it is a
distribution over r's words, the root of the mean is taken, as of images, and nothing is centred. SAGE's last layer
starts at zero, so training begins at attribute matching and the mean of a class's images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kg.schema import EdgeType
from training.message_passing import Block
from training.models.hetero import Form, HeteroNetwork
from training.node_features import Source, VisualNodes, source_of

__all__ = ["ClassEncoder", "ClassInputs", "ImageProjection"]

_SMALLEST_SHARE = 1e-8
"""Added below the root, whose slope is infinite at nothing."""


@dataclass
class ClassInputs:
    """All that the class vectors of one graph are computed from; prepared once and used every step."""

    blocks: list[Block]
    """For the network; empty where it has no layers."""
    texts: dict[str, Tensor]
    """Label -> (outermost sources, text width)."""
    visual: Tensor
    """Image features of the outermost item sources, (items, image width); zero for items without a readable image."""
    phrase_means: dict[EdgeType, tuple[Tensor, Tensor]]
    """Edge type into the classes -> weighted mean of what it says (classes, width), and 1 where it says anything."""
    item_mean: Tensor
    """Mean image feature of the linked items, (classes, image width)."""
    linked: Tensor
    """1 where a class has a linked item, else 0, (classes, 1)."""
    own: Tensor
    """Text features of the classes themselves, (classes, text width)."""
    visual_nodes: dict[str, VisualNodes] = field(default_factory=dict)
    """Label other than the items' -> its outermost sources with their images, where those are its features."""


class ImageProjection(nn.Module):
    """Image features to the joint space: identity plus a learned rest where widths agree, else a learned map.

    A linear map that trains like an affine one: features of one encoder share a large mean m, so v - m (m.v / |m|^2)
    centres them almost exactly and stays linear, which is what a published tower can carry.
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
        form: Form = "sage",
        heads: int = 4,
        dropout: float = 0.0,
        start: bool = True,
        image_weight: float = 1.0,
        reads: bool = False,
        beside: Sequence[str] = (),
        sources: Mapping[str, Source] | None = None,
        source_widths: Mapping[str, int] | None = None,
        trunk: ClassEncoder | None = None,
    ) -> None:
        """`beside`: further labels to which the network leads; `trunk`: whose network and maps this one shares.

        `sources`: labels with other features than the usual ones, `source_widths` those of `clip` and `sentence`.
        """
        super().__init__()
        self.item_edge, self.sources = item_edge, dict(sources or {})
        self.text_map = nn.Linear(text_width, hidden)
        self.visual_map = nn.Linear(image_width, hidden) if n_layers else None
        shape = {"width": hidden, "width_out": width, "n_layers": n_layers, "form": form, "heads": heads}
        rest = {"dropout": dropout, "zero_start": start}
        self.sage = HeteroNetwork(edge_types, [item_edge[2], *beside], **shape, **rest) if n_layers else None
        widths = (source_widths or {}).items()
        self.source_maps = nn.ModuleDict({source: nn.Linear(wide, hidden) for source, wide in widths})
        self.own_map = None if n_layers else nn.Linear(hidden, width)
        begins = start and n_layers
        self.start = ClassStart(described_by, width=width, image_weight=image_weight, reads=reads) if begins else None
        if trunk is not None:
            self.text_map, self.visual_map, self.sage = trunk.text_map, trunk.visual_map, trunk.sage
            self.source_maps = trunk.source_maps

    def forward(self, inputs: ClassInputs, projection: ImageProjection, *, keep_items: Tensor | None = None) -> Tensor:
        """`keep_items` (classes, 1) is 0 where a class must do without the images linked to it."""
        total = self.states(inputs, keep_items=keep_items)[self.item_edge[2]]
        return F.normalize(self.combined(total, inputs, projection, keep_items=keep_items), dim=-1)

    def combined(
        self, total: Tensor, inputs: ClassInputs, projection: ImageProjection, *, keep_items: Tensor | None = None
    ) -> Tensor:
        """What the network says, with what phrases and linked images say. Shapes: (classes, width) -> the same."""
        if self.start is None:
            return total
        linked = inputs.linked if keep_items is None else inputs.linked * keep_items
        return total + self.start(inputs, projection, linked=linked)

    def states(
        self, inputs: ClassInputs, *, keep_items: Tensor | None = None, without: Tensor | None = None
    ) -> dict[str, Tensor]:
        """What the network says of every label it leads to; `without` are images that visual features do without.

        Shapes: without (n,) of image rows; label -> (classes, width).
        """
        if self.sage is None:
            return {self.item_edge[2]: self.own_map(torch.relu(self.text_map(inputs.own)))}
        keep = None if keep_items is None else {self.item_edge: keep_items}
        return self.sage(inputs.blocks, self.first_states(inputs, without=without), keep=keep)

    def first_states(self, inputs: ClassInputs, *, without: Tensor | None = None) -> dict[str, Tensor]:
        """What the first layer takes in. Shapes: label -> (outermost sources, hidden)."""
        item = self.item_edge[0]
        feats = inputs.texts | {label: nodes.mean(without) for label, nodes in inputs.visual_nodes.items()}
        if len(inputs.visual) and source_of(item, self.sources, item=item) == "visual":
            feats = feats | {item: inputs.visual}
        return {label: self._map_of(label)(feat) for label, feat in feats.items()}

    def _map_of(self, label: str) -> nn.Module:
        source = source_of(label, self.sources, item=self.item_edge[0])
        if source in self.source_maps:
            return self.source_maps[source]
        return self.visual_map if source == "visual" else self.text_map


class ClassStart(nn.Module):
    """Where training starts: attribute phrases and linked images, each a unit vector, weighed by learned scalars."""

    def __init__(
        self, described_by: Sequence[EdgeType], *, width: int, image_weight: float = 1.0, reads: bool = False
    ) -> None:
        super().__init__()
        self.described_by, self.reads = tuple(described_by), reads
        self.log_relation_weight = nn.Parameter(torch.zeros(max(1, len(self.described_by))))
        self.text_weight = nn.Parameter(torch.ones(()))
        self.image_weight = nn.Parameter(torch.tensor(float(image_weight)))
        self.register_buffer("said_centres", torch.zeros(max(1, len(self.described_by)), width))
        self.register_buffer("image_centre", torch.zeros(width))

    def forward(self, inputs: ClassInputs, projection: ImageProjection, *, linked: Tensor) -> Tensor:
        """Text and linked images of every class; `linked` is 0 where a class must do without. Shapes: -> (n, width)."""
        images = F.normalize(projection(inputs.item_mean) - self.image_centre, dim=-1)
        return self.text_weight * self.text_part(inputs, projection) + self.image_weight * linked * images

    def text_part(self, inputs: ClassInputs, projection: ImageProjection) -> Tensor:
        """What relations say, less what they say of classes in general, unit length; zero where no relation speaks."""
        return F.normalize(self._text(inputs, projection, centred=True), dim=-1)

    def text_mean(self, inputs: ClassInputs, projection: ImageProjection) -> Tensor:
        """What relations say, unit length, with what they say of all classes. Shapes: (classes, width)."""
        return F.normalize(self._text(inputs, projection, centred=False), dim=-1)

    def said(self, mean: Tensor, projection: ImageProjection) -> Tensor:
        """Means of what a relation says, as they stand among images. Shapes: (classes, width) -> the same."""
        if self.reads:
            mean = (mean.clamp_min(0) + _SMALLEST_SHARE).sqrt()
        return mean if projection.identity else projection(mean)

    def weight(self, edge_type: EdgeType) -> Tensor:
        """How loudly a relation speaks. Shapes: ()."""
        return self.log_relation_weight[self._place(edge_type)].exp()

    def centre(self, edge_type: EdgeType) -> Tensor:
        """What a relation says of training classes on average. Shapes: (width,)."""
        return self.said_centres[self._place(edge_type)]

    def _text(self, inputs: ClassInputs, projection: ImageProjection, *, centred: bool) -> Tensor:
        total = self.image_centre.new_zeros((len(inputs.linked), len(self.image_centre)))
        for edge_type in filter(inputs.phrase_means.__contains__, self.described_by):
            mean, has = inputs.phrase_means[edge_type]
            said = self.said(mean, projection)
            total = total + self.weight(edge_type) * has * (said - self.centre(edge_type) if centred else said)
        return total

    @torch.no_grad()
    def prepare(self, inputs: ClassInputs, projection: ImageProjection, *, classes: Tensor) -> None:
        """Take what training classes and their images have in common; a new class gets the same.

        Shapes: classes (training classes,) of rows.
        """
        if self.reads or not projection.identity:
            return
        for edge_type, (mean, has) in inputs.phrase_means.items():
            said, share = self.said(mean, projection)[classes], has[classes]
            self.said_centres[self._place(edge_type)] = (share * said).sum(0) / share.sum().clamp_min(1e-6)
        self.image_centre.copy_(inputs.item_mean[classes].mean(0))

    def _place(self, edge_type: EdgeType) -> int:
        return self.described_by.index(edge_type)
