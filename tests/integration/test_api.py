"""Does the HTTP API answer from a real graph with a real tower, and does it say in one line what is wrong?"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from api.limits import MAX_UPLOAD_MIB
from api.main import create_app
from kg import classify
from kg.encoders.tower import load_tower
from kg.graph import connect
from kg.jobs import Lease, create_job
from kg.progress import SilentReporter
from kg.publishing.publish import Publication, publish
from kg.schema import ensure_schema, load_domain
from kg.settings import Settings, load_settings
from kg.store import Store
from tests.support.cleaning import empty
from tests.support.coloured import COLOURS, coloured_graph, picture, untrained_encoder
from tests.support.published import write

PER_CLASS = 3


@pytest.fixture(scope="module")
def tower_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real tower with weights that nobody trained; plain colours come out far enough apart."""
    from kg.encoders.image import load_image_encoder
    from kg.encoders.tower import ImageTower

    folder = tmp_path_factory.mktemp("tower")
    ImageTower(load_image_encoder(untrained_encoder(folder))).save(folder / "tower")
    return folder / "tower"


@pytest.fixture(scope="module")
def settings(server: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The session's server, with one store for all tests here: they only ask."""
    return server.model_copy(update={"store": tmp_path_factory.mktemp("api") / "store"})


@pytest.fixture(scope="module")
def published(settings: Settings, tower_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Three clusters of one colour each, three plain pictures a cluster, and an active set; its id."""
    store = Store(settings.store_dir)
    with connect(settings) as graph:
        empty(graph, settings)
        ensure_schema(graph, load_domain("saree"), load_domain("artgraph"))
        ids = coloured_graph(graph, store, per_class=PER_CLASS)
        pictures = [Image.open(io.BytesIO(picture(colour, n))) for colour in COLOURS for n in range(PER_CLASS)]
        vectors = load_tower(tower_dir).encode_images(pictures)
        means = vectors.reshape(len(COLOURS), PER_CLASS, -1).mean(1)
        publication = _publication(tower_dir, tmp_path_factory.mktemp("run"), ids, vectors, means)
        set_id = publish(graph, store, publication, reporter=SilentReporter())
        write(graph, "CREATE (:Cluster {name: 'Newest'})")
    return set_id


@pytest.fixture(scope="module")
def client(settings: Settings, published: str) -> Iterator[TestClient]:
    with TestClient(create_app(settings)) as client:
        yield client


def test_an_upload_gets_its_class(client: TestClient, published: str) -> None:
    answer = client.post(
        "/classify",
        files={"file": picture("Green", 77)},
        params={"graph": "saree", "k": 2, "similar": 2, "typical": 3},
    )
    body = answer.json()
    assert answer.status_code == 200, body
    assert body["embedding_set"] == published and body["version"]
    assert body["classes"][0]["class"] == "Green" and len(body["classes"]) == 2
    assert {one["item"] for one in body["typical"]} == {"Green/0", "Green/1", "Green/2"}
    scores = [one["score"] for one in body["similar"]]
    assert len(scores) == 2 and scores == sorted(scores, reverse=True)


def test_what_looks_like_an_upload_is_not_what_looks_like_its_class(client: TestClient) -> None:
    """The picture of Red/2 itself comes first with a cosine of 1, whichever item is the most typical of its class."""
    answer = client.post("/classify", files={"file": picture("Red", 2)}, params={"similar": 1, "typical": 1}).json()
    assert "similar" in answer, answer
    assert answer["similar"] == [{**answer["similar"][0], "item": "Red/2", "score": pytest.approx(1.0, abs=1e-4)}]
    assert answer["typical"][0]["score"] != answer["similar"][0]["score"]


def test_probabilities_are_the_softmax_over_all_classes(client: TestClient) -> None:
    found = client.post("/classify", files={"file": picture("Red", 5)}, params={"k": 3}).json()["classes"]
    logits = np.array([50.0 * one["score"] / 2.0 for one in found])
    expected = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    assert [one["probability"] for one in found] == pytest.approx(expected, abs=1e-6)


def test_similar_items_and_their_pictures(client: TestClient) -> None:
    items = client.get("/similar/Blue/1", params={"k": 2}).json()["items"]
    assert {one["item"] for one in items} == {"Blue/0", "Blue/2"}
    answer = client.get(f"/images/{items[0]['image_id']}", params={"px": 40})
    assert answer.headers["content-type"] == "image/jpeg" and "immutable" in answer.headers["cache-control"]
    small = Image.open(io.BytesIO(answer.content))
    assert max(small.size) == 40
    assert np.abs(np.asarray(small).mean((0, 1)) - COLOURS["Blue"]).max() < 25


def test_classes_and_their_items(client: TestClient) -> None:
    classes = {one["class"]: one for one in client.get("/classes").json()["classes"]}
    assert {name: one["ranked"] for name, one in classes.items()} == {
        "Red": True,
        "Green": True,
        "Blue": True,
        "Newest": False,
    }
    assert classes["Red"]["items"] == PER_CLASS
    nearest = client.get("/classes/Red/items", params={"k": 3}).json()["items"]
    assert [one["item"].split("/")[0] for one in nearest] == ["Red"] * 3


def test_health_names_what_answers(client: TestClient, published: str, redis_server: str) -> None:
    answer = client.get("/health")
    body = answer.json()
    assert (answer.status_code, body["status"]) == (200, "ok"), body
    assert [(one["graph"], one["task"], one["embedding_set"]) for one in body["active"]] == [
        ("saree", "cluster", published)
    ]


def test_health_without_redis_is_degraded(settings: Settings, published: str) -> None:
    with TestClient(create_app(settings.model_copy(update={"redis_url": "redis://:hunter2@127.0.0.1:9/0"}))) as client:
        answer = client.get("/health")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert "hunter2" not in answer.text


def test_without_a_graph_it_starts_and_answers_503(tmp_path: Path) -> None:
    with TestClient(create_app(load_settings(home=tmp_path, environment="test"))) as client:
        health, classes = client.get("/health"), client.get("/classes")
        assert client.get("/").status_code == 200
    assert (health.status_code, health.json()["status"]) == (503, "down")
    assert classes.status_code == 503 and "korvai up" in classes.json()["message"]
    assert classes.headers["retry-after"]


@pytest.mark.parametrize(
    ("method", "path", "code", "says"),
    [
        ("GET", "/classes?graph=nothere", 404, "known: artgraph, saree"),
        ("GET", "/classes?graph=/etc/passwd.yaml", 404, "no such graph"),
        ("GET", "/classes?task=colour", 404, "known: cluster"),
        ("GET", "/similar/nobody", 404, "an item's id is its name"),
        ("GET", "/similar/x?graph=artgraph", 404, "nothing is published yet"),
        ("GET", "/similar/x?k=0", 422, "k: "),
        ("GET", "/images/" + "0" * 64, 404, "not in the store"),
        ("GET", "/images/..%2F..%2Fetc", 404, ""),
        ("GET", "/images/xyz", 422, "sha256"),
        ("POST", "/classify", 422, "file: Field required"),
        ("GET", "/static/..%2Fmain.py", 404, ""),
    ],
)
def test_bad_questions_are_one_line(client: TestClient, method: str, path: str, code: int, says: str) -> None:
    answer = client.request(method, path)
    assert answer.status_code == code, answer.text
    assert set(answer.json()) == {"error", "message"}
    assert says in answer.json()["message"] and "\n" not in answer.json()["message"]


@pytest.mark.parametrize(
    ("data", "says"),
    [(b"no picture at all", "the image: not an image that can be read; use JPEG"), (b"", "file: is empty")],
    ids=["not an image", "empty"],
)
def test_what_is_no_picture_is_refused(client: TestClient, data: bytes, says: str) -> None:
    answer = client.post("/classify", files={"file": data})
    assert answer.status_code == 422 and answer.json()["message"].startswith(says)


def test_a_truncated_picture_is_refused(client: TestClient) -> None:
    whole = picture("Red", 1)
    answer = client.post("/classify", files={"file": whole[: len(whole) // 2]})
    assert (answer.status_code, answer.json()["error"]) == (422, "UnreadableMedia")


@pytest.mark.parametrize("announced", [True, False])
def test_too_large_an_upload_is_refused(client: TestClient, announced: bool) -> None:

    def body() -> Iterator[bytes]:
        for _ in range(MAX_UPLOAD_MIB + 8):
            yield bytes(2**20)

    headers = {"content-type": "multipart/form-data; boundary=x"}
    content = bytes((MAX_UPLOAD_MIB + 8) * 2**20) if announced else body()
    answer = client.post("/classify", content=content, headers=headers)
    assert answer.status_code == 413 and f"{MAX_UPLOAD_MIB} MiB" in answer.json()["message"]


def test_a_removed_tower_is_named(client: TestClient, settings: Settings) -> None:
    models = Store(settings.store_dir).models
    classify._towers.clear()
    models.rename(models.with_name("elsewhere"))
    try:
        answer = client.post("/classify", files={"file": picture("Red", 1)})
    finally:
        models.with_name("elsewhere").rename(models)
    assert answer.status_code == 507 and "publish" in answer.json()["message"]


def test_the_first_uploads_load_one_tower_between_them(
    client: TestClient, published: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kg.encoders import tower

    classify._towers.clear()
    loads, real, barrier = [], tower.load_tower, threading.Barrier(6)
    monkeypatch.setattr(tower, "load_tower", lambda folder: (loads.append(folder), real(folder))[1])

    def ask(number: int) -> str:
        barrier.wait()
        colour = list(COLOURS)[number % 3]
        found = client.post("/classify", files={"file": picture(colour, number)}).json()["classes"]
        return "right" if found[0]["class"] == colour else "wrong"

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(ask, range(6))) == ["right"] * 6
    assert len(loads) == 1


def test_the_pages_need_nothing_from_elsewhere(client: TestClient) -> None:
    for path in ("/", "/docs", "/static/korvai.js", "/static/docs.js", "/static/korvai.css"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert "http://" not in answer.text and "https://" not in answer.text
    assert "script-src 'self'" in client.get("/").headers["content-security-policy"]
    assert set(client.get("/openapi.json").json()["paths"]) >= {"/classify", "/similar/{item}", "/classes", "/health"}


def _publication(tower_dir: Path, run_dir: Path, ids: list[str], vectors: np.ndarray, means: np.ndarray) -> Publication:
    return Publication(
        domain="saree",
        task="cluster",
        recipe="graphclip",
        run_dir=run_dir,
        snapshot_hash="0123456789ab",
        config={},
        metrics={},
        dim=vectors.shape[1],
        scale=50.0,
        temperature=2.0,
        class_keys=list(COLOURS),
        class_vectors=means / np.linalg.norm(means, axis=1, keepdims=True),
        image_ids=ids,
        image_vectors=vectors,
        tower_dir=tower_dir,
    )


def test_metrics_tell_jobs_and_the_broker(client: TestClient, settings: Settings) -> None:
    with connect(settings) as graph:
        create_job(graph, "job-8", {"kind": "refresh", "graph": "saree", "plan": "[]"})
    answer = client.get("/metrics")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain")
    assert 'korvai_jobs{kind="refresh",state="queued"} 1.0' in answer.text
    assert "korvai_broker_up" in answer.text


def test_jobs_are_listed_and_followed_to_their_end(client: TestClient, settings: Settings) -> None:
    plan = '[{"step": "pull", "args": {}}, {"step": "train", "args": {}}]'
    with connect(settings) as graph:
        create_job(graph, "job-7", {"kind": "encode", "graph": "saree", "plan": plan})
        listed = client.get("/jobs", params={"state": "queued", "of": "saree", "kind": "encode"}).json()["jobs"]
        assert [(job["id"], job["steps"], job["progress"]) for job in listed] == [("job-7", ["pull", "train"], 0.0)]
        assert client.get("/jobs", params={"kind": "retrain"}).json() == {"jobs": []}
        assert client.get("/jobs", params={"state": "gone"}).status_code == 422
        lease = Lease(graph, "job-7", 0, ttl_s=60)
        threading.Timer(1.0, lambda: lease.settle(state="failed", message="for a reason")).start()
        with client.stream("GET", "/jobs/job-7/events") as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            lines = [line for line in answer.iter_lines() if line]
    assert lines[0] == "event: running" and lines[-2] == "event: failed" and "for a reason" in lines[-1]
    assert client.get("/jobs/job-7").json()["state"] == "failed"
    assert client.get("/jobs/nobody").status_code == client.get("/jobs/nobody/events").status_code == 404
