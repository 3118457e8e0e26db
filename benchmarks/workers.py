"""What does the way through workers cost: encoding beside a bare loop, two workers beside one, an edit until it counts?

    python -m benchmarks.workers [--images 2000] [--queued 10000] [--vit 1024] [--edits 10] [--only encode,two]

Servers and workers of its own, one thread each. The bare loop decodes, preprocesses and encodes the same pictures with
the same model in one process and knows no database; the worker's figure is the step that encodes images, from the end
of the one before it (texts) to the end of the job. Two workers, each pinned to a core of its own, share the parts of
one job; the model is ViT-B/32 with random weights, as fast as with trained ones, and loaded before. `queued` classifies
pictures without a class, all in one job; each must have one vector and one proposal at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil

from benchmarks.records import Record, write
from kg.changes import capture
from kg.encoders.image import load_image_encoder
from kg.graph import Graph, connect
from kg.publishing.activation import active_set
from kg.server.home import run_dir
from kg.server.process import find
from kg.server.services import child_environment
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
_COMMAND = "python -m benchmarks.workers"
_PARTS = ("encode", "two", "edits", "queued")


def measure(
    images: int = 2000, queued: int = 10_000, vit: int = 1024, edits: int = 10, only: tuple[str, ...] = _PARTS
) -> list[Record]:
    """All figures; `only` names some of encode, two, edits, queued."""
    found: list[Record] = []
    os.environ["OMP_NUM_THREADS"] = "1"  # of the workers, and of the bare loop: a second core would flatter the former
    with tempfile.TemporaryDirectory(prefix="korvai-bench-", ignore_cleanup_errors=True) as folder:
        world = World(own_settings(Path(folder) / "home"), Path(folder))
        try:
            world.up("neo4j", "redis", "worker")
            world.begin()
            with connect(world.settings) as graph:
                for name, work in (
                    ("encode", lambda: _encoding(world, graph, images)),
                    ("edits", lambda: _edits(graph, edits)),
                    ("queued", lambda: _queued(world, graph, queued)),
                    ("two", lambda: _two_workers(world, graph, Path(folder), vit)),
                ):
                    found += work() if name in only else []
        finally:
            world.down()
    return found


def _encoding(world: World, graph: Graph, images: int) -> list[Record]:
    _forget(graph)
    store = Store(world.settings.store_dir)
    uris = _new_pictures(graph, store, images, seed=50_000)
    encoder = load_image_encoder(world.settings.vision_encoder)
    bare_s = _took(lambda: _bare_loop(encoder, [store.path(uri) for uri in uris]))
    job_s = _images_step_s(world, graph, Encode(graph="saree"))
    empty_s = [_timed(world, graph, Encode(graph="saree")) for _ in range(5)]
    rate, bare, command = images / job_s, images / bare_s, f"{_COMMAND} --only encode --images {images}"
    return [
        Record("workers.encode_images_per_s", rate, "images/s", command, baseline=bare, ratio=rate / bare, n=images),
        Record("enrich.share_of_bare_encoder", rate / bare, "share", command, n=images),
        _of_many("workers.empty_chain_s", empty_s, "s for 3 steps", command),
    ]


def _edits(graph: Graph, edits: int) -> list[Record]:
    """From the commit of an edit, typed as in Browser, until a set that knows of it is active."""
    took_s = []
    capture.install(graph)
    try:
        capture.warm_up(graph)
        for n in range(edits + 1):
            before = active_set(graph, "saree").set
            run_raw(graph, "MATCH (c:Cluster {name: 'Red'}) SET c.description = 'Red silk, as of ' + $n", n=str(n))
            started = time.perf_counter()
            while active_set(graph, "saree").set == before:
                time.sleep(0.02)
            took_s.append(time.perf_counter() - started)
            time.sleep(1.0)
    finally:
        capture.remove(graph)
    command = f"{_COMMAND} --only edits --edits {edits}"
    warm = took_s[1:]
    slowest = Record("workers.edit_to_active_slowest_s", max(warm), "s", command, n=edits)
    return [_of_many("workers.edit_to_active_s", warm, "s", command), slowest]


def _queued(world: World, graph: Graph, images: int) -> list[Record]:
    _forget(graph)
    _new_pictures(graph, Store(world.settings.store_dir), images, seed=200_000)
    with _Peak(world) as peak:
        took_s = _timed(world, graph, Classify(graph="saree"))
    ask = "MATCH (p:Prediction)-[:OF]->(s:Saree) WHERE s.name STARTS WITH 'bench/200000/' RETURN s.name, count(p)"
    once = rows(graph, ask)
    assert len(once) == images and {n for _, n in once} == {1}, "a picture was lost, or proposed twice"
    command = f"{_COMMAND} --only queued --queued {images}"
    return [
        Record("workers.classify_queued_s", took_s, "s, all done, none twice", command, n=images),
        Record("workers.classify_peak_mib", peak.mib, "MiB over the idle worker", command, n=images),
        Record("workers.classify_peak_first_tenth_mib", peak.early_mib, "MiB over the idle worker", command, n=images),
    ]


def _two_workers(world: World, graph: Graph, folder: Path, images: int) -> list[Record]:
    cores, store = sorted(os.sched_getaffinity(0))[:2], Store(world.settings.store_dir)
    request = Encode(graph="saree", vision_encoder=_random_vit(folder), part_images=max(8, images // 16))

    def rate(seed: int, images: int = images) -> float:
        _forget(graph)
        _new_pictures(graph, store, 4 * request.part_images, seed=seed)
        _timed(world, graph, request)  # the models are loaded
        _new_pictures(graph, store, images, seed=seed + 50_000)
        return images / _timed(world, graph, request)

    _pin(world, cores[0])
    one = rate(300_000)
    with _second_worker(world, folder, cores[1]):
        rate(500_000, 8 * request.part_images)  # until the second one has loaded the model too
        two = rate(400_000)
    command = f"{_COMMAND} --only two --vit {images}"
    return [
        Record("workers.two_pinned_images_per_s", two, "images/s", command, baseline=one, ratio=two / one, n=images),
        Record("workers.two_over_one", two / one, "x", command, n=images),
    ]


def _new_pictures(graph: Graph, store: Store, count: int, *, seed: int) -> list[str]:
    """Items `bench/<seed>/…` without a class, each with a picture that nobody has seen; the pictures' places."""
    stored = [vars(store.put_image(picture("Green", seed + n))) for n in range(count)]
    text = (
        """UNWIND $images AS image CREATE (:Saree {name: $name + image.sha256})-[:HAS_IMAGE]->(i:Image) SET i = image"""
    )
    for start in range(0, count, 1000):
        run_raw(graph, text, images=stored[start : start + 1000], name=f"bench/{seed}/")
    return [one["uri"] for one in stored]


