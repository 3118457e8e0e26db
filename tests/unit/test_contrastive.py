"""Do the checkpoint's losses, pool and recipe do what they say?"""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from kg.errors import EmptySplit, RecipeConfigError
from kg.rendering import SLOTS, load_craft, render, rng_for, sample_open_look
from kg.rendering.slots import MOTIFS
from training.checkpoint import load_checkpoint, seed_all
from training.engine import fit
from training.losses.contrastive import info_nce, masked_cross_entropy, naming_loss, slot_scores
from training.phrases import attribute_phrases, phrase_corpus
from training.pool import _DRAWN_PX, PLACES, STORED_PX, UNKNOWN, Pool, render_shard
from training.pretrain import MODEL_DIR
from training.recipes.contrastive import Config, Contrastive, Pools, _place_loss, encode_tokens


def _unit(rows, dim, seed):
    return F.normalize(
        torch.randn(rows, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64), dim=-1
    )


def test_info_nce_equals_the_formula_written_out():
    image, text, scale = _unit(5, 7, 0), _unit(5, 7, 1), 3.0
    slow = 0.0
    for i in range(5):
        rows = [math.exp(scale * float(image[i] @ text[j])) for j in range(5)]
        columns = [math.exp(scale * float(image[j] @ text[i])) for j in range(5)]
        slow -= (math.log(rows[i] / sum(rows)) + math.log(columns[i] / sum(columns))) / 10
    assert float(info_nce(image, text, scale=scale)) == pytest.approx(slow, rel=1e-12)


def test_info_nce_of_pairwise_orthogonal_pairs_has_a_closed_form():
    eye = torch.eye(4, dtype=torch.float64)
    assert float(info_nce(eye, eye, scale=2.0)) == pytest.approx(math.log(1 + 3 * math.exp(-2.0)), rel=1e-12)


def test_what_cannot_be_seen_costs_nothing():
    scores = [torch.tensor([[2.0, 0.0], [0.0, 5.0]], requires_grad=True), torch.tensor([[1.0, 1.0, 1.0]] * 2)]
    labels = torch.tensor([[0, 2], [0, 1]])
    visible = torch.tensor([[True, True], [False, True]])
    loss = masked_cross_entropy(scores, labels, visible)
    assert float(loss.detach()) == pytest.approx((math.log(1 + math.exp(-2.0)) + math.log(3)) / 2, rel=1e-6)
    loss.backward()
    assert torch.equal(scores[0].grad[1], torch.zeros(2))
    assert float(masked_cross_entropy(scores, labels, torch.zeros(2, 2, dtype=torch.bool)).detach()) == 0.0


def test_slot_scores_are_cosines_of_each_slot():
    image, phrases = _unit(3, 6, 2), _unit(5, 6, 3)
    first, second = slot_scores(image, phrases, (2, 3), scale=10.0)
    assert first.shape == (3, 2) and second.shape == (3, 3)
    assert float(second[1, 2]) == pytest.approx(10 * float(image[1] @ phrases[4]))


def test_phrases_say_every_value_apart_and_name_no_cluster():
    seen = {}
    for slot, values in SLOTS.items():
        for value in values:
            for phrase in attribute_phrases(slot, value):
                assert seen.setdefault(phrase, (slot, value)) == (slot, value), phrase
                assert " a a" not in phrase and " a e" not in phrase and "{" not in phrase
    text = " ".join(phrase_corpus()).lower()
    assert not [name for name in load_craft().looks if name.lower() in text]


