"""How does a class become a vector: from the words of its context, the images linked to it, and a graph network?

    seen(c)   = unit( a unit(text(c) - centre) + b unit(mean of linked images - centre) + sage(c) )
    unseen(c) = k unit(text(c) - centre, without g) / spread + l g + slack      for a class without linked images
    text(c)   = weighted mean over relations r of  mean_{u in N_r(c)} phrase_r(u)

`phrase_r(u)` is the text embedding of what relation r says of node u ("green border"); g is the mean direction of
images. SAGE's last layer starts at zero, so a class begins at attribute matching and the mean of its images. How loudly
a class without images speaks beside trained ones (k, l) is chosen on training classes that play unseen; slack fills its
vector to unit length along the direction that images use least.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kg.schema import EdgeType
from training.message_passing import Block
from training.models.hetero import Form, HeteroNetwork

__all__ = ["ClassEncoder", "ClassInputs", "ImageProjection"]

_SEEN_LENGTH = 0.5
"""Length of a seen class's vector before slack fills it; the logit scale makes up for it."""


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
        beside: Sequence[str] = (),
        trunk: ClassEncoder | None = None,
    ) -> None:
        """`beside`: further labels to which the network leads; `trunk`: whose network and maps this one shares."""
        super().__init__()
        self.item_edge = item_edge
        self.text_map = nn.Linear(text_width, hidden)
        self.visual_map = nn.Linear(image_width, hidden) if n_layers else None
        shape = {"width": hidden, "width_out": width, "n_layers": n_layers, "form": form, "heads": heads}
        rest = {"dropout": dropout, "zero_start": start}
        self.sage = HeteroNetwork(edge_types, [item_edge[2], *beside], **shape, **rest) if n_layers else None
        self.own_map = None if n_layers else nn.Linear(hidden, width)
        self.start = ClassStart(described_by, width=width) if start and n_layers else None
        if trunk is not None:
            self.text_map, self.visual_map, self.sage = trunk.text_map, trunk.visual_map, trunk.sage

    def forward(self, inputs: ClassInputs, projection: ImageProjection, *, keep_items: Tensor | None = None) -> Tensor:
        """`keep_items` (classes, 1) is 0 where a class must do without the images linked to it."""
        return F.normalize(self.raw(inputs, projection, keep_items=keep_items), dim=-1)

    def raw(self, inputs: ClassInputs, projection: ImageProjection, *, keep_items: Tensor | None = None) -> Tensor:
        """The vectors as unnormalised training takes them."""
        total = self.states(inputs, keep_items=keep_items)[self.item_edge[2]]
        return self.combined(total, inputs, projection, keep_items=keep_items)

    def combined(
        self, total: Tensor, inputs: ClassInputs, projection: ImageProjection, *, keep_items: Tensor | None = None
    ) -> Tensor:
        """What the network says, with what phrases and linked images say. Shapes: (classes, width) -> the same."""
        if self.start is None:
            return total
        linked = inputs.linked if keep_items is None else inputs.linked * keep_items
        seen = self.start.softened(F.normalize(total + self.start.seen(inputs, projection), dim=-1))
        return torch.where(linked > 0, seen, self._unseen(inputs, projection, total))

    def _unseen(self, inputs: ClassInputs, projection: ImageProjection, total: Tensor) -> Tensor:
        """What is said of a class; the network alone speaks for one of which no relation says anything."""
        if not inputs.phrase_means:
            return F.normalize(total, dim=-1)
        described = sum(has for _, has in inputs.phrase_means.values()) > 0
        return torch.where(described, self.start.unseen(inputs, projection), F.normalize(total, dim=-1))

    def states(self, inputs: ClassInputs, *, keep_items: Tensor | None = None) -> dict[str, Tensor]:
        """What the network says of every label it leads to. Shapes: label -> (classes, width)."""
        if self.sage is None:
            return {self.item_edge[2]: self.own_map(torch.relu(self.text_map(inputs.own)))}
        feats = {label: self.text_map(feat) for label, feat in inputs.texts.items()}
        if len(inputs.visual):
            feats[self.item_edge[0]] = self.visual_map(inputs.visual)
        keep = None if keep_items is None else {self.item_edge: keep_items}
        return self.sage(inputs.blocks, feats, keep=keep)


