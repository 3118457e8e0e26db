"""Do captions become the scenes that they speak of, and is what cannot be read named?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kg.errors import EncoderError, SchemaViolation
from kg.scenes.composing import SceneWords, read_facts
from kg.scenes.parsing import MOST_WORDS, parse_captions
from kg.scenes.visual_genome import read_visual_genome
from kg.scenes.words import article, plural

pytest.importorskip("spacy", reason="the caption parser's spaCy is not installed")

SAID = {
    "A woman in a red saree with a green border near a loom.": (
        {"woman", "saree", "border", "loom"},
        {("saree", "red"), ("border", "green")},
        {("woman", "in", "saree")},
    ),
    "Two guys in coats standing next to a stop sign": (
        {"guy", "coat", "stop sign"},
        {("guy", "two")},
        {("guy", "in", "coat"), ("guy", "stand next to", "stop sign")},
    ),
    "A horse is ridden by a man": ({"horse", "man"}, set(), {("man", "ride", "horse")}),
    "A bench in front of a group of trees": ({"bench", "tree"}, set(), {("bench", "in front of", "tree")}),
}
BAD = {
    "": "empty",
    "  \t": "empty",
    "😀 🎉": "no words",
    "लाल साड़ी पर मोर": "not in Latin letters",
    "a red dog " * 100: f"more than {MOST_WORDS} words",
    "slowly and quietly": "names no thing",
}
KNOWN = SceneWords(
    frozenset({"peacock", "pallu", "body", "border", "diamond", "man", "horse"}),
    frozenset({"red", "green", "gold", "diamond"}),
    frozenset({"on", "left of", "ride"}),
)


@pytest.mark.parametrize("text", SAID)
def test_what_a_caption_says(text: str):
    names, attributes, relations = SAID[text]
    (parsed,) = parse_captions([text])
    assert {thing.name for thing in parsed.scene.objects} == names
    assert parsed.scene.attributed() == attributes
    assert parsed.scene.triples() >= relations


def test_every_text_has_its_answer_and_bad_ones_their_reason():
    texts = [*BAD, *SAID]
    assert [answer.why for answer in parse_captions(texts)] == [*BAD.values(), *("" for _ in SAID)]


def test_an_unknown_model_says_what_to_install():
    with pytest.raises(EncoderError, match="pip install"):
        list(parse_captions(["a dog"], model="no_such_model"))


def test_visual_genome_layout_with_what_real_files_hold(tmp_path: Path):
    things = [
        {"object_id": 1, "names": ["Man "], "x": 1, "y": 2, "w": 3, "h": 4, "attributes": ["tall", "tall", ""]},
        {"object_id": 1, "names": ["man"]},
        {"object_id": 2, "name": "horse"},
        {"object_id": 3, "names": [""]},
        "stray",
    ]
    rides = {"predicate": "RIDES", "subject_id": 1, "object_id": 2}
    relations = [rides, rides, {"predicate": "on", "subject_id": 1, "object_id": 9}, None]
    file = tmp_path / "scene_graphs.json"
    file.write_text(json.dumps([{"image_id": 7, "objects": things, "relationships": relations}, {"image_id": 8}, 5]))
    (_, image, scene, left_out), *rest = read_visual_genome(file)
    assert image == "7"
    assert [(t.name, t.attributes, t.x) for t in scene.objects] == [("man", ("tall",), 1.0), ("horse", (), None)]
    assert scene.triples() == {("man", "rides", "horse")}
    assert sum(left_out.values()) == 7 and left_out["attribute twice"] == 1
    assert [(image, sum(left.values())) for _, image, _, left in rest] == [("", 1), ("", 1)]
    file.write_text("{")
    with pytest.raises(SchemaViolation, match="cannot be read as JSON"):
        list(read_visual_genome(file))


def test_what_should_be_a_list_and_is_none_is_counted(tmp_path: Path):
    file = tmp_path / "scenes.json"
    man = {"object_id": 1, "names": ["man"], "attributes": "red"}
    file.write_text(json.dumps([{"image_id": 1, "objects": [man], "relationships": 5}]))
    ((_, _, scene, left_out),) = read_visual_genome(file)
    assert [(thing.name, thing.attributes) for thing in scene.objects] == [("man", ())] and not scene.relations
    assert left_out == {"attributes that are no list": 1, "relationships that are no list": 1}


@pytest.mark.parametrize(
    ("text", "facts", "unknown"),
    [
        ("peacock on pallu, red body, green border", ["peacock on pallu", "red body", "green border"], ()),
        ("a saree with golden peacocks to the left of a diamond", ["gold peacock left of diamond"], ("saree",)),
        ("a man riding a horse and a diamond border", ["man ride horse", "diamond border"], ()),
        ("peacock on pallu left of border", ["peacock on pallu", "pallu left of border"], ()),
        ("diamond, peacock border on pallu", ["diamond", "border on pallu", "peacock"], ()),
        ("on pallu, peacock left of", ["pallu", "peacock"], ("on", "left of")),
        ("unicorn", [], ("unicorn",)),
        ("", [], ()),
    ],
)
def test_descriptions_become_facts(text: str, facts: list[str], unknown: tuple[str, ...]):
    read, strangers = read_facts(text, KNOWN)
    assert [fact["text"] for fact in read] == facts
    assert strangers == unknown


def test_words_take_their_forms():
    assert [plural(w) for w in ("bus", "lotus", "woman", "horse rider", "berry", "boy")] == [
        "buses", "lotuses", "women", "horse riders", "berries", "boys",
    ]  # fmt: skip
    assert [article(w) for w in ("orange", "hour", "uniform", "red", "umbrella")] == ["an", "an", "a", "a", "an"]
