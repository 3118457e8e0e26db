"""How good are predictions that somebody else made? Any table of true and predicted classes.

CSV with the columns `true` and `pred`; further columns that are named like classes hold their probabilities.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import precision_recall_fscore_support

from kg.errors import SchemaViolation
from training.metrics.calibration import expected_calibration_error, fit_temperature
from training.metrics.classification import top_k_accuracy
from training.metrics.intervals import bootstrap_interval

__all__ = ["Judged", "judge_table"]

_SMALLEST = 1e-12


@dataclass(frozen=True)
class Judged:
    """What a table of predictions is worth."""

    examples: int
    classes: list[str]
    shares: dict[str, tuple[float, float, float]]
    """top-1 and, where probabilities are given, top-2 and top-5: value and 95 % interval."""
    macro: dict[str, float]
    """Precision, recall and F1, means over classes that occur as true ones."""
    calibration: dict[str, float]
    """ECE as given; the temperature that fits best here, and ECE with it. Empty without probabilities."""
    per_class: list[tuple[str, float, float, float, int]]
    """Class, precision, recall, F1, examples."""

    def lines(self) -> list[str]:
        """As Markdown."""
        out = [f"{self.examples:,} examples, {len(self.classes)} classes", ""]
        out += [f"{name}: {value:.4f} [{low:.4f}, {high:.4f}]" for name, (value, low, high) in self.shares.items()]
        out += [f"{name}: {value:.4f}" for name, value in (self.macro | self.calibration).items()]
        out += ["", "| class | precision | recall | F1 | examples |", "| --- | --- | --- | --- | --- |"]
        return [*out, *(f"| {key} | {p:.3f} | {r:.3f} | {f:.3f} | {n} |" for key, p, r, f, n in self.per_class)]


def judge_table(path: Path) -> Judged:
    """Read a table and measure it.

    Raises: SchemaViolation for a file that is no such table: columns missing, cells empty, probabilities that are
    none.
    """
    table = _read(path)
    classes = sorted({*table["true"], *table["pred"], *table.columns[2:]})
    targets = np.array([classes.index(key) for key in table["true"]])
    predicted = np.array([classes.index(key) for key in table["pred"]])
    precision, recall, f1, support = precision_recall_fscore_support(
        targets, predicted, labels=np.arange(len(classes)), zero_division=0
    )
    shares, calibration = {"top-1": bootstrap_interval(predicted == targets)}, {}
    if len(table.columns) > 2:
        probabilities = _probabilities(path, table, classes)
        shares |= {f"top-{k}": bootstrap_interval(_within(probabilities, targets, k)) for k in (2, 5)}
        calibration = _calibration(probabilities, targets)
    occur = support > 0
    names = ("macro precision", "macro recall", "macro F1")
    return Judged(
        len(table),
        classes,
        shares,
        {name: float(each[occur].mean()) for name, each in zip(names, (precision, recall, f1), strict=True)},
        calibration,
        [
            (key, *map(float, three), int(n))
            for key, *three, n in zip(classes, precision, recall, f1, support, strict=True)
        ],
    )


def _read(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, dtype={"true": str, "pred": str}, keep_default_na=False, skipinitialspace=True)
    except (OSError, ValueError) as error:
        raise SchemaViolation(
            f"evaluate table {path}: cannot be read ({' '.join(str(error).split())[:200]})"
        ) from error
    missing = {"true", "pred"} - set(table.columns)
    if missing or not len(table):
        what = f"no column {sorted(missing)[0]!r}" if missing else "no row"
        raise SchemaViolation(f"evaluate table {path}: {what}; it wants the columns true and pred, and rows below them")
    empty = (table["true"] == "") | (table["pred"] == "")
    if empty.any():
        raise SchemaViolation(
            f"evaluate table {path}: line {int(np.flatnonzero(empty)[0]) + 2} has an empty true or pred; "
            "fill it or leave the line out"
        )
    return table[["true", "pred", *(name for name in table.columns if name not in ("true", "pred"))]]


def _probabilities(path: Path, table: pd.DataFrame, classes: list[str]) -> np.ndarray:
    """Shapes: (rows, classes); a class without a column has none.

    Raises: SchemaViolation for columns that are no class, numbers that are no probabilities, rows that add up to more.
    """
    strangers = sorted(set(table.columns[2:]) - {*table["true"], *table["pred"]})
    numbers = table.iloc[:, 2:].apply(pd.to_numeric, errors="coerce").to_numpy(float)
    wrong = ~((numbers >= 0) & (numbers <= 1)).all(1) | (np.abs(numbers.sum(1) - 1) > 0.02)
    if wrong.any():
        beside = f" (columns that are no class that occurs: {', '.join(strangers[:5])})" if strangers else ""
        raise SchemaViolation(
            f"evaluate table {path}: line {int(np.flatnonzero(wrong)[0]) + 2} holds no probabilities that add up to 1"
            f"{beside}; beside true and pred a column is a class and holds its probability"
        )
    found = np.zeros((len(table), len(classes)))
    found[:, [classes.index(name) for name in table.columns[2:]]] = numbers
    return found


def _within(probabilities: np.ndarray, targets: np.ndarray, k: int) -> np.ndarray:
    """Whether the true class is among the k likeliest, row by row; a tie counts as the worse rank."""
    return np.array([
        top_k_accuracy(row[None], target[None], k=k) for row, target in zip(probabilities, targets, strict=True)
    ])  # fmt: skip


def _calibration(probabilities: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    logits, wanted = torch.as_tensor(np.log(np.maximum(probabilities, _SMALLEST))), torch.as_tensor(targets)
    temperature = fit_temperature(logits, wanted)
    return {
        "ECE": expected_calibration_error(torch.as_tensor(probabilities), wanted),
        "temperature that fits these rows": temperature,
        "ECE with that temperature": expected_calibration_error((logits / temperature).softmax(1), wanted),
    }