@pytest.fixture(scope="module")
def pools(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pool")
    for name, purpose in (("train", "checkpoint"), ("valid", "checkpoint_valid")):
        render_shard(Pool(folder / name), 0, purpose=purpose, images=48)
    return Pools(Pool(folder / "train"), Pool(folder / "valid"), MODEL_DIR)


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr("training.recipes.contrastive.SHARD_IMAGES", 48)


def _recipe(pools, **changes):
    defaults = {"batch_size": 8, "epoch_batches": 3, "caption_pairs": 4, "valid_images": 16, "warmup_steps": 2}
    config = Config(
        **{**defaults, "precision": "32-true", "accelerator": "cpu", "epochs": 1, "validate_every_steps": 0, **changes}
    )
    seed_all(config.rng_seed)
    recipe = Contrastive(config)
    recipe.build(pools)
    return recipe


def test_shards_are_whole_and_true(pools):
    shard = pools.train.shards()[0]
    assert shard.images.shape == (48, STORED_PX, STORED_PX, 3) and shard.labels.shape == shard.visible.shape == (
        48,
        len(SLOTS),
    )
    assert all(len(values) > shard.labels[:, i].max() for i, values in enumerate(SLOTS.values()))
    assert not np.array_equal(shard.images[0], pools.valid.shards()[0].images[0])
    assert [p.name for p in pools.train.path.iterdir()] == ["00000"]


def test_places_are_what_the_scene_says_and_pools_without_them_are_named(pools, tmp_path):
    shard, known = pools.train.shards()[0], 0
    assert shard.places.shape == (48, len(PLACES))
    for row in range(12):
        rng = rng_for("checkpoint", row)
        scene = render(sample_open_look(rng), rng, size_px=int(rng.choice(_DRAWN_PX))).scene
        names = {thing.name for thing in scene.objects}
        for (one, side, other), said in zip(PLACES, shard.places[row].tolist(), strict=True):
            others = (names & set(MOTIFS)) - {one} if other == "another motif" else names & {other}
            so = any(scene.holds(one, side, name) for name in others)
            assert said == (UNKNOWN if one not in names or not others else so)
            known += said != UNKNOWN
    assert known > 50
    (tmp_path / "00000").mkdir()
    with pytest.raises(EmptySplit, match="without places"):
        _ = Pool(tmp_path).shards()[0].places


def test_places_are_learnt_where_they_weigh_and_cost_nothing_where_not(pools, small_shards):
    with_them, without = _recipe(pools, place_weight=1.0), _recipe(pools)
    losses = []
    for recipe in (with_them, without):
        recipe.start_epoch(0)
        batch = next(iter(recipe.train_batches(0, torch.Generator().manual_seed(1), 0)))
        losses.append(recipe.training_step(batch)[0])
    assert set(losses[0]) - set(losses[1]) == {"place_loss"}
    logits, places = torch.tensor([[2.0, -1.0, 5.0]]), torch.tensor([[1, 0, UNKNOWN]], dtype=torch.int8)
    slow = (math.log1p(math.exp(-2)) + math.log1p(math.exp(-1))) / 2
    assert float(_place_loss(logits, places)) == pytest.approx(slow)
    assert float(_place_loss(logits, torch.full((1, 3), UNKNOWN, dtype=torch.int8))) == 0.0


def test_positions_are_asked_of_the_same_vectors_and_reach_the_patches(pools, small_shards):
    recipe = _recipe(pools, position_weight=2.0)
    recipe.start_epoch(0)
    batch = next(iter(recipe.train_batches(0, torch.Generator().manual_seed(1), 0)))
    net = recipe.module().eval()
    with torch.no_grad():
        feat, image = net.images(batch["image"])
        *same, lost = net.images_and_positions(batch["image"])
    assert torch.equal(feat, same[0]) and torch.equal(image, same[1])
    assert float(lost) == pytest.approx(math.log(7), rel=0.5), "seven rows and columns, and nothing learnt yet"
    losses = recipe.training_step(batch)[0]
    assert float(losses["position_loss"].detach()) == pytest.approx(2 * float(lost), rel=0.05)
    losses["position_loss"].backward()
    assert net.clip.visual.trunk.pos_embed.grad.abs().sum() > 0
    assert net.clip.visual.trunk.blocks[-1].mlp.fc1.weight.grad is None, "the last block is not asked"


def test_empty_pool_says_what_to_do(tmp_path):
    with pytest.raises(EmptySplit, match="pretrain render"):
        Pool(tmp_path).shards()


def test_pool_that_grows_leaves_an_epoch_that_began_alone(pools, tmp_path):
    pool = Pool(tmp_path)
    (tmp_path / "00000").mkdir()
    assert len(pool.shards_of_epoch(0)) == 1
    (tmp_path / "00001").mkdir()
    assert [len(pool.shards_of_epoch(epoch)) for epoch in (0, 1)] == [1, 2]


def test_batches_do_not_depend_on_where_they_start(pools, small_shards):
    recipe = _recipe(pools)
    recipe.start_epoch(0)
    whole = list(recipe.train_batches(0, torch.Generator().manual_seed(1), 0))
    tail = list(recipe.train_batches(0, torch.Generator().manual_seed(1), 2))
    assert len(whole) == 3 and len(tail) == 1 and set(whole[0]) == set(recipe.data_keys)
    assert all(torch.equal(whole[2][key], tail[0][key]) for key in recipe.data_keys)
    assert whole[0]["image"].shape == (8, 3, 112, 112) and float(whole[0]["image"].abs().max()) <= 1


def test_short_text_path_equals_open_clip(pools):
    recipe = _recipe(pools)
    tower = recipe.module().clip.text.eval()
    tokens = recipe.tokenizer(["a saree", "a saree with a broad temple border and peacocks on the body", "paper 42"])
    torch.testing.assert_close(encode_tokens(tower, tokens), tower(tokens), rtol=1e-5, atol=1e-5)


def test_resumed_run_equals_uninterrupted_run(pools, small_shards, tmp_path):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    fit(_recipe(pools), run_dir=tmp_path / "whole")
    fit(_recipe(pools), run_dir=tmp_path / "parts", max_steps=1)
    fit(_recipe(pools), run_dir=tmp_path / "parts")
    whole, parts = (
        load_checkpoint(tmp_path / name / "checkpoints" / "last.pt")["module"] for name in ("whole", "parts")
    )
    torch.set_num_threads(threads)
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


def test_between_text_steps_prototypes_stand_for_phrases(pools, small_shards):
    recipe = _recipe(pools, text_every=2)
    recipe.start_epoch(0)
    with_text, without, _ = recipe.train_batches(0, torch.Generator().manual_seed(1), 0)
    assert len(with_text["caption"]) == 4 and len(without["caption"]) == len(without["phrase"]) == 0
    assert set(recipe.training_step(without)[0]) == {"head_loss", "prototype_loss"}


def test_slots_that_are_not_named_are_never_read(pools, small_shards):
    recipe = _recipe(pools, captions="objects", named_slots=["pallu_motif", "body_motif"])
    recipe.start_epoch(0)
    batch = next(recipe.train_batches(0, torch.Generator().manual_seed(1), 0))
    motifs = [attribute_phrases(slot, value) for slot in ("body_motif", "pallu_motif") for value in SLOTS[slot]]
    known = [recipe.tokenizer(list(phrases)) for phrases in motifs]
    assert len(batch["phrase"]) == len(known)
    assert all((row == phrases).all(1).any() for row, phrases in zip(batch["phrase"], known, strict=True))
    assert all(torch.isfinite(loss) for loss in recipe.training_step(batch)[0].values())


@pytest.mark.parametrize(("slots", "said"), [(["borders"], "borders"), ([], "phrase_weight")])
def test_named_slots_must_be_slots(slots, said):
    with pytest.raises(RecipeConfigError, match=said):
        Contrastive(Config(named_slots=slots))


def test_a_phrase_that_is_nearest_to_its_prototype_costs_least():
    prototypes = torch.eye(3, dtype=torch.float64)
    right, wrong = (float(naming_loss(p, prototypes, scale=5.0)) for p in (prototypes, prototypes.roll(1, 0)))
    assert right == pytest.approx(math.log(1 + 2 * math.exp(-5.0))) and wrong == pytest.approx(right + 5.0)


@pytest.mark.parametrize("captions", ["attributes", "objects"])
def test_losses_fall_and_the_metrics_are_shares(pools, small_shards, captions):
    recipe = _recipe(pools, captions=captions, caption_pairs=8)
    recipe.start_epoch(0)
    batch = next(recipe.train_batches(0, torch.Generator().manual_seed(1), 0))
    optimizer = torch.optim.AdamW(recipe.module().parameters(), lr=3e-4)
    seen = []
    for _ in range(20):
        losses, _ = recipe.training_step(batch)
        sum(losses.values()).backward()
        optimizer.step()
        optimizer.zero_grad()
        seen.append({key: float(value.detach()) for key, value in losses.items()})
    assert set(seen[0]) == {f"{name}_loss" for name in ("caption", "phrase", "naming", "prototype", "head")}
    assert [key for key in seen[0] if min(step[key] for step in seen) >= seen[0][key]] == []
    recipe.module().eval()
    metrics = recipe.evaluate("valid")
    assert recipe.primary_metric in metrics and all(0 <= value <= 1 for value in metrics.values())
    assert {f"phrase_{slot}" for slot in SLOTS} <= set(metrics)
    with pytest.raises(EmptySplit, match="gate"):
        recipe.evaluate("gate")
