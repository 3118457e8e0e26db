"""How is any recipe trained, so that a run which was killed goes on as if nothing had happened?

The only epoch loop of the project, on Lightning Fabric. A run's state after step s is (weights, optimiser, s, epoch,
batch, random states, best so far); the learning rate is a function of s alone; batch k of an epoch is a function of
(seed, epoch, k). So two steps equal one step and a resume, bit for bit on one CPU with the same number of threads.
"""

import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from kg.errors import CheckpointMismatch, LossDiverged, RecipeConfigError
from kg.progress import Reporter, SilentReporter
from kg.store import atomic_write
from training.checkpoint import (
    BEST,
    LAST,
    load_weights,
    random_states,
    restore_random_states,
    save_checkpoint,
    seed_all,
)
from training.registry import Batch, Recipe, RecipeConfig

__all__ = ["FitResult", "count_parameters", "evaluate", "fit", "planned_steps", "rate_at"]

_REPLANNABLE = {"epochs", "max_steps", "patience", "checkpoint_every_s", "accelerator"}
"""Fields in which a resumed run may differ from the one that wrote the checkpoint: its plan and its machine."""
_SUFFIX = "_loss"


@dataclass(frozen=True)
class FitResult:
    """What came of a run; `finished` is false where `fit` was told to stop early with `max_steps`."""

    steps: int
    epochs: int
    best_step: int
    best_metrics: dict[str, float]
    finished: bool
    stopped: Literal["planned end", "patience", "max_steps"]
    examples_per_s: float
    history: list[dict[str, float]]
    parameters: dict[str, int] = field(default_factory=dict)
    """As `count_parameters` has them; empty where this call took no step."""


@dataclass
class _Position:
    """Where a run is: everything but tensors that a checkpoint holds."""

    step: int = 0
    epoch: int = 0
    batch: int = 0
    best_step: int = 0
    best_metrics: dict[str, float] = field(default_factory=dict)
    without_gain: int = 0
    stopped: str = ""
    loss_sum: float = 0.0
    loss_n: int = 0
    history: list[dict[str, float]] = field(default_factory=list)


def fit(
    recipe: Recipe,
    config: RecipeConfig | None = None,
    *,
    run_dir: Path,
    reporter: Reporter | None = None,
    max_steps: int | None = None,
    resume: bool = True,
) -> FitResult:
    """Train a built recipe in `run_dir/checkpoints` and leave it with its best weights.

    `config` defaults to the recipe's own. `max_steps` stops early at that step, with the schedule unchanged; a later
    call goes on from there. With `resume` an existing `last.pt` is continued, and a finished run returns at once.

    Raises: LossDiverged, CheckpointMismatch, RecipeConfigError, StoreError.
    """
    loop = _Loop(recipe, config or recipe.config, run_dir=Path(run_dir), reporter=reporter or SilentReporter())
    if resume and loop.last.is_file():
        loop.restore()
    return loop.run(stop_at=max_steps)


def evaluate(recipe: Recipe, split: str) -> dict[str, float]:
    """The recipe's metrics of a split, in eval mode, without gradients; training mode is put back afterwards."""
    module = recipe.module()
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad():
            return {key: float(value) for key, value in recipe.evaluate(split).items()}
    finally:
        module.train(was_training)


def count_parameters(module: nn.Module) -> dict[str, int]:
    """How many numbers the last backward pass reached (trained), missed (dead), and was not to reach (frozen)."""
    counts = {"trained": 0, "dead": 0, "frozen": 0}
    for parameter in module.parameters():
        kind = "frozen" if not parameter.requires_grad else "dead" if parameter.grad is None else "trained"
        counts[kind] += parameter.numel()
    return counts


def planned_steps(recipe: Recipe, config: RecipeConfig) -> int:
    """The schedule's length: `max_steps` where it is set, else epochs x batches."""
    return config.max_steps or config.epochs * recipe.batches_per_epoch()


