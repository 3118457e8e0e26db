"""How much sooner is a validation score reached by steps that compute only what leads to a class?

    python -m benchmarks.time_to_score [--run NAME] [--seeds 3] [--network sage-project] [--hidden 256] [--plot FILE]

The newest finished graphclip run of KORVAI_HOME's store is trained again from nothing (no start at attributes, so that
the graph network has something to learn) in three ways, alike but for the step:

    whole graph      every node of every label in every layer, once a batch, as the published code does (in our layers)
    exact blocks     backwards from the classes, live edge types only, once a batch
    summed           the same, one pass through the graph for eight batches

Time is processor time of training alone, validation apart; the score is top-1 on valid, and the one to reach is 95 % of
the lowest best of any way and seed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.explaining import newest_run
from benchmarks.records import Record, write
from kg.settings import load_settings
from training.checkpoint import seed_all
from training.engine import fit
from training.message_passing import reverse_of
from training.models.hetero import HeteroNetwork
from training.recipes.graphclip import GraphClip
from training.run import open_run
from training.threads import torch_threads

__all__ = ["measure", "measure_run"]

_SHARE_OF_BEST = 0.95
_SUMMED = 8


class _WholeGraph(GraphClip):
    """The recipe whose every step computes every node of every label."""

    def build(self, snapshot: Any, encoders: Any) -> None:
        super().build(snapshot, encoders)
        self.inputs = self._whole(also=[label for label in snapshot.node_types if label != self.item_edge[2]])

    def _create(self, domain: Any) -> Any:
        network, config = super()._create(domain), self.config
        types = [tuple(edge_type) for edge_type in domain.edge_types]
        both = list(dict.fromkeys(types + [reverse_of(edge_type) for edge_type in types]))
        labels = [self.item_edge[2], *sorted({label for t in types for label in (t[0], t[2])} - {self.item_edge[2]})]
        width = config.width or self.encoders.image_width()
        shape = {"width": config.hidden, "width_out": width, "n_layers": config.layers, "form": config.network}
        network.classes.sage = HeteroNetwork(both, labels, **shape, heads=config.heads, dropout=config.dropout)
        return network


class _Curve(NamedTuple):
    """Processor seconds of training so far, and top-1 on valid, after every epoch."""

    seconds: list[float]
    score: list[float]

    def reached(self, score: float) -> float:
        """When the score was first reached."""
        return next(s for s, found in zip(self.seconds, self.score, strict=True) if found >= score)


_WAYS: dict[str, tuple[type[GraphClip], int]] = {
    "whole graph": (_WholeGraph, 1),
    "exact blocks": (GraphClip, 1),
    "summed": (GraphClip, _SUMMED),
}


def measure() -> list[Record]:
    """What `make bench ONLY=time_to_score` writes down."""
    return measure_run(newest_run())


def measure_run(
    run: Path, *, seeds: int = 3, network: str = "sage-project", hidden: int = 256, epochs: int = 20,
    plot: Path | None = None, command: str = "python -m benchmarks.time_to_score",
) -> list[Record]:  # fmt: skip
    """Seconds to the score and the best score of each way; `plot`: where the curves are drawn."""
    opened = open_run(load_settings(), run).recipe
    form = {"network": network, "hidden": hidden, "start": "none", "epochs": epochs, "patience": 0, "layers": 2}
    curves: dict[str, list[_Curve]] = {name: [] for name in _WAYS}
    with torch_threads(1):
        for seed in range(seeds):
            for name, (kind, batches) in _WAYS.items():
                config = opened.config.model_copy(update={**form, "batches_per_graph_step": batches, "rng_seed": seed})
                curves[name].append(_trained(kind(config), opened))
                print(f"seed {seed}, {name}: best {max(curves[name][-1].score):.3f}", file=sys.stderr)
    if plot:
        _draw(curves, plot)
    return list(_records(curves, f"{opened.snapshot.domain.domain}", command))


def _records(curves: dict[str, list[_Curve]], graph: str, command: str) -> Any:
    wanted = _SHARE_OF_BEST * min(max(curve.score) for found in curves.values() for curve in found)
    whole = float(np.mean([curve.reached(wanted) for curve in curves["whole graph"]]))
    for name, found in curves.items():
        took, n = [curve.reached(wanted) for curve in found], len(found)
        said = f"time_to_score.{graph}.{name.replace(' ', '_')}"
        mean, spread = float(np.mean(took)), float(np.std(took))
        yield Record(f"{said}_s", mean, f"s to {wanted:.3f}", command, whole, whole / mean, spread, n)
        best = [max(curve.score) for curve in found]
        yield Record(f"{said}_best", float(np.mean(best)), "top-1 on valid", command, spread=float(np.std(best)), n=n)


def _trained(recipe: GraphClip, opened: GraphClip) -> _Curve:
    seed_all(recipe.config.rng_seed)
    recipe.build(opened.snapshot, getattr(opened.encoders, "unread", opened.encoders))
    curve, evaluate, clock = _Curve([], []), recipe.evaluate, {"out": 0.0, "began": time.process_time()}

    def timed(split: str) -> dict[str, float]:
        began = time.process_time()
        figures = evaluate(split)
        curve.seconds.append(began - clock["began"] - clock["out"])
        curve.score.append(figures["top1"])
        clock["out"] += time.process_time() - began
        return figures

    recipe.evaluate = timed
    with tempfile.TemporaryDirectory(prefix="korvai-bench-") as folder:
        fit(recipe, run_dir=Path(folder))
    return curve


def _draw(curves: dict[str, list[_Curve]], path: Path) -> None:
    """Mean score over seeds against mean seconds, an epoch a point."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6.4, 4.0), layout="constrained")
    for name, found in curves.items():
        seconds, score = (np.mean([getattr(curve, what) for curve in found], axis=0) for what in ("seconds", "score"))
        axes.plot(seconds, score, marker="o", markersize=3, label=name)
    axes.set(xscale="log", xlabel="processor seconds of training", ylabel="top-1 on valid")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def main() -> int:
    """Measure and print; figures go to results/time_to_score.json too."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, help="a run's folder; else the newest finished one")
    parser.add_argument("--plot", type=Path, help="a PNG of the curves")
    parser.add_argument("--network", default="sage-project")
    for name, value in (("seeds", 3), ("hidden", 256), ("epochs", 20)):
        parser.add_argument(f"--{name}", type=int, default=value)
    chosen, command = vars(parser.parse_args()), " ".join(["python -m benchmarks.time_to_score", *sys.argv[1:]])
    records = measure_run(chosen.pop("run") or newest_run(), **chosen, command=command)
    for record in records:
        beside = f"   ratio {record.ratio:.1f}" if record.ratio else ""
        print(f"{record.name:44} {record.value:9.3f} {record.unit}{beside}")
    print(write("time_to_score", records))
    return 0


if __name__ == "__main__":
    sys.exit(main())
