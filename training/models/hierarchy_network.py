"""Which vectors do the classes of a hierarchy have once relations, graph encoders and prototypes have spoken, and what
do pictures score with them?

    words_c = unit sum over relations r of exp(w_r) * what r says of class c        (a parent: unit sum of its classes)
    T = unit( unit graph_t(words) + b * prototypes ),      P = unit graph_v(prototypes)
    logits = scale * ( v T^t + patch_weight * a T^t ),     a = what the picture's patches attend to of P

The weights w are GraphCLIP's (how loudly a relation of the context graph speaks), the graph encoders HGCLIP's: with
`layers: 0` the first is left alone, with words of names the second.

What patches ask are the prototypes of the hierarchy that was trained on, kept with the weights: so what was published
of pictures stays true when the hierarchy changes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.models.class_encoder import ClassEncoder, ClassInputs, ImageProjection
from training.models.hierarchy_graph import GraphEncoder, attended_patches
from training.models.prompts import PromptedImages, PromptedTexts

__all__ = ["HierarchyInputs", "HierarchyNetwork", "HierarchyState", "spoken_words"]


@dataclass(frozen=True)
class HierarchyInputs:
    """What the nodes of one hierarchy bring; the network knows nothing of their number."""

    words: Tensor
    """(nodes, width) of unit length, or what each relation says of each class: (relations, classes, width), or token
    ids of the nodes' texts for `PromptedTexts`: (nodes, length) of int64."""
    seen: Tensor
    """Prototypes, (nodes, width)."""
    mask: Tensor
    """(nodes, nodes) of bool: who hears whom."""
    members: Tensor
    """(nodes, classes): 1 where a class belongs to a node."""

    context: ClassInputs | None = None
    """The context graph around the classes."""


def spoken_words(
    words: Tensor, members: Tensor, loudness: Tensor | None = None, *, context: Tensor | None = None
) -> Tensor:
    """Words of all nodes, with what a context graph adds to the classes'.

    Shapes: (nodes, width), or (relations, classes, width) and (relations,) -> (nodes, width).
    """
    if words.ndim == 2:
        added = 0 if context is None else members @ context / members.sum(1, keepdim=True)
        return F.normalize(words + added, dim=-1)
    said = words if loudness is None else loudness[:, None, None] * words
    classes = F.normalize(said.sum(0), dim=-1)
    return F.normalize(members @ F.normalize(classes + (0 if context is None else context), dim=-1), dim=-1)


class HierarchyState(nn.Module):
    """What any network of a hierarchy has: class means, what pictures ask, prompts, the context graph.

    Pictures ask the hierarchy that was trained on; it is kept with the weights.
    """

    def __init__(self) -> None:
        super().__init__()
        self.means: dict[str, Tensor] = {}
        """Mean training image of each class by its key."""
        self.trained_on: HierarchyInputs | None = None
        self.context: ClassEncoder | None = None
        self.texts: PromptedTexts | None = None
        self.pictures: PromptedImages | None = None
        self._kept: tuple[Tensor, int] | None = None

    def get_extra_state(self) -> dict[str, object]:
        """Whatever classes there are."""
        asked, classes = self.asked()
        return {"means": dict(self.means), "asked": asked.detach().clone(), "classes": classes}

    def set_extra_state(self, state: dict[str, object]) -> None:
        """Back from a checkpoint."""
        self.means, self._kept = dict(state["means"]), (state["asked"], state["classes"])

    def asked(self) -> tuple[Tensor, int]:
        """What pictures ask of each node that was trained on, and how many of them are classes."""
        if self.trained_on is None:
            return self._kept
        return self.ask(self.trained_on), self.trained_on.members.shape[1]

    def ask(self, inputs: HierarchyInputs) -> Tensor:
        """What pictures ask of the nodes of a hierarchy. Shapes: -> (nodes, width)."""
        raise NotImplementedError

    def words_of(self, inputs: HierarchyInputs) -> Tensor:
        """Words as they come, or texts through prompts."""
        return inputs.words if inputs.words.is_floating_point() else self.texts(inputs.words)

    def context_of(self, inputs: HierarchyInputs, keep_items: Tensor | None = None) -> Tensor | None:
        """What the context graph says of the classes; zero before training. Shapes: -> (classes, width)."""
        if self.context is None:
            return None
        return self.context.states(inputs.context, keep_items=keep_items)[self.context.item_edge[2]]

    def penalty(self) -> Tensor:
        """How far what begins as known has moved. Shapes: ()."""
        return torch.zeros(())


