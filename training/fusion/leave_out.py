"""How much does each likeness say about the class? Kernel ridge regression that learns its kernels' weights.

The answer for an item is what all other items of known class say of it, each by how alike they are. What those answers
would be for training items, had their own class (or that of their whole group) not been known, has a closed form; the
weights are those with the smallest cross-entropy of these answers, so nothing is chosen on items it was trained on.

Reference: Rasmussen and Williams 2006, Gaussian Processes for Machine Learning, 5.4.2 (leave-one-out); for groups, the
same with blocks of the inverse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

__all__ = ["Blend", "duals", "learn_blend", "left_out_scores", "mix", "scores_of"]

_FLOOR = 1e-6


@dataclass(frozen=True)
class Blend:
    """Weights of the kernels by name, relative to a noise of one, and the scale that makes scores logits."""

    weights: dict[str, float]
    scale: float


def learn_blend(
    kernels: dict[str, np.ndarray],
    targets: np.ndarray,
    *,
    n_classes: int,
    groups: np.ndarray | None = None,
    steps: int = 40,
    rate: float = 0.25,
) -> Blend:
    """Weights by gradient descent on the left-out cross-entropy.

    Shapes: kernels (n, n) each, targets (n,); groups (n,): who is left out together, by default each by itself.
    """
    names = list(kernels)
    stack = [torch.as_tensor(kernels[name]) for name in names]
    logs = torch.full((len(names) + 1,), float(np.log(3.0 / max(len(names), 1))), dtype=torch.float64)
    logs[-1] = 1.5
    logs.requires_grad_()
    wanted = torch.as_tensor(targets)
    blocks = _blocks(groups, len(targets))
    optimiser = torch.optim.Adam([logs], lr=rate, betas=(0.8, 0.95))
    for _ in range(steps):
        optimiser.zero_grad()
        mixed = _mixed(stack, logs.detach()[:-1].exp()).requires_grad_()
        scale = logs[-1].exp()
        loss = torch.nn.functional.cross_entropy(scale * _left_out(mixed, wanted, n_classes, blocks), wanted)
        loss.backward()
        # One product per kernel with the gradient of the mixture, instead of a graph through all of them.
        slopes = torch.stack([(mixed.grad.float() * kernel).sum().double() for kernel in stack])
        logs.grad[:-1] = slopes * logs.detach()[:-1].exp()
        optimiser.step()
    found = logs.detach().exp().numpy()
    return Blend(dict(zip(names, map(float, found[:-1]), strict=True)), float(found[-1]))


def left_out_scores(
    kernels: dict[str, np.ndarray],
    targets: np.ndarray,
    blend: Blend,
    *,
    n_classes: int,
    groups: np.ndarray | None = None,
) -> np.ndarray:
    """Logits of training items as if their own class, or that of their group, were unknown. Shapes: -> (n, classes)."""
    mixed = torch.as_tensor(mix(kernels, blend))
    scores = _left_out(mixed, torch.as_tensor(targets), n_classes, _blocks(groups, len(targets)))
    return blend.scale * scores.numpy()


def mix(kernels: dict[str, np.ndarray], blend: Blend) -> np.ndarray:
    """The weighted sum of the kernels that are there; one that is hidden adds nothing."""
    first = next(iter(kernels.values()))
    total = np.zeros(first.shape)
    for name, kernel in kernels.items():
        total += blend.weights[name] * kernel
    return total


def scores_of(known: np.ndarray, asked: np.ndarray, targets: np.ndarray, blend: Blend, *, n_classes: int) -> np.ndarray:
    """Logits of asked items. Shapes: known (n, n), asked (m, n), targets (n,) -> (m, classes)."""
    return blend.scale * (asked @ duals(known, targets, n_classes=n_classes))


def duals(known: np.ndarray, targets: np.ndarray, *, n_classes: int) -> np.ndarray:
    """How much each known item speaks for each class. Shapes: known (n, n), targets (n,) -> (n, classes)."""
    return np.linalg.solve(known + np.eye(len(known)), np.eye(n_classes)[targets] - 1 / n_classes)


def _mixed(stack: Sequence[Tensor], weights: Tensor) -> Tensor:
    total = torch.zeros_like(stack[0], dtype=torch.float64)
    for kernel, weight in zip(stack, weights, strict=True):
        total.add_(kernel, alpha=float(weight))
    return total


def _left_out(mixed: Tensor, targets: Tensor, n_classes: int, blocks: Sequence[Tensor]) -> Tensor:
    """f_B = y_B - (G_BB)^-1 (G y)_B with G = (K + 1)^-1, for every block B left out together."""
    centred = torch.nn.functional.one_hot(targets, n_classes).double() - 1 / n_classes
    inverse = torch.linalg.inv(mixed + torch.eye(len(mixed), dtype=mixed.dtype))
    dual = inverse @ centred
    if len(blocks) == len(targets):
        return centred - dual / inverse.diagonal().clamp_min(_FLOOR)[:, None]
    found = torch.empty_like(centred)
    for rows in blocks:
        found = found.index_copy(0, rows, centred[rows] - torch.linalg.solve(inverse[rows][:, rows], dual[rows]))
    return found


def _blocks(groups: np.ndarray | None, count: int) -> list[Tensor]:
    if groups is None:
        return list(torch.arange(count)[:, None])
    return [torch.as_tensor(np.flatnonzero(groups == group)) for group in np.unique(groups)]