class ClassStart(nn.Module):
    """Where training starts: attribute phrases and linked images, each a unit vector, weighed by learned scalars."""

    def __init__(self, described_by: Sequence[EdgeType], *, width: int) -> None:
        super().__init__()
        self.described_by = tuple(described_by)
        self.log_relation_weight = nn.Parameter(torch.zeros(max(1, len(self.described_by))))
        self.log_text_weight = nn.Parameter(torch.zeros(()))
        self.log_image_weight = nn.Parameter(torch.zeros(()))
        self.register_buffer("unseen_weight", torch.ones(()))
        self.register_buffer("unseen_bias", torch.zeros(()))
        for name in ("text_centre", "image_centre", "image_direction", "slack_direction"):
            self.register_buffer(name, torch.zeros(width))
        self.register_buffer("image_covariance", torch.zeros(width, width))
        self.register_buffer("usual_spread", torch.ones(()))

    def seen(self, inputs: ClassInputs, projection: ImageProjection) -> Tensor:
        """Text and linked images of every class. Shapes: (classes, width)."""
        images = F.normalize(projection(inputs.item_mean) - self.image_centre, dim=-1)
        return self.log_text_weight.exp() * self.text_part(inputs, projection) + self.log_image_weight.exp() * images

    def unseen(self, inputs: ClassInputs, projection: ImageProjection) -> Tensor:
        """Text alone, as loud as was found good. Shapes: (classes, width).

        What a class has in common with images as such is taken out, and a class whose scores spread more than others'
        speaks more softly: no unseen class is everybody's neighbour.
        """
        text = self._apart(self.text_part(inputs, projection))
        spread = self._spread(text) / self.usual_spread if self.image_covariance.any() else 1.0
        spoken = self.unseen_weight * text / spread + self.unseen_bias * self.image_direction
        return self._filled(spoken) if self.slack_direction.any() else F.normalize(spoken, dim=-1)

    def speak(self, weight: float, bias: float) -> None:
        """Set how loudly classes without images speak."""
        self.unseen_weight.fill_(weight)
        self.unseen_bias.fill_(bias)

    def softened(self, vectors: Tensor) -> Tensor:
        """Unit vectors of seen classes at a share of their length, so that unseen ones may also be louder than they."""
        return self._filled(_SEEN_LENGTH * vectors) if self.slack_direction.any() else vectors

    def _filled(self, spoken: Tensor) -> Tensor:
        """Vectors of at most unit length, filled to it along the slack direction."""
        spoken = spoken - (spoken @ self.slack_direction)[:, None] * self.slack_direction
        length = spoken.norm(dim=-1, keepdim=True)
        slack = (1 - length.square()).clamp_min(1e-6).sqrt()
        return F.normalize(
            spoken + torch.where(length < 1, slack, torch.zeros_like(slack)) * self.slack_direction, dim=-1
        )

    def text_part(self, inputs: ClassInputs, projection: ImageProjection) -> Tensor:
        """The phrases' mean, centred, unit length; zero where no relation has a phrase."""
        return F.normalize(self.text_mean(inputs, projection) - self.text_centre, dim=-1)

    def text_mean(self, inputs: ClassInputs, projection: ImageProjection) -> Tensor:
        """Weighted mean of the phrases' means over the relations that a class has. Shapes: (classes, width)."""
        if not inputs.phrase_means:
            return self.text_centre.new_zeros((len(inputs.linked), len(self.text_centre)))
        said = [(self._weight(t), *inputs.phrase_means[t]) for t in self.described_by if t in inputs.phrase_means]
        weight = sum(scale * has for scale, _, has in said)
        mean = sum(scale * phrase for scale, phrase, _ in said) / weight.clamp_min(1e-6)
        return mean if projection.identity else projection(mean)

    @torch.no_grad()
    def prepare(self, inputs: ClassInputs, projection: ImageProjection, *, classes: Tensor, images: Tensor) -> None:
        """Take what training classes and training images have in common; a new class gets the same.

        Shapes: classes (training classes,) of rows, images (training images, image width).
        """
        if not projection.identity:
            return
        if inputs.phrase_means:
            self.text_centre.copy_(self.text_mean(inputs, projection)[classes].mean(0))
        self.image_centre.copy_(inputs.item_mean[classes].mean(0))
        self.image_direction.copy_(F.normalize(images.mean(0), dim=0))
        centred = images - images.mean(0)
        self.image_covariance.copy_(centred.T @ centred / len(images))
        if inputs.phrase_means:
            self.usual_spread.copy_(self._spread(self._apart(self.text_part(inputs, projection)))[classes].mean())
        if projection.rest is None:
            self.slack_direction.copy_(torch.linalg.eigh(images.T @ images / len(images)).eigenvectors[:, 0])

    def _apart(self, vectors: Tensor) -> Tensor:
        """Unit vectors without their part along the images' mean direction."""
        along = (vectors @ self.image_direction)[:, None] * self.image_direction
        return F.normalize(vectors - along, dim=-1)

    def _spread(self, vectors: Tensor) -> Tensor:
        """Standard deviation of the training images' scores. Shapes: (n, width) -> (n, 1)."""
        return ((vectors @ self.image_covariance) * vectors).sum(1, keepdim=True).clamp_min(1e-12).sqrt()

    def _weight(self, edge_type: EdgeType) -> Tensor:
        return self.log_relation_weight[self.described_by.index(edge_type)].exp()
