"""How loudly may a class speak that has no image, beside classes that were trained on theirs?

Some training classes play unseen: a network of its own is trained without them, for each of several groups. On these
the weight and the bias of classes without images are chosen; classes that are really unseen are never looked at.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from training.metrics.classification import harmonic_mean

__all__ = ["Fold", "Voice", "choose_voice", "fold_classes"]

_WEIGHTS = (0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7, 0.8)
_BIASES = tuple(step / 20 for step in range(-8, 13))
_FEWEST_A_FOLD = 2
_SILENT = -1e4


@dataclass(frozen=True)
class Voice:
    """Weight of the text and bias along the images' mean direction, and what pseudo-unseen classes made of them."""

    weight: float
    bias: float
    seen_top1: float
    unseen_top1: float


@dataclass(frozen=True)
class Fold:
    """One group of classes that plays unseen.

    Shapes: seen_vectors (classes, width); each of seen and unseen is (images (n, width), class rows (n,)).
    """

    classes: np.ndarray
    seen_vectors: Tensor
    unseen_vectors: Callable[[float, float], Tensor]
    """(weight, bias) -> vectors of all classes as if they had no image, (classes, width)."""
    seen: tuple[Tensor, Tensor]
    unseen: tuple[Tensor, Tensor]


def fold_classes(classes: np.ndarray, count: int, *, rng_seed: int) -> list[np.ndarray]:
    """Random groups of classes of like size; fewer than `count`, or none, where there are too few classes."""
    count = min(count, len(classes) // _FEWEST_A_FOLD)
    if count < 2:
        return []
    return [np.sort(part) for part in np.array_split(np.random.default_rng(rng_seed).permutation(classes), count)]


def choose_voice(folds: Sequence[Fold], *, competing: np.ndarray) -> Voice:
    """The weight and bias with the best harmonic mean of seen and pseudo-unseen accuracy, averaged over the folds.

    `competing` are the rows of the classes that are trained on; others never win.
    """
    measured = {
        voice: [_accuracies(fold, *voice, competing) for fold in folds]
        for voice in itertools.product(_WEIGHTS, _BIASES)
    }
    best = max(measured, key=lambda voice: np.mean([harmonic_mean(*pair) for pair in measured[voice]]))
    seen, unseen = np.mean(measured[best], axis=0)
    return Voice(*best, float(seen), float(unseen))


def _accuracies(fold: Fold, weight: float, bias: float, competing: np.ndarray) -> tuple[float, float]:
    vectors = fold.seen_vectors.clone()
    vectors[fold.classes] = fold.unseen_vectors(weight, bias)[fold.classes]
    silent = np.setdiff1d(np.arange(len(vectors)), competing)
    return _top1(vectors, *fold.seen, silent), _top1(vectors, *fold.unseen, silent)


def _top1(vectors: Tensor, images: Tensor, targets: Tensor, silent: np.ndarray) -> float:
    if not len(targets):
        return 0.0
    scores = images @ vectors.T
    scores[:, silent] = _SILENT
    return float((scores.argmax(1) == targets).to(torch.float32).mean())
