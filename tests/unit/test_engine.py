"""Does the engine train any recipe, stop when told, and go on after a kill exactly where it was?"""

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from kg.errors import CheckpointMismatch, LossDiverged, RecipeConfigError, StoreError, UnknownRecipe
from training.checkpoint import load_checkpoint, save_checkpoint, seed_all
from training.configuration import merge_config, parse_overrides
from training.engine import evaluate, fit, rate_at
from training.registry import Recipe, RecipeConfig, get_recipe, recipe, recipe_names
from training.run_folder import RunFolder


class _Config(RecipeConfig):
    width: int = 8
    dropout: float = 0.3
    diverge_at: int | None = None


class _Regression:
    """Fits a line through 32 points, with dropout, so that every random state matters."""

    data_keys = ("x", "y")
    primary_metric = "error"
    greater_is_better = False
    images_depend_on_classes = False
    tasks = levels = ()

    def __init__(self, config):
        self.config = config
        self.steps_seen = []

    def build(self, snapshot=None, encoders=None):
        generator = torch.Generator().manual_seed(7)
        self.x = torch.randn(32, 3, generator=generator)
        self.y = self.x @ torch.tensor([[1.0], [-2.0], [0.5]])
        width = self.config.width
        self.net = nn.Sequential(
            nn.Linear(3, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(self.config.dropout), nn.Linear(width, 1)
        )
        return self

    def module(self):
        return self.net

    def batches_per_epoch(self):
        return 4

    def start_epoch(self, epoch):
        self.epoch = epoch

    def train_batches(self, epoch, generator, start):
        order = torch.randperm(32, generator=generator).reshape(4, 8)
        for rows in order[start:]:
            yield {"x": self.x[rows], "y": self.y[rows]}

    def training_step(self, batch):
        predicted = self.net(batch["x"])
        loss = F.mse_loss(predicted, batch["y"])
        self.steps_seen.append(float(loss.detach()))
        if len(self.steps_seen) - 1 == self.config.diverge_at:
            loss = loss * math.nan
        return {"fit_loss": loss, "ten_times": loss.detach() * 10}, {"rows": len(predicted)}

    def evaluate(self, split):
        return {"error": float(F.mse_loss(self.net(self.x), self.y)), "is_training": float(self.net.training)}

    def encode_images(self, images): ...
    def encode_classes(self, snapshot, classes=None): ...
    def encode_texts(self, texts): ...


def _config(**changes):
    return _Config(
        **{"epochs": 3, "batch_size": 8, "learning_rate": 0.05, "warmup_steps": 2, "accelerator": "cpu", **changes}
    )


def _built(config):
    seed_all(config.rng_seed)
    return _Regression(config).build()


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _same(a, b):
    return all(torch.equal(a[key], b[key]) for key in a) and a.keys() == b.keys()


def test_the_stub_is_a_recipe():
    assert isinstance(_Regression(_config()), Recipe)


@pytest.mark.parametrize("stop_at", [1, 3, 4, 7])
def test_interrupted_run_equals_uninterrupted_run_bit_for_bit(tmp_path, stop_at):
    whole = _built(_config())
    fit(whole, run_dir=tmp_path / "whole")
    first = _built(_config())
    part = fit(first, run_dir=tmp_path / "parts", max_steps=stop_at)
    assert (part.steps, part.finished, part.stopped) == (stop_at, False, "max_steps")
    torch.manual_seed(12345)  # another process has other random states
    second = _Regression(_config()).build()
    result = fit(second, run_dir=tmp_path / "parts")
    assert result.steps == 12 and result.finished
    assert first.steps_seen + second.steps_seen == whole.steps_seen
    last = [load_checkpoint(tmp_path / name / "checkpoints" / "last.pt") for name in ("whole", "parts")]
    assert _same(last[0]["module"], last[1]["module"])
    assert last[0]["position"] == last[1]["position"]
    assert torch.equal(last[0]["random"]["torch"], last[1]["random"]["torch"])
    assert _same(whole.module().state_dict(), second.module().state_dict())


def test_killed_process_resumes_to_the_same_weights(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(
        f"import sys, time; sys.path[:0] = [{str(Path(__file__).parent)!r}, {str(Path.cwd())!r}]\n"
        "from pathlib import Path; import torch; torch.set_num_threads(1)\n"
        "import test_engine as t; from training.engine import fit\n"
        "recipe = t._built(t._config(epochs=40, checkpoint_every_s=0))\n"
        "step = recipe.training_step\n"
        "recipe.training_step = lambda batch: (time.sleep(0.02), step(batch))[1]\n"
        "fit(recipe, run_dir=Path(sys.argv[1]))\n"
    )
    victim = subprocess.Popen([sys.executable, str(script), str(tmp_path / "killed")])
    checkpoint = tmp_path / "killed" / "checkpoints" / "last.pt"
    deadline = time.monotonic() + 60
    while not checkpoint.is_file() and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.1)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    step = load_checkpoint(checkpoint)["position"]["step"]
    assert 1 <= step < 160, "the process must be killed in the middle"
    for name in ("killed", "whole"):
        fit(_built(_config(epochs=40, checkpoint_every_s=0)), run_dir=tmp_path / name)
    killed, whole = (load_checkpoint(tmp_path / name / "checkpoints" / "last.pt") for name in ("killed", "whole"))
    assert _same(killed["module"], whole["module"]) and killed["position"] == whole["position"]


def test_finished_run_returns_at_once(tmp_path):
    first = fit(_built(_config()), run_dir=tmp_path)
    again = _built(_config())
    second = fit(again, run_dir=tmp_path)
    assert again.steps_seen == [] and second.finished and second.best_metrics == first.best_metrics


def test_a_longer_plan_goes_on_after_the_planned_end(tmp_path):
    fit(_built(_config()), run_dir=tmp_path)
    longer = _config(epochs=4)
    assert fit(_built(longer), run_dir=tmp_path).steps == 16


def test_best_weights_are_the_ones_left_in_the_module(tmp_path):
    trained = _built(_config(epochs=30, learning_rate=0.2))
    result = fit(trained, run_dir=tmp_path)
    errors = [row["error"] for row in result.history]
    assert result.best_metrics["error"] == min(errors) == pytest.approx(evaluate(trained, "valid")["error"])
    assert all(row["is_training"] == 0 for row in result.history)


def test_patience_stops_after_validations_without_gain(tmp_path):
    result = fit(
        _built(_config(epochs=50, learning_rate=1e-12, dropout=0.0, warmup_steps=0, patience=3)), run_dir=tmp_path
    )
    assert result.stopped == "patience" and result.steps < 200
    assert result.steps - result.best_step == 3 * 4


def test_validation_by_steps(tmp_path):
    result = fit(_built(_config(validate_every_steps=5)), run_dir=tmp_path)
    assert [row["step"] for row in result.history] == [5, 10, 12]
    assert [row["step"] for row in RunFolder(tmp_path).history()] == [5, 10, 12]


def test_only_keys_that_end_in_loss_are_summed(tmp_path):
    class Doubled(_Regression):
        def training_step(self, batch):
            losses, report = super().training_step(batch)
            return {
                "a_loss": losses["fit_loss"] / 2,
                "b_loss": losses["fit_loss"] / 2,
                "not_summed": losses["fit_loss"] * 9,
            }, report

    plain = _built(_config())
    seed_all(0)
    split = Doubled(_config()).build()
    fit(plain, run_dir=tmp_path / "a")
    fit(split, run_dir=tmp_path / "b")
    assert split.steps_seen == pytest.approx(plain.steps_seen, rel=1e-4)


def test_no_loss_key_is_refused(tmp_path):
    class Nothing(_Regression):
        def training_step(self, batch):
            return {"accuracy": torch.tensor(1.0)}, {}

    with pytest.raises(RecipeConfigError, match="_loss"):
        fit(Nothing(_config()).build(), run_dir=tmp_path)


def test_divergence_names_step_and_keeps_the_checkpoint_before(tmp_path):
    config = _config(diverge_at=6, checkpoint_every_s=0)
    with pytest.raises(LossDiverged, match=r"step 6.*learning_rate"):
        fit(_built(config), run_dir=tmp_path)
    state = load_checkpoint(tmp_path / "checkpoints" / "last.pt")
    assert state["position"]["step"] == 6
    assert all(torch.isfinite(value).all() for value in state["module"].values())


def test_other_configuration_or_architecture_is_not_resumed(tmp_path):
    fit(_built(_config()), run_dir=tmp_path, max_steps=2)
    with pytest.raises(CheckpointMismatch, match=r"learning_rate: 0\.05 then, 0\.01 now"):
        fit(_built(_config(learning_rate=0.01)), run_dir=tmp_path)
    with pytest.raises(CheckpointMismatch, match="does not fit"):
        fit(_built(_config(width=9)), run_dir=tmp_path)


def test_damaged_checkpoint_is_named(tmp_path):
    fit(_built(_config()), run_dir=tmp_path, max_steps=2)
    path = tmp_path / "checkpoints" / "last.pt"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CheckpointMismatch, match=r"last\.pt"):
        fit(_built(_config()), run_dir=tmp_path)