def rate_at(step: int, config: RecipeConfig, *, steps: int) -> float:
    """The learning rate of step number `step` (from 0) among `steps`: linear warm-up, then half a cosine or flat.

    Reference: Loshchilov and Hutter 2017, "SGDR", equation 5 with one period.
    """
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    if config.schedule == "constant":
        return config.learning_rate
    share = min(1.0, (step - config.warmup_steps) / max(1, steps - config.warmup_steps))
    floor = config.final_rate
    return config.learning_rate * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * share)))


class _StepModule(nn.Module):
    """Gives Fabric one forward to wrap, so that precision holds for whatever a recipe's step calls."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.inner = recipe.module()
        self._recipe = recipe

    def forward(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, float]]:
        return self._recipe.training_step(batch)


class _Loop:
    """One run of one recipe."""

    def __init__(self, recipe: Recipe, config: RecipeConfig, *, run_dir: Path, reporter: Reporter) -> None:
        self.recipe, self.config, self.run_dir, self.reporter = recipe, config, run_dir, reporter
        self.position = _Position()
        self.steps = planned_steps(recipe, config)
        seed_all(config.rng_seed)
        self.fabric = _fabric(config)
        self.step_module, self.optimizer = self.fabric.setup(_StepModule(recipe), _optimizer(recipe.module(), config))
        self.last = run_dir / "checkpoints" / LAST
        self.best = run_dir / "checkpoints" / BEST
        self._saved_at_s = time.monotonic()
        self._examples, self._busy_s = 0, 0.0
        self._parameters: dict[str, int] = {}
        self._learning = -1

    def restore(self) -> None:
        """Continue from `last.pt`: weights, optimiser, position, random states."""
        state = load_weights(self.recipe.module(), self.last)
        _check_same_config(state["config"], self.config, path=self.last)
        self.optimizer.load_state_dict(state["optimizer"])
        self.position = _Position(**state["position"])
        if self.position.stopped == "planned end" and self.position.step < self.steps:
            self.position.stopped = ""
        restore_random_states(state["random"])
        self.reporter.note(f"resumed at step {self.position.step} of {self.steps} (epoch {self.position.epoch})")

    def run(self, *, stop_at: int | None) -> FitResult:
        """Epochs until the plan ends, patience ends or `stop_at` is reached."""
        self.recipe.module().train()
        until = min(self.steps, stop_at or self.steps)
        with self.reporter.stage("training", total=self.steps, unit="steps") as advance:
            advance(self.position.step)
            while not self.position.stopped and self.position.step < until:
                self._run_epoch(until, advance)
        return self._finish()

    def _run_epoch(self, until: int, advance: Any) -> None:
        place = self.position
        self.recipe.start_epoch(place.epoch)
        self._count_again_where_thawed()
        for batch in self._batches():
            self._train_on(batch, advance)
            ended = place.batch == self.recipe.batches_per_epoch()
            if ended:
                place.epoch, place.batch = place.epoch + 1, 0
            self._validate_or_save(epoch_ended=ended)
            if place.stopped or place.step >= until:
                return

    def _batches(self) -> Iterator[Batch]:
        place = self.position
        generator = torch.Generator().manual_seed(self.config.rng_seed * 1_000_003 + place.epoch)
        for batch in self.recipe.train_batches(place.epoch, generator, place.batch):
            if place.step == 0:
                _check_keys(batch, self.recipe)
            yield self.fabric.to_device(batch)

    def _train_on(self, batch: Batch, advance: Any) -> None:
        started_s = time.monotonic()
        place, rate = self.position, rate_at(self.position.step, self.config, steps=self.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group.get("rate_share", 1.0)
        losses, report = self.step_module(batch)
        total = _total(losses)
        self._refuse_divergence(total, losses)
        self.fabric.backward(total)
        if not self._parameters:
            self._parameters = count_parameters(self.recipe.module())
            self.reporter.note("parameters: " + ", ".join(f"{n:,} {kind}" for kind, n in self._parameters.items()))
        self._clip()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        place.step, place.batch = place.step + 1, place.batch + 1
        shown = {key: float(value.detach()) for key, value in losses.items()} | report
        loss = float(total.detach())
        place.loss_sum, place.loss_n = place.loss_sum + loss, place.loss_n + 1
        self._examples, self._busy_s = (
            self._examples + len(batch[self.recipe.data_keys[0]]),
            self._busy_s + time.monotonic() - started_s,
        )
        advance(1, **{**shown, **self._shown_best(), "loss": loss, "rate": rate})

    def _count_again_where_thawed(self) -> None:
        learning = sum(p.numel() for p in self.recipe.module().parameters() if p.requires_grad)
        if learning != self._learning:
            self._learning, self._parameters = learning, {}

    def _shown_best(self) -> dict[str, float]:
        key = self.recipe.primary_metric
        return {f"best_{key}": self.position.best_metrics[key]} if key in self.position.best_metrics else {}

    def _refuse_divergence(self, total: Tensor, losses: dict[str, Tensor]) -> None:
        if torch.isfinite(total):
            return
        values = ", ".join(f"{key}={float(value.detach()):.4g}" for key, value in losses.items())
        raise LossDiverged(
            f"training step {self.position.step}: the loss is {float(total.detach())} ({values}); lower learning_rate "
            f"(now {self.config.learning_rate:g}), raise warmup_steps or set grad_clip; {self.last} is from before"
        )

    def _refuse_lost_weights(self, metrics: dict[str, float]) -> None:
        """The last step may have ruined weights whose loss was still finite."""
        key = self.recipe.primary_metric
        if not math.isfinite(metrics[key]):
            raise LossDiverged(
                f"training step {self.position.step}: {key} on valid is {metrics[key]}; lower learning_rate "
                f"(now {self.config.learning_rate:g}), raise warmup_steps or set grad_clip"
            )

    def _clip(self) -> None:
        if self.config.grad_clip:
            self.fabric.clip_gradients(
                self.step_module, self.optimizer, max_norm=self.config.grad_clip, error_if_nonfinite=False
            )

    def _validate_or_save(self, *, epoch_ended: bool) -> None:
        place, every = self.position, self.config.validate_every_steps
        due = place.step % every == 0 if every else epoch_ended
        if due or place.step == self.steps:
            self._validate()
        if place.step == self.steps and not place.stopped:
            place.stopped = "planned end"
        overdue = time.monotonic() - self._saved_at_s >= self.config.checkpoint_every_s
        if due or place.stopped or overdue:
            self._save()

    def _validate(self) -> None:
        place, key = self.position, self.recipe.primary_metric
        metrics = evaluate(self.recipe, "valid")
        if key not in metrics:
            raise RecipeConfigError(
                f"evaluate('valid') lacks the primary metric {key!r}; it returned {sorted(metrics)}"
            )
        self._refuse_lost_weights(metrics)
        loss = place.loss_sum / max(1, place.loss_n)
        place.loss_sum, place.loss_n = 0.0, 0
        place.history.append({"step": place.step, "epoch": place.epoch, "loss": loss, **metrics})
        self._write_history()
        if self._is_better(metrics[key]):
            place.best_step, place.best_metrics, place.without_gain = place.step, metrics, 0
            state = {"module": self.recipe.module().state_dict(), "step": place.step, "metrics": metrics}
            save_checkpoint(self.best, {**state, "config": self.config.model_dump(mode="json")})
        else:
            place.without_gain += 1
            if self.config.patience and place.without_gain >= self.config.patience:
                place.stopped = "patience"
        self.reporter.note(
            f"step {place.step}/{self.steps}: loss {loss:.4f}, {_listed(metrics, self.recipe.primary_metric)}"
        )

    def _is_better(self, value: float) -> bool:
        best = self.position.best_metrics.get(self.recipe.primary_metric)
        if best is None:
            return True
        return value > best if self.recipe.greater_is_better else value < best

    def _save(self) -> None:
        state = {
            "module": self.recipe.module().state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "position": asdict(self.position),
            "random": random_states(),
            "config": self.config.model_dump(mode="json"),
        }
        save_checkpoint(self.last, state)
        self._saved_at_s = time.monotonic()

    def _write_history(self) -> None:
        with atomic_write(self.run_dir / "history.json") as file:
            file.write(json.dumps(self.position.history, indent=1).encode())

    def _finish(self) -> FitResult:
        place = self.position
        if place.stopped and self.best.is_file():
            load_weights(self.recipe.module(), self.best)
        elif not place.stopped:
            self._save()
        return FitResult(
            steps=place.step,
            epochs=place.epoch,
            best_step=place.best_step,
            best_metrics=place.best_metrics,
            finished=bool(place.stopped),
            stopped=place.stopped or "max_steps",
            examples_per_s=self._examples / self._busy_s if self._busy_s else 0.0,
            history=place.history,
            parameters=self._parameters,
        )


def _fabric(config: RecipeConfig) -> Fabric:
    try:
        return Fabric(accelerator=config.accelerator, devices=1, precision=config.precision)
    except Exception as error:  # lightning has no one kind for what a machine lacks
        asked = f"accelerator {config.accelerator!r} with precision {config.precision}"
        raise RecipeConfigError(f"{asked}: {str(error)[:200]}; try accelerator=cpu") from error


def _optimizer(module: nn.Module, config: RecipeConfig) -> torch.optim.Optimizer:
    """AdamW or Adam; weight decay on matrices only. Frozen parameters are included: a recipe may thaw them later.

    A parameter with a `rate_share` learns at that share of the rate.
    """
    groups = []
    for share in sorted({_rate_share(p) for p in module.parameters()}, reverse=True):
        own, form = [p for p in module.parameters() if _rate_share(p) == share], {"rate_share": share}
        groups += [
            {"params": [p for p in own if p.ndim >= 2], "weight_decay": config.weight_decay, **form},
            {"params": [p for p in own if p.ndim < 2], "weight_decay": 0.0, **form},
        ]
    cls = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return cls([group for group in groups if group["params"]], lr=config.learning_rate)


def _rate_share(parameter: nn.Parameter) -> float:
    return getattr(parameter, "rate_share", 1.0)


def _total(losses: dict[str, Tensor]) -> Tensor:
    """The sum of the losses whose key ends in `_loss`; the rest is only reported."""
    summed = [value for key, value in losses.items() if key.endswith(_SUFFIX)]
    if not summed:
        raise RecipeConfigError(f"training_step returned no key that ends in '{_SUFFIX}': {sorted(losses)}; rename one")
    return torch.stack(summed).sum()


def _check_keys(batch: Batch, recipe: Recipe) -> None:
    if set(batch) != set(recipe.data_keys):
        raise RecipeConfigError(
            f"a batch holds {sorted(batch)}, the recipe declares data_keys {sorted(recipe.data_keys)}"
        )


def _check_same_config(saved: dict[str, Any], config: RecipeConfig, *, path: Path) -> None:
    """Raises: CheckpointMismatch naming the fields that differ, apart from the plan and the machine."""
    now = config.model_dump(mode="json")
    changed = [
        key for key in sorted(set(saved) | set(now)) if saved.get(key) != now.get(key) and key not in _REPLANNABLE
    ]
    if changed:
        listed = ", ".join(f"{key}: {saved.get(key)!r} then, {now.get(key)!r} now" for key in changed)
        raise CheckpointMismatch(f"resuming {path}: the configuration differs ({listed}); use another run folder")


def _listed(metrics: dict[str, float], primary: str) -> str:
    """The primary metric and three more: enough for a line; history.json has them all."""
    shown = [primary, *(key for key in metrics if key != primary)][:4]
    return ", ".join(f"{key} {metrics[key]:.4f}" for key in shown if key in metrics)
