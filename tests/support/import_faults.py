"""Is an import, or taking it back, whole after a kill -9 at any moment? For tests.support.faults: these are no jobs.

As a program it is what gets killed: `python -m tests.support.import_faults import | undo`, with settings in the
environment. Both say `ready` once they begin, and are started again until they reach their end.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from kg.graph import Graph, connect
from kg.importers.columns import GraphColumns
from kg.importers.undo import undo_import
from kg.loading.online import load_online
from kg.progress import SilentReporter
from kg.schema import load_domain
from kg.server.services import child_environment
from kg.settings import load_settings
from kg.store import Store
from tests.support.published import column, rows
from tests.support.services import REPOSITORY

if TYPE_CHECKING:
    from tests.support.faults import World

__all__ = ["IMPORTING", "import_kill", "import_point", "import_trace"]

IMPORTING = ("import", "undo")
_WORKS, _ARTISTS, _SOURCE = 60, 7, "faults"
_EXPECTED = {"Artwork": _WORKS, "Artist": _ARTISTS, "Style": 1}
_RELATIONS = {"Author": _WORKS, "Style": _WORKS, "Teacher": _ARTISTS - 1}
_TRIES = 5


def import_kill(world: World, rng: random.Random, what: str, target: str) -> list[str]:
    """Kill the process, or the database under it, at a random moment; what is wrong when it has been done again."""

    def kill(process: subprocess.Popen[str]) -> None:
        time.sleep(rng.uniform(0, 1.5))
        process.kill() if target == "child" else world.kill(target)
        world.up("neo4j")

    return _round(world, what, lambda: _run(world, what, then=kill))


def import_point(world: World, what: str, name: str) -> tuple[bool, list[str]]:
    """Have the process killed at one failpoint: whether it came there, and what is wrong after it was done again."""
    killer = world.points / "kill"

    def stopped() -> None:
        killer.write_text(name, encoding="utf-8")
        _run(world, what)

    found = _round(world, what, stopped)
    reached = not killer.exists()
    killer.unlink(missing_ok=True)
    return reached, found


def import_trace(world: World, what: str) -> list[str]:
    """Names of the failpoints that it comes by, each once; the worker beside it must be idle."""
    _prepare(world, what)
    file = world.points / "trace"
    file.write_text("", encoding="utf-8")
    _finish(world, what)
    names = list(dict.fromkeys(file.read_text(encoding="utf-8").splitlines()))
    file.unlink()
    return [name for name in names if "jobs/" not in name and "server/" not in name and "versions/" not in name]


def _round(world: World, what: str, interrupted: Callable[[], Any]) -> list[str]:
    _prepare(world, what)
    interrupted()
    _finish(world, what)
    with connect(world.settings) as graph:
        return _wrong(graph, what)


def _prepare(world: World, what: str) -> None:
    """Nothing there for an import, all there for its undo."""
    _finish(world, "undo")
    if what == "undo":
        _finish(world, "import")


def _finish(world: World, what: str) -> None:
    codes = []
    while len(codes) < _TRIES:
        codes.append(_run(world, what))
        if codes[-1] == 0:
            return
    raise TimeoutError(f"{what} ended with {codes}")


def _run(world: World, what: str, *, then: Callable[[subprocess.Popen[str]], None] | None = None) -> int:
    environment = {**child_environment(world.settings), "KORVAI_FAILPOINTS": str(world.points)}
    argv = [sys.executable, "-m", "tests.support.import_faults", what]
    with subprocess.Popen(argv, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        if then is not None:
            then(process)
        return process.wait(300)


def _wrong(graph: Graph, what: str) -> list[str]:
    there = what == "import"
    labels = dict(
        rows(graph, "UNWIND $labels AS l MATCH (n) WHERE l IN labels(n) RETURN l, count(n)", labels=[*_EXPECTED])
    )
    ask = "MATCH (a)-[r]->(b) WHERE type(r) IN $types AND (a:Artwork OR a:Artist) RETURN type(r), count(*)"
    types = dict(rows(graph, ask, types=[*_RELATIONS]))
    found = []
    if labels != (_EXPECTED if there else {}):
        found.append(f"after {what} there are {labels}")
    if types != (_RELATIONS if there else {}):
        found.append(f"after {what} there are {types}")
    states = column(graph, "MATCH (b:Batch {source: $source}) RETURN DISTINCT b.state", source=_SOURCE)
    if there != ("done" in states) or "running" in states:
        found.append(f"after {what} batches are {states}")
    return found


def _columns() -> GraphColumns:
    works, artists = [f"w{n}" for n in range(_WORKS)], [f"a{n}" for n in range(_ARTISTS)]
    nodes = {
        "Artwork": pa.table({"key": works}),
        "Artist": pa.table({"key": artists, "museums": [["x", "y"], *[None] * (_ARTISTS - 1)]}),
        "Style": pa.table({"key": ["baroque"]}),
    }
    edges = {
        ("Artwork", "Author", "Artist"): pa.table({"source": works, "target": [artists[n % 7] for n in range(_WORKS)]}),
        ("Artwork", "Style", "Style"): pa.table({"source": works, "target": ["baroque"] * _WORKS}),
        ("Artist", "Teacher", "Artist"): pa.table({"source": artists[1:], "target": artists[:-1]}),
    }
    return GraphColumns(load_domain("artgraph"), nodes, edges)


def main() -> int:
    """What gets killed."""
    settings, reporter = load_settings(), SilentReporter()
    with connect(settings) as graph:
        store = Store(settings.store_dir)
        print("ready", flush=True)  # noqa: T201
        if sys.argv[1] == "import":
            load_online(graph, store, _columns(), kind="test", source=_SOURCE, reporter=reporter)
        else:
            ask = "MATCH (b:Batch {source: $source}) WHERE b.state <> 'undone' RETURN b.id ORDER BY b.at DESC"
            for batch in column(graph, ask, source=_SOURCE):
                undo_import(graph, store, batch, reporter=reporter)
    return 0


if __name__ == "__main__":
    os._exit(main())
