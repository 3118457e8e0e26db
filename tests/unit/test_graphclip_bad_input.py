"""What does GraphCLIP say of graphs, features and plans that it cannot train on, and does it live with odd ones?"""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from kg.errors import CheckpointMismatch, EncoderError, RecipeConfigError
from kg.schema import Domain
from tests.support.memory_snapshot import craft_snapshot
from training.checkpoint import load_weights, save_checkpoint, seed_all
from training.engine import fit
from training.message_passing import open_graph
from training.recipes.graphclip import Config, GraphClip

pytestmark = pytest.mark.usefixtures("one_thread")

MADE_IN, SHOWS = ("Saree", "MADE_IN", "Cluster"), ("Saree", "SHOWS", "Motif")


@pytest.fixture(scope="module")
def world():
    return craft_snapshot()


def built(world, **changes) -> GraphClip:
    settings = {"hidden": 16, "epochs": 1, "batch_size": 16, "learning_rate": 3e-3, **changes}
    recipe = GraphClip(Config(**settings))
    seed_all(0)
    recipe.build(*world)
    return recipe


def only(snapshot, edge_type, keep):
    other = copy.deepcopy(snapshot)
    other.edge_arrays[edge_type] = tuple(rows[keep] for rows in other.edge_arrays[edge_type])
    if edge_type in other.edge_shares:
        other.edge_shares[edge_type] = other.edge_shares[edge_type][keep]
    return other


@pytest.mark.parametrize("network", ["sage", "sage-project", "gatv2"])
@pytest.mark.parametrize("start", ["attributes", "none"])
def test_a_class_without_neighbours_is_encoded(world, tmp_path, network, start):
    snapshot, features = world
    for edge_type, ends in snapshot.edge_arrays.items():
        if "Cluster" in edge_type:
            snapshot = only(snapshot, edge_type, ends[edge_type[::2].index("Cluster")] != 3)
    recipe = built((snapshot, features), network=network, start=start)
    fit(recipe, run_dir=tmp_path)
    vectors = recipe.encode_classes(snapshot)
    assert torch.isfinite(vectors).all() and torch.allclose(vectors.norm(dim=1), torch.ones(6), atol=1e-4)


@pytest.mark.parametrize("edge_type", [SHOWS, ("Cluster", "BODY_MOTIF", "Motif")])
def test_a_relation_type_that_vanished_from_the_graph_is_done_without(world, tmp_path, edge_type):
    snapshot, features = world
    recipe = built(world, phrases={"BODY_MOTIF": "BODY_MOTIF {text}"})
    fit(recipe, run_dir=tmp_path)
    now = only(snapshot, edge_type, slice(0, 0))
    vectors = recipe.encode_classes(now)
    assert torch.isfinite(vectors).all() and not torch.allclose(vectors, recipe.encode_classes(snapshot))
    fit(built((now, features)), run_dir=tmp_path / "now")


def test_a_checkpoint_of_another_schema_is_refused_with_what_differs(world, tmp_path):
    snapshot, features = world
    recipe = built(world)
    save_checkpoint(tmp_path / "weights.pt", {"module": recipe.network().state_dict()})
    said = snapshot.domain.model_dump(by_alias=True)
    said["relations"] = [r for r in said["relations"] if r["type"] != "BODY_MOTIF"]
    other = copy.deepcopy(snapshot)
    other.domain = Domain.model_validate(said)
    opened = GraphClip(recipe.config)
    opened.create(other, features)
    with pytest.raises(CheckpointMismatch, match="BODY_MOTIF"):
        load_weights(opened.network(), tmp_path / "weights.pt")


def test_features_that_are_not_numbers_are_refused_by_name(world):
    snapshot, features = world
    broken = copy.deepcopy(features)
    broken.image_feat[[7, 9], 3] = np.nan
    with pytest.raises(EncoderError, match="features of images: 2 of 120 are not finite, the first in row 7"):
        built((snapshot, broken))
    broken = copy.deepcopy(features)
    broken.text_feat["clip"]["Motif"][1] = np.inf
    with pytest.raises(EncoderError, match="features of Motif: 1 of 5 are not finite"):
        built((snapshot, broken))


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_a_batch_of_one_class_teaches_nothing_and_breaks_nothing(world, label_smoothing):
    recipe = built(world, classes="batch", label_smoothing=label_smoothing, batch_size=4)
    batch = next(recipe.train_batches(0, torch.Generator().manual_seed(0), 0))
    batch["targets"][:] = batch["targets"][0]
    loss = recipe.training_step(batch)[0]["class_loss"]
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0.0, abs=1e-6)
    assert all(torch.isfinite(p.grad).all() for p in recipe.module().parameters() if p.grad is not None)


