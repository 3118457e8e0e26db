"""What did a method answer on the test images, and which figures follow from it?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from sklearn.metrics import precision_recall_fscore_support

from training.metrics.calibration import expected_calibration_error, fit_temperature
from training.metrics.intervals import bootstrap_interval, paired_difference

__all__ = ["Answers", "difference", "figures", "interval", "judge"]


@dataclass(frozen=True)
class Answers:
    """Of one method on one split, image by image; plain lists, so that they can be kept as JSON."""

    images: list[int]
    """Image rows of the snapshot."""
    groups: list[int]
    """What is drawn together when intervals are made: the image itself, or its artist."""
    targets: list[int]
    predicted: list[int]
    rank: list[int]
    """Place of the right class among all; a tie counts as the worse place."""
    ece_before: float
    ece_after: float
    """Calibration error at temperature 1, and at the temperature fitted on valid."""
    temperature: float
    train: int
    """Training images."""

    def hits(self, k: int = 1) -> np.ndarray:
        """Whether the right class was among the k best. Shapes: (images,)."""
        return np.asarray(self.rank) <= k

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return asdict(self)


def judge(
    valid: tuple[torch.Tensor, torch.Tensor],
    test: tuple[torch.Tensor, torch.Tensor],
    *,
    images: np.ndarray,
    groups: np.ndarray,
    train: int,
) -> Answers:
    """Answers from logits. Shapes: valid and test (scores (n, classes), targets (n,)), images and groups (tested,)."""
    temperature = fit_temperature(*valid)
    scores, targets = test
    own = scores.gather(1, targets[:, None])
    return Answers(
        images=np.asarray(images).tolist(),
        groups=np.asarray(groups).tolist(),
        targets=targets.tolist(),
        predicted=scores.argmax(1).tolist(),
        rank=(scores >= own).sum(1).tolist(),
        ece_before=expected_calibration_error(scores.softmax(1), targets),
        ece_after=expected_calibration_error((scores / temperature).softmax(1), targets),
        temperature=temperature,
        train=train,
    )


def figures(found: Sequence[Answers]) -> dict[str, float]:
    """Means over seeds of all figures, and the spread of top-1."""
    each = [_figures(answers) for answers in found]
    means = {name: float(np.mean([part[name] for part in each])) for name in each[0]}
    return means | {"top1_spread": float(np.std([part["top1"] for part in each]))}


def interval(found: Sequence[Answers]) -> tuple[float, float, float]:
    """Top-1 over all seeds' answers and its 95 % interval, resampling groups."""
    hits = np.concatenate([answers.hits() for answers in found])
    return bootstrap_interval(hits, groups=np.concatenate([answers.groups for answers in found]))


def difference(ours: Mapping[int, Answers], others: Mapping[int, Answers]) -> tuple[float, float, float] | None:
    """Mean difference of top-1 on the same images of the seeds that both have, and its interval; None without one."""
    both = [(ours[seed], others[seed]) for seed in sorted(ours.keys() & others.keys())]
    both = [(one, two) for one, two in both if one.images == two.images]
    if not both:
        return None
    one, two = (np.concatenate([pair[side].hits() for pair in both]) for side in (0, 1))
    return paired_difference(one, two, groups=np.concatenate([pair[0].groups for pair in both]))


def _figures(answers: Answers) -> dict[str, float]:
    precision, recall, f1, _ = precision_recall_fscore_support(
        answers.targets, answers.predicted, labels=np.unique(answers.targets), average="macro", zero_division=0
    )
    tops = {f"top{k}": float(answers.hits(k).mean()) for k in (1, 2, 5)}
    macro = {"macro_precision": float(precision), "macro_recall": float(recall), "macro_f1": float(f1)}
    return {**tops, **macro, "ece_before": answers.ece_before, "ece_after": answers.ece_after}
