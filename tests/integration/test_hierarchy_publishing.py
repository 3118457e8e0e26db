"""Does a published hierarchy answer in Cypher as the model does, level by level, and follow an edit by a refresh?"""

from __future__ import annotations

import numpy as np
import pytest

from kg.encoders.tower import load_tower
from kg.errors import SchemaViolation
from kg.graph import Graph
from kg.hierarchy import task_trees
from kg.publishing.activation import active_set
from kg.schema import load_domain
from kg.snapshots.snapshot import pull
from kg.statements import statement_for
from kg.store import open_image
from tests.support.coloured import coloured_graph
from tests.support.published import rows, write
from training.choosing import choose_config
from training.hierarchy_agreement import largest_gap
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
SMALL |= {"readings": "none", "phrases": {}, "match": "cosine", "patch_weight": 0.0, "image_projection": "learned"}


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


def test_likelihoods_are_what_cypher_answers_and_uploads_see_the_same(graph, store, settings, reporter):
    domain = load_domain("saree")
    coloured_graph(graph, store, per_class=8)
    write(graph, TREE)
    write(
        graph, "MATCH (c:Cluster) MERGE (k:Colour {name: toLower(c.name)}) CREATE (c)-[:BODY_COLOUR {share: 1.0}]->(k)"
    )
    asked = {"match": "likelihood", "words": "phrases", "readings": "graph", "image_projection": "none", "epochs": 1}
    asked |= {"phrases": {"BODY_COLOUR": "a saree with a {text} body"}, "path_weight": 0.0}
    config = choose_config("hgclip", domain, overrides=SMALL | asked)
    run, _ = retrain(graph, settings, domain, recipe_name="hgclip", config=config, reporter=reporter)
    assert largest_gap(graph, run.recipe, images=3) < 1e-4
    snapshot, version = run.recipe.snapshot, active_set(graph, domain).version
    tower = load_tower(store.models / version / "tower")
    stored = run.recipe.encode_images(run.recipe.image_feat[:1]).numpy()
    uploaded = tower.encode_images([open_image(store.path(snapshot.images.uri[0]))])
    assert np.allclose(uploaded, stored, atol=1e-4)
    write(graph, "MATCH (:Cluster {name: 'Blue'})-[r:BROADER]->() DELETE r")
    write(
        graph,
        "MATCH (b:Cluster {name: 'Blue'}), (t:Technique {name: 'ikat'}) CREATE (b)-[:BROADER {facet: 'weave'}]->(t)",
    )
    refresh(graph, settings, domain, reporter=reporter)
    ways = {r["class"]: r for r in ask(graph, "images/classify_down", image_id=snapshot.images.sha256[0])}
    assert ways["Blue"]["path"] == ["warm", "ikat", "Blue"]
    assert sum(way["probability"] for way in ways.values()) == pytest.approx(1, abs=1e-6)


def test_without_a_hierarchy_training_says_how_to_get_one(graph, store, settings, reporter):
    coloured_graph(graph, store, per_class=4)
    domain = load_domain("saree")
    snapshot = pull(graph, domain, store, reporter=reporter)
    with pytest.raises(SchemaViolation, match="korvai import hierarchy --graph saree"):
        task_trees(snapshot)
