"""How much faster, and in how much less memory, is our exact GraphCLIP step than the published whole-graph form?

    make bench ONLY=steps          or: python -m benchmarks.steps [--only sage2 ...] [--repeats N]

The GNN part of a training step (forward and backward over cached features, batch of 256, 32 styles and 18 genres) on
the graph of `benchmarks.step.graph`. Each form runs beside torch_geometric's `to_hetero` of the same model and the same
weights, every measurement in a process of its own, in turn; the class vectors of both must be equal. Time is wall time,
and processor time beside it, which a busy machine disturbs less. torch_geometric is for the benchmark only:

    pip install --no-deps --target DIR torch_geometric==2.8.1 xxhash;   KORVAI_BENCH_PYG=DIR make bench ONLY=steps
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median, stdev
from typing import Any

import numpy as np
import psutil

from benchmarks.records import Record
from benchmarks.step.graph import write_training_graph

__all__ = ["measure"]

_RIVAL_GIB = 19.5
"""What the whole-graph form may take; or what the machine has free, where that is less."""
_TOLERANCE = 1e-4
_SUMMED = 8
"""Batches whose gradients are summed before one backward pass through the graph network."""


@dataclass(frozen=True)
class _Case:
    name: str
    form: str
    layers: int
    rival: bool = True


_CASES = (
    _Case("sage2", "sage-project", 2),
    _Case("sage3", "sage-project", 3),
    _Case("sage3_plain", "sage", 3),
    _Case("gat2", "gatv2", 2),
)


def measure(only: tuple[str, ...] = (), *, repeats: int = 3) -> list[Record]:
    """Every form beside its rival; a rival that is not there or does not fit leaves its comparison out."""
    with tempfile.TemporaryDirectory(prefix="korvai-bench-") as home:
        bench = _Bench(Path(home), repeats)
        cases = [case for case in _CASES if not only or case.name in only]
        return [record for case in cases for record in bench.records(case)]


class _Bench:
    def __init__(self, home: Path, repeats: int) -> None:
        self.home, self.repeats, self.pyg = home, repeats, os.environ.get("KORVAI_BENCH_PYG")
        self.command = f"python -m benchmarks.steps --repeats {repeats}"
        nodes, edges, types = write_training_graph(home / "graph.npz")
        print(f"training graph: {nodes:,} nodes, {edges:,} edges, {types} edge types", file=sys.stderr)

    def records(self, case: _Case) -> list[Record]:
        ours = self._run("ours", case.form, case.layers, "torch", 1, self.repeats)
        theirs = self._rival(case) if case.rival else None
        if theirs:
            self._check_equal(case)
        records = self._compared(case, ours, theirs)
        if case.name == "sage2":
            records += self._summed(ours, theirs)
        return records

    def _compared(self, case: _Case, ours: dict[str, Any], theirs: dict[str, Any] | None) -> list[Record]:
        name = f"graphclip.{case.name}"
        records = [
            self._record(f"{name}_step_s", _wall(ours), "s", ours, baseline=theirs and _wall(theirs)),
            self._record(f"{name}_step_cpu_s", _cpu(ours), "s", ours, baseline=theirs and _cpu(theirs)),
            self._record(f"{name}_peak_gib", _gib(ours), "GiB", ours, baseline=theirs and _gib(theirs)),
            self._record(f"{name}_flop_share", ours["flop"] / ours["flop_per_s"] / _wall(ours), "of the limit", ours),
        ]
        if theirs:
            records += [
                self._record(f"{name}_step_speedup", _wall(theirs) / _wall(ours), "x", ours),
                self._record(f"{name}_memory_ratio", _gib(ours) / _gib(theirs), "x", ours),
            ]
        return records

    def _summed(self, one: dict[str, Any], theirs: dict[str, Any] | None) -> list[Record]:
        """Time an image with one graph pass for eight batches, beside one for each, and beside the rival's."""
        many = self._run("ours", "sage-project", 2, "torch", _SUMMED, self.repeats)
        name, each = "graphclip.sage2_summed_ms_per_image", 1e3 * _wall(many) / many["images"]
        records = [self._record(name, each, "ms", many, baseline=1e3 * _wall(one) / one["images"])]
        if theirs:
            speedup = 1e3 * _wall(theirs) / theirs["images"] / each
            records.append(self._record("graphclip.sage2_summed_speedup", speedup, "x", many))
        return records

    def _rival(self, case: _Case) -> dict[str, Any] | None:
        if not self.pyg:
            print("no KORVAI_BENCH_PYG: measured without the whole-graph form", file=sys.stderr)
            return None
        limit = min(_RIVAL_GIB, psutil.virtual_memory().available / 2**30 - 1)
        try:
            return self._run("whole_graph", case.form, case.layers, f"{limit:.1f}", max(1, self.repeats - 1))
        except MemoryError:
            print(f"{case.name}: the whole-graph form does not fit in {limit:.1f} GiB", file=sys.stderr)
            return None

    def _run(self, module: str, *args: object) -> dict[str, Any]:
        path = [str(Path(__file__).parents[1]), *([self.pyg] if module == "whole_graph" else [])]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
        files = [self.home / "graph.npz", self.home / f"{module}.npz"]
        command = [sys.executable, "-W", "ignore", "-m", f"benchmarks.step.{module}", *map(str, [*files, *args])]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        if done.returncode and "memory" in done.stderr.lower():
            raise MemoryError(done.stderr[-300:])
        if done.returncode:
            raise RuntimeError(f"{' '.join(command[3:])} failed: {done.stderr[-2000:]}")
        return json.loads(done.stdout.splitlines()[-1])

    def _check_equal(self, case: _Case) -> None:
        with np.load(self.home / "ours.npz") as ours, np.load(self.home / "whole_graph.npz") as theirs:
            for label in ours.files:
                apart = np.abs(ours[label] - theirs[label]).max() / np.abs(theirs[label]).max()
                if not apart <= _TOLERANCE:
                    raise RuntimeError(
                        f"{case.name}: class vectors of {label} are {apart:.1e} apart; not the same model"
                    )

    def _record(
        self, name: str, value: float, unit: str, measured: dict[str, Any], *, baseline: float | None = None
    ) -> Record:
        seconds = measured["seconds"]
        spread = stdev(seconds) if unit == "s" and len(seconds) > 1 else None
        ratio = baseline / value if baseline else None
        return Record(name, value, unit, self.command, baseline, ratio, spread, len(seconds))


def _wall(measured: dict[str, Any]) -> float:
    return median(measured["seconds"])


def _cpu(measured: dict[str, Any]) -> float:
    return median(measured["cpu_seconds"])


def _gib(measured: dict[str, Any]) -> float:
    return measured["peak_mib"] / 1024


def main() -> None:
    """Print the figures and keep them."""
    from benchmarks.records import write

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", choices=[case.name for case in _CASES], default=[])
    parser.add_argument("--repeats", type=int, default=3)
    chosen = parser.parse_args()
    records = measure(tuple(chosen.only), repeats=chosen.repeats)
    for r in records:
        beside = f"   whole graph {r.baseline:8.3f}   ratio {r.ratio:6.2f}" if r.baseline else ""
        print(f"{r.name:40s} {r.value:9.3f} {r.unit}{beside}")
    print(write("steps", records))


if __name__ == "__main__":
    main()
