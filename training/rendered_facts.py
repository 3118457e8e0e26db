"""What can be said of a rendered saree, is it so, and which compounds does training never see?

Kept from training: HELD_OUT_COLOURS (a body is never teal), HELD_OUT_MOTIFS (no fish on a body), HELD_OUT_PAIRS (never
an elephant and a lotus in one picture).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple, TypeVar

import numpy as np

from kg.rendering import COLOUR_SLOTS, NO_MOTIF, SLOTS, Look, Rendering, load_craft
from kg.rendering.slots import BODIES_WITH_MOTIF, COLOURS, MOTIFS, PALLUS_WITH_MOTIF, allowed_values
from kg.scenes.words import article, vocabulary

__all__ = [
    "HELD_OUT_COLOURS",
    "HELD_OUT_MOTIFS",
    "HELD_OUT_PAIRS",
    "REGIONS",
    "WITH_MOTIF",
    "Fact",
    "Sentence",
    "coloured",
    "known_motifs",
    "look_with",
    "one_of",
    "painted",
    "pattern_word",
    "plural_of",
    "sample",
    "seen_colours",
    "seen_pair",
    "speaks_of_held_out",
    "two_motifs",
    "with_article",
]

_T = TypeVar("_T")

HELD_OUT_COLOURS: Mapping[str, tuple[str, ...]] = {
    "body": ("teal", "mustard", "pink"),
    "border": ("navy", "orange", "cream"),
    "pallu": ("green", "purple", "grey"),
}
HELD_OUT_MOTIFS: Mapping[str, tuple[str, ...]] = {
    "body": ("fish", "tree", "parrot", "conch"),
    "pallu": ("peacock", "star", "coin", "swan"),
}
HELD_OUT_PAIRS = (frozenset({"elephant", "lotus"}), frozenset({"mango", "diamond"}), frozenset({"flower", "leaf"}))

REGIONS = ("body", "border", "pallu")
WITH_MOTIF = {"body": BODIES_WITH_MOTIF, "pallu": PALLUS_WITH_MOTIF}


class Fact(NamedTuple):
    """One thing that a sentence says. `predicate` is a slot (body_colour …), `on`, a direction, `count` or `shown`."""

    subject: str
    predicate: str
    value: str = ""
    negated: bool = False

    def verdict(self, rendering: Rendering) -> bool | None:
        """Whether it is so; None where this view cannot tell, as of a motif that is only partly in sight."""
        found = self._affirmed(rendering)
        return found if found is None else found != self.negated

    def _affirmed(self, rendering: Rendering) -> bool | None:
        scene, look = rendering.scene, rendering.look
        things = [thing for thing in scene.objects if thing.name == self.subject]
        if self.predicate in SLOTS:
            return f"{self.predicate}={self.value}" in things[0].attributes if things else None
        if self.predicate == "count":
            return len(things) == int(self.value)
        if self.predicate == "shown":
            drawn = self.subject in (look.body_motif, look.pallu_motif)
            return True if things else (None if drawn else False)
        if scene.holds(self.subject, self.predicate, self.value):
            return True
        if self.predicate == "on":
            return None if look[f"{self.value}_motif"] == self.subject else False
        return False if things and any(thing.name == self.value for thing in scene.objects) else None


class Sentence(NamedTuple):
    """Words, and what they say."""

    text: str
    facts: tuple[Fact, ...]

    def verdict(self, rendering: Rendering) -> bool | None:
        """True where all of it is so, False where any of it is not, None where neither can be told."""
        found = {fact.verdict(rendering) for fact in self.facts}
        return False if False in found else (None if None in found else True)


def look_with(slots: Mapping[str, str], rng: np.random.Generator) -> Look:
    """A look with these slots and any others; what is held out is only in it where `slots` say so."""
    while True:
        chosen: dict[str, str] = {}
        for slot in SLOTS:
            values = [slots[slot]] if slot in slots else _values(slot, chosen, slots)
            chosen[slot] = values[int(rng.integers(len(values)))]
        asked = {"body_motif", "pallu_motif"} <= set(slots)
        if asked or frozenset((chosen["body_motif"], chosen["pallu_motif"])) not in HELD_OUT_PAIRS:
            return Look(**chosen)


def speaks_of_held_out(text: str) -> bool:
    """Does a sentence name a compound that training must not see? Negatives made for training are to be asked too."""
    return bool(_held_out_pattern().search(text.lower())) or any(
        all(re.search(rf"\b(?:{motif}|{plural_of(motif)})\b", text.lower()) for motif in pair)
        for pair in HELD_OUT_PAIRS
    )


def known_motifs(region: str) -> tuple[str, ...]:
    """Motifs that training sees on a region."""
    return tuple(motif for motif in MOTIFS if motif not in HELD_OUT_MOTIFS[region])


def plural_of(motif: str) -> str:
    """`peacocks`, as the captions have it."""
    return load_craft().value("body_motif", motif).plural or f"{motif}s"


def one_of(values: Sequence[_T], rng: np.random.Generator) -> _T:
    return values[int(rng.integers(len(values)))]


def sample(values: Sequence[str], count: int, rng: np.random.Generator) -> tuple[str, ...]:
    return tuple(values[i] for i in rng.choice(len(values), count, replace=False))


def seen_colours(rng: np.random.Generator, *regions: str) -> tuple[str, ...]:
    """As many colours as regions, each seen in all of them and no two alike."""
    seen = [colour for colour in COLOURS if not any(colour in HELD_OUT_COLOURS[region] for region in regions)]
    while True:
        colours = sample(seen, len(regions), rng)
        if all(_differ(a, b) for i, a in enumerate(colours) for b in colours[:i]):
            return colours


def two_motifs(rng: np.random.Generator) -> tuple[str, ...]:
    """Two motifs that training sees somewhere, and sees together."""
    while frozenset(two := sample(MOTIFS, 2, rng)) in HELD_OUT_PAIRS:
        pass
    return two


def seen_pair(rng: np.random.Generator, *, either_way: bool = False) -> tuple[str, str]:
    """A motif for the body and one for the pallu; `either_way`: they may also change places."""
    both = tuple(motif for motif in known_motifs("body") if motif in known_motifs("pallu"))
    bodies, pallus = (both, both) if either_way else (known_motifs("body"), known_motifs("pallu"))
    while True:
        body, pallu = one_of(bodies, rng), one_of(pallus, rng)
        if body != pallu and frozenset((body, pallu)) not in HELD_OUT_PAIRS:
            return body, pallu


def painted(regions: Sequence[str], colours: Sequence[str]) -> dict[str, str]:
    return {f"{region}_colour": colour for region, colour in zip(regions, colours, strict=True)}


def coloured(region: str, colour: str) -> Fact:
    return Fact(region, f"{region}_colour", colour)


def pattern_word(region: str, pattern: str) -> str:
    """`checked`, as in a checked body."""
    return next(
        words.removesuffix(f" {region}")
        for words in load_craft().value(region, pattern).words
        if words.endswith(f" {region}")
    )


def with_article(words: str) -> str:
    return f"{article(words)} {words}"


def _differ(colour: str, other: str) -> bool:
    return vocabulary().exclude("attributes", colour, other)


def _values(slot: str, chosen: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    """What a slot may be: nothing held out, and a field that can carry the motif that is wanted on it."""
    values = list(allowed_values(slot, chosen))
    region = slot.partition("_")[0]
    if slot in COLOUR_SLOTS:
        return [value for value in values if value not in HELD_OUT_COLOURS[region]]
    if slot.endswith("_motif"):
        return [value for value in values if value not in HELD_OUT_MOTIFS[region]]
    motif = wanted.get(f"{slot}_motif")
    if motif is None:
        return values
    return [value for value in values if (value in WITH_MOTIF[slot]) == (motif != NO_MOTIF)]


@cache
def _held_out_pattern() -> re.Pattern[str]:
    """A held-out colour before its region with only other words of the same phrase between, `is` it, or a motif `on`
    it."""
    between = r"(?: (?!(?:body|border|pallu|and|with|a|an|the|but|that|is)\b)[\w-]+){0,3}"
    said = [rf"\b(?:{'|'.join(c)})\b{between} {r}\b|\b{r} is (?:not )?(?:{'|'.join(c)})\b"
            for r, c in HELD_OUT_COLOURS.items()]  # fmt: skip
    for region, motifs in HELD_OUT_MOTIFS.items():
        forms = "|".join(form for motif in motifs for form in (motif, plural_of(motif)))
        said.append(rf"\b(?:{forms})\b on (?:\w+ ){{0,3}}{region}\b")
        said.append(rf"\b{region} (?:with|showing) (?:an? )?(?:{forms})\b")
    return re.compile("|".join(said))
