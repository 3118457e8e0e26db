"""Does a snapshot hold what the graph held at one moment, with a hash that tells graphs apart and nothing else?"""

from __future__ import annotations

import errno
import shutil
import threading
from dataclasses import replace

import numpy as np
import pytest

from kg.errors import GraphError, SchemaViolation, StoreError
from kg.graph import Graph
from kg.schema import Domain
from kg.snapshots.snapshot import Snapshot, find_snapshot, pull
from kg.store import Store
from tests.support.published import write

DOMAIN = Domain(
    domain="toy",
    item="Cloth",
    node_types={
        "Cloth": {"key": "id", "text": "{id}, woven {year} in {place}. {description}"},
        "Weaver": {"text": "{name}"},
        "Town": {"text": "{name}, {country}"},
    },
    relations=[
        {"source": "Cloth", "type": "BY", "target": "Weaver"},
        {"source": "Weaver", "type": "LIVES_IN", "target": "Town", "properties": {"share": "FLOAT"}},
        {"source": "Weaver", "type": "KNOWS", "target": "Weaver", "symmetric": True},
        {"source": "Cloth", "type": "LIVES_IN", "target": "Town"},
    ],
    tasks={"weaver": {"relation": "BY", "target": "Weaver"}},
)
BY, LIVES_IN, KNOWS, KEPT_IN = (relation.edge_type for relation in DOMAIN.relations)
GRAPH = """
CREATE (a:Weaver:Class {name: 'Asha'}), (b:Weaver:Class {name: 'Bina'}), (k:Town {name: 'Kanchi', country: 'India'}),
       (v:Town {name: 'Varanasi'}), (:Concept:Class {key: 'toy/region/south', name: 'south'}),
       (:Concept {key: 'other/region/x'}),
       (c1:Cloth {id: 'c1', year: 1990, place: ['Kanchi', 'Arni'], description: ' Red\n silk. '}), (c2:Cloth {id:
       'c2'}), (c3:Cloth {id: 'c3', year: 2001}),
       (i1:Image {sha256: 'bb', uri: 'images/bb.png', width: 4, height: 5, split: 'test'}),
       (i2:Image {sha256: 'aa', uri: 'images/aa.png'}), (:Image {sha256: 'stranger', uri: 'x'}),
       (c3)-[:BY]->(a), (c1)-[:BY]->(b), (c2)-[:BY]->(b), (a)-[:LIVES_IN {share: 0.9}]->(v), (a)-[:LIVES_IN {share:
       0.1}]->(k), (b)-[:LIVES_IN]->(k), (c1)-[:LIVES_IN]->(k), (b)-[:KNOWS]->(a), (a)-[:OTHER]->(b),
       (c1)-[:HAS_IMAGE]->(i1), (c2)-[:HAS_IMAGE]->(i2), (c3)-[:HAS_IMAGE]->(i1),
       (i1)-[:DEPICTS]->(o1:SceneObject {id: 'o1', name: 'saree', x: 0, y: 1, w: 2, h: 3})-[:HAS_ATTRIBUTE]->(:Attribute
       {key: 'red'}), (i1)-[:DEPICTS]->(o2:SceneObject {id: 'o2', name: 'border'}), (o2)-[:RELATION {predicate:
       'of'}]->(o1), (i2)-[:HAS_CAPTION]->(:Caption {id: 'x', text: 'a saree', source: 'renderer'})
WITH a MATCH (c:Concept {key: 'toy/region/south'}), (x:Concept {key: 'other/region/x'})
CREATE (a)-[:BROADER {facet: 'region'}]->(c), (a)-[:BROADER]->(x)
"""


@pytest.fixture
def woven(graph: Graph) -> Graph:
    """The little graph above."""
    write(graph, GRAPH)
    return graph


def _pull(graph: Graph, store: Store, reporter, **options) -> Snapshot:
    return pull(graph, DOMAIN, store, reporter=reporter, **options)


