"""How far do simpler methods get on the same features and the same examples?"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

__all__ = ["class_mean_scores", "linear_probe_scores", "unit"]

STRENGTHS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
"""Inverse regularisation of the linear probe; the best on valid is taken."""


def linear_probe_scores(
    train: tuple[np.ndarray, np.ndarray], valid: tuple[np.ndarray, np.ndarray], *, n_classes: int
) -> Callable[[np.ndarray], np.ndarray]:
    """A logistic regression on standardised features, as a function from features to log-probabilities.

    Classes that were not trained on get -inf.
    Shapes: train and valid (features (n, d), class rows (n,)); the function (m, d) -> (m, n_classes).
    """
    probes = [_probe(strength).fit(*train) for strength in STRENGTHS]
    best = max(probes, key=lambda probe: probe.score(*valid))

    def scores(feat: np.ndarray) -> np.ndarray:
        found = np.full((len(feat), n_classes), -np.inf)
        found[:, best[-1].classes_] = best.predict_log_proba(feat)
        return found

    return scores


def class_mean_scores(feat_train: np.ndarray, targets: np.ndarray, feat: np.ndarray, *, n_classes: int) -> np.ndarray:
    """Cosines with the mean training feature of each class; classes without one get -inf. Shapes: -> (m, n_classes)."""
    scores = np.full((len(feat), n_classes), -np.inf)
    for row in np.unique(targets):
        scores[:, row] = unit(feat) @ unit(feat_train[targets == row].mean(0))
    return scores


def unit(values: np.ndarray) -> np.ndarray:
    """Rows of unit length; a zero row stays zero."""
    return values / np.maximum(np.linalg.norm(values, axis=-1, keepdims=True), 1e-12)


def _probe(strength: float) -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))
