"""How right is HGCLIP at every level, with few images and many, on new classes and other pictures, beside rivals?"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student

from kg.progress import Reporter, SilentReporter
from kg.settings import Settings
from kg.snapshots.snapshot import Snapshot
from kg.store import Store
from training.arms import Arms, told_duration
from training.choosing import choose_config, fit_to_encoders
from training.configuration import dump_config
from training.evaluate import LONGEST_TABLE_S, hold_outs_of
from training.features import CLIP, StoredFeatures
from training.hierarchy_methods import (
    HGCLIP,
    HIERARCHICAL,
    METHODS,
    WITHOUT_TEXTS,
    Arm,
    Measuring,
    can_be_few,
    can_be_new,
)
from training.recipes.hgclip import Config
from training.shifted import SHIFTS, shifted_images

__all__ = ["HierarchyTable", "evaluate_hierarchy"]

_HOLD_OUT_SEED = 3031
"""Of the classes held out here; nothing was chosen on them."""
_CONFIDENCE = 0.95

Figures = dict[tuple[str, int], list[dict[str, float]]]
"""Method and shots -> what each seed found."""


@dataclass
class HierarchyTable:
    """Figures of every method and number of shots, one for each seed, and the records that `make bench` keeps."""

    title: str
    figures: Figures
    records: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """The table as Markdown, mean ± standard deviation; severity is over mistakes, and less is better."""
        every = {name: None for found in self.figures.values() for name in found[0]}
        names = [name for name in every if not name.endswith(".exact_path")]
        head = [["method", "images a class", *names], ["---"] * (len(names) + 2)]
        body = [
            [method, str(shots or "all"), *(_told([p[name] for p in found if name in p]) for name in names)]
            for (method, shots), found in self.figures.items()
        ]
        return [*(f"| {' | '.join(cells)} |" for cells in head + body), "", *self.notes]


def evaluate_hierarchy(
    snapshot: Snapshot,
    settings: Settings,
    *,
    seeds: int = 5,
    shots: Sequence[int] = (1, 2, 4, 8, 16),
    methods: Sequence[str] | None = None,
    shifted_per_cluster: int = 10,
    again: bool = False,
    config: Config | None = None,
    features: Any = None,
    reporter: Reporter | None = None,
    command: str = "korvai evaluate hierarchy",
) -> HierarchyTable:
    """Every method with all training images and with `shots` a class over `seeds` splits, with four classes held out
    as often, and on `shifted_per_cluster` pictures of each cluster in each shift, where they are rendered sarees.

    `again` measures finished arms anew. Raises: SchemaViolation (no hierarchy in the graph), and what training raises.
    """
    bench = _Bench(snapshot, settings, config, features, reporter)
    speaks = bench.config.words != "prototypes"
    methods = methods or (METHODS if speaks else WITHOUT_TEXTS)
    if shifted_per_cluster and snapshot.domain.domain == "saree":
        bench.draw(shifted_per_cluster)
    classes = list(bench.measuring.trees[0].keys[0])
    size = min(4, len(classes) // 3)
    hold_outs = hold_outs_of(classes, seeds, size=size, rng_seed=_HOLD_OUT_SEED) if speaks and size > 1 else []
    plan = [Arm(m, n, s) for s in range(seeds) for n in (0, *shots) for m in methods if not n or can_be_few(m)]
    plan += [Arm(m, 0, s, names) for s, names in enumerate(hold_outs) for m in methods if can_be_new(m)]
    figures: Figures = {}
    for arm, found in zip(plan, bench.table(plan, again=again), strict=True):
        rows = figures.setdefault((arm.method, arm.shots), [])
        if arm.hold_out:
            rows[arm.seed].update(found)
        else:
            rows.append(dict(found))
    figures = dict(sorted(figures.items(), key=lambda item: (item[0][1] or 10**6, methods.index(item[0][0]))))
    title = f"{snapshot.domain.title}: {', '.join(tree.facet for tree in bench.measuring.trees)}, {seeds} seeds"
    if not speaks:
        title += "; smoke test, prototypes and linear map: the encoder has no text tower"
    table = HierarchyTable(title, figures)
    table.notes += [f"held out {number + 1}: {', '.join(names)}" for number, names in enumerate(hold_outs)]
    table.notes += list(_differences(figures))
    table.records += _records(table, command)
    return table


class _Bench:
    """Arms of one snapshot, found or measured."""

    def __init__(
        self, snapshot: Snapshot, settings: Settings, config: Config | None, features: Any, reporter: Reporter | None
    ) -> None:
        self.snapshot, self.reporter = snapshot, reporter or SilentReporter()
        self.store = Store(settings.store_dir)
        stored = features or StoredFeatures(self.store, image_spec=settings.vision_encoder, reporter=self.reporter)
        self.features = _Once(stored)
        self.config = config or self._fitting("hgclip", settings)
        self.measuring = Measuring(snapshot, self.features, self.config, self._fitting("graphclip", settings))
        self.arms = Arms(self.store.runs / "evaluations", graph=f"{snapshot.domain.domain}/hierarchy")
        self.features.image_width()
        if self.config.words != "prototypes":
            self.features.text_width(CLIP)
        self._encoders = {name: part["fingerprint"] for name, part in sorted(self.features.record().items())}

    def draw(self, per_cluster: int) -> None:
        """Have shifted pictures drawn."""
        clusters, form = self.measuring.trees[0].keys[0], {"per_cluster": per_cluster, "reporter": self.reporter}
        self.measuring.shifted = {name: shifted_images(self.store, name, clusters, **form) for name in SHIFTS}

    def table(self, plan: Sequence[Arm], *, again: bool) -> Iterator[dict[str, float]]:
        """What each arm finds, in order; tells first how many are to be done and how long that will take."""
        places = [self._place(arm) for arm in plan]
        for place in places if again else ():
            self.arms.forget(place)
        self._tell(len(plan), [arm for arm, place in zip(plan, places, strict=True) if self.arms.read(place) is None])
        with self.reporter.stage("hierarchy table", len(plan), "arms") as advance:
            for arm, place in zip(plan, places, strict=True):
                yield self._found(arm, place)
                advance()

    def _found(self, arm: Arm, place: Path) -> dict[str, float]:
        if (kept := self.arms.read(place)) is not None:
            return kept
        started_s = time.monotonic()
        found = self.measuring.measure(arm, place)
        self.arms.write(place, arm.method, found, seconds=time.monotonic() - started_s)
        return found

    def _fitting(self, recipe: str, settings: Settings) -> Any:
        config = choose_config(recipe, self.snapshot.domain, text_encoder=settings.text_encoder)
        return config if not hasattr(self.features, "store") else fit_to_encoders(config, self.features, self.reporter)

    def _tell(self, count: int, todo: Sequence[Arm]) -> None:
        seconds = self.arms.seconds([arm.method for arm in todo]) if todo else 0.0
        span = "how long is not known yet" if seconds is None else f"about {told_duration(seconds)}"
        self.reporter.note(f"hierarchy table: {count} arms, {count - len(todo)} finished, {len(todo)} to do, {span}")
        if seconds is not None and seconds > LONGEST_TABLE_S:
            self.reporter.warn(f"that is over {told_duration(LONGEST_TABLE_S)}; take fewer --seeds or --shots")

    def _place(self, arm: Arm) -> Path:
        shifted = (
            {name: part.images.sha256 for name, part in self.measuring.shifted.items()}
            if not (arm.shots or arm.hold_out)
            else {}
        )
        named = (dump_config(self.measuring.config_of(arm)), self.snapshot.content_hash, self._encoders, shifted)
        return self.arms.path(arm.method, arm.shots, *named)


class _Once:
    """Features of one snapshot, and of shifted pictures, asked for once."""

    def __init__(self, features: Any) -> None:
        self._features = features
        self._known: dict[tuple[Any, ...], Any] = {}

    def images(self, snapshot: Any) -> Any:
        return self._keep(("images", id(snapshot)), lambda: self._features.images(snapshot))

    def patches(self, snapshot: Any) -> Any:
        return self._keep(("patches", id(snapshot)), lambda: self._features.patches(snapshot))

    def states(self, snapshot: Any, name: str, encode: Any) -> Any:
        return self._keep(("states", id(snapshot), name), lambda: self._features.states(snapshot, name, encode))

    def texts(self, snapshot: Any, name: str) -> Any:
        return self._keep(("texts", id(snapshot), name), lambda: self._features.texts(snapshot, name))

    def _keep(self, name: tuple[Any, ...], ask: Any) -> Any:
        if name not in self._known:
            self._known[name] = ask()
        return self._known[name]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._features, name)


def _differences(figures: Figures) -> Iterator[str]:
    """HGCLIP less each rival, seed by seed, with the interval of the mean difference."""
    for (method, shots), found in figures.items():
        own = figures.get((HGCLIP, shots))
        if method == HGCLIP or own is None or len(own) < 2:
            continue
        told = [
            f"{name.replace('_', ' ')} {_interval([a[name] - b[name] for a, b in zip(own, found, strict=True)])}"
            for name in ("fine", "exact_path", "harmonic")
            if all(name in part for part in (*own, *found))
        ]
        yield f"{HGCLIP} less {method}, {shots or 'all'} images a class: {', '.join(told)}"


def _interval(values: Sequence[float]) -> str:
    """Mean and its interval, by Student's t over seeds."""
    quantile = student.ppf((1 + _CONFIDENCE) / 2, len(values) - 1)
    mean, half = np.mean(values), quantile * np.std(values, ddof=1) / len(values) ** 0.5
    return f"{mean:+.3f} [{mean - half:+.3f}, {mean + half:+.3f}]"


