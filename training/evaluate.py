"""How good is it? The result tables of the README: several seeds, hold-outs, and every simpler method beside it.

Before it starts, a table tells how many of its arms are finished (see training/arms.py) and how long the others take.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kg.progress import Reporter, SilentReporter
from kg.settings import Settings
from kg.snapshots.snapshot import Snapshot
from kg.store import Store, atomic_write
from training.arms import Arms, told_duration
from training.baselines import class_mean_scores, linear_probe_scores
from training.checkpoint import seed_all
from training.choosing import choose_config, fit_to_encoders
from training.configuration import dump_config
from training.engine import fit
from training.features import CLIP, Features, StoredFeatures
from training.labelled_images import HELD_OUT
from training.metrics.calibration import expected_calibration_error, fit_temperature
from training.metrics.classification import harmonic_mean, top_k_accuracy
from training.recipes.graphclip import Config, GraphClip
from training.threads import torch_threads

__all__ = ["Row", "Table", "evaluate_saree", "evaluate_wikiart", "hold_outs_of", "record", "write_records"]

GRAPHCLIP, NO_LAYERS, PROBE = "GraphCLIP", "GraphCLIP, 0 message-passing layers", "linear probe"
MEANS, ATTRIBUTES = "class-mean prototypes", "attribute matching"
READ_ATTRIBUTES, READ_PROBE = "attribute matching by readings", "linear probe on readings"
_TRAINED, _LINEAR = (GRAPHCLIP, NO_LAYERS), (PROBE, MEANS, READ_PROBE)
_ON_READINGS = (*_TRAINED, READ_ATTRIBUTES, READ_PROBE)
HELD_OUT_CLASSES = 4
LONGEST_TABLE_S = 3 * 3600
"""What takes longer is told to be too long before it starts."""
_HOLD_OUT_SEED = 2027
"""Of the random hold-outs; these five were drawn after the method was finished and nothing was chosen on them."""


Arm = tuple[str, int, tuple[str, ...]]
"""Method, seed, classes held out."""


@dataclass
class Row:
    """One method's accuracies, one for each seed or hold-out. Absent where a method has no answer."""

    method: str
    all_classes: list[float] = field(default_factory=list)
    seen: list[float] = field(default_factory=list)
    unseen: list[float] = field(default_factory=list)
    harmonic: list[float] = field(default_factory=list)
    ece: list[float] = field(default_factory=list)


@dataclass
class Table:
    """A result table and the records that `make bench` keeps."""

    title: str
    rows: list[Row]
    records: list[dict[str, Any]]
    notes: list[str]

    def row(self, method: str) -> Row:
        """The row of a method."""
        return next(row for row in self.rows if row.method == method)

    def lines(self) -> list[str]:
        """The table as Markdown, mean ± standard deviation."""
        columns = [
            c for c in ("all_classes", "seen", "unseen", "harmonic", "ece") if any(getattr(r, c) for r in self.rows)
        ]
        head = ["method", *(column.replace("_", " ") for column in columns)]
        body = [[row.method, *(_told(getattr(row, column)) for column in columns)] for row in self.rows]
        return [_line(head), _line(["---"] * len(head)), *map(_line, body), "", *self.notes]


