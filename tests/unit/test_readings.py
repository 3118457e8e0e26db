"""Do readings say what a slow loop says, travel with the tower, and teach a class by its relations alone?"""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from kg.encoders.readings import Readings, read_images
from kg.errors import DimensionMismatch, RecipeConfigError
from tests.support.memory_snapshot import craft_snapshot
from training.checkpoint import seed_all
from training.engine import fit
from training.explain.contributions import decompose
from training.explain.neighbourhood import Neighbourhood
from training.incremental import compute_states
from training.readings import ReadFeatures, words_of
from training.recipes.graphclip import Config, GraphClip

pytestmark = pytest.mark.usefixtures("one_thread")

PHRASES = {relation: f"{relation} {{text}}" for relation in ("BODY_COLOUR", "BORDER_COLOUR", "BODY_MOTIF")}


@pytest.fixture(scope="module")
def world():
    return craft_snapshot()


def built(world, **changes) -> GraphClip:
    settings = {"phrases": PHRASES, "hidden": 24, "epochs": 3, "batch_size": 16, "image_projection": "none"}
    recipe = GraphClip(
        Config(**{**settings, "readings": "graph", "scale": 40.0, "hide_items": 0.5, "image_weight": 0.0, **changes})
    )
    seed_all(0)
    recipe.build(*world)
    return recipe


def some_readings(rng: np.random.Generator) -> tuple[Readings, np.ndarray]:
    phrases, feat = rng.normal(size=(7, 5)), rng.normal(size=(4, 5))
    unit = [(rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32) for rows in (phrases, feat)]
    return Readings(unit[0], (3, 1, 3), 10.0), unit[1]


def test_vectors_are_roots_of_softmaxes_within_relations():
    readings, feat = some_readings(np.random.default_rng(0))
    found = read_images(readings, feat)
    for row, image in zip(found, feat, strict=True):
        for begin, end in ((0, 3), (3, 4), (4, 7)):
            raised = np.exp(10.0 * readings.phrases[begin:end] @ image)
            assert row[begin:end] == pytest.approx(np.sqrt(raised / raised.sum() / 3), abs=1e-6)
    assert np.linalg.norm(found, axis=1) == pytest.approx(1.0, abs=1e-6)


def test_a_phrase_is_its_own_share_and_an_unknown_one_is_shared_among_its_like():
    readings, _ = some_readings(np.random.default_rng(1))
    sharp = Readings(readings.phrases, readings.sizes, 100.0)
    shares = sharp.shares(readings.phrases[4:], relation=2)
    assert shares[:, :4].max() == 0 and shares.sum(1) == pytest.approx(1.0, abs=1e-5)
    assert (shares[:, 4:].argmax(1) == [0, 1, 2]).all() and np.diag(shares[:, 4:]).min() > 0.9
    between = readings.phrases[4] + readings.phrases[5]
    told = readings.shares((between / np.linalg.norm(between))[None].astype(np.float32), relation=2)[0, 4:]
    assert told[0] == pytest.approx(told[1], abs=1e-5) and told[2] < told[0]


def test_relations_without_phrases_are_refused():
    phrases = np.eye(4, dtype=np.float32)
    for sizes in ((), (4, 0), (3,)):
        with pytest.raises(DimensionMismatch, match="at least one phrase"):
            Readings(phrases, sizes, 10.0)


def test_words_are_the_nodes_that_classes_are_linked_with(world):
    snapshot, _ = world
    words = words_of(snapshot, PHRASES, label="Cluster")
    assert sorted(words) == sorted(PHRASES)
    target = snapshot.edges(("Cluster", "BODY_MOTIF", "Motif"))[1]
    assert words["BODY_MOTIF"] == tuple(sorted({snapshot.keys("Motif")[row] for row in target}))
    with pytest.raises(RecipeConfigError, match="readings=none"):
        words_of(snapshot, {"WORN_IN": "{text}"}, label="Cluster")


def test_zero_shot_cosine_is_the_mean_of_bhattacharyya_coefficients(world):
    """Before training, a class's text against an image is what the formula in `kg.encoders.readings` says."""
    snapshot, features = world
    recipe = built(world)
    image, found = recipe.encode_images(recipe.image_feat[:5]).numpy(), recipe.attribute_vectors()[2].numpy()
    words, feat = recipe.config.readings, features.images(snapshot)[0][:5]
    slow = np.zeros(5)
    for relation, keys in words.items():
        label = "Motif" if relation == "BODY_MOTIF" else "Colour"
        phrases = features.phrases(relation, [f"{relation} {key}" for key in keys])
        read = torch.as_tensor(50 * feat @ phrases.T).softmax(1).numpy()
        nodes = torch.as_tensor(50 * phrases @ phrases.T).softmax(1).numpy()
        source, target = snapshot.edges(("Cluster", relation, label))
        share = snapshot.shares(("Cluster", relation, label))
        rows = np.flatnonzero(source == 2)
        own = [keys.index(snapshot.keys(label)[target[row]]) for row in rows]
        mean = (share[rows] / share[rows].sum()) @ nodes[own]
        slow += np.sqrt(read * mean).sum(1) / 3
    assert image @ found == pytest.approx(slow, abs=1e-3)


