"""Which vectors do the classes of a hierarchy have, once relations, graph encoders and prototypes have spoken?

    words_c = unit sum over relations r of exp(w_r) * what r says of class c        (a parent: unit sum of its classes)
    T = unit( unit graph_t(words) + b * prototypes ),      P = unit graph_v(prototypes)

The weights w are GraphCLIP's (how loudly a relation of the context graph speaks), the graph encoders HGCLIP's: with
`layers: 0` the first is left alone, with words of names the second.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.models.class_encoder import ImageProjection
from training.models.hierarchy_graph import GraphEncoder

__all__ = ["HierarchyInputs", "HierarchyNetwork", "spoken_words"]


@dataclass(frozen=True)
class HierarchyInputs:
    """What the nodes of one hierarchy bring; the network knows nothing of their number."""

    words: Tensor
    """(nodes, width) of unit length, or what each relation says of each class: (relations, classes, width)."""
    seen: Tensor
    """Prototypes, (nodes, width)."""
    mask: Tensor
    """(nodes, nodes) of bool: who hears whom."""
    members: Tensor
    """(nodes, classes): 1 where a class belongs to a node."""

    def to(self, device: torch.device) -> HierarchyInputs:
        """The same on a device."""
        return HierarchyInputs(*(part.to(device) for part in (self.words, self.seen, self.mask, self.members)))


def spoken_words(words: Tensor, members: Tensor, loudness: Tensor | None = None) -> Tensor:
    """Words of all nodes. Shapes: (nodes, width), or (relations, classes, width) and (relations,) -> (nodes, width)."""
    if words.ndim == 2:
        return words
    said = words if loudness is None else loudness[:, None, None] * words
    return F.normalize(members @ F.normalize(said.sum(0), dim=-1), dim=-1)


class HierarchyNetwork(nn.Module):
    """Relation weights, one graph encoder a modality, the image map, the scale; see the module's formula."""

    def __init__(
        self,
        words: GraphEncoder,
        seen: GraphEncoder,
        images: ImageProjection,
        *,
        relations: int,
        prototype_weight: float,
        log_scale: float,
    ) -> None:
        super().__init__()
        self.words, self.seen, self.images = words, seen, images
        self.log_relation_weight = nn.Parameter(torch.zeros(max(1, relations)))
        self.prototype_weight = nn.Parameter(torch.tensor(prototype_weight), requires_grad=prototype_weight > 0)
        self.logit_scale = nn.Parameter(torch.tensor(log_scale))
        self.means: dict[str, Tensor] = {}
        """Mean training image of each class by its key; it is kept with the weights."""

    def get_extra_state(self) -> dict[str, Tensor]:
        """The means, whatever classes there are."""
        return dict(self.means)

    def set_extra_state(self, state: dict[str, Tensor]) -> None:
        """Back from a checkpoint."""
        self.means = dict(state)

    def scale(self) -> Tensor:
        """exp(logit_scale), at most 100."""
        return self.logit_scale.exp().clamp(max=100.0)

    def forward(self, inputs: HierarchyInputs) -> tuple[Tensor, Tensor]:
        """Class vectors and prototypes of all nodes, unit length. Shapes: -> (nodes, width) twice."""
        words = spoken_words(inputs.words, inputs.members, self.log_relation_weight.exp())
        told = F.normalize(self.words(words, inputs.mask), dim=-1) + self.prototype_weight * inputs.seen
        return F.normalize(told, dim=-1), F.normalize(self.seen(inputs.seen, inputs.mask), dim=-1)
