"""How does a worker process come to be? `celery -A workers.app worker`; beat is workers.beat."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

from celery import Celery, signals
from tzlocal import get_localzone_name

from kg.server.connection import redis_url
from kg.settings import Settings
from workers import context
from workers.logs import use_json_lines
from workers.queue import new_celery
from workers.reasons import EditWatch
from workers.schedule import beat_schedule
from workers.watching import Watcher, warn_of_forgetful_broker

__all__ = ["create_celery"]


def create_celery(settings: Settings) -> Celery:
    """The Celery of a worker or of beat.

    Raises: ServiceError when there is no Redis.
    """
    app = new_celery(redis_url(settings), current=True)
    app.conf.update(
        include=["workers.tasks", "workers.schedule"],
        # A message is kept until its task has ended, and goes back to the queue when the process under it is killed.
        # That is the quick way only: a lost message is sent again (workers.watching), one too many finds the job held
        # or done. Errors end a message; what becomes of the job then is in workers.running.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_acks_on_failure_or_timeout=True,
        worker_prefetch_multiplier=1,
        worker_send_task_events=True,  # for Flower
        worker_cancel_long_running_tasks_on_connection_loss=False,
        timezone=get_localzone_name(),
        beat_schedule=beat_schedule(settings),
    )
    logging.getLogger("workers").setLevel(settings.log_level)
    return app


@signals.worker_ready.connect
def _watch(**_: Any) -> None:
    """A worker's main process looks after jobs that nobody has a message for."""
    settings = context.settings()
    warn_of_forgetful_broker(settings)
    watcher = Watcher(settings, also=EditWatch(settings))
    watcher.start()
    signals.worker_shutting_down.connect(lambda **_: watcher.stop(), weak=False)


@signals.after_setup_logger.connect
@signals.after_setup_task_logger.connect
def _log_lines(logger: logging.Logger | None = None, **_: Any) -> None:
    if logger is not None:
        use_json_lines(logger)


@cache
def _of_this_process() -> Celery:
    return create_celery(context.settings())


def __getattr__(name: str) -> Celery:
    # `celery -A workers.app` asks for `app`: it is made then, so that importing this module reads and connects nothing.
    if name == "app":
        return _of_this_process()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
