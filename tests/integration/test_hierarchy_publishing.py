"""Does a published hierarchy answer in Cypher as the model does, level by level, and follow an edit by a refresh?"""

from __future__ import annotations

import numpy as np
import pytest

from kg.errors import SchemaViolation
from kg.graph import Graph
from kg.hierarchy import task_trees
from kg.publishing.activation import active_set
from kg.schema import load_domain
from kg.snapshots.snapshot import pull
from kg.statements import statement_for
from tests.support.coloured import coloured_graph
from tests.support.published import rows, write
from training.choosing import choose_config
from training.metrics.hierarchy import roll_up, top_down
from training.run import refresh, retrain

pytestmark = pytest.mark.usefixtures("one_thread")

TREE = """
MATCH (red:Cluster {name: 'Red'}), (green:Cluster {name: 'Green'}), (blue:Cluster {name: 'Blue'})
CREATE (ikat:Technique:Class {name: 'ikat'}), (plain:Technique:Class {name: 'plain weave'}),
       (warm:Class:Concept {key: 'saree/weave/warm', name: 'warm'}),
       (cold:Class:Concept {key: 'saree/weave/cold', name: 'cold'}),
       (red)-[:BROADER {facet: 'weave'}]->(ikat)-[:BROADER {facet: 'weave'}]->(warm),
       (green)-[:BROADER {facet: 'weave'}]->(plain)-[:BROADER {facet: 'weave'}]->(cold),
       (blue)-[:BROADER {facet: 'weave'}]->(plain)
"""
SMALL = {"epochs": 2, "hidden": 8, "batch_size": 8, "fractions": (0.5, 0.2, 0.1, 0.2), "words": "names"}
SMALL |= {"readings": "none", "phrases": {}, "patch_weight": 0.0, "image_projection": "learned"}


def ask(graph: Graph, name: str, **values):
    domain = load_domain("saree")
    known = {"domain": "saree", "task": "cluster", "facet": "weave", "k": 9}
    return graph.run(statement_for(graph, name, domain, "cluster"), **known, **values)


def test_cypher_agrees_with_the_model_and_a_refresh_follows_the_hierarchy(graph, store, settings, reporter):
    domain = load_domain("saree")
    coloured_graph(graph, store, per_class=10)
    write(graph, TREE)
    config = choose_config("hgclip", domain, overrides=SMALL)
    run, _ = retrain(graph, settings, domain, recipe_name="hgclip", config=config, reporter=reporter)
    recipe, snapshot = run.recipe, run.recipe.snapshot
    tree, keys = recipe.trees[0], recipe.class_keys(snapshot)
    feat, _ = recipe.encoders.images(snapshot)
    vectors = recipe.encode_levels(snapshot)[1]
    logits = (recipe.scale() * recipe.encode_images(feat[:1]) @ vectors.T / recipe.temperature).numpy().astype(float)
    by_level = [logits[:, part] for part in recipe.nodes.slices[0]]
    image = snapshot.images.sha256[0]

    ways = ask(graph, "images/classify_down", image_id=image)
    expected = dict(zip(keys, top_down(tree, by_level)[0], strict=True))
    assert {row["class"]: row["probability"] for row in ways} == pytest.approx(expected, abs=1e-5)
    assert {row["class"]: row["path"] for row in ways} == {
        "Red": ["warm", "ikat", "Red"],
        "Green": ["cold", "plain weave", "Green"],
        "Blue": ["cold", "plain weave", "Blue"],
    }
    assert all(np.prod(row["steps"]) == pytest.approx(row["probability"]) for row in ways)
    assert [row["steps"][2] for row in ways if row["class"] == "Red"] == [1.0]  # Red is alone below ikat

    summed = roll_up(tree, by_level[0])
    for level in (1, 2):
        found = {row["name"]: row["probability"] for row in ask(graph, "images/roll_up", image_id=image, level=level)}
        assert found == pytest.approx(dict(zip(tree.names[level], summed[level][0], strict=True)), abs=1e-5)

    first = active_set(graph, domain)
    write(
        graph,
        "MATCH (:Cluster {name: 'Blue'})-[r:BROADER]->(), (ikat:Technique {name: 'ikat'}), (c:Cluster {name: 'Blue'}) "
        "DELETE r CREATE (c)-[:BROADER {facet: 'weave'}]->(ikat)",
    )
    refresh(graph, settings, domain, reporter=reporter)
    second = active_set(graph, domain)
    assert (second.version, second.set != first.set) == (first.version, True)
    paths = {row["class"]: row["path"] for row in ask(graph, "images/classify_down", image_id=image)}
    assert paths["Blue"] == ["warm", "ikat", "Blue"]
    carrying = rows(graph, f"MATCH (n:Class) WHERE n.`{second.class_property}` IS NOT NULL RETURN count(n)")
    assert carrying == [[7]]


def test_without_a_hierarchy_training_says_how_to_get_one(graph, store, settings, reporter):
    coloured_graph(graph, store, per_class=4)
    domain = load_domain("saree")
    snapshot = pull(graph, domain, store, reporter=reporter)
    with pytest.raises(SchemaViolation, match="korvai import hierarchy --graph saree"):
        task_trees(snapshot)
