"""What does the table's graph tell at a glance: noise, and how much of the graph there is?"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

from kg.store import atomic_write
from training.comparison.answers import Answers, interval
from training.comparison.variants import GRAPH, HEADLINE, NOISE, NOISY, SHARES, Variant

__all__ = ["draw"]

_DPI = 110
_INK, _RED, _GREEN = "#2b2420", "#9c2b2e", "#2f6b4f"


def draw(found: Mapping[Variant, Mapping[int, Answers]], path: Path, *, title: str) -> Path | None:
    """Top-1 with intervals over noise and over the share of items in the graph, as a PNG; None without those arms."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    seeds = {seed for variant, answers in found.items() if variant.part in (GRAPH, NOISY) for seed in answers}
    of = {
        variant.name: interval([answers[seed] for seed in sorted(seeds & answers.keys())])
        for variant, answers in found.items()
        if seeds & answers.keys()
    }  # all points of a curve are of the same seeds
    clean = {0.0: of[HEADLINE]} if HEADLINE in of else {}
    noise = {
        kind: clean | {share: of[name] for share in NOISE if (name := f"{share:.0%} of edges {kind}") in of}
        for kind in ("dropped", "rewired")
    }
    shares = {share: of[name] for share in SHARES if (name := f"{share:.0%} of the items") in of}
    if not shares and all(len(curve) < 2 for curve in noise.values()):
        return None
    figure = Figure(figsize=(8.4, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, sharey=True)
    for (kind, curve), colour in zip(noise.items(), (_INK, _RED), strict=True):
        _curve(left, curve, kind, colour)
    _curve(right, shares, "items", _GREEN)
    left.set(xlabel="share of edges dropped or rewired", ylabel="top-1")
    left.legend(frameon=False)
    figure.suptitle(title, fontsize=10)
    right.set(xlabel="share of training items in the graph")
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=_DPI)
    with atomic_write(path) as file:
        file.write(out.getvalue())
    return path


def _curve(axes: object, curve: Mapping[float, tuple[float, float, float]], label: str, colour: str) -> None:
    if not curve:
        return
    x, (mean, low, high) = list(curve), zip(*curve.values(), strict=True)
    axes.plot(x, mean, color=colour, label=label, marker="o", ms=4, lw=1.6)
    axes.fill_between(x, low, high, color=colour, alpha=0.15, lw=0)
