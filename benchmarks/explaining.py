"""Are explanations true? Maps and sub-graphs beside random ones of the same size, on test images of a finished run.

    python -m benchmarks.explaining [--n 200] [--run NAME] [--share 0.2]

The run is the newest finished one of KORVAI_HOME's store (`korvai demo` makes one). Every figure is a mean over images
with a 95 % bootstrap interval; gains are in points of the class's probability. See training/explain/measures.py.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.records import Record, write
from kg.errors import StoreError
from kg.progress import Reporter
from kg.settings import load_settings
from kg.store import Store, open_image
from training.explain.edge_mask import Decision, leave_one_out
from training.explain.explaining import Explainer, explainer_of_run
from training.explain.heat_map import heat_maps
from training.explain.measures import (
    bootstrap,
    centre_map,
    faithfulness,
    fidelity,
    random_map,
    randomised_correlations,
    share_of,
)
from training.run import open_run
from training.threads import torch_threads

__all__ = ["measure", "measure_run"]

RANDOM_CHOICES = 3
SANITY_IMAGES = 16


@dataclass(frozen=True)
class _Image:
    """One test image with the class that the model gives it."""

    tensor: torch.Tensor
    decision: Decision


def measure() -> list[Record]:
    """What `make bench ONLY=explaining` writes down."""
    return measure_run(newest_run(), n=200)


def newest_run() -> Path:
    """The newest finished run of the store. Raises: StoreError."""
    runs = Store(load_settings().store_dir).runs
    for path in sorted(runs.glob("*-graphclip-*"), reverse=True):
        metrics = path / "metrics.json"
        if metrics.is_file() and json.loads(metrics.read_text(encoding="utf-8")).get("finished"):
            return path
    raise StoreError(f"measuring explanations: {runs} holds no finished graphclip run; `korvai demo` makes one")


def measure_run(run: Path, *, n: int = 200, share: float = 0.2, reporter: Reporter | None = None) -> list[Record]:
    """All figures of one run on n of its test images, chosen at random."""
    from cli.context import reporter as on_terminal

    reporter = reporter or on_terminal()
    command = f"python -m benchmarks.explaining --n {n} --share {share}"
    with torch_threads(1):
        explainer = explainer_of_run(open_run(load_settings(), run))
        images = list(_images(explainer, n))
        records = _map_records(explainer, images, reporter, command)
        write("explaining", records)  # what is measured is kept, whatever happens to the rest
        records += _sanity_records(explainer, images[:SANITY_IMAGES], command)
        write("explaining", records)
        return records + _graph_records(explainer, images, share, reporter, command)


def main() -> int:
    """Measure and print; figures go to results/explaining.json too."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=200, help="test images")
    parser.add_argument("--share", type=float, default=0.2, help="of the neighbours that make the sub-graph")
    parser.add_argument("--run", type=Path, help="a run's folder; else the newest finished one")
    args = parser.parse_args()
    records = measure_run(args.run or newest_run(), n=args.n, share=args.share)
    for r in records:
        beside = "" if r.baseline is None else f"   beside {r.baseline:8.3f}"
        print(f"{r.name:44s} {r.value:8.3f} {r.unit:12s}{beside}   n {r.n}")
    print(write("explaining", records))
    return 0


def _images(explainer: Explainer, n: int) -> Iterator[_Image]:
    examples, snapshot = explainer.recipe.examples, explainer.snapshot
    store, encoder = Store(load_settings().store_dir), explainer.model.encoder
    for row in np.random.default_rng(0).permutation(examples.of("test"))[:n]:
        picture = open_image(store.path(snapshot.images.uri[examples.image_row[row]]))
        tensor = encoder.preprocess(picture)
        with torch.no_grad():
            vector = explainer.model(tensor[None])[0]
        best = int((explainer.class_vectors @ vector).argmax())
        yield _Image(tensor, explainer.decision(vector, best))


