"""What may a saree of this cluster look like, and how likely is a given look under each cluster?"""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np

from kg.errors import SchemaViolation
from kg.rendering.craft import load_craft
from kg.rendering.slots import COLOUR_SLOTS, SLOTS, allowed_values

__all__ = ["Look", "cluster_log_likelihood", "outside_support", "sample_look", "sample_open_look"]

OPEN_LOOK_DISTANCE = 2
"""An open look leaves the listed support of every cluster in at least so many slots."""


@dataclass(frozen=True, slots=True)
class Look:
    """One value for every slot of SLOTS."""

    technique: str
    zari: str
    body_colour: str
    body: str
    body_motif: str
    border_colour: str
    border: str
    border_width: str
    pallu_colour: str
    pallu: str
    pallu_motif: str

    def __getitem__(self, slot: str) -> str:
        return getattr(self, slot)

    def as_dict(self) -> dict[str, str]:
        """Slot -> value, in the order of SLOTS."""
        return asdict(self)


def sample_look(cluster: str, rng: np.random.Generator) -> Look:
    """A look as the cluster's drawing rules have it, each slot off the rules with the small rate `stray_share`.

    Raises: SchemaViolation for a cluster without drawing rules.
    """
    chosen: dict[str, str] = {}
    for slot in SLOTS:
        values, probabilities = _distribution(cluster, slot, chosen)
        chosen[slot] = _choose(values, probabilities, rng)
    return Look(**chosen)


def sample_open_look(rng: np.random.Generator) -> Look:
    """A random combination that belongs to no cluster: it leaves every cluster's listed values in >= 2 slots."""
    while True:
        look = _uniform_look(rng)
        if min(outside_support(look).values()) >= OPEN_LOOK_DISTANCE:
            return look


def outside_support(look: Look) -> dict[str, int]:
    """Cluster -> number of slots in which the look has a value that the cluster's rules do not list."""
    return {
        cluster: sum(look[slot] not in shares[slot] for slot in SLOTS if slot in shares)
        for cluster, shares in load_craft().supports().items()
    }


def cluster_log_likelihood(look: Look) -> dict[str, float]:
    """log P(look | cluster) for every cluster, exact for `sample_look`: the floor's attribute oracle."""
    return {cluster: sum(slot_log_likelihoods(look, cluster)) for cluster in load_craft().looks}


def slot_log_likelihoods(look: Look, cluster: str) -> Iterator[float]:
    """The log-probability of each slot's value given the slots before it, in the order of SLOTS."""
    chosen: dict[str, str] = {}
    for slot in SLOTS:
        values, probabilities = _distribution(cluster, slot, chosen)
        yield math.log(max(probabilities[values.index(look[slot])], 1e-12)) if look[slot] in values else -math.inf
        chosen[slot] = look[slot]


def _uniform_look(rng: np.random.Generator) -> Look:
    chosen: dict[str, str] = {}
    for slot in SLOTS:
        values = allowed_values(slot, chosen)
        chosen[slot] = values[int(rng.integers(len(values)))]
    return Look(**chosen)


def _distribution(cluster: str, slot: str, chosen: dict[str, str]) -> tuple[tuple[str, ...], list[float]]:
    """Allowed values and their probabilities: listed shares, mixed with a uniform stray share, over what is allowed."""
    craft = load_craft()
    if cluster not in craft.looks:
        raise SchemaViolation(f"sample_look: no drawing rules for {cluster!r}; known: {', '.join(craft.looks)}")
    values = allowed_values(slot, chosen)
    shares = craft.looks[cluster].get(slot, {})
    listed = [shares.get(value, 0.0) for value in values]
    total, stray = sum(listed), craft.stray_colour_share if slot in COLOUR_SLOTS else craft.stray_share
    if total == 0:
        return values, [1 / len(values)] * len(values)
    return values, [(1 - stray) * share / total + stray / len(values) for share in listed]


def _choose(values: tuple[str, ...], probabilities: list[float], rng: np.random.Generator) -> str:
    mark = rng.random()
    for value, probability in zip(values, probabilities, strict=True):
        mark -= probability
        if mark < 0:
            return value
    return values[-1]
