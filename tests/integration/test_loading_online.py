"""Does a graph in columns come into the live database once, whole, and whatever happens in the middle?"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from kg.errors import GraphError, GraphUnavailable
from kg.generation.artgraph import generate_artgraph
from kg.graph import Graph, connect
from kg.importers.columns import GraphColumns
from kg.importers.report import ImportReport
from kg.importers.undo import undo_import
from kg.loading.lease import Lease
from kg.loading.online import load_online
from kg.progress import SilentReporter
from kg.schema import ensure_schema, load_domain
from kg.settings import Settings
from kg.store import Store

AUTHOR, TEACHER = ("Artwork", "Author", "Artist"), ("Artist", "Teacher", "Artist")


def small() -> GraphColumns:
    works, artists = [f"w{n}" for n in range(60)], [f"a{n}" for n in range(7)]
    nodes = {
        "Artwork": pa.table({"key": works, "year": [1900 + n if n % 2 else None for n in range(60)]}),
        "Artist": pa.table({"key": artists, "museums": [["x", "y"], *[None] * 6]}),
        "Style": pa.table({"key": ["baroque"]}),
    }
    edges = {
        AUTHOR: pa.table({"source": works, "target": [artists[n % 7] for n in range(60)]}),
        ("Artwork", "Style", "Style"): pa.table({"source": works, "target": ["baroque"] * 60}),
        TEACHER: pa.table({"source": artists[1:], "target": artists[:-1], "source_": ["a book", *[None] * 5]}),
    }
    return GraphColumns(load_domain("artgraph"), nodes, edges)


@pytest.fixture
def load(graph: Graph, store: Store) -> Callable[..., ImportReport]:
    def run(columns: GraphColumns, **options: Any) -> ImportReport:
        form = {"kind": "test", "source": "a test", "reporter": SilentReporter(), **options}
        return load_online(graph, store, columns, **form)

    return run


def counts(graph: Graph) -> tuple[dict[str, int], dict[str, int], int]:
    """Nodes by label, relations by kind, and pairs that stand twice."""
    nodes = graph.user_query("MATCH (n) WHERE NOT n:Batch RETURN [l IN labels(n) WHERE l <> 'Class'][0], count(*)")[1]
    kinds = (
        "MATCH (a)-[r]->(b) WITH [l IN labels(a) WHERE l <> 'Class'][0] AS source, type(r) AS type, "
        "[l IN labels(b) WHERE l <> 'Class'][0] AS target RETURN source + '-' + type + '-' + target, count(*)"
    )
    relations = graph.user_query(kinds)[1]
    twice = graph.user_query("MATCH (a)-[r]->(b) WITH a, b, type(r) AS t, count(*) AS n WHERE n > 1 RETURN count(*)")[1]
    return {row[0]: row[1] for row in nodes}, {row[0]: row[1] for row in relations}, twice[0][0]


def test_a_whole_graph_once(graph: Graph, load) -> None:
    columns = generate_artgraph(scale=0.01, seed=1, reporter=SilentReporter())
    planned = load(columns, dry_run=True)
    assert counts(graph) == ({}, {}, 0)
    first = load(columns)
    assert not first.problems
    assert (first.created, first.total_created) == (planned.created, columns.node_count + columns.edge_count)
    nodes, relations, twice = counts(graph)
    assert {name: n for name, n in columns.counts().items() if n} == {**nodes, **relations}
    assert twice == 0
    again = load(columns)
    assert (again.total_created, again.total_updated, again.batch) == (0, 0, None)
    assert load(columns, dry_run=True).total_created == 0


def test_properties_lists_and_classes_arrive(graph: Graph, load) -> None:
    load(small())
    assert graph.user_query("MATCH (n:Artist) WHERE n.museums IS NOT NULL RETURN n.name, n.museums")[1] == [
        ["a0", ["x", "y"]]
    ]
    assert graph.user_query("MATCH ()-[r:Teacher]->() WHERE r.source IS NOT NULL RETURN r.source")[1] == [["a book"]]
    assert graph.user_query("MATCH (n:Class) RETURN n.name")[1] == [["baroque"]]
    assert graph.user_query("MATCH (n:Artwork) WHERE n.year IS NULL RETURN count(n)")[1] == [[30]]


def test_bad_rows_are_named_and_the_rest_comes(graph: Graph, load) -> None:
    columns = small()
    columns.nodes["Artist"] = pa.table({"key": ["a", "a", "", None, "x" * 5000, "b`\"';//"]})
    columns.edges.clear()
    columns.edges[TEACHER] = pa.table(
        {"source": ["a", "a", "a", None], "target": ["b`\"';//", "nobody", "b`\"';//", "a"]}
    )
    report = load(columns)
    assert (report.created["Artist"], report.created["Artist-Teacher->Artist"]) == (2, 1)
    assert [p.file for p in report.problems] == ["Artist"] * 4 + ["Artist-Teacher-Artist"] * 2
    assert "no Artist 'nobody'" in report.problems[-2].reason


def test_two_imports_at_once_make_nothing_twice(server: Settings, graph: Graph, store: Store) -> None:
    columns = generate_artgraph(scale=0.01, seed=2, reporter=SilentReporter())
    reports: list[ImportReport] = []

    def run() -> None:
        with connect(server) as own:
            reports.append(load_online(own, store, columns, kind="test", source="thread", reporter=SilentReporter()))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(report.total_created for report in reports) == [0, columns.node_count + columns.edge_count]
    assert counts(graph)[2] == 0


def test_a_lease_keeps_imports_out_and_nothing_else(server: Settings, graph: Graph, load) -> None:
    entered = threading.Event()

    def run() -> None:
        with connect(server) as own, Lease(own, SilentReporter()):
            entered.set()

    with Lease(graph, SilentReporter()):
        other = threading.Thread(target=run)
        other.start()
        assert not entered.wait(1.0)
        ensure_schema(graph, load_domain("artgraph"))
        graph.run("import/list_batches", limit=1)
    assert entered.wait(20)
    other.join()
    assert graph.user_query("MATCH (b:Batch) RETURN count(b)")[1] == [[0]]


class Noted(SilentReporter):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, message: str) -> None:
        self.said.append(message)


def test_waiting_is_told_only_where_another_import_runs(
    server: Settings, graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kg.loading.lease._SAY_AFTER_S", 0.3)
    first = Noted()
    with graph.transaction("a person's own") as tx:  # holds the lock, and is no import
        tx.run("import/hold_lease")
        slow = threading.Thread(target=lambda: Lease(graph, first).__enter__().__exit__())
        slow.start()
        assert eventually(lambda: first.said)
    slow.join()
    assert first.said == ["the server is slow to answer; no other import is running"]
    second = Noted()
    with Lease(graph, SilentReporter()):
        late = threading.Thread(target=lambda: Lease(graph, second).__enter__().__exit__())
        late.start()
        assert eventually(lambda: second.said)
    late.join()
    assert second.said == ["waiting for another import to end: it has not written yet"]


def eventually(true: Callable[[], object], *, within_s: float = 20.0) -> bool:
    until = time.monotonic() + within_s
    while not true() and time.monotonic() < until:
        time.sleep(0.05)
    return bool(true())


def test_who_has_lost_the_lease_writes_nothing_more(graph: Graph, load, monkeypatch: pytest.MonkeyPatch) -> None:
    confirm = Lease.confirm

    def taken_over(self: Lease, tx: Any) -> None:
        graph.user_query("RETURN 1")
        with graph.transaction("import/stop_others") as other:
            other.run("import/stop_others", id="another")
        confirm(self, tx)

    monkeypatch.setattr(Lease, "confirm", taken_over)
    with pytest.raises(GraphError, match="another import has taken over"):
        load(small())
    assert counts(graph) == ({}, {}, 0)


KILLED = """
import sys
from kg.graph import connect
from kg.progress import SilentReporter
from kg.settings import load_settings
from kg.store import Store
from tests.integration.test_loading_online import small
from kg.loading.online import load_online
settings = load_settings()
with connect(settings) as graph:
    load_online(graph, Store(settings.store_dir), small(), kind="test", source="killed", reporter=SilentReporter())
