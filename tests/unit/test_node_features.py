"""May each node type have features of its own, and does a picture that is asked about never tell of itself?"""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from kg.errors import RecipeConfigError
from tests.support.memory_snapshot import craft_snapshot
from training.checkpoint import seed_all
from training.engine import fit
from training.recipes.graphclip import Config, GraphClip

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def world():
    return craft_snapshot()


def built(world, **changes) -> GraphClip:
    recipe = GraphClip(Config(**{"hidden": 16, "epochs": 1, "batch_size": 16, "hide_items": 0.0, **changes}))
    seed_all(0)
    recipe.build(*world)
    return recipe


def test_a_visual_node_is_the_mean_of_its_training_images(world):
    snapshot, features = world
    recipe = built(world, node_features={"Motif": "visual"})
    nodes, rows = recipe.inputs.visual_nodes["Motif"], recipe.inputs.blocks[0].src_rows["Motif"]
    item, motif = snapshot.edges(("Saree", "SHOWS", "Motif"))
    train = set(recipe.examples.item_row[recipe.examples.of("train")].tolist())
    for place, row in enumerate(rows.tolist()):
        mine = [i for i, m in zip(item.tolist(), motif.tolist(), strict=True) if m == row and i in train]
        assert np.allclose(nodes.mean()[place], features.image_feat[mine].mean(0), atol=1e-6)
        without = nodes.mean(torch.tensor(mine[:2]))[place]
        assert np.allclose(without, features.image_feat[mine[2:]].mean(0), atol=1e-6)
    assert nodes.mean(torch.arange(len(features.image_feat))).abs().max() == 0, "nothing is left to see"


def test_pictures_outside_train_do_not_touch_visual_features(world):
    snapshot, features = world
    sources = {"Motif": "visual", "Cluster": "visual", "Colour": "clip"}
    recipe = built(world, node_features=sources)
    other = copy.deepcopy(features)
    test = recipe.examples.image_row[recipe.examples.of("test")]
    other.image_feat[test] *= -1
    flipped = built((snapshot, other), node_features=sources)
    for label in ("Motif", "Cluster"):
        assert torch.equal(flipped.inputs.visual_nodes[label].mean(), recipe.inputs.visual_nodes[label].mean()), label


def test_a_step_does_not_see_its_own_pictures_in_visual_nodes(world):
    recipe = built(world, node_features={"Motif": "visual"}, start="none")
    batch = next(recipe.train_batches(0, torch.Generator().manual_seed(0), 0))
    before = recipe.training_step(batch)[0]["class_loss"]
    nodes = recipe.inputs.visual_nodes["Motif"]
    nodes.feat[batch["image_row"]] += 5.0
    assert torch.equal(recipe.training_step(batch)[0]["class_loss"], before)


@pytest.mark.parametrize(
    "sources",
    [
        {"Colour": "clip", "Motif": "sentence", "Cluster": "visual"},
        {"Saree": "sentence"},
        {"Saree": "text", "Motif": "visual"},
    ],
)
def test_sources_train_and_encode(world, tmp_path, sources):
    recipe = built(world, node_features=sources)
    fit(recipe, run_dir=tmp_path)
    vectors = recipe.encode_classes(world[0])
    assert torch.allclose(vectors.norm(dim=1), torch.ones(6), atol=1e-5)
    maps = recipe.network().classes.source_maps
    assert set(maps) == {source for source in sources.values() if source in ("clip", "sentence")}
    assert recipe.inputs.texts.keys() | recipe.inputs.visual_nodes.keys() >= {"Cluster", "Motif"}


def test_sources_that_make_no_sense_are_refused(world):
    with pytest.raises(RecipeConfigError, match="no node type 'Motive'"):
        built(world, node_features={"Motive": "visual"})
    with pytest.raises(RecipeConfigError, match="no relation links Colour with Saree"):
        built(world, node_features={"Colour": "visual"})
    with pytest.raises(RecipeConfigError, match="layers=0"):
        built(world, node_features={"Motif": "visual"}, layers=0)
