"""How long does it take to publish the vectors of a museum's images, index included, and to get them out again?

    python -m benchmarks.publishing [--images 100000]

Vectors of 512 numbers with the structure that trained ones have (see `embeddings`), in an embedded server of its own
under a temporary folder. Beside it what one writes first: one client, UNWIND, SET of a list of floats, the index after;
and, for the way back, one row an image. KORVAI_BENCH_IMAGES sets the default number.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmarks.records import Record, write
from cypher import load
from kg.errors import GraphError
from kg.graph import Graph, connect
from kg.importers.values import in_batches
from kg.progress import SilentReporter
from kg.publishing.exporting import export_image_vectors
from kg.publishing.publish import Publication, publish, version_id
from kg.schema import ensure_schema, load_domain
from kg.server import neo4j
from kg.settings import load_settings
from kg.store import Store

__all__ = ["DIM", "create_images", "embeddings", "image_ids", "measure", "measure_images", "own_server", "publication"]

DIM = 512
_NAIVE_ROWS = 1_000
_CLASS = "a style"
_REPORTER = SilentReporter()


def embeddings(n: int, dim: int = DIM, *, rng_seed: int = 0, latent: int = 48, clusters: int = 200) -> np.ndarray:
    """Unit vectors like those of trained image encoders: clusters in few dimensions, and a little of all others.

    Shapes: (n, dim) float32. Independent normal numbers would be no test: every image is as far from every other.
    """
    rng = np.random.default_rng(rng_seed)
    centres = rng.normal(size=(clusters, latent))
    inner = centres[rng.integers(clusters, size=n)] + 0.7 * rng.normal(size=(n, latent))
    vectors = inner @ rng.normal(size=(latent, dim)) / np.sqrt(latent) + 0.1 * rng.normal(size=(n, dim)) + 0.3
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def measure() -> list[Record]:
    """What `make bench ONLY=publishing` writes down."""
    return measure_images(int(os.environ.get("KORVAI_BENCH_IMAGES", "100000")))


def measure_images(n: int) -> list[Record]:
    """Publishing and export of n image vectors, each beside the naive way."""
    vectors, command = embeddings(n), f"python -m benchmarks.publishing --images {n}"
    with own_server() as (graph, store):
        create_images(graph, n)
        naive_s = _timed(lambda: _publish_naively(graph, vectors))
        rows_s = _timed(lambda: _read_naively(graph, n))
    with own_server() as (graph, store):
        create_images(graph, n)
        made = publication(Path(store.folder), vectors)
        seconds = _timed(lambda: publish(graph, store, made, reporter=_REPORTER))
        exported: list[np.ndarray] = []
        export_s = _timed(lambda: exported.append(export_image_vectors(graph, store, version_id(made))[1]))
        if not np.array_equal(exported[0], vectors):
            raise GraphError("export: the vectors are not those that were published; the measurement does not count")
    name = "100k" if n == 100_000 else str(n)
    return [
        Record(f"publish.images_{name}_s", seconds, "s", command, baseline=naive_s, ratio=naive_s / seconds),
        Record(f"export.images_{name}_s", export_s, "s", command, baseline=rows_s, ratio=rows_s / export_s),
    ]


def main() -> int:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=int(os.environ.get("KORVAI_BENCH_IMAGES", "100000")))
    records = measure_images(parser.parse_args().images)
    for record in records:
        print(
            f"{record.name:32s} {record.value:9.2f} {record.unit}   naive {record.baseline:9.2f}   x{record.ratio:.1f}"
        )
    Console().print(f"[dim]{write('publishing', records)}[/]")
    return 0


@contextmanager
def own_server() -> Iterator[tuple[Graph, Store]]:
    """An embedded server of its own with the overlay's and ArtGraph's constraints, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="korvai-bench-") as folder:
        settings = load_settings(home=Path(folder) / "home", neo4j_uri=None, store=None)
        neo4j.start(settings, _REPORTER)
        try:
            with connect(settings) as graph:
                ensure_schema(graph, load_domain("artgraph"))
                yield graph, Store(settings.store_dir)
        finally:
            neo4j.stop(settings)


def image_ids(n: int) -> list[str]:
    """Made-up content hashes, ascending."""
    return [f"{number:064x}" for number in range(n)]


def create_images(graph: Graph, n: int, years: np.ndarray | None = None) -> None:
    """Artworks a0, a1 … with an image each, and a year where given; and the one class that a publication needs."""
    graph.run(load("import/write_nodes").fill(label="Style", key="name"), rows=[{"key": _CLASS, "properties": {}}])
    statement = load("publish/create_images").fill(item="Artwork", item_key="name")
    numbered = list(enumerate(image_ids(n)))
    for portion in in_batches(numbered, 10_000):
        rows = [{"id": sha, "item": f"a{i}", "year": None if years is None else int(years[i])} for i, sha in portion]
        graph.run(statement, rows=rows)


def publication(folder: Path, vectors: np.ndarray) -> Publication:
    """What a run with these image vectors would publish; its one class does not matter here."""
    class_vector = np.zeros((1, vectors.shape[1]), np.float32)
    class_vector[0, 0] = 1
    folder.mkdir(parents=True, exist_ok=True)
    return Publication(
        domain="artgraph",
        task="style",
        recipe="benchmark",
        run_dir=folder / "run",
        snapshot_hash="none",
        config={},
        dim=vectors.shape[1],
        scale=20.0,
        class_keys=[_CLASS],
        class_vectors=class_vector,
        image_ids=image_ids(len(vectors)),
        image_vectors=vectors,
    )


def _publish_naively(graph: Graph, vectors: np.ndarray) -> None:
    statement = load("publish/write_vectors_naively").fill(property="naive")
    for portion in in_batches(list(enumerate(image_ids(len(vectors)))), _NAIVE_ROWS):
        graph.run(statement, rows=[{"id": sha, "vector": vectors[row].tolist()} for row, sha in portion])
    options = {"indexConfig": {"vector.dimensions": vectors.shape[1], "vector.similarity_function": "cosine"}}
    graph.run(load("publish/create_image_index").fill(index="naive", property="naive"), options=options)
    while graph.run("publish/index_state", index="naive")[0]["state"] != "ONLINE":
        time.sleep(0.1)


def _read_naively(graph: Graph, n: int) -> None:
    statement = load("publish/read_vectors_naively").fill(property="naive")
    rows = list(graph.stream(statement))
    vectors = np.array([row["vector"] for row in rows], np.float32)
    if vectors.shape[0] != n:
        raise GraphError(f"reading rows: {vectors.shape[0]:,} instead of {n:,}; the measurement does not count")


def _timed(work) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
