"""Do captions and annotated scenes reach the images of a graph, and are pictures found by what they show?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from api.main import create_app
from cli import context
from cli.main import app
from kg.errors import NodeNotFound
from kg.graph import Graph, connect
from kg.importers.annotations import import_annotated_scenes, import_captions
from kg.importers.saree import import_saree
from kg.progress import SilentReporter
from kg.scenes.composing import find_scenes
from kg.schema import load_domain
from kg.settings import Settings
from kg.store import Store
from tests.support.cleaning import empty

SAREE = load_domain("saree")
FIRST, SECOND = "rendered-kanchipuram-0001", "rendered-kanchipuram-0002"


@pytest.fixture(scope="module")
def stored(server: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Graph, Store]]:
    """A few rendered sarees; captions and annotated scenes hang on the first two."""
    folder = tmp_path_factory.mktemp("scenes")
    store, silent = Store(folder / "store"), SilentReporter()
    captions = folder / "captions.csv"
    captions.write_text(
        f"image,caption\n{FIRST},A woman in a purple saree holding a lamp\n{SECOND},A lamp holding a woman\n"
        f"{FIRST},😀😀\n{FIRST},\nnobody,A red dog\n"
    )
    things = [{"object_id": 1, "names": ["umbrella"], "attributes": ["torn"]}, {"object_id": 2, "names": ["door"]}]
    leans = {"predicate": "leans on", "subject_id": 1, "object_id": 2}
    scenes = folder / "scene_graphs.json"
    scenes.write_text(json.dumps([{"image": FIRST, "objects": things, "relationships": [leans]}, "stray"]))
    with connect(server) as graph:
        empty(graph, server)
        import_saree(graph, store, per_cluster=4, clusters=["Kanchipuram"], size_px=112, reporter=silent)
        reports = [
            import_captions(graph, store, SAREE, captions, reporter=silent),
            import_captions(graph, store, SAREE, captions, reporter=silent),
            import_annotated_scenes(graph, store, SAREE, scenes, reporter=silent),
        ]
        graph.reports = reports
        yield graph, store
        empty(graph, server)


def test_captions_and_their_scenes_arrive_once(stored: tuple[Graph, Store]):
    first, again, _ = stored[0].reports
    assert first.created["Caption"] == 3
    assert first.created["SceneObject"] == 5
    reasons = sorted(problem.reason for problem in first.problems)
    assert len(reasons) == 3 and "empty" in reasons[0] and "no words" in reasons[1] and "nobody" in reasons[2]
    assert again.total_created == again.total_updated == 0


def test_annotated_scenes_arrive(stored: tuple[Graph, Store]):
    report = stored[0].reports[2]
    assert report.created["SceneObject"] == 2
    assert [problem.reason for problem in report.problems] == ["image '': entry without image or objects"]
    rows = stored[0].run("scenes/find", name="umbrella", attribute="torn", limit=5)
    assert [(row["attributes"], row["source"]) for row in rows] == [(["torn"], "annotation")]


def test_scenes_are_counted_and_drawn(stored: tuple[Graph, Store]):
    graph = stored[0]
    counted = {(r["subject"], r["predicate"], r["object"]): r["images"] for r in graph.run("scenes/count", limit=1000)}
    assert counted["umbrella", "leans on", "door"] == 1
    attributes = {(r["name"], r["attribute"]): r["images"] for r in graph.run("scenes/count_attributes", limit=1000)}
    assert attributes["saree", "purple"] == 1
    image = graph.run("scenes/find", name="umbrella", attribute="", limit=1)[0]["image"]
    assert len(graph.run("scenes/draw", image=image)) > 4


def test_the_swapped_caption_is_found_elsewhere(stored: tuple[Graph, Store]):
    graph = stored[0]
    image = graph.run("scenes/find", name="umbrella", attribute="", limit=1)[0]["image"]
    rows = graph.run("scenes/elsewhere", image=image, limit=1000)
    swapped = {row["caption"] for row in rows if row["kind"] == "swapped" and row["subject"] == "lamp"}
    assert "A lamp holding a woman" in swapped


def test_search_says_what_each_item_meets(stored: tuple[Graph, Store]):
    graph = stored[0]
    answer = find_scenes(graph, "saree", "a woman holding a lamp, torn umbrella, xylophone")
    best = answer.found[0]
    assert (best.item, best.score, best.missing) == (FIRST, 1.0, [])
    assert answer.unknown == ("xylophone",)
    assert "woman hold lamp" not in [fact for row in answer.found[1:] for fact in row.met]
    with pytest.raises(NodeNotFound, match="no scene shows such a thing"):
        find_scenes(graph, "saree", "xylophone")


def test_search_agrees_with_a_slow_look_at_every_rendered_scene(stored: tuple[Graph, Store]):
    graph = stored[0]
    _, rows = graph.user_query(
        "MATCH (s:Saree)-[:HAS_IMAGE]->(i)-[:DEPICTS]->(o {source: 'renderer'})-[:HAS_ATTRIBUTE]->(a) "
        "RETURN o.name, a.name, collect(DISTINCT s.name)"
    )[:2]
    assert rows
    for name, attribute, items in rows[:8]:
        found = find_scenes(graph, "saree", f"{attribute} {name}", k=100).found
        assert {row.item for row in found if row.score == 1} == set(items), (name, attribute)


def test_command_and_route_give_the_same(stored: tuple[Graph, Store], server: Settings, monkeypatch):
    monkeypatch.setattr(context, "settings", lambda: server)
    shown = CliRunner().invoke(app, ["search", "torn umbrella, door", "--json"])
    assert shown.exit_code == 0, shown.output
    with TestClient(create_app(server)) as client:
        answer = client.get("/search", params={"text": "torn umbrella, door"}).json()
    assert json.loads(shown.output.splitlines()[0]) == answer["items"][0]
    assert answer["items"][0]["item"] == FIRST


def test_negatives_of_all_captions(stored: tuple[Graph, Store], server: Settings, monkeypatch, tmp_path: Path):
    monkeypatch.setattr(context, "settings", lambda: server.model_copy(update={"store": tmp_path / "store"}))
    file = tmp_path / "negatives.jsonl"
    shown = CliRunner().invoke(app, ["negatives", "--out", str(file)])
    assert shown.exit_code == 0, shown.output
    made = [json.loads(line) for line in file.read_text().splitlines()]
    assert ("A lamp holding a woman", "A woman holding a lamp") in {(row["caption"], row["text"]) for row in made}
    assert not {row["text"] for row in made} & {row["caption"] for row in made}


def test_corrections(stored: tuple[Graph, Store]):
    graph = stored[0]
    thing = graph.run("scenes/find", name="door", attribute="", limit=1)[0]["thing"]
    umbrella = graph.run("scenes/find", name="umbrella", attribute="torn", limit=1)[0]["thing"]
    assert graph.run("scenes/rename", thing=thing, name="gate")[0]["was"] == "door"
    graph.run("scenes/correct_attribute", thing=umbrella, wrong="torn", right="mended")
    graph.run("scenes/correct_relation", subject=umbrella, object=thing, wrong="leans on", right="beside")
    answer = find_scenes(graph, "saree", "mended umbrella beside gate")
    assert answer.found[0].score == 1
    graph.run("scenes/rename", thing=thing, name="door")
    graph.run("scenes/correct_attribute", thing=umbrella, wrong="mended", right="torn")
    graph.run("scenes/correct_relation", subject=umbrella, object=thing, wrong="beside", right="leans on")
