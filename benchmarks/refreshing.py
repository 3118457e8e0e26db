"""How long until class vectors follow an edit of one artist's relations, and how much is stale after it?

    python -m benchmarks.refreshing [--scale 0.1] [--seed 0]

An invented ArtGraph in a server of its own; the network has random weights, texts are hashed to vectors: what an
encoder would do for one changed text is not measured. The baseline is a full refresh: pull, and all class vectors.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.records import Record, write
from kg.changes import capture
from kg.changes.adjacency import Adjacency
from kg.changes.since import changes_since
from kg.changes.stale import stale_sets
from kg.generation.artgraph import generate_artgraph
from kg.graph import Graph, connect
from kg.loading.offline import load_offline
from kg.progress import SilentReporter
from kg.schema import ensure_schema, load_domain
from kg.server import neo4j
from kg.settings import Settings, load_settings
from kg.snapshots.snapshot import pull
from kg.store import Store

__all__ = ["measure"]

_DOMAIN, _TASK, _TARGET = "artgraph", "style", "Style"
_MOVED = 5
_EDIT = """
MATCH (a:Artist)<-[r:Author]-(w:Artwork) WITH a, collect(r) AS works, collect(w) AS given
WHERE size(works) >= 2 * $moved
WITH a, works, given ORDER BY abs(size(works) - 100), a.name LIMIT 1
OPTIONAL MATCH (a)-[m:Movement]->() DELETE m
WITH a, works[..$moved] AS works, given[..$moved] AS given LIMIT 1
MATCH (other:Artist) WHERE other <> a WITH works, given, other ORDER BY other.name LIMIT 1
FOREACH (r IN works | DELETE r) FOREACH (w IN given | CREATE (w)-[:Author]->(other))
"""
_LONG_AGO = "WITH datetime('2000-01-01') AS then MATCH (b:Batch) SET b.at = then, b.finished_at = then"


def measure(scale: float = 0.1, seed: int = 0) -> list[Record]:
    """Seconds of a refresh after one artist's edit, beside a full one; shares that are stale at one to three layers."""
    with tempfile.TemporaryDirectory(prefix="korvai-bench-") as home, _loaded(Path(home), scale, seed) as graph:
        return _measure(graph, Store(Path(home) / "store"), scale, seed)


def _measure(graph: Graph, store: Store, scale: float, seed: int) -> list[Record]:
    from training.incremental import compute_states, refresh_incrementally

    domain, command = load_domain(_DOMAIN), f"python -m benchmarks.refreshing --scale {scale} --seed {seed}"
    capture.install(graph, domain)
    old = pull(graph, domain, store, reporter=SilentReporter())
    recipe = _recipe(old)
    (_, states), full_s = _timed(lambda: compute_states(recipe, old, store.folder / "states"))
    _run_raw(graph, "MATCH (a:Artist) WITH a LIMIT 1 SET a.bench = 1")  # the trigger is planned once a server's life
    warm = changes_since(graph, store, old, reporter=SilentReporter(), by_edits=True)
    _, edit_s = _timed(lambda: _run_raw(graph, _EDIT, moved=_MOVED))
    since, found_s = _timed(lambda: changes_since(graph, store, old, reporter=SilentReporter(), by_edits=True))
    (vectors, done), vectors_s = _timed(
        lambda: refresh_incrementally(recipe, states, old=old, new=since.snapshot, changes=since.changes)
    )
    pulled, pull_s = _timed(lambda: pull(graph, domain, store, reporter=SilentReporter()))
    expected, encode_s = _timed(lambda: recipe.encode_classes(pulled))
    assert pulled.content_hash == since.snapshot.content_hash and not warm.changes
    apart = float((vectors - expected).abs().max())
    total, baseline = found_s + vectors_s, pull_s + encode_s
    print(f"scale {scale}: {old}; {since.changes.count} changes, {done.summary()}; laps {done.seconds}")
    return [
        Record("refresh.one_artist_s", total, "s", command, baseline=baseline, ratio=baseline / total),
        Record("refresh.one_artist_changes_s", found_s, "s", command, baseline=pull_s, ratio=pull_s / found_s),
        Record("refresh.one_artist_vectors_s", vectors_s, "s", command, baseline=encode_s, ratio=encode_s / vectors_s),
        Record("refresh.all_states_s", full_s, "s", command),
        Record("refresh.furthest_from_full", apart, "", command),
        Record("refresh.raw_edit_with_trigger_s", edit_s, "s", command),
        *_shares(since, command),
    ]


