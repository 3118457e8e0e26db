"""How is work handed to the workers, and how far is it? All that API and command line need to know of Celery."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal
from urllib.parse import urlsplit

from celery import Celery, chain
from celery.canvas import Signature
from kombu import Exchange
from kombu import Queue as KombuQueue
from kombu.exceptions import KombuError, OperationalError
from pydantic import BaseModel
from redis.exceptions import RedisError

from kg.errors import QueueUnavailable, ServiceError
from kg.schema import load_domain
from kg.server.connection import redis_url
from kg.settings import Settings
from workers.contracts import (
    PIPELINE,
    QUEUES,
    EncodeImages,
    EncodeTexts,
    Evaluate,
    Payload,
    Publish,
    Pull,
    Refresh,
    Retrain,
    Train,
)

__all__ = ["StepStatus", "check", "enqueue", "job_status", "new_celery", "retrain"]

StepState = Literal["waiting", "running", "retrying", "done", "failed", "not reached"]

_VISIBILITY_TIMEOUT_S = 6 * 3600
"""After so long Redis hands an unfinished task to another worker: longer than any step should take."""

_RESULT_EXPIRES_S = 7 * 24 * 3600
_CONNECT_TIMEOUT_S = 3.0
_STATES: dict[str, StepState] = {
    "STARTED": "running",
    "PROGRESS": "running",
    "RETRY": "retrying",
    "SUCCESS": "done",
    "FAILURE": "failed",
    "REVOKED": "failed",
}


class StepStatus(BaseModel, frozen=True):
    """How far one step of a job is; `detail` is its ids, its progress, or why it failed."""

    step: str
    state: StepState
    detail: dict[str, Any] = {}


def enqueue(settings: Settings, payload: Payload) -> str:
    """Queue one task; its id, which `job_status` takes.

    Raises: QueueUnavailable.
    """
    job = _new_job(payload)
    with _broker(settings) as app:
        _signature(app, job, payload).apply_async()
    return job


def retrain(settings: Settings, wanted: Retrain) -> str:
    """Queue the whole pipeline as one chain; the job's id, which `job_status` takes.

    Raises: QueueUnavailable, SchemaViolation (unknown graph or task).
    """
    job, steps = _new_job(wanted), list(_steps(settings, wanted))
    with _broker(settings) as app:
        chain(*(_signature(app, job, step) for step in steps), app=app).apply_async()
    return job


def job_status(settings: Settings, job: str) -> tuple[StepStatus, ...]:
    """How far each step of a job is; a job nobody has heard of waits.

    Raises: QueueUnavailable.
    """
    names = [_step_name(step.task_name) for step in PIPELINE] if job.startswith("retrain-") else [job.split("-")[0]]
    with _broker(settings) as app:
        found = tuple(_step_status(app, job, name) for name in names)
    failed = next((n for n, step in enumerate(found) if step.state == "failed"), len(found))
    return found[: failed + 1] + tuple(s.model_copy(update={"state": "not reached"}) for s in found[failed + 1 :])


def check(settings: Settings) -> None:
    """Return when the broker answers.

    Raises: QueueUnavailable.
    """
    with _broker(settings):
        pass


def new_celery(url: str, *, current: bool = False) -> Celery:
    """A Celery that speaks as all of Korvai's do: JSON only, three queues, results kept for status alone."""
    app = Celery("korvai", broker=url, backend=url, set_as_current=current)
    app.conf.update(
        task_serializer="json",
        result_serializer="json",
        event_serializer="json",
        accept_content=["json"],
        task_queues=[KombuQueue(name, Exchange("korvai"), routing_key=name) for name in QUEUES],
        task_default_queue="cpu",
        task_default_exchange="korvai",
        task_default_routing_key="cpu",
        task_create_missing_queues=False,
        result_expires=_RESULT_EXPIRES_S,
        broker_transport_options={
            "visibility_timeout": _VISIBILITY_TIMEOUT_S,
            "socket_connect_timeout": _CONNECT_TIMEOUT_S,
        },
        redis_socket_connect_timeout=_CONNECT_TIMEOUT_S,
        broker_connection_retry_on_startup=True,
        task_publish_retry_policy={"max_retries": 2, "interval_start": 0.2, "interval_step": 0.4, "interval_max": 1.0},
        result_backend_transport_options={
            "retry_policy": {"max_retries": 3, "interval_start": 0.2, "interval_step": 0.4, "interval_max": 1.0}
        },
    )
    return app


def _steps(settings: Settings, wanted: Retrain) -> Iterator[Payload]:
    domain = load_domain(wanted.domain)
    task, _ = domain.task(wanted.task or wanted.config.get("task") or next(iter(domain.tasks)))
    place = {"domain": wanted.domain, "task": task}
    # Said here once: workers whose own settings differ must not encode for one run in two ways.
    vision = {"vision_encoder": wanted.vision_encoder or settings.vision_encoder}
    recipe = {"task": task, "recipe": wanted.recipe, "preset": wanted.preset, "config": wanted.config, **vision}
    yield Pull(**place)
    # Not validated yet: `snapshot` and `run` come from the step before.
    yield EncodeTexts.model_construct(**recipe)
    yield EncodeImages.model_construct(**vision)
    yield Train.model_construct(**recipe)
    yield Evaluate.model_construct()
    yield Publish.model_construct()
    yield Refresh(**place)


def _signature(app: Celery, job: str, payload: Payload) -> Signature:
    # A refresh reads what is active, not what the step before made, so it takes nothing from it.
    return app.signature(
        payload.task_name,
        args=[payload.model_dump(mode="json", warnings=False)],
        queue=payload.queue,
        task_id=_task_id(job, _step_name(payload.task_name)),
        immutable=isinstance(payload, Refresh),
    )


def _new_job(payload: Payload) -> str:
    # Sortable by time, and it says what it is wherever it turns up.
    return f"{_step_name(payload.task_name)}-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"


def _step_name(task_name: str) -> str:
    return task_name.removeprefix("korvai.")


def _task_id(job: str, step: str) -> str:
    return f"{job}.{step}"


def _step_status(app: Celery, job: str, step: str) -> StepStatus:
    meta = app.backend.get_task_meta(_task_id(job, step))
    found = meta.get("result")
    detail = found if isinstance(found, dict) else {} if found is None else {"error": " ".join(str(found).split())}
    return StepStatus(step=step, state=_STATES.get(meta["status"], "waiting"), detail=detail)


@contextmanager
def _broker(settings: Settings) -> Iterator[Celery]:
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
