"""Is a new model clearly worse than the one in use, on images that neither was chosen by?

Both answer the same gate images, so every comparison is a paired one. A model is refused where the data show, at an
error rate of `alpha` for all comparisons together, that it loses more than a margin: in top-1, in the recall of some
class, on held-out classes, or in calibration. An equal model therefore passes; so does one about which too few images
say anything, and the verdict tells how many there were.

Reference: Tango 1998, Equivalence test and confidence interval for the difference in proportions for the paired-sample
design (score statistic, constrained estimate); Holm 1979, A simple sequentially rejective multiple test procedure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm

__all__ = ["Answers", "Finding", "Margins", "Verdict", "holm", "judge", "loss_p_value", "lower_bound_of_loss"]

_FAMILIES = 4
_BINS = 15
_RESAMPLES, _AT_ONCE = 1000, 50


@dataclass(frozen=True)
class Answers:
    """What one model says of the gate images, in the same order for both. Shapes: all (images,)."""

    predicted: np.ndarray
    """Class rows."""
    confidence: np.ndarray
    """Calibrated probability of the predicted class."""


@dataclass(frozen=True)
class Margins:
    """How much may be lost, in shares 0..1."""

    top1: float = 0.01
    recall: float = 0.10
    held_out: float = 0.02
    calibration: float = 0.03


@dataclass(frozen=True)
class Finding:
    """One comparison."""

    measure: str
    """top1 | recall | held_out | calibration"""
    loss: float
    """The active model's figure minus the new one's; for calibration the other way round. Above 0 is worse."""
    at_least: float
    """Lower bound of the loss, corrected for all comparisons."""
    margin: float
    images: int
    refused: bool
    class_key: str | None = None

    def line(self) -> str:
        """For people."""
        what = f"recall of {self.class_key}" if self.class_key else self.measure
        return (
            f"{what}: loses {self.loss:+.3f}, surely {self.at_least:+.3f}, allowed {self.margin} ({self.images} images)"
        )


@dataclass(frozen=True)
class Verdict:
    """The gate's answer."""

    passed: bool
    findings: tuple[Finding, ...] = ()
    images: int = 0
    against: str | None = None
    """The version it was compared with."""
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain values: of the classes only those that were refused."""
        told = [asdict(f) for f in self.findings if f.refused or f.measure != "recall"]
        return {**asdict(self), "findings": told}


def judge(
    targets: np.ndarray,
    candidate: Answers,
    active: Answers,
    *,
    class_keys: Sequence[str],
    held_out: np.ndarray | None = None,
    margins: Margins | None = None,
    alpha: float = 0.05,
    rng_seed: int = 0,
) -> Verdict:
    """Whether `candidate` may take the place of `active`.

    Shapes: targets, held_out (images,): class rows, and which images are of classes that neither model trained on.
    """
    margins, share = margins or Margins(), alpha / _FAMILIES
    held_out = np.zeros(len(targets), bool) if held_out is None else held_out
    right, was_right = candidate.predicted == targets, active.predicted == targets
    seen = ~held_out
    findings = [_compare("top1", right[seen], was_right[seen], margins.top1, share)]
    findings += _recalls(targets[seen], right[seen], was_right[seen], class_keys, margins.recall, share)
    if held_out.any():
        findings.append(_compare("held_out", right[held_out], was_right[held_out], margins.held_out, share))
    pair = [(right[seen], candidate.confidence[seen]), (was_right[seen], active.confidence[seen])]
    findings.append(_calibration(pair, margins.calibration, share, rng_seed))
    return Verdict(not any(f.refused for f in findings), tuple(findings), images=len(targets))


def loss_p_value(lost: int, won: int, n: int, margin: float) -> float:
    """One-sided p of "the loss is at most `margin`", given how many images only the active (only the new) model gets.

    Reference: Tango 1998, score statistic with the constrained maximum-likelihood estimate of the discordant share.
    """
    a, b, c = 2 * n, -lost - won + (2 * n - lost + won) * margin, -won * margin * (1 - margin)
    q = (np.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)
    variance = n * (2 * q + margin * (1 - margin))
    if variance <= 0:
        return 1.0
    return float(norm.sf((lost - won - n * margin) / np.sqrt(variance)))


def lower_bound_of_loss(lost: int, won: int, n: int, alpha: float) -> float:
    """The smallest loss that a one-sided test at `alpha` does not rule out; -1 where nothing is ruled out."""
    observed, smallest = (lost - won) / n, -1 + 1e-9
    if loss_p_value(lost, won, n, smallest) >= alpha:
        return -1.0
    if loss_p_value(lost, won, n, min(observed, 1 - 1e-9)) < alpha:  # everybody lost, nothing varies
        return observed
    return float(brentq(lambda d: loss_p_value(lost, won, n, d) - alpha, smallest, min(observed, 1 - 1e-9)))


def holm(p_values: Sequence[float]) -> np.ndarray:
    """p-values corrected for their number, step down. Shapes: (n,) -> (n,)."""
    p, n = np.asarray(p_values, np.float64), len(p_values)
    order = np.argsort(p)
    corrected = np.maximum.accumulate(p[order] * (n - np.arange(n)))
    out = np.empty(n)
    out[order] = np.minimum(1.0, corrected)
    return out


def _compare(measure: str, right: np.ndarray, was_right: np.ndarray, margin: float, alpha: float) -> Finding:
    lost, won, n = _counts(right, was_right)
    if n == 0:
        return Finding(measure, 0.0, -1.0, margin, 0, False)
    bound = lower_bound_of_loss(lost, won, n, alpha)
    return Finding(measure, (lost - won) / n, bound, margin, n, loss_p_value(lost, won, n, margin) < alpha)


def _recalls(
    targets: np.ndarray, right: np.ndarray, was_right: np.ndarray, keys: Sequence[str], margin: float, alpha: float
) -> list[Finding]:
    """Every class that has images, corrected for their number."""
    rows = np.unique(targets)
    counts = [_counts(right[targets == row], was_right[targets == row]) for row in rows]
    corrected = holm([loss_p_value(lost, won, n, margin) for lost, won, n in counts])
    return [
        Finding(
            "recall",
            (lost - won) / n,
            lower_bound_of_loss(lost, won, n, alpha / len(rows)),
            margin,
            n,
            bool(p < alpha),
            class_key=keys[row],
        )
        for row, (lost, won, n), p in zip(rows, counts, corrected, strict=True)
    ]


def _counts(right: np.ndarray, was_right: np.ndarray) -> tuple[int, int, int]:
    return int((was_right & ~right).sum()), int((right & ~was_right).sum()), len(right)


def _calibration(pair: list[tuple[np.ndarray, np.ndarray]], margin: float, alpha: float, rng_seed: int) -> Finding:
    """Expected calibration error of both on the same resamples of images (Poisson bootstrap)."""
    n = len(pair[0][0])
    if n == 0:
        return Finding("calibration", 0.0, -1.0, margin, 0, False)
    gaps = np.hstack([_gaps(right, confidence) for right, confidence in pair])
    rng, resampled = np.random.default_rng(rng_seed), []
    for _ in range(_RESAMPLES // _AT_ONCE):
        weights = rng.poisson(1.0, (_AT_ONCE, n)).astype(np.float64)
        resampled.append(_ece_difference(weights, gaps))
    observed = float(_ece_difference(np.ones((1, n)), gaps)[0])
    at_least = float(np.quantile(np.concatenate(resampled), alpha))
    return Finding("calibration", observed, at_least, margin, n, at_least > margin)


def _gaps(right: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """Accuracy minus confidence, each image in the column of its bin. Shapes: (images,) twice -> (images, bins)."""
    bins = np.minimum((confidence * _BINS).astype(np.int64), _BINS - 1)
    out = np.zeros((len(right), _BINS))
    out[np.arange(len(right)), bins] = right - confidence
    return out


def _ece_difference(weights: np.ndarray, gaps: np.ndarray) -> np.ndarray:
    """Shapes: (resamples, images), (images, 2 x bins) -> (resamples,)."""
    sums = np.abs(weights @ gaps)
    return (sums[:, :_BINS].sum(1) - sums[:, _BINS:].sum(1)) / np.maximum(weights.sum(1), 1)
