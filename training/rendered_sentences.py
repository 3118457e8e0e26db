"""Which two sentences about sarees contradict each other, and which looks make one of them true?

A `Contrast` is made before any picture: two sentences, and for each the slots of a look that may show it. Each is drawn
true once and false once, so that the sentences alone tell nothing. What is held out is in training/rendered_facts.py;
the wordings of the part `held_out_templates` are in no training caption either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import NamedTuple

import numpy as np

from kg.rendering import NO_MOTIF, SLOTS, Look, Rendering
from training.rendered_facts import (
    HELD_OUT_COLOURS,
    HELD_OUT_MOTIFS,
    HELD_OUT_PAIRS,
    REGIONS,
    WITH_MOTIF,
    Fact,
    Sentence,
    coloured,
    known_motifs,
    look_with,
    one_of,
    painted,
    pattern_word,
    plural_of,
    sample,
    seen_colours,
    seen_pair,
    two_motifs,
    with_article,
)

__all__ = ["PARTS", "Contrast", "contrast_of", "true_sentences"]

_DIRECTIONS = {"above": "above", "below": "below", "left of": "to the left of", "right of": "to the right of"}
_NUMBERS = {"1": "one", "2": "two", "3": "three", "4": "four"}
_LENGTHS = range(4, 13)
_LONGEST_IN_TRAINING = 7

Slots = dict[str, str]


class Contrast(NamedTuple):
    """Two sentences, each with the slots of a look that may show it and not the other."""

    kind: str
    one: Sentence
    other: Sentence
    slots_of_one: Slots
    slots_of_other: Slots


def contrast_of(part: str, rng: np.random.Generator) -> Contrast:
    """A random contrast of a part of the suite (PARTS)."""
    return _MAKERS[part](rng)


def true_sentences(rendering: Rendering, rng: np.random.Generator) -> list[Sentence]:
    """Four sentences that are true of a rendering: two of 4 to 7 parts, one relation, one count or negation.

    Where the view shows no such thing, another of the first kind stands in. No wording of a held-out template is used.
    """
    made = [_described(rendering, rng), _described(rendering, rng)]
    for maker in (_true_relations, _true_counts if rng.random() < 0.5 else _true_negations):
        found = [sentence for sentence in maker(rendering, rng) if sentence.verdict(rendering)]
        made.append(one_of(found, rng) if found else _described(rendering, rng))
    return made


# ---- attributes ------------------------------------------------------------------------------------------------------

_SWAP_FRAMES = (
    "a saree with {a_c} {x} and {a_d} {y}",
    "{a_c} {x} with {a_d} {y}",
    "the {x} is {c} and the {y} is {d}",
    "{a_c} {x}, {a_d} {y}",
    "saree: {c} {x}; {d} {y}",
)
_HELD_OUT_FRAMES = (
    "a saree whose {x} is {c} but whose {y} is {d}",
    "{c} is the colour of the {x} and {d} that of the {y}",
    "unlike its {d} {y}, the {x} of this saree is {c}",
)


def _attribute_swap(rng: np.random.Generator) -> Contrast:
    x, y = sample(REGIONS, 2, rng)
    c, d = seen_colours(rng, x, y)
    return _swapped_colours((x, y), (c, d), one_of(_SWAP_FRAMES, rng))


def _held_out_attribute_object(rng: np.random.Generator) -> Contrast:
    """Both sentences name one compound that training never saw, so that newness tells nothing."""
    x, y = sample(REGIONS, 2, rng)
    c, d = sample(HELD_OUT_COLOURS[x], 2, rng)
    return _swapped_colours((x, y), (c, d), one_of(_SWAP_FRAMES, rng))


def _swapped_colours(regions: tuple[str, ...], colours: tuple[str, ...], frame: str) -> Contrast:
    (x, y), (c, d) = regions, colours
    sentences = [
        Sentence(_filled(frame, x=x, y=y, c=p, d=q), (coloured(x, p), coloured(y, q))) for p, q in ((c, d), (d, c))
    ]
    kind = "/".join(sorted(regions))
    return Contrast(kind, *sentences, painted((x, y), (c, d)), painted((x, y), (d, c)))


def _length(rng: np.random.Generator) -> Contrast:
    """Sentences of 4 to 12 parts (things, attributes, relations), of which two colours change places."""
    size = int(rng.choice(_LENGTHS))
    plan = _plan_of(size, rng)
    look = look_with({}, rng)
    slots = _told_slots(plan, look, rng)
    x, y = sample([slot for slot in slots if slot.endswith("_colour")], 2, rng)
    slots[x], slots[y] = seen_colours(rng, x.removesuffix("_colour"), y.removesuffix("_colour"))
    swapped = {**slots, x: slots[y], y: slots[x]}
    return Contrast(f"length {size:02}", _listing(plan, slots), _listing(plan, swapped), slots, swapped)


class _Plan(NamedTuple):
    """What a listing says: regions with colours, which of them with a pattern, which with a motif on them."""

    regions: tuple[str, ...]
    patterned: tuple[str, ...]
    with_motif: tuple[str, ...]


def _plan_of(size: int, rng: np.random.Generator, visible: tuple[str, ...] = REGIONS) -> _Plan | None:
    """A plan of so many parts: a coloured region is two, its pattern one, a motif on it two."""
    shapes = [
        shape
        for shape in product((2, 3), range(4), range(3))
        if 2 * shape[0] + shape[1] + 2 * shape[2] == size and shape[1] <= shape[0] <= len(visible)
    ]
    for regions, patterned, motifs in (shapes[i] for i in rng.permutation(len(shapes))):
        chosen = sample(visible, regions, rng)
        carriers = [region for region in chosen if region in WITH_MOTIF]
        if len(carriers) >= motifs:
            return _Plan(chosen, sample(chosen, patterned, rng), sample(carriers, motifs, rng))
    return None if visible != REGIONS else _plan_of(size, rng)


def _told_slots(plan: _Plan, look: Look, rng: np.random.Generator) -> Slots:
    slots = {f"{region}_colour": look[f"{region}_colour"] for region in plan.regions}
    for region in plan.with_motif:
        slots[f"{region}_motif"] = look[f"{region}_motif"]
        if slots[f"{region}_motif"] == NO_MOTIF:
            slots[f"{region}_motif"] = one_of(known_motifs(region), rng)
    if frozenset((slots.get("body_motif"), slots.get("pallu_motif"))) in HELD_OUT_PAIRS:
        return _told_slots(plan, look_with({}, rng), rng)
    for region in plan.patterned:
        patterns = [p for p in SLOTS[region] if region not in plan.with_motif or p in WITH_MOTIF[region]]
        slots[region] = one_of(patterns, rng)
    if slots.get("pallu") == "zari ground":
        slots["zari"] = one_of(("gold", "silver"), rng)
    return slots


def _listing(plan: _Plan, slots: Mapping[str, str]) -> Sentence:
    phrases, facts = [], []
    for region in plan.regions:
        colour = slots[f"{region}_colour"]
        facts.append(coloured(region, colour))
        if region in plan.patterned:
            facts.append(Fact(region, region, slots[region]))
            phrases.append(with_article(f"{colour} {pattern_word(region, slots[region])} {region}"))
        else:
            phrases.append(with_article(f"{colour} {region}"))
    for region in plan.with_motif:
        motif = slots[f"{region}_motif"]
        facts.append(Fact(motif, "on", region))
        phrases.append(f"{with_article(motif)} on the {region}")
    return Sentence(f"a saree with {', '.join(phrases[:-1])} and {phrases[-1]}", tuple(facts))


# ---- relations -------------------------------------------------------------------------------------------------------


def _relation_swap(rng: np.random.Generator) -> Contrast:
    maker = one_of((_motifs_apart, _regions_apart, _motifs_on), rng)
    return maker(rng)


def _motifs_apart(rng: np.random.Generator, pair: tuple[str, str] | None = None) -> Contrast:
    """A peacock above a lotus, or a lotus above a peacock."""
    body, pallu = pair or seen_pair(rng)
    one, other = sample((body, pallu), 2, rng)
    predicate = one_of(tuple(_DIRECTIONS), rng)
    frame = one_of(("{} {} {}", "a saree with {} {} {}"), rng)
    sentences = [
        Sentence(frame.format(with_article(s), _DIRECTIONS[predicate], with_article(o)), (Fact(s, predicate, o),))
        for s, o in ((one, other), (other, one))
    ]
    slots = {"body_motif": body, "pallu_motif": pallu}
    return Contrast("motifs", *sentences, slots, slots)


def _regions_apart(rng: np.random.Generator) -> Contrast:
    """The border is above the body, or the body above the border."""
    x, y = sample(REGIONS, 2, rng)
    predicate = one_of(tuple(_DIRECTIONS), rng)
    frame = one_of(("the {} is {} the {}", "the {} {} the {}"), rng)
    sentences = [
        Sentence(frame.format(s, _DIRECTIONS[predicate], o), (Fact(s, predicate, o),)) for s, o in ((x, y), (y, x))
    ]
    return Contrast("regions", *sentences, {}, {})


_ON_FRAMES = (
    "{m} on the {x} and {n} on the {y}",
    "a saree with {m} on the {x} and {n} on the {y}",
)
_HELD_OUT_ON_FRAMES = (
    "it is the {x} that carries {m} and the {y} that carries {n}",
    "where the {x} shows {m}, the {y} shows {n}",
)


def _motifs_on(
    rng: np.random.Generator, frames: tuple[str, ...] = _ON_FRAMES, motifs: tuple[str, str] | None = None
) -> Contrast:
    """A peacock on the body and a lotus on the pallu, or the other way round."""
    m, n = motifs or seen_pair(rng, either_way=True)
    x, y = sample(("body", "pallu"), 2, rng)
    frame = one_of(frames, rng)
    sentences = [
        Sentence(frame.format(m=with_article(p), n=with_article(q), x=x, y=y), (Fact(p, "on", x), Fact(q, "on", y)))
        for p, q in ((m, n), (n, m))
    ]
    return Contrast("on", *sentences, {f"{x}_motif": m, f"{y}_motif": n}, {f"{x}_motif": n, f"{y}_motif": m})


def _held_out_object_relation(rng: np.random.Generator) -> Contrast:
    """Motifs on regions, each sentence with one unseen compound; or a pair of motifs that training never showed."""
    if rng.random() < 0.5:
        return _motifs_apart(rng, sample(tuple(sorted(one_of(HELD_OUT_PAIRS, rng))), 2, rng))
    return _motifs_on(rng, motifs=sample(HELD_OUT_MOTIFS[one_of(("body", "pallu"), rng)], 2, rng))


# ---- numbers, and what is not there ----------------------------------------------------------------------------------

_COUNT_FRAMES = ("a saree with exactly {} whole {}", "exactly {} whole {} on the saree")


def _count(rng: np.random.Generator) -> Contrast:
    """Whole motifs in sight: those that nothing hides and the picture's edge does not cut."""
    region, (a, b) = one_of(("body", "pallu"), rng), sample(tuple(_NUMBERS), 2, rng)
    motif, frame = one_of(known_motifs(region), rng), one_of(_COUNT_FRAMES, rng)
    slots = {f"{region}_motif": motif, f"{'pallu' if region == 'body' else 'body'}_motif": NO_MOTIF}
    return Contrast(f"{min(a, b)} or {max(a, b)}", _counted(motif, a, frame), _counted(motif, b, frame), slots, slots)


