"""What does drawing neighbours cost in accuracy, and what does it save in time and memory?

    python -m benchmarks.sampling [--run NAME] [--seeds 3] [--large]

Accuracy: the newest finished graphclip run of KORVAI_HOME's store, trained again with its configuration and with
fan-outs, on the same splits, top-1 on test; metrics are always of exact neighbourhoods. Time: of a training step of the
same runs; with --large instead a step of the graph network alone on the graph of `benchmarks.step.graph`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import torch

from benchmarks.explaining import newest_run
from benchmarks.records import Record, write
from benchmarks.step.graph import TARGETS, WIDTH, features, open_training_graph, write_training_graph
from benchmarks.step.measuring import batch_loss
from kg.settings import load_settings
from training.checkpoint import seed_all
from training.engine import fit
from training.memory_plan import plan_memory
from training.message_passing import open_graph
from training.message_passing.torch_graph import TorchGraph
from training.models.hetero import HeteroNetwork
from training.recipes.graphclip import Config, GraphClip
from training.run import open_run
from training.threads import torch_threads

__all__ = ["measure", "measure_large", "measure_run"]

FAN_OUTS = (20, 10, 5, 2)


def measure() -> list[Record]:
    """What `make bench ONLY=sampling` writes down."""
    return measure_run(newest_run()) + measure_large()


def measure_run(run: Path, *, seeds: int = 3, command: str = "python -m benchmarks.sampling") -> list[Record]:
    """Top-1 on test and seconds of a step, exact and with each fan-out in both layers."""
    opened = open_run(load_settings(), run).recipe
    found = {0: [], **{most: [] for most in FAN_OUTS}}
    with torch_threads(1):
        for seed in range(seeds):
            for most, results in found.items():
                fan_outs = (most,) * opened.config.layers if most else ()
                config = opened.config.model_copy(update={"fan_outs": fan_outs, "rng_seed": seed})
                results.append(_trained(opened, config))
    exact, records = np.array(found[0]), []
    for most, results in found.items():
        each, name = np.array(results), f"eval.sampling.{most or 'exact'}"
        told = {"command": command, "n": seeds}
        right, lost, beside = each[:, 0], 100 * (each[:, 0] - exact[:, 0]), float(exact[:, 0].mean())
        records += [
            Record(f"{name}.top1", float(right.mean()), "", baseline=beside, spread=float(right.std()), **told),
            Record(f"{name}.top1_against_exact", float(lost.mean()), "points", spread=float(lost.std()), **told),
            Record(f"{name}.step", float(median(each[:, 1])), "ms", baseline=float(median(exact[:, 1])), **told),
        ]
    return records


def measure_large(*, repeats: int = 3, command: str = "python -m benchmarks.sampling --large") -> list[Record]:
    """Seconds and planned memory of the graph network's part of a step (SAGE L2, width 512), exact and sampled."""
    with tempfile.TemporaryDirectory(prefix="korvai-bench-") as home, torch_threads(1):
        write_training_graph(Path(home) / "graph.npz")
        snapshot = open_training_graph(Path(home) / "graph.npz")
        graph = open_graph(snapshot, library="torch")
        seeds = {label: torch.arange(snapshot.count(label)) for label in TARGETS}
        feats = {label: torch.from_numpy(features(label, snapshot.count(label))) for label in snapshot.node_types}
        network = HeteroNetwork(list(snapshot.both_ways()), TARGETS, width=WIDTH, width_out=WIDTH, n_layers=2)
        whole = graph.blocks(seeds, 2)
        ways: dict[str, Callable[[int], list]] = {"exact": lambda _: whole}
        for most in FAN_OUTS[:2]:
            ways[str(most)] = partial(_drawn, graph, seeds, most)
        found = [_large(name, blocks, network, feats, repeats, command) for name, blocks in ways.items()]
        return [record for records in found for record in records]


def _drawn(graph: TorchGraph, seeds: dict, most: int, number: int) -> list:
    return graph.sampled_blocks(seeds, (most, most), torch.Generator().manual_seed(number))


def _trained(opened: GraphClip, config: Config) -> tuple[float, float]:
    """Top-1 on test, milliseconds of a step."""
    recipe = GraphClip(config)
    seed_all(config.rng_seed)
    recipe.build(opened.snapshot, getattr(opened.encoders, "unread", opened.encoders))
    with tempfile.TemporaryDirectory(prefix="korvai-bench-") as folder:
        began = time.perf_counter()
        result = fit(recipe, run_dir=Path(folder))
        seconds = time.perf_counter() - began
    images = recipe.config.batch_size * recipe.config.batches_per_graph_step
    step_s = images / result.examples_per_s if result.examples_per_s else seconds
    return recipe.evaluate("test")["top1"], 1000 * step_s


def _large(
    name: str, blocks: Callable[[int], Sequence], network: HeteroNetwork, feats: dict, repeats: int, command: str
) -> list[Record]:
    taken = []
    for number in range(repeats + 1):
        began = time.perf_counter()
        drawn = blocks(number)
        network.zero_grad(set_to_none=True)
        batch_loss(network(drawn, {label: feats[label][rows] for label, rows in drawn[0].src_rows.items()})).backward()
        taken.append(time.perf_counter() - began)
    plan = plan_memory(
        drawn,
        feature_widths=dict.fromkeys(feats, WIDTH),
        hidden=WIDTH,
        width=WIDTH,
        form="sage",
        images=256,
        classes=sum(len(feats[label]) for label in TARGETS),
        parameters=sum(p.numel() for p in network.parameters()),
    )
    return [
        Record(f"step.sampling.{name}", median(taken[1:]), "s", command, n=repeats),
        Record(f"step.sampling.{name}.planned", plan.total / 2**30, "GiB", command),
    ]


def main() -> int:
    """Measure and print; figures go to results/sampling.json too."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, help="a run's folder; else the newest finished one")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--large", action="store_true", help="the step on 59,339 nodes instead")
    args = parser.parse_args()
    records = measure_large() if args.large else measure_run(args.run or newest_run(), seeds=args.seeds)
    for r in records:
        beside = "" if r.baseline is None else f"   exact {r.baseline:8.3f}"
        print(f"{r.name:44s} {r.value:8.3f} {r.unit:8s}{beside}   ± {r.spread or 0:.3f}   n {r.n}")
    print(write("sampling", records))
    return 0


if __name__ == "__main__":
    sys.exit(main())
