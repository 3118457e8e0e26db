"""How long does an invented ArtGraph of the published size take, written as exchange files and read again?

    python -m benchmarks.generating [--scale 1.0]

Everything runs in one process without a server; peak memory is that of the process.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

from benchmarks.records import Record
from kg.exchange.reading import read_exchange
from kg.exchange.writing import write_exchange
from kg.generation.artgraph import generate_artgraph
from kg.progress import SilentReporter

__all__ = ["measure"]


def measure(scale: float = 1.0) -> list[Record]:
    """Seconds to make, write and read a graph, and the peak of memory after making it and at the end."""
    command, silent = f"python -m benchmarks.generating --scale {scale:g}", SilentReporter()
    began = time.perf_counter()
    graph = generate_artgraph(scale=scale, seed=0, reporter=silent)
    made_s, made_mib = time.perf_counter() - began, _peak_mib()
    with tempfile.TemporaryDirectory(prefix="korvai-bench-") as home:
        began = time.perf_counter()
        folder = write_exchange(graph, Path(home) / "artgraph", reporter=silent)
        written_s = time.perf_counter() - began
        began = time.perf_counter()
        read = read_exchange(folder, reporter=silent)
        read_s = time.perf_counter() - began
    if read.problems or read.columns.fingerprint() != graph.fingerprint():
        raise RuntimeError("the graph that was read is not the one that was written")
    rows = graph.node_count + graph.edge_count
    return [
        Record("generate.artgraph_s", made_s, "s", command),
        Record("generate.rows_per_s", rows / made_s, "rows/s", command),
        Record("generate.peak_mib", made_mib, "MiB", command),
        Record("exchange.write_s", written_s, "s", command),
        Record("exchange.read_s", read_s, "s", command),
        Record("exchange.peak_mib", _peak_mib(), "MiB", command),
    ]


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0)
    for record in measure(parser.parse_args().scale):
        print(f"{record.name:24s} {record.value:12,.1f} {record.unit}")


if __name__ == "__main__":
    main()
