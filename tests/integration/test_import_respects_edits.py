"""Does importing the same files again leave alone what curators changed, and say so?"""

from __future__ import annotations

import pytest

from kg.curation.edits import editing
from kg.curation.undo import undo
from kg.graph import Graph
from kg.importers.report import ImportReport
from kg.importers.tables import NodeRow, RelationRow, Where, importing
from kg.progress import SilentReporter
from kg.schema import Domain, load_domain
from kg.store import Store

STYLE, TEACHER = ("Artwork", "Style", "Style"), ("Artist", "Teacher", "Artist")


@pytest.fixture
def domain() -> Domain:
    return load_domain("artgraph")


@pytest.fixture
def bring(graph: Graph, store: Store, domain: Domain):
    def run(**options: object) -> ImportReport:
        form = {"domain": domain, "kind": "csv", "source": "a test", "reporter": SilentReporter(), **options}
        with importing(graph, store, **form) as importer:
            importer.nodes("Style", [NodeRow("baroque", {"description": "as it ships"}), NodeRow("realism")])
            importer.nodes("Artist", [NodeRow("a"), NodeRow("b")])
            importer.nodes("Artwork", [NodeRow(f"w{n}") for n in range(3)])
            importer.relations(STYLE, [RelationRow(f"w{n}", "baroque", {}, Where("f.csv", n + 2)) for n in range(3)])
            importer.relations(TEACHER, [RelationRow("b", "a", {"source": "book"}, Where("t.csv", 2))])
        return importer.report

    return run


def styles(graph: Graph) -> list[list[str]]:
    return graph.user_query("MATCH (w:Artwork)-[:Style]->(s) RETURN w.name, s.name ORDER BY w.name")[1]


def test_a_relation_marked_wrong_stays_away(graph: Graph, bring, domain: Domain) -> None:
    bring()
    with editing(graph, domain, who="meera", reason="a copy") as desk:
        desk.mark_wrong("Artwork", "w1", "Style", "baroque")
        day = f"{desk._at:%Y-%m-%d}"
    for options in ({"dry_run": True}, {}, {}):
        report = bring(**options)
        assert (report.total_created, report.problems) == (0, [])
        assert [str(row) for row in report.kept] == [
            f"f.csv:3: Artwork-Style->Style: 'w1' to 'baroque' stays away, marked wrong by meera on {day} (a copy)"
        ]
    assert styles(graph) == [["w0", "baroque"], ["w2", "baroque"]]
    report = bring(over_edits=True)
    assert (report.created["Artwork-Style->Style"], report.kept) == (1, [])
    assert len(styles(graph)) == 3


def test_a_moved_item_has_one_class_and_an_undone_edit_counts_no_more(graph: Graph, bring, domain: Domain) -> None:
    bring()
    with editing(graph, domain, who="meera", batch="day") as desk:
        desk.move("w0", "realism", task="style")
    assert len(bring().kept) == 1
    assert styles(graph)[0] == ["w0", "realism"]
    undo(graph, batch="day", domains=[domain], who="meera")
    assert bring().kept == []
    assert styles(graph)[0] == ["w0", "baroque"]


def test_relations_of_a_node_that_was_deleted_come_back_with_it(graph: Graph, bring, domain: Domain) -> None:
    bring()
    with editing(graph, domain, who="meera") as desk:
        desk.delete_node("Artwork", "w2")
    report = bring()
    assert (report.created["Artwork"], report.created["Artwork-Style->Style"], report.kept) == (1, 1, [])


def test_an_edited_value_wins(graph: Graph, bring, domain: Domain) -> None:
    bring()
    with editing(graph, domain, who="meera") as desk:
        desk.set_property("Style", "baroque", "description", "of a curator")
        day = f"{desk._at:%Y-%m-%d}"
    report = bring()
    assert (report.total_updated, report.batch) == (0, None)
    assert [str(row) for row in report.kept] == [
        f"Style: 'baroque': description stays as it was edited by meera on {day}"
    ]
    text = "MATCH (s:Style {name: 'baroque'}) RETURN s.description"
    assert graph.user_query(text)[1] == [["of a curator"]]
    assert bring(over_edits=True).updated["Style"] == 1
    assert graph.user_query(text)[1] == [["as it ships"]]
