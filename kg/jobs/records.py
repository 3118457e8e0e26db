"""Which jobs are there, and what do their nodes say?"""

from __future__ import annotations

import datetime as dt
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kg.errors import NodeNotFound, SchemaViolation
from kg.graph import Graph

__all__ = [
    "ENDED",
    "OPEN",
    "STATES",
    "Job",
    "cancel_job",
    "create_job",
    "find_job",
    "job_of",
    "list_jobs",
    "new_job_id",
]

OPEN = ("queued", "running")
ENDED = ("done", "failed", "cancelled", "refused", "skipped")
"""done; failed: an error ended it; refused: it was never valid, or is larger than
the machine; skipped: the schedule saw no reason for it."""
STATES = (*OPEN, *ENDED)


_NUMBERS = ("done", "total", "rate_per_s", "remaining_s", "needs_mib", "expected_s")


@dataclass(frozen=True)
class Job:
    """A job as its node says; times are the database's."""

    id: str
    kind: str
    state: str
    graph: str | None = None
    task: str | None = None
    message: str | None = None
    result: Mapping[str, Any] = field(default_factory=dict)
    step: int = 0
    steps: Sequence[str] = ()
    """Names of the steps, in order."""
    stage: str | None = None
    done: int | None = None
    total: int | None = None
    unit: str | None = None
    rate_per_s: float | None = None
    remaining_s: float | None = None
    needs_mib: int | None = None
    """Memory that it takes at most, as its first worker expected."""
    expected_s: float | None = None
    """How long jobs like this one took before."""
    holder: str | None = None
    who: str | None = None
    crashes: int = 0
    """How often a worker died over it."""
    created_at: dt.datetime | None = None
    started_at: dt.datetime | None = None
    ended_at: dt.datetime | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in ENDED

    @property
    def progress(self) -> float:
        """Share of the steps that are done, 0..1, with the running stage's part of its own."""
        if self.state == "done":
            return 1.0
        within = min(1.0, self.done / self.total) if self.done and self.total else 0.0
        return (self.step + within) / max(1, len(self.steps))


def create_job(graph: Graph, job_id: str, properties: Mapping[str, Any]) -> str:
    """Write a job down before anything is queued; one that is there already stays as it is."""
    row = graph.one("jobs/create", id=job_id, properties=dict(properties))
    assert row is not None, "MERGE gives a row"
    return str(row["id"])


def find_job(graph: Graph, job_id: str) -> Job:
    """The job of that id.

    Raises: NodeNotFound.
    """
    row = graph.one("jobs/find", id=job_id)
    if row is None:
        raise NodeNotFound(f"job {job_id}: there is none of that id; `korvai jobs` lists the latest")
    return job_of(row["job"])


def list_jobs(graph: Graph, *, state: str = "", kind: str = "", domain: str = "", most: int = 20) -> list[Job]:
    """Jobs, latest first.

    Raises: SchemaViolation for a state that no job can have.
    """
    if state and state not in STATES:
        raise SchemaViolation(f"jobs: no state {state!r}; choose {', '.join(STATES)}")
    rows = graph.run("jobs/list", state=state, kind=kind, graph=domain, most=most)
    return [job_of(row["job"]) for row in rows]


def cancel_job(graph: Graph, job_id: str) -> str:
    """Ask for a job to stop; its state now: `cancelled`, `running` (it stops within seconds) or how it had ended.

    Raises: NodeNotFound.
    """
    row = graph.one("jobs/cancel", id=job_id)
    if row is None:
        raise NodeNotFound(f"cancelling job {job_id}: there is none of that id; `korvai jobs` lists the latest")
    return str(row["state"])


def new_job_id(kind: str) -> str:
    """Sortable by time, and it says what it is wherever it turns up."""
    return f"{kind}-{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"


def job_of(said: Mapping[str, Any]) -> Job:
    """The job behind a node's properties; whatever a curator wrote there is only shown, never trusted."""
    plan = _loaded(said.get("plan"), list)
    steps = tuple(str(part.get("step", "?")) if isinstance(part, dict) else "?" for part in plan)
    plain = {name: said.get(name) for name in ("graph", "task", "message", "stage", "unit", "holder", "who")}
    numbers = {name: said.get(name) for name in _NUMBERS}
    times = {name: _time(said.get(name)) for name in ("created_at", "started_at", "ended_at")}
    return Job(
        id=str(said.get("id", "")),
        kind=str(said.get("kind", "")),
        state=str(said.get("state", "")),
        result=_loaded(said.get("result"), dict),
        step=int(said.get("step") or 0),
        steps=steps,
        crashes=int(said.get("crashes") or 0),
        **plain,
        **numbers,
        **times,
    )


def _loaded(text: Any, kind: type) -> Any:
    try:
        found = json.loads(text) if isinstance(text, str) else None
    except ValueError:
        found = None
    return found if isinstance(found, kind) else kind()


def _time(value: Any) -> dt.datetime | None:
    return value.to_native() if hasattr(value, "to_native") else None