def _forget(graph: Graph) -> None:
    """The pictures of other figures."""
    text = """MATCH (s:Saree) WHERE s.name STARTS WITH 'bench/' WITH s LIMIT 1000
              OPTIONAL MATCH (s)-[:HAS_IMAGE]->(i:Image) OPTIONAL MATCH (i)-[:HAS_VECTOR]->(v)
              DETACH DELETE s, i, v RETURN count(*)"""
    while rows(graph, "MATCH (s:Saree) WHERE s.name STARTS WITH 'bench/' RETURN 1 LIMIT 1"):
        run_raw(graph, text)


def _bare_loop(encoder, paths: list[Path]) -> None:
    import torch

    torch.set_num_threads(1)
    for start in range(0, len(paths), _BATCH):
        batch = [encoder.preprocess(open_image(path)) for path in paths[start : start + _BATCH]]
        encoder.encode(torch.stack(batch))


def _random_vit(folder: Path) -> str:
    import open_clip
    import torch

    torch.manual_seed(0)
    weights = folder / "vit-b-32.pt"
    torch.save(open_clip.create_model("ViT-B-32", pretrained=None).state_dict(), weights)
    return f"open_clip:ViT-B-32:{weights}"


def _pin(world: World, core: int) -> None:
    record = find(run_dir(world.settings), "worker")
    assert record is not None
    for process in (psutil.Process(record.pid), *psutil.Process(record.pid).children(recursive=True)):
        for thread in process.threads():  # a process's own affinity is that of its first thread alone
            os.sched_setaffinity(thread.id, {core})


@contextmanager
def _second_worker(world: World, folder: Path, core: int) -> Iterator[None]:
    """The command of the first one under another name, on a core of its own."""
    argv = [sys.executable, "-m", "celery", "-A", "workers.app", "worker", "--loglevel=INFO", "--concurrency=1"]
    log = folder / "second.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*argv, "--hostname=second@%h"], env=child_environment(world.settings), stdout=out, stderr=out,
            cwd=world.settings.home_dir, preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 120
        while b" ready." not in log.read_bytes():
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()[-2000:]
            time.sleep(0.2)
        yield
    finally:
        process.terminate()
        process.wait(60)


def _timed(world: World, graph: Graph, request: Request) -> float:
    started = time.perf_counter()
    ended = world.wait(queue.submit(world.settings, graph, request))
    assert ended.state == "done", ended
    return time.perf_counter() - started


def _images_step_s(world: World, graph: Graph, request: Request) -> float:
    """From the end of the step before, which encodes texts, to the end of the job."""
    job = queue.submit(world.settings, graph, request)
    steps = [step["step"] for step in json.loads(rows(graph, "MATCH (j:Job {id: $id}) RETURN j.plan", id=job)[0][0])]
    ask, wanted = "MATCH (j:Job {id: $id}) RETURN coalesce(j.step, 0)", steps.index("encode_images")
    while rows(graph, ask, id=job)[0][0] < wanted:
        time.sleep(0.05)
    started = time.perf_counter()
    ended = world.wait(job)
    assert ended.state == "done", ended
    return time.perf_counter() - started


def _took(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _of_many(name: str, values: list[float], unit: str, command: str) -> Record:
    return Record(name, float(np.median(values)), unit, command, spread=float(np.std(values)), n=len(values))


class _Peak:
    """Highest resident memory of the worker's child above that at the beginning, in all and in the first seconds."""

    def __init__(self, world: World) -> None:
        record = find(run_dir(world.settings), "worker")
        assert record is not None
        self._child, self._stop = psutil.Process(record.pid).children()[0], threading.Event()
        self._seen: list[float] = [0.0]

    @property
    def mib(self) -> float:
        """In all."""
        return max(self._seen)

    @property
    def early_mib(self) -> float:
        """While the first tenth of the time ran: bounded memory does not grow much after it."""
        return max(self._seen[: max(1, len(self._seen) // 10)])

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
            self._seen.append((self._child.memory_info().rss - self._idle) / 2**20)


def main() -> None:
    """Measure, print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("images", 2000), ("queued", 10_000), ("vit", 1024), ("edits", 10)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--only", default=",".join(_PARTS))
    given = vars(parser.parse_args())
    records = measure(**{**given, "only": tuple(given["only"].split(","))})
    for record in records:
        beside = "" if record.baseline is None else f"   beside {record.baseline:.1f}, ratio {record.ratio:.2f}"
        print(f"{record.name:40s} {record.value:10.2f} {record.unit}{beside}")
    print(write("workers", records))


if __name__ == "__main__":
    main()
