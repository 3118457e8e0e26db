"""Do explanations say what the model does: exact sums, true deletions, maps that find what was planted?"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from torch.nn import functional as F

from kg.errors import NodeNotFound
from tests.support.memory_snapshot import craft_snapshot
from training.checkpoint import seed_all
from training.explain.contributions import decompose
from training.explain.edge_mask import Decision, MaskOptions, learn_mask, leave_one_out
from training.explain.heat_map import ImageModel, feature_map, heat_maps
from training.explain.measures import bootstrap, centre_map, faithfulness, fidelity, share_of
from training.explain.neighbourhood import Neighbourhood
from training.explain.pictures import overlay, seen_box
from training.explain.wording import Finding, sentence, wordings
from training.recipes.graphclip import Config, GraphClip

pytestmark = pytest.mark.usefixtures("one_thread")

PHRASES = {relation: f"{relation} {{text}}" for relation in ("BODY_COLOUR", "BORDER_COLOUR", "BODY_MOTIF")}
MADE_IN = ("Saree", "MADE_IN", "Cluster")


@pytest.fixture(scope="module")
def world():
    return craft_snapshot()


def built(world, **changes) -> GraphClip:
    """A recipe whose network says something: its last layer begins at zero, so it gets random weights."""
    snapshot, features = world
    recipe = GraphClip(Config(**{"phrases": PHRASES, "hidden": 24, "image_projection": "none", **changes}))
    seed_all(0)
    recipe.build(snapshot, features)
    if recipe.network().classes.sage is not None:
        for parameter in recipe.network().classes.sage.layers[-1].parameters():
            torch.nn.init.normal_(parameter, std=0.05)
    recipe.network().eval()
    return recipe


@pytest.fixture(scope="module")
def recipe(world):
    return built(world)


@pytest.fixture(scope="module")
def around(world, recipe):
    return Neighbourhood(recipe, world[0], "cluster 2")


def decision_of(recipe, snapshot, image) -> Decision:
    return Decision(F.normalize(image, dim=0), recipe.encode_classes(snapshot), 2, 20.0)


# the class without some of its neighbours


def test_units_are_the_nodes_around_the_class_and_its_items_together(world, around):
    snapshot, _ = world
    items = [unit for unit in around.units if unit.is_items]
    assert [len(unit.keys) for unit in items] == [20] and items[0].keys[0] == "saree 40"
    clusters, colours = snapshot.edges(("Cluster", "BODY_COLOUR", "Colour"))
    expected = {snapshot.keys("Colour")[c] for c in colours[clusters == 2]}
    assert {u.keys[0] for u in around.units if u.relation == "BODY_COLOUR"} == expected


def test_a_whole_mask_gives_the_published_vector(world, recipe, around):
    vector = recipe.encode_classes(world[0])[2]
    assert torch.allclose(around.vector(), vector, atol=1e-6)
    for quick in (False, True):
        assert torch.allclose(around.masked(torch.ones(len(around.units)), quick=quick), vector, atol=1e-6)


@pytest.mark.parametrize("changes", [{}, {"layers": 3}, {"start": "none"}, {"image_projection": "learned"}])
def test_a_mask_of_zeros_and_ones_is_the_graph_without_those_edges(world, changes):
    snapshot, _ = world
    recipe = built(world, **changes)
    around = Neighbourhood(recipe, snapshot, "cluster 2")
    rng = np.random.default_rng(0)
    for trial in range(4):
        mask = torch.as_tensor(rng.integers(0, 2, len(around.units))).float()
        if trial == 0:
            mask[:] = 1
            mask[[n for n, unit in enumerate(around.units) if unit.is_items]] = 0
        inputs = recipe.gatherer.gather(snapshot, drop=edges_of(snapshot, around, mask == 0), class_rows=np.array([2]))
        with torch.no_grad():
            expected = recipe.network().classes(inputs, recipe.network().images)[0]
            assert torch.allclose(around.masked(mask), expected, atol=2e-5)


def edges_of(snapshot, around, hidden) -> dict:
    """Masks of the snapshot's edges between the class and the hidden units."""
    masks = {}
    for unit in (unit for unit, gone in zip(around.units, hidden, strict=True) if gone):
        turned = unit.edge_type[1].startswith("rev_")
        edge_type = (unit.edge_type[2], unit.relation, unit.label) if turned else unit.edge_type
        source, target = snapshot.edges(edge_type)
        mine, other = (source, target) if turned else (target, source)
        keys = snapshot.keys(unit.label)[other]
        found = (mine == 2) & np.isin(keys.astype(str), unit.keys)
        masks[edge_type] = masks.get(edge_type, np.zeros(len(source), bool)) | found
    return masks


