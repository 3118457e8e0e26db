"""Is our own suite true to its pictures, blind to its words, and apart from what recipes learn from?"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from kg.errors import SettingsError
from kg.progress import SilentReporter
from kg.rendering import Rendering, load_craft, rng_for
from kg.rendering.slots import MOTIFS
from kg.store import Store
from training.rendered_facts import HELD_OUT_PAIRS, plural_of, speaks_of_held_out
from training.rendered_sentences import PARTS, contrast_of
from training.rendered_suite import draw, rendered_suite, rendered_training
from training.suites import Question, judge
from training.text_only import text_only_accuracy

REPORTER = SilentReporter()
SINGULAR = {plural_of(motif): motif for motif in MOTIFS} | {motif: motif for motif in MOTIFS}
MOTIF = "|".join(sorted(SINGULAR, key=len, reverse=True))
REGION = "body|border|pallu"
NUMBERS = {"one": 1, "two": 2, "three": 3, "four": 4}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


def colour(rendering: Rendering, region: str) -> str:
    return rendering.look[f"{region}_colour"]


def slow_truth(text: str, rendering: Rendering) -> bool:
    """The sentence read again by patterns alone, against the scene and the look: a second, obvious way."""
    look, scene = rendering.look, rendering.scene
    names = Counter(thing.name for thing in scene.objects)
    on = {(SINGULAR[m], r) for m, r in re.findall(rf"({MOTIF}) on the (body|pallu)", text)}
    on |= {(SINGULAR[m], r) for r, m in re.findall(rf"(body|pallu),? (?:that carries|shows) an? ({MOTIF})", text)}
    said: list[bool] = [look[f"{region}_motif"] == motif for motif, region in on]
    if found := re.search(rf"exactly (\w+) whole ({MOTIF})", text):
        said.append(names[SINGULAR[found[2]]] == NUMBERS[found[1]])
    drawn = {look.body_motif, look.pallu_motif}
    for motif in re.findall(rf"(?:without|but no) ({MOTIF})|({MOTIF}) are nowhere", text):
        said.append(SINGULAR["".join(motif)] not in drawn)
    said += [SINGULAR[m] in drawn for m in re.findall(rf"with ({MOTIF}) but no", text)]
    for s, p, o in re.findall(rf"({MOTIF}|{REGION}) (?:is )?(above|below|to the (?:left|right) of) (?:an?|the) "
                              rf"({MOTIF}|{REGION})", text):  # fmt: skip
        said.append(scene.holds(s, p.removeprefix("to the "), o))
    said += [colour(rendering, r) == c for r, c in re.findall(rf"({REGION}) (?:of this saree )?is (?!not)([a-z]+)\b",
             text) if c in COLOURS and "neither" not in text]  # fmt: skip
    said += [colour(rendering, r) != c for r, c in re.findall(rf"({REGION}) is not ([a-z]+)", text)]
    said += [c != colour(rendering, r) for a, b, c in re.findall(rf"neither the ({REGION}) nor the ({REGION}) is "
             r"(\w+)", text) for r in (a, b)]  # fmt: skip
    for c, pattern, region in re.findall(rf"({'|'.join(COLOURS)}) ((?:(?!and|the|but)[\w-]+ ){{0,2}})({REGION})", text):
        said.append(colour(rendering, region) == c)
        if pattern:
            words = load_craft().value(region, look[region]).words
            said.append(f"{pattern}{region}" in words)
    if found := re.search(rf"(\w+) is the colour of the ({REGION}) and (\w+) that of the ({REGION})", text):
        said += [colour(rendering, found[2]) == found[1], colour(rendering, found[4]) == found[3]]
    assert said, f"the slow reader does not understand {text!r}"
    return all(said)


COLOURS = set(load_craft().values["Colour"])


@pytest.mark.parametrize("part", PARTS)
def test_each_sentence_is_true_of_one_picture_and_false_of_the_other(part: str) -> None:
    for contrast, of_one, of_other in draw(part, 5, rng_seed=3, split="valid"):
        told = [[slow_truth(s.text, r) for s in (contrast.one, contrast.other)] for r in (of_one, of_other)]
        assert told == [[True, False], [False, True]], contrast


def test_the_suite_cannot_be_answered_from_its_sentences(store: Store) -> None:
    """Pictures are not needed for this: contrasts as they are sampled, each asked both ways."""
    questions = []
    for part in PARTS:
        for index in range(120):
            c = contrast_of(part, rng_for("unit_tests", index))
            texts = (c.one.text, c.other.text)
            questions += [Question(part, ("p",), texts), Question(part, ("q",), texts[::-1])]
    accuracy = text_only_accuracy(questions)
    assert set(accuracy) == set(PARTS)
    assert all(abs(value - 0.5) <= 0.03 for value in accuracy.values()), accuracy
    drawn = rendered_suite(store, items_per_part=4, reporter=REPORTER)
    mates = Counter((q.category, frozenset(q.texts)) for q in drawn.questions)
    true = Counter((q.category, q.texts) for q in drawn.questions)
    assert all(true[part, texts] == true[part, texts[::-1]] for part, texts in true) and min(mates.values()) >= 2


def test_the_text_only_scorer_finds_what_wording_gives_away() -> None:
    one_way = [Question("x", ("p",), (f"a {c} body", f"a {c} and odd body")) for c in COLOURS]
    assert text_only_accuracy(one_way)["x"] == 1.0


def test_suite_is_kept_and_the_same_every_time(store: Store, tmp_path: Path) -> None:
    suite = rendered_suite(store, items_per_part=4, reporter=REPORTER)
    assert Counter(q.category for q in suite.questions) == dict.fromkeys(PARTS, 4)
    written = {path: path.stat().st_mtime_ns for path in store.folder.rglob("pictures.npy")}
    again = rendered_suite(store, items_per_part=4, reporter=REPORTER)
    assert again.questions == suite.questions
    assert written == {path: path.stat().st_mtime_ns for path in store.folder.rglob("pictures.npy")}
    elsewhere = rendered_suite(Store(tmp_path), items_per_part=4, reporter=REPORTER)
    assert elsewhere.questions == suite.questions
    assert all(np.array_equal(suite.pictures[q.images[0]], elsewhere.pictures[q.images[0]]) for q in suite.questions)
    parts = judge(suite, lambda image, text: float(image.endswith("a")) * len(text), images=suite.pictures)
    assert len(parts) == len(PARTS) + 1


def test_training_never_shows_or_names_what_is_held_out(store: Store) -> None:
    learn = rendered_training(store, images=60, reporter=REPORTER)
    assert learn.pictures.shape == (60, 128, 128, 3) and {len(texts) for texts in learn.captions} == {4}
    assert not [text for texts in learn.captions for text in texts if speaks_of_held_out(text)]
    for scene in learn.scenes:
        compounds = [f"a {a} {name}" for name, a in scene.attributed()] + [
            f"a {s} {p} the {o}" for s, p, o in scene.triples()
        ]
        assert not [text for text in compounds if speaks_of_held_out(text)]
        assert not any(pair <= {thing.name for thing in scene.objects} for pair in HELD_OUT_PAIRS)
    for part in ("held_out_attribute_object", "held_out_object_relation"):
        for index in range(60):
            contrast = contrast_of(part, rng_for("unit_tests", index))
            assert speaks_of_held_out(contrast.one.text) and speaks_of_held_out(contrast.other.text)
    for part in ("attribute_swap", "relation_swap", "count", "negation", "length"):
        for index in range(60):
            contrast = contrast_of(part, rng_for("unit_tests", index))
            assert not speaks_of_held_out(contrast.one.text) and not speaks_of_held_out(contrast.other.text)


def test_splits_share_no_picture(store: Store) -> None:
    form = {"images": 8, "reporter": REPORTER}
    held = [rendered_training(store, split=split, **form).pictures for split in ("train", "valid", "test")]
    held.append(rendered_training(store, rng_seed=1, **form).pictures)
    held.append(np.stack(list(rendered_suite(store, items_per_part=4, reporter=REPORTER).pictures.values())))
    prints = [picture.tobytes() for pictures in held for picture in pictures]
    assert len(set(prints)) == len(prints)


def test_what_cannot_be_drawn_is_refused(store: Store) -> None:
    with pytest.raises(SettingsError, match="no split 'gate'"):
        rendered_training(store, images=4, split="gate", reporter=REPORTER)
    with pytest.raises(SettingsError, match=r"choose 0\.\.99"):
        rendered_suite(store, rng_seed=100, reporter=REPORTER)
