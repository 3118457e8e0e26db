"""How fast and how lean is a pull, beside a loop over rows; how fast is a neighbourhood from graph and snapshot?

    python -m benchmarks.pulling [--scale 1.0] [--home DIR] [--samples 40]

Loads an invented ArtGraph into an embedded server of its own; --home keeps that server's files for the next time.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.records import Record
from kg.graph import Graph, connect
from kg.progress import SilentReporter
from kg.schema import load_domain
from kg.settings import Settings, load_settings
from kg.snapshots.graph_neighbours import GraphNeighbours
from kg.snapshots.neighbourhood import neighbourhood
from kg.snapshots.sampling import Plan
from kg.snapshots.snapshot import Snapshot, pull
from kg.store import Store

__all__ = [
    "heap_mib",
    "measure",
    "measure_pull",
    "memory_in_a_child",
    "pull_beside_rows",
    "seconds",
    "status_bytes",
]

ARTGRAPH = "artgraph"
SEEDS, FAN_OUTS = 256, (10, 10)
_MIB = 1024 * 1024
_WARM_UPS = 2


def measure() -> list[Record]:
    """What `make bench ONLY=pulling` writes down."""
    return measure_pull(scale=1.0)


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--samples", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--memory-of-pull", action="store_true", help="what the child process of a measurement does")
    args = parser.parse_args()
    if args.memory_of_pull:
        print(json.dumps(_memory_here(_settings(args.home))))
        return 0
    records = measure_pull(scale=args.scale, home=args.home, samples=args.samples, repeats=args.repeats)
    for record in records:
        beside = "" if record.baseline is None else f"  (baseline {record.baseline:,.4g})"
        print(f"{record.name:36s} {record.value:14,.4g} {record.unit}{beside}")
    return 0


def measure_pull(
    *, scale: float, home: Path | None = None, samples: int = 40, repeats: int = 3, reporter=None
) -> list[Record]:
    """All figures at one scale, in an own home that is removed again unless it is given."""
    from kg.server import neo4j

    reporter = reporter or SilentReporter()
    with tempfile.TemporaryDirectory(prefix="korvai-bench-") as scratch:
        settings = _settings(home or Path(scratch))
        try:
            _fill(settings, scale, reporter)
            with connect(settings) as graph:
                return _figures(settings, graph, scale, samples, repeats)
        finally:
            neo4j.stop(settings)


def _settings(home: Path) -> Settings:
    return load_settings(home=home)


def _fill(settings: Settings, scale: float, reporter) -> None:
    from kg.generation.artgraph import generate_artgraph
    from kg.loading.offline import load_offline
    from kg.server import neo4j

    neo4j.start(settings, reporter)
    with connect(settings) as graph:
        if graph.one("pull/present")["nodes"]:
            return
    load_offline(settings, generate_artgraph(scale=scale, seed=0, reporter=reporter), reporter=reporter)


def _figures(settings: Settings, graph: Graph, scale: float, samples: int, repeats: int) -> list[Record]:
    command = f"python -m benchmarks.pulling --scale {scale:g} --samples {samples} --repeats {repeats}"
    whole, rows, relations, snapshot = pull_beside_rows(settings, graph, repeats)
    memory = memory_in_a_child(settings)
    limit = 2 + 64 * _MIB / memory["arrays"]
    figures = [
        Record("pull.relationships_per_s", relations / np.median(whole), "relations/s", command,
               baseline=relations / np.median(rows), ratio=float(np.median(rows) / np.median(whole)),
               spread=float(np.std(relations / np.array(whole))), n=repeats),
        Record("pull.speedup_over_rows", float(np.median(rows) / np.median(whole)), "times", command, baseline=15.0,
               ratio=float(np.median(rows) / np.median(whole) / 15), n=repeats),
        Record("pull.memory_over_arrays", memory["grown"] / memory["arrays"], "times", command, baseline=limit,
               ratio=memory["grown"] / memory["arrays"] / limit),
        Record("pull.client_grown_mib", memory["grown"] / _MIB, "MiB", command),
        Record("pull.arrays_mib", memory["arrays"] / _MIB, "MiB", command),
        Record("pull.server_heap_mib", heap_mib(graph), "MiB", command, baseline=float(settings.neo4j_heap_mib)),
    ]  # fmt: skip
    return figures + _sampling(graph, snapshot, samples, command)


def pull_beside_rows(settings: Settings, graph: Graph, repeats: int) -> tuple[list[float], list[float], int, Snapshot]:
    """Seconds of whole pulls into DGL and of row loops, in turn, after a warm-up of both."""
    import dgl  # noqa: F401 (its import is no part of a pull)

    domain, whole, rows = load_domain(ARTGRAPH), [], []
    relations = 0
    snapshot: Snapshot | None = None
    for turn in range(-_WARM_UPS, repeats):
        with tempfile.TemporaryDirectory(dir=settings.home_dir) as folder:
            whole_s = seconds(lambda folder=folder: _pull_to_dgl(graph, domain, Store(Path(folder))))
        rows_s = seconds(lambda: _row_loop(graph)) if turn >= -1 else 0.0
        if turn >= 0:
            whole.append(whole_s)
            rows.append(rows_s)
    snapshot = pull(graph, domain, Store(settings.store_dir), reporter=SilentReporter())
    relations = sum(len(snapshot.edges(edge_type)[0]) for edge_type in snapshot.edge_types)
    return whole, rows, relations, snapshot


def _pull_to_dgl(graph: Graph, domain, store: Store) -> None:
    pull(graph, domain, store, reporter=SilentReporter()).to_dgl()


def _row_loop(graph: Graph) -> None:
    """What everybody writes first: a row of two ids for every relation, appended to lists, then made arrays."""
    for name in {relation.type for relation in load_domain(ARTGRAPH).relations}:
        _, rows = graph.user_query(f"MATCH (s)-[:`{name}`]->(t) RETURN id(s), id(t)")
        np.array(rows, np.int64)


def memory_in_a_child(settings: Settings) -> dict[str, float]:
    """Bytes that a pull adds, and those of its arrays. A fresh process, whose peak belongs to the pull alone."""
    argv = [sys.executable, "-m", "benchmarks.pulling", "--memory-of-pull", "--home", str(settings.home_dir)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _memory_here(settings: Settings) -> dict[str, float]:
    """How far the peak rises above what the process held before, and what the arrays take."""
    import dgl  # noqa: F401
    import torch  # noqa: F401

    with connect(settings) as graph, tempfile.TemporaryDirectory(dir=settings.home_dir) as folder:
        graph.newest_commit()
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
        before = status_bytes("VmRSS")
        snapshot = pull(graph, ARTGRAPH, Store(Path(folder)), reporter=SilentReporter())
        heterograph = snapshot.to_dgl()
        grown = status_bytes("VmHWM") - before
        held = sum(path.stat().st_size for name in ("nodes", "edges") for path in (snapshot.path / name).iterdir())
        # DGL shares the ids of a relation and its reverse: two int64 an edge, once.
        held += 16 * sum(len(snapshot.edges(edge_type)[0]) for edge_type in snapshot.edge_types)
        assert heterograph.num_nodes()
        return {"grown": grown, "arrays": held}


def status_bytes(field: str, *, pid: int | None = None) -> int:
    """A size that the system keeps of a process, of this one by default."""
    lines = Path(f"/proc/{pid or 'self'}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))


def heap_mib(graph: Graph) -> float:
    """The highest sum of the heap's pools since the server started."""
    return sum(row["peak"] for row in graph.run("pull/heap")) / _MIB


def _sampling(graph: Graph, snapshot: Snapshot, samples: int, command: str) -> list[Record]:
    keys, rng = snapshot.keys("Artwork"), np.random.default_rng(0)
    seeds = [rng.choice(keys, min(SEEDS, len(keys)), replace=False).tolist() for _ in range(samples + 5)]
    figures = []
    with GraphNeighbours(graph, snapshot.domain) as source:
        for name, asked, goal_ms in (("sample.p95_ms", source, 250), ("sample.snapshot_p95_ms", snapshot, 25)):
            took = [
                1e3 * seconds(lambda s=s, i=i, a=asked: neighbourhood(a, "Artwork", s, Plan(FAN_OUTS), rng_seed=i))
                for i, s in enumerate(seeds)
            ][5:]
            p95_ms, spread = float(np.percentile(took, 95)), float(np.std(took))
            figures.append(
                Record(name, p95_ms, "ms", command, baseline=goal_ms, ratio=p95_ms / goal_ms, spread=spread, n=samples)
            )
    return figures


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