def test_an_unknown_class_is_refused(world, recipe):
    with pytest.raises(NodeNotFound, match="it knows cluster 0"):
        Neighbourhood(recipe, world[0], "cluster 99")


# evidence


@pytest.mark.parametrize("changes", [{}, {"start": "none"}, {"image_projection": "learned"}])
def test_contributions_add_up_to_the_score(world, changes):
    snapshot, features = world
    recipe = built(world, **changes)
    images = recipe.encode_images(features.image_feat)
    for key in ("cluster 0", "cluster 3"):
        around = Neighbourhood(recipe, snapshot, key)
        parts = decompose(around)
        scores = images @ around.vector()
        assert torch.allclose((images @ parts.units.T).sum(1) + images @ parts.rest, scores, atol=1e-5)


def test_contributions_of_a_class_without_images_add_up_too(world):
    snapshot, _ = world
    recipe = built(world, hold_out=("cluster 2",))
    items, classes = snapshot.edges(MADE_IN)
    around = Neighbourhood(recipe, snapshot, "cluster 2", drop={MADE_IN: classes == 2})
    assert not any(unit.is_items for unit in around.units) and len(items)
    parts = decompose(around)
    assert torch.allclose(parts.units.sum(0) + parts.rest, around.vector(), atol=1e-5)
    assert float(parts.units.norm()) > 0.1


def test_an_image_of_one_attribute_is_explained_by_it(world, recipe, around):
    snapshot, features = world
    number = next(n for n, unit in enumerate(around.units) if unit.relation == "BODY_MOTIF")
    unit = around.units[number]
    image = torch.as_tensor(features.phrase_feat[f"BODY_MOTIF {unit.keys[0]}"])
    weights = decompose(around).units @ image
    others = [n for n, unit in enumerate(around.units) if not unit.is_items]
    assert max(others, key=lambda n: float(weights[n])) == number
    decision = decision_of(recipe, snapshot, image)
    falls = leave_one_out(around, decision)
    assert float(falls[number]) > 0 and float(falls[number]) > float(falls[others].median())


def test_masks_are_learnt_alike_by_one_seed_and_find_a_part_that_suffices(world, recipe, around):
    snapshot, features = world
    decision = decision_of(recipe, snapshot, recipe.encode_images(features.image_feat)[45])
    first, second = (learn_mask(around, decision) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, learn_mask(around, decision, MaskOptions(rng_seed=1)))
    assert float(first.min()) >= 0 and float(first.max()) <= 1
    best, worst = (fidelity(around, decision, share_of(s, 0.3)) for s in (first, -first))
    assert best[0] - best[1] > worst[0] - worst[1]
    assert all(parameter.grad is None for parameter in recipe.network().parameters())


# words


def test_a_sentence_says_what_for_what_against_and_what_else(around):
    motif = next(unit for unit in around.units if unit.relation == "BODY_MOTIF")
    items = next(unit for unit in around.units if unit.is_items)
    findings = [Finding(motif, "peacocks on the pallu", 0.02), Finding(items, "it looks like the rest", 0.05)]
    told = sentence("Paithani", 0.91, findings, best=("Paithani", 0.91), rival=("Ilkal", 0.05),
                    against_rival=[Finding(motif, "a red border", -0.01)])  # fmt: skip
    assert told == (
        "Called Paithani (0.91) because: it looks like the rest (MADE_IN, +0.050), peacocks on the pallu "
        f"(BODY_MOTIF {motif.keys[0]}, +0.020); against Ilkal (0.05): no red border "
        f"(BODY_MOTIF {motif.keys[0]}, -0.010)."
    )
    other = sentence("Kota", 0.02, [], best=("Ilkal", 0.9), rival=("Ilkal", 0.9))
    assert other.startswith("Not called Kota (0.02) but Ilkal (0.90)") and "nothing" in other


def test_wordings_come_from_phrases_and_relations(around):
    said = dict(zip(((u.relation, u.keys[0]) for u in around.units), wordings(around), strict=True))
    motif = next(unit.keys[0] for unit in around.units if unit.relation == "BODY_MOTIF")
    assert said["BODY_MOTIF", motif] == f"BODY_MOTIF {motif}"
    assert said["MADE_IN", "saree 40"] == "it looks like the 20 sarees already called cluster 2"


# maps


@pytest.fixture(scope="module")
def small():
    from kg.encoders.image import load_image_encoder

    return load_image_encoder("korvai-small")


def cloth() -> Image.Image:
    noise = np.random.default_rng(0).normal(0, 12, (112, 112, 3))
    return Image.fromarray(np.clip(np.array([150, 30, 40]) + noise, 0, 255).astype(np.uint8))


