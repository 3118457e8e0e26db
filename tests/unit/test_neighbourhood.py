"""Is a neighbourhood the one that chance and the fan-outs say, within its caps, however hubs are read?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from kg.errors import NodeNotFound, SchemaViolation, SettingsError
from kg.schema import Domain
from kg.snapshots.chance import chances, first_by_chance, key_hashes
from kg.snapshots.content import TABLE_COLUMNS, Content, NodeTable
from kg.snapshots.folder import write_content
from kg.snapshots.neighbourhood import Neighbourhood, neighbourhood
from kg.snapshots.sampling import Caps, Plan
from kg.snapshots.snapshot import Snapshot

DOMAIN = Domain(
    domain="toy",
    item="Work",
    node_types={"Work": {}, "Style": {}, "Artist": {}},
    relations=[
        {"source": "Work", "type": "Style", "target": "Style"},
        {"source": "Work", "type": "Author", "target": "Artist"},
        {"source": "Artist", "type": "Teacher", "target": "Artist", "symmetric": True},
    ],
    tasks={"style": {"relation": "Style", "target": "Style"}},
)
STYLE, AUTHOR, TEACHER = DOMAIN.edge_types
WORKS, STYLES, ARTISTS = 4_000, 5, 300


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory) -> Snapshot:
    """Few styles, so that each is a hub, and artists of all sizes."""
    rng = np.random.default_rng(0)
    works = np.arange(WORKS)
    edges = {
        STYLE: _edges(works, np.minimum(rng.geometric(0.5, WORKS) - 1, STYLES - 1)),
        AUTHOR: _edges(works, np.minimum(rng.zipf(1.3, WORKS) - 1, ARTISTS - 1)),
        TEACHER: _edges(rng.integers(0, ARTISTS, 200), rng.integers(0, ARTISTS, 200)),
    }
    return _written(tmp_path_factory.mktemp("snapshot") / "toy", edges)


def _edges(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    return np.unique(np.stack([source, target]), axis=1).astype(np.int32)


def _written(folder: Path, edges: dict) -> Snapshot:
    counts = {"Work": WORKS, "Style": STYLES, "Artist": ARTISTS}
    nodes = {}
    for label, count in counts.items():
        keys = pa.array(sorted(f"{label} {number}" for number in range(count)), pa.large_string())
        nodes[label] = NodeTable(keys, keys)
    sha256 = pa.array([f"{row:05d}" for row in range(WORKS // 2)], pa.large_string())
    images = pa.table({"sha256": sha256, "uri": sha256, "width": [1] * len(sha256), "height": [1] * len(sha256),
                       "split": pa.nulls(len(sha256), pa.large_string())})  # fmt: skip
    pairs = np.stack([np.arange(WORKS // 2) * 2, np.arange(WORKS // 2)]).astype(np.int32)
    content = Content(DOMAIN, nodes, edges, {}, images, pairs, {name: [] for name in TABLE_COLUMNS})
    write_content(content, folder, server="test")
    return Snapshot.open(folder)


def _reference(snapshot: Snapshot, label: str, seeds: list[int], fan_outs: tuple[int, ...], rng_seed: int) -> tuple:
    """As slowly and plainly as it can be said: nodes with their hop, and relations, by key."""
    hops = {(label, seed): 0 for seed in seeds}
    relations, frontier = set(), [(label, seed) for seed in seeds]
    numbers = {name: key_hashes(name, snapshot.key_column(name)) for name in snapshot.node_types}
    for hop, fan_out in enumerate(fan_outs):
        reached = []
        for near_label, near in frontier:
            for edge_type in snapshot.edge_types:
                for near_end, far_end in ((0, 1), (1, 0)):
                    if edge_type[0 if near_end == 0 else 2] != near_label:
                        continue
                    far_label = edge_type[2 if far_end == 1 else 0]
                    ends = snapshot.edges(edge_type)
                    far = ends[far_end][ends[near_end] == near]
                    number = chances(numbers[far_label], rng_seed=rng_seed, hop=hop)
                    for row in sorted(set(far.tolist()), key=lambda row, n=number: n[row])[:fan_out]:
                        relations.add((edge_type, near, row) if near_end == 0 else (edge_type, row, near))
                        reached.append((far_label, row))
        frontier = [node for node in dict.fromkeys(reached) if node not in hops]
        hops |= dict.fromkeys(frontier, hop + 1)
    return hops, relations


def _told(found: Neighbourhood, snapshot: Snapshot) -> tuple:
    rows = {label: snapshot.rows(label, found.keys(label).tolist()) for label in snapshot.node_types}
    hops = {
        (label, int(row)): int(hop) for label in rows for row, hop in zip(rows[label], found.hops[label], strict=True)
    }
    relations = {
        (edge_type, int(rows[edge_type[0]][s]), int(rows[edge_type[2]][t]))
        for edge_type in snapshot.edge_types
        for s, t in zip(*found.edges(edge_type), strict=True)
    }
    return hops, relations


@pytest.mark.parametrize(("label", "fan_outs"), [("Work", (3, 4)), ("Style", (10, 2, 3)), ("Artist", (2, 2))])
@pytest.mark.parametrize("whole", [0, 512, 10**9])
def test_it_is_what_a_slow_walk_finds_however_hubs_are_read(snapshot, label, fan_outs, whole, monkeypatch):
    seeds = [0, 3, 4]
    monkeypatch.setattr(snapshot.neighbours, "whole", whole, raising=False)
    found = neighbourhood(snapshot, label, snapshot.keys(label)[seeds].tolist(), Plan(fan_outs), rng_seed=7)
    assert _told(found, snapshot) == _reference(snapshot, label, seeds, fan_outs, 7)
    assert found.keys(label)[found.seeds].tolist() == snapshot.keys(label)[seeds].tolist()
    assert not found.cut


def test_the_same_seed_finds_the_same_and_another_finds_something_else(snapshot):
    once, again, other = (neighbourhood(snapshot, "Style", ["Style 0"], Plan((10, 10)), rng_seed=s) for s in (1, 1, 2))
    assert once.content.hash == again.content.hash != other.content.hash


def test_chance_treats_all_neighbours_alike(snapshot):
    rows = snapshot.edges(STYLE)[0][snapshot.edges(STYLE)[1] == 0]
    plan = Plan((len(rows) // 10,))
    drawn = np.zeros(WORKS)
    for seed in range(150):
        found = neighbourhood(snapshot, "Style", ["Style 0"], plan, rng_seed=seed)
        drawn[snapshot.rows("Work", found.keys("Work").tolist())] += 1
    assert drawn.sum() == 150 * (len(rows) // 10) and not drawn[np.setdiff1d(np.arange(WORKS), rows)].any()
    spread = drawn[rows].std() / np.sqrt(150 * 0.1 * 0.9)
    assert 0.85 < spread < 1.15


def test_fan_outs_of_one_relation_win(snapshot):
    plan = Plan((2, 2), {"rev_Style": (0, 0), "Author": (0, 0), "rev_Author": (-1, 0)})
    found = neighbourhood(snapshot, "Work", ["Work 0"], plan)
    assert (found.count("Work"), found.count("Style"), found.count("Artist")) == (1, 1, 0)
    everything = neighbourhood(snapshot, "Artist", ["Artist 0"], Plan((-1,), {"Teacher": (0,), "rev_Teacher": (0,)}))
    row = snapshot.rows("Artist", ["Artist 0"])[0]
    assert everything.count("Work") == (snapshot.edges(AUTHOR)[1] == row).sum() > 0


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (Plan(()), "one number a hop"),
        (Plan((10, -2)), "one number a hop"),
        (Plan((10,), {"Style": (1, 2)}), "one number a hop"),
        (Plan((10,), {"Stile": (1,)}), "toy has no 'Stile'; known: Author, Style, Teacher, rev_Author"),
    ],
)
def test_plans_that_do_not_fit_are_refused(snapshot, plan, said):
    with pytest.raises(SettingsError, match=said):
        neighbourhood(snapshot, "Style", ["Style 0"], plan)


def test_seeds_that_are_not_there_are_named(snapshot):
    with pytest.raises(NodeNotFound, match=r"no Style 'Cubism' .*1 of 2 seeds"):
        neighbourhood(snapshot, "Style", ["Style 0", "Cubism"], Plan((1,)))
    with pytest.raises(SettingsError, match="no seeds"):
        neighbourhood(snapshot, "Style", [], Plan((1,)))
    with pytest.raises(SchemaViolation, match="no node type 'Stile'"):
        neighbourhood(snapshot, "Stile", ["x"], Plan((1,)))


@pytest.mark.parametrize(
    ("caps", "name"),
    [(Caps(nodes=50), "nodes"), (Caps(edges=40), "edges"), (Caps(bytes=3_000), "bytes"), (Caps(nodes=1), "nodes")],
)
def test_caps_hold_and_say_what_was_cut(snapshot, caps, name):
    whole = neighbourhood(snapshot, "Style", ["Style 0", "Style 1"], Plan((20, 5)), rng_seed=3)
    found = neighbourhood(snapshot, "Style", ["Style 0", "Style 1"], Plan((20, 5)), rng_seed=3, caps=caps)
    nodes = sum(found.count(label) for label in snapshot.node_types)
    edges = sum(len(found.edges(edge_type)[0]) for edge_type in snapshot.edge_types)
    texts = sum(len(key) for label in snapshot.node_types for key in found.keys(label))
    assert nodes <= caps.nodes and edges <= caps.edges
    assert 16 * (nodes + edges) + 2 * texts <= caps.bytes
    assert name in found.cut and "stay" in found.cut[name]
    # What stays is a part of what there is without caps, and as much of it as fits.
    hops, relations = _told(found, snapshot)
    everything = _told(whole, snapshot)
    assert hops.items() <= everything[0].items() and relations <= everything[1]
    assert {"nodes": nodes / caps.nodes, "edges": edges / caps.edges, "bytes": 1}[name] > 0.9


def test_it_is_saved_as_a_snapshot_and_becomes_a_heterograph(snapshot, tmp_path):
    found = neighbourhood(snapshot, "Style", ["Style 0"], Plan((30, 2)))
    saved = found.save(tmp_path / "around")
    assert saved.content_hash == found.content.hash
    assert saved.keys("Work").tolist() == found.keys("Work").tolist()
    with_image = [key for key in found.keys("Work") if snapshot.rows("Work", [key])[0] % 2 == 0]
    assert found.keys("Work")[saved.item_images[0]].tolist() == with_image
    assert [int(sha) * 2 for sha in saved.images.sha256] == snapshot.rows("Work", with_image).tolist()
    graph = found.to_dgl()
    assert graph.num_nodes("Work") == found.count("Work")
    assert [ends.tolist() for ends in graph.edges(etype="rev_Style")] == [e.tolist() for e in found.edges(STYLE)[::-1]]
    assert found.save(tmp_path / "around").content_hash == saved.content_hash
    with pytest.raises(SettingsError, match="not an empty folder"):
        neighbourhood(snapshot, "Style", ["Style 1"], Plan((30, 2))).save(tmp_path / "around")


def test_the_index_is_made_once_and_done_without_where_it_cannot_be_kept(snapshot, monkeypatch):
    seeds = ["Style 0"]
    before = neighbourhood(snapshot, "Style", seeds, Plan((5, 5))).content.hash
    (index,) = snapshot.path.glob("index-*")
    made = sorted(path.stat().st_mtime_ns for path in index.iterdir())
    fresh = Snapshot.open(snapshot.path)
    assert neighbourhood(fresh, "Style", seeds, Plan((5, 5))).content.hash == before
    assert sorted(path.stat().st_mtime_ns for path in index.iterdir()) == made
    assert isinstance(fresh.neighbours.hashes("Work").base, np.memmap) and isinstance(fresh.edges(STYLE)[0], np.memmap)
    bare = Snapshot.open(snapshot.path)
    index.rename(snapshot.path / "elsewhere")
    try:
        monkeypatch.setattr(Path, "mkdir", _read_only)
        assert neighbourhood(bare, "Style", seeds, Plan((5, 5))).content.hash == before
        assert not list(snapshot.path.glob("*index*"))
    finally:
        (snapshot.path / "elsewhere").rename(index)


def _read_only(*_args, **_options):
    raise OSError(30, "Read-only file system")


def test_pairs_that_come_twice_count_once():
    near, far = np.array([0, 0, 0, 1, 0]), np.array([2, 2, 1, 0, 0])
    place = first_by_chance(near, far, np.array([30, 20, 10], np.uint64), 2)
    assert [(int(near[p]), int(far[p])) for p in place] == [(0, 2), (0, 1), (1, 0)]


def test_keys_of_all_lengths_and_labels_get_numbers_of_their_own():
    keys = pa.array([chr(97 + i % 26) * (i // 26) for i in range(26 * 200)], pa.large_string())
    hashes = key_hashes("Work", keys)
    assert len(set(hashes.tolist())) == len(set(keys.to_pylist()))
    assert hashes[5000:5010].tolist() == key_hashes("Work", keys.slice(5000, 10)).tolist()
    assert not set(hashes.tolist()) & set(key_hashes("Style", keys).tolist())
    assert not set(chances(hashes, rng_seed=0, hop=0).tolist()) & set(chances(hashes, rng_seed=0, hop=1).tolist())