def _map_records(explainer: Explainer, images: list[_Image], reporter: Reporter, command: str) -> list[Record]:
    rng, rows = np.random.default_rng(1), []
    with reporter.stage("heat maps", len(images), "images") as advance:
        for image in images:
            target = image.decision.classes[image.decision.row]
            px = image.tensor.shape[-1]
            maps = [heat_maps(explainer.model, image.tensor[None], [target])[0], random_map(px, rng), centre_map(px)]
            rows.append([faithfulness(explainer.model, image.tensor, image.decision, heat) for heat in maps])
            advance()
    areas = 100 * np.array(rows)  # image, map, (insertion, deletion)
    good = areas[:, :, 0] - areas[:, :, 1]
    return [
        *_gain("eval.explain.map_gain", good[:, 0] - good[:, 1], command, baseline=float(good[:, 1].mean())),
        *_gain(
            "eval.explain.map_gain_over_centre", good[:, 0] - good[:, 2], command, baseline=float(good[:, 2].mean())
        ),
        *_beside("eval.explain.map_insertion", areas[:, 0, 0], areas[:, 1, 0], command),
        *_beside("eval.explain.map_deletion", areas[:, 0, 1], areas[:, 1, 1], command),
    ]


def _graph_records(
    explainer: Explainer, images: list[_Image], share: float, reporter: Reporter, command: str
) -> list[Record]:
    rng, rows = np.random.default_rng(2), []
    with reporter.stage("sub-graphs", len(images), "images") as advance:
        for image in images:
            rows.append(_fidelities(explainer, image.decision, share, rng))
            advance()
    found = 100 * np.array(rows)  # image, (whole, context), (mask, contribution, leave one out, random), (plus, minus)
    good = found[..., 0] - found[..., 1]
    records = []
    for place, suffix in ((0, ""), (1, "_context")):
        random = float(good[:, place, 3].mean())
        for way, name in ((1, ""), (0, "_by_mask"), (2, "_by_leaving_out")):
            gain = good[:, place, way] - good[:, place, 3]
            records += _gain(f"eval.explain.graph_gain{suffix}{name}", gain, command, baseline=random)
        for number, sign in enumerate(("plus", "minus")):
            part = found[:, place, :, number]
            records += _beside(f"eval.explain.fidelity_{sign}{suffix}", part[:, 1], part[:, 3], command)
    return records


def _fidelities(explainer: Explainer, decision: Decision, share: float, rng: np.random.Generator) -> np.ndarray:
    """Of all neighbours, and of all but the linked images, which then stay. Shapes: -> (2, 4, 2)."""
    around = explainer.around(decision.row).neighbourhood
    findings, _ = explainer.findings(decision.image, decision.row)
    order = {(f.unit.edge_type, f.unit.keys): f for f in findings}
    ours = [order[unit.edge_type, unit.keys] for unit in around.units]
    mask, weight = (torch.tensor([getattr(f, name) or 0.0 for f in ours]) for name in ("mask", "weight"))
    ways = [mask, weight, leave_one_out(around, decision)]
    items = torch.tensor([unit.is_items for unit in around.units])
    found = []
    for always in (torch.zeros_like(items), items):
        chosen = [share_of(scores.masked_fill(always, -torch.inf), share) for scores in ways]
        random = [
            share_of(torch.as_tensor(rng.random(len(items))).masked_fill(always, -torch.inf), share)
            for _ in range(RANDOM_CHOICES)
        ]
        told = [fidelity(around, decision, choice, always=always) for choice in (*chosen, *random)]
        found.append([*told[:3], tuple(np.mean(told[3:], 0))])
    return np.array(found)


def _sanity_records(explainer: Explainer, images: list[_Image], command: str) -> list[Record]:
    batch = torch.stack([image.tensor for image in images])
    targets = [image.decision.classes[image.decision.row] for image in images]
    return [
        Record(
            f"eval.explain.map_correlation_{share:.0%}_random", rho, "rank corr.", command, baseline=1.0, n=len(images)
        )
        for share, rho in randomised_correlations(explainer.model, batch, targets)
    ]


def _gain(name: str, values: np.ndarray, command: str, *, baseline: float) -> list[Record]:
    found = bootstrap(values)
    return [
        Record(name, found.mean, "points", command, baseline=baseline, spread=found.spread, n=found.n),
        Record(f"{name}_low", found.low, "points", command, n=found.n),
        Record(f"{name}_high", found.high, "points", command, n=found.n),
    ]


def _beside(name: str, ours: np.ndarray, random: np.ndarray, command: str) -> list[Record]:
    mean, beside = float(ours.mean()), float(random.mean())
    return [Record(name, mean, "points", command, baseline=beside, spread=float(ours.std()), n=len(ours))]


if __name__ == "__main__":
    sys.exit(main())
