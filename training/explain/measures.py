"""Is an explanation true: does the model lose the class with what the explanation names, and keep it by that alone?

Map: pixels leave the picture (deletion) or come back into a blurred one (insertion) in the map's order; a good map has
a low area under the class's probability in the first case and a high one in the second. Random maps of the same grid
stand beside it, and a blob in the middle, where sarees and sitters are. Reference: Petsiuk et al. 2018, "RISE".

Sub-graph: fidelity+ is what the class's probability loses without the named share of its neighbours, fidelity- what it
loses with nothing but them. Reference: Yuan et al. 2022, "Explainability in Graph Neural Networks: A Taxonomic Survey".

Sanity: with the encoder's weights made random from the last layer to the first, a map that explains the model must
change. Reference: Adebayo et al. 2018, "Sanity Checks for Saliency Maps" (cascading randomisation).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.explain.edge_mask import Decision
from training.explain.heat_map import ImageModel, heat_maps
from training.explain.neighbourhood import Neighbourhood

__all__ = [
    "Interval",
    "bootstrap",
    "centre_map",
    "faithfulness",
    "fidelity",
    "random_map",
    "randomised_correlations",
    "share_of",
]

_STEPS = 14
_BLUR_SHARE = 0.09
_GRID = 7


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % bootstrap interval over images."""

    mean: float
    low: float
    high: float
    spread: float
    """Standard deviation over the images."""
    n: int


def bootstrap(values: Sequence[float], *, rng_seed: int = 0, resamples: int = 2000) -> Interval:
    """Mean of one value an image, with the percentile interval of its resampled means."""
    found = np.asarray(values, np.float64)
    rng = np.random.default_rng(rng_seed)
    means = found[rng.integers(0, len(found), (resamples, len(found)))].mean(1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float(found.mean()), float(low), float(high), float(found.std()), len(found))


@torch.no_grad()
def faithfulness(model: ImageModel, picture: Tensor, decision: Decision, heat: np.ndarray) -> tuple[float, float]:
    """Areas under the class's probability over insertion and deletion in the map's order, 0..1.

    Shapes: picture (3, px, px), heat (px, px).
    """
    order = torch.as_tensor(np.argsort(-heat, axis=None, kind="stable").copy())
    rank = torch.empty_like(order).scatter_(0, order, torch.arange(len(order))).view(picture.shape[1:])
    counts = torch.linspace(0, rank.numel(), _STEPS + 1)[:, None, None]
    shown = (rank[None] < counts)[:, None]
    blurred, grey = _blurred(picture), picture.mean((1, 2), keepdim=True)
    inserted = _probabilities(model, torch.where(shown, picture, blurred), decision)
    deleted = _probabilities(model, torch.where(shown, grey, picture), decision)
    return _area(inserted), _area(deleted)


@torch.no_grad()
def fidelity(
    around: Neighbourhood, decision: Decision, chosen: Tensor, *, always: Tensor | None = None
) -> tuple[float, float]:
    """fidelity+ and fidelity- of a choice of neighbours, in probability.

    `always`: neighbours that are left in place in both cases, because they are not in question.
    Shapes: chosen, always (units,) bool.
    """
    always = torch.zeros_like(chosen) if always is None else always
    whole = decision.log_probability(around.vector()).exp()
    without = decision.log_probability(around.masked((~chosen | always).float())).exp()
    alone = decision.log_probability(around.masked((chosen | always).float())).exp()
    return float(whole - without), float(whole - alone)


def random_map(px: int, rng: np.random.Generator) -> np.ndarray:
    """A map of random cells, as coarse as a transformer's. Shapes: -> (px, px)."""
    return _enlarged(rng.permutation(_GRID * _GRID).reshape(_GRID, _GRID) / (_GRID * _GRID - 1), px)


def centre_map(px: int) -> np.ndarray:
    """A blob in the middle. Shapes: -> (px, px)."""
    place = np.linspace(-1, 1, px)
    return np.exp(-2 * (place[:, None] ** 2 + place[None] ** 2)).astype(np.float32)


def randomised_correlations(
    model: ImageModel, batch: Tensor, class_vectors: Sequence[Tensor], *, stages: int = 4, rng_seed: int = 0
) -> list[tuple[float, float]]:
    """Share of the encoder's layers made random, from the last, and the maps' mean rank correlation with the first.

    Shapes: batch (n, 3, px, px).
    """
    before = _coarse(heat_maps(model, batch, class_vectors))
    layers = [module for module in model.tower.modules() if list(module.parameters(recurse=False))][::-1]
    found = []
    with _restored(model.tower):
        generator = torch.Generator().manual_seed(rng_seed)
        for stage in range(stages):
            part = slice(stage * len(layers) // stages, (stage + 1) * len(layers) // stages)
            for layer in layers[part]:
                _randomise(layer, generator)
            after = _coarse(heat_maps(model, batch, class_vectors))
            pairs = [_rank_correlation(a, b) for a, b in zip(before, after, strict=True)]
            found.append(((stage + 1) / stages, float(np.mean(pairs))))
    return found


def share_of(scores: Tensor, share: float) -> Tensor:
    """The highest share of the scores, at least one. Shapes: (units,) -> (units,) bool."""
    chosen = torch.zeros(len(scores), dtype=torch.bool)
    chosen[scores.argsort(descending=True, stable=True)[: max(1, math.ceil(share * len(scores)))]] = True
    return chosen


def _probabilities(model: ImageModel, pictures: Tensor, decision: Decision) -> Tensor:
    logits = decision.sharpness * model(pictures) @ decision.classes.T
    return logits.softmax(1)[:, decision.row]


def _area(curve: Tensor) -> float:
    return float((curve[1:] + curve[:-1]).mean() / 2)


def _blurred(picture: Tensor) -> Tensor:
    """A Gaussian blur that leaves colours and no forms. Shapes: (3, px, px) -> (3, px, px)."""
    sigma = _BLUR_SHARE * picture.shape[-1]
    reach = int(2 * sigma)
    kernel = torch.exp(-(torch.arange(-reach, reach + 1).float() ** 2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).expand(3, 1, 1, -1)
    padded = F.pad(picture[None], (reach, reach, reach, reach), mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel, groups=3), kernel.transpose(2, 3), groups=3)[0]


def _enlarged(cells: np.ndarray, px: int) -> np.ndarray:
    found = F.interpolate(torch.as_tensor(cells, dtype=torch.float32)[None, None], (px, px), mode="bilinear")
    return found[0, 0].numpy()


def _coarse(maps: np.ndarray) -> np.ndarray:
    """Maps at the size that they have before they are enlarged. Shapes: (n, px, px) -> (n, cells)."""
    return F.adaptive_avg_pool2d(torch.as_tensor(maps)[:, None], _GRID).flatten(1).numpy()


def _rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's, 0 where one map is flat."""
    from scipy.stats import spearmanr

    return 0.0 if np.ptp(a) == 0 or np.ptp(b) == 0 else float(spearmanr(a, b).statistic)


def _randomise(layer: nn.Module, generator: torch.Generator) -> None:
    """Normal weights with the mean and spread that the layer's have."""
    with torch.no_grad():
        for parameter in layer.parameters(recurse=False):
            spread = parameter.std() if parameter.numel() > 1 else parameter.abs().mean()
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(parameter.mean() + spread * noise)


@contextmanager
def _restored(module: nn.Module) -> Iterator[None]:
    kept = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    try:
        yield
    finally:
        module.load_state_dict(kept)
