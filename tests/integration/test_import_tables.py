"""Does the engine write only what is missing, report what it cannot take, and take back what it did?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from kg.errors import NodeNotFound, SchemaViolation
from kg.graph import Graph
from kg.importers.journal import read_journal
from kg.importers.report import ImportReport
from kg.importers.tables import NodeRow, RelationRow, Where, importing
from kg.importers.undo import undo_import
from kg.progress import SilentReporter
from kg.schema import Domain, load_domain
from kg.store import Store

AUTHOR = ("Artwork", "Author", "Artist")
TEACHER = ("Artist", "Teacher", "Artist")


@pytest.fixture
def domain() -> Domain:
    return load_domain("artgraph")


@pytest.fixture
def bring(graph: Graph, store: Store, domain: Domain):
    """Import node rows by label and relation rows by type, in one batch."""

    def run(
        nodes: dict[str, Iterable[NodeRow]], relations: dict[tuple, Iterable[RelationRow]] | None = None, **options: Any
    ) -> ImportReport:
        form = {"domain": domain, "kind": "csv", "source": "a test", "reporter": SilentReporter(), **options}
        with importing(graph, store, **form) as importer:
            for label, rows in nodes.items():
                importer.nodes(label, rows)
            for edge_type, rows in (relations or {}).items():
                importer.relations(edge_type, rows)
        return importer.report

    return run


def contents(graph: Graph) -> tuple[list, list]:
    """Every node and relation but the records of batches, in a canonical order."""
    nodes = graph.user_query("MATCH (n) WHERE NOT n:Batch RETURN labels(n), properties(n)")[1]
    relations = graph.user_query("MATCH (a)-[r]->(b) RETURN a.name, type(r), b.name, properties(r)")[1]
    return sorted(map(repr, nodes)), sorted(map(repr, relations))


def small() -> tuple[dict, dict]:
    works = [NodeRow(f"w{n}", {"title": f"work {n}", "year": 1900 + n}) for n in range(20)]
    artists = [NodeRow("a", {"birth": 1850}), NodeRow("b")]
    authors = [RelationRow(f"w{n}", "ab"[n % 2]) for n in range(20)]
    return {"Artwork": works, "Artist": artists}, {
        AUTHOR: authors,
        TEACHER: [RelationRow("b", "a", {"source": "book"})],
    }


def test_a_second_import_writes_nothing(graph: Graph, bring) -> None:
    first = bring(*small())
    assert first.created == {"Artwork": 20, "Artist": 2, "Artwork-Author->Artist": 20, "Artist-Teacher->Artist": 1}
    before = contents(graph)
    second = bring(*small())
    assert (second.total_created, second.total_updated, second.batch) == (0, 0, None)
    assert contents(graph) == before
    assert [row["id"] for row in graph.run("import/list_batches", limit=10)] == [first.batch]


def test_what_a_row_does_not_say_stays(graph: Graph, bring) -> None:
    bring({"Artist": [NodeRow("a", {"birth": 1850, "nationality": "French"})]})
    report = bring(
        {"Artist": [NodeRow("a", {"birth": 1851, "nationality": None}, defaults={"death": 1900, "birth": 1})]}
    )
    assert (report.created["Artist"], report.updated["Artist"]) == (0, 1)
    row = graph.user_query("MATCH (a:Artist) RETURN a.birth, a.nationality, a.death")[1]
    assert row == [[1851, "French", 1900]]


def test_relations_keep_one_per_pair_and_update_their_properties(graph: Graph, bring) -> None:
    bring(*small())
    rows = [RelationRow("b", "a", {"source": "another"}), RelationRow("b", "a", {"source": "another"})]
    report = bring({}, {TEACHER: rows})
    assert (report.total_created, report.updated["Artist-Teacher->Artist"]) == (0, 1)
    assert graph.user_query("MATCH ()-[r:Teacher]->() RETURN r.source")[1] == [["another"]]


def test_bad_rows_are_named_and_the_rest_goes_on(graph: Graph, bring) -> None:
    nodes = [
        NodeRow("a", {}, Where("f.csv", 2)),
        NodeRow("a", {}, Where("f.csv", 3)),
        NodeRow("", {}, Where("f.csv", 4)),
        NodeRow("b", {"birth": "c.1590"}, Where("f.csv", 5)),
        NodeRow("x" * 10_000, {}, Where("f.csv", 6)),
        NodeRow("`']; MATCH (n) DETACH DELETE n //", {}, Where("f.csv", 7)),
    ]
    relations = [
        RelationRow("a", "b", {}, Where("r.csv", 2)),
        RelationRow("a", "nobody", {}, Where("r.csv", 3)),
        RelationRow("nobody", "b", {}, Where("r.csv", 4)),
        RelationRow("", "b", {}, Where("r.csv", 5)),
    ]
    report = bring({"Artist": nodes}, {TEACHER: relations})
    assert report.created == {"Artist": 3, "Artist-Teacher->Artist": 1}
    assert [(p.file, p.line) for p in report.problems] == [
        *(("f.csv", line) for line in (3, 4, 5, 6)),
        *(("r.csv", line) for line in (3, 4, 5)),
    ]
    assert "no Artist 'nobody'" in report.problems[-2].reason
    assert report.problems_file is not None
    assert len(report.problems_file.read_text(encoding="utf-8").splitlines()) == 1 + len(report.problems)


def test_unknown_labels_and_relations_are_refused(graph: Graph, bring) -> None:
    with pytest.raises(SchemaViolation, match="no node type 'Painter'"):
        bring({"Painter": [NodeRow("a")]})
    with pytest.raises(SchemaViolation, match="no relation Artist-Author-Artwork"):
        bring({}, {("Artist", "Author", "Artwork"): []})
    assert graph.user_query("MATCH (n) RETURN count(n)")[1] == [[0]]


def test_another_domain_with_the_same_label_is_refused(bring, domain: Domain) -> None:
    bring({"Artist": [NodeRow("a")]})
    with pytest.raises(SchemaViolation, match="artgraph was imported here with the labels"):
        bring({"Artist": [NodeRow("a")]}, domain=domain.model_copy(update={"domain": "other"}))


def test_classes_carry_the_second_label(graph: Graph, bring) -> None:
    bring({"Style": [NodeRow("baroque")], "Artist": [NodeRow("a")]})
    assert sorted(graph.user_query("MATCH (n:Class) RETURN labels(n)")[1][0][0]) == ["Class", "Style"]


def test_a_dry_run_counts_and_writes_nothing(graph: Graph, bring, store: Store) -> None:
    report = bring(*small(), dry_run=True)
    assert report.created["Artwork-Author->Artist"] == 20
    assert not report.problems
    assert graph.user_query("MATCH (n) RETURN count(n)")[1] == [[0]]
    assert not store.folder.exists()


def test_an_import_that_ends_in_the_middle_is_finished_by_the_next(graph: Graph, bring, store: Store) -> None:
    def torn() -> Iterable[NodeRow]:
        yield from (NodeRow(f"w{n}") for n in range(4500))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bring({"Artwork": torn()})
    batch = graph.run("import/list_batches", limit=10)[0]
    assert batch["state"] == "stopped"
    entries = sum(len(entries) for _, entries in read_journal(store.batches / batch["id"]))
    assert 0 < entries == graph.user_query("MATCH (n:Artwork) RETURN count(n)")[1][0][0] < 4500
    report = bring({"Artwork": [NodeRow(f"w{n}") for n in range(4500)]})
    assert report.created["Artwork"] == 4500 - entries


def test_undo_leaves_the_graph_as_it_was(graph: Graph, store: Store, bring, reporter: SilentReporter) -> None:
    bring(
        {"Artist": [NodeRow("a", {"birth": 1850}), NodeRow("c")]}, {TEACHER: [RelationRow("c", "a", {"source": "x"})]}
    )
    before = contents(graph)
    changes = [NodeRow("a", {"birth": 1800, "death": 1870}), NodeRow("b")]
    relations = [RelationRow("c", "a", {"source": "y"}), RelationRow("b", "a"), RelationRow("c", "b")]
    second = bring({"Artist": changes}, {TEACHER: relations})
    assert contents(graph) != before
    report = undo_import(graph, store, second.batch, reporter=reporter)
    assert contents(graph) == before
    assert not report.problems
    assert graph.run("import/list_batches", limit=1)[0]["state"] == "undone"
    assert not undo_import(graph, store, second.batch, reporter=reporter).total_created


def test_undo_keeps_what_others_built_on(graph: Graph, store: Store, bring, reporter: SilentReporter) -> None:
    bring({"Artist": [NodeRow("curated", {"birth": 1})]})
    first = bring({"Artist": [NodeRow("a"), NodeRow("b"), NodeRow("curated", {"birth": 2})]})
    bring({"Artwork": [NodeRow("w")]}, {AUTHOR: [RelationRow("w", "a")]})
    bring({"Artist": [NodeRow("curated", {"birth": 3})]})
    report = undo_import(graph, store, first.batch, reporter=reporter)
    left = graph.user_query("MATCH (n:Artist) RETURN n.name, n.birth ORDER BY n.name")[1]
    assert left == [["a", None], ["curated", 3]]
    assert sorted(p.reason.split("'")[1] for p in report.problems) == ["a", "curated"]


def test_undo_of_an_unknown_batch(graph: Graph, store: Store, reporter: SilentReporter) -> None:
    for name in ("csv-nothing", "../../etc"):
        with pytest.raises(NodeNotFound, match="korvai import list"):
            undo_import(graph, store, name, reporter=reporter)
