"""Do facts, renderings with their scenes, and photographs of one's own become the saree graph, once?"""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kg.errors import SchemaViolation, SettingsError
from kg.graph import Graph
from kg.importers.saree import import_saree, rendering_job
from kg.importers.undo import undo_import
from kg.progress import SilentReporter
from kg.rendering.drawing import render_job
from kg.store import Store

TWO = ["Kanchipuram", "Banaras"]


def test_renderings_with_captions_and_scenes(graph: Graph, store: Store, reporter: SilentReporter) -> None:
    report = import_saree(graph, store, per_cluster=2, clusters=TWO, size_px=96, reporter=reporter)
    assert not report.problems
    assert (report.created["Cluster"], report.created["Saree"], report.created["Image"]) == (17, 4, 4)
    assert report.total_updated == 0
    rows = graph.user_query(
        "MATCH (c:Class:Cluster)<-[:OF_CLUSTER]-(s:Saree)-[:HAS_IMAGE]->(i) "
        "RETURN s.name, c.name, s.rendered, s.renderer, s.seed, s.look, i.uri, i.width, i.split ORDER BY s.name"
    )[1]
    assert [row[0] for row in rows] == [f"rendered-{c}-{n:04d}" for c in ("banaras", "kanchipuram") for n in (1, 2)]
    for name, cluster, rendered, _, seed, look, uri, width, split in rows:
        assert (rendered, width, split) == (True, 96, None)
        job = rendering_job(cluster, int(name[-4:]), size_px=96)
        assert seed == f"train:{job.index}"
        drawn = render_job(job)
        assert json.loads(look) == drawn.look.as_dict()
        stored = np.asarray(Image.open(io.BytesIO(store.path(uri).read_bytes())), dtype=int)
        assert np.abs(stored - drawn.image).mean() < 8


def test_the_scene_in_the_graph_is_the_renderers(graph: Graph, store: Store, reporter: SilentReporter) -> None:
    import_saree(graph, store, per_cluster=1, clusters=["Kanchipuram"], size_px=96, reporter=reporter)
    scene = render_job(rendering_job("Kanchipuram", 1, size_px=96)).scene
    objects = graph.user_query(
        "MATCH (:Image)-[:DEPICTS]->(o) OPTIONAL MATCH (o)-[:HAS_ATTRIBUTE]->(a) "
        "WITH o, collect(a.key) AS attributes RETURN o.name, o.x, o.y, o.w, o.h, attributes"
    )[1]
    key = str
    assert sorted(([*row[:5], sorted(row[5])] for row in objects), key=key) == sorted(
        ([o.name, o.x, o.y, o.w, o.h, sorted(o.attributes)] for o in scene.objects), key=key
    )
    relations = graph.user_query("MATCH (a:SceneObject)-[r:RELATION]->(b) RETURN a.id, r.predicate, b.id")[1]
    found = {(a.split("/")[1], p, b.split("/")[1]) for a, p, b in relations}
    assert found == set(scene.relations)
    captions = graph.user_query("MATCH (:Image)-[:HAS_CAPTION]->(c) RETURN c.kind, c.text, c.source ORDER BY c.kind")[1]
    assert [row[0] for row in captions] == ["attributes", "scene"]
    assert all("kanchipuram" not in row[1].lower() and row[2] == "renderer" for row in captions)


def test_a_second_run_adds_only_what_is_missing(graph: Graph, store: Store, reporter: SilentReporter) -> None:
    form = {"clusters": TWO, "size_px": 64, "reporter": reporter}
    import_saree(graph, store, per_cluster=1, **form)
    same = import_saree(graph, store, per_cluster=1, **form)
    assert (same.total_created, same.total_updated, same.batch) == (0, 0, None)
    more = import_saree(graph, store, per_cluster=2, **form)
    assert (more.created["Saree"], more.created["Cluster"]) == (2, 0)
    test = import_saree(graph, store, per_cluster=1, rng_range="test", **form)
    assert test.created["Saree"] == 2
    splits = graph.user_query("MATCH (s:Saree)-->(i:Image) WHERE s.name CONTAINS '-test-' RETURN DISTINCT i.split")[1]
    assert splits == [["test"]]