class HierarchyNetwork(HierarchyState):
    """Relation weights, one graph encoder a modality, the image map, the scale; see the module's formula."""

    def __init__(
        self,
        words: GraphEncoder,
        seen: GraphEncoder,
        images: ImageProjection,
        *,
        relations: int,
        prototype_weight: float,
        patch_weight: float,
        sharpness: float,
        log_scale: float,
    ) -> None:
        super().__init__()
        self.words, self.seen, self.images = words, seen, images
        self.patch_weight, self.sharpness = patch_weight, sharpness
        self.log_relation_weight = nn.Parameter(torch.zeros(max(1, relations)))
        self.prototype_weight = nn.Parameter(torch.tensor(prototype_weight), requires_grad=prototype_weight > 0)
        self.logit_scale = nn.Parameter(torch.tensor(log_scale))

    def scale(self) -> Tensor:
        """exp(logit_scale), at most 100."""
        return self.logit_scale.exp().clamp(max=100.0)

    def forward(self, inputs: HierarchyInputs, keep_items: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Class vectors and prototypes of all nodes, unit length. Shapes: -> (nodes, width) twice."""
        context, loudness = self.context_of(inputs, keep_items), self.log_relation_weight.exp()
        words = spoken_words(self.words_of(inputs), inputs.members, loudness, context=context)
        told = F.normalize(self.words(words, inputs.mask), dim=-1) + self.prototype_weight * inputs.seen
        return F.normalize(told, dim=-1), self.ask(inputs)

    def ask(self, inputs: HierarchyInputs) -> Tensor:
        """Prototypes: what patches attend to. Shapes: -> (nodes, width) of unit length."""
        return F.normalize(self.seen(inputs.seen, inputs.mask), dim=-1)

    def logits(self, inputs: HierarchyInputs, feat: Tensor, keep_items: Tensor | None = None) -> Tensor:
        """Shapes: (n, 1 + tokens, width) or (n, width) -> (n, nodes)."""
        classes, seen = self(inputs, keep_items)
        whole, attended = self._parts(self.pictures(feat) if self.pictures else feat, seen)
        total = whole if attended is None else whole + self.patch_weight * attended
        return self.scale() * total @ classes.T

    def published_scale(self) -> float:
        """The factor before the softmax of dot products of what is published."""
        return float(self.scale().detach()) * (1 + self.patch_weight)

    def class_vectors(self, inputs: HierarchyInputs) -> Tensor:
        """As published, beside images that carry a second part. Shapes: -> (nodes, width or 2 width), unit length."""
        vectors = self(inputs)[0]
        if not self.patch_weight:
            return vectors
        return F.normalize(torch.cat([vectors, self.patch_weight**0.5 * vectors], 1), dim=-1)

    def image_vectors(self, feat: Tensor) -> Tensor:
        """The picture, and beside it what its patches attend to, each scaled by the root of its weight: unit length.

        Shapes: (n, 1 + tokens, width) -> (n, 2 width), or (n, width) -> the same.
        """
        feat = self.pictures(feat) if self.pictures else feat
        if feat.ndim == 2:
            return self._parts(feat, None)[0]
        whole, attended = self._parts(feat, self.asked()[0])
        return F.normalize(torch.cat([whole, self.patch_weight**0.5 * attended], 1), dim=-1)

    def _parts(self, feat: Tensor, seen: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The picture's unit vector and what its patches attend to, None without patches."""
        whole = F.normalize(self.images(feat[:, 0] if feat.ndim == 3 else feat), dim=-1)
        if feat.ndim == 2 or seen is None:
            return whole, None
        patches = F.normalize(self.images(feat[:, 1:].flatten(0, 1)), dim=-1)
        patches = patches.view(len(feat), -1, patches.shape[-1])
        return whole, attended_patches(patches, seen, sharpness=self.sharpness)
