"""Does GraphCLIP learn, resume, keep test labels out, and name a class that it never saw?"""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from kg.errors import EmptySplit, RecipeConfigError, SchemaViolation
from kg.schema import Task
from tests.support.memory_snapshot import craft_snapshot
from training.checkpoint import seed_all
from training.engine import fit
from training.labelled_images import leaking_edges
from training.message_passing import open_graph
from training.models.hetero import HeteroNetwork, live_edge_types
from training.recipes.graphclip import Config, GraphClip
from training.registry import get_recipe

pytestmark = pytest.mark.usefixtures("one_thread")

PHRASES = {relation: f"{relation} {{text}}" for relation in ("BODY_COLOUR", "BORDER_COLOUR", "BODY_MOTIF")}
AS_THE_SAREE_PRESET = {"image_projection": "none", "hide_items": 0.5, "scale": 40.0}
MADE_IN = ("Saree", "MADE_IN", "Cluster")


def built(snapshot, features, **changes) -> GraphClip:
    settings = {"phrases": PHRASES, "hidden": 24, "epochs": 2, "batch_size": 16, "learning_rate": 3e-3, **changes}
    recipe = GraphClip(Config(**settings))
    seed_all(recipe.config.rng_seed)
    recipe.build(snapshot, features)
    return recipe


@pytest.fixture(scope="module")
def world():
    return craft_snapshot()


def test_is_registered_under_its_file_name():
    assert get_recipe("graphclip").cls is GraphClip


def test_overfits_few_images(world, tmp_path):
    snapshot, features = world
    recipe = built(snapshot, features, epochs=60, hide_items=0.0, weight_decay=0.0, fractions=(0.3, 0.3, 0.1, 0.3))
    fit(recipe, run_dir=tmp_path)
    load = torch.load(tmp_path / "checkpoints" / "last.pt", weights_only=True)
    recipe.module().load_state_dict(load["module"])
    assert recipe.evaluate("train")["top1"] == 1.0


@pytest.mark.parametrize("changes", [{}, {"batches_per_graph_step": 2}, {"network": "gatv2"}])
def test_two_steps_are_one_step_and_a_resume(world, tmp_path, changes):
    snapshot, features = world
    whole, half = (built(snapshot, features, **changes) for _ in range(2))
    fit(whole, run_dir=tmp_path / "whole", max_steps=2)
    fit(half, run_dir=tmp_path / "half", max_steps=1)
    resumed = built(snapshot, features, **changes)
    fit(resumed, run_dir=tmp_path / "half", max_steps=2)
    for name, value in whole.module().state_dict().items():
        assert torch.equal(value, resumed.module().state_dict()[name]), name
    assert not torch.equal(whole.network().logit_scale, half.network().logit_scale)


def test_loss_is_the_slow_reference(world):
    snapshot, features = world
    recipe = built(snapshot, features, hide_items=0.0)
    batch = next(recipe.train_batches(0, torch.Generator().manual_seed(0), 0))
    losses, _ = recipe.training_step(batch)
    classes, images = recipe.masked_class_vectors(), recipe.encode_images(batch["image_feat"])
    scale = recipe.network().logit_scale.exp()
    slow = []
    for image, target in zip(images, batch["targets"], strict=True):
        logits = torch.stack([scale * (image * c).sum() for c in classes])
        slow.append(-(logits[target] - logits.exp().sum().log()))
    assert losses["class_loss"].item() == pytest.approx(torch.stack(slow).mean().item(), rel=1e-5)


@pytest.mark.parametrize("classes", ["all", "batch"])
def test_one_graph_pass_has_the_summed_gradients_of_its_batches(world, classes):
    """Eight batches and one backward pass through the graph give what eight passes give, and take one."""
    snapshot, features = world
    same = {"hide_items": 0.0, "batch_size": 4, "classes": classes, "label_smoothing": 0.1}
    many, each = built(snapshot, features, batches_per_graph_step=8, **same), built(snapshot, features, **same)
    each.module().load_state_dict(many.module().state_dict())
    passes = []
    many.network().classes.sage.register_forward_hook(lambda *_: passes.append(1))
    batch = next(many.train_batches(0, torch.Generator().manual_seed(0), 0))
    many.training_step(batch)[0]["class_loss"].backward()
    for number in range(8):
        part = {key: batch[key][4 * number : 4 * number + 4] for key in ("image_feat", "targets")}
        losses, _ = each.training_step(part | {"keep_items": batch["keep_items"]})
        (losses["class_loss"] / 8).backward()
    assert len(passes) == 1
    for (name, summed), slow in zip(many.module().named_parameters(), each.module().parameters(), strict=True):
        assert (summed.grad is None) == (slow.grad is None), name
        if slow.grad is not None:
            assert torch.allclose(summed.grad, slow.grad, atol=1e-6, rtol=1e-4), name


