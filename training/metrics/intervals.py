"""How sure is a share measured on so many examples? Bootstrap intervals, of differences and of groups too.

Reference: Efron and Tibshirani 1993, An Introduction to the Bootstrap, 13.3 (percentile intervals).
"""

from __future__ import annotations

import numpy as np

__all__ = ["bootstrap_interval", "paired_difference"]

_DRAWS = 2000
_LEVEL = 0.95


def bootstrap_interval(
    values: np.ndarray, *, groups: np.ndarray | None = None, rng_seed: int = 0
) -> tuple[float, float, float]:
    """Mean and the ends of its 95 % interval. With `groups`, whole groups are drawn: the artist, not the painting.

    Shapes: values (examples,) numbers or truth values, groups (examples,).
    """
    values = np.asarray(values, np.float64)
    if not len(values):
        return float("nan"), float("nan"), float("nan")
    _, member = np.unique(np.arange(len(values)) if groups is None else groups, return_inverse=True)
    sums, sizes = np.bincount(member, values), np.bincount(member)
    generator = np.random.default_rng(rng_seed)
    drawn = generator.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=_DRAWS)
    means = (drawn @ sums) / (drawn @ sizes)
    low, high = np.quantile(means, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return float(values.mean()), float(low), float(high)


def paired_difference(
    ours: np.ndarray, others: np.ndarray, *, groups: np.ndarray | None = None
) -> tuple[float, float, float]:
    """Mean difference on the same examples, and its interval. Shapes: (examples,) each."""
    return bootstrap_interval(np.asarray(ours, np.float64) - np.asarray(others, np.float64), groups=groups)