def evaluate_saree(
    snapshot: Snapshot,
    settings: Settings,
    *,
    seeds: int = 3,
    hold_outs: int = 5,
    floor: Mapping[str, float] | None = None,
    again: bool = False,
    config: Config | None = None,
    features: Features | None = None,
    reporter: Reporter | None = None,
    command: str = "korvai evaluate saree",
) -> Table:
    """Seen clusters over `seeds` splits, unseen ones over random hold-outs of four, each among all classes.

    `floor` is what benchmarks/difficulty_floor.py measured; `again` measures finished arms anew.
    Raises: what training raises.
    """
    chosen = config or choose_config("graphclip", snapshot.domain, text_encoder=settings.text_encoder)
    bench = _Bench(snapshot, settings, chosen, features, reporter)
    read = (READ_ATTRIBUTES, READ_PROBE) if bench.config.readings != "none" else ()
    rows = [Row(name) for name in (GRAPHCLIP, NO_LAYERS, ATTRIBUTES, MEANS, PROBE, *read)]
    classes = [str(key) for key in snapshot.keys(snapshot.domain.task_edge_type(bench.config.task)[2])]
    settings_of_arms = [(seed, ()) for seed in range(seeds)] + list(enumerate(hold_outs_of(classes, hold_outs)))
    plan = [(row.method, seed, left_out) for seed, left_out in settings_of_arms for row in rows]
    for arm, found in zip(plan, bench.table("saree table", plan, again), strict=True):
        found.into(next(row for row in rows if row.method == arm[0]), whole=not arm[2])
    notes = [
        f"hold-out {number + 1}: {', '.join(names)}: GraphCLIP seen {seen:.3f}, unseen {unseen:.3f}"
        for number, (names, seen, unseen) in enumerate(
            zip(hold_outs_of(classes, hold_outs), rows[0].seen, rows[0].unseen, strict=True)
        )
    ]
    notes += [f"difficulty floor, {name}: {value:.3f}" for name, value in (floor or {}).items()]
    table = Table(f"Rendered sarees, {len(classes)} clusters, chance {1 / len(classes):.2f}", rows, [], notes)
    table.records += _saree_records(table, command)
    return table


def evaluate_wikiart(
    snapshot: Snapshot,
    settings: Settings,
    *,
    task: str = "style",
    seeds: int = 3,
    again: bool = False,
    config: Config | None = None,
    features: Features | None = None,
    reporter: Reporter | None = None,
    command: str = "korvai evaluate wikiart",
) -> Table:
    """GraphCLIP, linear probe and class means on the same features and the same training rows; test rows are fixed.

    `again` measures finished arms anew. Raises: what training raises.
    """
    chosen = config or choose_config(
        "graphclip", snapshot.domain, overrides={"task": task}, text_encoder=settings.text_encoder
    )
    bench = _Bench(snapshot, settings, chosen, features, reporter)
    rows = [Row(name) for name in (GRAPHCLIP, NO_LAYERS, PROBE, MEANS)]
    plan = [(row.method, seed, ()) for seed in range(seeds) for row in rows]
    for row, found in zip(rows * seeds, bench.table(f"{task} table", plan, again), strict=True):
        row.all_classes.append(found.seen)
        row.ece.append(found.ece)
    best, probe = rows[0], rows[2]
    name = f"eval.wikiart6.{task}"
    records = [
        record(f"{name}_top1", best.all_classes, probe.all_classes, "share", command),
        record(f"{name}_ece", best.ece, probe.ece, "share", command),
    ]
    return Table(f"Real paintings, {task}", rows, records, bench.notes())


def hold_outs_of(
    classes: Sequence[str], count: int, *, size: int = HELD_OUT_CLASSES, rng_seed: int = _HOLD_OUT_SEED
) -> list[tuple[str, ...]]:
    """Random groups of classes, the same each time; a class may be in several of them."""
    generator = np.random.default_rng(rng_seed)
    return [tuple(sorted(map(str, generator.choice(sorted(classes), size, replace=False)))) for _ in range(count)]


def write_records(records: Sequence[Mapping[str, Any]], path: Path) -> Path:
    """Merge records into a results file; a name measured again replaces its older value."""
    known = {entry["name"]: entry for entry in json.loads(path.read_text())} if path.is_file() else {}
    known |= {record["name"]: dict(record) for record in records}
    with atomic_write(path) as file:
        file.write((json.dumps(list(known.values()), indent=1) + "\n").encode())
    return path


@dataclass(frozen=True)
class _Found:
    seen: float
    unseen: float | None = None
    ece: float | None = None
    images: dict[str, int] = field(default_factory=dict)
    """Split -> images."""

    def into(self, row: Row, *, whole: bool) -> None:
        """Add to a row; `whole`: no class was held out."""
        if whole:
            row.all_classes.append(self.seen)
            return
        row.seen.append(self.seen)
        if self.unseen is not None:
            row.unseen.append(self.unseen)
            row.harmonic.append(harmonic_mean(self.seen, self.unseen))


