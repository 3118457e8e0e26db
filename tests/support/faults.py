"""Is anything lost, mixed or done twice when processes are killed at any moment of the pipeline?

    make faults COUNT=20 SEED=0          (python -m tests.support.faults --count 20 --seed 0)
    make faults COUNT=0 SWEEP=1          every failpoint that each kind of job, an import and its undo reach, once

Real Neo4j, Redis, worker and beat in a home of their own; a toy graph and a recipe of one epoch; a curator who writes
all the time. Each round starts a job, kills something with -9, starts it again, waits for the job and checks the
invariants. Rounds are appended to benchmarks/results/faults.jsonl; what is there of the same code (cypher, kg,
training, workers as they are committed) is not repeated.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from benchmarks.records import RESULTS, Record, write
from kg.errors import KorvaiError
from kg.graph import Graph, connect
from kg.jobs import Job, find_job
from kg.progress import SilentReporter
from kg.schema import ensure_schema, load_domain
from kg.server import services
from kg.server.home import run_dir
from kg.server.process import find, tail
from kg.settings import Settings
from kg.store import Store
from tests.support import published
from tests.support.cleaning import empty
from tests.support.coloured import coloured_graph, picture, untrained_encoder
from tests.support.import_faults import IMPORTING, import_kill, import_point, import_trace
from tests.support.invariants import violations
from tests.support.services import own_settings
from workers import queue
from workers.kinds import Classify, Encode, Refresh, Request, Retrain

__all__ = ["TARGETS", "TOY", "World", "kill_round", "point_round"]

TARGETS = ("child", "worker", "redis", "neo4j", "beat")
TOY = {"epochs": 1, "patience": 1, "hidden": 8, "width": 16, "phrases": {}}
_ALL = ("neo4j", "redis", "worker", "beat")
_PATIENCE_S = 600.0
_WRITE_EVERY_S = 0.2


class World:
    """A whole set of services over a toy graph."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        encoder = untrained_encoder(folder)
        own = {"vision_encoder": encoder, "job_lease_s": 2.0, "store": folder / "store"}
        self.settings, self.points = settings.model_copy(update=own), folder / "points"
        self.points.mkdir(exist_ok=True)
        self.acknowledged: set[str] = set()
        self.started = 0

    def up(self, *names: str) -> None:
        """Start what does not run."""
        os.environ["KORVAI_FAILPOINTS"] = str(self.points)  # for the services; ours are not to be stopped
        try:
            services.up(self.settings, names or _ALL, SilentReporter())
        finally:
            os.environ.pop("KORVAI_FAILPOINTS")

    def down(self, *names: str) -> None:
        """Stop it."""
        services.down(self.settings, names or services.NAMES)

    def begin(self) -> None:
        """A graph with classes, pictures, and a first model."""
        with connect(self.settings) as graph:
            empty(graph, self.settings)
            ensure_schema(graph, load_domain("saree"), load_domain("artgraph"))
            coloured_graph(graph, Store(self.settings.store_dir), per_class=6)
            first = self.submit(graph, "retrain")
        assert self.wait(first).state == "done", self.job(first)

    def submit(self, graph: Graph, kind: str) -> str:
        """One job; a retraining trains anew each time, a classification finds a new picture, an encoding six."""
        self.started += 1
        request: Request = Refresh(graph="saree")
        if kind == "retrain":
            request = Retrain(graph="saree", gate=False, config={**TOY, "rng_seed": self.started})
        if kind in ("classify", "encode"):
            self._new_pictures(graph, 1 if kind == "classify" else 6)
            request = Classify(graph="saree") if kind == "classify" else Encode(graph="saree", part_images=4)
        if kind == "refresh":
            text = "MATCH (c:Cluster {name: 'Red'}) SET c.description = 'Red silk, edit ' + $n"
            published.write(graph, text, n=str(self.started))
        return queue.submit(self.settings, graph, request)

    def _new_pictures(self, graph: Graph, count: int) -> None:
        text = "CREATE (:Saree {name: $item})-[:HAS_IMAGE]->(i:Image) SET i += $image"
        for n in range(count):
            stored = Store(self.settings.store_dir).put_image(picture("Red", 10_000 + 10 * self.started + n))
            published.write(graph, text, item=f"new/{self.started}/{n}", image=vars(stored))

    def job(self, job: str) -> Job:
        """As its node says."""
        with connect(self.settings) as graph:
            return find_job(graph, job)

    def wait(self, job: str) -> Job:
        """When it has ended; asks again through servers that go away, and starts a worker where a failpoint met it."""
        deadline, found = time.monotonic() + _PATIENCE_S, None
        while time.monotonic() < deadline:
            with suppress(KorvaiError):
                if (found := self.job(job)).ended:
                    return found
                if find(run_dir(self.settings), "worker") is None:
                    self.up("worker")
            time.sleep(0.2)
        raise TimeoutError(f"{job}: {found}\n{tail(services.log_files(self.settings, 'worker'), 30)}")

    def kill(self, target: str) -> None:
        """kill -9; a killed worker's children are left to themselves, and may go on for a while."""
        name = "worker" if target == "child" else target
        record = find(run_dir(self.settings), name)
        if record is None:
            return
        process = psutil.Process(record.pid)
        with suppress(psutil.NoSuchProcess):
            for victim in process.children() if target == "child" else [process]:
                victim.kill()
                victim.wait(10)

    @contextmanager
    def curator(self) -> Iterator[None]:
        """Somebody who writes; what the server acknowledged must stay."""
        stop = threading.Event()

        def work() -> None:
            graph: Graph | None = None
            while not stop.wait(_WRITE_EVERY_S):
                name = f"motif {len(self.acknowledged)} {time.time_ns()}"
                try:
                    graph = graph or connect(self.settings)
                    published.write(graph, "CREATE (:Motif {name: $name})", name=name)
                    self.acknowledged.add(name)
                except Exception:  # whatever a driver says of a server that is being killed
                    with suppress(Exception):
                        graph and graph.close()
                    graph = None
            if graph is not None:
                graph.close()

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(60)

    def violations(self, jobs: list[Job]) -> list[str]:
        """What is not as it must be."""
        with connect(self.settings) as graph:
            return violations(graph, Store(self.settings.store_dir), jobs, self.acknowledged)


