"""After whatever was killed: is a set mixed, a write lost, an effect there twice, an image forgotten?"""

from __future__ import annotations

import json

import numpy as np

from kg.graph import Graph
from kg.jobs import Job
from kg.publishing.activation import active_set
from kg.publishing.publication import describe_set
from kg.store import Store
from tests.support import published
from tests.support.coloured import COLOURS

__all__ = ["violations"]


def violations(graph: Graph, store: Store, jobs: list[Job], acknowledged: set[str]) -> list[str]:
    """What is not as it must be, of the jobs that have ended and of the whole graph."""
    return [
        *(f"job {job.id} is {job.state}: {job.message}" for job in jobs if job.state != "done"),
        *_of_encoding(graph, jobs),
        *_of_sets(graph),
        *_of_predictions(graph),
        *_of_writes(graph, acknowledged),
        *_of_runs(store),
    ]


def _of_sets(graph: Graph) -> list[str]:
    """One active set a task, all its class vectors there and of that set alone, and a sum of probabilities of 1."""
    found = []
    for domain, task, count in published.rows(
        graph, "MATCH (t:Task) RETURN t.domain, t.name, COUNT { (t)-[:ACTIVE]->() } ORDER BY t.name"
    ):
        if count != 1:
            found.append(f"{domain}/{task} has {count} active sets")
            continue
        active = active_set(graph, domain, task)
        row = published.rows(
            graph,
            "MATCH (s:EmbeddingSet {id: $id}) "
            "RETURN s.state, s.graph, s.snapshot, s.scale, s.temperature, s.started_by",
            id=active.set,
        )[0]
        if row[0] != "ready":
            found.append(f"the active set {active.set} is {row[0]}")
        ask = "MATCH (c:Cluster) WHERE c[$p] IS NOT NULL RETURN c.name, c[$p] ORDER BY c.name"
        classes = published.rows(graph, ask, p=active.class_property)
        if len(classes) != len(COLOURS):
            found.append(f"{len(classes)} of {len(COLOURS)} classes have a vector of {active.set}")
            continue
        made_of = describe_set(
            active.version, [key for key, _ in classes], np.array([vector for _, vector in classes], np.float32),
            domain=domain, task=task, graph=row[1], snapshot=row[2], scale=row[3], temperature=row[4],
            started_by=row[5],
        )  # fmt: skip
        if made_of.id != active.set:
            found.append(f"the vectors of {active.set} are those of {made_of.id}: a mixed set")
        ask = """MATCH (:Saree)-[:HAS_IMAGE]->(i:Image) WHERE EXISTS { (:Saree)-[:HAS_IMAGE]->(i) }
                 AND EXISTS { MATCH (s:Saree)-[:OF_CLUSTER]->() WHERE (s)-[:HAS_IMAGE]->(i) }
                 AND NOT EXISTS { MATCH (i)-[:HAS_VECTOR]->(x) WHERE x[$p] IS NOT NULL } RETURN count(i)"""
        if missing := published.column(graph, ask, p=active.image_property)[0]:
            found.append(f"{missing} images have no vector of the active version {active.version}")
    return found


def _of_encoding(graph: Graph, jobs: list[Job]) -> list[str]:
    images = published.column(graph, "MATCH (:Saree)-[:HAS_IMAGE]->(i) RETURN count(DISTINCT i)")[0]
    return [
        f"job {job.id} has encoded {job.result.get('images')} of {images} images"
        for job in jobs
        if job.kind == "encode" and job.state == "done" and job.result.get("images") != images
    ]


def _of_predictions(graph: Graph) -> list[str]:
    ask = """MATCH (p:Prediction)
             WITH p, COUNT { (p)-[:OF]->() } AS of, COUNT { (p)-[:SAYS]->() } AS says, COUNT { (p)-[:FROM]->() } AS from
             WHERE of <> 1 OR says <> 1 OR from <> 1 RETURN p.id"""
    twice = """MATCH (s:EmbeddingSet)<-[:FROM]-(p:Prediction)-[:OF]->(i) WITH s, i, count(p) AS n WHERE n > 1
               RETURN s.id + ' ' + i.name"""
    broken = [f"prediction {one} does not say one thing of one item" for one in published.column(graph, ask)]
    return broken + [f"two predictions of {one}" for one in published.column(graph, twice)]


def _of_writes(graph: Graph, acknowledged: set[str]) -> list[str]:
    counts = dict(published.rows(graph, "MATCH (m:Motif) WHERE m.name STARTS WITH 'motif ' RETURN m.name, count(*)"))
    lost = [name for name in acknowledged if counts.get(name) != 1]
    return [f"{len(lost)} acknowledged writes are lost or double, such as {lost[0]}"] if lost else []


def _of_runs(store: Store) -> list[str]:
    keys = [json.loads((path / "snapshot.json").read_text())["key"] for path in store.runs.glob("*/")]
    return [f"run {key[:8]} exists {keys.count(key)} times" for key in set(keys) if keys.count(key) > 1]
