"""Do pictures that ask nodes score as counting by hand says, publish that, and outlive an edited hierarchy?"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from kg.encoders.asking import Questions, log_likelihoods
from kg.encoders.image import load_image_encoder
from kg.encoders.text import text_tower_of
from kg.encoders.tower import ImageTower, load_tower
from kg.errors import DimensionMismatch, RecipeConfigError
from tests.support.hierarchies import WithHierarchy, graded_snapshot, tables
from training.checkpoint import seed_all
from training.engine import fit
from training.models.prompts import PromptedImages, PromptedTexts
from training.recipes.hgclip import Config, HgClip

pytestmark = pytest.mark.usefixtures("one_thread")

PHRASES = {relation: f"{relation} {{text}}" for relation in ("BODY_COLOUR", "BORDER_COLOUR", "BODY_MOTIF")}
FORM = {"phrases": PHRASES, "readings": "graph", "match": "likelihood", "patch_weight": 0.0, "path_weight": 0.0}


@pytest.fixture(scope="module")
def world():
    return graded_snapshot(per_class=12)


@pytest.fixture(scope="module")
def encoder():
    return load_image_encoder("korvai-small")


def built(snapshot, features, **changes) -> HgClip:
    recipe = HgClip(Config(**{**FORM, "hidden": 4, "heads": 2, "epochs": 1, "batch_size": 16, **changes}))
    seed_all(0)
    recipe.build(snapshot, features)
    return recipe


def moved(recipe: HgClip) -> HgClip:
    """Every number somewhere else, as after a long training."""
    with torch.no_grad():
        for parameter in recipe.module().parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    return recipe


def questions(rng: np.random.Generator, *, width: int, nodes: int = 4) -> Questions:
    phrases = rng.normal(size=(5, width)).astype(np.float32)
    words = np.concatenate([rng.dirichlet(np.ones(n), nodes) for n in (2, 3)], 1).astype(np.float32)
    one = np.ones(2, np.float32)
    bias = rng.normal(size=5).astype(np.float32)
    return Questions(
        phrases / np.linalg.norm(phrases, axis=1)[:, None], (2, 3), 9 * one, bias, 0.7 * one, 0.05 * one, words
    )


def test_log_likelihoods_by_hand():
    asked = questions(np.random.default_rng(0), width=6)
    feat = np.random.default_rng(1).normal(size=(3, 6)).astype(np.float32)
    cosines = feat @ asked.phrases.T
    form = {name: torch.tensor(getattr(asked, name)) for name in ("scale", "bias", "weight", "floor")}
    found = log_likelihoods(torch.tensor(cosines), torch.tensor(asked.nodes), sizes=asked.sizes, **form)
    for row in range(3):
        for node in range(4):
            total = 0.0
            for start, end in ((0, 2), (2, 5)):
                grown = [math.exp(9 * cosines[row, u] + asked.bias[u]) for u in range(start, end)]
                shown = sum(g * asked.nodes[node, start + n] for n, g in enumerate(grown)) / sum(grown)
                total += 0.7 * math.log(0.95 * shown + 0.05)
            assert found[row, node].item() == pytest.approx(total, rel=1e-4)
    vectors = asked.vectors(torch.tensor(feat))
    assert torch.allclose(vectors.norm(dim=1), torch.ones(3), atol=1e-6)
    assert torch.allclose(vectors[:, :4] * asked.bound, found, atol=1e-4)


def test_questions_that_do_not_fit_are_refused():
    asked = questions(np.random.default_rng(0), width=6)
    with pytest.raises(DimensionMismatch, match="nodes has shape"):
        Questions(**{**vars(asked), "nodes": asked.nodes[:, 1:]})


def test_a_tower_keeps_its_questions(encoder, tmp_path):
    asked = questions(np.random.default_rng(0), width=encoder.dim)
    tower = ImageTower(encoder, readings=asked)
    tower.save(tmp_path / "tower")
    feat = np.random.default_rng(1).normal(size=(3, encoder.dim)).astype(np.float32)
    again = load_tower(tmp_path / "tower")
    assert again.dim == tower.dim == 6 and not again.has_text
    assert np.array_equal(again.project(feat), tower.project(feat))


def test_what_is_published_is_what_is_scored(world):
    recipe = moved(built(*world, context="words"))
    logits = recipe.logits(recipe.image_feat)
    published = recipe.scale() * recipe.encode_images(recipe.image_feat) @ recipe.level_vectors().T
    assert torch.allclose(logits, published, atol=1e-3)
    assert torch.allclose(recipe.level_vectors().norm(dim=1), torch.ones(recipe.nodes.count))


def test_nothing_needs_training_and_training_helps(world, tmp_path):
    recipe = built(*world, epochs=3, learning_rate=0.01)
    before = recipe.evaluate("valid")
    assert before["fine"] > 0.6
    fit(recipe, run_dir=tmp_path)
    assert recipe.evaluate("valid")["cross_entropy"] <= before["cross_entropy"]


def test_an_edited_hierarchy_asks_the_same_and_a_new_class_is_a_mixture(world):
    snapshot, features = world
    recipe = moved(built(snapshot, features, layers=0))
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
    pictures = opened.encode_images(recipe.image_feat[:3])
    assert torch.equal(pictures, recipe.encode_images(recipe.image_feat[:3]))
    before = recipe.level_vectors()
    assert torch.allclose(vectors[:6], before[:6]) and nodes.trees[0].names[1] == ("a", "b", "c", "d")
    # pair d holds cluster 5 alone: it says what that cluster says; pair c is now cluster 4
    assert torch.allclose(vectors[9], before[5]) and torch.allclose(vectors[8], before[4])
    assert torch.allclose(vectors.norm(dim=1), torch.ones(len(vectors)), atol=1e-5)


def test_the_context_graph_begins_at_nothing_and_learns(world):
    snapshot, features = world
    plain, both = built(snapshot, features), built(snapshot, features, context="graph", context_texts=("clip",))
    assert torch.allclose(plain.logits(plain.image_feat), both.logits(both.image_feat), atol=5e-3)
    batch = next(both.train_batches(0, torch.Generator().manual_seed(0), 0))
    sum(both.training_step(batch)[0].values()).backward()
    last = both.module().context.sage
    assert sum(float(p.grad.abs().sum()) for p in last.parameters() if p.grad is not None) > 0


def test_prompts_begin_at_the_frozen_towers(encoder):
    texts = ["a saree with a red body", "a saree in ikat", "a saree with an olive green border"]
    prompted = PromptedTexts(encoder.clip, texts, tokens=8)
    assert prompted.offsets.shape[1] == 3  # [start], a, saree: what all of them share
    assert np.allclose(prompted(prompted.ids(texts)).detach(), text_tower_of(encoder).encode(texts), atol=1e-5)
    prompted(prompted.ids(texts)).sum().backward()
    assert prompted.offsets.grad.abs().sum() > 0 and len(list(prompted.parameters())) == 1
    pixels = torch.randn(2, 3, encoder.input_px, encoder.input_px)
    none, some = (PromptedImages(encoder.clip, tokens=n, blocks=2) for n in (0, 3))
    assert np.allclose(none(none.early(pixels)).detach(), encoder.encode(pixels), atol=1e-5)
    some(some.early(pixels)).sum().backward()
    assert some.prompts.shape[:2] == (2, 3) and some.prompts.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"words": "names"}, "set words=phrases"),
        ({"readings": "none"}, "readings=graph"),
        ({"patch_weight": 0.2}, "patch_weight=0"),
        ({"match": "cosine", "text_prompts": 2}, "set words=names"),
        ({"image_prompts": 2, "match": "cosine"}, "readings=none"),
    ],
)
def test_settings_that_exclude_each_other(world, changes, said):
    with pytest.raises(RecipeConfigError, match=said):
        built(*world, **changes)
