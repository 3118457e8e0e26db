"""Which sentences are almost a caption, grammatical, and false of its image?

    swap_objects      a man riding a horse            -> a horse riding a man
    swap_attributes   a red body with a green border  -> a green body with a red border
    replace_relation  a cat sleeping on a bed         -> a cat standing on a bed
    replace_object    a dog on a couch                -> a cat on a couch
    replace_attribute a red bus                       -> a green bus

A negative is made only where its falsehood follows: the new word excludes the old one (data/scenes/words.yaml), and
neither the caption's scene nor `truth`, all that is known of the image, states it.
Rendered scenes have boxes, so that a direction is measured there. Of captions the truth is as complete as people's
words: what nobody mentioned cannot be excluded. What cannot be made is counted by its reason.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Literal, NamedTuple, get_args

from kg.scenes.mentions import Caption, Mention, verb_form, without_articles
from kg.scenes.parsing import MOST_WORDS
from kg.scenes.plausible import Plausible
from kg.scenes.scene import Scene, Thing
from kg.scenes.words import plural, searching_words, vocabulary

__all__ = ["KINDS", "Negative", "NegativeKind", "make_negatives"]

NegativeKind = Literal["swap_objects", "swap_attributes", "replace_relation", "replace_object", "replace_attribute"]
KINDS: tuple[NegativeKind, ...] = get_args(NegativeKind)
_SENSELESS_TO_SWAP = frozenset({"of", "have", "like", "for", "as"})
_AUXILIARIES = frozenset({"is", "are", "that", "which", "who"})
_DIRECTIONS = frozenset({"left of", "right of", "above", "below", "beside"})


_WITH_ARTICLE = re.compile(r"\b(side|back|middle|corner|edge|end|center|bottom) of\b")


class Negative(NamedTuple):
    """A sentence that is false of the image, how it came about, and what became what."""

    text: str
    kind: str
    was: str
    now: str


def make_negatives(
    caption: str,
    scene: Scene,
    plausible: Plausible,
    *,
    rng: random.Random,
    truth: Scene | None = None,
    whole: bool = False,
    reasons: Counter[str] | None = None,
    kinds: tuple[str, ...] = KINDS,
) -> list[Negative]:
    """At most one negative of each kind; why one could not be made is counted in `reasons`.

    `truth` is all that is known of the image; without it, what `scene` says. `whole`: the scene is the image's, not
    only what the caption says; only relations whose words stand between their things are then taken for the caption's.
    """
    reasons = Counter() if reasons is None else reasons
    why = _unfit(caption, scene)
    if why:
        reasons[why] += 1
        return []
    if any(len(set(thing.attributes)) < len(thing.attributes) for thing in scene.objects):
        reasons["attribute twice on one thing"] += 1
    maker = _Maker(caption, scene, plausible, truth=truth or scene, whole=whole, rng=rng)
    made = []
    for kind in kinds:
        negative = next(_MAKERS[kind](maker), None)
        if negative is None:
            alone = kind.startswith("swap") and len(scene.objects) == 1
            reasons[f"{kind}: {'scene of one thing' if alone else maker.why or 'nothing to change'}"] += 1
        elif negative.text.lower() != caption.lower():
            made.append(negative)
        maker.why = ""
    return made


def _unfit(caption: str, scene: Scene) -> str:
    if not caption.strip():
        return "empty caption"
    if len(caption) > 400 and len(caption.split()) > MOST_WORDS:
        return f"caption of more than {MOST_WORDS} words"
    if not scene.objects:
        return "scene without things"
    return "contradictory scene" if _contradicts_itself(scene) else ""


def _contradicts_itself(scene: Scene) -> bool:
    """Does a thing stand in a relation to itself or to something that is not there, or to another both ways?"""
    ids = {thing.id for thing in scene.objects}
    if len(ids) != len(scene.objects) or any(s not in ids or o not in ids or s == o for s, _, o in scene.relations):
        return True
    exclude = vocabulary().exclude
    known: dict[tuple[str, str], list[str]] = {}
    for s, predicate, o in scene.relations:
        known.setdefault((s, o), []).append(predicate)
    return any(
        exclude("predicates", a, b)
        for predicates in known.values()
        if len(predicates) > 1
        for n, a in enumerate(predicates)
        for b in predicates[n + 1 :]
    )


class _Maker:
    """One caption and its scene."""

    def __init__(
        self, caption: str, scene: Scene, plausible: Plausible, *, truth: Scene, whole: bool, rng: random.Random
    ) -> None:
        self.caption, self.rng, self.plausible = Caption(caption), rng, plausible
        self.scene = self._named(scene) if whole else scene
        self.words, self.why = vocabulary(), ""
        self._truth, self._whole = truth, whole
        self._by_id = {thing.id: thing for thing in self.scene.objects}
        self._mentions: dict[str, Mention | None] = {}
        self._complaints: dict[str, str] = {}

    @cached_property
    def _triples(self) -> set[tuple[str, str, str]]:
        return self._truth.triples()

    @cached_property
    def _attributed(self) -> set[tuple[str, str]]:
        return self._truth.attributed()

    @cached_property
    def _names(self) -> set[str]:
        return {thing.name for thing in self._truth.objects}

    # -- the five kinds ------------------------------------------------------------------------------------------------

    def swap_objects(self) -> Iterator[Negative]:
        """Relations whose ends change places."""
        for subject, predicate, target in self._relations():
            if self._has_no_direction(predicate) or subject.name == target.name:
                self.why = "no relation that has a direction"
                continue
            one, other = self._mention(subject), self._mention(target)
            if one is None or other is None:
                continue
            if one.plural != other.plural:
                self.why = "one end is plural, the other is not"
            elif self._overlap(one, other):
                self.why = "where a phrase begins is not clear"
            elif self._whole and self._said(one, other, predicate) is None:
                self.why = "the relation's words are not between its things"
            elif self._holds(target.name, predicate, subject.name):
                self.why = "the swapped sentence is true too"
            else:
                here, there = self.caption.lowered(one), self.caption.lowered(other)
                text = self._with((one.first, one.last, there), (other.first, other.last, here))
                was = f"{subject.name} {predicate} {target.name}"
                yield Negative(text, "swap_objects", was, f"{target.name} {predicate} {subject.name}")

    def swap_attributes(self) -> Iterator[Negative]:
        """Attributes of one group that change owners."""
        stated = [(thing, word, at) for thing in self.scene.objects for word, at in self._stated(thing)]
        for n, (a, x, at_x) in enumerate(stated):
            for b, y, at_y in stated[n + 1 :]:
                if a.name == b.name or not self.words.exclude("attributes", x, y):
                    self.why = self.why or "no two attributes that exclude each other"
                elif (a.name, y) in self._attributed or (b.name, x) in self._attributed:
                    self.why = "the swapped sentence is true too"
                elif "one" not in (x, y):
                    text = self._with((at_x, at_x, y), (at_y, at_y, x))
                    yield Negative(
                        text, "swap_attributes", f"{x} {a.name}, {y} {b.name}", f"{y} {a.name}, {x} {b.name}"
                    )

    def replace_relation(self) -> Iterator[Negative]:
        """Relations that become another one in which the graph's scenes have such things."""
        for subject, predicate, target in self._relations():
            one, other = self._mention(subject), self._mention(target)
            if one is None or other is None:
                continue
            said = self._said(one, other, predicate)
            if said is None:
                self.why = "the relation's words are not between its things"
                continue
            seen = self.plausible.predicates.get((subject.name, target.name), {})
            candidates = {
                p: count
                for p, count in seen.items()
                if self._excludes(predicate, p) and not self._holds(subject.name, p, target.name)
            }
            if chosen := self._choose(candidates, "relation"):
                first, last, ending = said
                text = self._with((first, last, self._wording(chosen, first, ending)))
                yield Negative(text, "replace_relation", predicate, chosen)

    def replace_object(self) -> Iterator[Negative]:
        """Things that become another one that the graph's scenes have in such a place."""
        for thing in self._shuffled(self.scene.objects):
            mention = self._mention(thing)
            if mention is None:
                continue
            if any(word not in self.words.groups["attributes"] for word, _ in self._stated(thing)):
                self.why = "a word before the thing may be part of its name"
                continue
            candidates = {
                name: count for name, count in self._in_its_place(thing).items() if not self._may_be_there(name)
            }
            if chosen := self._choose(candidates, "thing"):
                text = self._with((mention.noun, mention.last, plural(chosen) if mention.plural else chosen))
                yield Negative(text, "replace_object", thing.name, chosen)

    def replace_attribute(self) -> Iterator[Negative]:
        """Attributes that become another one that the graph's scenes have of such a thing."""
        for thing in self._shuffled(self.scene.objects):
            for word, at in self._stated(thing):
                known, seen = self._known_of(thing.name), self.plausible.attributes.get(thing.name, {})
                candidates = {
                    other: seen[other]
                    for other in self.words.rivals("attributes", word)
                    if other in seen
                    and "one" not in (word, other)
                    and not any(self.words.may_agree(other, one) for one in known)
                }
                if chosen := self._choose(candidates, "attribute"):
                    text = self._with((at, at, chosen))
                    yield Negative(text, "replace_attribute", f"{word} {thing.name}", f"{chosen} {thing.name}")

    def _named(self, scene: Scene) -> Scene:
        """The part of an image's scene that the caption speaks of, alike things and relations once."""
        spoken = {name: self.caption.names(name) for name in {thing.name for thing in scene.objects}}
        name_of = {thing.id: thing.name for thing in scene.objects if spoken[thing.name]}
        first: dict[tuple[str, str, str], tuple[str, str, str]] = {}
        for s, predicate, o in scene.relations:
            if s in name_of and o in name_of:
                first.setdefault((name_of[s], predicate, name_of[o]), (s, predicate, o))
        ends = {end for s, _, o in first.values() for end in (s, o)}
        alike = {(t.name, t.attributes): t for t in scene.objects if t.id in name_of}
        kept = {t.id for t in alike.values()} | ends
        return Scene(tuple(t for t in scene.objects if t.id in kept), tuple(first.values()))

    # -- what is there -------------------------------------------------------------------------------------------------

    def _relations(self) -> Iterator[tuple[Thing, str, Thing]]:
        for s, predicate, o in self._shuffled(self.scene.relations):
            yield self._by_id[s], predicate, self._by_id[o]

    def _mention(self, thing: Thing) -> Mention | None:
        if thing.id not in self._mentions:
            found = self.caption.mention(thing)
            self._mentions[thing.id] = None if isinstance(found, str) else found
            self._complaints[thing.id] = found if isinstance(found, str) else ""
        self.why = self._complaints[thing.id] or self.why
        return self._mentions[thing.id]

    def _stated(self, thing: Thing) -> Iterator[tuple[str, int]]:
        """Attributes of a thing that its phrase states, with their tokens."""
        mention = self._mention(thing) if thing.attributes else None
        for key in dict.fromkeys(thing.attributes) if mention else ():
            word = key.rpartition("=")[2]
            if (at := self.caption.place_of(word, mention)) is not None:
                yield word, at

    def _said(self, one: Mention, other: Mention, predicate: str) -> tuple[int, int, str] | None:
        """Tokens between two things that say the predicate, and the ending of its verb."""
        first, last = one.last + 1, other.first - 1
        while first <= last and self.caption.words[first] in _AUXILIARIES:
            first += 1
        said = without_articles(self.caption.words[first : last + 1])
        if not said:
            return None
        wording = " ".join(said)
        wording = searching_words()[0].get(wording, wording)
        if self.words.may_agree(wording, predicate):
            return first, last, ""
        verb, _, rest = predicate.partition(" ")
        for ending in ("ing", "s"):
            if said == [verb_form(verb, ending), *rest.split()]:
                return first, last, ending
        return None

    def _wording(self, predicate: str, first: int, ending: str) -> str:
        verb, space, rest = predicate.partition(" ")
        if ending:
            return _WITH_ARTICLE.sub(r"the \1 of", f"{verb_form(verb, ending)}{space}{rest}")
        return f"to the {predicate}" if self.caption.words[first] == "to" and predicate in _DIRECTIONS else predicate

    # -- what is false -------------------------------------------------------------------------------------------------

    def _excludes(self, predicate: str, other: str) -> bool:
        """Can a thing not stand both ways to another? Verbs by their first word, prepositions as a whole."""
        if self.words.exclude("predicates", predicate, other):
            return True
        verb, another = predicate.partition(" ")[0], other.partition(" ")[0]
        verbs = self.words.groups["predicates"]
        both = verbs.get(verb, frozenset()) & verbs.get(another, frozenset()) & {"posture", "handling"}
        return bool(both) and not self.words.may_agree(verb, another)

    def _holds(self, subject: str, predicate: str, target: str) -> bool:
        """Is it stated, in these or like words, or can it be measured?"""
        may_agree = self.words.may_agree
        if any(s == subject and o == target and may_agree(p, predicate) for s, p, o in self._triples):
            return True
        if predicate not in _DIRECTIONS:
            return False
        from kg.rendering.scene import side_of

        wanted = ("left of", "right of") if predicate == "beside" else (predicate,)
        boxed = [thing for thing in self._truth.objects if thing.x is not None]
        firsts, seconds = ([t for t in boxed if t.name == name] for name in (subject, target))
        return any(side_of(a, b) in wanted for a in firsts for b in seconds if a is not b)

    def _may_be_there(self, name: str) -> bool:
        """Is there such a thing, or one that may be called so too?"""
        groups = self.words.groups["objects"].get(name, ())
        wider = {word for group in groups for word in self.words.wider.get(group, ()) if word != name}
        return bool(wider & self._names) or any(self.words.may_agree(name, known) for known in self._names)

    def _in_its_place(self, thing: Thing) -> Counter[str]:
        """Rivals of a thing and how often the graph has them where it stands."""
        slots = [
            self.plausible.subjects.get((predicate, self._by_id[o].name))
            if s == thing.id
            else self.plausible.objects.get((self._by_id[s].name, predicate))
            for s, predicate, o in self.scene.relations
            if thing.id in (s, o)
        ]
        rivals = self.words.rivals("objects", thing.name)
        return +Counter({name: sum(slot[name] for slot in slots if slot and name in slot) for name in rivals})

    def _known_of(self, name: str) -> list[str]:
        return [attribute for other, attribute in self._attributed if other == name]

    def _has_no_direction(self, predicate: str) -> bool:
        symmetric, rest = self.words.symmetric, predicate.partition(" ")[2]
        return predicate in symmetric or rest in symmetric or predicate in _SENSELESS_TO_SWAP

    # -- choosing and writing ------------------------------------------------------------------------------------------

    def _choose(self, candidates: dict[str, int], what: str) -> str:
        """One of the candidates, the commoner the likelier; "" and a reason where there is none."""
        if not candidates:
            self.why = f"no other {what} is both plausible and surely wrong"
            return ""
        return self.rng.choices(list(candidates), list(candidates.values()))[0]

    def _shuffled(self, values: tuple) -> list:
        return self.rng.sample(values, len(values)) if len(values) > 1 else list(values)

    def _with(self, *changes: tuple[int, int, str]) -> str:
        return self.caption.with_changes([self.caption.change(*one) for one in changes])

    @staticmethod
    def _overlap(one: Mention, other: Mention) -> bool:
        return one.first <= other.last and other.first <= one.last


_MAKERS: dict[str, Callable[[_Maker], Iterator[Negative]]] = {kind: getattr(_Maker, kind) for kind in KINDS}
