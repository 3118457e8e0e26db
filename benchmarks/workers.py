"""What does the way through a worker cost: encoding beside a bare loop, a chain of steps with nothing to do, memory?

    python -m benchmarks.workers [--images 10000]

Servers and a worker of its own. The bare loop decodes, preprocesses and encodes the same pictures with the same model
in one process and knows no database; the worker's figure is the whole job: pull, texts, images, from submitting it to
its end. `classify` then finds every picture without a class; each must have one vector and one proposal at the end.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from pathlib import Path

import psutil

from benchmarks.records import Record, write
from kg.encoders.image import load_image_encoder
from kg.graph import Graph, connect
from kg.server.home import run_dir
from kg.server.process import find
from kg.store import Store, open_image
from tests.support.coloured import picture
from tests.support.faults import World
from tests.support.published import rows
from tests.support.published import write as run_raw
from tests.support.services import own_settings
from workers import queue
from workers.kinds import Classify, Encode, Request

__all__ = ["measure"]

_BATCH = 8


def measure(images: int = 2000) -> list[Record]:
    """All figures at one number of pictures."""
    with tempfile.TemporaryDirectory(prefix="korvai-bench-", ignore_cleanup_errors=True) as folder:
        world = World(own_settings(Path(folder) / "home"), Path(folder))
        world.up("neo4j", "redis", "worker")
        try:
            world.begin()
            return _measure(world, images)
        finally:
            world.down()


def _measure(world: World, images: int) -> list[Record]:
    command, store = f"python -m benchmarks.workers --images {images}", Store(world.settings.store_dir)
    stored = [vars(store.put_image(picture("Green", 50_000 + n))) for n in range(images)]
    bare_s = _bare_loop(world, store, [one["uri"] for one in stored])
    with connect(world.settings) as graph:
        text = """UNWIND $images AS image CREATE (:Saree {name: 'bench/' + image.sha256})-[:HAS_IMAGE]->(i:Image)
                  SET i = image"""
        run_raw(graph, text, images=stored)
        job_s = _timed(world, graph, Encode(graph="saree"))
        empty_s = [_timed(world, graph, Encode(graph="saree")) for _ in range(3)]
        with _Peak(world) as peak:
            classify_s = _timed(world, graph, Classify(graph="saree"))
        once = rows(
            graph, "MATCH (p:Prediction)-[:OF]->(s:Saree) WHERE s.name STARTS WITH 'bench/' RETURN s.name, count(p)"
        )
    assert len(once) == images and {n for _, n in once} == {1}, "a picture was lost, or proposed twice"
    rate, bare = images / job_s, images / bare_s
    return [
        Record("workers.encode_images_per_s", rate, "images/s", command, baseline=bare, ratio=rate / bare, n=images),
        Record("workers.empty_chain_s", sorted(empty_s)[1], "s for 3 steps", command, n=3),
        Record("workers.classify_queued_s", classify_s, "s", command, n=images),
        Record("workers.classify_peak_mib", peak.mib, "MiB over the idle worker", command, n=images),
    ]


def _bare_loop(world: World, store: Store, uris: list[str]) -> float:
    import torch

    encoder = load_image_encoder(world.settings.vision_encoder)
    started = time.perf_counter()
    for start in range(0, len(uris), _BATCH):
        batch = [encoder.preprocess(open_image(store.path(uri))) for uri in uris[start : start + _BATCH]]
        encoder.encode(torch.stack(batch))
    return time.perf_counter() - started


def _timed(world: World, graph: Graph, request: Request) -> float:
    started = time.perf_counter()
    ended = world.wait(queue.submit(world.settings, graph, request))
    assert ended.state == "done", ended
    return time.perf_counter() - started


class _Peak:
    """Highest resident memory of the worker's child above that at the beginning."""

    def __init__(self, world: World) -> None:
        record = find(run_dir(world.settings), "worker")
        assert record is not None
        self._child, self._stop, self.mib = psutil.Process(record.pid).children()[0], threading.Event(), 0.0

    def __enter__(self) -> _Peak:
        self._idle = self._child.memory_info().rss
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(0.1):
            self.mib = max(self.mib, (self._child.memory_info().rss - self._idle) / 2**20)


def main() -> None:
    """Measure, print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=10_000)
    records = measure(parser.parse_args().images)
    for record in records:
        beside = "" if record.baseline is None else f"   bare {record.baseline:.1f}, ratio {record.ratio:.2f}"
        print(f"{record.name:32s} {record.value:10.2f} {record.unit}{beside}")
    print(write("workers", records))


if __name__ == "__main__":
    main()