def spotted(x: int, y: int) -> Image.Image:
    """Cloth with one strong motif."""
    picture = cloth()
    draw = ImageDraw.Draw(picture)
    draw.ellipse((x - 16, y - 16, x + 16, y + 16), fill=(240, 200, 30))
    draw.ellipse((x - 8, y - 8, x + 8, y + 8), fill=(20, 120, 60))
    return picture


@pytest.mark.parametrize(("x", "y"), [(28, 28), (84, 84), (84, 28)])
def test_the_shipped_checkpoint_finds_what_was_planted(small, x, y):
    model = ImageModel(small)
    batch = torch.stack([small.preprocess(picture) for picture in (spotted(x, y), cloth())])
    with torch.no_grad():
        spot, plain = model(batch)
    heat = heat_maps(model, batch[:1], [F.normalize(spot - plain, dim=0)])[0]
    assert heat.shape == (112, 112) and heat.min() >= 0 and heat.max() == pytest.approx(1, abs=1e-3)
    assert heat[y - 16 : y + 16, x - 16 : x + 16].mean() > 2 * heat.mean()
    assert all(parameter.grad is None and parameter.requires_grad for parameter in small.module.parameters())


@pytest.mark.parametrize("kind", ["mobilenetv2_035", "vit", "clip"])
def test_every_kind_of_encoder_has_a_map(kind):
    encoder = untrained(kind)
    batch = torch.stack([encoder.preprocess(spotted(40, 60))])
    model = ImageModel(encoder, torch.randn(12, encoder.dim, generator=torch.Generator().manual_seed(0)))
    with torch.no_grad():
        vector = model(batch)[0]
    again, heat = (heat_maps(model, batch, [vector])[0] for _ in range(2))
    assert heat.shape == (encoder.input_px,) * 2 and np.array_equal(again, heat)
    assert np.isfinite(heat).all() and heat.min() >= 0 and heat.max() <= 1 + 1e-6
    assert float(heat.std()) > 0
    assert feature_map(encoder).layers


def untrained(kind: str):
    """A small encoder with random weights."""
    import timm

    from kg.encoders.clip_models import ClipModel
    from kg.encoders.image import ImageEncoder
    from kg.encoders.timm_models import TimmModel

    torch.manual_seed(1)
    if kind == "clip":
        from open_clip.model import CLIP

        vision = {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8}
        text = {"context_length": 8, "vocab_size": 64, "width": 16, "heads": 2, "layers": 1}
        config = {"embed_dim": 24, "vision_cfg": vision, "text_cfg": text}
        return ImageEncoder(ClipModel("test", CLIP(**config), config=config, preprocess={"size": 32}, folder=None))
    options = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 2}
    model = (
        timm.create_model("vit_tiny_patch16_224", num_classes=0, **options)
        if kind == "vit"
        else timm.create_model(kind, num_classes=0)
    )
    size = [3, 32, 32] if kind == "vit" else [3, 96, 96]
    return ImageEncoder(TimmModel("test", model, config={"input": {"input_size": size}}))


def test_a_wide_picture_is_seen_in_its_middle_only():
    encoder = untrained("clip")
    left, top, right, bottom = seen_box(encoder, (400, 200))
    assert (left, right) == pytest.approx((0.25, 0.75), abs=0.02) and (top, bottom) == pytest.approx((0, 1), abs=0.02)
    heat = np.zeros((32, 32), np.float32)
    heat[:, 16:] = 1
    shown = np.asarray(overlay(Image.new("RGB", (400, 200), (200, 200, 200)), heat, (left, top, right, bottom)), int)
    width = shown.shape[1]
    dark, pale, red = (shown[50, round(width * at)] for at in (0.1, 0.35, 0.65))
    assert dark.sum() < 0.6 * pale.sum() and red[0] - red[2] > 60 > abs(pale[0] - pale[2])


def test_the_map_that_points_at_the_motif_is_the_more_faithful(small):
    model = ImageModel(small)
    batch = torch.stack([small.preprocess(picture) for picture in (spotted(28, 28), cloth())])
    with torch.no_grad():
        vectors = model(batch)
    decision = Decision(vectors[0], vectors, 0, 20.0)
    right, wrong = np.zeros((112, 112), np.float32), np.zeros((112, 112), np.float32)
    right[14:42, 14:42], wrong[70:98, 70:98] = 1, 1
    (good_in, good_out), (bad_in, bad_out) = (faithfulness(model, batch[0], decision, m) for m in (right, wrong))
    assert good_in > bad_in and good_out < bad_out
    assert centre_map(9).argmax() == 40


def test_bootstrap_intervals_hold_the_mean():
    found = bootstrap([0.0, 1.0, 2.0, 3.0] * 10)
    assert found.low < found.mean == 1.5 < found.high and found.n == 40
    assert bootstrap([2.0] * 5).low == bootstrap([2.0] * 5).high == 2.0