def kill_round(
    world: World,
    rng: random.Random,
    *,
    target: str | None = None,
    kind: str | None = None,
    services: tuple[str, ...] = _ALL,
    times: int = 1,
) -> dict[str, Any]:
    """Start a job, kill something at a random moment, once or several times, start it again, look."""
    kind = kind or rng.choice(("retrain", "retrain", "refresh", "classify", "encode", *IMPORTING))
    target = target or rng.choice(("child", "neo4j") if kind in IMPORTING else TARGETS)
    started = time.monotonic()
    if kind in IMPORTING:
        with world.curator():
            wrong = import_kill(world, rng, kind, target)
        return _said("kill", target, kind, started, [*wrong, *world.violations([])])
    after_s = rng.uniform(0, 8.0 if kind == "retrain" else 3.0)
    with world.curator():
        with connect(world.settings) as graph:
            job = world.submit(graph, kind)
        for moment_s in [after_s, *(rng.uniform(0, 3.0) for _ in range(times - 1))]:
            time.sleep(moment_s)
            world.kill(target)
            world.up(*services)
        ended = world.wait(job)
    more = {"after_s": round(after_s, 2), "crashes": ended.crashes}
    return _said("kill", target, kind, started, world.violations([ended]), **more)


def point_round(world: World, name: str, kind: str, *, services: tuple[str, ...] = _ALL) -> dict[str, Any]:
    """Have the worker, or an importing process, killed at one failpoint, and look."""
    started, killer = time.monotonic(), world.points / "kill"
    if kind in IMPORTING:
        with world.curator():
            reached, wrong = import_point(world, kind, name)
        return _said("failpoint", name, kind, started, [*wrong, *world.violations([])], reached=reached)
    with world.curator():
        with connect(world.settings) as graph:
            killer.write_text(name, encoding="utf-8")
            job = world.submit(graph, kind)
        ended = world.wait(job)
    reached = not killer.exists()
    killer.unlink(missing_ok=True)
    world.up(*services)
    more = {"reached": reached, "crashes": ended.crashes}
    return _said("failpoint", name, kind, started, world.violations([ended]), **more)


def trace(world: World, kind: str) -> list[str]:
    """Names of the failpoints that a job of that kind reaches, in order, each once; by the worker, not by us."""
    if kind in IMPORTING:
        return import_trace(world, kind)
    file = world.points / "trace"
    file.write_text("", encoding="utf-8")
    with connect(world.settings) as graph:
        job = world.submit(graph, kind)
    world.wait(job)
    time.sleep(1)
    names = [name for name in file.read_text(encoding="utf-8").splitlines() if name]
    file.unlink()
    # The watcher's thread and everybody's looking and beating are not the job's.
    ours = ("jobs/due", "jobs/typed", "jobs/make_due", "jobs/look", "jobs/find", "jobs/open", "server/version")
    ours += ("versions/ages", "changes/edits_since")
    return [name for name in dict.fromkeys(names) if not name.endswith(ours)]