def test_nodes_are_ordered_by_key_with_their_texts(woven, store, reporter):
    snapshot = _pull(woven, store, reporter)
    assert snapshot.node_types == ["Cloth", "Weaver", "Town"]
    assert snapshot.keys("Cloth").tolist() == ["c1", "c2", "c3"]
    assert snapshot.texts("Cloth") == ["c1, woven 1990 in Kanchi, Arni. Red silk.", "c2.", "c3, woven 2001 in."]
    assert snapshot.texts("Town") == ["Kanchi, India", "Varanasi"]
    assert snapshot.rows("Cloth", ["c3", "nobody", "c1"]).tolist() == [2, -1, 0]
    assert snapshot.count("Weaver") == 2


def test_edges_are_rows_split_by_both_labels(woven, store, reporter):
    snapshot = _pull(woven, store, reporter)
    assert snapshot.edge_types == [BY, LIVES_IN, KNOWS, KEPT_IN]
    edges = {edge_type: np.stack(snapshot.edges(edge_type)).T.tolist() for edge_type in snapshot.edge_types}
    assert edges == {
        BY: [[0, 1], [1, 1], [2, 0]],
        LIVES_IN: [[0, 0], [0, 1], [1, 0]],
        KNOWS: [[1, 0]],
        KEPT_IN: [[0, 0]],
    }
    assert snapshot.edges(BY)[0].dtype == np.int32
    np.testing.assert_allclose(snapshot.shares(LIVES_IN), [0.1, 0.9, 1.0])
    assert snapshot.shares(BY) is None and snapshot.shares(KEPT_IN) is None


def test_images_and_overlay(woven, store, reporter):
    snapshot = _pull(woven, store, reporter)
    assert snapshot.images.sha256 == ["aa", "bb"]
    assert snapshot.images.split == [None, "test"]
    assert (snapshot.images.width[1], snapshot.images.height[1]) == (4, 5)
    assert np.stack(snapshot.item_images).T.tolist() == [[0, 1], [1, 0], [2, 1]]
    (broader,) = snapshot.table("hierarchy").to_pylist()
    assert tuple(broader.values()) == ("Weaver", "Asha", "Concept", "toy/region/south", "region")
    assert [(row["id"], row["name"], row["x"], row["attributes"]) for row in snapshot.table("scenes").to_pylist()] == [
        ("o1", "saree", 0, ["red"]),
        ("o2", "border", None, []),
    ]
    assert snapshot.table("scene_relations").to_pylist() == [{"subject": "o2", "predicate": "of", "object": "o1"}]
    assert snapshot.table("captions").to_pylist() == [{"sha256": "aa", "text": "a saree", "source": "renderer"}]


def test_same_content_is_the_same_folder_whatever_order_the_database_keeps(woven, store, reporter, tmp_path):
    first = _pull(woven, store, reporter)
    assert _pull(woven, store, reporter).path == first.path
    assert [path.name for path in store.snapshots.iterdir()] == [first.content_hash[:12]]
    # Everything again under other internal ids, and what is no content: vectors, predictions, jobs, other labels.
    write(woven, "MATCH (a:Weaver {name: 'Asha'}) SET a.name = 'gone', a:Left REMOVE a:Weaver")
    write(
        woven,
        """MATCH (old:Left) CREATE (a:Weaver {name: 'Asha', embedding_x: [0.1]}) WITH old, a
        CALL (old, a) { MATCH (old)-[r:LIVES_IN]->(p) CREATE (a)-[:LIVES_IN {share: r.share}]->(p) }
        CALL (old, a) { MATCH (c)-[:BY]->(old) CREATE (c)-[:BY]->(a) }
        CALL (old, a) { MATCH (b)-[:KNOWS]->(old) CREATE (b)-[:KNOWS]->(a) }
        CALL (old, a) { MATCH (old)-[r:BROADER]->(c) CREATE (a)-[:BROADER {facet: r.facet}]->(c) }
        DETACH DELETE old CREATE (:Prediction {score: 1}), (:Job {id: 'j'})""",
    )
    assert _pull(woven, store, reporter).content_hash == first.content_hash


def test_relations_of_another_domain_with_our_types_are_left_aside(woven, store, reporter):
    before = _pull(woven, store, reporter).content_hash
    write(woven, "MATCH (a:Weaver {name: 'Asha'}) CREATE (:Stranger)-[:BY]->(a), (:Stranger)-[:LIVES_IN]->(:Stranger)")
    assert _pull(woven, store, reporter).content_hash == before


