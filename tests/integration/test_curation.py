"""Do edits through Korvai do what they say, leave a record, and come undone, on a real server?"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kg.changes import capture
from kg.changes.edit_record import decode
from kg.curation.edits import editing
from kg.curation.undo import describe, find_edits, undo
from kg.errors import EditConflict, NodeNotFound, SchemaViolation
from kg.failpoints import FailpointReached
from kg.graph import Graph
from kg.schema import Domain, load_domain
from tests.support.published import column, rows, write

_SMALL_WORLD = """
CREATE (impressionism:Style:Class {name: 'impressionism', embedding_x: [0.1, 0.2]}), (:Style:Class {name: 'realism'}),
       (m:Artist {name: 'monet', title: 'Claude Monet', birth: 1840, worked_in: ['Paris']}),
       (d:Artist {name: 'c-monet', title: 'C. Monet', nationality: 'French', worked_in: ['Paris', 'Giverny']}),
       (:Movement {name: 'Impressionism'})<-[:Movement {source: 'a'}]-(d), (m)-[:Field]->(:Field {name: 'painting'}),
       (d)-[:Field {source: 'b'}]->(:Field {name: 'drawing'}), (d)-[:Teacher]->(:Artist {name: 'boudin'}),
       (:Artist {name: 'pupil'})-[:Teacher]->(d),
       (a:Artwork {name: 'a.jpg', title: 'Haystacks'})-[:Style]->(impressionism), (a)-[:Author]->(m),
       (:Artwork {name: 'b.jpg'})-[:Author]->(d), (a)-[:HAS_IMAGE]->(:Image {sha256: 'ff'})
