"""What does a picture show, relation by relation, in the words of an image-text model?

    reading_r(x)_u = softmax over u of ( scale * cos(x, phrase_r(u)) )          zero-shot CLIP within one relation r
    vector(x)      = concatenation over r of  sqrt(reading_r(x) / relations)    unit length

The cosine of two such vectors is the mean over relations of the Bhattacharyya coefficients of their distributions
(Bhattacharyya 1943): what a class has in half of its pieces counts by its share, and a relation that is read with
certainty cannot be outvoted by many that are not. One cosine with a mean of phrases knows neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kg.errors import DimensionMismatch

if TYPE_CHECKING:
    from torch import Tensor

    from kg.encoders.asking import Questions

__all__ = ["Readings", "read_images"]


@dataclass(frozen=True)
class Readings:
    """The phrases that pictures are read by.

    Shapes: phrases (phrases, encoder's width) of unit length, relation by relation; sizes: phrases of each relation.
    Raises: DimensionMismatch.
    """

    phrases: np.ndarray
    sizes: tuple[int, ...]
    scale: float

    def __post_init__(self) -> None:
        if self.phrases.ndim != 2 or len(self.phrases) != sum(self.sizes) or not self.sizes or min(self.sizes) < 1:
            raise DimensionMismatch(
                f"readings: {self.phrases.shape} phrases do not divide into relations of {list(self.sizes)}; "
                "give every relation at least one phrase, and all of them in one matrix"
            )

    @property
    def width(self) -> int:
        """Length of a vector."""
        return len(self.phrases)

    def vectors(self, feat: Tensor) -> Tensor:
        """Unit vectors of the encoder's unit features, with gradients. Shapes: (n, encoder's width) -> (n, width)."""
        import torch

        logits = self.scale * feat @ torch.as_tensor(self.phrases, dtype=feat.dtype, device=feat.device).T
        # Half the log-softmax is the log of the root: no infinite slope where a reading is near zero.
        roots = [(0.5 * part.log_softmax(-1)).exp() for part in logits.split(self.sizes, dim=-1)]
        return torch.cat(roots, dim=-1) / len(self.sizes) ** 0.5

    def shares(self, feat: np.ndarray, *, relation: int) -> np.ndarray:
        """Distributions over one relation's phrases, zero for others. Shapes: (n, encoder's width) -> (n, width).

        A text that is one of the relation's phrases is nearly all itself; one that is not is read as what is near it.
        """
        start = sum(self.sizes[:relation])
        own = slice(start, start + self.sizes[relation])
        found = np.zeros((len(feat), self.width), np.float32)
        logits = self.scale * (feat @ self.phrases[own].T)
        grown = np.exp(logits - logits.max(1, keepdims=True, initial=-np.inf))
        found[:, own] = grown / grown.sum(1, keepdims=True)
        return found


def read_images(readings: Readings | Questions | None, features: np.ndarray) -> np.ndarray:
    """Vectors of features, or the features where nothing is read. Shapes: (n, encoder's width) -> (n, width)."""
    import torch

    return features if readings is None else readings.vectors(torch.from_numpy(np.array(features, np.float32))).numpy()