@pytest.mark.parametrize("changes", [{}, {"node_features": {"Cluster": "visual"}}, {"hide_items": 1.0}])
def test_a_class_of_one_image_is_trained_and_measured(world, tmp_path, changes):
    snapshot, features = world
    item, classes = snapshot.edges(MADE_IN)
    alone = np.flatnonzero(classes == 2)
    recipe = built((only(snapshot, MADE_IN, ~np.isin(item, alone[1:])), features), **changes)
    fit(recipe, run_dir=tmp_path)
    assert (recipe.examples.class_row == 2).sum() == 1
    assert all(np.isfinite(recipe.evaluate("valid")[key]) for key in ("top1", "cross_entropy"))
    assert torch.isfinite(recipe.encode_classes(snapshot)).all()


@pytest.mark.parametrize("network", ["sage", "sage-project", "gatv2"])
def test_a_plan_that_does_not_fit_is_refused_with_the_numbers_before_features_are_read(world, network, monkeypatch):
    read = []
    monkeypatch.setattr(type(world[1]), "texts", lambda *_: read.append(1))
    with pytest.raises(
        RecipeConfigError, match=r"a step needs about .* GiB \(features .*, .* GiB are free; set fan_outs"
    ):
        built(world, memory_gib=1e-5, network=network)
    assert read == []


def test_wider_and_larger_plans_need_more(world):
    recipe = built(world)
    told = []
    for changes in ({}, {"hidden": 64}, {"network": "gatv2", "hidden": 64}, {"batch_size": 100_000}):
        recipe.config = Config(**{"hidden": 16, "memory_gib": 1e-9, **changes})
        with pytest.raises(RecipeConfigError) as refused:
            recipe._check_memory(recipe.inputs.blocks)
        told.append(float(str(refused.value).split("about ")[1].split()[0]))
    assert told[0] < told[1] < told[2] < told[3]


def test_fan_outs_that_nobody_can_draw_are_refused(world):
    with pytest.raises(RecipeConfigError, match="one number above 0 a layer"):
        built(world, fan_outs=(10,))
    with pytest.raises(RecipeConfigError, match="message_passing=torch"):
        built(world, fan_outs=(10, 10), message_passing="dgl")


@pytest.mark.parametrize("weighted", [False, True])
def test_a_drawn_mean_is_the_exact_one_in_expectation(world, weighted):
    snapshot, _ = world
    edge_type = ("Cluster", "BODY_MOTIF", "Motif")
    weights = {edge_type: snapshot.shares(edge_type)} if weighted else None
    graph, seeds = open_graph(snapshot, library="torch", weights=weights), {"Cluster": torch.arange(6)}
    reverse = ("Motif", "rev_BODY_MOTIF", "Cluster")
    feat = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
    (whole,) = graph.blocks(seeds, 1)
    exact = whole.mean(reverse, feat[whole.src_rows["Motif"]])
    draws = []
    for seed in range(600):
        (block,) = graph.sampled_blocks(seeds, [2], torch.Generator().manual_seed(seed))
        assert all(int(torch.bincount(block.edges(t)[1]).max()) <= 2 for t in block.edge_types)
        draws.append(block.mean(reverse, feat[block.src_rows["Motif"]]))
    found = torch.stack(draws)
    error = found.std(0) / len(draws) ** 0.5
    assert (found.mean(0) - exact).abs().le(4.5 * error + 1e-6).all() and error.max() > 1e-3


def test_large_fan_outs_are_exact_and_small_ones_train(world, tmp_path):
    whole = built(world)
    batch = next(whole.train_batches(0, torch.Generator().manual_seed(0), 0))
    all_drawn = built(world, fan_outs=(1000, 1000))
    loss = whole.training_step(batch)[0]["class_loss"]
    assert torch.allclose(all_drawn.training_step(batch)[0]["class_loss"], loss, atol=1e-6)
    assert torch.allclose(all_drawn.masked_class_vectors(), whole.masked_class_vectors(), atol=1e-6)
    recipe = built(world, fan_outs=(3, 3), epochs=2, start="none")
    drawn = [recipe.training_step({**batch, "draw": torch.tensor(n)})[0]["class_loss"] for n in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2], "the same draw, the same loss"
    fit(recipe, run_dir=tmp_path / "two", max_steps=3)
    half, resumed = (built(world, fan_outs=(3, 3), epochs=2, start="none") for _ in range(2))
    fit(half, run_dir=tmp_path / "half", max_steps=1)
    fit(resumed, run_dir=tmp_path / "half", max_steps=3)
    for name, value in recipe.module().state_dict().items():
        assert torch.equal(value, resumed.module().state_dict()[name]), name
