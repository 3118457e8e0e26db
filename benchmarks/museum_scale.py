"""What do load and pull cost, in time and in memory of client and server, from a tenth of ArtGraph to ten times of it?

    python -m benchmarks.museum_scale [--scales 0.1,1,3,10] [--repeats 3] [--again]

Each size in an embedded server of its own under a temporary folder, gone afterwards. A size's records are written when
it is done and are not measured again without --again, so a stopped run goes on where it was; KORVAI_BENCH_SCALES sets
the default. The table and results/museum_scale.png are made of all records that are there.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.pulling import heap_mib, memory_in_a_child, pull_beside_rows, seconds, status_bytes
from benchmarks.records import RESULTS, Record, write
from kg.generation.artgraph import generate_artgraph
from kg.graph import connect
from kg.loading.offline import load_offline
from kg.progress import SilentReporter
from kg.server import neo4j, process
from kg.server.home import run_dir
from kg.settings import Settings, load_settings

__all__ = ["measure", "measure_scale", "table"]

AREA = "museum_scale"
_MIB = 1024 * 1024
_COLUMNS = {
    "relations": "relations",
    "load_s": "load, s",
    "pull_s": "pull, s",
    "pull_speedup": "pull, times a loop over rows",
    "client_grown_mib": "client grows by, MiB",
    "client_limit_mib": "its limit, MiB",
    "server_heap_mib": "server heap, MiB",
    "server_resident_mib": "server resident, MiB",
}


def measure() -> list[Record]:
    """What `make bench ONLY=museum_scale` writes down: sizes that have no records yet."""
    return _measure_all(_scales(os.environ.get("KORVAI_BENCH_SCALES", "0.1,1,3,10")), repeats=3, again=False)


def main() -> int:
    """Measure what is missing, print the table, draw the plot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scales", default=os.environ.get("KORVAI_BENCH_SCALES", "0.1,1,3,10"))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--again", action="store_true", help="measure sizes that have records, too")
    args = parser.parse_args()
    _measure_all(_scales(args.scales), repeats=args.repeats, again=args.again)
    print(table(_known()))
    return 0


def measure_scale(scale: float, *, repeats: int = 3) -> list[Record]:
    """All figures at one size."""
    command = f"python -m benchmarks.museum_scale --scales {scale:g} --repeats {repeats}"
    with tempfile.TemporaryDirectory(prefix="korvai-bench-") as folder:
        settings = load_settings(home=Path(folder) / "home", neo4j_uri=None, store=None)
        neo4j.start(settings, SilentReporter())
        try:
            return _figures(settings, scale, _load_s(settings, scale), repeats, command)
        finally:
            neo4j.stop(settings)


def _load_s(settings: Settings, scale: float) -> float:
    """The invented graph is made beforehand, and forgotten before memory is measured."""
    columns = generate_artgraph(scale=scale, seed=0, reporter=SilentReporter())
    return seconds(lambda: load_offline(settings, columns, reporter=SilentReporter()))


def _figures(settings: Settings, scale: float, load_s: float, repeats: int, command: str) -> list[Record]:
    with connect(settings) as graph:
        whole, rows, relations, _ = pull_beside_rows(settings, graph, repeats)
        memory = memory_in_a_child(settings)
        heap = heap_mib(graph)
    server = process.last_record(run_dir(settings), "neo4j")
    pull_s, speedup = float(np.median(whole)), float(np.median(rows) / np.median(whole))

    def record(name: str, value: float, unit: str, **more) -> Record:
        return Record(f"scale.{name}@{scale:g}", value, unit, command, **more)

    return [
        record("relations", relations, "relations"),
        record("load_s", load_s, "s"),
        record("pull_s", pull_s, "s", baseline=float(np.median(rows)), spread=float(np.std(whole)), n=repeats),
        record("pull_speedup", speedup, "times", baseline=15.0, ratio=speedup / 15, n=repeats),
        record("client_grown_mib", memory["grown"] / _MIB, "MiB"),
        record("client_limit_mib", 2 * memory["arrays"] / _MIB + 64, "MiB"),
        record("server_heap_mib", heap, "MiB", baseline=float(settings.neo4j_heap_mib)),
        record("server_resident_mib", status_bytes("VmHWM", pid=server.pid) / _MIB, "MiB"),
    ]


def table(known: dict[str, dict]) -> str:
    """All sizes that have records, as Markdown."""
    lines = ["| times ArtGraph | " + " | ".join(_COLUMNS.values()) + " |", "| --- " * (len(_COLUMNS) + 1) + "|"]
    for scale in _sizes(known):
        values = (known[f"scale.{name}@{scale:g}"]["value"] for name in _COLUMNS)
        lines.append(f"| {scale:g} | " + " | ".join(_short(value) for value in values) + " |")
    return "\n".join(lines)


def _measure_all(scales: list[float], *, repeats: int, again: bool) -> list[Record]:
    records: list[Record] = []
    for scale in scales:
        if again or scale not in _sizes(_known()):
            fresh = measure_scale(scale, repeats=repeats)
            write(AREA, fresh)
            records += fresh
    known = _known()
    _draw(known, RESULTS / f"{AREA}.png")
    return records or [Record(**entry) for entry in known.values()]


def _scales(text: str) -> list[float]:
    return [float(part) for part in text.split(",") if part.strip()]


def _known() -> dict[str, dict]:
    path = RESULTS / f"{AREA}.json"
    return {entry["name"]: entry for entry in json.loads(path.read_text())} if path.is_file() else {}


def _sizes(known: dict[str, dict]) -> list[float]:
    """Sizes of which every figure is there."""
    sizes = sorted({float(name.rpartition("@")[2]) for name in known})
    return [size for size in sizes if all(f"scale.{name}@{size:g}" in known for name in _COLUMNS)]


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _draw(known: dict[str, dict], path: Path) -> None:
    """Time on the left, memory on the right, axes by powers of ten: what grows with the graph is a straight line."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    sizes = _sizes(known)
    figure, (time_axes, memory_axes) = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for axes, names, unit in (
        (time_axes, ("load_s", "pull_s"), "seconds"),
        (memory_axes, ("client_grown_mib", "client_limit_mib", "server_heap_mib", "server_resident_mib"), "MiB"),
    ):
        for name in names:
            values = [known[f"scale.{name}@{size:g}"]["value"] for size in sizes]
            axes.loglog(sizes, values, "--" if "limit" in name else "o-", label=_COLUMNS[name].rpartition(",")[0])
        axes.set(xlabel="times ArtGraph (1: 135,038 nodes, 875,416 relations)", ylabel=unit)
        axes.set_xticks(sizes, [f"{size:g}" for size in sizes])
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


if __name__ == "__main__":
    sys.exit(main())
