"""Does a real worker on a real Redis take a graph to a published model, and survive what goes wrong on the way?"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator, Sequence

import numpy as np
import psutil
import pytest
from redis import Redis

from kg import classify
from kg.encoders.image import load_image_encoder
from kg.errors import PayloadError, SchemaViolation
from kg.graph import Graph, connect
from kg.jobs import Job, cancel_job, find_job
from kg.progress import SilentReporter
from kg.publishing.activation import active_set
from kg.publishing.text_tower import publish_text_tower
from kg.schema import load_domain
from kg.server import services
from kg.server.connection import redis_url
from kg.server.home import run_dir
from kg.server.process import find, tail
from kg.settings import Settings
from kg.store import Store
from tests.support.coloured import COLOURS, coloured_graph, picture
from tests.support.faults import TOY, World, kill_round, point_round
from tests.support.published import column, rows, write
from workers import queue
from workers.contracts import Message, Pull, Tick
from workers.kinds import Classify, Encode, Refresh, Retrain

PATIENCE_S = 400.0
STEPS = (
    "validate",
    "pull",
    "encode_texts",
    "encode_images",
    "train",
    "evaluate",
    "gate",
    "publish",
    "refresh",
    "classify",
)
UNCLASSED = "CREATE (s:Saree {name: $item})-[:HAS_IMAGE]->(:Image {sha256: $sha256, uri: $uri, width: 1, height: 1})"


@pytest.fixture(scope="module")
def world(server: Settings, redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The session's servers with a worker process that was started as `korvai up` does, a store and an encoder."""
    world = World(server, tmp_path_factory.mktemp("worker"))
    world.up("worker")
    yield world
    world.down("worker")


@pytest.fixture(scope="module")
def worker(world: World) -> Settings:
    """That worker's settings."""
    return world.settings


@pytest.fixture(scope="module")
def begun(world: World) -> World:
    """With a first model, for the tests at the end, which leave the graph whole."""
    world.begin()
    return world


