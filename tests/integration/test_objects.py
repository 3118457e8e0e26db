"""Do notebooks read and change the domain as objects, without taking anything away that others wrote?"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kg.changes import capture
from kg.curation.undo import undo
from kg.errors import NodeNotFound, SchemaViolation, StatementError
from kg.graph import Graph
from kg.objects import Objects, open_objects
from kg.settings import Settings
from tests.support.published import column, rows, write

_WORLD = """
CREATE (s:Style:Class {name: 'realism', embedding_x: [0.1, 0.2]}), (i:Style:Class {name: 'impressionism'}),
       (a:Artwork {name: 'a.jpg', title: 'Haystacks', year: 1890})-[:Style]->(i),
       (a)-[:Author]->(m:Artist {name: 'monet', birth: 1840}), (:Artwork {name: 'b.jpg'})-[:Author]->(m),
       (a)-[:CompletedIn]->(:City {name: 'Giverny'}), (a)-[:CompletedIn]->(:Country {name: 'France'}),
       (m)-[:Movement {source: 'a'}]->(:Movement {name: 'Impressionism'})
"""


@pytest.fixture
def objects(graph: Graph, server: Settings) -> Iterator[Objects]:
    capture.remove(graph)
    write(graph, _WORLD)
    capture.install(graph)
    yield open_objects(server, "artgraph")
    capture.remove(graph)


def test_read_change_save_and_take_it_back(graph: Graph, objects: Objects) -> None:
    painting = objects.get("Artwork", "a.jpg")
    assert (painting.title, painting.year) == ("Haystacks", 1890)
    (artist,) = painting.author
    assert (type(artist).__name__, artist.birth) == ("Artist", 1840)
    assert sorted(work.name for work in artist.author_of) == ["a.jpg", "b.jpg"]
    assert sorted((type(p).__name__, p.name) for p in painting.completed_in) == [
        ("City", "Giverny"),
        ("Country", "France"),
    ]
    assert [(r, p) for _, (r, p), _ in artist.movement.triples()] == [("Movement", {"source": "a"})]

    painting.year = 1891
    (old,) = painting.style
    painting.style.remove(old)
    painting.style.add(objects.get("Style", "realism"))
    # Meanwhile somebody else works on the same painting, and a set is published.
    write(
        graph, "MATCH (n:Artwork {name: 'a.jpg'}), (c:City) SET n.description = 'seen' CREATE (n)-[:CompletedIn]->(c)"
    )
    write(graph, "MATCH (n:Style {name: 'realism'}) SET n.embedding_y = [1.0]")
    count = len(column(graph, "MATCH (e:Edit) RETURN e.id"))
    objects.save(painting)

    assert rows(graph, "MATCH (n:Artwork {name: 'a.jpg'})-[:Style]->(s) RETURN n.year, n.description, s.name") == [
        [1891, "seen", "realism"]
    ]
    assert len(column(graph, "MATCH (:Artwork)-[r:CompletedIn]->() RETURN r")) == 3
    assert column(graph, "MATCH (n:Style {name: 'realism'}) RETURN size(n.embedding_x) + size(n.embedding_y)") == [3]
    made = rows(
        graph,
        "MATCH (e:Edit) WITH e ORDER BY e.at, e.id SKIP $n RETURN e.kind, e.through, e.batch ORDER BY e.kind",
        n=count,
    )
    assert [kind for kind, _, _ in made] == ["create_relation", "delete_relation", "set_property"]
    assert {through for _, through, _ in made} == {"cypher"}
    undo(graph, batch=made[0][2])
    assert rows(graph, "MATCH (n:Artwork {name: 'a.jpg'})-[:Style]->(s) RETURN n.year, s.name") == [
        [1890, "impressionism"]
    ]


def test_new_objects_and_refusals(graph: Graph, objects: Objects) -> None:
    sisley = objects["Artist"](name="sisley", birth=1839)
    sisley.teacher.add(objects.get("Artist", "monet"), source="b")
    tonalism = objects["Style"](name="tonalism")
    objects.save(sisley, tonalism)
    assert rows(graph, "MATCH (n:Artist {name: 'sisley'})-[r]->(m) RETURN n.birth, r.source, m.name") == [
        [1839, "b", "monet"]
    ]
    assert column(graph, "MATCH (n:Style:Class {name: 'tonalism'}) RETURN n.name") == ["tonalism"]
    assert [a.name for a in objects.match("Artist", birth=1840)] == ["monet"]
    with pytest.raises(StatementError, match="sisley"):
        objects.save(objects["Artist"](name="sisley"))
    with pytest.raises(NodeNotFound, match="nobody"):
        objects.get("Artist", "nobody")
    with pytest.raises(SchemaViolation, match="Painter"):
        objects.get("Painter", "x")
    objects.delete(sisley)
    assert not column(graph, "MATCH (n:Artist {name: 'sisley'}) RETURN n")
    assert "embedding_x" not in dict(objects.get("Style", "realism").__node__)


def test_the_other_domain_has_objects_too(graph: Graph, objects: Objects, server: Settings) -> None:
    write(graph, "CREATE (:Cluster:Class {name: 'K'})-[:BODY_COLOUR {share: 0.5}]->(:Colour {name: 'red'})")
    sarees = open_objects(server, "saree")
    (cluster,) = sarees.get("Colour", "red").body_colour_of
    assert (type(cluster).__name__, cluster.name) == ("Cluster", "K")
