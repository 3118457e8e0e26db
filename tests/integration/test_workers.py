"""Does a real worker on a real Redis take a graph to a published model, and survive what goes wrong on the way?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from celery.schedules import crontab

from kg import classify
from kg.errors import SchemaViolation
from kg.graph import Graph
from kg.progress import SilentReporter
from kg.publishing.activation import active_set
from kg.server import services
from kg.server.home import run_dir
from kg.server.process import find, tail
from kg.settings import Settings
from kg.store import Store
from tests.support.coloured import COLOURS, coloured_graph, picture, untrained_encoder
from workers import queue
from workers.app import create_celery
from workers.contracts import PIPELINE, Payload, Pull, Refresh, Retrain, RetrainActive

PATIENCE_S = 240.0
STEPS = [step.task_name.removeprefix("korvai.") for step in PIPELINE]


@pytest.fixture(scope="module")
def worker(server: Settings, redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings of a worker process that was started as `korvai up` does, with a store and an encoder of its own."""
    folder = tmp_path_factory.mktemp("worker")
    own = {"store": folder / "store", "vision_encoder": untrained_encoder(folder)}
    settings = server.model_copy(update=own)
    services.up(settings, ["worker"], SilentReporter())
    yield settings
    services.down(settings, ["worker"])


def wait(settings: Settings, job: str, *, until: str = "") -> dict[str, queue.StepStatus]:
    """The job's steps when all have ended, or when step `until` runs."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        steps = {status.step: status for status in queue.job_status(settings, job)}
        states = {status.state for status in steps.values()}
        if until and steps[until].state != "waiting":
            return steps
        if not states & {"waiting", "running", "retrying"}:
            return steps
        time.sleep(0.05)
    pytest.fail(
        f"{job} has not ended after {PATIENCE_S} s: {steps}\n{tail(services.log_files(settings, 'worker'), 40)}"
    )


def test_a_graph_becomes_a_model_although_the_worker_is_killed_in_training(worker: Settings, graph: Graph) -> None:
    store = Store(worker.store_dir)
    coloured_graph(graph, store, per_class=12)
    wanted = Retrain(domain="saree", config={"epochs": 2, "patience": 2})
    job = queue.retrain(worker, wanted)
    wait(worker, job, until="train")
    _kill_children(worker)

    steps = wait(worker, job)
    assert {name: status.state for name, status in steps.items()} == dict.fromkeys(STEPS, "done"), steps
    active = active_set(graph, "saree", "cluster")
    assert steps["refresh"].detail == {"embedding_set": active.set}
    found = classify.classify_image_bytes(graph, worker, picture("Blue", 999), domain="saree", k=3)
    assert sum(score.probability for score in found) == pytest.approx(1.0, abs=1e-6) and len(found) == len(COLOURS)

    again = wait(worker, queue.retrain(worker, wanted))
    assert again["train"].detail == steps["train"].detail
    assert active_set(graph, "saree", "cluster") == active
    assert len(list(store.runs.iterdir())) == 1

    nightly = wait(worker, queue.enqueue(worker, RetrainActive()))
    (queued,) = nightly["retrain_active"].detail["jobs"]
    assert {status.state for status in wait(worker, queued).values()} == {"done"}


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ({"domain": "saree", "surprise": 1}, "surprise"),
        ({"domain": "../etc"}, "domain"),
        ({"domain": "saree", "version": 99}, "another version"),
        (["no", "object"], "takes objects"),
    ],
    ids=["unknown argument", "path", "version", "list"],
)
def test_a_malformed_payload_is_rejected_once(worker: Settings, part: object, says: str) -> None:
    job = f"pull-malformed-{time.monotonic_ns()}"
    with queue._broker(worker) as app:
        app.send_task(Pull.task_name, args=[part], queue=Pull.queue, task_id=f"{job}.pull")
    (step,) = wait(worker, job).values()
    assert step.state == "failed" and says in step.detail["error"]
    time.sleep(0.5)
    assert _times_received(worker, job) == 1
    assert _waiting_messages(worker) == 0


def test_an_error_that_will_not_pass_ends_the_task_at_once(worker: Settings, graph: Graph) -> None:
    job = queue.enqueue(worker, Refresh(domain="saree", task="cluster"))
    (step,) = wait(worker, job).values()
    assert step.state == "failed" and "nothing is published yet" in step.detail["error"]
    assert _times_received(worker, job) == 1


def test_steps_after_a_failure_are_not_reached(worker: Settings, graph: Graph) -> None:
    steps = wait(worker, queue.retrain(worker, Retrain(domain="saree")))  # an empty graph
    assert [steps[name].state for name in STEPS] == ["failed", *["not reached"] * 6]
    assert "korvai import saree" in steps["pull"].detail["error"]


@pytest.mark.parametrize(("domain", "task"), [("nothere", None), ("saree", "colour")])
def test_an_unknown_graph_or_task_is_never_queued(worker: Settings, domain: str, task: str | None) -> None:
    with pytest.raises(SchemaViolation):
        queue.retrain(worker, Retrain(domain=domain, task=task))
    assert _waiting_messages(worker) == 0


def test_a_task_nobody_knows_does_not_stop_the_worker(worker: Settings, graph: Graph) -> None:
    class FromTheFuture(Payload):
        task_name = "korvai.explain_everything"
        queue = "cpu"

    queue.enqueue(worker, FromTheFuture())
    (step,) = wait(worker, queue.enqueue(worker, Refresh(domain="saree"))).values()
    assert step.state == "failed" and _waiting_messages(worker) == 0


def test_the_health_check_sees_the_worker(worker: Settings, tmp_path: Path) -> None:
    from workers.ping import worker_answers

    assert worker_answers(worker)
    assert not worker_answers(worker, name="nobody", patience_s=1.0)


def test_beat_retrains_every_night(worker: Settings) -> None:
    app = create_celery(worker.model_copy(update={"retrain_hour": 4}))
    (entry,) = app.conf.beat_schedule.values()
    assert entry["schedule"] == crontab(hour="4", minute="0")
    assert entry["task"] == RetrainActive.task_name and entry["options"]["queue"] == RetrainActive.queue
    assert RetrainActive.model_validate(entry["args"][0]) == RetrainActive()


def _kill_children(settings: Settings) -> None:
    """Kill -9 the processes that do the worker's tasks, not the one that receives them."""
    record = find(run_dir(settings), "worker")
    assert record is not None
    children = psutil.Process(record.pid).children()
    assert children
    for child in children:
        child.kill()


def _times_received(settings: Settings, job: str) -> int:
    text = services.log_files(settings, "worker").read_text(encoding="utf-8", errors="replace")
    return sum(1 for line in text.splitlines() if "received" in line and f"[{job}." in line)


def _waiting_messages(settings: Settings) -> int:
    """Messages in the queues, and those handed out and not acknowledged."""
    with queue._broker(settings) as app, app.connection_for_read() as connection:
        client = connection.default_channel.client
        return sum(client.llen(name) for name in ("cpu", "gpu", "io")) + client.hlen("unacked")
