"""How hard is it to tell the 17 rendered clusters apart without understanding anything, and can it be done at all?

    python -m benchmarks.difficulty_floor [--train 80] [--test 30] [--workers 2] [--json FILE]

Colour histogram + logistic regression and an 8x8 thumbnail's nearest neighbour must stay low; an oracle that knows
the attributes must stay high. Every table of results on rendered sarees carries these numbers.
"""

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
from sklearn.linear_model import LogisticRegression

from benchmarks.records import Record
from kg.rendering import COLOUR_SLOTS, RENDERER_VERSION, SLOTS, Job, Rendering, load_craft, render_many
from kg.rendering.looks import slot_log_likelihoods

__all__ = ["LIMITS", "measure", "measure_floor"]

SIZE_PX = 112
LIMITS = {"colour_histogram": (None, 0.55), "thumbnail_nearest": (None, 0.55), "attribute_oracle": (0.95, None)}
"""Name -> lowest and highest value that keeps the benchmark honest."""


def measure_floor(*, train_per_cluster: int = 80, test_per_cluster: int = 30, workers: int = 1) -> dict[str, float]:
    """All floor numbers on fresh renderings with their own seeds, plus the rate of drawing."""
    started = time.perf_counter()
    train, test = _render("floor_train", train_per_cluster, workers), _render("floor_test", test_per_cluster, workers)
    rate = (len(train[0]) + len(test[0])) / (time.perf_counter() - started)
    return {
        "colour_histogram": _logistic(_histograms(train[0]), train[1], _histograms(test[0]), test[1]),
        "hsv_histogram": _logistic(_histograms(train[0], hsv=True), train[1], _histograms(test[0], hsv=True), test[1]),
        "thumbnail_nearest": _nearest(_thumbnails(train[0]), train[1], _thumbnails(test[0]), test[1]),
        "attribute_oracle": _oracle(test, lambda _: set(SLOTS)),
        "attribute_oracle_visible": _oracle(test, lambda r: set(r.visible)),
        "attribute_oracle_without_colour": _oracle(test, lambda _: set(SLOTS) - set(COLOUR_SLOTS)),
        "attribute_oracle_colour_only": _oracle(test, lambda _: set(COLOUR_SLOTS)),
        "images_per_s": rate,
    }


def main() -> int:
    """Print the floor; 1 where a limit is broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", type=int, default=80)
    parser.add_argument("--test", type=int, default=30)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    floor = measure_floor(train_per_cluster=args.train, test_per_cluster=args.test, workers=args.workers)
    broken = [name for name, limits in LIMITS.items() if not _within(floor[name], *limits)]
    for name, value in floor.items():
        print(f"{name:34s} {value:8.3f}" + ("  OUTSIDE ITS LIMIT" if name in broken else ""))
    if args.json:
        records = [asdict(record) for record in _records(floor, args.train, args.test)]
        args.json.write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")
    return 1 if broken else 0


def measure() -> list[Record]:
    """What `make bench ONLY=difficulty_floor` writes down."""
    return _records(measure_floor(), 80, 30)


def _records(floor: dict[str, float], train: int, test: int) -> list[Record]:
    command = f"python -m benchmarks.difficulty_floor --train {train} --test {test}  # renderer {RENDERER_VERSION}"
    return [
        Record(f"floor.saree.{name}", value, "images/s" if name == "images_per_s" else "share", command, n=17 * test)
        for name, value in floor.items()
    ]


def _within(value: float, low: float | None, high: float | None) -> bool:
    return (low is None or value >= low) and (high is None or value <= high)


def _render(range_name: str, per_cluster: int, workers: int) -> tuple[list[Rendering], np.ndarray]:
    clusters = list(load_craft().looks)
    labels = np.repeat(np.arange(len(clusters)), per_cluster)
    jobs = [Job(range_name, i, clusters[label], SIZE_PX) for i, label in enumerate(labels)]
    return list(render_many(jobs, workers=workers)), labels


def _histograms(renderings: list[Rendering], *, hsv: bool = False) -> np.ndarray:
    """Square roots of 8x8x8 colour histograms; (n, 512)."""
    out = []
    for rendering in renderings:
        image = cv2.cvtColor(rendering.image, cv2.COLOR_RGB2HSV) if hsv else rendering.image
        ranges = [0, 180, 0, 256, 0, 256] if hsv else [0, 256] * 3
        counts = cv2.calcHist([image], [0, 1, 2], None, [8, 8, 8], ranges).ravel()
        out.append(np.sqrt(counts / counts.sum()))
    return np.stack(out)


def _thumbnails(renderings: list[Rendering]) -> np.ndarray:
    return np.stack([cv2.resize(r.image, (8, 8), interpolation=cv2.INTER_AREA).ravel() for r in renderings]) / 255.0


def _logistic(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, y_test: np.ndarray) -> float:
    """The best of three regularisations on the test images themselves: an upper bound of what colour can do."""
    scores = [LogisticRegression(C=c, max_iter=400).fit(x, y).score(x_test, y_test) for c in (1.0, 10.0, 100.0)]
    return float(max(scores))


def _nearest(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, y_test: np.ndarray) -> float:
    distances = ((x_test[:, None] - x[None]) ** 2).sum(-1)
    return float((y[distances.argmin(1)] == y_test).mean())


def _oracle(test: tuple[list[Rendering], np.ndarray], slots_of) -> float:
    """Share of renderings whose true look is most likely under their own cluster, told only some slots."""
    clusters, hits = list(load_craft().looks), 0
    for rendering, label in zip(*test, strict=True):
        told = slots_of(rendering)
        scores = [
            sum(v for slot, v in zip(SLOTS, slot_log_likelihoods(rendering.look, c), strict=True) if slot in told)
            for c in clusters
        ]
        hits += int(np.argmax(scores)) == label
    return hits / len(test[1])


if __name__ == "__main__":
    sys.exit(main())
