"""Does HGCLIP learn every level, resume, equal a slow reference, keep test labels out, and answer consistently?"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from kg.errors import RecipeConfigError
from tests.support.hierarchies import WithHierarchy, graded_snapshot, tables
from training.checkpoint import seed_all
from training.engine import fit
from training.hierarchy_inputs import class_means, prototypes
from training.labelled_images import keep_shots, label_images
from training.models.hierarchy_graph import GatLayer, GraphEncoder, HierarchyNodes, attended_patches, edge_mask
from training.recipes.hgclip import Config, HgClip
from training.registry import get_recipe

pytestmark = pytest.mark.usefixtures("one_thread")

PHRASES = {relation: f"{relation} {{text}}" for relation in ("BODY_COLOUR", "BORDER_COLOUR", "BODY_MOTIF")}


def built(snapshot, features, **changes) -> HgClip:
    settings = {"phrases": PHRASES, "hidden": 8, "epochs": 2, "batch_size": 16, "learning_rate": 3e-3, **changes}
    recipe = HgClip(Config(**settings))
    seed_all(recipe.config.rng_seed)
    recipe.build(snapshot, features)
    return recipe


@pytest.fixture(scope="module")
def world():
    return graded_snapshot()


@pytest.fixture(scope="module")
def nodes(world) -> HierarchyNodes:
    return HierarchyNodes(built(*world).trees)


def test_is_registered_under_its_file_name():
    assert get_recipe("hgclip").cls is HgClip


def test_nodes_and_edges_of_both_facets(nodes: HierarchyNodes):
    assert nodes.count == 6 + 3 + 2 + 3
    down, both = (edge_mask(nodes, direction=way) for way in ("down", "both"))
    assert down.sum() == 14 + 6 + 3 + 6 and torch.equal(both, down | down.T)
    assert down[0].nonzero().flatten().tolist() == [0, 6, 11]  # cluster 0: itself, pair a, colour 0
    assert nodes.members()[9].tolist() == [True] * 4 + [False] * 2  # side left


def test_attention_is_the_slow_reference(nodes: HierarchyNodes):
    torch.manual_seed(0)
    layer, feat = GatLayer(5, 3, heads=2).double(), torch.randn(nodes.count, 5, dtype=torch.float64)
    mask = edge_mask(nodes, direction="both")
    found = layer(feat, mask)
    for head in range(2):
        projected = feat @ layer.project.weight.view(2, 3, 5)[head].T
        for i in range(nodes.count):
            near = mask[i].nonzero().flatten()
            energy = torch.stack([projected[j] @ layer.of[head] + projected[i] @ layer.toward[head] for j in near])
            share = F.leaky_relu(energy, 0.2).softmax(0)
            slow = sum(a * projected[j] for a, j in zip(share, near, strict=True)) + layer.bias[head]
            assert torch.allclose(found[i, head], slow, rtol=1e-12)


def test_dgl_has_the_same_attention(nodes: HierarchyNodes):
    import dgl

    torch.manual_seed(0)
    mask, feat = edge_mask(nodes, direction="down"), torch.randn(nodes.count, 5)
    layer, other = GatLayer(5, 3, heads=8), dgl.nn.GATConv(5, 3, num_heads=8)
    with torch.no_grad():
        other.fc.weight.copy_(layer.project.weight)
        other.attn_l.copy_(layer.of[None])
        other.attn_r.copy_(layer.toward[None])
    heard, hears = mask.T.nonzero(as_tuple=True)
    graph = dgl.graph((heard, hears), num_nodes=nodes.count)
    assert torch.allclose(layer(feat, mask), other(graph, feat), atol=1e-5)


@pytest.mark.parametrize("kind", ["gat", "gcn", "sage"])
@pytest.mark.parametrize("heads_used", ["all", "first"])
def test_a_residual_encoder_begins_at_its_input_and_far_nodes_are_heard(nodes: HierarchyNodes, kind, heads_used):
    torch.manual_seed(0)
    mask, feat = edge_mask(nodes, direction="both"), torch.randn(nodes.count, 6)
    encoder = GraphEncoder(6, hidden=4, heads=3, kind=kind, heads_used=heads_used)
    assert torch.equal(encoder(feat, mask), feat)
    with torch.no_grad():
        encoder.gate.fill_(1.0)
    moved = feat.clone()
    moved[9] += 1  # side left, two steps above cluster 0; cluster 4 is five steps away
    change = (encoder(moved, mask) - encoder(feat, mask)).abs().sum(1)
    assert change[0] > 1e-6


def test_patches_attend_by_hand():
    patches = torch.eye(2)[None]
    prototypes_ = torch.eye(2)
    share = 1 / (1 + np.exp(-2.0))
    seen = np.array([[share, 1 - share], [1 - share, share]])
    expected = seen.mean(0) + seen.max(0)
    found = attended_patches(patches, prototypes_, sharpness=2.0)[0].numpy()
    assert np.allclose(found, expected / np.linalg.norm(expected), atol=1e-6)


def test_an_empty_prototype_is_its_parents(nodes: HierarchyNodes):
    torch.manual_seed(0)
    words, feat = F.normalize(torch.randn(nodes.count, 4), dim=-1), F.normalize(torch.randn(3, 4), dim=-1)
    means = class_means(feat, torch.tensor([0, 0, 2]), n_classes=6)
    found = prototypes(means, nodes, words=words)
    assert torch.allclose(found[0], F.normalize(feat[:2].sum(0), dim=0))
    assert torch.allclose(found[1], found[6]) and torch.allclose(found[6], found[0])  # cluster 1 by pair a
    assert torch.equal(found[8], words[8]) and torch.equal(found[10], words[10])  # pair c, side right: nobody's image
    assert torch.isfinite(found).all() and torch.allclose(found.norm(dim=1), torch.ones(nodes.count))


def test_overfits_few_images(world, tmp_path):
    recipe = built(*world, epochs=80, weight_decay=0.0, image_projection="learned", fractions=(0.3, 0.3, 0.1, 0.3))
    fit(recipe, run_dir=tmp_path)
    recipe.module().load_state_dict(torch.load(tmp_path / "checkpoints" / "last.pt", weights_only=True)["module"])
    figures = recipe.evaluate("train")
    assert figures["top1"] == figures["exact_path"] == 1.0


def test_two_steps_are_one_step_and_a_resume(world, tmp_path):
    whole, half = (built(*world) for _ in range(2))
    fit(whole, run_dir=tmp_path / "whole", max_steps=2)
    fit(half, run_dir=tmp_path / "half", max_steps=1)
    resumed = built(*world)
    fit(resumed, run_dir=tmp_path / "half", max_steps=2)
    for name, value in whole.module().named_parameters():
        assert torch.equal(value, resumed.module().get_parameter(name)), name
    assert not torch.equal(whole.module().logit_scale, half.module().logit_scale)


def test_losses_and_published_form_are_the_slow_reference(world):
    recipe = built(*world)
    batch = next(recipe.train_batches(0, torch.Generator().manual_seed(0), 0))
    losses, _ = recipe.training_step(batch)
    classes, images = recipe.level_vectors(), recipe.encode_images(batch["image_feat"])
    assert torch.allclose(images.norm(dim=1), torch.ones(len(images)))
    logits = recipe.scale() * images @ classes.T  # the two unit vectors alone give the training logits
    make = recipe.trees[0]
    for name, part, own in (
        ("class_loss", slice(0, 6), batch["targets"]),
        ("make_side_loss", slice(9, 11), torch.as_tensor(make.ancestors[2])[batch["targets"]]),
    ):
        slow = [-(row[part][t] - row[part].exp().sum().log()) for row, t in zip(logits, own, strict=True)]
        assert losses[name].item() == pytest.approx(torch.stack(slow).mean().item(), rel=1e-4)
    assert set(losses) == {"class_loss", "make_pair_loss", "make_side_loss", "hue_colour_loss"}


def test_the_likeliest_way_is_found_by_trying_all(world):
    recipe = built(*world)
    logits = torch.randn(7, recipe.nodes.count, generator=torch.Generator().manual_seed(1)) * 3
    found = recipe.class_scores(logits)
    for row, line in zip(logits, found, strict=True):
        for leaf in range(6):
            total = row[:6].log_softmax(0)[leaf]
            for tree, parts in zip(recipe.trees, recipe.nodes.slices, strict=True):
                for level in range(1, tree.depth):
                    total = total + row[parts[level]].log_softmax(0)[tree.ancestors[level, leaf]]
            assert line[leaf].item() == pytest.approx(total.item(), rel=1e-5)
    figures = recipe.evaluate("test")
    assert figures["make.exact_path"] == figures["hue.exact_path"] == figures["fine"] == figures["exact_path"]


def test_test_labels_change_no_class_vector(world):
    snapshot, features = world
    recipe = built(snapshot, features)
    before = recipe.level_vectors()
    edge = ("Saree", "MADE_IN", "Cluster")
    items, classes = (column.copy() for column in snapshot.edges(edge))
    tested = np.isin(items, recipe.examples.item_row[recipe.examples.of("test")])
    classes[tested] = (classes[tested] + 1) % 6
    flipped = WithHierarchy(**{**vars(snapshot), "edge_arrays": {**snapshot.edge_arrays, edge: (items, classes)}})
    assert torch.equal(built(flipped, features).level_vectors(), before)


def test_few_shots_are_nested_and_spare_the_other_splits(world):
    examples = label_images(world[0], None)
    few, more = (keep_shots(examples, shots, rng_seed=1) for shots in (1, 4))
    assert np.bincount(few.class_row[few.of("train")]).tolist() == [1] * 6
    assert set(few.of("train")) < set(more.of("train")) < set(examples.of("train"))
    assert np.array_equal(few.of("test"), examples.of("test"))


def test_a_hierarchy_edited_after_training_needs_no_training(world):
    """Another parent, a new one: the same weights answer, by way of a model that knows weights alone."""
    snapshot, features = world
    recipe = built(snapshot, features)
    with torch.no_grad():
        recipe.network().words.gate.fill_(0.5)
    rows = [tuple(row.values()) for row in snapshot.table("hierarchy").to_pylist()]
    more = [
        ("Cluster", "cluster 5", "Concept", "toy/make/d", "make"),
        ("Concept", "toy/make/d", "Concept", "toy/make/right", "make"),
    ]
    edited = WithHierarchy(**{**vars(snapshot), "overlay": tables([*rows[:5], *rows[6:], *more])})
    opened = HgClip(recipe.config)
    opened.create(edited, features)
    opened.network().load_state_dict(recipe.network().state_dict())
    nodes, vectors = opened.encode_levels(edited)
    assert nodes.trees[0].names[1] == ("a", "b", "c", "d") and vectors.shape == (15, 32)
    before, after = recipe.encode_classes(snapshot), opened.encode_classes(edited)
    assert torch.allclose(before[0], after[0], atol=1e-6)  # pair a is what it was
    assert not torch.allclose(before[5], after[5], atol=1e-4)
    assert torch.equal(opened.encode_classes(edited, ["cluster 5"])[0], after[5])


def test_with_patches_nothing_is_published(world):
    with pytest.raises(RecipeConfigError, match="patch_weight=0"):
        built(*world).image_matrix()
    plain = built(*world, patch_weight=0.0)
    assert plain.image_matrix() is None and plain.encode_images(plain.image_feat[:2]).shape == (2, 16)


def test_names_in_a_prompt(world):
    snapshot, features = world
    names = [*(f"cluster {n}" for n in range(6)), "a", "b", "c", "left", "right", *(f"colour {n}" for n in range(3))]
    rng = np.random.default_rng(0)
    features.phrase_feat.update({f"a saree of {name}": rng.normal(size=16).astype(np.float32) for name in names})
    recipe = built(snapshot, features, words="names", heads_used="first", edges="down", residual=False)
    assert recipe.level_vectors().shape == (14, 32)
    assert np.isfinite(recipe.evaluate("valid")["cross_entropy"])


def test_without_a_text_tower_prototypes_are_the_words(world):
    recipe = built(*world, words="prototypes", phrases={}, patch_weight=0.0)
    assert torch.equal(recipe.inputs.words, recipe.inputs.seen)
    assert recipe.evaluate("valid")["fine"] > 0.5


def test_loud_relations_are_heard_above_others(world):
    """The combination: GraphCLIP's relation weights under HGCLIP's hierarchy."""
    recipe = built(*world, layers=0)
    words = recipe.inputs.words
    assert words.shape == (3, 6, 16)
    with torch.no_grad():
        recipe.network().log_relation_weight.copy_(torch.tensor([-30.0, 0.0, -30.0]))
    alone = recipe.network()(recipe.inputs)[0][0]
    assert torch.allclose(alone, F.normalize(words[1, 0], dim=0), atol=1e-5)
