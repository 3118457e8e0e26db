"""Is bad input to scenes, negatives and suites counted and named, one test for each kind of it?"""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest

from kg.errors import SchemaViolation
from kg.scenes.negatives import Negative, make_negatives
from kg.scenes.parsing import Parsed, parse_captions
from kg.scenes.plausible import Plausible
from kg.scenes.scene import Scene, Thing
from kg.scenes.visual_genome import read_visual_genome
from training.suite_files import READERS, read_suite

CAT, DOG = Thing("c", "cat", ("red",)), Thing("d", "dog", ("green",))
SEEN = Plausible.of_scenes([Scene((CAT, DOG))])


def negatives(caption: str, scene: Scene) -> tuple[list[Negative], Counter[str]]:
    reasons: Counter[str] = Counter()
    return make_negatives(caption, scene, SEEN, rng=random.Random(0), reasons=reasons), reasons


def parsed(text: str) -> Parsed:
    return next(parse_captions([text]))


def test_an_empty_caption():
    assert negatives(" ", Scene((CAT, DOG))) == ([], {"empty caption": 1})
    assert parsed("") == parsed("  \n") == Parsed(Scene(), "empty")


def test_a_scene_of_one_thing():
    made, reasons = negatives("a red cat", Scene((CAT,)))
    assert not [one for one in made if one.kind.startswith("swap")]
    assert reasons["swap_objects: scene of one thing"] == reasons["swap_attributes: scene of one thing"] == 1
    assert negatives("a cat", Scene()) == ([], {"scene without things": 1})


def test_duplicate_attributes(tmp_path: Path):
    made, reasons = negatives("a red cat and a green dog", Scene((Thing("c", "cat", ("red", "red")), DOG)))
    assert [one.text for one in made] == ["a green cat and a red dog"]
    assert reasons["attribute twice on one thing"] == 1
    file = tmp_path / "scene_graphs.json"
    thing = {"object_id": 1, "names": ["cat"], "attributes": ["Red", "red ", "old"]}
    file.write_text(json.dumps([{"image": "a", "objects": [thing]}]))
    ((_, _, scene, left_out),) = read_visual_genome(file)
    assert scene.objects[0].attributes == ("red", "old") and left_out == {"attribute twice": 1}


def test_a_caption_of_300_words():
    text = "a red cat beside a green dog " * 43
    assert negatives(text, Scene((CAT, DOG))) == ([], {"caption of more than 120 words": 1})
    assert parsed(text) == Parsed(Scene(), "more than 120 words")


@pytest.mark.parametrize("text", ["😀😀", "लाल साड़ी पर मोर", "красная кошка", "猫と犬"])
def test_emoji_and_other_scripts(text: str):
    assert parsed(text).why in ("no words", "not in Latin letters") and not parsed(text).scene.objects
    made, reasons = negatives(text, Scene((CAT, DOG)))
    assert not made and sum(reasons.values()) == 5


def test_emoji_among_words_are_read_past():
    scene = parsed("a red body 😀 with a border 🪷").scene
    assert scene.triples() == {("body", "with", "border")}


def test_a_contradictory_scene():
    both = Scene((CAT, DOG), (("c", "left of", "d"), ("c", "right of", "d")))
    for scene in (both, Scene((CAT,), (("c", "above", "c"),)), Scene((CAT,), (("c", "above", "gone"),))):
        assert negatives("a red cat left of a green dog", scene) == ([], {"contradictory scene": 1})


@pytest.mark.parametrize("name", READERS)
def test_a_malformed_suite_file(name: str, tmp_path: Path):
    file = tmp_path / READERS[name].pattern.replace("*", "x")
    for content in (b"", b"\xff\xfe\x00", b"{" * 50, b"3", b'[3, null, {}, [], {"image": 4, "caption": {}}]'):
        file.write_bytes(content)
        with pytest.raises(SchemaViolation, match=r"cannot be read|could be read|holds a|has no columns"):
            read_suite(name, tmp_path)
