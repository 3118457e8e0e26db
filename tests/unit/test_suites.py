"""Are the public suites' layouts read with what real files contain, and scored as their protocols say?"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from cli.main import app
from kg.errors import SchemaViolation
from training.suites import judge, read_suite, similarities


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


def test_aro_leaves_symmetric_relations_out_and_a_tie_is_wrong(tmp_path: Path):
    entry = {"image_path": "a.jpg", "true_caption": "a on b", "false_caption": "b on a"}
    file = tmp_path / "visual_genome_relation.json"
    file.write_text(json.dumps([{**entry, "relation_name": name} for name in ("on", "on", "near")]))
    suite = read_suite("aro", file)
    assert suite.left_out == {"symmetric relation": 1}
    (part,) = judge(suite, lambda *_: 1.0)
    assert (part.category, part.accuracy, part.n, part.low) == ("on", 0.0, 2, 0.0) and part.high > 0.5


def test_winoground_by_hand(tmp_path: Path):
    file = tmp_path / "examples.jsonl"
    entry = {"id": 0, "image_0": "p", "image_1": "q", "caption_0": "s", "caption_1": "t"}
    file.write_text(json.dumps(entry) + "\n{broken\n" + json.dumps({"id": 1}) + "\n")
    suite = read_suite("winoground", file)
    table = {("p", "s"): 3.0, ("p", "t"): 2.0, ("q", "s"): 0.0, ("q", "t"): 1.0}
    parts = judge(suite, lambda image, text: table[image, text])
    assert {part.category: part.accuracy for part in parts} == {"text": 1.0, "image": 0.0, "group": 0.0}
    assert suite.left_out == {"line that is no JSON": 1, "entry without image or caption": 1}


def test_what_cannot_be_read_says_so(tmp_path: Path):
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(SchemaViolation, match="no such suite"):
        read_suite("imagenet", tmp_path)
    with pytest.raises(SchemaViolation, match="cannot be read as JSON"):
        read_suite("aro", tmp_path / "bad.json")
    with pytest.raises(SchemaViolation, match="no entry of winoground"):
        read_suite("winoground", tmp_path)
    with pytest.raises(SchemaViolation, match="cannot be read"):
        similarities(tmp_path / "bad.json")


def test_the_command_scores_vectors_computed_beforehand(tmp_path: Path):
    entry = {"filename": "1.jpg", "caption": "dog", "negative_caption": "cat"}
    (tmp_path / "add_obj.json").write_text(json.dumps({"0": entry, "1": {**entry, "filename": "gone.jpg"}}))
    vectors = {"images": ["1.jpg"], "texts": ["cat", "dog"], "image_vectors": [[2.0, 0.1]]}
    np.savez(tmp_path / "v.npz", **vectors, text_vectors=[[0.0, 9.0], [0.1, 0.0]])
    shown = CliRunner().invoke(
        app, ["evaluate-structure", "sugarcrepe", str(tmp_path), "--embeddings", str(tmp_path / "v.npz")]
    )
    assert shown.exit_code == 0, shown.output
    assert "1.000" in shown.output and "1 left out: missing image" in shown.output
