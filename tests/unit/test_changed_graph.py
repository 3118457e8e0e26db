"""Does a changed graph differ from its snapshot in what was asked for, and in nothing else?"""

import numpy as np
import pytest

from kg.errors import RecipeConfigError
from tests.support.memory_snapshot import craft_snapshot
from training.changed_graph import (
    dropped,
    rewired,
    with_splits,
    with_texts,
    without,
    without_items,
    without_relation,
)

MOTIF, TARGET = ("Cluster", "BODY_MOTIF", "Motif"), ("Saree", "MADE_IN", "Cluster")


@pytest.fixture(scope="module")
def snapshot():
    return craft_snapshot(per_class=10)[0]


def pairs(graph, edge_type):
    source, target = graph.edges(edge_type)
    shares = graph.shares(edge_type)
    ends = zip(source.tolist(), target.tolist(), strict=True)
    return list(zip(ends, [None] * len(source) if shares is None else shares.tolist(), strict=True))


def test_edges_leave_with_their_shares(snapshot):
    before = pairs(snapshot, MOTIF)
    mask = np.arange(len(before)) % 3 == 0
    graph = without(snapshot, {MOTIF: mask})
    assert pairs(graph, MOTIF) == [pair for pair, gone in zip(before, mask, strict=True) if not gone]
    assert pairs(graph, TARGET) == pairs(snapshot, TARGET), "another type stays as it is"
    again = without_relation(graph, TARGET)
    assert pairs(again, TARGET) == [] and pairs(again, MOTIF) == pairs(graph, MOTIF), "changes add up"


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_dropped_edges_are_a_share_of_every_type_and_follow_from_the_seed(snapshot, share):
    graph = dropped(snapshot, share, rng_seed=4)
    for edge_type in snapshot.edge_types:
        before, after = pairs(snapshot, edge_type), pairs(graph, edge_type)
        assert len(after) == len(before) - round(share * len(before)) and set(after) <= set(before)
        assert after == pairs(dropped(snapshot, share, rng_seed=4), edge_type)
    if share == 0.3:
        assert pairs(graph, TARGET) != pairs(dropped(snapshot, share, rng_seed=5), TARGET)


def test_rewired_edges_lead_elsewhere_and_keep_source_and_share(snapshot):
    graph = rewired(snapshot, 0.5, rng_seed=1)
    for edge_type in snapshot.edge_types:
        before, after = snapshot.edges(edge_type), graph.edges(edge_type)
        assert np.array_equal(np.sort(before[0]), np.sort(after[0]))
        assert after[1].max() < snapshot.count(edge_type[2]) and after[1].min() >= 0
        old, new = (sorted(pair for pair, _ in pairs(g, edge_type)) for g in (snapshot, graph))
        moved = len(old) - sum(min(old.count(p), new.count(p)) for p in set(old))
        assert 0 < moved <= round(0.5 * len(old))
        if snapshot.shares(edge_type) is not None:
            assert sorted(snapshot.shares(edge_type)) == sorted(graph.shares(edge_type))


def test_a_label_with_one_node_cannot_be_rewired(snapshot):
    lonely = craft_snapshot(n_classes=1, per_class=5)[0]
    assert pairs(rewired(lonely, 1.0, rng_seed=0), TARGET) == pairs(lonely, TARGET)


def test_items_leave_every_relation(snapshot):
    graph = without_items(snapshot, np.array([0, 7]))
    for edge_type in (TARGET, ("Saree", "SHOWS", "Motif")):
        assert not {0, 7} & set(graph.edges(edge_type)[0].tolist())
        assert len(graph.edges(edge_type)[0]) == len(snapshot.edges(edge_type)[0]) - 2
    assert pairs(graph, MOTIF) == pairs(snapshot, MOTIF)


def test_texts_and_splits(snapshot):
    assert set(with_texts(snapshot, "none").texts("Motif")) == {"node"}
    assert with_texts(snapshot, "name").texts("Cluster")[2] == "cluster 2"
    assert with_texts(snapshot, "name").texts("Saree") == snapshot.texts("Saree"), "items keep their texts"
    said = with_texts(snapshot, "neighbourhood").texts("Cluster")[0]
    motifs = [f"motif {row}" for source, row in zip(*snapshot.edges(MOTIF), strict=True) if source == 0]
    assert said.startswith("cluster 0. ") and f"body motif: {', '.join(motifs)}" in said and "saree" not in said
    splits = ["test"] * len(snapshot.images.sha256)
    graph = with_splits(without_relation(snapshot, MOTIF), splits)
    assert graph.images.split == splits and graph.images.sha256 == snapshot.images.sha256
    assert pairs(graph, MOTIF) == [] and snapshot.images.split != splits


def test_heterograph_is_that_of_the_changed_edges(snapshot):
    graph = without_relation(snapshot, MOTIF).to_dgl()
    assert graph.num_edges(MOTIF) == 0 and graph.num_edges(TARGET) == len(snapshot.edges(TARGET)[0])


def test_more_noise_than_there_are_edges_is_refused(snapshot):
    with pytest.raises(RecipeConfigError, match="between 0 and 1"):
        dropped(snapshot, 1.5, rng_seed=0)
