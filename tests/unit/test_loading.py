"""Are a loader's parts right without a database: pairs, sound rows, files, staging, versions of stores?"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from kg.errors import SchemaViolation, ServiceError, StoreError
from kg.failpoints import FailpointReached
from kg.importers.columns import GraphColumns
from kg.importers.tables import Importer, NodeRow, RelationRow
from kg.loading.batch import Batch
from kg.loading.collecting import ColumnSink, refuse_too_large
from kg.loading.csv_files import write_files
from kg.loading.pairs import distinct, grouped, not_in
from kg.loading.soundness import sound_part
from kg.progress import SilentReporter
from kg.schema import Domain, load_domain
from kg.server import staging
from kg.server.admin import StoreInfo, refuse_old_store
from kg.settings import Settings, load_settings
from kg.store import Store

TEACHER = ("Artist", "Teacher", "Artist")
AUTHOR = ("Artwork", "Author", "Artist")


def test_pairs_against_sets() -> None:
    rng = np.random.default_rng(0)
    sources, targets = rng.integers(0, 2**40, 50)[rng.integers(0, 50, 400)], rng.integers(-5, 5, 400)
    rows = distinct(sources, targets)
    pairs = list(zip(sources.tolist(), targets.tolist(), strict=True))
    assert [pairs[n] for n in rows] == list(dict.fromkeys(pairs))
    known = pairs[:30]
    fresh = not_in(sources, targets, *np.array(known).T)
    assert fresh.tolist() == [pair not in set(known) for pair in pairs]
    parts = list(grouped(sources, targets.tolist(), 64))
    assert sorted((s, t) for part in parts for s, many in part for t in many) == sorted(pairs)
    assert [sum(len(many) for _, many in part) for part in parts] == [64] * 6 + [16]
    assert all(len({s for s, _ in part}) == len(part) for part in parts)
    assert list(grouped(sources[:0], [], 10)) == []


@pytest.fixture
def columns() -> GraphColumns:
    nodes = {
        "Artist": pa.table(
            {
                "key": ["a", 'b "quoted"', "c\nbroken", "a", "", None, "x" * 5000, "d,\u00e9\u4e2d"],
                "birth": [1, None, 3, 4, 5, 6, 7, 8],
                "museums": [["x", 'y "z"'], [], None, None, None, None, None, ["one"]],
                "nationality": ["", "back\\slash", None, None, None, None, None, "c;d"],
            }
        ),
        "Style": pa.table({"key": ["baroque"]}),
    }
    ends = {"source": ["a", "a", "a", "nobody", 'b "quoted"'], "target": ["c\nbroken", "c\nbroken", "none", "a", "a"]}
    edges = {TEACHER: pa.table({**ends, "source_": ["book", "again", None, None, None]})}
    return GraphColumns(load_domain("artgraph"), nodes, edges)


def test_what_is_sound_stays(columns: GraphColumns) -> None:
    sound = sound_part(columns)
    assert sound.columns.nodes["Artist"]["key"].to_pylist() == ["a", 'b "quoted"', "c\nbroken", "d,\u00e9\u4e2d"]
    assert sound.columns.nodes["Artist"]["birth"].to_pylist() == [1, None, 3, 8]
    assert sound.columns.edges[TEACHER]["source_"].to_pylist() == ["book", None]
    assert [column.tolist() for column in sound.ends[TEACHER]] == [[0, 1], [2, 0]]
    reasons = "\n".join(map(str, sound.problems))
    for said in ("no key", "empty key", "'a' stands 2 times", "5,000 bytes long", "no Artist 'nobody'", "'none'"):
        assert said in reasons
    columns.nodes["Painter"] = pa.table({"key": ["p"]})
    with pytest.raises(SchemaViolation, match="no such label"):
        sound_part(columns)


def test_files_hold_what_the_columns_held(columns: GraphColumns, tmp_path: Path) -> None:
    sound = sound_part(columns)
    batch = {"id": "b-1", "labels": ["Artist"], "created": 6, "at": "2026-01-01T00:00:00+00:00"}
    arguments = write_files(sound, tmp_path / "files", batch=batch, reporter=SilentReporter())
    assert "--multiline-fields=true" in arguments
    (artists,) = [a for a in arguments if a.startswith("--nodes=Artist=")]
    rows = [row for name in artists.split("=", 2)[2].split(",") for row in _read(tmp_path / name)]
    assert rows == [
        [":ID", "name", "birth:long", "museums:string[]", "nationality"],
        ["0", "a", "1", 'x\x1fy "z"', ""],
        ["1", 'b "quoted"', "", "", "back\\slash"],
        ["2", "c\nbroken", "3", "", ""],
        ["3", "d,\u00e9\u4e2d", "8", "one", "c;d"],
    ]
    assert any(a.startswith("--nodes=Style:Class=") for a in arguments)
    (teachers,) = [a for a in arguments if a.startswith("--relationships=Teacher=")]
    rows = [row for name in teachers.split("=", 2)[2].split(",") for row in _read(tmp_path / name)]
    assert rows == [[":START_ID", ":END_ID", "source"], ["0", "2", "book"], ["1", "0", ""]]


def _read(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_odd_labels_and_relations_go_into_the_files(tmp_path: Path) -> None:
    domain = Domain.model_validate(
        {"domain": "odd", "item": "A`\"'b", "node_types": {"A`\"'b": {}}, "tasks": {},
         "relations": [{"source": "A`\"'b", "type": "is, =of", "target": "A`\"'b"}]}
    )  # fmt: skip
    (edge_type,) = domain.edge_types
    columns = GraphColumns(
        domain, {"A`\"'b": pa.table({"key": ["x"]})}, {edge_type: pa.table({"source": ["x"], "target": ["x"]})}
    )
    arguments = write_files(sound_part(columns), tmp_path / "f", batch={"id": "b"}, reporter=SilentReporter())
    assert [a.split("=")[0] for a in arguments if a.startswith(("--nodes=f/", "--rel"))] == [
        "--nodes",
        "--relationships",
    ]
    assert _read(tmp_path / "f" / "nodes-000-0000.csv") == [["0", "x", "A`\"'b"]]
    assert _read(tmp_path / "f" / "relations-000-0000.csv") == [["0", "0", "is, =of"]]


def test_a_full_disk_is_one_line(columns: GraphColumns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pyarrow.csv.write_csv", full)
    with pytest.raises(StoreError, match="the disk is full"):
        write_files(sound_part(columns), tmp_path / "f", batch={"id": "b"}, reporter=SilentReporter())


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    settings = load_settings(home=tmp_path / "home", environment="test")
    for part in ("databases", "transactions"):
        (settings.home_dir / "neo4j" / "data" / part / "neo4j").mkdir(parents=True)
        (settings.home_dir / "neo4j" / "data" / part / "neo4j" / "file").write_text("old")
        (settings.home_dir / "neo4j" / "data" / part / "system").mkdir()
    return settings


def _contents(settings: Settings) -> list[str]:
    data = settings.home_dir / "neo4j" / "data"
    return [(data / part / "neo4j" / "file").read_text() for part in ("databases", "transactions")]


@pytest.mark.parametrize("place", ["staging.complete", "staging.before_databases", "staging.before_transactions"])
def test_a_kill_leaves_the_old_database_or_the_new_one(
    home: Settings, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = staging.begin(home)
    for part in ("databases", "transactions"):
        (folder / part / "neo4j").mkdir(parents=True)
        (folder / part / "neo4j" / "file").write_text("new")
    monkeypatch.setenv("KORVAI_FAILPOINT", place)
    with pytest.raises(FailpointReached):
        staging.complete(home)
        staging.finish(home)
    monkeypatch.delenv("KORVAI_FAILPOINT")
    assert staging.finish(home)
    assert _contents(home) == ["new", "new"]
    assert not staging.finish(home)
    assert _contents(home) == ["new", "new"]
    assert (home.home_dir / "neo4j" / "data" / "databases" / "system").is_dir()


def test_what_was_not_completed_is_thrown_away(home: Settings) -> None:
    folder = staging.begin(home)
    (folder / "databases" / "neo4j").mkdir(parents=True)
    assert not staging.finish(home)
    assert _contents(home) == ["old", "old"]
    assert not folder.exists()


@pytest.mark.parametrize(
    ("introduced", "superseded", "taken"),
    [
        ("5.0.0", None, True),
        ("4.3.0", "5.0.0", True),
        ("4.0.0", "4.3.0", False),
        ("3.4.0", "4.0.0", False),
        (None, None, False),
    ],
)
def test_old_stores_are_refused_by_their_version(introduced: str | None, superseded: str | None, taken: bool) -> None:
    info = StoreInfo(storeFormat="x", storeFormatIntroduced=introduced, storeFormatSuperseded=superseded)
    if taken:
        refuse_old_store(info, Path("a.dump"))
    else:
        with pytest.raises(ServiceError, match=introduced or "does not know"):
            refuse_old_store(info, Path("a.dump"))


def test_rows_become_columns(tmp_path: Path) -> None:
    domain, sink = load_domain("artgraph"), ColumnSink(load_domain("artgraph"))
    batch = Batch(None, Store(tmp_path), None, domain=domain, kind="csv", source="x")  # type: ignore[arg-type]
    importer = Importer(None, Store(tmp_path), batch, sink, domain=domain, reporter=SilentReporter())  # type: ignore[arg-type]
    importer.nodes("Artist", [NodeRow("a", {"birth": "1900"}), NodeRow("b"), NodeRow("b")])
    importer.nodes("Artwork", [NodeRow("w")])
    importer.relations(TEACHER, [RelationRow("b", "a", {"source": "book"}), RelationRow("b", "nobody")])
    importer.relations(AUTHOR, [RelationRow("w", "a"), RelationRow("w", "a")])
    columns = sink.columns()
    assert columns.counts() == {"Artist": 2, "Artwork": 1, "Artist-Teacher-Artist": 1, "Artwork-Author-Artist": 1}
    assert columns.nodes["Artist"]["birth"].to_pylist() == [1900, None]
    assert columns.edges[TEACHER]["source_"].to_pylist() == ["book"]
    assert ["already" in p.reason for p in importer.report.problems] == [True, False]


def test_more_than_the_memory_is_refused_with_numbers(tmp_path: Path) -> None:
    big = tmp_path / "big.csv"
    with big.open("wb") as file:
        file.truncate(2**42)
    with pytest.raises(SchemaViolation, match=r"about [\d,]+ MiB in memory and [\d,]+ MiB are free"):
        refuse_too_large([big])
