"""Does a first load through Neo4j's offline import give the same graph, and does it survive dump, check and load?

The server of the session is stopped and started here, four times in all: each takes seconds, so all are in one test.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pytest

from kg.errors import SchemaViolation, ServiceError, SettingsError
from kg.graph import Graph, connect
from kg.importers.columns import GraphColumns
from kg.importers.csv_tables import import_csv_offline
from kg.importers.undo import undo_import
from kg.loading.backup import check_database, dump_database, load_database
from kg.loading.offline import load_offline
from kg.loading.online import load_online
from kg.progress import Advance, SilentReporter
from kg.schema import load_domain
from kg.server import neo4j
from kg.server.admin import load_dump, store_info
from kg.settings import Settings, load_settings
from kg.store import Store
from tests.support.cleaning import empty

TEACHER, STYLE = ("Artist", "Teacher", "Artist"), ("Artwork", "Style", "Style")


@pytest.fixture
def emptied(settings: Settings) -> Iterator[Settings]:
    """The server with nothing in it; it runs again when the test is over, whatever happened."""
    with connect(settings) as graph:
        empty(graph, settings)
    yield settings
    neo4j.start(settings, SilentReporter())
    with connect(settings) as graph:
        empty(graph, settings)


def columns() -> GraphColumns:
    keys = ['a "quoted" one', "b\nbroken, in two", "c`d'e;f", "g\\h", "i\u4e2d\u00e9", *[f"a{n}" for n in range(40)]]
    nodes = {
        "Artist": pa.table({"key": keys, "museums": [["x", 'y "z", w'], [], *[None] * 43], "birth": list(range(45))}),
        "Artwork": pa.table({"key": [f"w{n}" for n in range(90)], "title": ["", "a " * 50_000, *["t"] * 88]}),
        "Style": pa.table({"key": ["baroque", "cubism"]}),
    }
    edges = {
        TEACHER: pa.table({"source": keys[1:], "target": keys[:-1], "source_": ["a book", *[None] * 43]}),
        STYLE: pa.table({"source": [f"w{n}" for n in range(90)], "target": ["baroque", "cubism"] * 45}),
    }
    return GraphColumns(load_domain("artgraph"), nodes, edges)


def everything(graph: Graph) -> tuple[list[str], list[str]]:
    nodes = graph.user_query("MATCH (n) WHERE NOT n:Batch RETURN labels(n), properties(n)")[1]
    relations = graph.user_query("MATCH (a)-[r]->(b) RETURN a.name, type(r), b.name, properties(r)")[1]
    return sorted(str((sorted(labels), sorted(p.items()))) for labels, p in nodes), sorted(map(repr, relations))


def test_offline_equals_online_and_outlives_dump_check_and_load(emptied: Settings, tmp_path: Path) -> None:
    """The online load, too, although the server is restarted in the middle of it."""
    reporter, store, dumped = SilentReporter(), Store(emptied.store_dir), tmp_path / "a.dump"
    restarting = _Restarting(emptied)
    with connect(emptied) as graph:
        online = load_online(graph, store, columns(), kind="test", source="online", reporter=restarting)
        assert restarting.done and any("waiting for the server" in said for said in restarting.warnings)
        assert (online.total_created, online.problems) == (columns().node_count + columns().edge_count, [])
        assert graph.run("import/list_batches", limit=5)[0]["state"] == "done"
        assert graph.user_query("MATCH ()-[r]->() RETURN count(r)")[1] == [[columns().edge_count]]
        expected = everything(graph)
        with pytest.raises(SchemaViolation, match=r"holds 90 Artwork, 45 Artist.*--offline\), or set KORVAI_HOME"):
            load_offline(emptied, columns(), reporter=reporter)
        empty(graph, emptied)
    assert load_offline(emptied, columns(), reporter=reporter, dry_run=True).created == online.created
    report = load_offline(emptied, columns(), reporter=reporter)
    assert (report.created, report.problems) == (online.created, [])
    with connect(emptied) as graph:
        assert everything(graph) == expected
        again = load_online(graph, store, columns(), kind="test", source="online", reporter=reporter)
        assert (again.total_created, again.total_updated) == (0, 0)
        (batch,) = graph.run("import/list_batches", limit=5)
        assert (batch["id"], batch["state"], batch["created"]) == (report.batch, "done", report.total_created)

    neo4j.stop(emptied)
    dump_database(emptied, dumped, reporter=reporter)
    check_database(emptied, reporter=reporter)
    assert neo4j.status(emptied) is None
    with pytest.raises(SchemaViolation, match="is not overwritten"):
        dump_database(emptied, dumped, reporter=reporter)

    with pytest.raises(SchemaViolation, match="holds 90 Artwork"):
        load_database(emptied, dumped, reporter=reporter)
    with connect(emptied) as graph:
        undo_import(graph, store, report.batch or "", reporter=reporter)
        assert everything(graph) == ([], [])
        empty(graph, emptied)
    there = load_database(emptied, dumped, reporter=reporter)
    assert there == {"Artwork": 90, "Artist": 45, "Class": 2, "Style": 2, "Batch": 1}
    with connect(emptied) as graph:
        assert everything(graph) == expected


def test_what_is_refused_before_the_server_is_touched(emptied: Settings, tmp_path: Path) -> None:
    reporter = SilentReporter()
    foreign = emptied.model_copy(update={"neo4j_uri": "bolt://elsewhere:7687"})
    for work in (
        lambda: load_offline(foreign, columns(), reporter=reporter),
        lambda: dump_database(foreign, tmp_path / "x.dump", reporter=reporter),
        lambda: load_database(foreign, tmp_path / "x.dump", reporter=reporter),
        lambda: check_database(foreign, reporter=reporter),
    ):
        with pytest.raises(SettingsError, match="NEO4J_URI names the server bolt://elsewhere:7687"):
            work()
    with pytest.raises(SchemaViolation, match="no such file"):
        load_database(emptied, tmp_path / "x.dump", reporter=reporter)
    (tmp_path / "t.csv").write_text("name,birth\na,1900\nb,soon\n", encoding="utf-8")
    files = {"nodes": {"Artist": tmp_path / "t.csv"}}
    form = {"reporter": reporter, "all_or_nothing": True}
    report = import_csv_offline(emptied, load_domain("artgraph"), **files, **form)
    assert report.rolled_back
    assert [problem.line for problem in report.problems] == [3]
    assert neo4j.status(emptied) is not None


class _Restarting(SilentReporter):
    """Restarts the server when the first relations have been written; hears what is said about it."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.warnings, self.done = settings, [], False

    @contextmanager
    def stage(self, name: str, total: int | None = None, unit: str = "") -> Iterator[Advance]:
        def advance(n: int = 1, **_: object) -> None:
            if unit == "relations" and not self.done:
                self.done = True
                neo4j.stop(self.settings)
                neo4j.start(self.settings, SilentReporter())

        yield advance

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def _store_of(version: str, folder: Path) -> Path:
    """The folder of databases with the first bytes of a store of Neo4j 4: what tells its version."""
    number = len(version) | sum(ord(sign) << 8 * n for n, sign in enumerate(version, 1))
    records = [0, 1, 1, 1, number, *[0] * 13]
    store = folder / version / "neo4j"
    store.mkdir(parents=True)
    (store / "neostore").write_bytes(b"".join(b"\x01" + struct.pack(">q", r) for r in records).ljust(8192, b"\0"))
    (store / "neostore.nodestore.db").touch()
    return store.parent


def test_an_old_store_is_refused_by_its_version(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path / "home", environment="test")
    with pytest.raises(
        ServiceError, match=r"old.dump: its store is SF4\.0\.0, older than 4.4.*Neo4j 4.4, which migrates"
    ):
        store_info(settings, _store_of("SF4.0.0", tmp_path), tmp_path / "old.dump", SilentReporter())
    taken = store_info(settings, _store_of("SF4.3.0", tmp_path), tmp_path / "new.dump", SilentReporter())
    assert taken.storeFormatSuperseded


def test_a_file_that_is_no_dump(emptied: Settings, tmp_path: Path) -> None:
    (tmp_path / "x.dump").write_bytes(b"PK\x03\x04 something else")
    with pytest.raises(ServiceError, match="not a Neo4j dump"):
        load_dump(emptied, tmp_path / "x.dump", SilentReporter())