class _Bench:
    """All methods on one snapshot, with the same examples for the same seed and hold-out."""

    def __init__(
        self,
        snapshot: Snapshot,
        settings: Settings,
        config: Config,
        features: Features | None,
        reporter: Reporter | None,
    ) -> None:
        self.snapshot, self.reporter = snapshot, reporter or SilentReporter()
        store = Store(settings.store_dir)
        self.features = features or StoredFeatures(store, image_spec=settings.vision_encoder, reporter=self.reporter)
        self.config = config if features else fit_to_encoders(config, self.features, self.reporter)
        self.arms = Arms(store.runs / "evaluations", graph=snapshot.domain.domain)
        self._encoders = self._fingerprints()
        self._images: dict[str, int] = {}

    def table(self, name: str, plan: Sequence[Arm], again: bool) -> Iterator[_Found]:
        """What each arm finds, in order; tells first how many are to be done and how long that will take."""
        places = [self._place(arm) for arm in plan]
        if again:
            for place in places:
                self.arms.forget(place)
        open_arms = [arm for arm, place in zip(plan, places, strict=True) if self.arms.read(place) is None]
        told = self._tell(name, len(plan), open_arms)
        with self.reporter.stage(name, len(plan), "arms") as advance:
            for arm, place in zip(plan, places, strict=True):
                found = self._found(arm, place)
                self._images = found.images
                advance()
                open_arms = open_arms[1:] if open_arms and open_arms[0] == arm else open_arms
                if not told and open_arms:
                    told = self._tell(name, len(plan), open_arms, first=False)
                yield found

    def notes(self) -> list[str]:
        """What the examples of the last arm were."""
        return [f"images: {', '.join(f'{n:,} {split}' for split, n in self._images.items())}"] if self._images else []

    def _tell(self, name: str, count: int, open_arms: Sequence[Arm], *, first: bool = True) -> bool:
        """Say what is to be done; whether the time it takes could be said."""
        seconds = self.arms.seconds([method for method, _, _ in open_arms])
        if first or seconds is not None:
            span = "how long is told after the first seed" if seconds is None else f"about {told_duration(seconds)}"
            todo = f"{len(open_arms)} to do, {span}" if open_arms else "nothing to do"
            self.reporter.note(f"{name}: {count} arms, {count - len(open_arms)} finished, {todo}")
        if seconds is not None and seconds > LONGEST_TABLE_S:
            self.reporter.warn(f"{name}: that is over {told_duration(LONGEST_TABLE_S)}; take fewer --seeds")
        return seconds is not None

    def _found(self, arm: Arm, place: Path) -> _Found:
        if (kept := self.arms.read(place)) is not None:
            return _Found(**kept)
        started_s = time.monotonic()
        found = self._measure(arm, place)
        self.arms.write(place, arm[0], asdict(found), seconds=time.monotonic() - started_s)
        return found

    def _measure(self, arm: Arm, place: Path) -> _Found:
        """Top-1 on test images of seen classes and on all images of held-out ones, among all classes."""
        method, _, hold_out = arm
        recipe = self._built(self._config(arm))
        scores = self._scores_of(method, recipe, place)
        calibrated = scores("valid")
        temperature = fit_temperature(*calibrated)
        tested, targets = scores("test")
        unseen = scores(HELD_OUT) if hold_out and method not in _LINEAR else None
        return _Found(
            seen=_top1(tested, targets),
            unseen=None if unseen is None else _top1(*unseen),
            ece=expected_calibration_error((tested / temperature).softmax(1), targets),
            images={split: len(recipe.examples.of(split)) for split in ("train", "valid", "gate", "test")},
        )

    def _config(self, arm: Arm) -> Config:
        method, seed, hold_out = arm
        changes: dict[str, Any] = {"rng_seed": seed, "split_seed": seed, "hold_out": hold_out}
        if method == NO_LAYERS:
            changes["layers"] = 0
        if method not in _ON_READINGS:
            changes["readings"] = "none"
        return self.config.model_copy(update=changes)

    def _place(self, arm: Arm) -> Path:
        return self.arms.path(arm[0], dump_config(self._config(arm)), self.snapshot.content_hash, self._encoders)

    def _fingerprints(self) -> dict[str, str]:
        """Of all encoders that any arm may ask, so that an arm has the same name whichever came before it."""
        self.features.image_width()
        for name in {*self.config.text_features, *([CLIP] if self.config.phrases else [])}:
            self.features.text_width(name)
        return {name: entry["fingerprint"] for name, entry in sorted(self.features.record().items())}

    def _built(self, config: Config) -> GraphClip:
        recipe = GraphClip(config)
        seed_all(config.rng_seed)
        recipe.build(self.snapshot, self.features)
        return recipe

    def _scores_of(
        self, method: str, recipe: GraphClip, place: Path
    ) -> Callable[[str], tuple[torch.Tensor, torch.Tensor]]:
        if method in _TRAINED:
            with torch_threads(recipe.config.threads):
                fit(recipe, run_dir=place)
            recipe.calibrate()
            return recipe.scores
        if method in (ATTRIBUTES, READ_ATTRIBUTES):
            vectors = recipe.attribute_vectors().numpy()
            return lambda split: _with_targets(recipe, split, lambda feat: recipe.config.scale * feat @ vectors.T)
        train, valid = (self._rows(recipe, split) for split in ("train", "valid"))
        count = len(recipe.examples.class_keys)
        if method == MEANS:
            scale = recipe.config.scale
            return lambda s: _with_targets(
                recipe, s, lambda feat: scale * class_mean_scores(*train, feat, n_classes=count)
            )
        probe = linear_probe_scores(train, valid, n_classes=count)
        return lambda split: _with_targets(recipe, split, probe)

    def _rows(self, recipe: GraphClip, split: str) -> tuple[np.ndarray, np.ndarray]:
        rows = recipe.examples.of(split)
        return recipe.image_feat[recipe.examples.image_row[rows]].numpy(), recipe.examples.class_row[rows]


