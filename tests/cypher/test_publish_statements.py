"""Do the statements that curators ask the published model with give the numbers that mathematics gives?"""

from __future__ import annotations

import numpy as np
import pytest

from cypher import load
from kg.errors import GraphError, NodeNotFound
from kg.graph import Graph
from kg.publishing.publish import active_set, publish
from kg.statements import browser_text, statement_for
from kg.store import Store
from tests.support.published import column, craft, image_id, publication, softmax, unit, write


@pytest.fixture
def ask(graph: Graph):
    """Runs a saved statement about sarees."""

    def run(name: str, *, domain: str = "saree", task: str = "cluster", **params):
        return graph.run(statement_for(graph, name, domain, task), domain=domain, task=task, **params)

    return run


@pytest.fixture
def published(graph: Graph, store: Store, reporter, tmp_path):
    """Publishes over a crafted graph: published(classes=…, items=…, **changes) -> Publication."""

    def run(*, classes: int = 3, items: int = 6, **changes):
        craft(graph, classes=classes, items=items)
        made = publication(tmp_path, classes=classes, items=items, **changes)
        publish(graph, store, made, reporter=reporter)
        return made

    return run


@pytest.mark.parametrize("classes", [1, 17])
def test_probabilities_are_the_softmax_over_all_classes(ask, graph: Graph, published, classes: int):
    made = published(classes=classes, items=2, dim=192)
    cosines = made.class_vectors.astype(np.float64) @ made.image_vectors[1].astype(np.float64)
    for scale, temperature in ((20.0, 1.5), (100.0, 0.1), (1e6, 1.0), (1e-3, 1.0)):
        write(graph, "MATCH (s:EmbeddingSet) SET s.scale = $s, s.temperature = $t", s=scale, t=temperature)
        found = ask("images/classify", image_id=image_id(1), k=classes)
        wanted = softmax(scale * cosines / temperature)
        got = {row["class"]: row for row in found}
        for n, key in enumerate(made.class_keys):
            assert got[key]["probability"] == pytest.approx(wanted[n], abs=1e-5)
            assert got[key]["score"] == pytest.approx(cosines[n], abs=1e-6)
        assert [row["class"] for row in found] == [f"c{n:02}" for n in np.argsort(-cosines, kind="stable")]


def test_the_best_k_come_with_probabilities_over_all(ask, published):
    published(classes=12, items=1)
    everything = ask("images/classify", image_id=image_id(0), k=100)
    assert ask("images/classify", image_id=image_id(0), k=3) == everything[:3]
    assert sum(row["probability"] for row in everything) == pytest.approx(1)


def test_equal_classes_come_in_the_order_of_their_keys(ask, published):
    published(classes=4, items=1, dim=8, class_vectors=np.repeat(unit(1, 8), 4, axis=0))
    found = ask("images/classify", image_id=image_id(0), k=4)
    assert [(row["class"], row["probability"]) for row in found] == [(f"c0{n}", pytest.approx(0.25)) for n in range(4)]


def test_a_vector_is_ranked_like_the_stored_image(ask, graph: Graph, published):
    made = published(classes=5, items=2)
    version = active_set(graph, "saree", "cluster").version
    vector = [float(x) for x in made.image_vectors[1]]
    assert ask("images/classify_vector", vector=vector, version=version, k=5) == ask(
        "images/classify", image_id=image_id(1), k=5
    )
    assert ask("images/classify_vector", vector=vector, version="another", k=5) == []
    assert ask("images/classify_vector", vector=vector[:-1], version=version, k=5) == []


def test_an_item_is_ranked_by_the_mean_of_its_images(ask, graph: Graph, published):
    made = published(classes=5, items=3)
    write(graph, "MATCH (a:Saree {name: 'i00'}), (:Saree {name: 'i01'})-[:HAS_IMAGE]->(i) CREATE (a)-[:HAS_IMAGE]->(i)")
    found = ask("items/classify", item="i00", k=5)
    cosines = (made.class_vectors.astype(np.float64) @ made.image_vectors[:2].astype(np.float64).T).mean(axis=1)
    wanted = softmax(made.scale * cosines / made.temperature)
    assert {row["class"]: row["probability"] for row in found} == pytest.approx(
        dict(zip(made.class_keys, wanted, strict=True)), abs=1e-5
    )
    assert {row["images"] for row in found} == {2}


