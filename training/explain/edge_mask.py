"""Which small part of a class's neighbourhood keeps its probability, and takes it away when it goes?

A mask m = sigmoid(w) over the units around class c is learnt for one image i:

    minimise  -log p(c | i, m)  +  size * mean(m)  +  entropy * mean H(m)          H(m) = -m ln m - (1-m) ln(1-m)

p is the softmax over all classes with c's vector taken under the mask (`Neighbourhood.masked`, quick). The size term
drives out what does not help, the entropy term what is undecided.

Reference: Ying et al. 2019, "GNNExplainer: Generating Explanations for Graph Neural Networks", equations 5 and 6 with
the regularisers of the authors' code. DGL's HeteroGNNExplainer is not used: it explains a node's own arg-max over a
softmax layer, where here a class node's vector is the model's output and the decision is made with an image; it scales
messages without dividing by what is left, so that a mask of zeros and ones is not the graph without those edges; and
what phrases and linked images say of a class does not pass through the network it would mask. Its feature masks are
left out: the features are embeddings, whose numbers mean nothing to a curator.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from training.explain.neighbourhood import Neighbourhood

__all__ = ["Decision", "MaskOptions", "learn_mask", "leave_one_out"]

_START_SPREAD = 0.1


@dataclass(frozen=True)
class Decision:
    """An image between all classes of a task.

    Shapes: image (width,), classes (classes, width), both of unit length.
    """

    image: Tensor
    classes: Tensor
    row: int
    """Of the class that is explained."""
    sharpness: float
    """Scale over temperature: probabilities = softmax(sharpness * cosines)."""

    def log_probability(self, vector: Tensor) -> Tensor:
        """Of the class, if that were its vector. Shapes: (width,) -> ()."""
        logits = self.sharpness * (self.classes @ self.image)
        logits = torch.cat([logits[: self.row], (self.sharpness * vector @ self.image)[None], logits[self.row + 1 :]])
        return logits.log_softmax(0)[self.row]


@dataclass(frozen=True)
class MaskOptions:
    """How the mask is learnt."""

    steps: int = 60
    learning_rate: float = 0.1
    size: float = 0.5
    entropy: float = 0.1
    rng_seed: int = 0


def learn_mask(around: Neighbourhood, decision: Decision, options: MaskOptions | None = None) -> Tensor:
    """How much each unit is needed, 0..1; the same seed gives the same mask. Shapes: -> (units,)."""
    options = options or MaskOptions()
    if not around.units:
        return torch.zeros(0)
    generator = torch.Generator().manual_seed(options.rng_seed)
    weight = (_START_SPREAD * torch.randn(len(around.units), generator=generator)).requires_grad_(True)
    optimiser = torch.optim.Adam([weight], lr=options.learning_rate)
    for _ in range(options.steps):
        mask = weight.sigmoid()
        loss = -decision.log_probability(around.masked(mask, quick=True)) + _regularisers(mask, options)
        (weight.grad,) = torch.autograd.grad(loss, [weight])  # the model's own parameters get no gradient
        optimiser.step()
    return weight.detach().sigmoid()


@torch.no_grad()
def leave_one_out(around: Neighbourhood, decision: Decision) -> Tensor:
    """By how much the log-probability falls when one unit is taken out of the graph. Shapes: -> (units,)."""
    whole = torch.ones(len(around.units))
    before = decision.log_probability(around.masked(whole, quick=True))
    falls = []
    for number in range(len(around.units)):
        mask = whole.clone()
        mask[number] = 0
        falls.append(before - decision.log_probability(around.masked(mask, quick=True)))
    return torch.stack(falls) if falls else torch.zeros(0)


def _regularisers(mask: Tensor, options: MaskOptions) -> Tensor:
    inner = mask.clamp(1e-6, 1 - 1e-6)
    entropy = -(inner * inner.log() + (1 - inner) * (1 - inner).log())
    return options.size * mask.mean() + options.entropy * entropy.mean()