def _with_targets(
    recipe: GraphClip, split: str, score: Callable[[np.ndarray], np.ndarray]
) -> tuple[torch.Tensor, torch.Tensor]:
    rows = recipe.examples.of(split)
    feat = recipe.image_feat[recipe.examples.image_row[rows]].numpy()
    # A class without a training image has no finite score; the lowest one that still has a softmax stands for it.
    scores = np.maximum(np.nan_to_num(score(feat), neginf=-1e4), -1e4)
    return torch.as_tensor(scores, dtype=torch.float64), torch.as_tensor(recipe.examples.class_row[rows])


def _top1(scores: torch.Tensor, targets: torch.Tensor) -> float:
    return top_k_accuracy(scores.numpy(), targets.numpy(), k=1)


def _saree_records(table: Table, command: str) -> list[dict[str, Any]]:
    best, probe, attributes = table.row(GRAPHCLIP), table.row(PROBE), table.row(ATTRIBUTES)
    return [
        record("eval.saree.seen_top1", best.all_classes, probe.all_classes, "share", command),
        record("eval.saree.unseen_top1", best.unseen, attributes.unseen, "share", command),
        record("eval.saree.unseen_harmonic", best.harmonic, attributes.harmonic, "share", command),
    ]


def record(name: str, values: Sequence[float], baseline: Sequence[float], unit: str, command: str) -> dict[str, Any]:
    """What `make bench` keeps of a method and of the one that it is held against."""
    mean, other = float(np.mean(values)), float(np.mean(baseline))
    return {
        "name": name, "value": mean, "unit": unit, "baseline": other, "ratio": mean / other if other else None,
        "spread": float(np.std(values)), "n": len(values), "command": command,
    }  # fmt: skip


def _told(values: Sequence[float]) -> str:
    return f"{np.mean(values):.3f} ± {np.std(values):.3f}" if values else "–"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
