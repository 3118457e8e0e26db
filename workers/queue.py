"""How is a job written down and handed to the workers? All that API and command line need to know of Celery.

First the node, then the message. A message is a hint that may be lost or come twice: `workers.watching` sends it again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from urllib.parse import urlsplit

from celery import Celery
from kombu import Exchange
from kombu import Queue as KombuQueue
from kombu.exceptions import KombuError, OperationalError
from redis.exceptions import RedisError

from kg import failpoints
from kg.errors import PayloadError, QueueUnavailable, ServiceError
from kg.graph import Graph
from kg.jobs.records import create_job, new_job_id
from kg.publishing.publication import whoever
from kg.server.connection import redis_url
from kg.settings import Settings
from workers.contracts import PAYLOAD_VERSION, QUEUES, STEPS, Message
from workers.kinds import ON_THE_NODE, Request, plan_of

__all__ = ["broker", "check", "described", "new_celery", "send", "submit", "waiting_messages"]

_VISIBILITY_TIMEOUT_S = 3600
"""After so long Redis hands an unfinished task out again; the job's lease sends that message away."""

_CONNECT_TIMEOUT_S = 3.0
_AGAIN_S = 60.0
_AGAIN_AT_MOST_S = 900.0


def submit(
    settings: Settings, graph: Graph, request: Request, *, job: str | None = None, who: str | None = None
) -> str:
    """Write a job down and queue its first step; the job's id. With the id of a job that is there, nothing is new.

    Raises: QueueUnavailable (nothing was written), PayloadError, SchemaViolation (unknown graph or task).
    """
    properties = described(settings, request)
    with broker(settings) as app:
        job = create_job(graph, job or new_job_id(request.kind), {**properties, "who": who or whoever()})
        send(app, graph, job, 0, json.loads(properties["plan"])[0]["step"])
    return job


def described(settings: Settings, request: Request) -> dict[str, object]:
    """A request as properties of a Job node, with its plan.

    Raises: PayloadError, SchemaViolation.
    """
    said = request.model_dump(mode="json", exclude_unset=True, by_alias=True)
    own = {name: said.pop(name) for name in ON_THE_NODE if said.get(name) is not None}
    alone = f"{request.alone}/{request.graph}" if request.alone else None
    plan = json.dumps(plan_of(settings, request))
    params = json.dumps(said, sort_keys=True)
    return {"kind": request.kind, **own, "params": params, "plan": plan, "version": PAYLOAD_VERSION, "excludes": alone}


def send(app: Celery, graph: Graph, job: str, step: int, name: str, *, sends: int = 0) -> bool:
    """Send the message of a job's step; False where it has gone on or ended meanwhile.

    Raises: PayloadError for a step that no worker knows; the broker's errors (within `broker`: QueueUnavailable).
    """
    if name not in STEPS:
        raise PayloadError(
            f"job {job}: its step {name[:40]!r} is unknown here; it is another version's, ask for it again"
        )
    again_s = min(_AGAIN_AT_MOST_S, _AGAIN_S * 2**sends)
    row = graph.one("jobs/mark_sent", id=job, step=step, again_s=again_s)
    if row is None or not row["sent"]:
        return False
    contract, message = STEPS[name], Message(job=job, step=step)
    args = [message.model_dump(mode="json")]
    failpoints.reach("job.before_message")
    app.send_task(contract.task_name, args=args, queue=contract.queue, task_id=f"{job}.{step}.{name}")
    failpoints.reach("job.after_message")
    return True


def waiting_messages(settings: Settings) -> dict[str, int]:
    """How many messages of each queue nobody has taken yet.

    Raises: QueueUnavailable.
    """
    with broker(settings) as app, app.connection_for_read() as connection:
        client = connection.default_channel.client
        return {name: int(client.llen(name)) for name in QUEUES}


def check(settings: Settings) -> None:
    """Return when the broker answers.

    Raises: QueueUnavailable.
    """
    with broker(settings):
        pass


def new_celery(url: str, *, current: bool = False) -> Celery:
    """A Celery that speaks as all of Korvai's do: JSON only, three queues, no results: those are on the Job nodes."""
    app = Celery("korvai", broker=url, set_as_current=current)
    app.conf.update(
        task_serializer="json",
        event_serializer="json",
        accept_content=["json"],
        task_queues=[KombuQueue(name, Exchange("korvai"), routing_key=name) for name in QUEUES],
        task_default_queue="cpu",
        task_default_exchange="korvai",
        task_default_routing_key="cpu",
        task_create_missing_queues=False,
        task_ignore_result=True,
        broker_transport_options={
            "visibility_timeout": _VISIBILITY_TIMEOUT_S,
            "socket_connect_timeout": _CONNECT_TIMEOUT_S,
        },
        broker_connection_retry_on_startup=True,
        task_publish_retry_policy={"max_retries": 2, "interval_start": 0.2, "interval_step": 0.4, "interval_max": 1.0},
    )
    return app


@contextmanager
def broker(settings: Settings) -> Iterator[Celery]:
    """A Celery whose broker answers.

    Raises: QueueUnavailable, also for errors of the broker within the block.
    """
    try:
        url = redis_url(settings)
    except ServiceError as error:
        raise QueueUnavailable(str(error)) from error
    try:
        app = _producer(url)
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0.1, timeout=_CONNECT_TIMEOUT_S)
        yield app
    except (OperationalError, KombuError, RedisError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise QueueUnavailable(
            f"queue at {_shown(url)}: {reason}; is Redis up? (`korvai status`, or REDIS_URL)"
        ) from error


@lru_cache(maxsize=4)
def _producer(url: str) -> Celery:
    return new_celery(url)


def _shown(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
