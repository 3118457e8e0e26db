"""Are the public suites' layouts read with what real files contain, and scored as their protocols say?"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from cli import context
from cli.main import app
from kg.encoders.image import load_image_encoder
from kg.encoders.tower import ImageTower
from kg.errors import DimensionMismatch, SchemaViolation, StoreError
from kg.progress import SilentReporter
from kg.settings import load_settings
from training.retrieval import recall_at
from training.suite_files import read_suite
from training.suite_models import encode_suite, model_of_run, similarities
from training.suites import Question, Suite, judge
from training.word_order import shuffled


def test_sugarcrepe_with_gaps_and_stray_entries(tmp_path: Path):
    good = {"filename": "1.jpg", "caption": "a red dog", "negative_caption": "a red cat"}
    held = {
        "0": good,
        "7": {**good, "filename": "2.jpg"},
        "3": {"filename": "x"},
        "4": 5,
        "9": {**good, "caption": "a red cat"},
    }
    (tmp_path / "replace_obj.json").write_text(json.dumps(held))
    (tmp_path / "swap_att.json").write_text(json.dumps({"2": good}))
    suite = read_suite("sugarcrepe", tmp_path)
    assert len(suite.questions) == 3
    assert suite.left_out == {"entry without image or caption": 1, "not an object": 1, "both captions are the same": 1}
    parts = judge(suite, lambda image, text: float(("dog" in text) == (image == "1.jpg")), images=["1.jpg", "2.jpg"])
    assert {part.category: (part.accuracy, part.n) for part in parts} == {
        "replace_obj": (0.5, 2),
        "swap_att": (1.0, 1),
        "macro": (0.75, 3),
    }
    judge(suite, lambda *_: 0.0, images=["1.jpg"])
    assert suite.left_out["missing image"] == 1


def test_aro_is_the_mean_over_relations_that_have_a_direction(tmp_path: Path):
    entry = {"image_path": "a.jpg", "true_caption": "a on b", "false_caption": "b on a"}
    box = {"bbox_x": 3, "bbox_y": 4.0, "bbox_w": 50, "bbox_h": 60}
    named = [{**entry, "relation_name": name} for name in ("on", "on", "on", "near", "below")]
    pairs = [{**entry, **box, "attributes": ["red", "old"]}] * 25 + [{**entry, "attributes": ["new", "old"]}] * 24
    (tmp_path / "visual_genome_relation.json").write_text(json.dumps([*named, {**entry, "image_path": None}]))
    (tmp_path / "visual_genome_attribution.json").write_text(json.dumps(pairs))
    suite = read_suite("aro", tmp_path)
    assert suite.left_out == {
        "relation that the protocol leaves out": 1,
        "entry without image or caption": 1,
        "pair of attributes asked less than 25 times": 24,
    }
    assert Counter(q.images for q in suite.questions)["a.jpg#xywh=3,4,50,60",] == 25
    right = {"on": 0.0, "below": 1.0}
    scores = iter([right[q.kind] * (text == q.texts[0]) if q.kind in right else text == q.texts[0]
                   for q in suite.questions for text in q.texts])  # fmt: skip
    parts = {part.category: part for part in judge(suite, lambda *_: next(scores), kinds=True)}
    assert parts["relation"].accuracy == 0.5 and parts["relation"].n == 4
    assert parts["attribution"].accuracy == 1.0 and parts["macro"].accuracy == 0.75
    assert parts["relation: on"].accuracy == 0.0 and parts["relation: on"].high > 0.3


def test_crepe_by_file_name_and_column(tmp_path: Path):
    row = "7,1,2,30,40,a red dog,\"['a red cat', 'a blue dog']\","
    (tmp_path / "syst_vg_hard_negs_seen_compounds_in_laion.csv").write_text(
        f"image_id,x,y,width,height,caption,valid_hard_negs_atom,valid_hard_negs_comp\n{row}\"['a dog, red']\"\n"
        "8,1,2,3,4,,\"['a cat']\",[]\n9,1,2,3,4,a bee,[broken,\"['a fly']\"\n"
    )
    (tmp_path / "swap").mkdir()
    (tmp_path / "swap" / "prod_vg_hard_negs_swap_complexity_8.csv").write_text(
        "image_id,caption,hard_negs\n7,a red dog,\"['a dog red', 'red a dog']\"\n"
    )
    suite = read_suite("crepe", tmp_path)
    kept = {(q.category, q.kind, q.images[0], len(q.texts)) for q in suite.questions}
    assert kept == {
        ("systematicity, seen compounds", "atom", "7#xywh=1,2,30,40", 3),
        ("systematicity, seen compounds", "comp", "7#xywh=1,2,30,40", 2),
        ("systematicity, seen compounds", "comp", "9#xywh=1,2,3,4", 2),
        ("productivity, swap", "complexity 08", "7", 3),
    }
    assert suite.left_out == {
        "entry without image or caption": 1,
        "entry without negatives": 1,
        "list of negatives that cannot be read": 1,
    }
    parts = {p.category: p.accuracy for p in judge(suite, lambda _, text: len(text))}
    assert parts["productivity, swap"] == 0.0, "a tie with one of the false sentences is wrong"


def test_order_keeps_what_each_way_keeps(tmp_path: Path):
    caption = "A young woman with a red umbrella walks near the old stone bridge"
    true, ways = shuffled(caption)
    words = true.split()
    assert set(ways) == {"nouns and adjectives", "all but nouns and adjectives", "within trigrams", "trigrams"}
    assert all(Counter(text.split()) == Counter(words) for text in ways.values()) and shuffled(caption) == (true, ways)
    fixed = {"with", "a", "walks", "near", "the"}
    assert [(n, w) for n, w in enumerate(ways["nouns and adjectives"].split()) if w in fixed] == [
        (n, w) for n, w in enumerate(words) if w in fixed
    ]
    kept = {"young", "woman", "red", "umbrella", "old", "stone", "bridge"}
    moved = ways["all but nouns and adjectives"].split()
    assert [w for w in moved if w in kept] == [w for w in words if w in kept] and moved != words
    threes = [Counter(words[n : n + 3]) for n in range(0, len(words), 3)]
    within = ways["within trigrams"].split()
    assert [Counter(within[n : n + 3]) for n in range(0, len(words), 3)] == threes
    assert len(shuffled("word " * 300)[0].split()) == 30

    file = tmp_path / "coco_karpathy_test.json"
    file.write_text(json.dumps([{"image": "a.jpg", "caption": [caption, "", "bee", "😀 蓮"]}, {"image": "b.jpg"}]))
    suite = read_suite("aro-order", file)
    assert suite.left_out["entry without image or caption"] == 2 and suite.left_out["both captions are the same"] > 4
    parts = {part.category: part.accuracy for part in judge(suite, lambda _, text: text == true)}
    assert parts["trigrams"] == 1.0 and parts["all shuffles"] == 0.5, "of two signs, one order is left"


def test_winoground_by_hand(tmp_path: Path):
    file = tmp_path / "examples.jsonl"
    entry = {"id": 0, "image_0": "p", "image_1": "q", "caption_0": "s", "caption_1": "t"}
    file.write_text(json.dumps(entry) + "\n{broken\n" + json.dumps({"id": 1}) + "\n")
    suite = read_suite("winoground", file)
    table = {("p", "s"): 3.0, ("p", "t"): 2.0, ("q", "s"): 0.0, ("q", "t"): 1.0}
    parts = judge(suite, lambda image, text: table[image, text])
    assert {part.category: part.accuracy for part in parts} == {"text": 1.0, "image": 0.0, "group": 0.0}
    assert suite.left_out == {"line that is no JSON": 1, "entry without image or caption": 1}


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
def test_intervals_cover_the_share_as_often_as_they_say(share: float):
    rng = np.random.default_rng(int(share * 10))
    covered = []
    for _ in range(60):
        right = rng.random(120) < share
        asked = [Question("x", (str(n),), (f"t{n}", f"f{n}")) for n in range(120)]
        suite = Suite("any", asked, Counter())
        (part,) = judge(suite, lambda image, text, right=right: float(right[int(image)] == text.startswith("t")))
        covered.append(part.low <= share <= part.high and part.low <= part.accuracy <= part.high)
        assert part.high - part.low < 0.25
    assert np.mean(covered) > 0.85


def test_recall_against_a_slow_look_at_every_pair():
    rng = np.random.default_rng(1)
    images, texts = rng.normal(size=(9, 4)), rng.normal(size=(20, 4))
    owners = [n % 8 for n in range(20)]  # the ninth picture has no caption
    found = recall_at(images, texts, owners, ks=(1, 3))
    scores = images @ texts.T
    slow = [[sum(scores[i, o] > max(scores[i, j] for j in range(20) if owners[j] == i) for o in range(20)
                 if owners[o] != i) < k for i in range(8)] for k in (1, 3)]  # fmt: skip
    assert [found["image to text R@1"], found["image to text R@3"]] == [np.mean(row) for row in slow]
    slow = [[sum(scores[i, j] > scores[owners[j], j] for i in range(9)) < k for j in range(20)] for k in (1, 3)]
    assert [found["text to image R@1"], found["text to image R@3"]] == [np.mean(row) for row in slow]
    alike = recall_at(np.ones((5, 2)), np.ones((5, 2)), range(5), ks=(1, 3))
    assert alike == {"image to text R@1": 0, "image to text R@3": 1, "text to image R@1": 0, "text to image R@3": 1}
    with pytest.raises(DimensionMismatch, match="owners"):
        recall_at(images, texts, [9] * 20)


def test_what_cannot_be_read_says_so(tmp_path: Path):
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n")
    with pytest.raises(SchemaViolation, match="no such suite"):
        read_suite("imagenet", tmp_path)
    with pytest.raises(SchemaViolation, match="cannot be read as JSON"):
        read_suite("aro", tmp_path / "bad.json")
    with pytest.raises(SchemaViolation, match="no columns image_id and caption"):
        read_suite("crepe", tmp_path / "bad.csv")
    with pytest.raises(SchemaViolation, match="no entry of winoground"):
        read_suite("winoground", tmp_path)
    with pytest.raises(SchemaViolation, match="cannot be read"):
        similarities(tmp_path / "bad.json", Suite("any", [], Counter()))


def test_the_command_scores_vectors_computed_beforehand(tmp_path: Path):
    entry = {"filename": "1.jpg", "caption": "dog", "negative_caption": "cat"}
    (tmp_path / "add_obj.json").write_text(json.dumps({"0": entry, "1": {**entry, "filename": "gone.jpg"}}))
    vectors = {"images": ["1.jpg"], "texts": ["cat", "dog"], "image_vectors": [[2.0, 0.1]]}
    vectors["text_vectors"] = [[0.0, 9.0], [0.1, 0.0]]
    np.savez(tmp_path / "v.npz", **vectors)
    (tmp_path / "npy").mkdir()
    for name, held in vectors.items():
        np.save(tmp_path / "npy" / f"{name}.npy", held)
    for where in ("v.npz", "npy"):
        command = ["evaluate-structure", "sugarcrepe", str(tmp_path / "add_obj.json"), "--embeddings"]
        shown = CliRunner().invoke(app, [*command, str(tmp_path / where)])
        assert shown.exit_code == 0, shown.output
        assert "1.000" in shown.output and "1 left out: missing image" in shown.output


class Brightness:
    """A model that sees how bright a picture is, and reads `bright` and `dark`."""

    def encode_images(self, images):
        return np.array([[np.asarray(image).mean() / 255, 0.5] for image in images])

    def encode_texts(self, texts):
        return np.array([[float("bright" in text), 0.5] for text in texts])


def test_a_model_sees_the_box_and_not_the_picture(tmp_path: Path):
    half = np.zeros((20, 40, 3), np.uint8)
    half[:, 20:] = 255
    Image.fromarray(half).save(tmp_path / "a.png")
    (tmp_path / "torn.jpg").write_bytes(b"no picture")
    sides = [{"bbox_x": x, "bbox_y": 0, "bbox_w": 20, "bbox_h": 20} for x in (0, 20)]
    entries = [
        {"image_path": name, "relation_name": "on", "true_caption": true, "false_caption": false, **box}
        for name, box, true, false in (
            ("a", sides[0], "dark", "bright"), ("a", sides[1], "bright", "dark"), ("torn.jpg", sides[0], "x", "y"),
            ("gone.jpg", sides[0], "x", "y"),
        )
    ]  # fmt: skip
    (tmp_path / "relation.json").write_text(json.dumps(entries))
    suite = read_suite("aro", tmp_path / "relation.json", images=tmp_path)
    vectors = encode_suite(suite, Brightness(), SilentReporter())
    (part,) = judge(suite, vectors.similarity, images=vectors.images)
    assert (part.accuracy, part.n) == (1.0, 2)
    assert suite.left_out == {"picture that cannot be read": 1, "missing image": 2}


def test_a_run_answers_by_its_recipe_else_by_its_tower(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from training import run as runs

    folder, offering = SimpleNamespace(path=tmp_path), SimpleNamespace(suite_model=Brightness)
    opened = {"one": SimpleNamespace(recipe=offering, folder=folder), "other": SimpleNamespace(recipe=3, folder=folder)}
    monkeypatch.setattr(runs, "open_run", lambda settings, run, reporter: opened[run])
    assert isinstance(model_of_run(load_settings(), "one", SilentReporter()), Brightness)
    with pytest.raises(StoreError, match="it is not whole"):
        model_of_run(load_settings(), "other", SilentReporter())
    ImageTower(load_image_encoder("korvai-small")).save(tmp_path / "tower")
    assert model_of_run(load_settings(), "other", SilentReporter()).encode_texts(["a red body"]).shape == (1, 256)


def test_the_commands_for_our_own_suite_and_for_retrieval(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(context, "settings", lambda: load_settings(store=tmp_path / "store"))
    command = ["evaluate-structure", "rendered", "--items-per-part", "4", "--model", "korvai-small", "--kinds"]
    shown = CliRunner().invoke(app, command)
    assert shown.exit_code == 0, shown.output
    assert "held_out_templates" in shown.output and "macro" in shown.output
    captions = [{"image": "1.jpg", "caption": ["dog", " "]}, {"image": "2.jpg", "caption": "cat"}, {"image": "3.jpg"}]
    (tmp_path / "captions.json").write_text(json.dumps(captions))
    held = {"images": ["1.jpg", "2.jpg"], "texts": ["cat", "dog"], "image_vectors": np.eye(2)[::-1]}
    np.savez(tmp_path / "v.npz", **held, text_vectors=np.eye(2))
    shown = CliRunner().invoke(
        app,
        ["evaluate-structure", "retrieval", str(tmp_path / "captions.json"), "--embeddings", str(tmp_path / "v.npz")],
    )
    assert shown.exit_code == 0 and "2 left out: entry without image or caption" in shown.output, shown.output
    assert "image to text R@1    1.000" in shown.output and "text to image R@1    1.000" in shown.output
    assert CliRunner().invoke(app, ["evaluate-structure", "rendered"]).exit_code == 1
