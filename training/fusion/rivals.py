"""How far do simple combinations of image and graph get on the same rows: a look-up, a stack, a product?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

__all__ = ["chosen_probe", "left_out_counts", "log_probabilities", "out_of_fold", "stack"]

_STRENGTHS = (1e-3, 3e-3, 1e-2)
_FACT_STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0)
_SMOOTHING = 0.5
_FOLDS, _FOLDS_TO_CHOOSE = 5, 3


def chosen_probe(
    feat: np.ndarray, targets: np.ndarray, groups: np.ndarray | None = None, *, scaled: bool = True
) -> tuple[Pipeline, float]:
    """A logistic regression whose strength is chosen by cross-validation, and that strength.

    `scaled` standardises, as image features want; ones and zeros do not.
    """
    strengths = _STRENGTHS if scaled else _FACT_STRENGTHS
    chosen_by = {"scaled": scaled, "folds": _FOLDS_TO_CHOOSE}
    hits = [(out_of_fold(feat, targets, c, groups, **chosen_by).argmax(1) == targets).mean() for c in strengths]
    best = strengths[int(np.argmax(hits))]
    return _probe(best, scaled).fit(feat, targets), best


def out_of_fold(
    feat: np.ndarray,
    targets: np.ndarray,
    strength: float,
    groups: np.ndarray | None = None,
    *,
    scaled: bool = True,
    folds: int = _FOLDS,
) -> np.ndarray:
    """Log-probabilities of rows by models not trained on them, nor on their group. Shapes: -> (n, classes)."""
    found = np.zeros((len(feat), int(targets.max()) + 1))
    splitter = (
        StratifiedKFold(folds, shuffle=True, random_state=0).split(feat, targets)
        if groups is None
        else GroupKFold(folds, shuffle=True, random_state=0).split(feat, targets, groups)
    )
    for fitted, asked in splitter:
        found[asked] = log_probabilities(_probe(strength, scaled).fit(feat[fitted], targets[fitted]), feat[asked])
    return found


def log_probabilities(probe: Pipeline, feat: np.ndarray) -> np.ndarray:
    """Of all classes, none below 1e-9."""
    return np.log(np.clip(probe.predict_proba(feat), 1e-9, 1))


def left_out_counts(neighbour: np.ndarray, targets: np.ndarray, known: np.ndarray, *, n_classes: int) -> np.ndarray:
    """Log of each neighbour's smoothed class shares; a known item's own class is not counted for it.

    Shapes: neighbour (n,) node rows, targets (n,) looked at only where known (n,) bool -> (n, classes).
    """
    counts = np.zeros((neighbour.max() + 1, n_classes))
    np.add.at(counts, (neighbour[known], targets[known]), 1)
    own = counts[neighbour]
    own[np.flatnonzero(known), targets[known]] -= 1
    return np.log((own + _SMOOTHING) / (own.sum(1, keepdims=True) + _SMOOTHING * n_classes))


def stack(parts: Sequence[np.ndarray], targets: np.ndarray, known: np.ndarray) -> np.ndarray:
    """A logistic regression over log-probabilities, trained on known rows. Shapes: -> (n, classes)."""
    columns = np.hstack(list(parts))
    model = LogisticRegression(max_iter=2000).fit(columns[known], targets[known])
    return log_probabilities(model, columns)


def _probe(strength: float, scaled: bool) -> Pipeline:
    model = LogisticRegression(C=strength, max_iter=1000)
    return make_pipeline(StandardScaler(), model) if scaled else make_pipeline(model)
