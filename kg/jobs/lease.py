"""Who may work at a job right now, and how does everything that a former holder still tries come to nothing?

A lease is taken in the graph and kept alive from a thread. It may run out while its holder lives: a machine that slept,
a server that was away. Nothing is lost by that until somebody else takes the job, which raises the fencing token.
From then on each writing transaction of the former holder is rolled back by its own last statement: the graph that a
holder works with is `lease.graph`, whose transactions end with `jobs/confirm`. All times are the database's, so that
clocks of machines may differ.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from kg.errors import JobCancelled, KorvaiError, StaleToken, StatementError
from kg.graph import Graph, Transaction
from kg.progress import Advance

__all__ = ["Lease", "Progress", "holder_name"]

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0
_BEATS_A_LEASE = 4
"""Signs of life a lease: a few may get lost. Each is a commit, which makes a pull read twice, so not more."""


class Lease:
    """The right to do one step of one job; a context manager around the work.

    `verdict` says what became of the attempt to take it (see jobs/take); only `taken` is a lease. Within the block the
    main thread is interrupted by JobCancelled when somebody cancels the job, by StaleToken when somebody took it over.
    """

    def __init__(self, graph: Graph, job: str, step: int, *, ttl_s: float) -> None:
        row = _take(graph, job, step, ttl_s)
        self.job, self.step, self.ttl_s = job, step, float(ttl_s)
        self.verdict: str = row["verdict"] if row else "unknown"
        self.token: int = row["token"] or 0 if row else 0
        self.said: Mapping[str, Any] = row["job"] if row else {}
        self.progress = Progress()
        self.graph = graph.guarded(self.confirm)
        self._bare, self._stop, self._thread = graph, threading.Event(), threading.Thread(target=self._live)
        self._thread.name, self._thread.daemon = f"lease of {job}", True
        self._fate: KorvaiError | None = None

    def __enter__(self) -> Lease:
        assert self.verdict == "taken", "nothing to hold"
        self._handler = _interrupts(self)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=10)
        if self._handler is not None:
            # Never the default, which would end the process if a signal were still on its way.
            signal.signal(signal.SIGUSR2, signal.SIG_IGN if self._handler is signal.SIG_DFL else self._handler)

    def confirm(self, tx: Transaction) -> None:
        """Let a writing transaction go on to its commit.

        Raises: StaleToken when the job is somebody else's.
        """
        if not tx.run("jobs/confirm", id=self.job, token=self.token)[0]["held"]:
            raise self._lost()

    def check(self) -> None:
        """Raises: JobCancelled or StaleToken, once it is known that this work is not wanted any more."""
        if self._fate is not None and not self._stop.is_set():
            raise self._fate

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked for the job to stop; a library may have made an error of its own of the interrupt."""
        return isinstance(self._fate, JobCancelled)

    def is_lost(self) -> bool:
        """Whether somebody else has the job. Raises: GraphUnavailable."""
        row = self._bare.one("jobs/look", id=self.job)
        return row is None or row["token"] != self.token or row["state"] != "running"

    def settle(self, *, due_s: float = 0.0, **properties: Any) -> None:
        """Give the job back, with what is true of it from now on.

        Raises: StaleToken, GraphUnavailable.
        """
        rows = self._bare.run("jobs/settle", id=self.job, token=self.token, properties=properties, due_s=float(due_s))
        if not rows or not rows[0]["held"]:
            raise self._lost()

    def _live(self) -> None:
        beat_s = time.monotonic()
        while not self._stop.wait(min(_LOOK_EVERY_S, self.ttl_s / _BEATS_A_LEASE)):
            try:
                if time.monotonic() - beat_s < self.ttl_s / _BEATS_A_LEASE:
                    row = self._bare.one("jobs/look", id=self.job)
                    held = row is not None and row["token"] == self.token and row["state"] == "running"
                else:
                    values = {"id": self.job, "token": self.token, "ttl_s": self.ttl_s}
                    row = self._bare.one("jobs/beat", progress=self.progress.properties(), **values)
                    held, beat_s = row is not None and row["held"], time.monotonic()
            except KorvaiError as error:  # the graph is away: the work goes on, nobody else can take it either
                log.warning("job %s: no sign of life could be given: %s", self.job, error)
                continue
            if not held or row["cancel"]:
                self._fate = JobCancelled(f"job {self.job}: cancelled") if held else self._lost()
                return self._interrupt()

    def _interrupt(self) -> None:
        if not self._stop.is_set() and self._handler is not None:
            with suppress(OSError):
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR2)

    def _lost(self) -> StaleToken:
        return StaleToken(
            f"job {self.job}: this worker's token is {self.token}, and somebody else has taken the job over or ended "
            "it; nothing more of this one gets into the graph"
        )


class Progress:
    """How far a step is, as the job's node shows it; a `kg.progress.Reporter` writes it from any thread."""

    def __init__(self) -> None:
        self._lock, self._said = threading.Lock(), dict[str, Any]()

    def properties(self) -> dict[str, Any]:
        """Stage, done, total, unit, rate_per_s and remaining_s; null where unknown."""
        with self._lock:
            return dict(self._said)

    @contextmanager
    def stage(self, name: str, total: int | None = None, unit: str = "") -> Iterator[Advance]:
        """One stage of work; see kg.progress.Reporter."""
        started_s, done = time.monotonic(), 0
        self._say(stage=name, done=0, total=total, unit=unit, rate_per_s=None, remaining_s=None)

        def advance(n: int = 1, **_: Any) -> None:
            nonlocal done
            done += n
            rate = done / max(time.monotonic() - started_s, 1e-3)
            left_s = (total - done) / rate if total and rate else None
            rounded = None if left_s is None else round(left_s, 1)
            self._say(done=done, rate_per_s=round(rate, 2), remaining_s=rounded)

        yield advance

    def _say(self, **said: Any) -> None:
        with self._lock:
            self._said |= said


def _take(graph: Graph, job: str, step: int, ttl_s: float) -> Mapping[str, Any] | None:
    values = {"id": job, "step": step, "holder": holder_name(), "ttl_s": float(ttl_s)}
    try:
        return graph.one("jobs/take", **values)
    except StatementError:
        # The constraint: a job that excludes this one was taken in the same moment. It can be seen now.
        return graph.one("jobs/take", **values)


def holder_name() -> str:
    """Machine and process, for people who look at the node."""
    return f"{socket.gethostname()}/{os.getpid()}"


def _interrupts(lease: Lease) -> Any:
    """Have SIGUSR2 raise the lease's fate; only where the work is done by the main thread, as a worker's child does."""
    if threading.current_thread() is not threading.main_thread():
        return None

    def stop(*_: object) -> None:
        lease.check()

    return signal.signal(signal.SIGUSR2, stop) or signal.SIG_DFL
