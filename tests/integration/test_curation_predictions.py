"""Do proposals say what the set says, and do accepting, rejecting and undo leave a whole graph?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kg.classify import classify_item
from kg.curation.predictions import decide, list_predictions, propose
from kg.curation.undo import undo
from kg.errors import EditConflict, NodeNotFound
from kg.failpoints import FailpointReached
from kg.graph import Graph
from kg.publishing.publish import publish
from kg.schema import Domain
from kg.statements import browser_text, statement_for
from kg.store import Store
from tests.support.published import column, craft, publication, rows, write

_OPEN = ["i00", "i01", "i02", "i03"]


@pytest.fixture
def saree(graph: Graph, store: Store, tmp_path: Path, reporter) -> Iterator[Domain]:
    domain = craft(graph, items=8)
    publish(graph, store, publication(tmp_path, items=8), reporter=reporter)
    write(graph, "MATCH (i:Saree)-[r:OF_CLUSTER]->() WHERE i.name IN $open DELETE r", open=_OPEN)
    yield domain


def states(graph: Graph) -> list[list]:
    return rows(
        graph,
        """MATCH (p:Prediction)-[:OF]->(i) MATCH (p)-[:SAYS]->(c) MATCH (p)-[:FROM]->(:EmbeddingSet)
        RETURN i.name, c.name, p.state, p.reviewer ORDER BY i.name""",
    )


def test_proposals_are_what_the_set_says_and_come_once(graph: Graph, saree: Domain, reporter) -> None:
    made = propose(graph, saree, reporter=reporter)
    assert (made.looked_at, made.proposed, made.skipped) == (4, 4, 0)
    for row in list_predictions(graph, saree):
        best = classify_item(graph, saree, None, row["item"], k=1)[0]
        assert (row["class"], row["embedding_set"]) == (best.class_key, best.embedding_set)
        assert row["score"] == pytest.approx(best.probability, rel=1e-9)
    again = propose(graph, saree, reporter=reporter)
    assert (again.looked_at, again.proposed) == (4, 4)
    assert len(states(graph)) == 4
    few = propose(graph, saree, limit=1, at_least=1.0, reporter=reporter)
    assert (few.looked_at, few.proposed) == (1, 0)


def test_accept_reject_and_undo(graph: Graph, saree: Domain, reporter, monkeypatch) -> None:
    propose(graph, saree, reporter=reporter)
    before = states(graph)
    preview = decide(graph, saree, accept=True, ids=["i00", "i01"], dry_run=True)
    assert (len(preview.rows), states(graph)) == (2, before)
    monkeypatch.setenv("KORVAI_FAILPOINT", "curation.before_record")
    with pytest.raises(FailpointReached):
        decide(graph, saree, accept=True)
    monkeypatch.delenv("KORVAI_FAILPOINT")
    assert (states(graph), column(graph, "MATCH (e:Edit) RETURN e")) == (before, [])

    write(graph, "MATCH (i:Saree {name: 'i01'}), (c:Cluster {name: 'c00'}) CREATE (i)-[:OF_CLUSTER]->(c)")
    done = decide(graph, saree, accept=True, ids=["i00", "i01", "i02"], who="meera", reason="sure", batch="acc")
    assert sorted(row["item"] for row in done.rows) == ["i00", "i02"]
    assert [row["item"] for row in done.left] == ["i01"]
    said = {row["item"]: row["class"] for row in done.rows}
    rejected = decide(graph, saree, accept=False, ids=["i03"], who="meera")
    assert [row["item"] for row in rejected.rows] == ["i03"]
    assert {(i, s, r) for i, _, s, r in states(graph)} == {
        ("i00", "accepted", "meera"),
        ("i01", "proposed", None),
        ("i02", "accepted", "meera"),
        ("i03", "rejected", "meera"),
    }
    assert rows(graph, "MATCH (i:Saree {name: 'i00'})-[:OF_CLUSTER]->(c) RETURN c.name") == [[said["i00"]]]
    assert propose(graph, saree, reporter=reporter).skipped == 1

    undo(graph, batch="acc")
    assert [state for _, _, state, _ in states(graph)] == ["proposed", "proposed", "proposed", "rejected"]
    assert not column(graph, "MATCH (i:Saree {name: 'i00'})-[:OF_CLUSTER]->(c) RETURN c.name")
    undo(graph, batch=rejected.batch)
    assert states(graph) == before


def test_an_accepted_item_that_was_moved_stays(graph: Graph, saree: Domain, reporter) -> None:
    propose(graph, saree, reporter=reporter)
    done = decide(graph, saree, accept=True, ids=["i00"])
    write(graph, "MATCH (:Saree {name: 'i00'})-[r:OF_CLUSTER]->() DELETE r")
    before = states(graph)
    with pytest.raises(EditConflict):
        undo(graph, batch=done.batch)
    assert states(graph) == before


def test_the_browser_does_the_same(graph: Graph, saree: Domain, reporter) -> None:
    propose(graph, saree, reporter=reporter)
    statement = statement_for(graph, "predictions/accept", saree)
    values = {
        "domain": "saree",
        "task": "cluster",
        "reviewer": "x",
        "class": "",
        "at_least": 0.0,
        "ids": [],
        "limit": 9,
    }
    write(graph, browser_text(statement, values, inline=True).rstrip(";"))
    assert [state for _, _, state, _ in states(graph)] == ["accepted"] * 4


def test_nothing_published_says_what_to_do(graph: Graph, reporter) -> None:
    with pytest.raises(NodeNotFound, match="korvai retrain"):
        propose(graph, craft(graph), reporter=reporter)


def test_an_item_and_its_neighbours_drag_no_vectors_but_its_class(graph: Graph, saree: Domain, reporter) -> None:
    propose(graph, saree, reporter=reporter)
    decide(graph, saree, accept=True, ids=["i00"])
    dragged = column(
        graph,
        """MATCH (n:Saree)--(m) UNWIND [n, m] AS x WITH DISTINCT x UNWIND keys(x) AS k
        WITH x, k WHERE valueType(x[k]) STARTS WITH 'LIST<FLOAT' RETURN DISTINCT labels(x)""",
    )
    assert [sorted(labels) for labels in dragged] == [["Class", "Cluster"]]
    assert column(graph, "MATCH (v:ImageVector) RETURN size(keys(v)) LIMIT 1"), "vectors there are, a step further"
