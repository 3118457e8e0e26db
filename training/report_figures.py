"""What do a run's figures look like? Each function returns a PNG."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["class_map", "confusion", "curves", "reliability"]

_INK, _FAINT, _RED, _GREEN, _GOLD = "#2b2420", "#b9aea3", "#9c2b2e", "#2f6b4f", "#b8862b"
_DPI = 144


def curves(history: Sequence[Mapping[str, float]], *, best_step: int) -> bytes:
    """Loss and top-1 over the steps, the chosen step marked."""
    figure, (left, right) = _figure(1, 2, width=9.0, height=3.2)
    steps = [entry["step"] for entry in history]
    for axes, series in (
        (left, {"training loss": ("loss", _RED), "valid cross-entropy": ("cross_entropy", _INK)}),
        (right, {"valid top-1": ("top1", _GREEN), "valid macro F1": ("macro_f1", _GOLD)}),
    ):
        for label, (key, colour) in series.items():
            axes.plot(steps, [entry.get(key, np.nan) for entry in history], color=colour, label=label, lw=1.6)
        axes.axvline(best_step, color=_FAINT, lw=1, ls=":")
        axes.set_xlabel("step")
        axes.legend(frameon=False)
    return _png(figure)


def confusion(counts: np.ndarray, keys: Sequence[str]) -> bytes:
    """Share of each true class that is taken for each class. Shapes: counts (classes, classes)."""
    side = min(11.0, 2.4 + 0.36 * len(keys))
    figure, axes = _figure(1, 1, width=side, height=side)
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    axes.imshow(share, cmap=_warm(), vmin=0, vmax=1)
    axes.set_xticks(range(len(keys)), keys, rotation=60, ha="right", rotation_mode="anchor", fontsize=8)
    axes.set_yticks(range(len(keys)), keys, fontsize=8)
    axes.set_xlabel("taken for")
    axes.set_ylabel("is")
    for row, column in zip(*np.nonzero(counts), strict=True):
        ink = "white" if share[row, column] > 0.55 else _INK
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize=7, color=ink)
    return _png(figure)


def class_map(
    vectors: np.ndarray, keys: Sequence[str], *, images: np.ndarray, targets: np.ndarray, held_out: set[int]
) -> bytes:
    """The first two principal directions of the class vectors; images of the split in their class's colour."""
    figure, axes = _figure(1, 1, width=9.0, height=6.4)
    centre = vectors.mean(0)
    _, _, directions = np.linalg.svd(vectors - centre, full_matrices=False)
    plane = directions[:2].T if len(directions) > 1 else np.eye(vectors.shape[1])[:, :2]
    dots, marks = (images - images.mean(0)) @ plane, (vectors - centre) @ plane
    dots = dots * (np.abs(marks).max() / max(np.abs(dots).max(), 1e-9))
    colours = _colours(len(keys))
    axes.scatter(*dots.T, c=[colours[row] for row in targets], s=14, alpha=0.5, linewidths=0)
    for row, (key, mark) in enumerate(zip(keys, marks, strict=True)):
        unseen = row in held_out
        axes.scatter(*mark, color=colours[row], s=70, marker="D" if unseen else "o", edgecolors=_INK, linewidths=0.8)
        axes.annotate(
            key + (" (unseen)" if unseen else ""), mark, xytext=(6, 5), textcoords="offset points", fontsize=8
        )
    axes.set_xticks([])
    axes.set_yticks([])
    return _png(figure)


def reliability(probabilities: np.ndarray, targets: np.ndarray, *, bins: int = 10) -> bytes:
    """How often the first class is right, by how sure the model is. Shapes: (examples, classes), (examples,)."""
    figure, axes = _figure(1, 1, width=4.2, height=3.6)
    sure, right = probabilities.max(1), probabilities.argmax(1) == targets
    place = np.minimum((sure * bins).astype(int), bins - 1)
    filled = [i for i in range(bins) if (place == i).any()]
    axes.plot([0, 1], [0, 1], color=_FAINT, lw=1, ls=":")
    axes.bar(
        [(i + 0.5) / bins for i in filled], [right[place == i].mean() for i in filled], width=0.85 / bins, color=_GOLD
    )
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="probability of the first class", ylabel="share that is right")
    return _png(figure)


def _figure(rows: int, columns: int, *, width: float, height: float) -> tuple[Figure, Axes]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns)
    for one in np.atleast_1d(axes):
        one.spines[["top", "right"]].set_visible(False)
        one.spines[["left", "bottom"]].set_color(_FAINT)
        one.tick_params(colors=_INK, labelsize=8)
    return figure, axes


def _png(figure: Figure) -> bytes:
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=_DPI)
    return data.getvalue()


def _warm() -> object:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("korvai", ["#fbf7f1", "#e3b95f", "#b4542f", "#6d1a24"])


def _colours(count: int) -> list[tuple[float, ...]]:
    from matplotlib import colormaps

    return [colormaps["turbo"]((row + 0.5) / max(count, 1)) for row in range(count)]