def _counted(motif: str, number: str, frame: str) -> Sentence:
    words = frame.format(_NUMBERS[number], motif if number == "1" else plural_of(motif))
    return Sentence(words, (Fact(motif, "count", number),))


def _negation(rng: np.random.Generator) -> Contrast:
    return one_of((_no_motif, _one_but_no_other, _not_coloured), rng)(rng)


def _no_motif(rng: np.random.Generator, frame: str = "a saree without {}") -> Contrast:
    one, other = two_motifs(rng)
    sentences = [Sentence(frame.format(plural_of(m)), (Fact(m, "shown", negated=True),)) for m in (one, other)]
    return Contrast("without", *sentences, _somewhere(other, rng), _somewhere(one, rng))


def _one_but_no_other(rng: np.random.Generator) -> Contrast:
    one, other = two_motifs(rng)
    sentences = [
        Sentence(
            f"a saree with {plural_of(m)} but no {plural_of(n)}", (Fact(m, "shown"), Fact(n, "shown", negated=True))
        )
        for m, n in ((one, other), (other, one))
    ]
    return Contrast("but no", *sentences, _somewhere(one, rng), _somewhere(other, rng))


def _not_coloured(rng: np.random.Generator) -> Contrast:
    x, y = sample(REGIONS, 2, rng)
    c, d = seen_colours(rng, x, y)
    said = rng.random() < 0.5
    sentences = [
        Sentence(
            f"the {p} is {c} and the {q} is not {c}" if said else f"the {q} is not {c}",
            (*([coloured(p, c)] if said else ()), coloured(q, c)._replace(negated=True)),
        )
        for p, q in ((x, y), (y, x))
    ]
    return Contrast("not", *sentences, painted((x, y), (c, d)), painted((x, y), (d, c)))