def test_what_a_killed_import_left_is_made_whole(graph: Graph, store: Store, reporter: SilentReporter) -> None:
    form = {"clusters": ["Kanchipuram"], "size_px": 64, "per_cluster": 2, "reporter": reporter}
    import_saree(graph, store, **form)
    whole = graph.user_query("MATCH (n) WHERE NOT n:Batch RETURN count(n)")[1]
    # HAS_IMAGE is written last, so an import killed before it leaves a saree without image and perhaps half a scene.
    _forget(graph, "rendered-kanchipuram-0002")
    again = import_saree(graph, store, **form)
    assert again.created["Saree-HAS_IMAGE->Image"] == 1
    assert graph.user_query("MATCH (n) WHERE NOT n:Batch RETURN count(n)")[1] == whole


def test_facts_only(graph: Graph, store: Store, reporter: SilentReporter) -> None:
    report = import_saree(graph, store, per_cluster=0, reporter=reporter)
    assert report.created["Cluster"] == 17
    assert "Saree" not in {name for name, created, *_ in report.rows() if created}


def test_photographs_of_ones_own(graph: Graph, store: Store, reporter: SilentReporter, tmp_path: Path) -> None:
    for folder, name in (("kanchipuram", "a.jpg"), ("Banarasi", "b.png"), ("nowhere", "c.jpg")):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (30, 30), "red" if name == "a.jpg" else "blue").save(tmp_path / folder / name)
    (tmp_path / "kanchipuram" / "torn.jpg").write_bytes((tmp_path / "kanchipuram" / "a.jpg").read_bytes()[:200])
    form = {"per_cluster": 0, "images_dir": tmp_path, "reporter": reporter}
    report = import_saree(graph, store, **form)
    rows = graph.user_query(
        "MATCH (c)<-[:OF_CLUSTER]-(s)-[:HAS_IMAGE]->() RETURN s.name, s.rendered, c.name ORDER BY s.name"
    )
    assert rows[1] == [
        ["photograph-banaras-b.png", False, "Banaras"],
        ["photograph-kanchipuram-a.jpg", False, "Kanchipuram"],
    ]
    assert sorted(Path(p.file).name for p in report.problems) == ["c.jpg", "torn.jpg"]
    assert graph.user_query("MATCH (s:Saree) RETURN count(s)")[1] == [[2]]
    assert import_saree(graph, store, **form).total_created == 0


def test_undo_takes_renderings_and_facts_back(graph: Graph, store: Store, reporter: SilentReporter) -> None:
    report = import_saree(graph, store, per_cluster=1, clusters=TWO, size_px=64, reporter=reporter)
    undo_import(graph, store, report.batch, reporter=reporter)
    assert graph.user_query("MATCH (n) WHERE NOT n:Batch RETURN count(n)")[1] == [[0]]


def test_unknown_names_are_refused_before_anything_is_written(
    graph: Graph, store: Store, reporter: SilentReporter, tmp_path: Path
) -> None:
    with pytest.raises(SchemaViolation, match="no cluster 'Atlantis'"):
        import_saree(graph, store, clusters=["Atlantis"], reporter=reporter)
    with pytest.raises(SchemaViolation, match="is not a folder"):
        import_saree(graph, store, images_dir=tmp_path / "none", reporter=reporter)
    with pytest.raises(SettingsError, match="no seed range"):
        import_saree(graph, store, per_cluster=1, clusters=TWO, rng_range="lucky", reporter=reporter)
    assert graph.user_query("MATCH (n) WHERE NOT n:Batch RETURN count(n)")[1] == [[0]]


def _forget(graph: Graph, name: str) -> None:
    with graph._session("write") as session:
        session.run("MATCH (:Saree {name: $name})-[r:HAS_IMAGE]->() DELETE r", name=name).consume()