def _said(kind: str, what: str, during: str, started: float, violations: list[str], **more: Any) -> dict[str, Any]:
    seconds = round(time.monotonic() - started, 1)
    return {"kind": kind, "what": what, "during": during, **more, "violations": violations, "seconds": seconds}


def _code() -> str:
    """What names the code under test: a commit that changes none of it leaves its results good."""
    trees = [f"HEAD:{room}" for room in ("cypher", "kg", "training", "workers")]
    done = subprocess.run(["git", "rev-parse", *trees], capture_output=True, text=True, check=False)
    return hashlib.sha256(done.stdout.encode()).hexdigest()[:12] if done.returncode == 0 else "unknown"


def _kept(path: Path, code: str) -> list[dict[str, Any]]:
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [said for line in lines if (said := json.loads(line))["code"] == code]


def _todo(world: World, given: argparse.Namespace, kept: list[dict[str, Any]]) -> Iterator[tuple[str, Any]]:
    done = {said["key"] for said in kept}
    if given.sweep:
        names = {kind: trace(world, kind) for kind in ("refresh", *IMPORTING, "classify", "encode", "retrain")}
        for kind, name in ((kind, name) for kind, found in names.items() for name in found):
            if (key := f"{kind} {name}") not in done:
                yield key, (name, kind)
    for n in range(given.count):
        if (key := f"seed {given.seed} round {n}") not in done:
            yield key, random.Random(key)


def main() -> int:
    """Do the rounds that are not done; exit code 1 when something was violated."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sweep", action="store_true")
    parser.add_argument("--limit-s", type=float, default=float("inf"))
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the servers are stopped in any case
    path, code, started = RESULTS / "faults.jsonl", _code(), time.monotonic()
    RESULTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="korvai-faults-", ignore_cleanup_errors=True) as folder:
        world = World(own_settings(Path(folder) / "home"), Path(folder))
        try:
            world.up()
            world.begin()
            for key, what in _todo(world, given, _kept(path, code)):
                if time.monotonic() - started > given.limit_s:
                    break
                _one(world, path, code, key, what)
        finally:
            world.down()
    return _tell(_kept(path, code))


def _one(world: World, path: Path, code: str, key: str, what: Any) -> None:
    try:
        said = kill_round(world, what) if isinstance(what, random.Random) else point_round(world, *what)
    except (TimeoutError, KorvaiError) as error:
        point = {} if isinstance(what, random.Random) else {"what": what[0], "during": what[1], "reached": True}
        said = {"kind": "failpoint" if point else "kill", **point, "violations": [f"stuck: {error}"]}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"code": code, "key": key, **said}) + "\n")
    print(key, {name: value for name, value in said.items() if name != "kind"}, flush=True)  # noqa: T201


def _tell(kept: list[dict[str, Any]]) -> int:
    points = [said for said in kept if said["kind"] == "failpoint" and said.get("reached")]
    kills, bad = [said for said in kept if said["kind"] == "kill"], sum(bool(said["violations"]) for said in kept)
    counts = {"failpoints": len(points), "kill_points": len(kills), "violations": bad}
    write("faults", [Record(f"faults.{name}", n, "rounds", "make faults", n=n) for name, n in counts.items()])
    for kind in ("kill", "failpoint"):
        print("\n".join(_table(kind, [said for said in kept if said["kind"] == kind])))  # noqa: T201
    print(counts)  # noqa: T201
    return int(bool(bad))


def _table(kind: str, kept: list[dict[str, Any]]) -> list[str]:
    """Rounds by what was running and what was killed, in Markdown; of failpoints, those that were reached."""
    kept = [said for said in kept if kind == "kill" or said.get("reached")]
    during = sorted({said.get("during", "stuck") for said in kept})
    of = {
        name: [said for said in kept if kind == "failpoint" or said.get("what", "stuck") == name]
        for name in sorted({said.get("what", "stuck") if kind == "kill" else "failpoints" for said in kept})
    }
    lines = [f"| {kind} | {' | '.join(during)} | violations |", "| --- |" + " ---: |" * (len(during) + 1)]
    for name, rounds in of.items():
        cells = [str(sum(said.get("during", "stuck") == one for said in rounds)) for one in during]
        lines.append(f"| {name} | {' | '.join(cells)} | {sum(bool(said['violations']) for said in rounds)} |")
    return lines


if __name__ == "__main__":
    raise SystemExit(main())
