"""How do the image vectors of a version come out of the graph as one array, without reading them number by number?

Neo4j sends a vector as a list of numbers, nine bytes each, and Python makes an object of each: 512 of them an image.
So whoever publishes also keeps the vectors in the store, `vectors/<version>/`, under their image's hash. The graph says
which images have a vector; the store gives the numbers; some are compared with the graph, and vectors that the store
does not have, or has otherwise, are read from the graph.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from cypher import load
from kg.encoders.cache import FeatureCache
from kg.errors import NodeNotFound
from kg.graph import Graph
from kg.progress import Reporter, SilentReporter
from kg.store import Store

__all__ = ["export_image_vectors", "keep_image_vectors", "read_image_vectors", "vectors_folder"]

_IDS_A_PAGE = 20_000
_VECTORS_A_PAGE = 1_000
_COMPARED = 256


def keep_image_vectors(store: Store, version: str, ids: Sequence[str], vectors: np.ndarray) -> None:
    """Keep what was published in vectors/<version>; what is there stays.

    Shapes: vectors (len(ids), dim).
    Raises: StoreError.
    """
    with _cache(store, version, vectors.shape[1]) as cache:
        missing = set(cache.missing(ids))
        rows = [row for row, image_id in enumerate(ids) if image_id in missing]
        if rows:
            cache.put([ids[row] for row in rows], vectors[rows])


def export_image_vectors(
    graph: Graph, store: Store, version: str, *, reporter: Reporter | None = None
) -> tuple[list[str], np.ndarray]:
    """Ids (sha256, ascending) and vectors of all images that have one of this version, as the graph holds them.

    Shapes: (n,), (n, dim) float32.
    Raises: NodeNotFound (no such version, or collected), StoreError.
    """
    reporter = reporter or SilentReporter()
    found = graph.one("publish/find_version", version=version)
    if found is None or found["collected"]:
        raise NodeNotFound(f"version {version}: has no vectors; `korvai cypher versions/list` shows what is there")
    name, dim = found["image_property"], found["dim"]
    ids = [image_id for page in _id_pages(graph, name) for image_id in page]
    with _cache(store, version, dim) as cache:
        vectors, kept = cache.get(ids)
    if kept.any() and not _agree(graph, name, ids, vectors, np.flatnonzero(kept)):
        reporter.warn(f"vectors of {version} in the store are not those of the graph; all are read from the graph")
        kept[:] = False
    missing = np.flatnonzero(~kept)
    if missing.size:
        vectors[missing] = read_image_vectors(graph, name, [ids[row] for row in missing], dim=dim, reporter=reporter)
    return ids, vectors


def vectors_folder(store: Store, version: str) -> Path:
    """Where a version's vectors are kept; not under models/, whose folders appear only when they are complete."""
    return store.folder / "vectors" / version


def read_image_vectors(
    graph: Graph, image_property: str, ids: Sequence[str], *, dim: int, reporter: Reporter | None = None
) -> np.ndarray:
    """The vectors of these images from the graph itself, a page of columns at a time; zeros where there is none.

    Shapes: (len(ids), dim) float32.
    """
    statement = load("publish/read_image_vectors").fill(property=image_property)
    vectors = np.zeros((len(ids), dim), np.float32)
    row_of = {image_id: row for row, image_id in enumerate(ids)}
    with (reporter or SilentReporter()).stage("reading image vectors", len(ids), "images") as advance:
        for start in range(0, len(ids), _VECTORS_A_PAGE):
            page = list(ids[start : start + _VECTORS_A_PAGE])
            row = graph.one(statement, image_ids=page)
            if row and row["image_ids"]:
                vectors[[row_of[image_id] for image_id in row["image_ids"]]] = np.array(row["vectors"], np.float32)
            advance(len(page))
    return vectors


def _agree(graph: Graph, name: str, ids: Sequence[str], vectors: np.ndarray, kept: np.ndarray) -> bool:
    """Whether some vectors, spread over all of them, are those of the graph."""
    rows = kept[np.unique(np.linspace(0, len(kept) - 1, _COMPARED).astype(np.int64))]
    there = read_image_vectors(graph, name, [ids[row] for row in rows], dim=vectors.shape[1])
    return bool(np.array_equal(there, vectors[rows]))


def _id_pages(graph: Graph, name: str) -> Iterator[list[str]]:
    statement = load("publish/vector_ids").fill(property=name)
    after = ""
    while True:
        row = graph.one(statement, after=after, page_rows=_IDS_A_PAGE)
        if row is None or not row["image_ids"]:
            return
        yield row["image_ids"]
        after = row["image_ids"][-1]


def _cache(store: Store, version: str, dim: int) -> FeatureCache:
    return FeatureCache(vectors_folder(store, version), shape=dim)
