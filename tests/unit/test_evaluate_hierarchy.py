"""Does the hierarchy table compare all methods on the same rows, read off what is finished, and name the best rival?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kg.errors import MediaError
from kg.importers.saree import rendering_job
from kg.progress import SilentReporter
from kg.rendering.drawing import render_job
from kg.rendering.views import DRAPES
from kg.settings import load_settings
from kg.store import Store, open_image
from tests.support.hierarchies import graded_snapshot
from training.evaluate_hierarchy import evaluate_hierarchy
from training.hierarchy_methods import ASKED, HEADS, HGCLIP, NAMES, PATCHES, PHRASES, PROBE
from training.recipes.hgclip import Config
from training.shifted import SHIFTS, shifted_images

pytestmark = pytest.mark.usefixtures("one_thread")

TEMPLATES = {relation: f"{relation} {{text}}" for relation in ("BODY_COLOUR", "BORDER_COLOUR", "BODY_MOTIF")}


def test_table(tmp_path):
    snapshot, features = graded_snapshot(per_class=30)
    rng = np.random.default_rng(0)
    names = [*(f"cluster {n}" for n in range(6)), "a", "b", "c", "left", "right", *(f"colour {n}" for n in range(3))]
    features.phrase_feat.update({f"a saree of {name}": rng.normal(size=16).astype(np.float32) for name in names})
    form = {"phrases": TEMPLATES, "readings": "graph", "match": "likelihood", "patch_weight": 0.0, "path_weight": 0.0}
    config = Config(**form, hidden=8, epochs=2, batch_size=32)
    methods = (HGCLIP, PATCHES, PROBE, HEADS, ASKED, PHRASES, NAMES)
    given = {"seeds": 2, "shots": (2,), "methods": methods, "config": config, "features": features}
    table = evaluate_hierarchy(snapshot, load_settings(home=tmp_path), **given)
    assert len(table.figures) == len(methods) + 3 and all(len(found) == 2 for found in table.figures.values())
    assert (NAMES, 2) not in table.figures
    levels = {"fine", "make.pair", "make.side", "make.exact_path", "hue.colour", "hue.exact_path"}
    costs, new = {"train CPU s", "CPU ms for 1,000 images"}, {"seen", "unseen", "harmonic"}
    for (method, shots), found in table.figures.items():
        unseen = set() if shots or method in (HEADS, PROBE) else new
        assert set(found[0]) == levels | {"exact_path", "severity"} | costs | unseen
        if method not in (HEADS, NAMES):  # a rolled-up answer is right all the way as often as it is right at all
            assert all(part["exact_path"] <= part["fine"] for part in found)
        if method == PROBE:
            assert all(part["exact_path"] == part["fine"] for part in found)
    for method in (PHRASES, ASKED):
        assert np.mean([part["fine"] for part in table.figures[method, 0]]) > 0.6
    assert sum("HGCLIP less" in note for note in table.notes) == len(table.figures) - 2
    records = {record["name"]: record for record in table.records}
    assert set(records) == {f"eval.hierarchy.{n}{s}" for n in ("exact_path", "fine_gain") for s in ("", "_2_shots")}
    own, gain = (np.mean([part["fine"] for part in table.figures[HGCLIP, 0]]), records["eval.hierarchy.fine_gain"])
    assert gain["value"] == pytest.approx(100 * (own - gain["baseline"]))
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("found.json")}
    again = evaluate_hierarchy(snapshot, load_settings(home=tmp_path), **given)
    assert again.figures == table.figures
    assert kept == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("found.json")}
    assert table.lines()[0].startswith("| method | images a class | fine |")


def test_shifted_pictures_are_drawn_once_and_are_as_they_are_called(tmp_path):
    store = Store(tmp_path)
    clusters = ["Ilkal", "Kasavu"]
    given = {"per_cluster": 1, "reporter": SilentReporter()}
    found = {name: shifted_images(store, name, clusters, **given) for name in SHIFTS}
    pictures = {n: np.asarray(open_image(store.path(part.images.uri[1])), float) for n, part in found.items()}
    assert all(part.targets.tolist() == [0, 1] for part in found.values())
    assert pictures["small"].shape == (96, 96, 3) and pictures["draped"].shape == (224, 224, 3)
    red, green, blue = pictures["lamplight"].mean((0, 1)) / np.mean(
        [pictures["draped"], pictures["close-up"]], (0, 1, 2)
    )
    assert red > green > blue
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.jpg")}
    assert shifted_images(store, "draped", clusters, **given).images.sha256 == found["draped"].images.sha256
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.jpg")} and len(before) == 8


def test_a_drape_can_be_chosen_and_an_unknown_one_is_refused():
    job = rendering_job("Ilkal", 1, rng_range="unit_tests")
    assert {render_job(replace(job, drape=drape)).view["drape"] for drape in DRAPES} == set(DRAPES)
    with pytest.raises(MediaError, match="no drape 'thrown'; choose from flat"):
        render_job(replace(job, drape="thrown"))
