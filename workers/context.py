"""What does a task work with, and which of its errors are worth another try?"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from celery import Task

from kg.errors import GraphUnavailable, KorvaiError, ServiceError
from kg.graph import Graph, connect
from kg.progress import Advance
from kg.settings import Settings, load_settings
from kg.store import Store

if TYPE_CHECKING:
    from celery.app.task import Context

__all__ = ["TaskReporter", "Workplace", "opened", "retry_delay_s", "retrying", "settings"]

MAX_RETRIES = 8
_FIRST_DELAY_S = 2.0
_LONGEST_DELAY_S = 120.0
_TELL_EVERY_S = 1.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Workplace:
    """All that a task needs."""

    settings: Settings
    graph: Graph
    store: Store
    reporter: TaskReporter


@cache
def settings() -> Settings:
    """The settings of this worker process."""
    return load_settings()


@contextmanager
def opened(task: Task) -> Iterator[Workplace]:
    """Graph and store for the length of one task.

    A connection belongs to one task: nothing is shared over the fork of a worker's children, and a server that came
    back at another address is found.
    Raises: GraphUnavailable, StoreError.
    """
    store = Store(settings().store_dir)
    store.check_writable()
    try:
        graph = connect(settings())
    except ServiceError as error:  # an embedded server between down and up: worth another try
        raise GraphUnavailable(str(error)) from error
    with graph:
        yield Workplace(settings(), graph, store, TaskReporter(task))


@contextmanager
def retrying(task: Task) -> Iterator[None]:
    """Queue the task again, later, after an error that may pass; every other error ends it."""
    try:
        yield
    except KorvaiError as error:
        if not error.retryable:
            raise
        delay_s = retry_delay_s(task.request.retries)
        log.warning("%s: %s; trying again in %.0f s", task.name, error, delay_s)
        raise task.retry(exc=error, countdown=delay_s, max_retries=MAX_RETRIES) from error


def retry_delay_s(tries: int) -> float:
    """Doubling, capped, and spread, so that tasks that failed together do not come back together."""
    longest_s = min(_LONGEST_DELAY_S, _FIRST_DELAY_S * 2**tries)
    return random.uniform(longest_s / 2, longest_s)


class TaskReporter:
    """Tells how far a task is: lines in the log, and the state that `workers.queue.job_status` shows."""

    def __init__(self, task: Task) -> None:
        self._task = task
        # Taken now: Task.request is a stack of the running thread, and stages may advance from a data loader's.
        self._request: Context = task.request
        self._id: str | None = task.request.id

    @contextmanager
    def stage(self, name: str, total: int | None = None, unit: str = "") -> Iterator[Advance]:
        """One stage of work; see kg.progress.Reporter."""
        started_s = told_s = time.monotonic()
        done = 0
        self._tell(stage=name, done=0, total=total, unit=unit)

        def advance(n: int = 1, **metrics: Any) -> None:
            nonlocal done, told_s
            done += n
            if time.monotonic() - told_s >= _TELL_EVERY_S:
                told_s = time.monotonic()
                rate = done / (told_s - started_s)
                self._tell(stage=name, done=done, total=total, unit=unit, rate_per_s=round(rate, 1), **_plain(metrics))

        yield advance
        log.info("%s: %s (%s %s, %.1f s)", self._task.name, name, done, unit, time.monotonic() - started_s)

    def note(self, message: str) -> None:
        """Log a finished fact."""
        log.info("%s: %s", self._task.name, message)

    def warn(self, message: str) -> None:
        """Log something to look at."""
        log.warning("%s: %s", self._task.name, message)

    def _tell(self, **progress: Any) -> None:
        if self._id is not None:
            self._task.backend.store_result(self._id, progress, "PROGRESS", request=self._request)


def _plain(metrics: dict[str, Any]) -> dict[str, Any]:
    return {key: value if isinstance(value, int | str) else round(float(value), 4) for key, value in metrics.items()}