def test_the_nearest_items_are_the_exact_ones_without_the_item_itself(ask, published):
    made = published(classes=2, items=60, dim=32)
    found = ask("items/similar", item="i07", k=10)
    cosines = made.image_vectors.astype(np.float64) @ made.image_vectors[7].astype(np.float64)
    cosines[7] = -np.inf
    nearest = np.argsort(-cosines)[:10]
    assert [row["item"] for row in found] == [f"i{n:02}" for n in nearest]
    assert [row["score"] for row in found] == pytest.approx(list(cosines[nearest]), abs=1e-6)
    assert found[0]["image_id"] == image_id(int(nearest[0]))


def test_an_only_item_has_no_similar_ones(ask, published):
    published(classes=1, items=1)
    assert ask("items/similar", item="i00", k=5) == []


def test_the_nearest_items_of_a_class(ask, published):
    made = published(classes=3, items=40, dim=16)
    found = ask("classes/nearest_items", k=5, **{"class": "c01"})
    cosines = made.image_vectors.astype(np.float64) @ made.class_vectors[1].astype(np.float64)
    assert [row["item"] for row in found] == [f"i{n:02}" for n in np.argsort(-cosines)[:5]]
    assert [row["score"] for row in found] == pytest.approx(sorted(cosines, reverse=True)[:5], abs=1e-6)


def test_classes_are_listed_with_those_that_are_new(ask, graph: Graph, published):
    published(classes=2, items=3)
    write(graph, "CREATE (:Cluster:Class {name: 'c99'})")
    assert ask("classes/list") == [
        {"class": "c00", "items": 2, "ranked": True},
        {"class": "c01", "items": 1, "ranked": True},
        {"class": "c99", "items": 0, "ranked": False},
    ]


def test_classes_are_listed_before_anything_is_published(ask, graph: Graph):
    craft(graph, classes=1, items=0)
    assert ask("classes/list") == [{"class": "c00", "items": 0, "ranked": False}]


def test_unclassified_items_come_with_the_likeliest_class(ask, graph: Graph, published):
    published(classes=4, items=4)
    write(graph, "MATCH (i:Saree {name: 'i02'})-[r]->(:Cluster) DELETE r")
    found = ask("items/unclassified", most=100, k=10)
    best = ask("images/classify", image_id=image_id(2), k=1)[0]
    assert len(found) == 1
    assert (found[0]["item"], found[0]["image_id"], found[0]["class"]) == ("i02", image_id(2), best["class"])
    assert found[0]["probability"] == pytest.approx(best["probability"], abs=1e-9)


def test_accuracy_is_counted_per_class(ask, published):
    made = published(classes=3, items=12)
    first = np.argmax(made.image_vectors.astype(np.float64) @ made.class_vectors.astype(np.float64).T, axis=1)
    for split, items in (("all", range(12)), ("test", range(1, 12, 2))):
        wanted = [
            {
                "class": f"c0{c}",
                "images": len(mine := [n for n in items if n % 3 == c]),
                "correct": (hits := sum(int(first[n] == c) for n in mine)),
                "accuracy": pytest.approx(hits / len(mine)),
            }
            for c in range(3)
        ]
        assert ask("images/compare_with_truth", split=split) == wanted


def test_versions_and_active_sets_are_listed(graph: Graph, published):
    made = published()
    active = active_set(graph, "saree", "cluster")
    (version,) = graph.run("versions/list")
    assert (version["version"], version["recipe"], version["active_for"]) == (active.version, made.recipe, ["cluster"])
    assert version["kept"] and version["sets"] == 1
    (listed,) = graph.run("versions/active")
    assert (listed["embedding_set"], listed["classes"], listed["previous"]) == (active.set, 3, None)
    assert (listed["scale"], listed["temperature"], listed["graph"]) == (20.0, 1.5, "live")


