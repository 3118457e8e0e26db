"""What does each node of a hierarchy say of a picture, when it is asked how likely what the picture shows is?

    p_cr  = what relation r says of class c, as shares of its words         (a parent: the mean of its classes')
    p'_nr = softmax over r's words of ( log p_nr + graph_t(root p)_nr - root p_nr )
    logits = exp(t) * log-likelihoods of `kg.encoders.asking`

Nothing needs training to begin with. Training moves few numbers, a scale, weight and floor for each relation and a bias
for each word, which all classes share: one image of a class teaches all of them. `penalty` holds them where they began,
as a Gaussian prior does, so that few images move them little.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from kg.encoders.asking import Questions, log_likelihoods, padded
from training.models.hierarchy_graph import GraphEncoder
from training.models.hierarchy_network import HierarchyInputs, HierarchyState

__all__ = ["LikelihoodNetwork"]

_FLOOR, _SCALE, _TEMPERATURE = 0.01, 25.0, 0.6
"""Where floor, reading scale and temperature begin; chosen on images of another seed range."""
_SMALLEST_SHARE = 1e-4
_SAME = 1e-5
"""Two nodes whose words differ by less say the same."""


class LikelihoodNetwork(HierarchyState):
    """See the module's formula. Shapes: phrases (words, width), relation by relation in `sizes`."""

    def __init__(self, words: GraphEncoder, phrases: np.ndarray, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.words, self.sizes = words, sizes
        self.register_buffer("phrases", torch.tensor(np.array(phrases, np.float32)))
        self.phrase_ids: Tensor | None = None
        """Their tokens, for `texts`."""
        self.log_scale, self.log_weight, self.log_floor = (nn.Parameter(torch.zeros(len(sizes))) for _ in range(3))
        self.bias = nn.Parameter(torch.zeros(sum(sizes)))
        self.log_temperature = nn.Parameter(torch.tensor(math.log(_TEMPERATURE)))

    def scale(self) -> Tensor:
        """The factor before the softmax of log-likelihoods."""
        return self.log_temperature.exp()

    def forward(self, inputs: HierarchyInputs, keep_items: Tensor | None = None) -> Tensor:
        """Words of all nodes, each relation's part summing to 1. Shapes: -> (nodes, words)."""
        parts = []
        for part in inputs.words.sum(0).split(self.sizes, -1):
            says = part.sum(-1, keepdim=True) > _SAME
            common = (part * says).sum(0) / says.sum().clamp_min(1)
            parts.append(torch.where(says, part / part.sum(-1, keepdim=True).clamp_min(_SMALLEST_SHARE), common))
        classes = torch.cat(parts, -1)
        if (context := self.context_of(inputs, keep_items)) is not None:
            classes = self._moved(classes, context)
        own = inputs.members @ classes / inputs.members.sum(1, keepdim=True)
        root = own.clamp_min(_SMALLEST_SHARE).sqrt() / len(self.sizes) ** 0.5
        return self._moved(own, self.words(root, inputs.mask) - root)

    def ask(self, inputs: HierarchyInputs) -> Tensor:
        """Words of all nodes."""
        return self(inputs)

    def logits(self, inputs: HierarchyInputs, feat: Tensor, keep_items: Tensor | None = None) -> Tensor:
        """Shapes: (n, width), or states of `pictures` -> (n, nodes)."""
        feat = self.pictures(feat) if self.pictures else feat
        nodes, form = self(inputs, keep_items), self._calibration()
        return self.scale() * log_likelihoods(feat @ self.spoken().T, nodes, sizes=self.sizes, **form)

    def spoken(self) -> Tensor:
        """Vectors of the phrases that pictures are read by, through prompts where there are some."""
        return self.phrases if self.texts is None else self.texts(self.phrase_ids)

    def penalty(self) -> Tensor:
        """Sum of squares of all that began at zero."""
        return sum(part.square().sum() for part in (self.log_scale, self.log_weight, self.log_floor, self.bias))

    def questions(self) -> Questions:
        """What pictures are asked: the nodes of `asked` with their words as they are now."""
        known = {name: value.detach().numpy() for name, value in self._calibration().items()}
        nodes = self.asked()[0].detach().numpy()
        return Questions(self.spoken().detach().numpy(), self.sizes, nodes=nodes, **known)

    def published_scale(self) -> float:
        """The factor before the softmax of dot products of what is published."""
        return float(self.scale().detach()) * self.questions().bound

    def image_vectors(self, feat: Tensor) -> Tensor:
        """Log-likelihoods of the asked nodes over their bound, unit length. Shapes: (n, width) -> (n, asked + 2)."""
        return self.questions().vectors(self.pictures(feat) if self.pictures else feat)

    def class_vectors(self, inputs: HierarchyInputs) -> Tensor:
        """One axis for a node that was asked; for any other the mixture of classes that were, whose words are nearest.

        Shapes: -> (nodes, asked + 2) of unit length.
        """
        (asked, classes), found = self.asked(), self(inputs)
        gaps = (found[:, None] - asked[None]).abs().amax(-1)
        axes = torch.eye(len(asked))[gaps.argmin(1)]
        mixed = torch.linalg.lstsq(asked[:classes].T, found.T).solution.T.clamp_min(0)
        mixed = mixed / mixed.sum(1, keepdim=True).clamp_min(_SMALLEST_SHARE)
        mixed = torch.cat([mixed, torch.zeros(len(found), len(asked) - classes)], 1)
        return padded(torch.where((gaps.amin(1) < _SAME)[:, None], axes, mixed), at=1)

    def _moved(self, shares: Tensor, by: Tensor) -> Tensor:
        """Distributions whose logarithms are moved. Shapes: (n, words) twice -> (n, words)."""
        told = shares.clamp_min(_SMALLEST_SHARE).log() + by
        return torch.cat([part.softmax(-1) for part in told.split(self.sizes, -1)], -1)

    def _calibration(self) -> dict[str, Tensor]:
        return {
            "scale": _SCALE * self.log_scale.exp(),
            "bias": self.bias,
            "weight": self.log_weight.exp(),
            "floor": (_FLOOR * self.log_floor.exp()).clamp(max=0.5),
        }