def test_a_batch_does_not_depend_on_where_the_epoch_was_entered(world):
    recipe = built(*world)
    entered = list(recipe.train_batches(1, torch.Generator().manual_seed(5), 2))
    whole = list(recipe.train_batches(1, torch.Generator().manual_seed(5), 0))
    for key in recipe.data_keys:
        assert torch.equal(whole[2][key], entered[0][key])
    assert len(whole) == recipe.batches_per_epoch()


def test_flipping_a_test_label_changes_no_evaluation_embedding(world):
    snapshot, features = world
    recipe = built(snapshot, features)
    before = recipe.masked_class_vectors()
    for split in ("test", "valid", "gate"):
        item = recipe.examples.item_row[recipe.examples.of(split)[0]]
        flipped = with_class(snapshot, item, lambda old: (old + 1) % 6)
        assert torch.equal(built(flipped, features).masked_class_vectors(), before), split
    item = recipe.examples.item_row[recipe.examples.of("train")[0]]
    flipped = with_class(snapshot, item, lambda old: (old + 1) % 6)
    assert not torch.equal(built(flipped, features).masked_class_vectors(), before), "a train label must count"


def test_held_out_items_leave_the_graph_with_all_their_relations(world):
    snapshot, features = world
    recipe = built(snapshot, features, hold_out=("cluster 2",))
    masks = leaking_edges(snapshot, recipe.examples)
    gone = snapshot.edges(MADE_IN)[0][snapshot.edges(MADE_IN)[1] == 2]
    for edge_type in (MADE_IN, ("Saree", "SHOWS", "Motif")):
        items = snapshot.edges(edge_type)[0]
        assert masks[edge_type][np.isin(items, gone)].all()
    assert not masks["Saree", "SHOWS", "Motif"][~np.isin(snapshot.edges(("Saree", "SHOWS", "Motif"))[0], gone)].any()
    assert set(recipe.examples.class_row[recipe.examples.of("held_out")]) == {2}
    assert 2 not in recipe.examples.class_row[recipe.examples.of("train")]
    assert {"seen_top1", "unseen_top1", "harmonic_top1"} <= set(recipe.evaluate("test"))


def test_features_of_a_held_out_class_change_nothing(world):
    snapshot, features = world
    before = built(snapshot, features, hold_out=("cluster 2",)).masked_class_vectors()
    other = copy.deepcopy(features)
    other.image_feat[snapshot.edges(MADE_IN)[0][snapshot.edges(MADE_IN)[1] == 2]] *= -1
    assert torch.equal(built(snapshot, other, hold_out=("cluster 2",)).masked_class_vectors(), before)


def test_training_starts_at_attribute_matching(world):
    """What a class is given to begin with is the mean over relations of its phrases' weighted means."""
    snapshot, features = world
    recipe = built(snapshot, features, hold_out=("cluster 2",))
    expected = np.zeros(features.image_width())
    for relation, label in (("BODY_COLOUR", "Colour"), ("BORDER_COLOUR", "Colour"), ("BODY_MOTIF", "Motif")):
        source, target = snapshot.edges(("Cluster", relation, label))
        share = snapshot.shares(("Cluster", relation, label))
        rows = np.flatnonzero(source == 2)
        phrases = features.phrases(relation, [f"{relation} {snapshot.keys(label)[target[row]]}" for row in rows])
        expected += (share[rows] / share[rows].sum()) @ phrases / 3
    found = recipe.attribute_vectors()[2].numpy()
    assert found == pytest.approx(expected / np.linalg.norm(expected), abs=1e-5)


def test_a_new_class_is_encoded_without_training_and_moves_no_other(world, tmp_path):
    snapshot, features = world
    recipe = built(snapshot, features, hold_out=("cluster 2",), epochs=8, **AS_THE_SAREE_PRESET)
    fit(recipe, run_dir=tmp_path)
    recipe.calibrate()
    every = recipe.encode_classes(snapshot)
    assert torch.allclose(every.norm(dim=1), torch.ones(6), atol=1e-6)
    some = recipe.encode_classes(snapshot, ["cluster 4", "cluster 2"])
    assert torch.allclose(some, every[[4, 2]], atol=1e-6)
    unseen = recipe.evaluate("test")["unseen_top1"]
    assert unseen > 2 / 6, f"twice chance is the least to ask of attributes that are all in the graph, got {unseen}"
    with pytest.raises(RecipeConfigError, match="cluster 9"):
        recipe.encode_classes(snapshot, ["cluster 9"])


