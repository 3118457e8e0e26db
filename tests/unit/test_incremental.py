"""Are class vectors after a change the same, whether all states are computed again or only the stale ones?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kg.changes.adjacency import Adjacency
from kg.changes.compare import compare
from kg.changes.stale import stale_sets
from tests.support.changing import HashedFeatures, World
from training.incremental import States, can_be_incremental, compute_states, refresh_incrementally
from training.recipes.graphclip import Config, GraphClip

MADE_IN, NEAR = ("Saree", "MADE_IN", "Cluster"), ("Place", "NEAR", "Place")
SHARED, FROM = ("Cluster", "HAS_MOTIF", "Motif"), ("Motif", "FROM", "Place")


def network(snapshot: Any, layers: int) -> GraphClip:
    """A recipe with weights that nobody trained, none of them zero."""
    config = Config(layers=layers, hidden=12, text_features=("clip", "mini"), phrases={"HAS_MOTIF": "with {text}"})
    made = GraphClip(config)
    torch.manual_seed(3)
    made.create(snapshot, HashedFeatures())
    with torch.no_grad():
        for tensor in (*made.network().parameters(), *made.network().classes.start.buffers()):
            tensor.copy_(torch.randn_like(tensor) * 0.3 + (tensor.dim() == 0))
    return made


def move_item(world: World) -> None:
    pair = next(iter(world.relations[MADE_IN]))
    del world.relations[MADE_IN][pair]
    world.relations[MADE_IN][pair[0], "Cluster-007"] = 0.0


def change_share(world: World) -> None:
    pair = next(iter(world.relations[SHARED]))
    world.relations[SHARED][pair] /= 3


def change_text(world: World) -> None:
    world.texts["Motif"]["Motif-004"] = "another text"


def change_image(world: World) -> None:
    world.images["Saree-005"] = ("f" * 64, "e" * 64)
    world.images.pop("Saree-003")


def add_nodes(world: World) -> None:
    world.add_node("Cluster", "Cluster-000a")
    world.add_node("Motif", "Motif-003a")
    world.add_node("Saree", "Saree-zzz")
    world.relations[SHARED]["Cluster-000a", "Motif-003a"] = 0.5
    world.relations[MADE_IN]["Saree-zzz", "Cluster-000a"] = 0.0


def delete_nodes(world: World) -> None:
    world.delete_node("Cluster", "Cluster-004")
    world.delete_node("Motif", "Motif-001")
    world.delete_node("Saree", "Saree-006")


def relate_places(world: World) -> None:
    world.relations[NEAR]["Place-001", "Place-002"] = 0.0
    world.relations[FROM].pop(next(iter(world.relations[FROM])))


EDITS = [move_item, change_share, change_text, change_image, add_nodes, delete_nodes, relate_places]


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_stale_states_alone_give_what_all_of_them_give(tmp_path: Path, layers: int):
    world = World.random(np.random.default_rng(layers))
    old = world.snapshot()
    recipe = network(old, layers)
    vectors, states = compute_states(recipe, old, tmp_path)
    assert torch.allclose(vectors, recipe.encode_classes(old), atol=1e-5)
    for edit in EDITS:
        world = world.copy()
        edit(world)
        new = world.snapshot()
        vectors, done = refresh_incrementally(recipe, states, old=old, new=new, changes=compare(old, new))
        assert torch.allclose(vectors, recipe.encode_classes(new), atol=1e-5), edit.__name__
        assert States(tmp_path).snapshot_hash == new.content_hash
        states, old = States(tmp_path), new
        assert 0 <= done.stale.share_of_classes <= 1


def test_only_stale_texts_are_asked_for(tmp_path: Path):
    world = World.random(np.random.default_rng(0))
    old = world.snapshot()
    recipe = network(old, 2)
    _, states = compute_states(recipe, old, tmp_path)
    recipe.encoders.asked.clear()
    change_text(world)
    new = world.snapshot()
    refresh_incrementally(recipe, states, old=old, new=new, changes=compare(old, new))
    assert recipe.encoders.asked == [1, 1]


def test_classes_that_no_change_reaches_are_not_stale_and_do_not_change(tmp_path: Path):
    world = World.random(np.random.default_rng(1), edges=8)
    old = world.snapshot()
    recipe = network(old, 1)
    before, _ = compute_states(recipe, old, tmp_path)
    move_item(world)
    new = world.snapshot()
    stale = stale_sets(Adjacency(new), compare(old, new), "Cluster", 1)
    after = recipe.encode_classes(new)
    differ = (before - after).abs().amax(1) > 1e-6
    assert 1 <= len(stale.classes) <= 2
    assert set(np.flatnonzero(differ.numpy())) == set(stale.classes.tolist())


def test_what_was_left_half_written_is_no_state(tmp_path: Path):
    old = World.random(np.random.default_rng(2)).snapshot()
    _, states = compute_states(network(old, 2), old, tmp_path)
    assert States(tmp_path).snapshot_hash == old.content_hash
    states.begin()
    assert States(tmp_path).snapshot_hash is None


def test_a_network_without_layers_is_not_for_this(tmp_path: Path):
    old = World.random(np.random.default_rng(2)).snapshot()
    plain = GraphClip(Config(layers=0, start="none", text_features=("clip",)))
    plain.create(old, HashedFeatures())
    assert not can_be_incremental(plain)
    assert can_be_incremental(network(old, 1))