def wait(settings: Settings, graph: Graph, job: str, *, until: str = "") -> Job:
    """The job when it has ended, or when step `until` runs."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found = find_job(graph, job)
        if found.ended or (until and found.holder and found.steps[found.step] == until):
            return found
        time.sleep(0.05)
    pytest.fail(f"{job} has not ended: {found}\n{tail(services.log_files(settings, 'worker'), 40)}")


def test_a_search_typed_in_browser_is_answered(worker: Settings, graph: Graph) -> None:
    store = Store(worker.store_dir)
    ids = coloured_graph(graph, store, per_class=1)
    publish_text_tower(graph, store, "korvai-small", domain=load_domain("saree"), reporter=SilentReporter())
    write(graph, "CREATE (:Job {kind: 'search', graph: 'saree', text: 'a red saree', state: 'queued'})")
    deadline = time.monotonic() + PATIENCE_S
    ask = "MATCH (j:Job {kind: 'search'}) WHERE j.ended_at IS NOT NULL RETURN j.state, j.message"
    while not (ended := rows(graph, ask)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert ended == [["done", None]]
    found = rows(graph, "MATCH (:Job {kind: 'search'})-[f:FOUND]->(i:Image) RETURN f.rank, i.sha256 ORDER BY f.rank")
    assert [rank for rank, _ in found] == [1, 2, 3] and {image for _, image in found} == set(ids)


def test_a_graph_becomes_a_model_although_the_worker_is_killed_in_training(worker: Settings, graph: Graph) -> None:
    store = Store(worker.store_dir)
    coloured_graph(graph, store, per_class=12)
    _images_are_encoded_in_parts(worker, graph, store)
    wanted = Retrain(graph="saree", config={**TOY, "epochs": 2})
    job = queue.submit(worker, graph, wanted)
    wait(worker, graph, job, until="train")
    _kill_children(worker)

    ended = wait(worker, graph, job)
    assert (ended.state, ended.steps, ended.crashes) == ("done", STEPS, 0), ended
    assert ended.result["gate"]["note"].startswith("nothing was active")
    active = active_set(graph, "saree", "cluster")
    assert ended.result["embedding_set"] == active.set
    found = classify.classify_image_bytes(graph, worker, picture("Blue", 999), domain="saree", k=3)
    assert sum(score.probability for score in found) == pytest.approx(1.0, abs=1e-6) and len(found) == len(COLOURS)

    again = wait(worker, graph, queue.submit(worker, graph, wanted))
    assert again.result["run"] == ended.result["run"] and again.result["gate"]["passed"], again
    assert active_set(graph, "saree", "cluster") == active
    assert len(list(store.runs.iterdir())) == 1

    _curator_classifies(worker, graph, store)
    _a_retraining_is_cancelled(worker, graph)
    _a_tick_comes_twice(worker, graph)


def _images_are_encoded_in_parts(worker: Settings, graph: Graph, store: Store) -> None:
    ended = wait(worker, graph, queue.submit(worker, graph, Encode(graph="saree", part_images=16)))
    images = 12 * len(COLOURS)
    assert (ended.state, ended.result["images"]) == ("done", images), ended
    ask = "MATCH (j:Job {parent: $id}) RETURN j.state, j.result ORDER BY j.id"
    parts = rows(graph, ask, id=ended.id)
    assert [state for state, _ in parts] == ["done"] * -(-images // 16)
    assert sum(json.loads(result)["images"] for _, result in parts) == images
    encoder = load_image_encoder(worker.vision_encoder)
    folder = store.features / encoder.fingerprint
    stored = [np.load(path)["hash"] for path in folder.glob("*.npy")]
    assert sum(map(len, stored)) == len(set(np.concatenate(stored).tolist()))  # none twice


def _curator_classifies(worker: Settings, graph: Graph, store: Store) -> None:
    """New pictures without a class, one of them damaged; the job is typed as a curator does."""
    for number, colour in enumerate(["Red", "Green", "Blue"]):
        write(graph, UNCLASSED, item=f"new/{colour}", **_two(store.put_image(picture(colour, 500 + number))))
    write(graph, UNCLASSED, item="new/bad", sha256="f" * 64, uri="images/nowhere.jpg")
    write(
        graph,
        """CREATE (:Job {kind: 'classify', graph: 'saree', statement: 'images/unclassified', params: '{"limit":100}',
                        state: 'queued'})""",
    )
    deadline = time.monotonic() + 60
    ask = "MATCH (j:Job {kind: 'classify'}) WHERE j.ended_at IS NOT NULL RETURN j.state, j.result, j.id"
    while not (found := rows(graph, ask)) and time.monotonic() < deadline:
        time.sleep(0.1)
    ((state, result, job),) = found
    assert state == "done", find_job(graph, job)
    said = json.loads(result)
    assert (said["images"], said["encoded"], said["proposed"], said["unreadable"]) == (4, 3, 3, 1)
    assert said["unreadable_images"] == ["f" * 64]
    ask = "MATCH (p:Prediction)-[:OF]->(s:Saree), (p)-[:SAYS]->(c:Cluster) RETURN s.name, c.name ORDER BY s.name"
    assert rows(graph, ask) == [[f"new/{colour}", colour] for colour in ("Blue", "Green", "Red")]
    # Once more, by message and by job: nothing is proposed twice.
    again = wait(worker, graph, queue.submit(worker, graph, Classify(graph="saree")))
    assert again.result["encoded"] == 0
    _send_raw(worker, Message(job=job, step=0).model_dump(mode="json"), name="korvai.classify")
    assert rows(graph, "MATCH (p:Prediction) RETURN count(p)") == [[3]]


def _a_retraining_is_cancelled(worker: Settings, graph: Graph) -> None:
    active, wanted = (
        active_set(graph, "saree"),
        Retrain(graph="saree", config={**TOY, "epochs": 50_000, "patience": 50_000}),
    )
    job = queue.submit(worker, graph, wanted)
    second = queue.submit(worker, graph, wanted)
    wait(worker, graph, job, until="train")
    started = time.monotonic()
    assert cancel_job(graph, job) == "running" and cancel_job(graph, second) == "cancelled"
    assert wait(worker, graph, job).state == "cancelled"
    assert time.monotonic() - started < 5
    assert active_set(graph, "saree") == active
    assert column(graph, "MATCH (s:EmbeddingSet {state: 'building'}) RETURN s.id") == []


def _a_tick_comes_twice(worker: Settings, graph: Graph) -> None:
    tick = Tick(entry="nightly").model_dump(mode="json")
    for _ in range(2):
        _send_raw(worker, tick, name=Tick.task_name, to="io")
    deadline = time.monotonic() + 30
    while not (found := column(graph, "MATCH (j:Job) WHERE j.id STARTS WITH 'nightly' RETURN j.id")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    cancel_job(graph, found[0])  # a whole recipe, which others try
    assert wait(worker, graph, found[0]).state in ("done", "cancelled")
    assert column(graph, "MATCH (j:Job) WHERE j.id STARTS WITH 'nightly' RETURN j.id") == found


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"kind": "nonsense"}, "no kind 'nonsense'"),
        ({"kind": 7}, "no kind '7'"),
        ({"kind": "classify", "graph": "nothere"}, "no such graph"),
        ({"kind": "classify", "graph": "../etc"}, "graph: String should match"),
        ({"kind": "classify", "graph": "saree", "params": "{limit: 3}"}, "must be an object in JSON"),
        ({"kind": "classify", "graph": "saree", "params": '{"limit": -1}'}, "limit"),
        ({"kind": "classify", "graph": "saree", "params": '{"surprise": 1}'}, "surprise: Extra inputs"),
        ({"kind": "classify", "graph": "saree", "statement": "predictions/accept"}, "it is a write statement"),
        ({"kind": "classify", "graph": "saree", "statement": "images/nothing"}, "no such statement"),
        ({"kind": "retrain", "graph": "saree", "recipe": "alchemy"}, "alchemy"),
        ({"kind": "refresh", "graph": "saree", "task": "colour"}, "colour"),
    ],
    ids=str,
)
def test_what_a_curator_types_wrong_is_refused_once_with_a_message(
    worker: Settings, graph: Graph, said: dict[str, object], says: str
) -> None:
    write(graph, "CREATE (j:Job {state: 'queued'}) SET j += $said", said=said)
    deadline = time.monotonic() + 20
    ask = "MATCH (j:Job) WHERE j.state <> 'queued' RETURN j.state, j.message, j.id IS NOT NULL"
    while not (found := rows(graph, ask)) and time.monotonic() < deadline:
        time.sleep(0.1)
    ((state, message, named),) = found
    assert state == "refused" and named and says in message and "\n" not in message


@pytest.mark.parametrize(
    "part",
    [{"job": "x", "step": 0, "surprise": 1}, {"job": "x", "step": 0, "version": 1}, ["no", "object"], {"step": -1}],
    ids=["unknown argument", "older version", "list", "no job"],
)
def test_a_malformed_message_is_rejected_once(worker: Settings, part: object) -> None:
    before = _log(worker).count("PayloadError")
    name = f"poison-{time.monotonic_ns()}"
    _send_raw(worker, part, name=Pull.task_name, to="io", task_id=name)
    _until(lambda: _waiting_messages(worker) == 0 and _log(worker).count("PayloadError") > before)
    assert sum("received" in line and f"[{name}]" in line for line in _log(worker).splitlines()) == 1


def test_a_job_of_an_older_version_is_refused_on_its_node(worker: Settings, graph: Graph) -> None:
    plan = '[{"step": "validate", "args": {"domain": "saree"}}]'
    write(graph, "CREATE (:Job {id: 'old', kind: 'validate', plan: $plan, version: 1, state: 'queued'})", plan=plan)
    old = wait(worker, graph, "old")
    assert old.state == "failed" and "another version of Korvai" in old.message
    write(graph, "CREATE (:Job {id: 'odd', kind: 'x', plan: '[{\"step\": \"paint\"}]', version: 2, state: 'queued'})")
    odd = wait(worker, graph, "odd")
    assert odd.state == "refused" and "'paint' is unknown" in odd.message


def test_an_error_that_will_not_pass_ends_the_job_at_once(worker: Settings, graph: Graph) -> None:
    ended = wait(worker, graph, queue.submit(worker, graph, Refresh(graph="saree", task="cluster")))
    assert ended.state == "failed" and "nothing is published yet" in ended.message


def test_steps_after_a_failure_are_not_reached(worker: Settings, graph: Graph) -> None:
    ended = wait(worker, graph, queue.submit(worker, graph, Encode(graph="saree")))  # an empty graph
    assert (ended.state, ended.step) == ("failed", 0) and "korvai import saree" in ended.message


def test_an_unknown_graph_or_task_is_never_written_down(worker: Settings, graph: Graph) -> None:
    for wanted, error in (
        (Retrain(graph="nothere"), PayloadError),
        (Retrain(graph="saree", task="colour"), SchemaViolation),
    ):
        with pytest.raises(error):
            queue.submit(worker, graph, wanted)
    assert rows(graph, "MATCH (j:Job) RETURN count(j)") == [[0]]


def test_a_redis_that_lost_everything_loses_no_job(worker: Settings, graph: Graph) -> None:
    child, *_ = _children(worker)
    child.suspend()  # nobody takes messages while they get lost
    try:
        jobs = [queue.submit(worker, graph, Classify(graph="saree"), job=f"lost-{n}") for n in range(5)]
        with Redis.from_url(redis_url(worker)) as client:
            client.flushall()
    finally:
        child.resume()
    ended = [wait(worker, graph, job) for job in jobs]
    assert {job.state for job in ended} == {"failed"} and {"nothing is published" in job.message for job in ended} == {
        True
    }
    assert column(graph, "MATCH (j:Job) RETURN j.token") == [1] * 5  # each was taken once


def test_a_task_nobody_knows_does_not_stop_the_worker(worker: Settings, graph: Graph) -> None:
    _send_raw(worker, {}, name="korvai.explain_everything")
    assert wait(worker, graph, queue.submit(worker, graph, Refresh(graph="saree"))).ended
    _until(lambda: _waiting_messages(worker) == 0)  # a message is acknowledged a moment after its job has ended


def test_each_line_of_the_log_names_its_job(worker: Settings, graph: Graph) -> None:
    job = queue.submit(worker, graph, Refresh(graph="saree"))
    wait(worker, graph, job)
    lines = [json.loads(line) for line in _log(worker).splitlines() if line.startswith("{")]
    mine = [line for line in lines if line.get("job") == job]
    assert mine and all({"at", "level", "logger", "message", "step"} <= set(line) for line in mine)


def test_the_health_check_sees_the_worker(worker: Settings) -> None:
    from workers.ping import worker_answers

    assert worker_answers(worker)
    assert not worker_answers(worker, name="nobody", patience_s=1.0)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("refresh", "refresh.after_class_vectors"),
        ("refresh", "publish.inside_activation"),
        ("refresh", "job.before_settle"),
        ("classify", "after publish/write_image_vectors"),
        ("classify", "job.after_settle"),
    ],
)
def test_killed_at_a_failpoint(begun: World, kind: str, name: str) -> None:
    said = point_round(begun, name, kind, services=("worker",))
    assert said["reached"] and not said["violations"], said


@pytest.mark.parametrize(("target", "kind", "times"), [("child", "retrain", 4), ("worker", "refresh", 1)])
def test_killed_at_any_moment(begun: World, target: str, kind: str, times: int) -> None:
    said = kill_round(begun, random.Random(target), target=target, kind=kind, services=("worker",), times=times)
    assert not said["violations"], said


def test_the_checks_of_those_can_fail(begun: World) -> None:
    assert begun.violations([]) == []
    begun.acknowledged.add("motif that nobody wrote")
    with connect(begun.settings) as graph:
        write(
            graph,
            """MATCH (:Task)-[:ACTIVE]->(s) MATCH (c:Cluster {name: 'Red'})
               SET c[s.class_property] = [x IN c[s.class_property] | -x]""",
        )
        write(graph, "MATCH (:Task)-[:ACTIVE]->(s), (i:Saree) WITH s, i LIMIT 1 "
              "CREATE (:Prediction {id: 'a'})-[:OF]->(i), (:Prediction {id: 'b'})-[:OF]->(i)")  # fmt: skip
    found = " | ".join(begun.violations([]))
    assert "a mixed set" in found and "1 acknowledged writes are lost" in found and "prediction a" in found


def _two(stored: object) -> dict[str, object]:
    return {name: vars(stored)[name] for name in ("sha256", "uri")}


def _send_raw(settings: Settings, part: object, *, name: str, to: str = "gpu", task_id: str | None = None) -> None:
    with queue.broker(settings) as app:
        app.send_task(name, args=[part], queue=to, task_id=task_id)


def _until(true) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _children(settings: Settings) -> Sequence[psutil.Process]:
    record = find(run_dir(settings), "worker")
    assert record is not None
    return psutil.Process(record.pid).children()


def _kill_children(settings: Settings) -> None:
    """Kill -9 the processes that do the worker's tasks, not the one that receives them."""
    children = _children(settings)
    assert children
    for child in children:
        child.kill()


def _log(settings: Settings) -> str:
    return services.log_files(settings, "worker").read_text(encoding="utf-8", errors="replace")


def _waiting_messages(settings: Settings) -> int:
    """Messages in the queues, and those handed out and not acknowledged."""
    with queue.broker(settings) as app, app.connection_for_read() as connection:
        client = connection.default_channel.client
        return sum(client.llen(name) for name in ("cpu", "gpu", "io")) + client.hlen("unacked")