@pytest.mark.parametrize("phrases", [PHRASES, {}])
def test_a_class_of_which_nothing_is_said_still_has_a_unit_vector(world, tmp_path, phrases):
    snapshot, features = world
    other = copy.deepcopy(snapshot)
    for edge_type, (source, target) in other.edge_arrays.items():
        ends = source if edge_type[0] == "Cluster" else target if edge_type[2] == "Cluster" else None
        if ends is not None:
            keep = ends != 2
            other.edge_arrays[edge_type] = (source[keep], target[keep])
            if edge_type in other.edge_shares:
                other.edge_shares[edge_type] = other.edge_shares[edge_type][keep]
    recipe = built(other, features, phrases=phrases, hide_items=0.3)
    fit(recipe, run_dir=tmp_path)
    assert torch.allclose(recipe.encode_classes(other).norm(dim=1), torch.ones(6), atol=1e-5)


def test_side_tasks_share_the_network_and_leak_no_label(world, tmp_path):
    """Two tasks, one trunk: the second learns too, in one pass through the graph, and its test labels stay out."""
    snapshot, features = with_second_task(*world)
    recipe = built(snapshot, features, side_tasks={"motif": 0.5}, hide_items=0.0, phrases={}, epochs=25, task="cluster")
    passes = []
    hook = recipe.network().classes.sage.register_forward_hook(lambda *_: passes.append(1))
    losses, _ = recipe.training_step(next(recipe.train_batches(0, torch.Generator().manual_seed(0), 0)))
    hook.remove()
    assert len(passes) == 1 and set(losses) == {"class_loss", "motif_loss"}
    before = recipe.masked_class_vectors()
    label = {name: recipe.network().sides["motif"].sage.layers[-1].own[name] for name in ("Motif", "Cluster")}
    assert label["Cluster"] is recipe.network().classes.sage.layers[-1].own["Cluster"]
    item = recipe.sides["motif"].examples.item_row[recipe.sides["motif"].examples.of("test")[0]]
    other = copy.deepcopy(snapshot)
    shows = ("Saree", "SHOWS", "Motif")
    motifs = other.edge_arrays[shows][1].copy()
    motifs[item] = (motifs[item] + 1) % 5
    other.edge_arrays[shows] = (other.edge_arrays[shows][0], motifs)
    assert built(snapshot, features, side_tasks="all", task="cluster", phrases={}).config.side_tasks == {"motif": 1.0}
    flipped = built(other, features, side_tasks={"motif": 0.5}, hide_items=0.0, phrases={}, epochs=25, task="cluster")
    assert torch.equal(flipped.masked_class_vectors(), before)
    fit(recipe, run_dir=tmp_path)
    assert recipe.evaluate("train")["motif_top1"] > 0.6, "five motifs"
    opened = GraphClip(recipe.config)
    opened.create(snapshot, features)
    opened.network().load_state_dict(recipe.network().state_dict())
    assert torch.allclose(opened.encode_classes(snapshot), recipe.encode_classes(snapshot))
    with pytest.raises(RecipeConfigError, match="has others: motif"):
        built(snapshot, features, side_tasks={"cluster": 1.0}, task="cluster")


def test_weights_fit_a_network_created_on_another_snapshot(world):
    snapshot, features = world
    recipe = built(snapshot, features)
    opened = GraphClip(recipe.config)
    opened.create(snapshot, features)
    opened.network().load_state_dict(recipe.network().state_dict())
    assert torch.equal(opened.encode_classes(snapshot), recipe.encode_classes(snapshot))


def test_published_matrix_does_what_training_did(world, tmp_path):
    snapshot, features = world
    for width in (None, 24):
        recipe = built(snapshot, features, width=width)
        fit(recipe, run_dir=tmp_path / str(width))
        feat = torch.as_tensor(features.image_feat)
        assert torch.allclose(F.normalize(feat @ recipe.image_matrix().T, dim=1), recipe.encode_images(feat), atol=1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        {"layers": 0},
        {"layers": 1},
        {"layers": 3, "network": "sage-project"},
        {"network": "gatv2", "heads": 2},
        {"start": "none"},
        {"normalise": False, "classes": "batch"},
    ],
)
def test_variants_train(world, tmp_path, changes):
    recipe = built(*world, **changes)
    result = fit(recipe, run_dir=tmp_path)
    assert result.finished and recipe.encode_classes(world[0]).shape == (6, 16)


