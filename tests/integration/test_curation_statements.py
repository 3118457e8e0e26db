"""Do the saved statements do in Neo4j Browser what the commands do, and is what they did recorded and undone?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kg.changes import capture
from kg.curation.edits import editing
from kg.curation.undo import undo
from kg.graph import Graph
from kg.schema import Domain, load_domain
from kg.statements import browser_text, parse_values, statement_for
from tests.support.published import column, rows, write

_WORLD = """
CREATE (i:Style:Class {name: 'impressionism'}), (:Style:Class {name: 'realism', description: 'x'}),
       (m:Artist {name: 'monet', worked_in: ['Paris']}),
       (d:Artist {name: 'c-monet', nationality: 'French', worked_in: ['Paris', 'Nice']}), (:Field {name: 'painting'}),
       (d)-[:Movement {source: 'a'}]->(:Movement {name: 'Impressionism'}),
       (a:Artwork {name: 'a.jpg'})-[:Style]->(i), (a)-[:Author]->(m), (:Artwork {name: 'b.jpg'})-[:Author]->(d)
"""
_CONTENT = """
MATCH (n) WHERE NOT n:Edit
OPTIONAL MATCH (n)-[r]->(m) WHERE NOT m:Edit
WITH n, r, m ORDER BY type(r), m.name
WITH n, collect([type(r), properties(r), m.name]) AS ties
RETURN labels(n), n {.*}, ties ORDER BY labels(n), n.name
"""


@pytest.fixture
def art(graph: Graph) -> Iterator[Domain]:
    capture.remove(graph)
    domain = load_domain("artgraph")
    write(graph, _WORLD)
    capture.install(graph, domain)
    yield domain
    capture.remove(graph)


def content(graph: Graph) -> list:
    return [
        [sorted(labels), sorted(map(str, ps.items())), sorted(map(str, t))] for labels, ps, t in rows(graph, _CONTENT)
    ]


def paste(graph: Graph, domain: Domain, name: str, slots: dict[str, str] | None = None, **values: Any) -> None:
    """As a curator pastes it: as raw Cypher, which the trigger sees."""
    statement = statement_for(None, name, domain, "style", slots=slots)
    text = browser_text(statement, parse_values(statement, {}, values), inline=True)
    write(graph, text.rstrip(";"))


def test_pasted_edits_equal_the_commands_and_come_undone(graph: Graph, art: Domain) -> None:
    artist = {"node": "Artist", "node_key": "name"}
    cases = [
        (
            "items/move_to_class",
            None,
            {"items": ["a.jpg"], "class": "realism"},
            lambda d: d.move("a.jpg", "realism", task="style"),
        ),
        (
            "nodes/merge",
            artist,
            {"keep": "monet", "duplicate": "c-monet"},
            lambda d: d.merge("Artist", "monet", "c-monet"),
        ),
        (
            "relations/mark_wrong",
            artist,
            {"key": "c-monet", "relation": "Movement", "other": "Impressionism"},
            lambda d: d.unlink("Artist", "c-monet", "Movement", "Impressionism"),
        ),
        (
            "classes/add",
            None,
            {"class": "tonalism", "description": "y", "items": ["b.jpg"]},
            lambda d: d.add_class("tonalism", {"description": "y"}, task="style", items=["b.jpg"]),
        ),
    ]
    before = content(graph)
    for name, slots, values, work in cases:
        with editing(graph, art) as desk:
            work(desk)
        through_korvai = content(graph)
        undo(graph, batch=desk.batch)
        assert content(graph) == before, name
        paste(graph, art, name, slots, **values)
        assert content(graph) == through_korvai, name
        (batch,) = column(graph, "MATCH (e:Edit {through: 'cypher'}) RETURN e.batch ORDER BY e.at DESC LIMIT 1")
        undo(graph, batch=batch)
        assert content(graph) == before, name


def test_an_artist_is_added_and_what_is_unknown_is_told(graph: Graph, art: Domain) -> None:
    statement = statement_for(None, "artists/add", art, "style")
    given = {"name": "sisley", "title": "Alfred Sisley", "birth": 1839, "movements": ["Impressionism", "no movement"]}
    (row,) = graph.run(statement, **parse_values(statement, {}, {**given, "artworks": ["b.jpg"]}))
    assert row == {"artist": "sisley", "relations": 2, "not_found": ["no movement"]}
    assert graph.run(statement, **parse_values(statement, {}, given))[0]["relations"] == 2
    assert column(graph, "MATCH (n:Artist {name: 'sisley'}) RETURN n {.*}") == [
        {"name": "sisley", "title": "Alfred Sisley", "birth": 1839}
    ]


def test_what_is_missing_is_listed(graph: Graph, art: Domain) -> None:
    statement = statement_for(None, "items/list_missing", art, "style")
    assert [(row["key"], row["missing"]) for row in graph.run(statement, limit=10)] == [
        ("impressionism", ["description"]),
        ("realism", ["item"]),
        ("b.jpg", ["image", "class"]),
        ("a.jpg", ["image"]),
    ]


def test_undo_and_reason_in_browser(graph: Graph, art: Domain) -> None:
    before = content(graph)
    write(graph, "MATCH (n:Artist {name: 'monet'}) SET n.birth = 1840, n.worked_in = ['Nice']")
    write(graph, "MATCH (n:Artist {name: 'c-monet'})-[r:Movement]->() DELETE r")
    write(graph, "CREATE (:Artist {name: 'new'})")
    write(graph, "MATCH (n:Field) DELETE n")
    write(graph, "MATCH (n:Artist {name: 'monet'}) SET n.birth = 1841")
    edits = rows(graph, "MATCH (e:Edit) RETURN e.id, e.key, e.batch ORDER BY e.at, e.key")
    births = [edit for edit, key, _ in edits if key == "birth"]
    graph.run("edits/give_reason", batch=edits[0][2], reason="because", who="")
    assert column(graph, "MATCH (e:Edit {reason: 'because'}) RETURN count(e)") == [2]
    assert graph.run("edits/undo", id=births[0])[0]["undone"] is False
    for edit in (births[1], *(e for e, _, _ in edits if e != births[1])):
        assert graph.run("edits/undo", id=edit)[0]["undone"] is True, edit
    assert content(graph) == before