"""


@pytest.mark.parametrize("place", ["import.after_journal@4", "import.after_commit@3"])
def test_killed_in_the_middle_finished_and_taken_back(
    settings: Settings, graph: Graph, store: Store, load, place: str
) -> None:
    environment = os.environ | {
        "KORVAI_HOME": str(settings.home_dir), "KORVAI_STORE": str(settings.store_dir),
        "KORVAI_ENVIRONMENT": "test", "KORVAI_FAILPOINT": f"{place}:kill",
        "PYTHONPATH": str(Path.cwd()),
    }  # fmt: skip
    done = subprocess.run([sys.executable, "-c", KILLED], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr
    (killed,) = graph.run("import/list_batches", limit=5)
    before = counts(graph)
    assert killed["state"] == "running"
    assert 0 < sum(before[0].values()) < 68 + 1 + 126
    report = load(small())
    made = sum(before[0].values()) + sum(before[1].values())
    assert report.total_created == 68 + 126 - made
    assert counts(graph)[2] == 0
    states = {row["id"]: row["state"] for row in graph.run("import/list_batches", limit=5)}
    assert states == {killed["id"]: "stopped", report.batch: "done"}
    for batch in (report.batch, killed["id"]):
        undo_import(graph, store, batch, reporter=SilentReporter())
    assert counts(graph) == ({}, {}, 0)


def test_killed_before_its_last_word_is_said_by_the_next(settings: Settings, graph: Graph, store: Store, load) -> None:
    environment = os.environ | {
        "KORVAI_HOME": str(settings.home_dir), "KORVAI_STORE": str(settings.store_dir),
        "KORVAI_ENVIRONMENT": "test", "KORVAI_FAILPOINT": "before import/finish_batch:kill",
        "PYTHONPATH": str(Path.cwd()),
    }  # fmt: skip
    done = subprocess.run([sys.executable, "-c", KILLED], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr
    (killed,) = graph.run("import/list_batches", limit=5)
    assert load(small(), source="another").batch is None  # nothing to write, and not its record to end
    report = load(small(), source="killed")
    assert report.total_created == report.total_updated == 0
    states = {row["id"]: row["state"] for row in graph.run("import/list_batches", limit=5)}
    assert states == {killed["id"]: "stopped", report.batch: "done"}
    assert load(small(), source="killed").batch is None
    for batch in (report.batch, killed["id"]):
        undo_import(graph, store, batch, reporter=SilentReporter())
    assert counts(graph) == ({}, {}, 0)


def test_all_or_nothing(graph: Graph, store: Store, load) -> None:
    load(GraphColumns(load_domain("artgraph"), {"Artist": pa.table({"key": ["a0"], "birth": [1800]})}, {}))
    before = graph.user_query("MATCH (n:Artist) RETURN properties(n)")[1]
    columns = small()
    columns.nodes["Artist"] = pa.table({"key": ["a0", "a1"], "birth": [1900, 1901]})
    report = load(columns, all_or_nothing=True)
    assert report.rolled_back
    assert report.problems
    assert report.total_created == 0
    assert counts(graph) == ({"Artist": 1}, {}, 0)
    assert graph.user_query("MATCH (n:Artist) RETURN properties(n)")[1] == before


def test_a_server_that_goes_away_is_waited_for(graph: Graph, load, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the driver says when a server restarts, once in the middle, after the commit came through."""
    from kg.loading import writers

    left = [3]

    def reach(name: str) -> None:
        left[0] -= name == "import.after_commit"
        if left[0] == 0:
            raise GraphUnavailable("the connection was cut")

    monkeypatch.setattr(writers, "reach", reach)
    report = load(small())
    assert left[0] < 0
    assert report.total_created == 68 + 126
    assert counts(graph)[2] == 0
