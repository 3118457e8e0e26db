"""Does the database give the same neighbourhood as a snapshot, whatever its internal ids, and while it changes?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from kg.errors import GraphError, NodeNotFound
from kg.graph import Graph
from kg.schema import load_domain
from kg.snapshots.graph_neighbours import GraphNeighbours
from kg.snapshots.neighbourhood import neighbourhood
from kg.snapshots.sampling import Caps, Plan
from kg.snapshots.snapshot import Snapshot, pull
from tests.support.published import write

ARTGRAPH = load_domain("artgraph")
PLAN = Plan((4, 5), {"rev_Style": (6, 3)})
# Strangers to the domain hang on its nodes by its own relation types, and one type joins several labels.
FILL = """
UNWIND $styles AS style MERGE (s:Style {name: style}) WITH count(*) AS _
UNWIND $rows AS row
MERGE (w:Artwork {name: row.work}) SET w.title = 'Work ' + row.work
MERGE (a:Artist {name: row.artist}) MERGE (s:Style {name: row.style})
MERGE (c:City {name: row.city}) MERGE (n:Country {name: row.country}) MERGE (g:Gallery {name: row.gallery})
MERGE (w)-[:Author]->(a) MERGE (w)-[:Style]->(s) MERGE (w)-[:CompletedIn]->(c) MERGE (w)-[:CompletedIn]->(n)
MERGE (g)-[:Country]->(n) MERGE (c)-[:Country]->(n) MERGE (g)-[:City]->(c)
MERGE (:Stranger {of: row.work})-[:Style]->(s)
"""


def _fill(graph: Graph, *, rng_seed: int) -> None:
    """The same graph with other internal ids for every seed."""
    rng = np.random.default_rng(0)
    styles = [f"style {number}" for number in range(3)]
    rows = [
        {
            "work": f"work {number}", "artist": f"artist {min(rng.zipf(1.5), 60)}", "style": styles[rng.integers(0, 3)],
            "city": f"city {rng.integers(0, 12)}", "country": f"country {rng.integers(0, 3)}",
            "gallery": f"gallery {rng.integers(0, 20)}",
        }
        for number in range(700)
    ]  # fmt: skip
    order = np.random.default_rng(rng_seed).permutation(len(rows))
    write(graph, FILL, rows=[rows[place] for place in order], styles=styles[::-1] if rng_seed else styles)
    write(graph, "MATCH (w:Artwork {name: 'work 7'}) MERGE (w)-[:HAS_IMAGE]->(:Image {sha256: 'aa', uri: 'images/aa'})")


@pytest.fixture
def filled(graph: Graph) -> Graph:
    """700 works; every style is a hub of over 200, with as many strangers."""
    _fill(graph, rng_seed=0)
    return graph


@pytest.fixture
def source(filled: Graph, monkeypatch) -> Iterator[GraphNeighbours]:
    """The graph; lists of over 8 count as long, so that hubs are read by a few and by whole lists."""
    monkeypatch.setattr(GraphNeighbours, "whole", 8)
    with GraphNeighbours(filled, ARTGRAPH) as opened:
        yield opened


def _pull(graph: Graph, store, reporter) -> Snapshot:
    return pull(graph, ARTGRAPH, store, reporter=reporter)


@pytest.mark.parametrize("rng_seed", [1, 2])
@pytest.mark.parametrize(
    ("label", "seeds"), [("Style", ["style 1"]), ("Artwork", ["work 7", "work 3"]), ("Country", ["country 0"])]
)
def test_graph_and_snapshot_give_the_same(source, filled, store, reporter, label, seeds, rng_seed):
    snapshot = _pull(filled, store, reporter)
    asked = neighbourhood(source, label, seeds, PLAN, rng_seed=rng_seed)
    found = neighbourhood(snapshot, label, seeds, PLAN, rng_seed=rng_seed)
    assert asked.content.hash == found.content.hash
    assert asked.keys(label)[asked.seeds].tolist() == seeds
    assert {name: hops.tolist() for name, hops in asked.hops.items()} == {n: h.tolist() for n, h in found.hops.items()}
    assert asked.texts("Artwork")[0].startswith("Work work")
    if label == "Artwork":
        assert asked.content.images["sha256"].to_pylist() == ["aa"]


@pytest.mark.parametrize("caps", [Caps(nodes=12), Caps(edges=15), Caps(bytes=900)])
def test_caps_cut_both_alike(source, filled, store, reporter, caps):
    snapshot = _pull(filled, store, reporter)
    asked, found = (neighbourhood(s, "Style", ["style 0"], PLAN, rng_seed=5, caps=caps) for s in (source, snapshot))
    assert asked.content.hash == found.content.hash and asked.cut == found.cut != {}


def test_other_internal_ids_change_nothing(source, filled, store, reporter):
    before = neighbourhood(source, "Style", ["style 2"], PLAN, rng_seed=3).content.hash
    ids = filled.user_query("MATCH (n:Artwork) RETURN sum(id(n) * toInteger(substring(n.name, 5)))")[1]
    write(filled, "MATCH (n) DETACH DELETE n")
    _fill(filled, rng_seed=9)
    assert filled.user_query("MATCH (n:Artwork) RETURN sum(id(n) * toInteger(substring(n.name, 5)))")[1] != ids
    assert neighbourhood(source, "Style", ["style 2"], PLAN, rng_seed=3).content.hash == before


def test_what_was_written_since_is_seen(source, filled):
    assert neighbourhood(source, "Artwork", ["work 1"], Plan((5,))).count("Serie") == 0
    write(filled, "MATCH (w:Artwork {name: 'work 1'}) CREATE (w)-[:Serie]->(:Serie {name: 'water lilies'})")
    assert neighbourhood(source, "Artwork", ["work 1"], Plan((5,))).keys("Serie").tolist() == ["water lilies"]
    with pytest.raises(NodeNotFound, match="no Style 'cubism' in the graph"):
        neighbourhood(source, "Style", ["cubism"], PLAN)


def test_a_writer_between_two_questions_is_noticed(source, filled, monkeypatch):
    """Each hop is a question of its own: a style that is renamed in between must not give a mixture."""
    look, names = source.look, iter(range(100))

    def look_and_write(asked):
        found = look(asked)
        if next(names) < 3:
            write(filled, "CREATE (:Artwork {name: 'new ' + randomUUID()})")
        return found

    monkeypatch.setattr(source, "look", look_and_write)
    calm = neighbourhood(source, "Style", ["style 0"], PLAN, rng_seed=1)
    assert next(names) > 6  # several walks were made
    monkeypatch.setattr(source, "look", look)
    assert neighbourhood(source, "Style", ["style 0"], PLAN, rng_seed=1).content.hash == calm.content.hash
    names = iter([0] * 10_000)
    monkeypatch.setattr(source, "look", look_and_write)
    with pytest.raises(GraphError, match="somebody wrote during each of 5 reads"):
        neighbourhood(source, "Style", ["style 0"], PLAN, rng_seed=1)


def test_the_mark_of_the_newest_commit_moves_with_commits_only(filled):
    mark = filled.newest_commit()
    filled.user_query("MATCH (n) RETURN count(n)")
    assert filled.newest_commit() == mark
    write(filled, "MATCH (n:Style {name: 'style 0'}) SET n.title = 'changed'")
    assert filled.newest_commit() != mark
