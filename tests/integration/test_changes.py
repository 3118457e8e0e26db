"""Do recorded edits and the comparison of columns say the same of what changed since a snapshot?"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kg.changes import capture
from kg.changes.compare import Changes, NodeChanges, RelationChanges
from kg.changes.patched import NotPatchable
from kg.changes.since import Since, changes_since
from kg.graph import Graph
from kg.schema import load_domain
from kg.snapshots.snapshot import Snapshot, pull
from kg.store import Store
from tests.support.published import write

SAREE = load_domain("saree")
OF, SHARED, MOTIF = (
    ("Saree", "OF_CLUSTER", "Cluster"),
    ("Cluster", "BODY_MOTIF", "Motif"),
    ("Cluster", "HAS_MOTIF", "Motif"),
)
GRAPH = """
UNWIND range(0, 4) AS i CREATE (c:Cluster {name: 'c' + i}), (m:Motif {name: 'm' + i}) WITH i, c, m
CREATE (c)-[:BODY_MOTIF {share: 0.5}]->(m), (c)-[:HAS_MOTIF]->(m)
WITH i, c UNWIND range(0, 3) AS j
CREATE (s:Saree {name: 's' + i + j})-[:OF_CLUSTER]->(c), (s)-[:HAS_IMAGE]->(:Image {sha256: 'h' + i + j, uri: 'x'})
"""

EDITS = {
    "move an item": ("MATCH (:Saree {name: 's00'})-[r]->(:Cluster), (s:Saree {name: 's00'}), (c:Cluster {name: 'c1'}) "
    "DELETE r CREATE (s)-[:OF_CLUSTER]->(c)"),
    "another text": "MATCH (c:Cluster {name: 'c2'}) SET c.description = 'woven by the river'",
    "a property that no text holds": "MATCH (c:Cluster {name: 'c2'}) SET c.colour_of_no_text = 1",
    "a new class with relations": ("MATCH (m:Motif {name: 'm0'}) CREATE (c:Cluster {name: 'c0a'})-[:BODY_MOTIF]->(m), "
    "(c)-[:HAS_MOTIF]->(m)"),
    "a share of no one's": "MATCH (c:Cluster {name: 'c1'}), (m:Motif {name: 'm3'}) CREATE (c)-[:BODY_MOTIF]->(m)",
    "another share": "MATCH (:Cluster {name: 'c3'})-[r:BODY_MOTIF]->() SET r.share = 0.25",
    "the same relation twice": "MATCH (c:Cluster {name: 'c3'}), (m:Motif {name: 'm3'}) CREATE (c)-[:HAS_MOTIF]->(m)",
    "delete a node": "MATCH (m:Motif {name: 'm0'}) DETACH DELETE m",
    "rename a node": "MATCH (m:Motif {name: 'm1'}) SET m.name = 'a1'",
    "another label": "MATCH (m:Motif {name: 'm2'}) REMOVE m:Motif SET m:Technique",
    "there and back": "MATCH (c:Cluster {name: 'c4'}), (m:Motif {name: 'm4'}) CREATE (c)-[r:HAS_MOTIF]->(m) DELETE r",
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def off_at_the_end(server) -> Iterator[None]:
    """No trigger stays on the test server."""
    from kg.graph import connect

    yield
    with connect(server) as graph:
        capture.remove(graph)


@pytest.fixture
def old(graph: Graph, store: Store, reporter) -> Snapshot:
    """A snapshot of the little graph, whose raw edits are recorded from now on."""
    # As Korvai's own: the trigger of an earlier test, which has recorded how the graph was emptied, leaves it alone.
    with graph.transaction("test") as tx:
        tx._tx.run("MATCH (e:Edit) DETACH DELETE e").consume()
        tx._tx.run(GRAPH).consume()
    capture.install(graph, SAREE)
    return pull(graph, SAREE, store, reporter=reporter)


def both(graph: Graph, store: Store, old: Snapshot, reporter) -> Since:
    """What changed by edits, once it is sure that the comparison says the same."""
    found = changes_since(graph, store, old, reporter=reporter, by_edits=True)
    compared = changes_since(graph, store, old, reporter=reporter, by_edits=False)
    assert found.compared is None
    assert found.changes == compared.changes
    assert found.snapshot.content_hash == compared.snapshot.content_hash
    return found


def test_both_ways_say_the_same_after_every_kind_of_edit(graph, store, old, reporter):
    first = old
    for name, text in EDITS.items():
        write(graph, text)
        since = both(graph, store, old, reporter)
        nothing = name in ("a property that no text holds", "there and back")
        assert bool(since.changes) != nothing, name
        old = since.snapshot
    assert both(graph, store, first, reporter).changes.count > len(EDITS)


def test_what_is_said(graph, store, old, reporter):
    write(graph, EDITS["move an item"])
    write(graph, EDITS["another text"])
    write(graph, EDITS["delete a node"])
    assert both(graph, store, old, reporter).changes == Changes(
        {"Cluster": NodeChanges(changed=("c2",)), "Motif": NodeChanges(deleted=("m0",))},
        {
            OF: RelationChanges(added=(("s00", "c1"),), deleted=(("s00", "c0"),)),
            SHARED: RelationChanges(deleted=(("c0", "m0"),)),
            MOTIF: RelationChanges(deleted=(("c0", "m0"),)),
        },
    )


def test_nothing_changed(graph, store, old, reporter):
    since = both(graph, store, old, reporter)
    assert not since.changes
    assert since.snapshot.path == old.path


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("MATCH (s:Saree {name: 's11'}) DETACH DELETE s", "HAS_IMAGE"),
        ("CREATE (:Saree {name: 's111'})", "a Saree was created, deleted"),
        ("MATCH (s:Saree {name: 's11'})-[r:HAS_IMAGE]->() DELETE r", "HAS_IMAGE"),
        ("CREATE (:Batch {id: 'b', domain: 'saree', at: datetime(), state: 'done'})", "import b"),
    ],
)
def test_where_edits_do_not_say_all_columns_are_compared(graph, store, old, reporter, text, why):
    write(graph, text)
    since = changes_since(graph, store, old, reporter=reporter)
    assert why in since.compared
    assert bool(since.changes) == ("Batch" not in text)
    with pytest.raises(NotPatchable):
        changes_since(graph, store, old, reporter=reporter, by_edits=True)


def test_without_a_trigger_columns_are_compared(graph, store, old, reporter):
    capture.remove(graph)
    write(graph, EDITS["move an item"])
    since = changes_since(graph, store, old, reporter=reporter)
    assert "korvai capture on" in since.compared
    assert since.changes.relations[OF].added == (("s00", "c1"),)
    assert since.edits == []


def test_an_import_is_seen_though_its_rows_are_no_edits(graph, store, old, reporter):
    with graph.transaction("import/test") as tx:
        tx.run("import/begin_batch", id="i1", kind="csv", who="me", source="f", domain="saree", labels=[])
        tx._tx.run("CREATE (:Motif {name: 'imported'})")
    since = changes_since(graph, store, old, reporter=reporter)
    assert since.changes.nodes["Motif"].added == ("imported",)
    assert since.edits == []
