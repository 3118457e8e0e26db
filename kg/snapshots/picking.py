"""Which neighbours of each node come first by chance, without reading hubs whole?

Where a node has very many neighbours of one label, only the few nodes of that label with the lowest numbers are taken,
and the relations are looked for from those few: who finds enough among them has found the very first. Who does not, is
read whole.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kg.snapshots.chance import few_of, first_by_chance
from kg.snapshots.ordering import distinct
from kg.snapshots.sources import Asked, Found, Source

__all__ = ["picked"]

_COST_OF_A_FEW = 4.0
"""Finding one relation from one of the few costs so many times reading it in its hub's list."""

_LONG = 4
"""A list up to so many times what is wanted is short, whatever the source says."""

Pairs = tuple[np.ndarray, np.ndarray]
Question = tuple["_Pick", np.ndarray, Asked]


def picked(source: Source, asked: Mapping[Asked, int], chance: Mapping[str, np.ndarray]) -> list[Pairs]:
    """Each question's first pairs by chance, so many a near node: near node and far node.

    Asks the source once, and a second time for hubs; a third time only where a hub's few were not enough.
    """
    picks = [_Pick(a, wanted, chance[a.direction.far]) for a, wanted in asked.items()]
    longer: list[Question] = []
    for pick, found in zip(picks, source.look([pick.short_lists(source) for pick in picks]), strict=True):
        pick.add(np.arange(len(pick.asked.nodes)), found)
        longer += pick.longer_lists(source, found.degrees)
    scarce: list[Question] = []
    for (pick, places, question), found in zip(longer, source.look([asked for _, _, asked in longer]), strict=True):
        scarce += pick.add(places, found, few=question.few is not None)
    for (pick, places, _), found in zip(scarce, source.look([asked for _, _, asked in scarce]), strict=True):
        pick.add(places, found)
    return [pick.first() for pick in picks]


class _Pick:
    """One direction's pairs so far: places among the nodes that were asked about, and far nodes."""

    def __init__(self, asked: Asked, wanted: int, chance: np.ndarray) -> None:
        self.asked = asked
        self._wanted = wanted
        self._chance = chance
        self._near: list[np.ndarray] = []
        self._far: list[np.ndarray] = []

    def short_lists(self, source: Source) -> Asked:
        """The first question: degrees, and the lists that are short."""
        return Asked(self.asked.direction, self.asked.nodes, whole=max(source.whole, _LONG * self._wanted))

    def longer_lists(self, source: Source, degrees: np.ndarray) -> list[Question]:
        """The second: of the nodes with long lists the shorter ones whole, the others from a few."""
        places = np.flatnonzero(degrees > max(source.whole, _LONG * self._wanted))
        if not len(places):
            return []
        places = places[np.argsort(degrees[places], kind="stable")]
        degrees, others = degrees[places], len(self._chance)
        each = _COST_OF_A_FEW * (1 + source.edge_count(self.asked.direction.edge_type) / max(others, 1))
        # At place i: what the i shortest lists cost, and the few that suffice for the next one and all longer ones.
        few = np.append(np.minimum(3.0 * self._wanted * others / degrees, others) * each, 0.0)
        cut = int(np.argmin(np.append(0, np.cumsum(degrees)) + few))
        questions = [self._question(places[:cut])] if cut else []
        if cut < len(places):
            far = few_of(self._chance, wanted=self._wanted, degree=int(degrees[cut]))
            questions.append(self._question(places[cut:], few=far))
        return questions

    def add(self, places: np.ndarray, found: Found, *, few: bool = False) -> list[Question]:
        """Take what was found; a question about nodes that found too few among the few."""
        kept = np.ones(len(found.near), bool)
        short = np.zeros(len(places), bool)
        if few:
            pairs = distinct((found.near << 32) | found.far)
            short = np.bincount(pairs >> 32, minlength=len(places)) < self._wanted
            kept = ~short[found.near]
        self._near.append(places[found.near[kept]])
        self._far.append(found.far[kept])
        return [self._question(places[short])] if short.any() else []

    def first(self) -> Pairs:
        """Near and far nodes of the first pairs."""
        near, far = np.concatenate(self._near), np.concatenate(self._far)
        place = first_by_chance(near, far, self._chance, self._wanted)
        return self.asked.nodes[near[place]], far[place]

    def _question(self, places: np.ndarray, *, few: np.ndarray | None = None) -> Question:
        return self, places, Asked(self.asked.direction, self.asked.nodes[places], few=few)