def _records(table: HierarchyTable, command: str) -> list[dict[str, Any]]:
    """HGCLIP against the best rival, for each number of images."""
    records = []
    for (method, shots), found in table.figures.items():
        rivals = {m: parts for (m, n), parts in table.figures.items() if n == shots and m not in HIERARCHICAL}
        if method != HGCLIP or not rivals:
            continue
        suffix = f"_{shots}_shots" if shots else ""
        for name, told in (("exact_path", "exact_path"), ("fine_gain", "fine")):
            best = max(rivals, key=lambda m, key=told: _mean(rivals[m], key))
            value, baseline = _mean(found, told), _mean(rivals[best], told)
            gain = name.endswith("gain")
            records.append({
                "name": f"eval.hierarchy.{name}{suffix}", "value": 100 * (value - baseline) if gain else value,
                "unit": "points" if gain else "share", "baseline": baseline,
                "ratio": None if gain or not baseline else value / baseline,
                "spread": float(np.std([part[told] for part in found])), "n": len(found),
                "command": f"{command} (baseline: {best})",
            })  # fmt: skip
    return records


def _mean(found: Sequence[dict[str, float]], name: str) -> float:
    return float(np.mean([part[name] for part in found]))


def _told(values: Sequence[float]) -> str:
    if not values:
        return "–"
    digits = 3 if max(map(abs, values)) < 10 else 1
    spread = f" ± {np.std(values):.{digits}f}" if len(values) > 1 else ""
    return f"{np.mean(values):.{digits}f}{spread}"
