"""Is every change that somebody types as raw Cypher recorded, with who, old and new value, and nothing else?"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator

import pytest

from kg.changes import capture
from kg.changes.edit_record import Edit, in_order
from kg.graph import Graph
from kg.schema import load_domain
from tests.support.published import column, write

LONG_AGO = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
SAREE = load_domain("saree")


@pytest.fixture
def watched(graph: Graph) -> Iterator[Graph]:
    """A graph whose raw edits are recorded; above thirty in one transaction they are counted."""
    capture.install(graph, SAREE, bulk=30)
    yield graph
    capture.remove(graph)


def recorded(graph: Graph) -> list[Edit]:
    return in_order(capture.recorded(graph, SAREE, since=LONG_AGO))


def told(graph: Graph) -> list[tuple]:
    """What the edits say, without ids and times."""
    return [(e.kind, e.target_type, e.target_key, e.key, e.old_value, e.new_value) for e in recorded(graph)]


def test_it_can_be_switched_on_and_off(graph):
    assert not capture.status(graph).on
    first = capture.install(graph, SAREE)
    assert first.on and first.live and first.covers(SAREE, dt.datetime.now(dt.UTC))
    assert not first.covers(load_domain("artgraph"), dt.datetime.now(dt.UTC))
    assert not first.covers(SAREE, first.since - dt.timedelta(seconds=1))
    assert capture.install(graph, SAREE).since == first.since
    capture.remove(graph)
    write(graph, "CREATE (:Motif {name: 'mango'})")
    assert not capture.status(graph).on
    assert recorded(graph) == []


def test_nodes_properties_and_labels(watched):
    write(watched, "CREATE (:Motif:Old {name: 'mango', n: 1, embedding_x: [0.5]})")
    write(
        watched, "MATCH (m:Motif) SET m.n = 2, m.day = date('1590-01-02'), m:Class, m:Seen REMOVE m:Old, m.embedding_x"
    )
    write(watched, "MATCH (m:Motif) SET m.n = 2")
    write(watched, "MATCH (m:Motif) REMOVE m.n SET m.name = 'paisley', m.embedding_y = [1.0]")
    write(watched, "MATCH (m:Motif) DETACH DELETE m")
    before, after = {"name": "mango", "n": 1}, {"name": "paisley", "day": dt.date(1590, 1, 2)}
    found = told(watched)
    assert found[0] == ("create_node", "Motif", "mango", None, None, {"labels": ["Motif", "Old"], "properties": before})
    assert Counter(map(repr, found[1:5])) == Counter(
        map(
            repr,
            [
                ("set_property", "Motif", "mango", "n", 1, 2),
                ("set_property", "Motif", "mango", "day", None, dt.date(1590, 1, 2)),
                ("add_label", "Motif", "mango", "Seen", None, None),
                ("remove_label", "Motif", "mango", "Old", None, None),
            ],
        )
    )
    assert found[5:7] == [
        ("set_property", "Motif", "paisley", "name", "mango", "paisley"),
        ("remove_property", "Motif", "paisley", "n", 2, None),
    ]
    gone = found[7][4]
    assert found[7][:4] == ("delete_node", "Motif", "paisley", None)
    assert (gone["properties"], sorted(gone["labels"])) == (after, ["Motif", "Seen"])
    assert len(found) == 8


def test_relations_and_what_a_detach_delete_takes_along(watched):
    write(
        watched,
        "CREATE (:Cluster {name: 'a'})-[:HAS_MOTIF {basis: 'seen'}]->(m:Motif {name: 'm'}), "
        "(m)<-[:HAS_MOTIF]-(:Cluster {name: 'b'})",
    )
    write(watched, "MATCH (:Cluster {name: 'a'})-[r]->() SET r.basis = 'told'")
    write(watched, "MATCH (m:Motif), (a:Cluster {name: 'a'}) DETACH DELETE m, a")
    relations = [e for e in recorded(watched) if e.on_relation]
    assert all((e.relation, e.other_type, e.other_key) == ("HAS_MOTIF", "Motif", "m") for e in relations)
    said = [(e.kind, e.target_key, e.old_value, e.new_value) for e in relations]
    assert sorted(map(repr, said)) == sorted(
        map(
            repr,
            [
                ("create_relation", "a", None, {"basis": "seen"}),
                ("create_relation", "b", None, {}),
                ("set_property", "a", "seen", "told"),
                ("delete_relation", "a", {"basis": "told"}, None),
                ("delete_relation", "b", {}, None),
            ],
        )
    )
    assert {(e.target_key) for e in recorded(watched) if e.kind == "delete_node"} == {"a", "m"}
    assert len({e.batch for e in recorded(watched)}) == 3, "one transaction, one batch"


def test_it_says_who_and_when_and_hangs_on_what_is_left(watched):
    write(watched, "CREATE (:Cluster {name: 'a'})-[:HAS_MOTIF]->(:Motif {name: 'm'})")
    assert {e.who for e in recorded(watched)} == {watched.address.user}
    assert all(abs(dt.datetime.now(dt.UTC) - e.at) < dt.timedelta(minutes=5) for e in recorded(watched))
    assert column(watched, "MATCH (e:Edit)-[:ON]->(n) RETURN n.name ORDER BY n.name") == ["a", "a", "m"]
    write(watched, "MATCH (n:Motif) DETACH DELETE n")
    assert column(watched, "MATCH (e:Edit)-[:ON]->(n) RETURN n.name") == ["a", "a", "a"]


def test_korvais_own_transactions_and_overlay_are_left_alone(watched):
    with watched.transaction("test") as tx:
        tx._tx.run("CREATE (:Motif {name: 'own'})")
    write(watched, "CREATE (:Image {sha256: 'x'}), (:Nobody {name: 'n'})-[:KNOWS]->(:Nobody)")
    write(
        watched,
        "MATCH (m:Motif), (i:Image) SET i.width = 3, m:Class, m.embedding_s = [1.0] "
        "CREATE (i)-[:HAS_CAPTION]->(:Caption {id: 'c'})",
    )
    assert recorded(watched) == []
    write(watched, "MATCH (m:Motif), (i:Image) CREATE (m)-[:HAS_IMAGE]->(i)")
    assert [(e.relation, e.other_type, e.other_key) for e in recorded(watched)] == [("HAS_IMAGE", "Image", "x")]


def test_a_rolled_back_edit_is_no_edit(watched):
    with watched._session("write") as session:
        tx = session.begin_transaction()
        tx.run("CREATE (:Motif {name: 'mango'})").consume()
        tx.rollback()
    assert recorded(watched) == []


def test_any_value_that_a_property_can_hold_is_recorded(watched):
    write(
        watched,
        "CREATE (:Motif {name: 'm', i: 1, f: 1.0, nan: 0.0/0.0, b: true, l: ['a', 'b'], e: [], d: date('1590-01-02'), "
        "at: datetime('2020-01-02T03:04:05Z'), t: time('12:50:35+01:00'), p: point({x: 1, y: 2}), "
        "du: duration('P1D'), dl: [date('2020-01-01')]})",
    )
    properties = recorded(watched)[0].new_value["properties"]
    assert (properties["i"], properties["f"], properties["l"], properties["e"]) == (1, 1.0, ["a", "b"], [])
    assert isinstance(properties["f"], float) and properties["nan"] != properties["nan"]
    assert properties["at"] == dt.datetime(2020, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    assert set(properties["p"]) == set(properties["du"]) == set(properties["dl"]) == {"$OTHER"}


def test_a_bulk_is_counted_by_kind(watched):
    write(watched, "UNWIND range(1, 20000) AS i CREATE (:Motif {name: 'm' + i})")
    write(watched, "MATCH (m:Motif) WHERE m.name ENDS WITH '77' SET m.seen = true")
    counted = [(e.kind, e.target_type, e.key, e.count) for e in recorded(watched)]
    assert counted == [("create_node", "Motif", None, 20000), ("set_property", "Motif", "seen", 200)]
    assert all(e.target_key is None and e.who == watched.address.user for e in recorded(watched))


def test_schema_changes_and_nodes_without_a_key_do_no_harm(watched):
    write(watched, "CREATE INDEX korvai_test IF NOT EXISTS FOR (m:Motif) ON (m.n)")
    write(watched, "DROP INDEX korvai_test")
    write(watched, "CREATE (:Motif {n: 1})")
    assert [(e.kind, e.target_key) for e in recorded(watched)] == [("create_node", None)]


def test_warming_up_leaves_nothing_behind(watched):
    assert capture.warm_up(watched)
    assert (recorded(watched), column(watched, "MATCH (n) RETURN count(n)")) == ([], [0])
    capture.remove(watched)
    assert not capture.warm_up(watched)
