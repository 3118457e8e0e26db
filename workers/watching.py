"""What keeps jobs going that nobody has a message for: written by a curator, lost by Redis, left by a dead worker?

A thread of each worker's main process looks at the graph every second. All that it does may be done twice and by
several workers: accepting a job is one locked statement, a message too many finds its job held or done.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from kg.errors import KorvaiError, PayloadError, QueueUnavailable
from kg.graph import Graph
from kg.jobs.records import new_job_id
from kg.server.connection import redis_url
from kg.settings import Settings
from workers import queue
from workers.contracts import QUEUES, STEPS
from workers.kinds import request_of

__all__ = ["Watcher", "accept_typed", "notice_lost_broker", "send_due", "warn_of_forgetful_broker"]

log = logging.getLogger(__name__)

_EVERY_S = 1.0
_RECONCILE_EVERY_S = 60.0
_CANARY = "korvai:canary"
_MOST = 1000


class Watcher:
    """The thread; it lives through servers that go away and come back."""

    def __init__(self, settings: Settings, *, also: Callable[[Graph], None] | None = None) -> None:
        self._settings, self._also = settings, also
        self._stop, self._graph, self._told = threading.Event(), None, ""
        self._thread = threading.Thread(target=self._live, name="korvai watcher", daemon=True)

    def start(self) -> None:
        """Begin, with everything that has no live lease due at once."""
        self._thread.start()

    def stop(self) -> None:
        """End within a second or two."""
        self._stop.set()
        self._thread.join(timeout=5)

    def _live(self) -> None:
        reconciled_s, took_s = float("-inf"), 0.0
        # A graph that lags is asked less often: at most half of the time goes into asking.
        while not self._stop.wait(max(_EVERY_S, took_s)):
            began_s = time.monotonic()
            try:
                self._graph = self._graph or _connect(self._settings)
                if time.monotonic() - reconciled_s > _RECONCILE_EVERY_S or _broker_is_new(self._settings):
                    first = reconciled_s == float("-inf")
                    reconciled_s = time.monotonic()
                    notice_lost_broker(self._settings, self._graph, always=first)
                accept_typed(self._settings, self._graph)
                send_due(self._settings, self._graph)
                if self._also is not None:
                    self._also(self._graph)
                self._told = ""
            except KorvaiError as error:
                self._complain(str(error))
            except Exception:  # a fault of ours must not end what keeps all jobs going
                log.exception("watching for jobs")
            took_s = time.monotonic() - began_s
        self._forget_graph()

    def _complain(self, message: str) -> None:
        if message != self._told:
            log.warning("watching for jobs: %s", message)
        self._told = message
        self._forget_graph()

    def _forget_graph(self) -> None:
        if self._graph is not None:
            with suppress(Exception):
                self._graph.close()
        self._graph = None


def accept_typed(settings: Settings, graph: Graph) -> int:
    """Give every job that a curator wrote its plan, or refuse it with a message on its node; how many there were."""
    rows = graph.run("jobs/typed", most=_MOST)
    for row in rows:
        said = row["job"]
        kind = said.get("kind")
        properties: dict[str, Any] = {"who": said.get("who") or "curator"}
        try:
            request = request_of(said)
            _check_recipe(getattr(request, "recipe", None))
            properties |= queue.described(settings, request)
        except KorvaiError as error:
            properties |= {"state": "refused", "message": str(error)}
        name = kind if isinstance(kind, str) and kind.isidentifier() else "job"
        accepted = graph.run("jobs/accept", node=row["node"], id=new_job_id(name), properties=properties)
        for one in accepted:
            log.info("job %s: %s", one["id"], properties.get("message", "accepted"))
    return len(rows)


def send_due(settings: Settings, graph: Graph, *, most_waiting: int = _MOST) -> int:
    """Send a message for each job that nobody works at; how many.

    Where workers or Redis lag behind, and `most_waiting` messages wait in a queue, the rest stay due in the graph.
    Raises: QueueUnavailable.
    """
    rows = graph.run("jobs/due", most=_MOST)
    if not rows:
        return 0
    sent, waiting = 0, queue.waiting_messages(settings)
    with queue.broker(settings) as app:
        for row in rows:
            try:
                name = json.loads(row["plan"])[row["step"]]["step"]
                to = STEPS[name].queue if name in STEPS else QUEUES[0]
                if waiting[to] >= most_waiting:
                    continue
                waiting[to] += 1
                sent += queue.send(app, graph, row["id"], row["step"], name, sends=row["sends"])
            except (PayloadError, ValueError, TypeError, LookupError) as error:
                _refuse(graph, row["id"], row["step"], error)
    return sent


def notice_lost_broker(settings: Settings, graph: Graph, *, always: bool = False) -> bool:
    """Make every job without a live lease due where Redis has lost what it held; whether it had.

    Raises: QueueUnavailable.
    """
    try:
        with Redis.from_url(redis_url(settings), socket_connect_timeout=3) as client:
            # An empty Redis does not have the key; whoever sets it is the one who tells.
            lost = bool(client.set(_CANARY, "1", nx=True))
    except (RedisError, KorvaiError, OSError) as error:
        raise QueueUnavailable(
            f"queue: {' '.join(str(error).split())[:200]}; is Redis up? (`korvai status`)"
        ) from error
    if lost or always:
        (row,) = graph.run("jobs/make_due")
        if row["jobs"]:
            log.info("%s jobs are without a live lease; they are sent again", row["jobs"])
    return lost


def warn_of_forgetful_broker(settings: Settings) -> str | None:
    """Say so where Redis keeps nothing on disk: messages are then lost by its restart, jobs wait for the reconciler."""
    try:
        with Redis.from_url(redis_url(settings), socket_connect_timeout=3) as client:
            kept = client.config_get("appendonly").get("appendonly") == "yes" or client.config_get("save").get("save")
    except (RedisError, KorvaiError, OSError):
        return None  # a broker that does not tell its configuration, or is away, which others say
    if kept:
        return None
    said = "Redis keeps nothing on disk: its restart loses queued messages, and jobs begin later; set appendonly yes"
    log.warning(said)
    return said


def _broker_is_new(settings: Settings) -> bool:
    try:
        with Redis.from_url(redis_url(settings), socket_connect_timeout=3) as client:
            return not client.exists(_CANARY)
    except (RedisError, KorvaiError, OSError):
        return False


def _refuse(graph: Graph, job: str, step: int, error: Exception) -> None:
    from kg.jobs import Lease

    lease = Lease(graph, job, step, ttl_s=5.0)
    if lease.verdict == "taken":
        lease.settle(state="refused", message=f"its plan cannot be read: {error}")


def _check_recipe(name: str | None) -> None:
    if name is not None:
        from training.registry import get_recipe

        get_recipe(name)


def _connect(settings: Settings) -> Graph:
    from kg.graph import connect

    return connect(settings)
