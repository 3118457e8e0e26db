"""Which pairs of ids are new, and how are they handed over in portions that name each source once?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

__all__ = ["distinct", "grouped", "not_in"]


def distinct(sources: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Rows at which a pair stands for the first time, ascending. Shapes: sources, targets (n,) int64."""
    _, rows = np.unique(_codes(sources, targets), return_index=True)
    return np.sort(rows)


def not_in(
    sources: np.ndarray, targets: np.ndarray, known_sources: np.ndarray, known_targets: np.ndarray
) -> np.ndarray:
    """Which of the pairs are not among the known ones. Shapes: pairs (n,), known (m,) int64; the mask (n,) bool."""
    if not len(known_sources):
        return np.ones(len(sources), bool)
    codes = _codes(np.concatenate([sources, known_sources]), np.concatenate([targets, known_targets]))
    return ~np.isin(codes[: len(sources)], codes[len(sources) :])


def grouped(sources: np.ndarray, values: Sequence[Any], size: int) -> Iterator[list[list[Any]]]:
    """Portions of `size` rows as [source, [values]], in the order of sources. Shapes: sources (n,) int64."""
    order = np.argsort(sources, kind="stable")
    for start in range(0, len(order), size):
        part = order[start : start + size]
        names, first = np.unique(sources[part], return_index=True)
        members = [values[n] for n in part.tolist()]
        bounds = [*first.tolist(), len(part)]
        yield [[name, members[bounds[n] : bounds[n + 1]]] for n, name in enumerate(names.tolist())]


def _codes(sources: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """One number a pair, equal for equal pairs, whatever the size of the ids."""
    _, left = np.unique(sources, return_inverse=True)
    names, right = np.unique(targets, return_inverse=True)
    return left.astype(np.int64) * max(len(names), 1) + right
