"""What happens around one step of a job: who may do it, what becomes of its result, or of its error?

Every end of a step is one transaction on the job's node that only the holder of its newest token can make. Whatever
dies before leaves a lease that runs out, and the step is done again; each step leaves the same result however often.
"""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from kg import failpoints
from kg.errors import GraphUnavailable, JobTooLarge, KorvaiError, PayloadError, QueueUnavailable, StaleToken
from kg.graph import Graph
from kg.jobs import Lease
from kg.store import Store
from workers import contracts, queue
from workers.context import StepReporter, Workplace, open_graph, settings
from workers.contracts import STEPS, Message, Payload, parse
from workers.estimating import estimate, refuse_unless_it_fits
from workers.logs import job_context
from workers.parts import Parts, share_out, tell_parent

__all__ = ["MAX_CRASHES", "MAX_RETRIES", "retry_delay_s", "run_step"]

MAX_RETRIES = 8
MAX_CRASHES = 10
"""So many workers may die over one step before it is the step's own fault."""
_FIRST_DELAY_S = 2.0
_LONGEST_DELAY_S = 120.0
_LONGEST_MESSAGE = 500

log = logging.getLogger(__name__)
Ids = dict[str, Any]
_P = TypeVar("_P", bound=Payload)
Work = Callable[[Workplace, _P], Ids | Parts]


def run_step(contract: type[_P], work: Work[_P], parts: tuple[Any, ...]) -> None:
    """Do the step that a message is about, if it is still to be done.

    Raises: PayloadError for a message that nobody can read; it is dropped, and its job, if it has one, sent again.
    """
    message = parse(Message, parts)
    with open_graph() as graph, job_context(message.job, message.step):
        lease = Lease(graph, message.job, message.step, ttl_s=settings().job_lease_s)
        if lease.verdict != "taken":
            return log.info("job %s, step %d: nothing to do (%s)", message.job, message.step, lease.verdict)
        failpoints.reach("job.after_take")
        with lease:
            going_on = _under_lease(lease, contract, work)
        if going_on:
            _send_next(graph, message.job, message.step + 1, going_on)
        else:
            with suppress(GraphUnavailable):  # its job looks for itself, a few seconds later
                tell_parent(graph, lease)
    return None


def retry_delay_s(tries: int) -> float:
    """Doubling, capped, and spread, so that jobs that failed together do not come back together."""
    longest_s = min(_LONGEST_DELAY_S, _FIRST_DELAY_S * 2**tries)
    return random.uniform(longest_s / 2, longest_s)


def _under_lease(lease: Lease, contract: type[_P], work: Work[_P]) -> str | None:
    """Do the work and settle; the name of the next step."""
    try:
        _refuse_killers(lease)
        args, plan, results = _arguments(lease, contract)
        store = Store(settings().store_dir)
        store.check_writable()
        if lease.step == 0 and not lease.said.get("parent"):
            _expect(lease, plan)
        found = work(_workplace(lease, store, contracts.step_name(contract)), args)
        lease.check()
        failpoints.reach("job.before_settle")
        if isinstance(found, Parts):
            share_out(lease, found)
            return None
        return _go_on(lease, plan, {**results, **found})
    except Exception as error:
        _settle_error(lease, error)
    return None


def _workplace(lease: Lease, store: Store, name: str) -> Workplace:
    shared = lease.said.get("shared") == lease.step
    return Workplace(settings(), lease.graph, store, StepReporter(lease, name), lease.job, shared=shared)


def _expect(lease: Lease, plan: list[Mapping[str, Any]]) -> None:
    """Say on the node what the job will take. Raises: JobTooLarge, MemoryTaken."""
    encoder = next((step["args"]["vision_encoder"] for step in plan if "vision_encoder" in step["args"]), "")
    expected = estimate(lease.graph, str(lease.said.get("kind")), str(lease.said.get("graph")), encoder)
    said = {"needs_mib": expected.needs_mib, "expected_s": expected.expected_s}
    lease.graph.run("jobs/expect", id=lease.job, token=lease.token, **said)
    refuse_unless_it_fits(expected, settings(), f"job {lease.job}")


def _go_on(lease: Lease, plan: list[Mapping[str, Any]], results: Ids) -> str | None:
    following, fresh = lease.step + 1, {"step": lease.step + 1, "retries": 0, "crashes": 0}
    last = following >= len(plan)
    lease.settle(state="done" if last else "running", result=json.dumps(results, default=str), **fresh)
    failpoints.reach("job.after_settle")
    return None if last else str(plan[following]["step"])


def _settle_error(lease: Lease, error: Exception) -> None:
    """Say on the node what became of it: tried again later, or failed."""
    message = " ".join(f"{'' if isinstance(error, KorvaiError) else type(error).__name__ + ': '}{error}".split())
    try:
        if lease.cancelled:
            lease.settle(state="cancelled", message="cancelled while it was running")
            return log.info("job %s: cancelled", lease.job)
        if isinstance(error, StaleToken) and lease.is_lost():
            return log.warning("job %s: %s", lease.job, message)
        retries = int(lease.said.get("retries") or 0)
        # StaleToken: another publisher was faster; the same step finds the graph as that one left it.
        if (isinstance(error, StaleToken) or getattr(error, "retryable", False)) and retries < MAX_RETRIES:
            delay_s = retry_delay_s(retries)
            said = f"trying again: {message}"[:_LONGEST_MESSAGE]
            lease.settle(due_s=delay_s, state="running", retries=retries + 1, message=said)
            return log.warning("job %s: %s; trying again in %.0f s", lease.job, message, delay_s)
        state = "refused" if isinstance(error, JobTooLarge) else "failed"
        lease.settle(state=state, message=message[:_LONGEST_MESSAGE])
    except (GraphUnavailable, StaleToken) as worse:
        # It cannot be written down: the lease runs out, and the step is done again.
        return log.warning("job %s: %s", lease.job, worse)
    if isinstance(error, KorvaiError):
        return log.error("job %s: %s", lease.job, message)
    return log.error("job %s failed", lease.job, exc_info=error)


def _arguments(lease: Lease, contract: type[_P]) -> tuple[_P, list[Mapping[str, Any]], Ids]:
    """What the plan says of this step, what earlier steps found filling in the rest.

    Raises: PayloadError.
    """
    said = lease.said
    try:
        plan, results = json.loads(said["plan"]), json.loads(said.get("result") or "{}")
        own = {**plan[lease.step]["args"], "version": said.get("version")}
        name = plan[lease.step]["step"]
    except (ValueError, TypeError, LookupError) as error:
        raise PayloadError(f"job {lease.job}: its plan cannot be read ({error!r}); ask for it again") from error
    if STEPS.get(name) is not contract:
        raise PayloadError(f"job {lease.job}: step {lease.step} is {name!r}, the message was for {contract.task_name}")
    known = {key: value for key, value in results.items() if key in contract.model_fields}
    return parse(contract, [known, own]), plan, results


def _refuse_killers(lease: Lease) -> None:
    if (crashes := int(lease.said.get("crashes") or 0)) >= MAX_CRASHES:
        raise PayloadError(
            f"job {lease.job}: {crashes} workers died over this step; `korvai logs worker` may say why (memory?)"
        )


def _send_next(graph: Graph, job: str, step: int, name: str) -> None:
    """At once where the broker is there; else the reconciler does it."""
    try:
        with queue.broker(settings()) as app:
            queue.send(app, graph, job, step, name)
    except (QueueUnavailable, GraphUnavailable) as error:
        log.warning("job %s: %s; the next step waits for it", job, error)