def test_full_disk_leaves_no_half_written_file(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    fit(_built(_config()), run_dir=tmp_path, max_steps=1)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"disk is full|No space"):
        fit(_built(_config()), run_dir=tmp_path)
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["last.pt"]
    assert load_checkpoint(tmp_path / "checkpoints" / "last.pt")["position"]["step"] == 1


def test_what_cannot_be_removed_does_not_hide_why_the_checkpoint_failed(tmp_path, monkeypatch):
    def refused(path, missing_ok=False):
        raise PermissionError(1, "Operation not permitted", str(path))

    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    monkeypatch.setattr(Path, "unlink", refused)
    with pytest.raises(StoreError, match=r"last\.pt: No space left on device; free space"):
        save_checkpoint(tmp_path / "last.pt", {"step": 1})


def test_rate_warms_up_and_follows_half_a_cosine():
    config = _config(learning_rate=1.0, warmup_steps=4)
    rates = [rate_at(step, config, steps=12) for step in range(13)]
    assert rates[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert rates[8] == pytest.approx(0.5) and rates[12] == pytest.approx(0.0)
    assert rate_at(9, _config(learning_rate=1.0, schedule="constant"), steps=12) == 1.0


def test_overfits_thirty_two_examples(tmp_path):
    recipe_ = _built(_config(epochs=150, dropout=0.0, width=32, weight_decay=0.0))
    assert fit(recipe_, run_dir=tmp_path).best_metrics["error"] < 0.02


def test_registry_refuses_duplicates_and_lists_known_recipes():
    assert "contrastive" in recipe_names()
    assert get_recipe("contrastive").config_cls.__name__ == "Config"
    with pytest.raises(UnknownRecipe, match="contrastive"):
        get_recipe("contrastif")
    with pytest.raises(UnknownRecipe, match="twice"):
        recipe("contrastive", _Config)(_Regression)


def test_configuration_layers_and_close_matches(tmp_path):
    preset, overlay = tmp_path / "preset.yaml", tmp_path / "overlay.yaml"
    preset.write_text("learning_rate: 0.1\nepochs: 7\nwidth: 3\n")
    overlay.write_text("epochs: 8\nwidth: 4\n")
    merged = merge_config(
        _Config, preset=preset, overlay=overlay, overrides=parse_overrides(["width=5", "weight_decay=1e-4"])
    )
    assert (merged.learning_rate, merged.epochs, merged.width, merged.weight_decay) == (0.1, 8, 5, 1e-4)
    with pytest.raises(RecipeConfigError, match="did you mean learning_rate"):
        merge_config(_Config, overrides={"learning_rat": 1})
    with pytest.raises(RecipeConfigError, match="epochs = 0"):
        merge_config(_Config, overrides={"epochs": 0})
    with pytest.raises(RecipeConfigError, match="KEY=VALUE"):
        parse_overrides(["epochs"])
    overlay.write_text("- a list")
    with pytest.raises(RecipeConfigError, match="list"):
        merge_config(_Config, overlay=overlay)


def test_run_folder_holds_the_merged_configuration(tmp_path):
    folder = RunFolder.create(tmp_path, "toy", _config(), snapshot={"content_hash": "abc"})
    assert folder.name.split("-")[1] == "toy" and len(folder.name.split("-")[2]) == 6
    assert merge_config(_Config, overlay=folder.config_file) == _config()
    assert RunFolder.open(folder.path).snapshot() == {"content_hash": "abc"}
    folder.write_metrics({"top1": 0.5})
    assert folder.metrics() == {"top1": 0.5}
    with pytest.raises(StoreError, match="not a run folder"):
        RunFolder.open(tmp_path)
