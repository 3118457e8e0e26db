"""Which class does an item have, by its image and whichever facts are known of it?

One model a set of facts: with an artist hidden, other kernels have to speak louder. A model is a handful of weights,
learned within seconds on a sample, and one linear system over all items of known class.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from kg.errors import EmptySplit, TrainingError
from training.fusion.kinship import Kinship
from training.fusion.leave_out import Blend, duals, learn_blend, mix, scores_of

__all__ = ["Fusion", "Parts"]

_SAMPLE = 1000
"""Weights are learned on so many items; the answers come from all of them."""
_MOST_ITEMS = 12_000
"""A dense matrix of more items than this does not fit beside its kernels."""


@dataclass(frozen=True)
class Parts:
    """Logits taken apart.

    Shapes: scores by likeness (m, classes), votes (m, known) times dual (known, classes): the logits again.
    """

    scores: dict[str, np.ndarray]
    votes: np.ndarray
    dual: np.ndarray


class Fusion:
    """Kernel ridge over image, text and neighbourhood. Labels of items outside `known` are never looked at."""

    def __init__(
        self,
        kinship: Kinship,
        known: np.ndarray,
        targets: np.ndarray,
        *,
        n_classes: int,
        groups: np.ndarray | None = None,
        steps: int = 20,
        rng_seed: int = 0,
    ) -> None:
        """`known`: item rows whose class may be used, `targets` theirs. `groups` (per known item) are left out
        together when weights are learned: what is asked later shares none of them.

        Raises: EmptySplit without two classes, TrainingError for more items than fit.
        """
        if len(np.unique(targets)) < 2:
            raise EmptySplit(
                f"fusion: {len(known)} items of {len(np.unique(targets))} class; classify some items first"
            )
        if len(known) > _MOST_ITEMS:
            gib = len(known) ** 2 * 8 / 2**30
            raise TrainingError(
                f"fusion: {len(known):,} items of known class need {gib:.0f} GiB a matrix; "
                f"at most {_MOST_ITEMS:,} fit, give a sample of them"
            )
        self.kinship, self.known, self.targets, self.groups = kinship, known, targets, groups
        self.n_classes, self.steps, self.rng_seed = n_classes, steps, rng_seed
        self._blends: dict[frozenset[str] | None, Blend] = {}

    def scores(self, asked: np.ndarray, *, facts: Collection[str] | None = None) -> np.ndarray:
        """Logits of items by these facts, by default by all. Shapes: (m,) -> (m, classes)."""
        blend = self.blend(facts)
        among = mix(self.kinship.revealed(facts, self.known, self.known), blend)
        across = mix(self.kinship.revealed(facts, asked, self.known), blend)
        return scores_of(among, across, self.targets, blend, n_classes=self.n_classes)

    def parts(self, asked: np.ndarray, *, facts: Collection[str] | None = None) -> Parts:
        """The same logits, likeness by likeness and known item by known item."""
        blend = self.blend(facts)
        among = mix(self.kinship.revealed(facts, self.known, self.known), blend)
        across = self.kinship.revealed(facts, asked, self.known)
        dual = blend.scale * duals(among, self.targets, n_classes=self.n_classes)
        return Parts(
            {name: blend.weights[name] * kernel @ dual for name, kernel in across.items()}, mix(across, blend), dual
        )

    def blend(self, facts: Collection[str] | None = None) -> Blend:
        """How much each likeness counts when these facts are known; learned once."""
        key = None if facts is None else frozenset(facts)
        if key not in self._blends:
            rows = self._sample()
            kernels = self.kinship.revealed(facts, self.known[rows], self.known[rows])
            groups = None if self.groups is None else self.groups[rows]
            self._blends[key] = learn_blend(
                kernels, self.targets[rows], n_classes=self.n_classes, groups=groups, steps=self.steps
            )
        return self._blends[key]

    def _sample(self) -> np.ndarray:
        count = len(self.known)
        if count <= _SAMPLE:
            return np.arange(count)
        return np.sort(np.random.default_rng(self.rng_seed).choice(count, _SAMPLE, replace=False))
