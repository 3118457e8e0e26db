"""How far is each image from its own caption, and from the right phrase of every attribute?"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["info_nce", "masked_cross_entropy", "naming_loss", "slot_scores"]


def info_nce(image: Tensor, text: Tensor, *, scale: Tensor | float) -> Tensor:
    """Symmetric InfoNCE with in-batch negatives: image i belongs to text i.

    L = 1/2n sum_i [ -log softmax_j(s <u_i, v_j>)_i - log softmax_j(s <u_j, v_i>)_i ],  s = 1/temperature

    Shapes: image (n, dim) and text (n, dim), unit length; result a scalar.
    Reference: van den Oord et al. 2018, equation 4; Radford et al. 2021 (CLIP), figure 3.
    """
    logits = scale * image @ text.T  # (n, n)
    target = torch.arange(len(image), device=image.device)
    return 0.5 * (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target))


def masked_cross_entropy(
    scores: Sequence[Tensor], labels: Tensor, visible: Tensor, weights: Sequence[float] | None = None
) -> Tensor:
    """Weighted mean over slots of the cross-entropy over a slot's values, counted only where the slot can be seen.

    Shapes: scores[s] (n, values of s); labels (n, slots) int64; visible (n, slots) bool; weights (slots), all alike
    where absent; result a scalar, 0 where nothing is visible.
    """
    terms = []
    for slot, logits in enumerate(scores):
        seen = visible[:, slot].to(logits.dtype)
        each = F.cross_entropy(logits, labels[:, slot], reduction="none")
        terms.append((each * seen).sum() / seen.sum().clamp(min=1))
    by_slot = torch.stack(terms)
    weight = by_slot.new_ones(len(terms)) if weights is None else by_slot.new_tensor(weights)
    return (weight * by_slot).sum() / weight.sum()


def naming_loss(phrases: Tensor, prototypes: Tensor, *, scale: float = 20.0) -> Tensor:
    """Cross-entropy of phrase k's cosines with all prototypes: it must be nearest to its own.

    Shapes: phrases (n, dim) and prototypes (n, dim), unit length; result a scalar.
    """
    return F.cross_entropy(scale * phrases @ prototypes.T, torch.arange(len(phrases), device=phrases.device))


def slot_scores(image: Tensor, phrases: Tensor, sizes: Sequence[int], *, scale: Tensor | float) -> list[Tensor]:
    """Scaled cosines of images with the phrases of each slot.

    Shapes: image (n, dim), phrases (sum(sizes), dim), unit length; result: one (n, size) per slot.
    """
    return list((scale * image @ phrases.T).split(list(sizes), dim=1))
