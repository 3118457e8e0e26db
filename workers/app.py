"""How does a worker or beat process come to be? `celery -A workers.app worker` and `celery -A workers.app beat`."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

from celery import Celery
from celery.schedules import crontab
from tzlocal import get_localzone_name

from kg.server.connection import redis_url
from kg.settings import Settings
from workers import context
from workers.contracts import RetrainActive
from workers.queue import new_celery

__all__ = ["create_celery"]

_NIGHTLY_EXPIRES_S = 12 * 3600


def create_celery(settings: Settings) -> Celery:
    """The Celery of a worker or of beat.

    Raises: ServiceError when there is no Redis.
    """
    app = new_celery(redis_url(settings), current=True)
    app.conf.update(
        include=["workers.tasks"],
        # Every task may be run twice and has its effect once, so a message is kept until its task has ended …
        task_acks_late=True,
        # … and goes back to the queue when the process under it is killed. An error ends it: `retrying` decides.
        task_reject_on_worker_lost=True,
        task_acks_on_failure_or_timeout=True,
        # A message that Redis hands out again after its task has succeeded is dropped.
        worker_deduplicate_successful_tasks=True,
        worker_prefetch_multiplier=1,
        task_track_started=True,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        timezone=get_localzone_name(),
        beat_schedule=_schedule(settings),
    )
    logging.getLogger("workers").setLevel(settings.log_level)
    return app


def _schedule(settings: Settings) -> dict[str, Any]:
    nightly = RetrainActive()
    return {
        "retrain-nightly": {
            "task": nightly.task_name,
            "schedule": crontab(hour=str(settings.retrain_hour), minute="0"),
            "args": [nightly.model_dump(mode="json")],
            # Nights that nobody worked off do not pile up.
            "options": {"queue": nightly.queue, "expires": _NIGHTLY_EXPIRES_S},
        }
    }


@cache
def _of_this_process() -> Celery:
    return create_celery(context.settings())


def __getattr__(name: str) -> Celery:
    # `celery -A workers.app` asks for `app`: it is made then, so that importing this module reads and connects nothing.
    if name == "app":
        return _of_this_process()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
