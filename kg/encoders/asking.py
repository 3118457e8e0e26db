"""How likely is what a picture shows under each of the distributions it is asked about, relation by relation?

    q_r(u)  = softmax over u of ( scale_r cos(x, phrase_r(u)) + bias_ru )
    l_n(x)  = sum over r of  weight_r log( (1 - floor_r) sum over u of q_r(u) p_nr(u)  +  floor_r )
    vector  = ( l(x) / bound, rest, 0 ), unit length: its dot product with (e_n, 0, 0) is l_n / bound, exactly

Naive Bayes over what is read: a node whose words do not hold what the picture shows loses far more than one whose words
hold it seldom, which a cosine (`kg.encoders.readings`) cannot say. The vector depends on the nodes that are asked.

Reference: Lewis 1998, "Naive (Bayes) at forty", section 3, with a floor for words that a node was never seen with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kg.errors import DimensionMismatch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Questions", "log_likelihoods", "padded"]


@dataclass(frozen=True)
class Questions:
    """What pictures are asked, for a tower.

    Shapes: phrases (words, encoder's width) of unit length, relation by relation; sizes: words of each relation; scale,
    weight, floor (relations,), bias (words,); nodes (nodes, words), each relation's part summing to 1.
    Raises: DimensionMismatch.
    """

    phrases: np.ndarray
    sizes: tuple[int, ...]
    scale: np.ndarray
    bias: np.ndarray
    weight: np.ndarray
    floor: np.ndarray
    nodes: np.ndarray

    def __post_init__(self) -> None:
        relations, words = (len(self.sizes),), (sum(self.sizes),)
        wanted = {"scale": relations, "weight": relations, "floor": relations, "bias": words}
        wanted |= {"phrases": (*words, self.phrases.shape[-1]), "nodes": (len(self.nodes), *words)}
        for name, shape in wanted.items():
            if (found := getattr(self, name).shape) != shape:
                raise DimensionMismatch(f"questions: {name} has shape {found}, must be {shape}; publish the run again")

    @property
    def width(self) -> int:
        """Length of a vector: one number a node, the rest, and a place for the rest of what it is compared with."""
        return len(self.nodes) + 2

    @property
    def bound(self) -> float:
        """No picture's log-likelihoods are longer than this."""
        return float(-(self.weight * np.log(self.floor)).sum() * len(self.nodes) ** 0.5)

    def vectors(self, feat: Tensor) -> Tensor:
        """Unit vectors of the encoder's unit features. Shapes: (n, encoder's width) -> (n, width)."""
        import torch

        given = {name: torch.as_tensor(getattr(self, name), dtype=feat.dtype) for name in _ARRAYS}
        phrases, nodes = given.pop("phrases"), given.pop("nodes")
        found = log_likelihoods(feat @ phrases.T, nodes, sizes=self.sizes, **given)
        return padded(found / self.bound, at=0)


_ARRAYS = ("phrases", "scale", "bias", "weight", "floor", "nodes")


def log_likelihoods(
    cosines: Tensor,
    nodes: Tensor,
    *,
    sizes: tuple[int, ...],
    scale: Tensor,
    bias: Tensor,
    weight: Tensor,
    floor: Tensor,
) -> Tensor:
    """What each node says of each picture; the module's l. Shapes: (n, words), (nodes, words) -> (n, nodes)."""
    total = cosines.new_zeros(len(cosines), len(nodes))
    columns = zip(*(part.split(sizes, -1) for part in (cosines, bias, nodes)), scale, weight, floor, strict=True)
    for cosine, own_bias, words, own_scale, own_weight, own_floor in columns:
        reading = (own_scale * cosine + own_bias).softmax(-1)
        total = total + own_weight * ((1 - own_floor) * reading @ words.T + own_floor).log()
    return total


def padded(found: Tensor, *, at: int) -> Tensor:
    """Rows with two more numbers, of which number `at` makes them of unit length and the other is zero: so pictures and
    nodes, padded at different places, have the dot product that they had. Shapes: (n, width) -> (n, width + 2).
    """
    import torch

    rest = (1 - found.square().sum(-1, keepdim=True)).clamp_min(0).sqrt()
    return torch.cat([found, rest, 0 * rest] if at == 0 else [found, 0 * rest, rest], -1)
