"""What does a step work with?"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from kg.errors import GraphUnavailable, ServiceError
from kg.graph import Graph, connect
from kg.jobs import Lease
from kg.progress import Advance
from kg.settings import Settings, load_settings
from kg.store import Store

__all__ = ["StepReporter", "Workplace", "open_graph", "settings"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Workplace:
    """All that a step needs; `graph` refuses to commit once the job is somebody else's."""

    settings: Settings
    graph: Graph
    store: Store
    reporter: StepReporter
    job: str
    shared: bool = False
    """Whether this very step was shared out before; all of its parts have ended."""


@cache
def settings() -> Settings:
    """The settings of this worker process."""
    return load_settings()


def open_graph() -> Graph:
    """The graph, for whoever closes it.

    A connection belongs to one step: nothing is shared over the fork of a worker's children, and a server that came
    back at another address is found.
    Raises: GraphUnavailable.
    """
    try:
        return connect(settings())
    except ServiceError as error:  # an embedded server between down and up: worth another try
        raise GraphUnavailable(str(error)) from error


class StepReporter:
    """Tells how far a step is: lines in the log, and the progress on the job's node; stops work nobody wants."""

    def __init__(self, lease: Lease, step: str) -> None:
        self._lease, self._step = lease, step

    @contextmanager
    def stage(self, name: str, total: int | None = None, unit: str = "") -> Iterator[Advance]:
        """One stage of work; see kg.progress.Reporter."""
        self._lease.check()
        started_s, done = time.monotonic(), 0
        with self._lease.progress.stage(name, total, unit) as tell:

            def advance(n: int = 1, **metrics: Any) -> None:
                nonlocal done
                done += n
                tell(n, **metrics)
                self._lease.check()

            yield advance
        log.info("%s: %s (%s %s, %.1f s)", self._step, name, done, unit, time.monotonic() - started_s)

    def note(self, message: str) -> None:
        """Log a finished fact."""
        log.info("%s: %s", self._step, message)

    def warn(self, message: str) -> None:
        """Log something to look at."""
        log.warning("%s: %s", self._step, message)