"""
_CONTENT = """
MATCH (n) WHERE NOT n:Edit
OPTIONAL MATCH (n)-[r]->(m) WHERE NOT m:Edit
WITH n, r, m ORDER BY type(r), m.name, m.sha256
WITH n, collect([type(r), properties(r), m.name]) AS ties
RETURN labels(n) AS labels, n {.*, embedding_x: null} AS properties, ties ORDER BY labels, n.name
"""

VERBS = [
    lambda d: d.create_node("Artist", "sisley", {"birth": 1839}),
    lambda d: d.create_node("Style", "tonalism", {"from_year": 1880}),
    lambda d: d.set_property("Artist", "monet", "birth", None),
    lambda d: d.set_property("Artist", "c-monet", "worked_in", ["Nice"]),
    lambda d: d.link("Artist", "monet", "Movement", "Impressionism", properties={"source": "x"}),
    lambda d: d.unlink("Artist", "c-monet", "Field", "drawing"),
    lambda d: d.move("a.jpg", "realism", task="style"),
    lambda d: d.move("b.jpg", "realism", task="style"),
    lambda d: d.merge("Artist", "monet", "c-monet"),
    lambda d: d.delete_node("Artist", "c-monet"),
    lambda d: d.delete_node("Artwork", "a.jpg"),
    lambda d: d.delete_node("Style", "impressionism"),
    lambda d: d.add_class("tonalism", {}, task="style", items=["a.jpg", "b.jpg"]),
]
REFUSALS = [
    (lambda d: d.create_node("Artist", "monet"), EditConflict, "korvai edit set"),
    (lambda d: d.create_node("Painter", "x"), SchemaViolation, "Artwork, Artist"),
    (lambda d: d.create_node("Artist", "  "), SchemaViolation, "empty"),
    (lambda d: d.set_property("Artist", "monet", "shoe_size", 43), SchemaViolation, "birth"),
    (lambda d: d.set_property("Artist", "monet", "birth", "long ago"), SchemaViolation, "must be INTEGER"),
    (lambda d: d.set_property("Artist", "monet", "name", "x"), SchemaViolation, "korvai edit merge"),
    (lambda d: d.link("Artist", "monet", "Style", "realism"), SchemaViolation, "it has Field, Movement"),
    (lambda d: d.link("Artwork", "a.jpg", "CompletedIn", "Paris"), SchemaViolation, "Country or City"),
    (lambda d: d.unlink("Artist", "monet", "Field", "drawing"), NodeNotFound, "it has 'painting'"),
    (lambda d: d.mark_wrong("Artist", "monet", "Field", "painting"), SchemaViolation, "--reason"),
    (lambda d: d.move("a.jpg", "no style", task="style"), NodeNotFound, "no style"),
    (lambda d: d.move("a.jpg", "realism"), SchemaViolation, "several tasks"),
    (lambda d: d.merge("Artist", "monet", "monet"), SchemaViolation, "itself"),
]


@pytest.fixture
def art(graph: Graph) -> Domain:
    capture.remove(graph)  # another file's tests may have left it on
    write(graph, _SMALL_WORLD)
    return load_domain("artgraph")


def content(graph: Graph) -> list:
    """Everything that is not an edit, comparable; vectors left out."""
    return [[sorted(labels), properties, sorted(map(str, ties))] for labels, properties, ties in rows(graph, _CONTENT)]


def log(graph: Graph) -> list[tuple[str, str]]:
    return [tuple(r) for r in rows(graph, "MATCH (e:Edit) RETURN e.kind, e.target_key ORDER BY e.at, e.kind, e.id")]


def test_an_edit_says_who_when_old_new_and_why(graph: Graph, art: Domain) -> None:
    with editing(graph, art, who="meera", reason="catalogue", batch="c1") as desk:
        desk.set_property("Artist", "monet", "birth", 1841)
        desk.set_property("Artist", "monet", "death", 1926)
    first, second = (edit for edit, _ in find_edits(graph, batch="c1"))
    if first.key == "death":
        first, second = second, first
    assert (first.who, first.reason, first.through, first.kind) == ("meera", "catalogue", "korvai", "set_property")
    assert (first.old_value, first.new_value, second.old_value) == (1840, 1841, None)
    assert first.at is not None and second.at is not None and first.at < second.at
    assert column(graph, "MATCH (e:Edit)-[:ON]->(n) RETURN n.name") == ["monet", "monet"]
    assert rows(graph, "MATCH (n:Artist {name: 'monet'}) RETURN n.birth, n.death") == [[1841, 1926]]


def test_every_verb_comes_undone_and_done_again(graph: Graph, art: Domain) -> None:
    before = content(graph)
    for number, work in enumerate(VERBS):
        with editing(graph, art, batch=f"b{number}") as desk:
            work(desk)
        after = content(graph)
        assert after != before, number
        undone = undo(graph, batch=f"b{number}")
        assert content(graph) == before, number
        again = undo(graph, batch=undone.batch)
        assert content(graph) == after, number
        undo(graph, batch=again.batch)
    assert not column(graph, "MATCH (n:Class) WHERE NOT n:Style RETURN n.name")


def test_a_merge_loses_nothing(graph: Graph, art: Domain) -> None:
    with editing(graph, art) as desk:
        desk.merge("Artist", "monet", "c-monet")
    (kept,) = column(graph, "MATCH (n:Artist {name: 'monet'}) RETURN n {.*}")
    assert kept == {
        "name": "monet",
        "title": "Claude Monet",
        "birth": 1840,
        "nationality": "French",
        "worked_in": ["Paris", "Giverny"],
    }
    assert any("C. Monet" in note for note in desk.notes)
    tied = rows(
        graph,
        "MATCH (n:Artist {name: 'monet'})-[r]-(m) WHERE NOT m:Edit RETURN type(r) AS r, m.name AS m ORDER BY r, m",
    )
    assert tied == [
        ["Author", "a.jpg"],
        ["Author", "b.jpg"],
        ["Field", "drawing"],
        ["Field", "painting"],
        ["Movement", "Impressionism"],
        ["Teacher", "boudin"],
        ["Teacher", "pupil"],
    ]
    deleted = next(e for e in desk.edits if e.kind == "delete_node")
    assert decode(deleted.old)["properties"]["title"] == "C. Monet"


def test_a_second_class_is_not_taken_over(graph: Graph, art: Domain) -> None:
    write(graph, "MATCH (b:Artwork {name: 'b.jpg'}), (s:Style {name: 'realism'}) CREATE (b)-[:Style]->(s)")
    before = content(graph)
    with editing(graph, art, batch="m") as desk:
        desk.merge("Artwork", "a.jpg", "b.jpg")
    assert column(graph, "MATCH (:Artwork)-[:Style]->(s) RETURN s.name") == ["impressionism"]
    assert any("not taken over" in note for note in desk.notes)
    undo(graph, batch="m")
    assert content(graph) == before


def test_a_preview_writes_nothing_and_refuses_the_same(graph: Graph, art: Domain) -> None:
    before = content(graph)
    with editing(graph, art, dry_run=True) as desk:
        desk.merge("Artist", "monet", "c-monet")
    assert len(desk.edits) > 5
    assert (content(graph), log(graph)) == (before, [])
    with pytest.raises(NodeNotFound, match="'nobody'"), editing(graph, art, dry_run=True) as desk:
        desk.delete_node("Artist", "nobody")


def test_what_cannot_be_done_says_why_and_leaves_nothing(graph: Graph, art: Domain) -> None:
    before = content(graph)
    for work, error, said in REFUSALS:
        with pytest.raises(error, match=said), editing(graph, art) as desk:
            desk.set_property("Artist", "boudin", "birth", 1824)
            work(desk)
    assert (content(graph), log(graph)) == (before, [])


def test_a_later_edit_stands_in_the_way_and_is_named(graph: Graph, art: Domain) -> None:
    with editing(graph, art, who="meera") as first:
        first.set_property("Artist", "monet", "birth", 1841)
    with editing(graph, art, who="anna") as second:
        second.set_property("Artist", "monet", "birth", 1842)
    before = content(graph), log(graph)
    with pytest.raises(EditConflict, match=second.edits[0].id) as refused:
        undo(graph, edit=first.edits[0].id)
    assert "anna" in str(refused.value)
    assert (content(graph), log(graph)) == before
    undo(graph, edit=second.edits[0].id)
    undo(graph, edit=first.edits[0].id)
    assert column(graph, "MATCH (n:Artist {name: 'monet'}) RETURN n.birth") == [1840]


def test_a_new_node_that_others_built_on_stays(graph: Graph, art: Domain) -> None:
    with editing(graph, art) as first:
        first.create_node("Artist", "sisley")
    with editing(graph, art) as second:
        second.link("Artwork", "b.jpg", "Author", "sisley")
    with pytest.raises(EditConflict, match=second.edits[0].id):
        undo(graph, edit=first.edits[0].id)
    with editing(graph, art) as third:
        third.unlink("Artwork", "b.jpg", "Author", "sisley")
    undo(graph, edit=first.edits[0].id)
    assert not column(graph, "MATCH (n:Artist {name: 'sisley'}) RETURN n")


def test_a_deleted_neighbour_stands_in_the_way(graph: Graph, art: Domain) -> None:
    with editing(graph, art) as first:
        first.unlink("Artist", "c-monet", "Teacher", "boudin")
    with editing(graph, art) as second:
        second.delete_node("Artist", "boudin")
    with pytest.raises(EditConflict, match="delete node Artist 'boudin'"):
        undo(graph, edit=first.edits[0].id)


def test_undo_is_refused_twice_and_finds_nothing_for_nonsense(graph: Graph, art: Domain) -> None:
    with editing(graph, art) as desk:
        desk.set_property("Artist", "monet", "birth", 1841)
    undone = undo(graph, edit=desk.edits[0].id)
    with pytest.raises(EditConflict, match=undone.edits[0].id):
        undo(graph, edit=desk.edits[0].id)
    with pytest.raises(NodeNotFound, match="korvai edits"):
        undo(graph, edit="0" * 16)
    with pytest.raises(SchemaViolation):
        undo(graph)


def test_one_batch_of_several_transactions_goes_back_in_order(graph: Graph, art: Domain) -> None:
    before = content(graph)
    for year in (1841, 1842, 1843):
        with editing(graph, art, batch="years") as desk:
            desk.set_property("Artist", "monet", "birth", year)
    after = content(graph)
    undone = undo(graph, batch="years")
    assert content(graph) == before
    undo(graph, batch=undone.batch)
    assert content(graph) == after


def test_a_crash_leaves_nothing_half_written(graph: Graph, art: Domain, monkeypatch) -> None:
    places = ["curation.between_statements", "curation.before_record", "curation.before_commit"]
    before = content(graph)
    for place in places:
        monkeypatch.setenv("KORVAI_FAILPOINT", place)
        with pytest.raises(FailpointReached), editing(graph, art) as desk:
            desk.merge("Artist", "monet", "c-monet")
        assert (content(graph), log(graph)) == (before, [])
    monkeypatch.delenv("KORVAI_FAILPOINT")
    with editing(graph, art, batch="m") as desk:
        desk.merge("Artist", "monet", "c-monet")
    merged = content(graph), log(graph)
    for place in places:
        monkeypatch.setenv("KORVAI_FAILPOINT", place)
        with pytest.raises(FailpointReached):
            undo(graph, batch="m")
        assert (content(graph), log(graph)) == merged


@pytest.fixture
def captured(graph: Graph, art: Domain) -> Iterator[None]:
    """Raw Cypher is recorded from here on."""
    capture.install(graph, art)
    yield
    capture.remove(graph)


def test_raw_cypher_comes_undone_too(graph: Graph, art: Domain, captured: None) -> None:
    before = content(graph)
    write(graph, "MATCH (n:Artist {name: 'monet'}) SET n.birth = 1841, n.nationality = 'French' REMOVE n.title")
    write(graph, "MATCH (n:Artist {name: 'c-monet'}) DETACH DELETE n")
    write(graph, "MATCH (a:Artwork {name: 'a.jpg'})-[r:Style]->() DELETE r CREATE (a)-[:Style]->(:Style {name: 'new'})")
    batches = column(graph, "MATCH (e:Edit) WITH e.batch AS b, max(e.at) AS at RETURN b ORDER BY at DESC")
    assert len(batches) == 3
    assert set(column(graph, "MATCH (e:Edit) RETURN DISTINCT e.through")) == {"cypher"}
    for batch in batches:
        undo(graph, batch=batch)
    assert content(graph) == before
    assert log(graph), "the trigger leaves Korvai's own transactions alone"
    count = column(graph, "MATCH (e:Edit) RETURN e.through AS t, count(*) ORDER BY t")
    assert count == ["cypher", "korvai"]


def test_a_raw_edit_stands_in_the_way_of_an_undo(graph: Graph, art: Domain, captured: None) -> None:
    with editing(graph, art) as desk:
        desk.set_property("Artist", "monet", "birth", 1841)
    write(graph, "MATCH (n:Artist {name: 'monet'}) SET n.birth = 1850")
    (later,) = column(graph, "MATCH (e:Edit {through: 'cypher'}) RETURN e.id")
    with pytest.raises(EditConflict, match=later):
        undo(graph, edit=desk.edits[0].id)


def test_many_edits_go_back_together(graph: Graph, art: Domain) -> None:
    write(graph, "UNWIND range(1, 300) AS n CREATE (:Artwork {name: 'w' + n})")
    before = content(graph)
    with editing(graph, art, batch="many") as desk:
        desk.add_class("tonalism", task="style", items=[f"w{n}" for n in range(1, 301)])
    undone = undo(graph, batch="many")
    assert len(undone.edits) == 301
    assert content(graph) == before


def test_describe_is_one_line(graph: Graph, art: Domain) -> None:
    with editing(graph, art, dry_run=True) as desk:
        desk.set_property("Artist", "monet", "description", "a\nb" * 500)
        desk.move("a.jpg", "realism", task="style")
    lines = [describe(edit) for edit in desk.edits]
    assert all(len(line) < 250 and "\n" not in line for line in lines)
    assert lines[-1] == "create relation Artwork 'a.jpg' -[Style]-> Style 'realism'"
