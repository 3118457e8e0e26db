"""How right is HGCLIP at every level, with few and with many images, beside every simpler way to answer by levels?

All methods see the same training, valid and test rows of a seed, and the same frozen encoder. A flat method is rolled
up: what it says of the class decides every level above.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kg.hierarchy import Tree
from kg.progress import Reporter, SilentReporter
from kg.settings import Settings
from kg.snapshots.snapshot import Snapshot
from kg.store import Store
from training.arms import Arms, told_duration
from training.baselines import class_mean_scores, linear_probe_scores
from training.checkpoint import seed_all
from training.choosing import choose_config
from training.configuration import dump_config
from training.engine import fit
from training.evaluate import LONGEST_TABLE_S
from training.features import CLIP, StoredFeatures
from training.labelled_images import LabelledImages, keep_shots
from training.metrics.hierarchy import hierarchy_figures
from training.recipes.graphclip import Config as GraphConfig
from training.recipes.graphclip import GraphClip
from training.recipes.hgclip import Config, HgClip
from training.threads import torch_threads

__all__ = ["METHODS", "HierarchyTable", "evaluate_hierarchy"]

HGCLIP, PATCHES, NO_GRAPH = "HGCLIP", "HGCLIP with patches", "HGCLIP without graph layers"
PAPER = "HGCLIP as in the paper, encoder frozen"
GRAPHCLIP, PROBE, READ_PROBE = "GraphCLIP, rolled up", "linear probe, rolled up", "linear probe on readings, rolled up"
HEADS, READ_HEADS = "linear probe a level", "linear probe on readings a level"
MEANS = "class means on readings, rolled up"
NAMES, PHRASES = "zero-shot, names in a prompt", "zero-shot, phrases of the graph"
METHODS = (HGCLIP, PATCHES, NO_GRAPH, PAPER, GRAPHCLIP, READ_PROBE, PROBE, READ_HEADS, HEADS, MEANS, PHRASES, NAMES)
_TRAINED: dict[str, dict[str, Any]] = {HGCLIP: {}, PATCHES: {"patch_weight": 0.2}, NO_GRAPH: {"layers": 0}, PAPER: {}}
_ON_ENCODER = (PROBE, HEADS, NAMES)
_OWN_WORDS = ("phrases", "prompt")
"""What the paper's form takes from the domain's preset."""
_ZERO_SHOT = (NAMES, PHRASES)
_ALL = 0
"""Shots of an arm that sees every training image."""

Arm = tuple[str, int, int]
"""Method, shots, seed."""


@dataclass
class HierarchyTable:
    """Figures of every method and number of shots, one for each seed, and the records that `make bench` keeps."""

    title: str
    figures: dict[tuple[str, int], list[dict[str, float]]]
    records: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """The table as Markdown, mean ± standard deviation; severity is over mistakes, and less is better."""
        names = list(next(iter(self.figures.values()))[0])
        head = [["method", "images a class", *names], ["---"] * (len(names) + 2)]
        body = [
            [method, str(shots or "all"), *(_told([part[name] for part in found]) for name in names)]
            for (method, shots), found in self.figures.items()
        ]
        return [*(f"| {' | '.join(cells)} |" for cells in head + body), "", *self.notes]


def evaluate_hierarchy(
    snapshot: Snapshot,
    settings: Settings,
    *,
    seeds: int = 5,
    shots: Sequence[int] = (1, 2, 4, 8, 16),
    methods: Sequence[str] = METHODS,
    again: bool = False,
    config: Config | None = None,
    features: Any = None,
    reporter: Reporter | None = None,
    command: str = "korvai evaluate hierarchy",
) -> HierarchyTable:
    """Every method with all training images and with `shots` a class, over `seeds` splits.

    `again` measures finished arms anew. Raises: SchemaViolation (no hierarchy in the graph), and what training raises.
    """
    bench = _Bench(snapshot, settings, config or choose_config("hgclip", snapshot.domain), features, reporter)
    plan = [(m, n, s) for s in range(seeds) for n in (_ALL, *shots) for m in methods if not (n and m in _ZERO_SHOT)]
    figures: dict[tuple[str, int], list[dict[str, float]]] = {}
    for (method, count, _), found in zip(plan, bench.table(plan, again=again), strict=True):
        figures.setdefault((method, count), []).append(found)
    figures = dict(sorted(figures.items(), key=lambda item: (item[0][1] or 10**6, methods.index(item[0][0]))))
    title = f"{snapshot.domain.title}: {', '.join(tree.facet for tree in bench.trees)}, {seeds} seeds"
    table = HierarchyTable(title, figures)
    table.records += _records(table, command)
    return table


class _Bench:
    """All methods on one snapshot, with the same examples for the same seed and number of shots."""

    def __init__(
        self, snapshot: Snapshot, settings: Settings, config: Config, features: Any, reporter: Reporter | None
    ) -> None:
        self.snapshot, self.config, self.reporter = snapshot, config, reporter or SilentReporter()
        store = Store(settings.store_dir)
        self.features = _Once(features or StoredFeatures(store, image_spec=settings.vision_encoder, reporter=reporter))
        self.graph_config = choose_config("graphclip", snapshot.domain, text_encoder=settings.text_encoder)
        paper = choose_config("hgclip", snapshot.domain, preset="paper")
        self._paper = {name: getattr(paper, name) for name in paper.model_fields_set - set(_OWN_WORDS)}
        self.arms = Arms(store.runs / "evaluations", graph=f"{snapshot.domain.domain}/hierarchy")
        self.features.image_width(), self.features.text_width(CLIP)
        self._encoders = {name: part["fingerprint"] for name, part in sorted(self.features.record().items())}
        self.trees: list[Tree] = self._built(self._config(PHRASES, _ALL, 0)).trees

    def table(self, plan: Sequence[Arm], *, again: bool) -> Iterator[dict[str, float]]:
        """What each arm finds, in order; tells first how many are to be done and how long that will take."""
        places = [self._place(arm) for arm in plan]
        for place in places if again else ():
            self.arms.forget(place)
        todo = [arm for arm, place in zip(plan, places, strict=True) if self.arms.read(place) is None]
        self._tell(len(plan), todo)
        with self.reporter.stage("hierarchy table", len(plan), "arms") as advance:
            for arm, place in zip(plan, places, strict=True):
                yield self._found(arm, place)
                advance()

    def _tell(self, count: int, todo: Sequence[Arm]) -> None:
        seconds = self.arms.seconds([method for method, _, _ in todo]) if todo else 0.0
        span = "how long is not known yet" if seconds is None else f"about {told_duration(seconds)}"
        self.reporter.note(f"hierarchy table: {count} arms, {count - len(todo)} finished, {len(todo)} to do, {span}")
        if seconds is not None and seconds > LONGEST_TABLE_S:
            self.reporter.warn(f"that is over {told_duration(LONGEST_TABLE_S)}; take fewer --seeds or --shots")

    def _found(self, arm: Arm, place: Path) -> dict[str, float]:
        if (kept := self.arms.read(place)) is not None:
            return kept
        started_s = time.monotonic()
        predicted, targets = self._measure(arm, place)
        found = hierarchy_figures(self.trees, predicted, targets)
        self.arms.write(place, arm[0], found, seconds=time.monotonic() - started_s)
        return found

    def _measure(self, arm: Arm, place: Path) -> tuple[list[np.ndarray], np.ndarray]:
        """What is said of every test image at every level, and what is true."""
        method, shots, seed = arm
        if method == GRAPHCLIP:
            recipe = _FewShotGraphClip(self._graph_config(seed), shots)
            self._fit(recipe, place)
            scores, targets = recipe.scores("test")
            return self._rolled_up(scores.numpy()), targets.numpy()
        recipe = self._built(self._config(method, shots, seed))
        targets = recipe.examples.class_row[recipe.examples.of("test")]
        if method in _TRAINED:
            self._fit(recipe, place, build=False)
        if method in _TRAINED or method in _ZERO_SHOT:
            return recipe.predicted("test"), targets
        return self._simple(method, recipe), targets

    def _simple(self, method: str, recipe: HgClip) -> list[np.ndarray]:
        train, valid, test = (_rows(recipe, split) for split in ("train", "valid", "test"))
        if method == MEANS:
            return self._rolled_up(class_mean_scores(*train, test[0], n_classes=self.trees[0].count(0)))
        if method in (PROBE, READ_PROBE):
            return self._rolled_up(linear_probe_scores(train, valid, n_classes=self.trees[0].count(0))(test[0]))
        return [
            np.stack([_head(tree, level, train, valid, test[0]) for level in range(tree.depth)]) for tree in self.trees
        ]

    def _rolled_up(self, scores: np.ndarray) -> list[np.ndarray]:
        return [tree.ancestors[:, scores.argmax(1)] for tree in self.trees]

    def _fit(self, recipe: Any, place: Path, *, build: bool = True) -> None:
        if build:
            seed_all(recipe.config.rng_seed)
            recipe.build(self.snapshot, self.features)
        with torch_threads(recipe.config.threads):
            fit(recipe, run_dir=place)

    def _built(self, config: Config) -> HgClip:
        recipe = HgClip(config)
        seed_all(config.rng_seed)
        recipe.build(self.snapshot, self.features)
        return recipe

    def _config(self, method: str, shots: int, seed: int) -> Config:
        changes: dict[str, Any] = {"rng_seed": seed, "split_seed": seed, "shots": shots or None}
        if method not in _TRAINED:
            changes |= {"patch_weight": 0.0, "layers": 0, "prototype_weight": 0.0, "image_projection": "none"}
            changes |= {"words": "names" if method == NAMES else "phrases"}
        if method == NAMES:
            changes["decode"] = "levels"
        if method in _ON_ENCODER:
            changes["readings"] = "none"
        if method == PAPER:
            changes |= self._paper
        return self.config.model_copy(update=changes | _TRAINED.get(method, {}))

    def _graph_config(self, seed: int) -> GraphConfig:
        return self.graph_config.model_copy(update={"rng_seed": seed, "split_seed": seed})

    def _place(self, arm: Arm) -> Path:
        method, shots, seed = arm
        config = self._graph_config(seed) if method == GRAPHCLIP else self._config(*arm)
        return self.arms.path(method, shots, dump_config(config), self.snapshot.content_hash, self._encoders)


class _FewShotGraphClip(GraphClip):
    """GraphCLIP that sees at most some training images of each class."""

    def __init__(self, config: GraphConfig, shots: int) -> None:
        super().__init__(config)
        self._shots = shots or None

    def _label(self, readable: np.ndarray, task: str | None) -> LabelledImages:
        return keep_shots(super()._label(readable, task), self._shots, rng_seed=self.config.rng_seed)


class _Once:
    """Features of one snapshot, asked for once."""

    def __init__(self, features: Any) -> None:
        self._features = features
        self._known: dict[tuple[str, ...], Any] = {}

    def images(self, snapshot: Any) -> Any:
        return self._keep(("images",), lambda: self._features.images(snapshot))

    def patches(self, snapshot: Any) -> Any:
        return self._keep(("patches",), lambda: self._features.patches(snapshot))

    def texts(self, snapshot: Any, name: str) -> Any:
        return self._keep(("texts", name), lambda: self._features.texts(snapshot, name))

    def _keep(self, name: tuple[str, ...], ask: Any) -> Any:
        if name not in self._known:
            self._known[name] = ask()
        return self._known[name]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._features, name)


def _rows(recipe: HgClip, split: str) -> tuple[np.ndarray, np.ndarray]:
    rows = recipe.examples.of(split)
    return recipe.image_feat[recipe.examples.image_row[rows]].numpy(), recipe.examples.class_row[rows]


def _head(
    tree: Tree, level: int, train: tuple[np.ndarray, np.ndarray], valid: tuple[np.ndarray, np.ndarray], feat: np.ndarray
) -> np.ndarray:
    """What a probe of one level says."""
    own = [(part, tree.ancestors[level][targets]) for part, targets in (train, valid)]
    return linear_probe_scores(*own, n_classes=tree.count(level))(feat).argmax(1)


def _records(table: HierarchyTable, command: str) -> list[dict[str, Any]]:
    """HGCLIP against the best other method, for each number of images."""
    records = []
    for (method, shots), found in table.figures.items():
        others = {m: parts for (m, n), parts in table.figures.items() if n == shots and m not in _TRAINED}
        if method != HGCLIP or not others:
            continue
        suffix = f"_{shots}_shots" if shots else ""
        for name, told in (("exact_path", "exact_path"), ("fine_gain", "fine")):
            best = max(others, key=lambda m, key=told: _mean(others[m], key))
            value, baseline = _mean(found, told), _mean(others[best], told)
            gain = name.endswith("gain")
            records.append({
                "name": f"eval.hierarchy.{name}{suffix}", "value": 100 * (value - baseline) if gain else value,
                "unit": "points" if gain else "share", "baseline": baseline,
                "ratio": None if gain or not baseline else value / baseline,
                "spread": float(np.std([part[told] for part in found])), "n": len(found),
                "command": f"{command} (baseline: {best})",
            })  # fmt: skip
    return records


def _mean(found: Sequence[Mapping[str, float]], name: str) -> float:
    return float(np.mean([part[name] for part in found]))


def _told(values: Sequence[float]) -> str:
    return f"{np.mean(values):.3f} ± {np.std(values):.3f}" if len(values) > 1 else f"{values[0]:.3f}"
