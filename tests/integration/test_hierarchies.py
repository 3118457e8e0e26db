"""Do class hierarchies get into the graph, what ships and plain lists, and are wrong rows refused one by one?"""

from __future__ import annotations

from pathlib import Path

import pytest

from kg.errors import SchemaViolation
from kg.graph import Graph
from kg.hierarchy import task_trees
from kg.importers.hierarchies import import_hierarchy, read_list
from kg.importers.saree import import_saree
from kg.importers.undo import undo_import
from kg.progress import SilentReporter
from kg.schema import load_domain
from kg.snapshots.snapshot import pull
from kg.store import Store
from kg.validation import validate
from tests.support.cleaning import empty
from tests.support.published import rows, write

MINE = """
domain: mine
item: MyWork
node_types: {MyWork: {}, MyKind: {}}
relations: [{source: MyWork, type: MY_KIND, target: MyKind}]
tasks: {kind: {relation: MY_KIND, target: MyKind}}
hierarchies:
  food: {task: kind, levels: {kind: MyKind, group: Concept}}
  deep: {task: kind, levels: {kind: MyKind, group: Concept, family: Concept}}
"""


@pytest.fixture
def mine(tmp_path: Path):
    (tmp_path / "mine.yaml").write_text(MINE)
    return load_domain(tmp_path / "mine.yaml")


def test_what_ships_for_sarees(graph: Graph, store: Store, reporter: SilentReporter):
    saree = load_domain("saree")
    import_saree(graph, store, per_cluster=0, reporter=reporter)
    report = import_hierarchy(graph, store, saree, reporter=reporter)
    assert not report.problems
    assert report.created["Cluster-BROADER->Technique"] == report.created["Cluster-BROADER->State"] == 17
    assert rows(graph, "MATCH (:Class)-[r:BROADER]->(:Class) RETURN count(r)") == [[17 + 7 + 17 + 12]]
    assert rows(graph, "MATCH (t:Technique) WHERE t:Class RETURN count(t)") == [[7]]
    again = import_hierarchy(graph, store, saree, reporter=reporter)
    assert not again.total_created and not again.total_updated
    trees = task_trees(pull(graph, saree, store, reporter=reporter))
    assert [(tree.facet, [len(keys) for keys in tree.keys]) for tree in trees] == [
        ("weave", [17, 7, 4]),
        ("region", [17, 12, 4]),
    ]
    named = trees[0].keys[0].index("Banaras")
    assert trees[0].names[2][trees[0].ancestors[2, named]] == "figures woven in"
    checks = ["two_parents", "hierarchy_paths", "lonely_levels", "cycles"]
    assert not validate(graph, saree, store, only=checks).findings
    undo_import(graph, store, report.batch, reporter=reporter)
    assert rows(graph, "MATCH ()-[r:BROADER]->() RETURN count(r)") == [[0]]
    assert rows(graph, "MATCH (c:Concept) RETURN count(c)") == [[0]]


def test_bad_rows_are_named_and_the_rest_goes_on(graph: Graph, store: Store, reporter: SilentReporter, mine, tmp_path):
    write(graph, "UNWIND ['apple', 'leek', 'plum', 'pea', 'kale'] AS n CREATE (:MyKind:Class {name: n})")
    lines = [
        "# fruit and so on",
        "apple,  fruit, plant",
        "",
        "leek, vegetable, plant",
        "apple, stone fruit, plant",
        "plum, fruit",
        "pea, plant, vegetable",
        "kale, kale, kale",
        "rye, corn, plant",
        "plum, fruit, thing",
        "pea, fruit, plant",
    ]
    file = tmp_path / "list.txt"
    file.write_text("\n".join(lines))  # the last line without its newline, as in the published lists
    report = import_hierarchy(graph, store, mine, facet="deep", file=file, reporter=reporter)
    told = {problem.line: problem.reason for problem in report.problems}
    assert set(told) == {5, 6, 7, 8, 9, 10}
    assert "stands under 'mine/deep/fruit' already" in told[5]
    assert "3 names are wanted, kind < group < family" in told[6]
    assert "would stand above itself" in told[7] and "would stand above itself" in told[8]
    assert "there is no MyKind 'rye'" in told[9]
    assert "stands under 'mine/deep/plant' already" in told[10]
    found = rows(
        graph, "MATCH (k:MyKind)-[:BROADER {facet: 'deep'}]->(g)-->(f) RETURN k.name, g.name, f.name ORDER BY k.name"
    )
    assert found == [["apple", "fruit", "plant"], ["leek", "vegetable", "plant"], ["pea", "fruit", "plant"]]
    (tmp_path / "more.txt").write_text("apple, berry, plant\n")
    later = import_hierarchy(graph, store, mine, facet="deep", file=tmp_path / "more.txt", reporter=reporter)
    assert [p.reason.count("stands under 'mine/deep/fruit' already") for p in later.problems] == [1]
    with pytest.raises(SchemaViolation, match=r"say by --facet.*food, deep"):
        import_hierarchy(graph, store, mine, file=file, reporter=reporter)
    with pytest.raises(SchemaViolation, match="cannot be read"):
        import_hierarchy(graph, store, mine, facet="deep", file=tmp_path / "none.txt", reporter=reporter)


def test_a_published_list(graph: Graph, store: Store, reporter: SilentReporter, mine, shared_data: Path, server):
    folder = shared_data / "hierarchies"
    if not folder.is_dir():
        pytest.skip("../shared/data/hierarchies is absent")
    food = folder / "food-101_hierarchy.txt"
    assert len(read_list(food)) == 101  # wc -l says 100: the last line has no newline
    report = import_hierarchy(graph, store, mine, facet="food", file=food, new_classes=True, reporter=reporter)
    assert report.created["MyKind"] + len(report.problems) == 101
    assert rows(graph, "MATCH (:MyKind)-[r:BROADER]->(:Concept) RETURN count(r)") == [[report.created["MyKind"]]]
    empty(graph, server)
