"""What do the workers do, and how far is a job? Nothing is started over HTTP."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Any, Literal

import anyio.to_thread
from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from api.deps import GraphDep
from kg.errors import KorvaiError
from kg.graph import Graph
from kg.jobs import Job, find_job, list_jobs

__all__ = ["JobState", "Jobs", "router"]

router = APIRouter(tags=["jobs"])

_LOOK_EVERY_S = 0.5
_KEEP_ALIVE_S = 15.0
State = Literal["queued", "running", "done", "failed", "cancelled", "refused", "skipped"]


class JobState(BaseModel):
    """A job as its node says."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    kind: str
    state: str
    graph: str | None = None
    task: str | None = None
    message: str | None = Field(None, description="Why it waits, failed, was refused or skipped.")
    progress: float = Field(description="Share of its steps that are done.")
    step: int
    steps: list[str]
    stage: str | None = None
    done: int | None = None
    total: int | None = None
    unit: str | None = None
    rate_per_s: float | None = None
    remaining_s: float | None = None
    result: dict[str, Any] = {}
    created_at: dt.datetime | None = None
    started_at: dt.datetime | None = None
    ended_at: dt.datetime | None = None


class Jobs(BaseModel):
    """Jobs, latest first."""

    jobs: list[JobState]


@router.get("/jobs")
def jobs(
    graph: GraphDep,
    state: Annotated[State | None, Query(description="Only those.")] = None,
    kind: Annotated[str, Query(max_length=40, description="Only those, such as retrain.")] = "",
    domain: Annotated[str, Query(alias="of", max_length=120, description="Only jobs of this graph.")] = "",
    k: Annotated[int, Query(ge=1, le=1000, description="How many.")] = 20,
) -> Jobs:
    """The latest jobs."""
    found = list_jobs(graph, state=state or "", kind=kind, domain=domain, most=k)
    return Jobs(jobs=[JobState.model_validate(job) for job in found])


@router.get("/jobs/{job}")
def job(job: str, graph: GraphDep) -> JobState:
    """One job."""
    return JobState.model_validate(find_job(graph, job))


@router.get("/jobs/{job}/events", response_class=StreamingResponse)
def events(job: str, graph: GraphDep) -> StreamingResponse:
    """Server-sent events: the job now, and again whenever something about it changes, until it has ended."""
    first = find_job(graph, job)  # a job nobody knows is a plain 404
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_events(graph, first), media_type="text/event-stream", headers=headers)


async def _events(graph: Graph, job: Job) -> AsyncIterator[str]:
    told: Job | None = None
    quiet_s = 0.0
    while True:
        if job != told:
            told, quiet_s = job, 0.0
            yield f"event: {job.state}\ndata: {JobState.model_validate(job).model_dump_json()}\n\n"
        elif quiet_s >= _KEEP_ALIVE_S:
            quiet_s = 0.0
            yield ": still the same\n\n"
        if job.ended:
            return
        await asyncio.sleep(_LOOK_EVERY_S)
        quiet_s += _LOOK_EVERY_S
        try:
            job = await anyio.to_thread.run_sync(partial(find_job, graph, job.id))
        except KorvaiError as error:
            yield f"event: error\ndata: {type(error).__name__}\n\n"
            return
