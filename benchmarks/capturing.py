"""What does capturing raw Cypher cost the person who types it?

    python -m benchmarks.capturing

In an embedded server of its own: one edit typed as raw Cypher (the first after a start and the median of many), and one
statement that edits 10,000 nodes, each with and without capture.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

from benchmarks.loading import embedded_server
from benchmarks.records import Record, write
from kg.changes import capture
from kg.graph import Graph, connect
from kg.progress import SilentReporter
from kg.schema import ensure_schema, load_domain
from kg.server import neo4j
from kg.settings import Settings

__all__ = ["measure"]

_COMMAND = "python -m benchmarks.capturing"
_NODES, _TYPED, _BULKS = 10_000, 30, 3
_ONE = "MATCH (a:Artwork {name: 'w7'}) SET a.year = $n"
_BULK = "MATCH (a:Artwork) SET a.year = $n"


def measure() -> list[Record]:
    """Milliseconds of one edit, seconds of a bulk edit; the baseline is the same without capture."""
    with embedded_server() as settings:
        with connect(settings) as graph:
            ensure_schema(graph, load_domain("artgraph"))
            _typed(graph, "UNWIND range(1, $n) AS n CREATE (:Artwork {name: 'w' + n, year: 1900})", _NODES)
            _edits(graph)  # plans both statements
            without = _edits(graph)
            capture.install(graph, load_domain("artgraph"))
            first_edits = _edits(graph)
            with_capture = _edits(graph)
        cold, warm = _first_ms(settings, warmed=False), _first_ms(settings, warmed=True)
    del first_edits
    return [
        Record("capture.edit_ms", with_capture[0], "ms", _COMMAND, baseline=without[0], n=_TYPED),
        Record("capture.bulk_10k_s", with_capture[1], "s", _COMMAND, baseline=without[1], n=_BULKS),
        Record("capture.first_edit_after_start_ms", warm, "ms", _COMMAND, baseline=cold),
    ]


def main() -> int:
    """Measure, print, keep."""
    records = measure()
    for record in records:
        print(f"{record.name:40s} {record.value:10,.2f} {record.unit}   without {record.baseline:,.2f}")
    print(write("capturing", records))
    return 0


def _first_ms(settings: Settings, *, warmed: bool) -> float:
    neo4j.stop(settings)
    neo4j.start(settings, SilentReporter())
    with connect(settings) as graph:
        if warmed:
            capture.warm_up(graph)
        return 1000 * _seconds(lambda: _typed(graph, _ONE, 1))


def _edits(graph: Graph) -> tuple[float, float]:
    one = [_seconds(lambda n=n: _typed(graph, _ONE, n)) for n in range(_TYPED)]
    bulk = [_seconds(lambda n=n: _typed(graph, _BULK, 3_000 + n)) for n in range(_BULKS)]
    return 1000 * statistics.median(one), statistics.median(bulk)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _typed(graph: Graph, text: str, n: int) -> None:
    """As from Browser: nothing of Korvai's in the transaction's metadata."""
    graph._driver.execute_query(text, n=n)


if __name__ == "__main__":
    sys.exit(main())