def test_axes_of_a_relation_that_a_class_lacks_are_empty(world):
    """A class without motifs looks like pictures in which none is read with certainty."""
    snapshot, features = world
    other = copy.deepcopy(snapshot)
    edge_type = ("Cluster", "BODY_MOTIF", "Motif")
    keep = other.edge_arrays[edge_type][0] != 2
    other.edge_arrays[edge_type] = tuple(rows[keep] for rows in other.edge_arrays[edge_type])
    other.edge_shares[edge_type] = other.edge_shares[edge_type][keep]
    recipe = built((other, features))
    start = recipe.network().classes.start
    text = start.text_part(recipe.inputs, recipe.network().images).detach()
    begin = 0
    for relation, keys in recipe.config.readings.items():
        part = text[2, begin : begin + len(keys)]
        assert (float(part.abs().max()) < 1e-3) == (relation == "BODY_MOTIF")
        begin += len(keys)


def test_classes_never_trained_on_are_named_by_their_relations(world, tmp_path):
    recipe = built(world, hold_out=("cluster 2",), epochs=8)
    fit(recipe, run_dir=tmp_path)
    recipe.calibrate()
    assert recipe.evaluate("test")["unseen_top1"] > 2 / 6


def test_weights_open_on_a_graph_that_has_grown(world, tmp_path):
    """A node that came later has no axis of its own; it is read as what is near it, and nothing has to be trained."""
    snapshot, features = world
    recipe = built(world)
    fit(recipe, run_dir=tmp_path)
    grown, known = copy.deepcopy(snapshot), copy.deepcopy(features)
    grown.node_keys["Motif"].append("motif 5")
    edge_type = ("Cluster", "BODY_MOTIF", "Motif")
    source, target = grown.edge_arrays[edge_type]
    grown.edge_arrays[edge_type] = (np.append(source, 2), np.append(target, 5))
    grown.edge_shares[edge_type] = np.append(grown.edge_shares[edge_type], 0.5)
    known.phrase_feat["BODY_MOTIF motif 5"] = known.phrase_feat["BODY_MOTIF motif 1"]
    for part in known.text_feat.values():
        part["Motif"] = np.concatenate([part["Motif"], part["Motif"][:1]])
    opened = GraphClip(recipe.config)
    opened.create(grown, known)
    opened.network().load_state_dict(recipe.network().state_dict())
    vectors = opened.encode_classes(grown)
    assert vectors.shape == recipe.encode_classes(snapshot).shape
    assert not torch.allclose(vectors[2], recipe.encode_classes(snapshot)[2], atol=1e-3)


def test_states_alone_give_the_same_class_vectors(world, tmp_path):
    recipe = built(world)
    fit(recipe, run_dir=tmp_path / "run")
    vectors, _ = compute_states(recipe, world[0], tmp_path / "states")
    assert torch.allclose(vectors, recipe.encode_classes(world[0]), atol=1e-5)


@pytest.mark.parametrize("hold_out", [(), ("cluster 2",)])
def test_contributions_add_up_to_the_vector(world, tmp_path, hold_out):
    recipe = built(world, hold_out=hold_out, epochs=4)
    fit(recipe, run_dir=tmp_path)
    recipe.calibrate()
    around = Neighbourhood(recipe, world[0], "cluster 2")
    parts = decompose(around)
    assert parts is not None
    assert torch.allclose(parts.units.sum(0) + parts.rest, around.vector(), atol=1e-4)
    mask = torch.full((len(around.units),), 0.5, requires_grad=True)
    around.masked(mask).sum().backward()
    assert torch.isfinite(mask.grad).all()


def test_features_below_are_asked_for_everything_else(world):
    snapshot, features = world
    read = ReadFeatures(features, PHRASES, words_of(snapshot, PHRASES, label="Cluster"), scale=50.0)
    assert read.image_width() == sum(map(len, words_of(snapshot, PHRASES, label="Cluster").values()))
    assert read.text_width("clip") == features.text_width("clip")
    assert not read.phrases("WORN_IN", ["anything"]).any()
    feat, _ = read.images(snapshot)
    assert torch.allclose(torch.as_tensor(feat), F.normalize(torch.as_tensor(feat), dim=1), atol=1e-5)
