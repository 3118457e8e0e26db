"""Are semantic negatives grammatical, of the kind they say, and never true of their image?"""

from __future__ import annotations

import random
import re
from collections import Counter

import numpy as np
import pytest

from kg.rendering import Job, Rendering, caption, render_job
from kg.scenes.mentions import verb_form
from kg.scenes.negatives import KINDS, Negative, make_negatives
from kg.scenes.plausible import Plausible
from kg.scenes.scene import Scene, Thing

RIDER = Scene((Thing("m", "man", ("young",)), Thing("h", "horse", ("brown",))), (("m", "ride", "h"),))
SAREE = Scene((Thing("b", "body", ("red",)), Thing("o", "border", ("orange",))), (("b", "with", "o"),))
CAT = Scene((Thing("c", "cat"), Thing("b", "bed")), (("c", "sleep on", "b"),))
SEEN = Plausible.of_scenes(
    [
        CAT,
        RIDER,
        Scene((Thing("c", "cat"), Thing("b", "bed")), (("c", "stand on", "b"), ("c", "lie on", "b"))),
        Scene((Thing("d", "elephant"), Thing("b", "bed")), (("d", "sleep on", "b"),)),
        Scene((Thing("h", "horse", ("orange",)),)),
        SAREE,
    ]
)


def made(
    text: str, scene: Scene, kind: str, truth: Scene | None = None, **form: bool
) -> tuple[list[str], Counter[str]]:
    """All that twenty seeds make of one kind, and the reasons against."""
    reasons: Counter[str] = Counter()
    found = {
        negative.text
        for seed in range(20)
        for negative in make_negatives(
            text, scene, SEEN, rng=random.Random(seed), truth=truth, reasons=reasons, kinds=(kind,), **form
        )
    }
    return sorted(found), reasons


@pytest.mark.parametrize(
    ("kind", "text", "scene", "wanted"),
    [
        ("swap_objects", "A young man riding a brown horse.", RIDER, ["A brown horse riding a young man."]),
        (
            "swap_attributes",
            "a red body with an orange border",
            SAREE,
            ["an orange body with a red border"],
        ),
        ("replace_relation", "A cat is sleeping on the bed", CAT, ["A cat is standing on the bed"]),
        ("replace_object", "A cat sleeps on a bed", CAT, ["An elephant sleeps on a bed"]),
        ("replace_object", "Cats sleeping on a bed", CAT, ["Elephants sleeping on a bed"]),
        ("replace_attribute", "A man riding a brown horse", RIDER, ["A man riding an orange horse"]),
    ],
)
def test_each_kind(kind: str, text: str, scene: Scene, wanted: list[str]):
    assert made(text, scene, kind)[0] == wanted


def test_what_the_image_shows_too_is_no_negative():
    both = Scene((*RIDER.objects, Thing("x", "horse", ("orange",))), (*RIDER.relations, ("h", "ride", "m")))
    for kind, reason in (("swap_objects", "is true too"), ("replace_attribute", "no other attribute")):
        found, reasons = made("A young man riding a brown horse", RIDER, kind, both)
        assert not found
        assert any(reason in why for why in reasons)
    there = Scene((*CAT.objects, Thing("e", "elephant")), CAT.relations)
    assert made("A cat sleeps on a bed", CAT, "replace_object", there)[0] == []
    animal = Scene((*CAT.objects, Thing("e", "animal")), CAT.relations)
    assert made("A cat sleeps on a bed", CAT, "replace_object", animal)[0] == []


LONG = "a red body with an orange border " * 50
ODD = {
    "empty caption": ("", RIDER),
    "scene without things": ("slowly", Scene()),
    "caption of more than 120 words": (LONG, SAREE),
    "contradictory scene": (
        "a cat above a bed",
        Scene(CAT.objects, (("c", "left of", "b"), ("c", "right of", "b"))),
    ),
}


@pytest.mark.parametrize("reason", ODD)
def test_bad_input_is_counted_by_name(reason: str):
    text, scene = ODD[reason]
    found, reasons = made(text, scene, "swap_objects")
    assert (found, reasons) == ([], Counter({reason: 20}))


