"""How do a new run and the published model answer the same gate images, so that the gate can judge?

Both see the new run's snapshot without the labels of valid, gate and test, with the new run's splits. Images that the
published model was trained on or calibrated by take no part.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from kg.errors import CheckpointMismatch, EmptySplit, EncoderError, RecipeConfigError, StoreError, UnknownRecipe
from kg.graph import Graph
from kg.progress import Reporter, SilentReporter
from kg.publishing.activation import find_active_set
from kg.settings import Settings
from kg.store import Store
from training.checkpoint import load_weights, seed_all
from training.configuration import merge_config
from training.features import StoredFeatures
from training.gate import Answers, Margins, Verdict, judge
from training.labelled_images import HELD_OUT
from training.registry import get_recipe
from training.run_text import learns_from_captions

if TYPE_CHECKING:
    from training.run import RunResult

__all__ = ["gate_answers", "judge_run"]

_SPLIT_SETTINGS = ("task", "hold_out", "split_name", "split_seed", "fractions")
_Columns = dict[str, Any]


def judge_run(
    graph: Graph,
    settings: Settings,
    run: RunResult,
    *,
    margins: Margins | None = None,
    reporter: Reporter | None = None,
) -> Verdict:
    """Whether a finished run may take the place of the active version of its task.

    Where nothing is active there is nothing to lose. An active model that cannot answer here (another domain file, no
    weights) cannot be compared: the run is refused, and a person decides.
    """
    if learns_from_captions(run.recipe):
        return Verdict(True, note="the gate compares answers about classes, and this recipe has none")
    reporter, store = reporter or SilentReporter(), Store(settings.store_dir)
    snapshot = run.recipe.snapshot
    active = find_active_set(graph, snapshot.domain, run.recipe.tasks[0])
    if active is None:
        return Verdict(True, note="nothing was active, so nothing can be lost")
    try:
        published = _published_here(store, active.version, run, reporter)
    except (CheckpointMismatch, StoreError, EncoderError, UnknownRecipe, RecipeConfigError, EmptySplit) as error:
        return Verdict(False, against=active.version, note=f"the active version cannot be compared with: {error}")
    known = _trained_on(graph, store, active.version)
    mine, theirs = gate_answers(run.recipe, known), gate_answers(published, known)
    if mine["ids"] != theirs["ids"] or mine["classes"] != theirs["classes"]:
        return Verdict(False, against=active.version, note="the two models answer other images or classes")
    verdict = judge(
        mine["targets"], mine["answers"], theirs["answers"], class_keys=mine["classes"], held_out=mine["held_out"],
        margins=margins,
    )  # fmt: skip
    for finding in verdict.findings:
        (reporter.warn if finding.refused else reporter.note)(finding.line())
    note = "" if verdict.images else "no gate image that the active model did not train on: nothing was compared"
    return Verdict(verdict.passed, verdict.findings, verdict.images, active.version, note)


def gate_answers(recipe: Any, known: frozenset[str] = frozenset()) -> _Columns:
    """A model's answers to the gate images and to those of held-out classes, without the images in `known`."""
    examples, parts = recipe.examples, []
    for split in ("gate", HELD_OUT):
        if len(rows := examples.of(split)):
            scores, targets = recipe.scores(split)
            probabilities = (scores / recipe.temperature).softmax(1).numpy()
            parts.append((split, rows, probabilities, targets.numpy()))
    ids = [recipe.snapshot.images.sha256[row] for _, rows, _, _ in parts for row in examples.image_row[rows]]
    keep = np.array([image_id not in known for image_id in ids], bool)
    n = len(examples.class_keys)
    probabilities = np.concatenate([part[2] for part in parts] or [np.zeros((0, n))])[keep]
    targets = np.concatenate([part[3] for part in parts] or [np.zeros(0, np.int64)])[keep]
    held = np.concatenate([np.full(len(part[1]), part[0] == HELD_OUT) for part in parts] or [np.zeros(0, bool)])[keep]
    answers = Answers(probabilities.argmax(1), probabilities.max(1) if len(targets) else np.zeros(0))
    kept = [image_id for image_id, wanted in zip(ids, keep, strict=True) if wanted]
    return {"ids": kept, "classes": examples.class_keys, "targets": targets, "held_out": held, "answers": answers}


def _published_here(store: Store, version: str, run: RunResult, reporter: Reporter) -> Any:
    """The published model on the run's snapshot, with the run's splits."""
    model = store.models / version / "model"
    try:
        state, known = (json.loads((model / name).read_text()) for name in ("state.json", "encoders.json"))
    except (OSError, ValueError) as error:
        raise StoreError(f"version {version}: {model} is not whole ({error}); retrain") from error
    entry = get_recipe(state["recipe"])
    mine, theirs = run.recipe.config, merge_config(entry.config_cls, preset=model / "config.yaml")
    same = {name: getattr(mine, name) for name in _SPLIT_SETTINGS if hasattr(mine, name) and hasattr(theirs, name)}
    recipe = entry.cls(theirs.model_copy(update=same))
    tower = str(store.models / version / "tower" / "encoder")
    seed_all(theirs.rng_seed)
    recipe.build(run.recipe.snapshot, StoredFeatures(store, image_spec=tower, reporter=reporter, known=known))
    load_weights(recipe.network(), model / "weights.pt")
    recipe.temperature = state["temperature"]
    return recipe


def _trained_on(graph: Graph, store: Store, version: str) -> frozenset[str]:
    """Images that the published model was trained, stopped or calibrated by; none where its run is gone."""
    row = graph.one("publish/find_version", version=version)
    try:
        said = json.loads((store.folder / row["run"] / "snapshot.json").read_text()) if row and row["run"] else {}
    except (OSError, ValueError):
        return frozenset()
    splits = said.get("splits", {})
    return frozenset(splits.get("train", [])) | frozenset(splits.get("valid", []))
