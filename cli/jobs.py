"""How does a person see, follow and stop what the workers do?"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from cli import context, panels

if TYPE_CHECKING:
    from kg.graph import Graph
    from kg.jobs import Job

__all__ = ["register", "submit"]

_LOOK_EVERY_S = 0.5
_COLOURS = {"running": "cyan", "done": "green", "failed": "red", "refused": "red", "cancelled": "yellow"}
Id_ = Annotated[str, typer.Argument(metavar="ID", help="What `korvai retrain` printed, or `korvai jobs` lists.")]


def register(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    for verb in (jobs, watch, cancel):
        app.command(rich_help_panel=panels.SERVERS)(verb)


def submit(said: Mapping[str, Any]) -> None:
    """Write a job down, queue it, and say what it is expected to take and how to follow it."""
    from workers.estimating import estimate
    from workers.kinds import request_of
    from workers.queue import submit as send

    request = request_of(said)
    with context.graph() as graph:
        job = send(context.settings(), graph, request)
        expected = estimate(graph, request.kind, request.graph, getattr(request, "vision_encoder", None) or "")
    context.console.print(f"queued: [bold]{job}[/]; `korvai watch {job}` follows it", soft_wrap=True)
    context.console.print(f"expected: {expected.line()}", soft_wrap=True)


def jobs(
    job: Annotated[str | None, typer.Argument(metavar="[ID]", help="One job, with its steps and its result.")] = None,
    state: Annotated[str, typer.Option(help="queued, running, done, failed, cancelled, refused or skipped.")] = "",
    kind: Annotated[str, typer.Option(help="retrain, refresh, classify …")] = "",
    graph: Annotated[str, typer.Option("--graph", help="Jobs of this graph only.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, latest first.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a job instead of a table.")] = False,
) -> None:
    """What the workers do, have done, and still have to do; each job is a node: MATCH (j:Job) RETURN j."""
    from kg.jobs import find_job, list_jobs

    with context.graph() as opened:
        found = [find_job(opened, job)] if job else list_jobs(opened, state=state, kind=kind, domain=graph, most=limit)
    if as_json:
        for one in found:
            context.console.print_json(data=vars(one) | {"progress": one.progress}, default=str, indent=None)
    elif job:
        _show_one(found[0])
    elif found:
        _show_many(found)
    else:
        context.console.print("no such jobs; `korvai retrain` queues one")


def watch(job: Id_) -> None:
    """Follow a job stage by stage, with rate and remaining time, until it ends; exit code 1 unless it is done."""
    from kg.jobs import find_job

    with context.graph() as opened:
        ended = _follow(opened, find_job(opened, job))
    _show_one(ended)
    if ended.state != "done":
        raise typer.Exit(1)


def cancel(job: Id_) -> None:
    """Stop a job within seconds; nothing of its unfinished work becomes visible."""
    from kg.jobs import cancel_job, find_job

    with context.graph() as opened:
        state, until = cancel_job(opened, job), time.monotonic() + 30
        while state == "running" and time.monotonic() < until:
            time.sleep(_LOOK_EVERY_S)
            state = find_job(opened, job).state
    said = {"running": "still running; it stops as soon as its worker listens"}.get(state, state)
    context.console.print(f"{job}: {said}", soft_wrap=True)


def _follow(graph: Graph, job: Job) -> Job:
    """Draw each stage until the job has ended."""
    from kg.jobs import find_job

    reporter = context.reporter()
    while not job.ended:
        at = (job.step, job.stage)
        with reporter.stage(_named(job), job.total, job.unit or "") as advance:
            shown = 0
            while (job.step, job.stage) == at and not job.ended:
                advance((job.done or 0) - shown, **_left(job))
                shown = job.done or 0
                time.sleep(_LOOK_EVERY_S)
                job = find_job(graph, job.id)
    return job


def _named(job: Job) -> str:
    step = job.steps[job.step] if job.step < len(job.steps) else job.state
    return f"{step}: {job.stage}" if job.stage else f"{step} ({job.state})"


def _left(job: Job) -> dict[str, Any]:
    return {} if job.remaining_s is None else {"left_s": job.remaining_s}


def _show_many(found: list[Job]) -> None:
    table = Table("job", "graph", "state", "progress", "stage", "left", "by", "message")
    for one in found:
        left = "" if one.remaining_s is None else f"{one.remaining_s:,.0f} s"
        cells = (one.id, one.graph or "", _state(one), f"{one.progress:.0%}", one.stage or "", left, one.who or "")
        table.add_row(*cells, escape(one.message or ""))
    context.console.print(table)


def _show_one(job: Job) -> None:
    table = Table("step", "state", title=f"{job.id} {_state(job)}", title_justify="left")
    for number, name in enumerate(job.steps):
        done = number < job.step
        table.add_row(name, "done" if done else _now(job) if number == job.step and not job.ended else "")
    context.console.print(table)
    if job.message:
        context.console.print(escape(job.message), soft_wrap=True)
    if job.needs_mib is not None:
        from workers.estimating import Estimate

        context.console.print(f"expected: {Estimate(job.needs_mib, job.expected_s).line()}", soft_wrap=True)
    for key, value in job.result.items():
        text = value if isinstance(value, str) else json.dumps(value, default=str)
        context.console.print(f"{key}: {escape(text)}", soft_wrap=True)


def _now(job: Job) -> str:
    rate = f", {job.rate_per_s:g} {job.unit or ''}/s" if job.rate_per_s else ""
    return f"{job.state} {job.stage or ''} {job.done or 0:,}/{job.total or '?'}{rate}"


def _state(job: Job) -> str:
    colour = _COLOURS.get(job.state, "default")
    return f"[{colour}]{escape(job.state)}[/]"