def _shares(since: Any, command: str) -> Iterator[Record]:
    """How much one artist's edit makes stale, by layers."""
    adjacency = Adjacency(since.snapshot)
    for hops in (1, 2, 3):
        stale = stale_sets(adjacency, since.changes, _TARGET, hops)
        yield Record(f"refresh.stale_classes_at_{hops}_layers", stale.share_of_classes, "of classes", command)
        yield Record(f"refresh.stale_states_at_{hops}_layers", stale.share_of_states(hops - 1), "of nodes", command)


@contextmanager
def _loaded(home: Path, scale: float, seed: int) -> Iterator[Graph]:
    settings = load_settings(home=home, store=home / "store")
    reporter = SilentReporter()
    neo4j.start(settings, reporter)
    try:
        load_offline(settings, generate_artgraph(scale=scale, seed=seed, reporter=reporter), reporter=reporter)
        with connect(_started(settings)) as graph:
            ensure_schema(graph, load_domain(_DOMAIN))
            _run_raw(graph, _LONG_AGO)
            yield graph
    finally:
        neo4j.stop(settings)


def _started(settings: Settings) -> Settings:
    neo4j.start(settings, SilentReporter())
    return settings


def _recipe(snapshot: Any) -> Any:
    """GraphCLIP with two layers and random weights, none of them zero."""
    import torch

    from training.recipes.graphclip import Config, GraphClip

    recipe = GraphClip(Config(layers=2, task=_TASK, text_features=("hashed",), phrases={}))
    torch.manual_seed(0)
    recipe.create(snapshot, _HashedFeatures())
    with torch.no_grad():
        for parameter in recipe.network().parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.05)
    return recipe


class _HashedFeatures:
    """Vectors that follow from a text's hash."""

    width, text = 512, 384

    def __init__(self) -> None:
        self._map = np.random.default_rng(0).normal(size=(32, self.text)).astype(np.float32)

    def images(self, snapshot: Any) -> tuple[np.ndarray, np.ndarray]:
        count = len(snapshot.images.sha256)
        return np.zeros((count, self.width), np.float32), np.ones(count, bool)

    def image_width(self) -> int:
        return self.width

    def texts(self, snapshot: Any, name: str) -> dict[str, np.ndarray]:
        return {label: self._vectors([name + text for text in snapshot.texts(label)]) for label in snapshot.node_types}

    def text_width(self, name: str) -> int:  # noqa: ARG002
        return self.text

    def phrases(self, relation: str, texts: Sequence[str]) -> np.ndarray:  # noqa: ARG002
        return np.zeros((len(texts), self.width), np.float32)

    def _vectors(self, texts: Sequence[str]) -> np.ndarray:
        digests = b"".join(hashlib.sha256(text.encode()).digest() for text in texts)
        made = (np.frombuffer(digests, np.uint8).reshape(-1, 32).astype(np.float32) / 128 - 1) @ self._map
        return made / np.maximum(np.linalg.norm(made, axis=1, keepdims=True), 1e-6)


def _run_raw(graph: Graph, text: str, **params: Any) -> None:
    """A statement as a curator types it: without Korvai's mark, which keeps the trigger away."""
    with graph._session("write") as session:
        session.run(text, params).consume()


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    started = time.perf_counter()
    done = work()
    return done, time.perf_counter() - started


def main() -> None:
    """Measure at one scale and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    records = measure(given.scale, given.seed)
    for record in records:
        beside = "" if record.baseline is None else f"   full {record.baseline:.3f}, {record.ratio:.1f} times"
        print(f"{record.name:38s} {record.value:10.4g} {record.unit}{beside}")
    print(write("refreshing", records))


if __name__ == "__main__":
    main()
