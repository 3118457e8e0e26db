"""How far can a probability be trusted, and which temperature makes it honest?

Reference: Guo et al. 2017, On Calibration of Modern Neural Networks.
"""

from __future__ import annotations

import math

import torch
from scipy.optimize import minimize_scalar
from torch import Tensor
from torchmetrics.functional.classification import multiclass_calibration_error

__all__ = ["calibration_of", "expected_calibration_error", "fit_temperature"]

_SMALLEST, _LARGEST = 0.05, 20.0


def expected_calibration_error(probabilities: Tensor, targets: Tensor, *, bins: int = 15) -> float:
    """Mean distance between confidence and accuracy over `bins` equal bins of confidence, weighted by their examples.

    Shapes: probabilities (examples, classes), targets (examples,).
    """
    classes = probabilities.shape[1]
    return float(multiclass_calibration_error(probabilities, targets, num_classes=classes, n_bins=bins, norm="l1"))


def fit_temperature(logits: Tensor, targets: Tensor) -> float:
    """The T that minimises cross-entropy of softmax(logits / T), between 0.05 and 20; 1.0 where there is no example.

    Shapes: logits (examples, classes), targets (examples,).
    """
    if len(targets) == 0:
        return 1.0
    exact = logits.double()

    def loss(log_temperature: float) -> float:
        return float(torch.nn.functional.cross_entropy(exact / math.exp(log_temperature), targets))

    found = minimize_scalar(loss, bounds=(math.log(_SMALLEST), math.log(_LARGEST)), method="bounded")
    return math.exp(float(found.x))


def calibration_of(logits: Tensor, targets: Tensor) -> dict[str, float]:
    """The temperature that fits valid images, and the calibration error there before and after it."""
    temperature = fit_temperature(logits, targets)
    before = expected_calibration_error(logits.softmax(1), targets)
    after = expected_calibration_error((logits / temperature).softmax(1), targets)
    return {"temperature": temperature, "valid_ece_before": before, "valid_ece_after": after}