# ---- templates kept from training ------------------------------------------------------------------------------------


def _held_out_templates(rng: np.random.Generator) -> Contrast:
    """Wordings and ways of being wrong that no training caption and no negative of kg/scenes/negatives.py has."""
    kind = one_of(("wording", "rotation", "neither", "nowhere", "carries"), rng)
    if kind == "rotation":
        return _rotation(rng)
    if kind == "neither":
        return _neither(rng)
    if kind == "nowhere":
        return _no_motif(rng, "{} are nowhere on this saree")._replace(kind=kind)
    if kind == "carries":
        return _motifs_on(rng, _HELD_OUT_ON_FRAMES)._replace(kind=kind)
    x, y = sample(REGIONS, 2, rng)
    return _swapped_colours((x, y), seen_colours(rng, x, y), one_of(_HELD_OUT_FRAMES, rng))._replace(kind=kind)


def _rotation(rng: np.random.Generator) -> Contrast:
    """Three colours that move on by one, where training negatives swap two."""
    regions = sample(REGIONS, 3, rng)
    c, d, e = seen_colours(rng, *regions)
    plan = _Plan(regions, (), ())
    one, other = painted(regions, (c, d, e)), painted(regions, (d, e, c))
    return Contrast("rotation", _listing(plan, one), _listing(plan, other), one, other)