def test_one_thing_duplicate_attributes_and_other_scripts():
    alone = Scene((Thing("h", "horse", ("brown", "brown")),))
    found, reasons = made("a brown horse", alone, "swap_objects")
    assert not found and set(reasons) == {"swap_objects: scene of one thing", "attribute twice on one thing"}
    assert made("a brown horse", alone, "replace_attribute")[0] == ["an orange horse"]
    for text in ("😀 🎉", "लाल साड़ी पर मोर", "a brown horse 🐎 und ein Mädchen"):
        made(text, alone, "replace_attribute")
    assert made("लाल साड़ी", RIDER, "swap_objects")[1] == Counter(
        {"swap_objects: a thing is not named in the caption": 20}
    )
    twice = made("a brown horse beside a brown horse", alone, "replace_attribute")
    assert twice[0] == [] and set(twice[1]) == {
        "replace_attribute: a thing is named twice",
        "attribute twice on one thing",
    }


def test_the_relation_must_be_the_captions_own_where_the_scene_is_the_whole_images():
    scene = Scene((*RIDER.objects,), (("h", "left of", "m"),))
    text = "a young man riding a brown horse"
    assert made(text, scene, "swap_objects", whole=False)[0]
    assert made(text, scene, "swap_objects", whole=True)[0] == []


def drawn() -> list[tuple[str, Rendering]]:
    """True captions of rendered sarees in which something stands to something."""
    pairs = []
    for index in range(40):
        rendering, rng = render_job(Job("unit_tests", index, None, 112)), np.random.default_rng(index)
        pairs += [(caption(rendering, rng, kind="scene"), rendering) for _ in range(8)]
    return [pair for pair in pairs if any(way in pair[0] for way in SAYINGS if way != "on") or " on a" in pair[0]]


def test_no_negative_of_a_rendered_saree_is_true_of_it():
    """Slow and obvious: whatever `A is to B` a negative says is measured on the renderer's own scene."""
    pairs = [(text, rendering, plain(rendering)) for text, rendering in drawn()]
    plausible = Plausible.of_scenes(scene for _, _, scene in pairs)
    kinds: Counter[str] = Counter()
    for seed, (text, rendering, scene) in enumerate(pairs):
        for negative in make_negatives(text, scene, plausible, rng=random.Random(seed), whole=True):
            kinds[negative.kind] += 1
            assert not is_true(negative, rendering), (text, negative)
            assert not re.search(r"\ba [aeio]|\ban [^aeiou]", negative.text), negative.text
    assert set(kinds) == set(KINDS)
    assert all(is_true(Negative(text, "", "", ""), rendering) for text, rendering, _ in pairs if " and " not in text)


def plain(rendering: Rendering) -> Scene:
    """The renderer's scene as the database gives it back."""
    things = (
        Thing(o.id, o.name, tuple(a.rpartition("=")[2] for a in o.attributes), o.x, o.y, o.w, o.h)
        for o in rendering.scene.objects
    )
    return Scene(tuple(things), rendering.scene.relations)


SAYINGS = {
    "to the left of": "left of",
    "left of": "left of",
    "to the right of": "right of",
    "right of": "right of",
    "higher than": "above",
    "lower than": "below",
    "next to": "beside",
    "above": "above",
    "below": "below",
    "beside": "beside",
    "on": "on",
}


def is_true(negative: Negative, rendering: Rendering) -> bool:
    """Every part of the sentence holds. Attributes by what any thing of the name has, relations by measuring."""
    text = re.sub(r"^(a saree: |on a saree, )", "", negative.text)
    return all(part_is_true(part, rendering) for part in text.split(" and "))


def part_is_true(part: str, rendering: Rendering) -> bool:
    names = "|".join({o.name for o in rendering.scene.objects})
    ways = "|".join(SAYINGS)
    found = re.fullmatch(rf"an? (?:(\w+) )?({names}) ({ways}) an? (?:(\w+) )?({names})", part)
    if not found:
        return False
    one, subject, way, other, target = found.groups()
    known = {(o.name, a.rpartition("=")[2]) for o in rendering.scene.objects for a in o.attributes}
    stated = {(subject, one), (target, other)} - {(subject, None), (target, None)}
    return stated <= known and rendering.scene.holds(subject, SAYINGS[way], target)


def test_verbs_take_their_endings():
    forms = [
        verb_form(*pair) for pair in (("sit", "ing"), ("lie", "ing"), ("ride", "ing"), ("walk", "s"), ("fly", "s"))
    ]
    assert forms == ["sitting", "lying", "riding", "walks", "flies"]
