"""How good is GraphCLIP on one's own graph, beside every rival, with each of its parts taken away?

One resumable table: rivals and ablations (`training/comparison/variants.py`), two divisions of the images, classes that
were never trained on (`training/comparison/unseen.py`), with intervals.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from kg.errors import RecipeConfigError
from kg.progress import Reporter
from kg.settings import Settings
from kg.snapshots.snapshot import Snapshot
from training.choosing import choose_config
from training.comparison.answers import Answers
from training.comparison.measuring import FOLDS, Bench
from training.comparison.plots import draw
from training.comparison.rows import GraphClipTable, Unseen
from training.comparison.unseen import (
    ANNOUNCED,
    ARRIVALS,
    ATTRIBUTES,
    GRAPHCLIP,
    MEANS,
    METHODS,
    NO_LAYERS,
    quarter,
    unseen_job,
)
from training.comparison.variants import HEADLINE, Variant, variants_of
from training.evaluate import hold_outs_of, record
from training.features import Features
from training.recipes.graphclip import Config

__all__ = ["APART", "RANDOM", "UNSEEN", "evaluate_graphclip"]

RANDOM, APART, UNSEEN = "random", "no artist twice", "unseen classes"


def evaluate_graphclip(
    snapshot: Snapshot,
    settings: Settings,
    *,
    task: str | None = None,
    seeds: int = 5,
    arm_seeds: int = 3,
    hold_outs: int = 5,
    only: str = "",
    apart_by: str | None = None,
    again: bool = False,
    plots: Path | None = None,
    config: Config | None = None,
    features: Features | None = None,
    reporter: Reporter | None = None,
    command: str = "korvai evaluate graphclip",
) -> GraphClipTable:
    """`seeds` for methods, `arm_seeds` for ablations, folds by `apart_by` where items have that relation.

    `only`: arms whose name or part holds this text, small letters or not; the headline is always among them.
    Raises: RecipeConfigError where no arm is called so, and what training raises.
    """
    task = snapshot.domain.task(task or (config.task if config else None))[0]
    chosen = config or choose_config(
        "graphclip", snapshot.domain, overrides={"task": task}, text_encoder=settings.text_encoder
    )
    bench = Bench(snapshot, settings, chosen, features=features, apart_by=apart_by, reporter=reporter)
    wanted = _wanted(only)
    variants = [v for v in variants_of(bench.config, snapshot) if wanted(v.name) or wanted(v.part)]
    variants = [v for v in variants if bench.can_be_done(v)]
    asks_unseen = hold_outs > 0 and wanted(UNSEEN)
    if not variants and not asks_unseen:
        raise RecipeConfigError(f"--only {only!r}: no arm of the table is called so; leave it out to see all names")
    table = GraphClipTable(f"{snapshot.domain.title}, {task}", {})
    if variants:
        variants = _with_headline(variants)
        table.answers[RANDOM] = _measured(bench, variants, (seeds, arm_seeds), RANDOM, again=again)
        if apart_by:
            methods = [variant for variant in variants if variant.headline]
            table.answers[APART] = _measured(bench, methods, (FOLDS, FOLDS), APART, again=again)
    if asks_unseen:
        table.unseen = _unseen(bench, hold_outs, again=again)
    _close(table, plots, f"{snapshot.domain.domain}-{task}", command)
    return table


def _measured(
    bench: Bench, variants: Sequence[Variant], seeds: tuple[int, int], division: str, *, again: bool
) -> dict[Variant, dict[int, Answers]]:
    """Answers of all arms; the first seed of every arm before the second of any, so that a stopped table is whole."""
    plan = [
        (variant, seed)
        for seed in range(max(seeds))
        for variant in variants
        if seed < (seeds[0] if variant.headline else seeds[1])
    ]
    jobs = [bench.job(variant, seed, apart=division == APART) for variant, seed in plan]
    found: dict[Variant, dict[int, Answers]] = {variant: {} for variant in variants}
    name = f"graphclip table, {division}"
    for (variant, seed), said in zip(plan, bench.run(name, jobs, again=again), strict=True):
        found[variant][seed] = Answers(**said)
    return found


def _unseen(bench: Bench, count: int, *, again: bool) -> Unseen:
    """A quarter of the classes held out, `count` times."""
    label = bench.snapshot.domain.task_edge_type(bench.config.task)[2]
    classes = [str(key) for key in bench.snapshot.keys(label)]
    groups = hold_outs_of(classes, count, size=quarter(len(classes)))
    methods = [name for name in METHODS if name != ATTRIBUTES or bench.config.phrases]
    pairs = [(name, arrival) for name in methods for arrival in (ARRIVALS if name != MEANS else (ANNOUNCED,))]
    plan = [(name, arrival, number) for number in range(count) for name, arrival in pairs]
    jobs = [unseen_job(bench, name, arrival, groups[number], number) for name, arrival, number in plan]
    unseen = Unseen(groups)
    for (name, arrival, number), said in zip(
        plan, bench.run("graphclip table, unseen", jobs, again=again), strict=True
    ):
        unseen.found.setdefault((name, arrival), {})[number] = said
    unseen.found = {pair: unseen.found[pair] for pair in pairs}
    return unseen


def _close(table: GraphClipTable, plots: Path | None, name: str, command: str) -> None:
    """Figures, notes and records."""
    found = table.answers.get(RANDOM, {})
    if plots is not None and (path := draw(found, plots / f"graphclip-{name}.png", title=table.title)):
        table.notes.append(f"figure: {path}")
    best, probe = (table.top1(method) if found else [] for method in (HEADLINE, "linear probe"))
    if best and probe:
        table.records.append(record(f"eval.graphclip.{name}.top1", best, probe, "share", command))
    if table.unseen:
        ours, others = (table.unseen.mean(method, ANNOUNCED, "0", "harmonic") for method in (GRAPHCLIP, NO_LAYERS))
        table.records.append(record(f"eval.graphclip.{name}.unseen_harmonic", ours, others, "share", command))


def _wanted(only: str) -> Callable[[str], bool]:
    return lambda name: only.lower() in name.lower()


def _with_headline(variants: list[Variant]) -> list[Variant]:
    headline = Variant(HEADLINE, "methods")
    return variants if any(v.name == HEADLINE for v in variants) else [headline, *variants]