@pytest.mark.parametrize(
    "change",
    [
        "MATCH (n:Town {name: 'Varanasi'}) SET n.country = 'India'",
        "MATCH (n:Weaver {name: 'Bina'}), (p:Town {name: 'Varanasi'}) CREATE (n)-[:LIVES_IN]->(p)",
        "MATCH (:Weaver)-[r:LIVES_IN {share: 0.9}]->() SET r.share = 0.8",
        "CREATE (:Town {name: 'Arni'})",
        "MATCH (i:Image {sha256: 'aa'}) SET i.split = 'train'",
        "MATCH (c:Cloth {id: 'c3'}), (i:Image {sha256: 'stranger'}) CREATE (c)-[:HAS_IMAGE]->(i)",
        "MATCH ()-[r:BROADER {facet: 'region'}]->() DELETE r",
        "MATCH (o:SceneObject {id: 'o2'}) SET o.name = 'pallu'",
    ],
)
def test_every_change_of_content_changes_the_hash(woven, store, reporter, change):
    before = _pull(woven, store, reporter).content_hash
    write(woven, change)
    assert _pull(woven, store, reporter).content_hash != before


def test_dgl_graph_has_reverses_and_symmetric_relations_in_place(woven, store, reporter):
    snapshot = _pull(woven, store, reporter)
    graph = snapshot.to_dgl()
    assert set(graph.canonical_etypes) == {
        BY, ("Weaver", "rev_BY", "Cloth"), LIVES_IN, ("Town", "rev_LIVES_IN", "Weaver"), KNOWS,
        KEPT_IN, ("Town", "rev_LIVES_IN", "Cloth"),
    }  # fmt: skip
    assert [graph.num_nodes(label) for label in snapshot.node_types] == [3, 2, 2]
    assert [ends.tolist() for ends in graph.edges(etype=BY)] == [[0, 1, 2], [1, 1, 0]]
    assert [ends.tolist() for ends in graph.edges(etype=("Weaver", "rev_BY", "Cloth"))] == [[1, 1, 0], [0, 1, 2]]
    assert [ends.tolist() for ends in graph.edges(etype=KNOWS)] == [[0, 1], [1, 0]]
    assert not [etype for etype in snapshot.to_dgl(reverse=False).etypes if etype.startswith("rev_")]


def test_dropped_edges_take_their_reverses_with_them(woven, store, reporter):
    snapshot = _pull(woven, store, reporter)
    graph = snapshot.to_dgl(drop={BY: np.array([True, False, True]), KNOWS: np.array([True])})
    assert [ends.tolist() for ends in graph.edges(etype=BY)] == [[1], [1]]
    assert graph.num_edges(("Weaver", "rev_BY", "Cloth")) == 1
    assert graph.num_edges(KNOWS) == 0
    with pytest.raises(SchemaViolation, match=r"\(2,\) for 3 edges"):
        snapshot.to_dgl(drop={BY: np.array([True, False])})
    with pytest.raises(SchemaViolation, match="no edge type"):
        snapshot.edges(("Cloth", "BY", "Town"))


