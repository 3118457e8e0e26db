"""How long does a first load take, and how much faster is the loader than one client with an UNWIND of pairs?

    python -m benchmarks.loading [--scale 1.0] [--connections 3] [--check]

On an invented ArtGraph (scale 1: 135,038 nodes, 875,416 relations; KORVAI_BENCH_SCALE sets the default), each figure in
an embedded server of its own under a temporary folder: the offline load, everything included; one client that sends
pairs; the online loader, which reads what is there first and keeps its journal. `--check` loads a second time as well
and fails unless that creates nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from benchmarks.records import Record, write
from kg.errors import GraphError
from kg.generation.artgraph import generate_artgraph
from kg.graph import Graph, connect
from kg.importers.columns import SOURCE, TARGET, GraphColumns
from kg.importers.values import in_batches
from kg.loading.offline import load_offline
from kg.loading.online import load_online
from kg.loading.specs import edge_spec, filled
from kg.progress import SilentReporter
from kg.server import neo4j
from kg.settings import Settings, load_settings
from kg.store import Store

__all__ = ["embedded_server", "measure", "measure_scale"]

_PAIRS_A_TRANSACTION = 10_000
_REPORTER = SilentReporter()


def measure() -> list[Record]:
    """All figures at the default scale."""
    return measure_scale(float(os.environ.get("KORVAI_BENCH_SCALE", "1.0")))


def measure_scale(scale: float, *, connections: int = 3, check: bool = False) -> list[Record]:
    """All figures at one scale; names carry the scale where it is not 1."""
    columns = generate_artgraph(scale=scale, seed=0, reporter=_REPORTER)
    offline_s = _offline_s(columns)
    naive = _rate(columns, lambda graph, _: _naive(graph, columns))
    online = _rate(columns, lambda graph, store: _online(graph, store, columns, connections=connections, check=check))
    command, suffix = f"python -m benchmarks.loading --scale {scale:g}", "" if scale == 1 else f"@{scale:g}"
    return [
        Record(f"import.offline_s{suffix}", offline_s, "s", command),
        Record(f"import.online_relationships_per_s{suffix}", online, "1/s", command, baseline=naive),
        Record(
            f"import.online_speedup{suffix}", online / naive, "x", command, baseline=1.5, ratio=online / naive / 1.5
        ),
    ]


def main() -> int:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=float(os.environ.get("KORVAI_BENCH_SCALE", "1.0")))
    parser.add_argument("--connections", type=int, default=3)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    records = measure_scale(args.scale, connections=args.connections, check=args.check)
    for record in records:
        print(f"{record.name:45s} {record.value:12,.2f} {record.unit}   baseline {record.baseline}")
    Console().print(f"[dim]{write('loading', records)}[/]")
    return 0


def _offline_s(columns: GraphColumns) -> float:
    with embedded_server() as settings:
        began = time.perf_counter()
        report = load_offline(settings, columns, reporter=_REPORTER)
        seconds = time.perf_counter() - began
    _require(report.total_created, columns.node_count + columns.edge_count, "offline load")
    return seconds


def _rate(columns: GraphColumns, work: Callable[[Graph, Store], float]) -> float:
    """Relations a second, in a database that holds the nodes."""
    with embedded_server() as settings:
        load_offline(settings, GraphColumns(columns.domain, columns.nodes, {}), reporter=_REPORTER)
        with connect(settings) as graph:
            return work(graph, Store(settings.store_dir))


def _naive(graph: Graph, columns: GraphColumns) -> float:
    began, created = time.perf_counter(), 0
    for edge_type, table in columns.edges.items():
        statement = filled("import/create_pairs_naively", edge_spec(columns.domain, edge_type))
        pairs = zip(table[SOURCE].to_pylist(), table[TARGET].to_pylist(), strict=True)
        for portion in in_batches(pairs, _PAIRS_A_TRANSACTION):
            created += graph.run(statement, pairs=portion)[0]["created"]
    _require(created, columns.edge_count, "one client")
    return created / (time.perf_counter() - began)


def _online(graph: Graph, store: Store, columns: GraphColumns, *, connections: int, check: bool) -> float:
    only = GraphColumns(columns.domain, {}, columns.edges)
    form = {"kind": "bench", "source": "generated", "reporter": _REPORTER, "connections": connections}
    began = time.perf_counter()
    report = load_online(graph, store, only, **form)
    seconds = time.perf_counter() - began
    _require(report.total_created, columns.edge_count, "online load")
    if check:
        _require(load_online(graph, store, columns, **form).total_created, 0, "second load")
    return columns.edge_count / seconds


@contextmanager
def embedded_server() -> Iterator[Settings]:
    """An embedded server of its own, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="korvai-bench-") as folder:
        settings = load_settings(home=Path(folder) / "home", neo4j_uri=None, store=None)
        neo4j.start(settings, _REPORTER)
        try:
            yield settings
        finally:
            neo4j.stop(settings)


def _require(found: int, wanted: int, what: str) -> None:
    if found != wanted:
        raise GraphError(f"{what}: {found:,} instead of {wanted:,}; the measurement does not count")


if __name__ == "__main__":
    sys.exit(main())
