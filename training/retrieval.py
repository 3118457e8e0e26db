"""How often is the right caption among the first k of a picture, and the right picture among the first k of a caption?

Ranks are 1-based, and a tie takes the mean of the ranks it covers: a model that gives everything the same score finds
nothing. Other true captions of the same picture never push one another down.

Reference: Karpathy and Fei-Fei 2015, section 4.2 (recall at k, both ways).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kg.errors import DimensionMismatch, SchemaViolation
from training.suite_models import Vectors
from training.suites import Suite

__all__ = ["recall_at", "recall_of"]

_ROWS_AT_ONCE = 512


def recall_at(
    images: np.ndarray, texts: np.ndarray, owners: Sequence[int], *, ks: Sequence[int] = (1, 5, 10)
) -> dict[str, float]:
    """Recall at each k both ways, by name: `image to text R@1` … `owners[j]` is the row of the picture of text j.

    A picture without a caption is nobody's answer, but asked for nothing.
    Shapes: images (n, d), texts (m, d), both of unit length; owners (m,). Raises: DimensionMismatch.
    """
    rows = np.asarray(owners)
    if rows.shape != (len(texts),) or not len(texts) or images.shape[1:] != texts.shape[1:]:
        raise DimensionMismatch(f"retrieval: {images.shape} images, {texts.shape} texts, {rows.shape} owners disagree")
    if rows.min() < 0 or rows.max() >= len(images):
        raise DimensionMismatch(f"retrieval: owners {rows.min()} to {rows.max()}, but there are {len(images)} images")
    asked = np.unique(rows)
    ranks = {
        "image to text": _ranks(images[asked], texts, [rows == image for image in asked]),
        "text to image": _ranks(texts, images, [np.arange(len(images)) == owner for owner in rows]),
    }
    return {f"{way} R@{k}": float(np.mean(found <= k)) for way, found in ranks.items() for k in ks}


def recall_of(suite: Suite, vectors: Vectors) -> dict[str, float]:
    """`recall_at` of a suite's pictures and captions; captions whose picture is missing are counted in `left_out`."""
    names = {image: row for row, image in enumerate(vectors.images)}
    asked = [(names.get(q.images[0]), vectors.text(q.texts[0])) for q in suite.questions]
    found = [(row, text) for row, text in asked if row is not None]
    if missing := len(asked) - len(found):
        suite.left_out["missing image"] += missing
    if not found:
        raise SchemaViolation(f"{suite.name}: none of its pictures is among the {len(names)} that have vectors")
    texts = np.stack([text for _, text in found])
    return recall_at(np.stack(list(vectors.images.values())), texts, [row for row, _ in found])


def _ranks(asking: np.ndarray, answering: np.ndarray, right: Sequence[np.ndarray]) -> np.ndarray:
    """The rank of the best right answer among the wrong ones. Shapes: -> (len(asking),) float64."""
    found = []
    for start in range(0, len(asking), _ROWS_AT_ONCE):
        scores = asking[start : start + _ROWS_AT_ONCE] @ answering.T
        for row, fits in zip(scores, right[start:], strict=False):
            best, others = row[fits].max(), row[~fits]
            found.append(1 + np.sum(others > best) + np.sum(others == best) / 2)
    return np.array(found, np.float64)
