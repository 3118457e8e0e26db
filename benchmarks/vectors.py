"""How many of the truly nearest images does the vector index find, and what does a narrow condition cost?

    python -m benchmarks.vectors [--images 20000] [--queries 100]

Recall at 10, 100 and 1,000 against exact search (numpy, float64), with and without quantisation; then similar items
under a condition that one item in a hundred meets (a museum; a style and a century), through `kg.search`, beside what
one writes first: ask the index for ten times as many and throw away what does not match.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable

import numpy as np
from rich.console import Console

from benchmarks.publishing import DIM, create_images, embeddings, own_server, publication
from benchmarks.records import Record, write
from cypher import load
from kg.graph import Graph
from kg.importers.values import in_batches
from kg.progress import SilentReporter
from kg.publishing.publish import publish, version_id
from kg.search import find_similar

__all__ = ["measure", "measure_vectors"]

_K = 10
_CUTS = (10, 100, 1000)
_MUSEUMS, _STYLES, _CENTURIES = 100, 10, 10


def measure() -> list[Record]:
    """What `make bench ONLY=vectors` writes down."""
    return measure_vectors(int(os.environ.get("KORVAI_BENCH_IMAGES", "20000")))


def measure_vectors(n: int, *, queries: int = 100) -> list[Record]:
    """All figures for n images."""
    command = f"python -m benchmarks.vectors --images {n} --queries {queries}"
    vectors, rng = embeddings(n), np.random.default_rng(1)
    asked = rng.choice(n, queries, replace=False)
    museum, style, year = (rng.integers(high, size=n) for high in (_MUSEUMS, _STYLES, 100 * _CENTURIES))
    year += 1001
    with own_server() as (graph, store):
        create_images(graph, n, years=year)
        _hang(graph, "Gallery", "LocatedIn", museum)
        _hang(graph, "Style", "Style", style)
        made = publication(store.folder, vectors)
        publish(graph, store, made, reporter=SilentReporter())
        version = version_id(made)
        records = _recalls(graph, f"image_{version}", vectors, asked, "", command)
        _second_index(graph, f"embedding_{version}")
        records += _recalls(graph, "plain", vectors, asked, "_without_quantisation", command)
        conditions = {
            "museum": (lambda i: {"related": {"Gallery": f"Gallery {museum[i]}"}}, lambda i: museum == museum[i]),
            "style_century": (
                lambda i: {"related": {"Style": f"Style {style[i]}"}, "years": _century(year[i])},
                lambda i: (style == style[i]) & (_bucket(year) == _bucket(year[i])),
            ),
        }
        for name, (condition, mask) in conditions.items():
            records += _filtered(graph, vectors, asked, name, condition, mask, f"image_{version}", command)
    return records


def main() -> int:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=int(os.environ.get("KORVAI_BENCH_IMAGES", "20000")))
    parser.add_argument("--queries", type=int, default=100)
    args = parser.parse_args()
    records = measure_vectors(args.images, queries=args.queries)
    for record in records:
        print(f"{record.name:52s} {record.value:9.4f} {record.unit:6s} baseline {record.baseline}")
    Console().print(f"[dim]{write('vectors', records)}[/]")
    return 0


def _hang(graph: Graph, label: str, relation: str, numbers: np.ndarray) -> None:
    nodes = load("import/write_nodes").fill(label=label, key="name")
    graph.run(nodes, rows=[{"key": f"{label} {i}", "properties": {}} for i in range(int(numbers.max()) + 1)])
    statement = load("publish/hang_items").fill(
        item="Artwork", item_key="name", type=relation, target=label, key="name"
    )
    for portion in in_batches(list(enumerate(numbers.tolist())), 10_000):
        graph.run(statement, rows=[{"item": f"a{i}", "target": f"{label} {number}"} for i, number in portion])


def _second_index(graph: Graph, image_property: str) -> None:
    """The same vectors without quantisation: a property has one vector index, so they are copied."""
    graph.run(load("publish/copy_vectors").fill(property=image_property, copy="plain"))
    config = {"vector.dimensions": DIM, "vector.similarity_function": "cosine", "vector.quantization.enabled": False}
    graph.run(load("publish/create_image_index").fill(index="plain", property="plain"), options={"indexConfig": config})
    while graph.run("publish/index_state", index="plain")[0]["state"] != "ONLINE":
        time.sleep(0.1)


def _recalls(
    graph: Graph, index: str, vectors: np.ndarray, asked: np.ndarray, suffix: str, command: str
) -> list[Record]:
    exact = vectors[asked].astype(np.float64) @ vectors.T.astype(np.float64)
    records = []
    for cut in _CUTS:
        shares, began = [], time.perf_counter()
        for row, query in enumerate(asked):
            found = graph.run("publish/ask_index", index=index, k=cut, vector=vectors[query].tolist())[0]["image_ids"]
            best = np.argpartition(-exact[row], cut)[:cut] if cut < len(vectors) else np.arange(len(vectors))
            shares.append(len({int(sha, 16) for sha in found} & set(best.tolist())) / cut)
        ms = 1e3 * (time.perf_counter() - began) / len(asked)
        spread, n = float(np.std(shares)), len(asked)
        records.append(
            Record(f"vector.recall_at_{cut}{suffix}", float(np.mean(shares)), "share", command, spread=spread, n=n)
        )
        records.append(Record(f"vector.ms_at_{cut}{suffix}", ms, "ms", command, n=n))
    return records


def _filtered(
    graph: Graph,
    vectors: np.ndarray,
    asked: np.ndarray,
    name: str,
    condition: Callable[[int], dict],
    mask: Callable[[int], np.ndarray],
    index: str,
    command: str,
) -> list[Record]:
    """Recall at ten among the matching, beside the index's first hundred without those that do not match."""
    shares, naive, full, spent = [], [], [], 0.0
    for query in asked.tolist():
        matching = np.flatnonzero(mask(query))
        matching = matching[matching != query]
        scores = vectors[matching].astype(np.float64) @ vectors[query].astype(np.float64)
        best = {f"a{row}" for row in matching[np.argsort(-scores)][:_K]}
        began = time.perf_counter()
        rows = find_similar(graph, "artgraph", "style", f"a{query}", k=_K, **condition(query))
        spent += time.perf_counter() - began
        shares.append(len({row.item for row in rows} & best) / len(best))
        full.append(len(rows) == min(_K, len(matching)))
        hundred = graph.run("publish/ask_index", index=index, k=10 * _K, vector=vectors[query].tolist())[0]["image_ids"]
        kept = [f"a{int(sha, 16)}" for sha in hundred if int(sha, 16) in set(matching.tolist())][:_K]
        naive.append(len(set(kept) & best) / len(best))
    n, baseline = len(asked), float(np.mean(naive))
    recall = float(np.mean(shares))
    end = "" if name == "museum" else f"_{name}"
    return [
        Record(f"vector.filtered_recall{end}", recall, "share", command, baseline=baseline, n=n),
        Record(f"vector.filtered_always_k{end}", float(np.mean(full)), "share", command, n=n),
        Record(f"vector.filtered_ms{end}", 1e3 * spent / n, "ms", command, n=n),
    ]


def _bucket(year: np.ndarray | int) -> np.ndarray | int:
    return (year - 1) // 100


def _century(year: int) -> tuple[int, int]:
    first = int(_bucket(int(year))) * 100 + 1
    return first, first + 99


if __name__ == "__main__":
    sys.exit(main())
