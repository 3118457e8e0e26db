"""Is a facet's tree what the graph says, are broken ones refused, and do its metrics agree with counting by hand?"""

from __future__ import annotations

import numpy as np
import pytest

from kg.errors import SchemaViolation
from kg.hierarchy import Tree, facet_tree, task_trees
from kg.schema import Domain, load_domain
from tests.support.hierarchies import WithHierarchy, graded_snapshot, tables
from training.metrics.hierarchy import exact_path, hierarchy_figures, level_accuracy, mistake_severity, roll_up


@pytest.fixture(scope="module")
def snapshot() -> WithHierarchy:
    return graded_snapshot(per_class=2)[0]


@pytest.fixture(scope="module")
def trees(snapshot: WithHierarchy) -> list[Tree]:
    return task_trees(snapshot)


def test_levels_and_ancestors(trees: list[Tree]):
    make, hue = trees
    assert (make.facet, make.levels, make.names[1:]) == (
        "make",
        ("cluster", "pair", "side"),
        (("a", "b", "c"), ("left", "right")),
    )
    assert make.ancestors.tolist() == [[0, 1, 2, 3, 4, 5], [0, 0, 1, 1, 2, 2], [0, 0, 0, 0, 1, 1]]
    assert hue.ancestors.tolist() == [[0, 1, 2, 3, 4, 5], [0, 1, 2, 0, 1, 2]]
    assert make.parents(1).tolist() == [0, 0, 1]
    assert make.members(2).tolist() == [[True] * 4 + [False] * 2, [False] * 4 + [True] * 2]


def test_heights_against_walking_up(trees: list[Tree]):
    for tree in trees:
        heights = tree.lca_heights()
        for a in range(6):
            for b in range(6):
                shared = [n for n in range(tree.depth) if tree.ancestors[n, a] == tree.ancestors[n, b]]
                assert heights[a, b] == (shared[0] if shared else tree.depth)


BROKEN = {
    "stands under nothing": ([], [0]),
    r"stands under 'toy/make/a' and 'toy/make/b'": (
        [("Cluster", "cluster 0", "Concept", "toy/make/b", "make")],
        [],
    ),
    "leads back": ([("Concept", "toy/make/left", "Concept", "toy/make/a", "make")], []),
    r"levels are Cluster < Concept < Concept, found": (
        [("Concept", "toy/make/left", "Concept", "toy/make/top", "make")],
        [],
    ),
    "level side holds 'toy/make/left' alone": (
        [("Concept", "toy/make/c", "Concept", "toy/make/left", "make")],
        [8],
    ),
}


@pytest.mark.parametrize("said", BROKEN)
def test_what_is_broken_is_refused_by_name(snapshot: WithHierarchy, said: str):
    more, less = BROKEN[said]
    rows = [tuple(row.values()) for row in snapshot.table("hierarchy").to_pylist()]
    kept = [row for n, row in enumerate(rows) if n not in less]
    broken = WithHierarchy(**{**vars(snapshot), "overlay": tables([*kept, *more])})
    with pytest.raises(SchemaViolation, match=f"{said}.*korvai validate"):
        facet_tree(broken, "make")


def test_without_a_hierarchy_the_way_to_one_is_told(snapshot: WithHierarchy):
    bare = WithHierarchy(**{**vars(snapshot), "overlay": tables([])})
    with pytest.raises(SchemaViolation, match="korvai import hierarchy --graph toy"):
        task_trees(bare)


def test_levels_exact_path_and_severity_by_hand(trees: list[Tree]):
    make, hue = trees
    targets = np.array([0, 1, 2, 4])
    said = np.array([[0, 0, 4, 4], [0, 0, 1, 2], [0, 0, 0, 0]])
    assert level_accuracy(make, said, targets).tolist() == [0.5, 1.0, 0.75]
    assert exact_path(make, said, targets) == 0.25
    # 0 for 1: they meet at height 1 of `make`, nowhere in `hue`; 4 for 2: nowhere in `make` (3), nor in `hue` (2)
    assert mistake_severity([make], said[0], targets) == (1 + 3) / 2
    assert mistake_severity([make, hue], said[0], targets) == (1 + 2) / 2
    assert mistake_severity([make], targets, targets) == 0
    figures = hierarchy_figures(trees, [said, hue.ancestors[:, said[0]]], targets)
    assert figures["fine"] == 0.5 and figures["make.exact_path"] == 0.25
    assert figures["hue.colour"] == 0.5 and figures["exact_path"] == 0.25


def test_a_parent_has_the_sum_of_its_children(trees: list[Tree]):
    probabilities = np.random.default_rng(0).dirichlet(np.ones(6), 5)
    fine, pair, side = roll_up(trees[0], np.log(probabilities))
    assert np.allclose(fine, probabilities)
    assert np.allclose(pair[:, 2], probabilities[:, 4] + probabilities[:, 5])
    assert np.allclose(side[:, 0], pair[:, 0] + pair[:, 1])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"task": "shape"}, "no task 'shape'"),
        ({"levels": {"colour": "Colour", "x": "Concept"}}, "the first of them of Cluster"),
        ({"levels": {"cluster": "Cluster", "x": "Planet"}}, "no node type 'Planet'"),
    ],
)
def test_a_hierarchy_that_cannot_be_is_refused(snapshot: WithHierarchy, change: dict, said: str):
    domain = snapshot.domain.model_dump()
    domain["hierarchies"]["hue"] |= change
    with pytest.raises(ValueError, match=said):
        Domain.model_validate(domain)


def test_what_ships_covers_every_class():
    from kg.importers.art_names import class_facts
    from kg.importers.hierarchies import authored_paths
    from kg.rendering.craft import load_craft

    craft = load_craft()
    known = {"Cluster": set(craft.facts), "Style": set(class_facts("Style")), "Genre": set(class_facts("Genre"))}
    nodes = {(label, properties["name"]) for label, properties in craft.nodes()}
    for domain in map(load_domain, ("saree", "artgraph")):
        for facet, hierarchy in domain.hierarchies.items():
            paths = authored_paths(domain, facet)
            leaves = [path.names[0] for path in paths]
            assert sorted(leaves) == sorted(known[hierarchy.labels[0]])
            for level, label in enumerate(hierarchy.labels[1:], 1):
                names = {path.names[level] for path in paths}
                assert len(names) > 1
                if label != "Concept":
                    assert {(label, name) for name in names} <= nodes
    states = {path.names[:2] for path in authored_paths(load_domain("saree"), "region")}
    assert states == {(name, facts.state) for name, facts in craft.facts.items()}


def test_ways_down_by_hand(trees: list[Tree]):
    from training.metrics.hierarchy import top_down

    make, rng = trees[0], np.random.default_rng(2)
    logits = [rng.normal(size=(3, make.count(level))) * 4 for level in range(3)]
    found = top_down(make, logits)
    assert np.allclose(found.sum(1), 1)
    for row in range(3):
        fine, pair, side = (np.exp(part[row]) for part in logits)
        # cluster 2 is in pair b (with 3), pair b is left (with a), left beside right
        expected = fine[2] / fine[2:4].sum() * pair[1] / pair[:2].sum() * side[0] / side.sum()
        assert found[row, 2] == pytest.approx(expected)
