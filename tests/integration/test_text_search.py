"""Does a text find the pictures that lie nearest to it: by command, over HTTP, and by a job typed in Browser?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from api.main import create_app
from cli import context
from cli.main import app
from kg.classify import similar_to_text
from kg.encoders.tower import load_tower
from kg.errors import EncoderError, NodeNotFound, SchemaViolation
from kg.graph import Graph, connect
from kg.importers.saree import import_saree
from kg.progress import SilentReporter
from kg.publishing.activation import active_set, rollback
from kg.publishing.publish import publish
from kg.publishing.text_tower import publish_text_tower
from kg.scenes.asking import ask
from kg.schema import load_domain
from kg.settings import Settings
from kg.statements import statement_for
from kg.store import Store, open_image
from tests.support.cleaning import empty
from tests.support.coloured import untrained_encoder
from tests.support.published import column, craft, image_id, publication, rows, unit, write
from workers import context as workplace
from workers import running
from workers import tasks as steps
from workers.contracts import Message
from workers.watching import accept_typed

SAREE, SILENT = load_domain("saree"), SilentReporter()
ASKED = "peacock on pallu, red body, green border"
FORM = {"size_px": 112, "reporter": SILENT}


class Shown(NamedTuple):
    """A graph of rendered sarees with korvai-small as its task `text`."""

    graph: Graph
    settings: Settings
    set_id: str


@pytest.fixture(scope="module")
def shown(server: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """Six sarees; two of them were imported after the first publish."""
    settings = server.model_copy(update={"store": tmp_path_factory.mktemp("text") / "store"})
    store = Store(settings.store_dir)
    with connect(settings) as graph:
        empty(graph, settings)
        import_saree(graph, store, per_cluster=2, clusters=["Kanchipuram", "Patan Patola"], **FORM)
        first = publish_text_tower(graph, store, "korvai-small", domain=SAREE, reporter=SILENT)
        import_saree(graph, store, per_cluster=3, clusters=["Kanchipuram", "Patan Patola"], **FORM)
        again = publish_text_tower(graph, store, "korvai-small", domain=SAREE, reporter=SILENT)
        assert again == first
        yield Shown(graph, settings, again)
        empty(graph, settings)


def brute_force(shown: Shown, text: str) -> list[tuple[str, float]]:
    """Items by cosine, with the published tower and the files of the store."""
    active, store = active_set(shown.graph, SAREE, "text"), Store(shown.settings.store_dir)
    tower = load_tower(store.models / active.version / "tower")
    items = rows(shown.graph, "MATCH (s:Saree)-[:HAS_IMAGE]->(i) RETURN s.name, i.uri")
    vectors = tower.encode_images([open_image(store.path(uri)) for _, uri in items])
    cosines = vectors.astype(np.float64) @ tower.encode_texts([text])[0].astype(np.float64)
    return sorted(((item, cosine) for (item, _), cosine in zip(items, cosines, strict=True)), key=lambda r: -r[1])


def test_the_nearest_are_those_of_brute_force(shown: Shown):
    assert active_set(shown.graph, SAREE, "text").class_property is None
    found = similar_to_text(shown.graph, shown.settings, ASKED, domain=SAREE, k=4)
    wanted = brute_force(shown, ASKED)
    assert [row.item for row in found] == [item for item, _ in wanted[:4]]
    assert [row.score for row in found] == pytest.approx([cosine for _, cosine in wanted[:4]], abs=1e-5)
    for strange in ("🪷 कमल 蓮", "a red saree " * 100):
        assert len(similar_to_text(shown.graph, shown.settings, strange, domain=SAREE, k=3)) == 3


def test_both_ways_and_their_difference(shown: Shown):
    answer = ask(shown.graph, shown.settings, SAREE, "red body, green border", by="both", k=3)
    scenes, nearest = {row.item for row in answer.scenes.found}, {row.item for row in answer.nearest}
    assert set(answer.found_by_both) == scenes & nearest and set(answer.only_by_scenes) == scenes - nearest
    assert set(answer.only_by_embeddings) == nearest - scenes and not answer.notes
    half = ask(shown.graph, shown.settings, SAREE, "xylophone", by="both", k=3)
    assert half.scenes is None and len(half.nearest) == 3 and "no scene shows such a thing" in half.notes[0]
    with pytest.raises(SchemaViolation, match="the text is empty"):
        ask(shown.graph, shown.settings, SAREE, "  ", by="embeddings")
    with pytest.raises(SchemaViolation, match="choose one of scenes"):
        ask(shown.graph, shown.settings, SAREE, "red body", by="smell")


def test_command_and_route_give_the_same(shown: Shown, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(context, "settings", lambda: shown.settings)
    told = CliRunner().invoke(app, ["search", ASKED, "--by", "embeddings", "-k", "3", "--json"])
    assert told.exit_code == 0, told.output
    typed = [json.loads(line) for line in told.output.splitlines()]
    with TestClient(create_app(shown.settings)) as client:
        answer = client.get("/search", params={"text": ASKED, "by": "both", "k": 3}).json()
        assert client.get("/search", params={"text": ASKED, "by": "smell"}).status_code == 422
    assert [row["item"] for row in typed] == [row["item"] for row in answer["nearest"]]
    assert answer["items"] and answer["facts"] and "found_by_both" in answer
    table = CliRunner().invoke(app, ["search", ASKED, "--by", "both", "-k", "3"])
    assert table.exit_code == 0 and "by embeddings only" in table.output, table.output
    again = CliRunner().invoke(app, ["publish-text"])
    assert again.exit_code == 0 and shown.set_id in again.output.replace("\n", ""), again.output


def test_a_job_typed_in_browser_finds_once(shown: Shown, monkeypatch: pytest.MonkeyPatch):
    """What a worker does, in this process; tests of workers show that messages arrive."""
    graph, settings = shown.graph, shown.settings
    for module in (running, workplace):
        monkeypatch.setattr(module, "settings", lambda: settings)
    typed = "CREATE (:Job {kind:'search', graph:'saree', text:$said, params:'{\"k\": 3}', state:'queued'})"
    write(graph, typed, said=ASKED)
    write(graph, "CREATE (:Job {kind:'search', graph:'saree', text:'  ', state:'queued'})")
    assert accept_typed(settings, graph) == 2
    (job,) = column(graph, "MATCH (j:Job {kind: 'search'}) WHERE j.state = 'queued' RETURN j.id")
    ((refused,),) = rows(graph, "MATCH (j:Job {state: 'refused'}) RETURN j.message")
    assert "the text is empty" in refused

    found = "MATCH (j:Job {id: $job})-[f:FOUND]->(i:Image)<-[:HAS_IMAGE]-(s) RETURN f.rank, s.name ORDER BY f.rank"
    wanted = [[rank, item] for rank, (item, _) in enumerate(brute_force(shown, ASKED)[:3], 1)]
    for _ in range(2):  # the second time as after a crash between the answers and the end of the step
        steps.search.run(Message(job=job, step=0).model_dump(mode="json"))
        assert column(graph, "MATCH (j:Job {id: $job}) RETURN j.state", job=job) == ["done"]
        assert rows(graph, found, job=job) == wanted
        write(
            graph,
            "MATCH (j:Job {id: $job}) SET j.state = 'queued', j.step = 0, j.ended_at = null, j.due_at = datetime()",
            job=job,
        )
    steps_said = graph.run(statement_for(graph, "jobs/found", SAREE), job=job)
    assert [[row["rank"], row["item"]] for row in steps_said] == wanted and steps_said[0]["text"] == ASKED


def test_text_sets_are_replaced_rolled_back_and_collected(graph: Graph, store: Store, tmp_path: Path):
    craft(graph, items=2)
    with pytest.raises(NodeNotFound, match="nothing is published yet"):
        active_set(graph, SAREE, "text")
    made = [_text_publication(tmp_path, f"run{n}") for n in range(3)]
    sets = [publish(graph, store, one, reporter=SILENT) for one in made]
    assert column(graph, "MATCH (s:EmbeddingSet) RETURN s.state ORDER BY s.at") == ["retired", "ready", "ready"]
    assert sorted(path.name for path in store.models.iterdir()) == sorted(s.rpartition("_text_")[0] for s in sets[1:])
    assert rollback(graph, SAREE, "text").set == sets[1]
    assert column(graph, "MATCH (c:Class) RETURN count(c)") == [0]
    publish(graph, store, publication(tmp_path, items=2), reporter=SILENT)  # a classifier stands beside it
    assert active_set(graph, SAREE, "text").set == sets[1] and active_set(graph, SAREE).class_property


def test_what_cannot_answer_texts_is_refused(graph: Graph, store: Store, tmp_path: Path):
    craft(graph, items=2)
    with pytest.raises(SchemaViolation, match="has_text None"):
        publish(graph, store, _text_publication(tmp_path, "bare", has_text=None), reporter=SILENT)
    classes = {"class_keys": ["c00"], "class_vectors": unit(1, 8)}
    with pytest.raises(SchemaViolation, match="takes none"):
        publish(graph, store, _text_publication(tmp_path, "classed", **classes), reporter=SILENT)
    with pytest.raises(EncoderError, match="no text side"):
        publish_text_tower(graph, store, untrained_encoder(tmp_path), domain=SAREE, reporter=SILENT)


def _text_publication(folder: Path, run: str, *, has_text: bool | None = True, **changes: object):
    tower = folder / f"text-{run}"
    tower.mkdir()
    (tower / "manifest.json").write_text(json.dumps({"dim": 8, "has_text": has_text, "run": run}))
    values = {"task": "text", "class_keys": [], "class_vectors": np.zeros((0, 8)), "tower_dir": tower}
    return publication(folder, items=2, run=run, image_ids=[image_id(0), image_id(1)], **{**values, **changes})