def test_a_pull_while_somebody_writes_is_of_one_moment(graph, store, reporter):
    """A writer commits cloth, weaver and relation together; a pull that mixed moments would hold one without the
    others.
    """
    write(graph, "UNWIND range(1, 500) AS i CREATE (:Cloth {id: 'old ' + i})-[:BY]->(:Weaver {name: 'old ' + i})")
    stop, written = threading.Event(), []

    def keep_writing() -> None:
        while not stop.is_set() and len(written) < 400:
            number = len(written)
            write(
                graph,
                "MATCH (gone:Cloth {id: 'old ' + $n})-[:BY]->(w) DETACH DELETE gone, w "
                "CREATE (:Cloth {id: 'new ' + $n})-[:BY]->(:Weaver {name: 'new ' + $n})",
                n=str(number + 1),
            )
            written.append(number)
            stop.wait(0.002 if number % 10 else 0.05)

    writer = threading.Thread(target=keep_writing)
    writer.start()
    pulled, refused = [], 0
    try:
        while len(pulled) + refused < 8:
            try:
                pulled.append(_pull(graph, store, reporter))
            except GraphError as error:
                assert "kept changing" in str(error)
                refused += 1
    finally:
        stop.set()
        writer.join()
    pulled.append(_pull(graph, store, reporter))
    assert written
    for snapshot in pulled:
        cloths, weavers = snapshot.keys("Cloth"), snapshot.keys("Weaver")
        source, target = snapshot.edges(BY)
        assert len(cloths) == len(weavers) == len(source) == 500
        assert (cloths[source] == weavers[target]).all()
    assert pulled[-1].keys("Cloth").tolist() == sorted(
        [f"new {n + 1}" for n in range(len(written))] + [f"old {n + 1}" for n in range(len(written), 500)]
    )


def test_small_pages_give_the_same_snapshot(woven, store, reporter, monkeypatch):
    whole = _pull(woven, store, reporter)
    from kg.snapshots import pull_pages

    parts = pull_pages.parts_of
    monkeypatch.setattr(
        pull_pages, "parts_of", lambda domain, **given: [replace(part, page_rows=1) for part in parts(domain, **given)]
    )
    assert _pull(woven, Store(store.folder / "other"), reporter).content_hash == whole.content_hash


def test_an_empty_graph_says_what_to_do(graph, store, reporter):
    with pytest.raises(SchemaViolation, match="holds no saree node; import something first: `korvai import saree`"):
        pull(graph, "saree", store, reporter=reporter)
    assert not store.snapshots.exists()


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ("CREATE (:Cloth {id: 'c'})", "there is no Weaver node"),
        ("CREATE (:Cloth {id: 'c'})-[:BY]->(:Weaver {name: 'w'})", "no Cloth has an image"),
        (
            "CREATE (:Cloth {id: 'c'})-[:HAS_IMAGE]->(:Image {sha256: 'a'}), (:Weaver {name: 'w'})",
            "no Cloth has a BY relation",
        ),
    ],
)
def test_nothing_to_learn_is_said_before_training(graph, store, reporter, made, said):
    write(graph, made)
    assert _pull(graph, store, reporter)
    with pytest.raises(SchemaViolation, match=said):
        _pull(graph, store, reporter, task="weaver")


def test_nodes_without_key_and_shared_keys_are_named(woven, store, reporter):
    write(woven, "CREATE (:Town), (:Town)")
    with pytest.raises(SchemaViolation, match="2 Town nodes have no 'name'"):
        _pull(woven, store, reporter)
    write(woven, "MATCH (p:Town) WHERE p.name IS NULL SET p.name = 'Kanchi'")
    with pytest.raises(SchemaViolation, match="two Town nodes have the name 'Kanchi'"):
        _pull(woven, store, reporter)


def test_damaged_and_absent_snapshots_are_named(woven, store, reporter):
    snapshot = _pull(woven, store, reporter)
    assert find_snapshot(store, snapshot.content_hash).path == snapshot.path
    assert find_snapshot(store, snapshot.content_hash[:7]).path == snapshot.path
    with pytest.raises(StoreError, match="there is none"):
        find_snapshot(store, "ffff")
    edges = snapshot.path / "edges" / "0.npy"
    edges.write_bytes(edges.read_bytes()[:-4])
    with pytest.raises(StoreError, match=r"0.npy is not as written; delete the folder"):
        Snapshot.open(snapshot.path)
    edges.unlink()
    with pytest.raises(StoreError, match="not whole"):
        Snapshot.open(snapshot.path)
    shutil.rmtree(snapshot.path)
    assert _pull(woven, store, reporter).content_hash == snapshot.content_hash


def test_nothing_half_written_stays_behind(woven, store, reporter, monkeypatch):
    from kg.snapshots import folder as module

    def full(*_args, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "_write_table", full)
    with pytest.raises(StoreError, match="the disk is full"):
        _pull(woven, store, reporter)
    assert list(store.snapshots.iterdir()) == []