def _neither(rng: np.random.Generator) -> Contrast:
    x, y, z = sample(REGIONS, 3, rng)
    c, d = seen_colours(rng, x, y, z)[:2]
    sentences = [
        Sentence(f"neither the {x} nor the {p} is {c}", tuple(coloured(q, c)._replace(negated=True) for q in (x, p)))
        for p in (y, z)
    ]
    return Contrast("neither", *sentences, painted((x, y, z), (d, d, c)), painted((x, y, z), (d, c, d)))


# ---- true sentences for training -------------------------------------------------------------------------------------


def _described(rendering: Rendering, rng: np.random.Generator) -> Sentence:
    visible = tuple(region for region in REGIONS if region in rendering.visible)
    look, size = rendering.look, int(rng.integers(4, _LONGEST_IN_TRAINING + 1))
    plan = _plan_of(size, rng, visible) if size > 4 else None
    if plan and all(Fact(look[f"{r}_motif"], "on", r).verdict(rendering) for r in plan.with_motif):
        return _listing(plan, look.as_dict())
    x, y = sample(visible, 2, rng)
    c, d = look[f"{x}_colour"], look[f"{y}_colour"]
    return Sentence(_filled(one_of(_SWAP_FRAMES, rng), x=x, y=y, c=c, d=d), (coloured(x, c), coloured(y, d)))


def _true_relations(rendering: Rendering, rng: np.random.Generator) -> Iterator[Sentence]:
    body, pallu = rendering.look.body_motif, rendering.look.pallu_motif
    if NO_MOTIF not in (body, pallu) and body != pallu:
        contrast = _motifs_apart(rng, sample((body, pallu), 2, rng))
        yield from (contrast.one, contrast.other)
        yield _motifs_on_as(rendering.look, rng)
    contrast = _regions_apart(rng)
    yield from (contrast.one, contrast.other)


def _motifs_on_as(look: Look, rng: np.random.Generator) -> Sentence:
    x, y = sample(("body", "pallu"), 2, rng)
    m, n = look[f"{x}_motif"], look[f"{y}_motif"]
    text = one_of(_ON_FRAMES, rng).format(m=with_article(m), n=with_article(n), x=x, y=y)
    return Sentence(text, (Fact(m, "on", x), Fact(n, "on", y)))


def _true_counts(rendering: Rendering, rng: np.random.Generator) -> Iterator[Sentence]:
    for motif in sorted({rendering.look.body_motif, rendering.look.pallu_motif} - {NO_MOTIF}):
        for number in _NUMBERS:
            yield _counted(motif, number, one_of(_COUNT_FRAMES, rng))


def _true_negations(_: Rendering, rng: np.random.Generator) -> Iterator[Sentence]:
    for _n in range(4):
        contrast = _negation(rng)
        yield from (contrast.one, contrast.other)


def _somewhere(motif: str, rng: np.random.Generator) -> Slots:
    regions = [region for region in WITH_MOTIF if motif in known_motifs(region)]
    return {f"{one_of(regions, rng)}_motif": motif}


def _filled(frame: str, *, x: str, y: str, c: str, d: str) -> str:
    return frame.format(x=x, y=y, c=c, d=d, a_c=with_article(c), a_d=with_article(d))


_MAKERS: dict[str, Callable[[np.random.Generator], Contrast]] = {
    "attribute_swap": _attribute_swap,
    "relation_swap": _relation_swap,
    "count": _count,
    "negation": _negation,
    "length": _length,
    "held_out_attribute_object": _held_out_attribute_object,
    "held_out_object_relation": _held_out_object_relation,
    "held_out_templates": _held_out_templates,
}
PARTS = tuple(_MAKERS)