def test_nothing_published_gives_no_rows_and_a_plain_error(ask, graph: Graph):
    craft(graph)
    assert ask("images/classify", image_id=image_id(0), k=5) == []
    with pytest.raises(NodeNotFound, match="korvai retrain --graph saree"):
        active_set(graph, "saree", "cluster")


def test_two_domains_side_by_side_do_not_mix(ask, graph: Graph, store: Store, reporter, tmp_path, published):
    published(classes=3, items=2)
    craft(graph, classes=5, items=0, domain="artgraph", task="style")
    art = publication(tmp_path, classes=5, items=2, run="art", domain="artgraph", task="style", seed=9)
    publish(graph, store, art, reporter=reporter)
    write(graph, "MATCH (i:Image {sha256: $id}) CREATE (:Artwork {name: 'a'})-[:HAS_IMAGE]->(i)", id=image_id(0))
    assert len(ask("images/classify", image_id=image_id(0), k=10)) == 3
    assert len(ask("images/classify", domain="artgraph", task="style", image_id=image_id(0), k=10)) == 5
    assert [row["item"] for row in ask("items/similar", item="i01", k=5)] == ["i00"]


def test_no_question_returns_vectors(ask, graph: Graph, published):
    published(classes=3, items=6)
    params = {"image_id": image_id(0), "k": 5, "item": "i00", "class": "c00", "split": "all", "most": 10}
    for name in ("images/classify", "items/classify", "items/similar", "classes/nearest_items", "classes/list"):
        wanted = {param.name for param in load(name).params} - {"domain", "task"}
        for row in ask(name, **{key: params[key] for key in wanted}):
            assert all(isinstance(value, str | int | float | bool) for value in row.values())


@pytest.mark.parametrize("inline", [True, False])
def test_the_text_for_browser_gives_the_same_rows(graph: Graph, published, inline: bool):
    published(classes=3, items=2)
    statement = statement_for(graph, "images/classify", "saree")
    values = {"image_id": image_id(0), "domain": "saree", "task": "cluster", "k": 2}
    text = browser_text(statement, values, inline=inline)
    params = {}
    if not inline:  # what Browser does with :param lines
        lines = [line for line in text.splitlines() if line.startswith(":param ")]
        text = text[sum(len(line) + 1 for line in lines) :]
        for line in lines:
            name, value = line.removeprefix(":param ").rstrip(";").split(" => ")
            params[name] = column(graph, f"RETURN {value}")[0]
    assert graph.user_query(text.rstrip(";"), **params)[1] == [
        list(row.values()) for row in graph.run(statement, **values)
    ]


def test_image_ids_cannot_leave_their_place(graph: Graph, published):
    published(classes=2, items=1)
    evil = "x'}) MATCH (n) DETACH DELETE n // \\u0027"
    statement = statement_for(graph, "images/classify", "saree")
    values = {"image_id": evil, "domain": "saree", "task": "cluster", "k": 2}
    text = browser_text(statement, values, inline=True)
    assert graph.user_query(text.rstrip(";"))[1] == [] == graph.run(statement, **values)
    assert column(graph, f"RETURN {text.split('sha256: ')[1].split('})-[:HAS_V')[0]}") == [evil]


def test_a_damaged_class_vector_is_left_out_and_does_not_end_the_question(ask, graph: Graph, published):
    published(classes=3, items=1)
    prop = active_set(graph, "saree", "cluster").class_property
    write(graph, f"MATCH (c:Cluster {{name: 'c01'}}) SET c.`{prop}` = [1.0, 2.0]")
    found = ask("images/classify", image_id=image_id(0), k=5)
    assert sorted(row["class"] for row in found) == ["c00", "c02"]
    assert sum(row["probability"] for row in found) == pytest.approx(1)


def test_statements_refuse_names_that_do_not_fit(graph: Graph):
    with pytest.raises(GraphError, match="no slot"):
        statement_for(graph, "images/classify", "saree", slots={"nonsense": "Cluster"})
    with pytest.raises(GraphError, match="is no node_type of saree"):
        statement_for(graph, "images/classify", "saree", slots={"class": "Style"})
    with pytest.raises(GraphError, match="no task"):
        statement_for(graph, "images/classify", "saree", "style")