def test_without_layers_the_context_plays_no_part(world):
    snapshot, features = world
    recipe = built(snapshot, features, layers=0)
    other = copy.deepcopy(snapshot)
    other.edge_arrays["Cluster", "BODY_MOTIF", "Motif"] = (np.array([0]), np.array([0]))
    other.edge_shares.clear()
    assert torch.equal(recipe.encode_classes(other), recipe.encode_classes(snapshot))


def test_blocks_give_what_the_whole_graph_gives(world):
    """The fast path (blocks backwards from the classes, live edge types only) equals dense means over all nodes."""
    snapshot, _ = world
    types = [*snapshot.edge_types, *((t, f"rev_{r}", s) for s, r, t in snapshot.edge_types)]
    seed_all(0)
    network = HeteroNetwork(types, ["Cluster"], width=8, width_out=5, n_layers=2).eval()
    feats = {label: torch.randn(snapshot.count(label), 8) for label in snapshot.node_types}
    blocks = open_graph(snapshot).blocks({"Cluster": torch.arange(6)}, 2)
    fast = network(blocks, {label: feats[label][rows] for label, rows in blocks[0].src_rows.items()})["Cluster"]
    slow = feats
    for layer, last in zip(network.layers, (False, True), strict=True):
        slow = dense_layer(snapshot, layer, slow, relu=not last)
    assert torch.allclose(fast, slow["Cluster"], atol=1e-5)


def test_weights_that_are_not_one_an_edge_are_refused(world):
    snapshot, _ = world
    relation = ("Cluster", "BODY_COLOUR", "Colour")
    share = snapshot.shares(relation)
    open_graph(snapshot, weights={relation: share})
    with pytest.raises(SchemaViolation, match=r"Cluster-BODY_COLOUR-Colour: \d+ for \d+ edges; give one an edge"):
        open_graph(snapshot, weights={relation: share[1:]})


def test_dead_edge_types_get_no_parameters(world):
    snapshot, _ = world
    first, last = live_edge_types(snapshot.edge_types, "Cluster", 2)
    assert last == (MADE_IN,) and set(first) == {MADE_IN}


def test_empty_splits_are_refused(world):
    snapshot, features = world
    with pytest.raises(EmptySplit, match="valid"):
        built(snapshot, features, fractions=(0.9, 0.0, 0.0, 0.1))
    with pytest.raises(RecipeConfigError, match="no Cluster 'Kota'"):
        built(snapshot, features, hold_out=("Kota",))


def dense_layer(snapshot, layer, feats, *, relu):
    out = {label: layer.own[label](feat) for label, feat in feats.items() if label in layer.own}
    for source, relation, target in snapshot.edge_types:
        src, dst = (torch.as_tensor(np.asarray(rows)).long() for rows in snapshot.edges((source, relation, target)))
        for edge_type, (a, b) in {
            (source, relation, target): (src, dst),
            (target, f"rev_{relation}", source): (dst, src),
        }.items():
            name = "__".join(edge_type)
            if name in layer.neighbours and edge_type[2] in out:
                count = snapshot.count(edge_type[2])
                adjacency = torch.zeros(count, snapshot.count(edge_type[0])).index_put_(
                    (b, a), torch.ones(len(a)), accumulate=True
                )
                mean = adjacency / adjacency.sum(1, keepdim=True).clamp_min(1)
                out[edge_type[2]] = out[edge_type[2]] + layer.neighbours[name](mean @ feats[edge_type[0]])
    return {label: torch.relu(feat) if relu else feat for label, feat in out.items()}


def with_second_task(snapshot, features):
    other = copy.deepcopy(snapshot)
    tasks = {**other.domain.tasks, "motif": Task(relation="SHOWS", target="Motif")}
    other.domain = other.domain.model_copy(update={"tasks": tasks})
    return other, features


def with_class(snapshot, item, change):
    """The snapshot with another class for one item."""
    other = copy.deepcopy(snapshot)
    items, classes = (rows.copy() for rows in other.edge_arrays[MADE_IN])
    classes[items == item] = change(classes[items == item])
    other.edge_arrays[MADE_IN] = (items, classes)
    return other
