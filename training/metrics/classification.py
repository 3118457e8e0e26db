"""How often is the right class first, and which classes are taken for which?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

__all__ = ["ClassReport", "Report", "classification_report", "harmonic_mean", "top_k_accuracy"]


@dataclass(frozen=True)
class ClassReport:
    """Precision, recall and F1 of one class, and its number of examples."""

    key: str
    precision: float
    recall: float
    f1: float
    examples: int


@dataclass(frozen=True)
class Report:
    """Everything measured on one split; macro figures are means over the classes that have examples."""

    examples: int
    top1: float
    top2: float
    top5: float
    macro_precision: float
    macro_recall: float
    macro_f1: float
    classes: tuple[ClassReport, ...]
    confusion: tuple[tuple[int, ...], ...]
    """Row: true class, column: predicted class; all classes, in the order of `class_keys`."""

    def figures(self) -> dict[str, float]:
        """The scalar figures by name."""
        names = ("top1", "top2", "top5", "macro_precision", "macro_recall", "macro_f1")
        return {name: getattr(self, name) for name in names}

    def as_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, as written to metrics.json."""
        return asdict(self)


def classification_report(scores: np.ndarray, targets: np.ndarray, *, class_keys: Sequence[str]) -> Report:
    """Compare scores with the true classes.

    Shapes: scores (examples, classes), targets (examples,) of class rows.
    """
    predicted = scores.argmax(1)
    present = np.unique(targets)
    rows = np.arange(len(class_keys))
    precision, recall, f1, support = precision_recall_fscore_support(targets, predicted, labels=rows, zero_division=0)
    classes = (
        ClassReport(key, float(p), float(r), float(f), int(n))
        for key, p, r, f, n in zip(class_keys, precision, recall, f1, support, strict=True)
    )
    return Report(
        examples=len(targets),
        **{f"top{k}": top_k_accuracy(scores, targets, k=k) for k in (1, 2, 5)},
        macro_precision=float(precision[present].mean()),
        macro_recall=float(recall[present].mean()),
        macro_f1=float(f1[present].mean()),
        classes=tuple(classes),
        confusion=tuple(map(tuple, confusion_matrix(targets, predicted, labels=rows).tolist())),
    )


def top_k_accuracy(scores: np.ndarray, targets: np.ndarray, *, k: int) -> float:
    """Share of examples whose class is among the k best. A tie counts as the worse rank: constant scores win nothing.

    Shapes: scores (examples, classes), targets (examples,).
    """
    own = np.take_along_axis(scores, targets[:, None], 1)
    rank = (scores >= own).sum(1)
    return float((rank <= k).mean())


def harmonic_mean(first: float, second: float) -> float:
    """2ab / (a + b) of seen and unseen accuracy, 0 where either is 0.

    Reference: Xian et al. 2017, Zero-Shot Learning: A Comprehensive Evaluation, section on generalised zero-shot.
    """
    return 2 * first * second / (first + second) if first > 0 and second > 0 else 0.0
