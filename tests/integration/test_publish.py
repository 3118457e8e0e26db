"""Does the old model stay whole and active whatever happens to a publish, and is nothing left behind?"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from cypher import load
from kg.errors import (
    DimensionMismatch,
    IndexNotReady,
    NodeNotFound,
    SchemaViolation,
    StaleToken,
    StoreError,
)
from kg.failpoints import FailpointReached
from kg.graph import Graph, connect
from kg.publishing.activation import promote
from kg.publishing.publish import (
    Publication,
    activate,
    active_set,
    add_image_vectors,
    find_active_set,
    publish,
    refresh_set,
    rollback,
    take_token,
    version_id,
)
from kg.settings import Settings
from kg.store import Store
from tests.support.published import column, craft, image_id, publication, rows, unit, write

STEPS = (
    "publish.after_token",
    "publish.after_collecting",
    "publish.after_version",
    "publish.after_artefacts",
    "publish.after_index",
    "publish.between_image_batches",
    "publish.after_image_vectors",
    "publish.after_class_vectors",
    "publish.inside_activation",
)
AFTER = ("publish.after_activation", "publish.after_retiring", "publish.while_removing")


@pytest.fixture
def send(graph: Graph, store: Store, reporter):
    """Publishes."""

    def run(made: Publication, **options) -> str:
        return publish(graph, store, made, reporter=reporter, **options)

    return run


def assert_whole(graph: Graph, store: Store, kept: list[Publication], *, sets: int) -> None:
    """At rest: class nodes carry `sets` sets; images and store hold the vectors, indexes and files of `kept` only."""
    versions = {version_id(made) for made in kept}
    on_classes = column(
        graph, "MATCH (c:Cluster) UNWIND keys(c) AS p WITH p WHERE p STARTS WITH 'embedding_' RETURN DISTINCT p"
    )
    states = dict(rows(graph, "MATCH (s:EmbeddingSet) RETURN s.class_property, s.state"))
    assert len(on_classes) == sets
    assert {states[name] for name in on_classes} <= {"ready"}
    assert {name for name, state in states.items() if state != "retired"} == set(on_classes)
    on_images = column(graph, "MATCH (x:ImageVector) UNWIND keys(x) AS p WITH p WHERE p <> 'sha256' RETURN DISTINCT p")
    assert set(on_images) == {f"embedding_{version}" for version in versions}
    indexes = {
        row[0] for row in rows(graph, "SHOW VECTOR INDEXES YIELD name, state WHERE state = 'ONLINE' RETURN name")
    }
    assert indexes == {f"image_{version}" for version in versions}
    assert {path.name for path in store.models.iterdir()} == versions


def test_a_publish_is_found_in_graph_and_store(graph: Graph, store: Store, send, tmp_path: Path):
    craft(graph)
    made = publication(tmp_path)
    set_id = send(made)
    active = active_set(graph, "saree", "cluster")
    assert (active.set, active.version, active.dim) == (set_id, version_id(made), 8)
    assert (active.scale, active.temperature, active.recipe, active.graph) == (20.0, 1.5, "graphclip", "live")
    stored = column(graph, f"MATCH (c:Cluster:Class) RETURN c.`{active.class_property}` AS v ORDER BY c.name")
    assert np.array_equal(np.array(stored, np.float32), made.class_vectors)
    stored = column(
        graph,
        f"MATCH (i:Image)-[:HAS_VECTOR]->(x:ImageVector) WHERE i.sha256 = x.sha256 "
        f"RETURN x.`{active.image_property}` AS v ORDER BY i.sha256",
    )
    assert np.array_equal(np.array(stored, np.float32), made.image_vectors)
    assert (store.models / active.version / "tower" / "weights").read_text() == "weights of run"
    ((config, metrics, run, started_by),) = rows(
        graph, "MATCH (v:ModelVersion) RETURN v.config, v.metrics, v.run, v.started_by"
    )
    assert (config, metrics, run) == ('{"run": "run"}', '{"valid_top1": 0.5}', "run")
    assert started_by
    assert_whole(graph, store, [made], sets=1)


def test_publishing_again_changes_nothing(graph: Graph, store: Store, send, tmp_path: Path):
    craft(graph)
    made = publication(tmp_path)
    assert send(made) == send(made) == send(made)
    assert find_active_set(graph, "saree").set == send(made)
    assert column(graph, "MATCH (s:EmbeddingSet) RETURN count(s)") == [1]
    assert column(graph, "MATCH (t:Task) RETURN COUNT { (t)-[:PREVIOUS]->() }") == [0]
    assert_whole(graph, store, [made], sets=1)


def test_two_sets_stay_and_older_ones_go(graph: Graph, store: Store, send, tmp_path: Path):
    craft(graph)
    made = [publication(tmp_path, run=f"run{n}", seed=n) for n in range(4)]
    sets = [send(one) for one in made]
    assert_whole(graph, store, made[2:], sets=2)
    assert column(graph, "MATCH (v:ModelVersion) RETURN count(v)") == [4]
    assert active_set(graph, "saree").set == sets[3]
    assert rollback(graph, "saree").set == sets[2]
    assert rollback(graph, "saree").set == sets[3]
    with pytest.raises(NodeNotFound, match="no ready set"):
        activate(graph, "saree", "cluster", sets[0], take_token(graph, "saree", "cluster"))
    assert send(made[0]) == sets[0]  # a collected one comes back whole
    assert_whole(graph, store, [made[0], made[3]], sets=2)


def test_there_is_nothing_to_roll_back_to_at_first(graph: Graph, send, tmp_path: Path):
    craft(graph)
    send(publication(tmp_path))
    with pytest.raises(NodeNotFound, match="no previous set"):
        rollback(graph, "saree", "cluster")


def test_a_shadow_set_is_kept_until_it_is_promoted_or_newer_ones_come(
    graph: Graph, send, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kg.publishing.collecting.KEEP_SHADOWS", 1)
    craft(graph)
    first, older, newer, last = (publication(tmp_path, run=f"run{n}", seed=n) for n in range(4))
    active, outdated, shadow = send(first), send(older, activate=False), send(newer, activate=False)
    assert active_set(graph, "saree").set == active
    send(last)
    ask = """MATCH (v:ModelVersion)-[:PRODUCED]->(s:EmbeddingSet {id: $id})
             RETURN s.state, COUNT { (c:Class) WHERE c[s.class_property] IS NOT NULL } > 0, v.collected_at IS NULL"""
    assert rows(graph, ask, id=outdated) == [["retired", False, False]]
    assert rows(graph, ask, id=shadow) == [["shadow", True, True]]
    assert promote(graph, "saree", "cluster", shadow).set == shadow
    assert rollback(graph, "saree").set != shadow
    for gone in (outdated, "nonsense"):
        with pytest.raises(NodeNotFound, match="no ready set"):
            promote(graph, "saree", "cluster", gone)


def test_an_interrupted_publish_leaves_the_old_set_active(
    graph: Graph, store: Store, send, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subtests
):
    craft(graph)
    active = publication(tmp_path, run="first")
    send(active)
    for n, step in enumerate(STEPS):
        with subtests.test(step):
            broken = publication(tmp_path, run=f"broken{n}", seed=n + 1)
            other = publication(tmp_path, run=f"other{n}", seed=n + 101)
            before = graph.run("versions/active")
            with monkeypatch.context() as patch, pytest.raises(FailpointReached):
                patch.setenv("KORVAI_FAILPOINT", step)
                send(broken)
            assert graph.run("versions/active") == before
            # The same publish goes on where it was, or somebody else's removes what was left.
            next_one = broken if n % 2 else other
            send(next_one)
            assert_whole(graph, store, [active, next_one], sets=2)
            active = next_one


def test_interrupted_cleaning_is_finished_by_the_next_publish(
    graph: Graph, store: Store, send, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subtests
):
    craft(graph)
    made = [publication(tmp_path, run=f"run{n}", seed=n) for n in range(2 + len(AFTER))]
    for one in made[:2]:
        send(one)
    for n, step in enumerate(AFTER, start=2):
        with subtests.test(step):
            with monkeypatch.context() as patch, pytest.raises(FailpointReached):
                patch.setenv("KORVAI_FAILPOINT", step)
                send(made[n])
            assert active_set(graph, "saree").version == version_id(made[n])
            send(made[n])
            assert_whole(graph, store, [made[n - 1], made[n]], sets=2)


def test_a_killed_publisher_leaves_the_old_set_active(
    graph: Graph, store: Store, send, tmp_path: Path, settings: Settings
):
    craft(graph)
    old, new = (publication(tmp_path, run=f"run{n}", seed=n) for n in range(2))
    set_id = send(old)
    code = (
        "import sys; from pathlib import Path; from kg.settings import load_settings; from kg.graph import connect\n"
        "from kg.publishing.publish import publish; from kg.store import Store\n"
        "from kg.progress import SilentReporter\n"
        "from tests.support.published import publication\n"
        "made = publication(Path(sys.argv[2]), run='run1', seed=1)\n"
        "with connect(load_settings()) as graph: publish(graph, Store(sys.argv[1]), made, reporter=SilentReporter())\n"
    )
    environment = {
        **os.environ,
        "KORVAI_HOME": str(settings.home_dir),
        "KORVAI_FAILPOINT": "publish.after_class_vectors:kill",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    done = subprocess.run(
        [sys.executable, "-c", code, str(store.folder), str(tmp_path)], env=environment, timeout=120, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert active_set(graph, "saree").set == set_id
    send(new)
    assert_whole(graph, store, [old, new], sets=2)


def test_a_publisher_with_a_lower_token_is_refused(graph: Graph, store: Store, send, tmp_path: Path):
    craft(graph)
    set_id = send(publication(tmp_path))
    earlier = take_token(graph, "saree", "cluster")
    later = take_token(graph, "saree", "cluster")
    assert later == earlier + 1
    with pytest.raises(StaleToken, match="another one took over"):
        activate(graph, "saree", "cluster", set_id, earlier)
    activate(graph, "saree", "cluster", set_id, later)


def test_a_publisher_overtaken_on_its_way_makes_nothing_visible(
    graph: Graph, store: Store, tmp_path: Path, reporter, send, monkeypatch: pytest.MonkeyPatch
):
    craft(graph)
    slow, fast = (publication(tmp_path, run=f"run{n}", seed=n) for n in range(2))
    from kg import failpoints

    def overtake(name: str) -> None:
        if name == "publish.after_index":
            monkeypatch.setattr(failpoints, "reach", lambda name: None)
            send(fast)

    monkeypatch.setattr(failpoints, "reach", overtake)
    with pytest.raises((StaleToken, NodeNotFound)):
        send(slow)
    assert active_set(graph, "saree").version == version_id(fast)
    send(fast)
    assert_whole(graph, store, [fast], sets=1)


def test_tokens_are_given_out_once(graph: Graph, server: Settings):
    taken: list[int] = []

    def take() -> None:
        with connect(server) as own:
            for _ in range(25):
                taken.append(take_token(own, "saree", "cluster"))

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(1, 101))


def test_an_index_that_many_create_at_one_moment_is_created_once(graph: Graph, server: Settings):
    options = {"indexConfig": {"vector.dimensions": 8, "vector.similarity_function": "cosine"}}
    together = threading.Barrier(4)

    def create(name: str) -> None:
        with connect(server) as own:
            statement = load("publish/create_image_index").fill(index=name, property=f"embedding_{name}")
            together.wait(timeout=30)
            own.run(statement, options=options)

    for n in range(5):
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(create, [f"at_once_{n}"] * 4))
    names = column(graph, "SHOW VECTOR INDEXES YIELD name WHERE name STARTS WITH 'at_once_' RETURN name")
    assert sorted(names) == [f"at_once_{n}" for n in range(5)]
    for name in names:
        graph.run(load("publish/drop_image_index").fill(index=name))


def test_readers_never_see_half_a_set(graph: Graph, server: Settings, send, tmp_path: Path):
    """While sets are swapped, every answer ranks all classes of exactly one set."""
    from kg.classify import classify_stored

    craft(graph, classes=20, items=3)
    made = [publication(tmp_path, classes=20, items=3, run=f"run{n}", seed=n) for n in range(3)]
    send(made[0])
    stop, wrong, seen = threading.Event(), [], set()

    def read() -> None:
        with connect(server) as own:
            while not stop.is_set():
                scores = classify_stored(own, "saree", "cluster", image_id(0), k=100)
                seen.add(scores[0].embedding_set)
                if len(scores) != 20 or len({s.embedding_set for s in scores}) != 1:
                    wrong.append(scores)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for one in (*made[1:], made[0]):
            send(one)
    finally:
        stop.set()
        reader.join()
    assert not wrong
    assert len(seen) > 1


def test_a_refresh_ranks_a_class_that_is_new(graph: Graph, store: Store, send, tmp_path: Path):
    from kg.classify import classify_stored

    craft(graph)
    made = publication(tmp_path)
    first = send(made)
    write(graph, "CREATE (:Cluster {name: 'new'})")
    vectors = np.vstack([made.class_vectors, made.image_vectors[:1]])
    keys = [*made.class_keys, "new"]
    options = {"domain": "saree", "scale": 20.0, "temperature": 1.5, "snapshot_hash": "abc"}
    second = refresh_set(graph, version_id(made), keys, vectors, **options)
    active = active_set(graph, "saree")
    assert (active.set, active.version, active.snapshot) == (second, version_id(made), "abc")
    best = classify_stored(graph, "saree", None, image_id(0), k=1)[0]
    assert (best.class_key, best.embedding_set) == ("new", second)
    assert_whole(graph, store, [made], sets=2)
    write(graph, "MATCH (c:Cluster {name: 'new'}) DELETE c CREATE (:Cluster {name: 'new'})")  # no vector any more
    assert refresh_set(graph, version_id(made), keys, vectors, **options) == second
    assert len(classify_stored(graph, "saree", None, image_id(0), k=10)) == 4
    assert rollback(graph, "saree").set == first
    with pytest.raises(NodeNotFound, match="versions/list"):
        refresh_set(graph, "no_such_version", keys, vectors, **options)


def test_a_refresh_does_not_bring_back_a_version_that_was_replaced(graph: Graph, send, tmp_path: Path):
    craft(graph)
    old, new = (publication(tmp_path, run=f"run{n}", seed=n) for n in range(2))
    send(old)
    active = send(new)
    options = {"domain": "saree", "scale": 20.0, "temperature": 1.5, "snapshot_hash": "abc", "only_while_active": True}
    with pytest.raises(StaleToken, match="refresh again"):
        refresh_set(graph, version_id(old), old.class_keys, old.class_vectors, **options)
    assert active_set(graph, "saree").set == active
    refresh_set(graph, version_id(new), new.class_keys, new.class_vectors, **options)
    assert active_set(graph, "saree").version == version_id(new)


def test_a_set_that_became_active_meanwhile_is_not_retired(graph: Graph, send, tmp_path: Path):
    craft(graph)
    active = send(publication(tmp_path))
    retire = load("publish/retire_set").fill(**{"class": "Cluster"})
    late = take_token(graph, "saree", "cluster")  # its holder found the set before it was activated
    assert graph.run(retire, embedding_set=active, token=late) == [{"classes": 0}]
    assert len(graph.run("versions/active")) == 1
    assert column(graph, f"MATCH (c:Cluster) RETURN count(c.`embedding_{active}`)") == [3]


def test_new_images_get_vectors_of_the_same_version(graph: Graph, send, tmp_path: Path):
    craft(graph, items=4)
    made = publication(tmp_path, items=4)
    ids, vectors = [image_id(n) for n in range(4)], made.image_vectors
    made = made.model_copy(update={"image_ids": ids[:2], "image_vectors": vectors[:2]})
    send(made)
    assert add_image_vectors(graph, version_id(made), ids, vectors) == 2
    assert add_image_vectors(graph, version_id(made), ids, vectors) == 0
    prop = active_set(graph, "saree").image_property
    assert column(graph, f"MATCH (x:ImageVector) WHERE x.`{prop}` IS NOT NULL RETURN count(x)") == [4]


def test_images_that_were_removed_meanwhile_are_skipped_and_told(graph: Graph, store: Store, tmp_path: Path, send):
    craft(graph, items=3)
    write(graph, "MATCH (i:Image {sha256: $id}) DETACH DELETE i", id=image_id(1))
    send(publication(tmp_path, items=3))
    assert column(graph, "MATCH (x:ImageVector) RETURN x.sha256 AS id ORDER BY id") == [image_id(0), image_id(2)]
    with pytest.raises(SchemaViolation, match="is it the right one"):
        send(publication(tmp_path, items=2, run="other", image_ids=["a", "b"]))


def _vectors(change) -> np.ndarray:
    vectors = unit(3, 8)
    change(vectors)
    return vectors


BAD = (
    ({"class_vectors": _vectors(lambda v: v.__setitem__((1, 2), np.nan))}, SchemaViolation, "'c01' with nan"),
    ({"class_vectors": _vectors(lambda v: v.__setitem__(1, 0.0))}, SchemaViolation, "'c01' with 0"),
    ({"class_vectors": unit(3, 8) * 2}, SchemaViolation, "3 of 3 are not of unit length"),
    ({"class_vectors": unit(3, 7)}, DimensionMismatch, r"shape \(3, 7\), must be \(3, 8\)"),
    ({"class_vectors": unit(2, 8)}, DimensionMismatch, r"shape \(2, 8\)"),
    ({"image_vectors": unit(6, 9)}, DimensionMismatch, r"image vectors: array of shape \(6, 9\)"),
    ({"image_ids": [image_id(0)] * 6}, SchemaViolation, "occurs twice"),
    ({"class_keys": ["c00", "c01", "c01"]}, SchemaViolation, "'c01' occurs twice"),
    ({"class_keys": ["c00", "c01", "gone"]}, SchemaViolation, "'gone'; they were removed or renamed"),
    ({"class_keys": [], "class_vectors": np.zeros((0, 8))}, SchemaViolation, "no class has a vector"),
    ({"scale": float("nan")}, SchemaViolation, "scale is nan"),
    ({"temperature": 0.0}, SchemaViolation, "temperature is 0.0"),
    ({"task": "style"}, SchemaViolation, "no task 'style'"),
    ({"tower_dir": Path("/nowhere/tower")}, StoreError, "/nowhere/tower is missing"),
)


def test_what_must_not_be_published_is_refused_and_the_old_set_stays(graph: Graph, send, tmp_path: Path, subtests):
    craft(graph)
    set_id = send(publication(tmp_path))
    for changes, error, says in BAD:
        with subtests.test(says):
            with pytest.raises(error, match=says):
                send(publication(tmp_path, run="bad", seed=5, **changes))
            assert active_set(graph, "saree").set == set_id
            assert column(graph, "MATCH (s:EmbeddingSet {state: 'ready'}) RETURN s.id") == [set_id]
            carried = "MATCH (c:Cluster) UNWIND keys(c) AS p WITH p WHERE p STARTS WITH 'emb' RETURN count(DISTINCT p)"
            assert column(graph, carried) == [1]


def test_a_store_that_cannot_be_written_stops_before_the_graph_is_touched(graph: Graph, reporter, tmp_path: Path):
    craft(graph)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError):
        publish(graph, Store(tmp_path / "file" / "store"), publication(tmp_path), reporter=reporter)
    assert column(graph, "MATCH (n:ModelVersion|EmbeddingSet|Task) RETURN count(n)") == [0]


def test_a_rollback_waits_for_its_index(graph: Graph, send, tmp_path: Path):
    craft(graph)
    made = [publication(tmp_path, run=f"run{n}", seed=n) for n in range(2)]
    sets = [send(one) for one in made]
    write(graph, f"DROP INDEX `image_{version_id(made[0])}`")
    with pytest.raises(IndexNotReady, match="absent"):
        rollback(graph, "saree")
    assert active_set(graph, "saree").set == sets[1]
