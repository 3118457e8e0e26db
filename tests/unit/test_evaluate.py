"""Do the result tables compare methods on the same examples, and say what they say?"""

import json

import numpy as np
import pytest

from kg.progress import SilentReporter
from kg.settings import load_settings
from tests.support.memory_snapshot import craft_snapshot
from training.baselines import class_mean_scores, linear_probe_scores
from training.evaluate import (
    ATTRIBUTES,
    GRAPHCLIP,
    PROBE,
    READ_ATTRIBUTES,
    READ_PROBE,
    evaluate_saree,
    evaluate_wikiart,
    hold_outs_of,
    write_records,
)
from training.recipes.graphclip import Config

pytestmark = pytest.mark.usefixtures("one_thread")

PHRASES = {relation: f"{relation} {{text}}" for relation in ("BODY_COLOUR", "BORDER_COLOUR", "BODY_MOTIF")}


@pytest.fixture
def small():
    return Config(phrases=PHRASES, hidden=16, epochs=2, batch_size=32)


def test_saree_table(tmp_path, small):
    snapshot, features = craft_snapshot(per_class=30)
    settings = load_settings(home=tmp_path)
    given = {"config": small, "features": features, "floor": {"colour_histogram": 0.3}}
    table = evaluate_saree(snapshot, settings, seeds=2, hold_outs=2, **given)
    best, attributes, probe = (table.row(name) for name in (GRAPHCLIP, ATTRIBUTES, PROBE))
    assert len(best.all_classes) == len(best.unseen) == len(best.harmonic) == 2
    assert probe.unseen == [], "a probe has no answer for a class without images"
    assert all(0 < value <= 1 for value in attributes.unseen)
    records = {record["name"]: record for record in table.records}
    assert records["eval.saree.unseen_top1"]["baseline"] == pytest.approx(np.mean(attributes.unseen))
    assert records["eval.saree.seen_top1"]["n"] == 2
    assert any("hold-out 1: cluster" in line for line in table.lines())
    _repeats_what_is_missing(snapshot, settings, given, table)


def test_readings_stand_beside_what_they_are_read_from(tmp_path, small):
    """With readings, the same baselines on plain features stay, and those on readings join them."""
    snapshot, features = craft_snapshot(per_class=20)
    settings = load_settings(home=tmp_path)
    config = small.model_copy(update={"readings": "graph", "image_projection": "none"})
    table = evaluate_saree(snapshot, settings, seeds=1, hold_outs=1, config=config, features=features)
    plain = evaluate_saree(snapshot, settings, seeds=1, hold_outs=1, config=small, features=features)
    for method in (ATTRIBUTES, PROBE):
        assert table.row(method).all_classes == plain.row(method).all_classes
    assert table.row(READ_ATTRIBUTES).unseen and not table.row(READ_PROBE).unseen
    assert {row.method for row in table.rows} - {row.method for row in plain.rows} == {READ_ATTRIBUTES, READ_PROBE}


def _repeats_what_is_missing(snapshot, settings, given, table):
    """A second call reads all off; one that lacks an arm measures that one, and says before how long it will take."""
    heard = Listening()
    again = evaluate_saree(snapshot, settings, seeds=2, hold_outs=2, reporter=heard, **given)
    assert [row.seen for row in again.rows] == [row.seen for row in table.rows]
    assert heard.lines == ["saree table: 20 arms, 20 finished, nothing to do"]
    kept = {path: json.loads(path.read_text()) for path in settings.store_dir.glob("runs/evaluations/*/found.json")}
    path = next(path for path, said in kept.items() if said["method"] == PROBE)
    path.unlink()
    heard = Listening()
    repaired = evaluate_saree(snapshot, settings, seeds=2, hold_outs=2, reporter=heard, **given)
    assert json.loads(path.read_text())["found"] == kept[path]["found"]
    assert [row.seen for row in repaired.rows] == [row.seen for row in table.rows]
    (line,) = heard.lines
    assert line.startswith("saree table: 20 arms, 19 finished, 1 to do, about ") and line.endswith(" s")


class Listening(SilentReporter):
    def __init__(self):
        self.lines = []

    def note(self, message):
        self.lines.append(message)


def test_wikiart_table_and_records(tmp_path, small):
    snapshot, features = craft_snapshot(per_class=30)
    config = small.model_copy(update={"phrases": {}, "task": "cluster"})
    table = evaluate_wikiart(
        snapshot, load_settings(home=tmp_path), task="cluster", seeds=2, config=config, features=features
    )
    assert all(len(row.all_classes) == 2 for row in table.rows)
    path = write_records(table.records, tmp_path / "eval.json")
    write_records([{**table.records[0], "value": 0.5}], path)
    kept = {record["name"]: record["value"] for record in json.loads(path.read_text())}
    assert kept["eval.wikiart6.cluster_top1"] == 0.5 and len(kept) == 2


def test_hold_outs_do_not_depend_on_the_order_of_classes():
    names = [f"c{i}" for i in range(17)]
    groups = hold_outs_of(names, 5)
    assert groups == hold_outs_of(names[::-1], 5) and all(len(set(group)) == 4 for group in groups)


def test_baselines_on_separable_features():
    rng = np.random.default_rng(0)
    centres = np.eye(4)[:3]
    rows = np.repeat(np.arange(3), 20)
    feat = centres[rows] + 0.05 * rng.normal(size=(60, 4))
    probe = linear_probe_scores((feat, rows), (feat, rows), n_classes=4)
    assert (probe(feat).argmax(1) == rows).all() and np.isneginf(probe(feat)[:, 3]).all()
    means = class_mean_scores(feat, rows, feat, n_classes=4)
    assert (means.argmax(1) == rows).all() and np.isneginf(means[:, 3]).all()
