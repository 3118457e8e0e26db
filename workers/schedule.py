"""What does beat start and when, and why not where it starts nothing?

The entries are a file: `workers/schedule.yaml`, or the one that KORVAI_SCHEDULE names. A tick looks, for every graph
and task of its entry, whether there is a reason, and writes a job down or the reason why not.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from celery import shared_task
from celery.schedules import crontab, schedule
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError, model_validator

from kg.errors import SettingsError
from kg.graph import Graph
from kg.publishing.activation import find_active_set
from kg.schema import domain_names, load_domain
from kg.settings import Settings
from workers import contracts, queue
from workers.contracts import Name, parse
from workers.kinds import KINDS

__all__ = ["Entry", "Reasons", "beat_schedule", "entries", "run_entry", "tick"]

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class Reasons(BaseModel):
    """Since the active version was trained; one that is reached is enough."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    edits: int | None = Field(None, ge=1)
    stale_classes: float | None = Field(None, gt=0, le=1)
    """Share of classes whose neighbourhood has changed."""
    score_drop: float | None = Field(None, gt=0, le=1)
    """How much less sure it is of the newest items than of those before."""


class Entry(BaseModel):
    """One line of the schedule."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["retrain", "refresh", "validate", "classify"]
    at: Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] | Literal["retrain_hour"] | None = None
    weekday: Literal[_DAYS] | None = None  # type: ignore[valid-type]
    every_minutes: int | None = Field(None, ge=1)
    graph: Name | None = None
    task: Name | None = None
    if_changed: Reasons | None = None

    @model_validator(mode="after")
    def _when(self) -> Entry:
        if (self.at is None) == (self.every_minutes is None):
            raise ValueError("give either at or every_minutes")
        return self

    def when(self, settings: Settings) -> crontab | schedule:
        """As Celery's beat takes it."""
        if self.every_minutes is not None:
            return schedule(dt.timedelta(minutes=self.every_minutes))
        at = f"{settings.retrain_hour:02d}:00" if self.at == "retrain_hour" else str(self.at)
        day = "*" if self.weekday is None else str((_DAYS.index(self.weekday) + 1) % 7)
        return crontab(hour=str(int(at[:2])), minute=str(int(at[3:])), day_of_week=day)


def entries(settings: Settings) -> Mapping[str, Entry]:
    """The schedule by name.

    Raises: SettingsError for a file that is missing or malformed.
    """
    path = settings.schedule or Path(__file__).with_name("schedule.yaml")
    try:
        said = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        return TypeAdapter(dict[Name, Entry]).validate_python(said)
    except ValidationError as error:
        raise SettingsError(f"schedule {path}: {contracts.problems(error)}") from error
    except (OSError, yaml.YAMLError) as error:
        raise SettingsError(f"schedule {path}: {' '.join(str(error).split())}; see KORVAI_SCHEDULE") from error


def beat_schedule(settings: Settings) -> dict[str, Any]:
    """What beat is told. Raises: SettingsError."""
    found = {}
    for name, entry in entries(settings).items():
        tick_ = contracts.Tick(entry=name)
        # Without an expiry, which would compare the clocks of two machines: ticks that piled up find one job open.
        options = {"queue": tick_.queue}
        args = [tick_.model_dump(mode="json")]
        found[name] = {"task": tick_.task_name, "schedule": entry.when(settings), "args": args, "options": options}
    return found


@shared_task(name=contracts.Tick.task_name, ignore_result=True)
def tick(*parts: Any) -> None:
    """Start what an entry of the schedule asks for; see the contract."""
    from workers.context import open_graph, settings

    args = parse(contracts.Tick, parts)
    with open_graph() as graph:
        run_entry(settings(), graph, args.entry)


def run_entry(settings: Settings, graph: Graph, name: str, *, now: dt.datetime | None = None) -> list[str]:
    """Write down a job, or why there is none, for every graph and task of an entry; their ids.

    The same entry in the same minute makes the same ids: a tick that comes twice has its effect once.
    Raises: SettingsError (no such entry), QueueUnavailable.
    """
    entry = entries(settings).get(name)
    if entry is None:
        raise SettingsError(f"schedule: there is no entry {name!r} (any more)")
    moment = f"{now or dt.datetime.now():%Y%m%dT%H%M}"
    return [_one(settings, graph, entry, name, domain, task, moment) for domain, task in _places(graph, entry)]


def _one(settings: Settings, graph: Graph, entry: Entry, name: str, domain: str, task: str, moment: str) -> str:
    place, who, job = {"graph": domain, "task": task}, f"schedule {name}", f"{name}-{domain}-{task}-{moment}"
    if graph.one("jobs/find", id=job):
        return job  # this very tick came twice
    reason, why_not = _reason(settings, graph, entry, domain, task)
    if why_not:
        properties = {"kind": entry.kind, **place, "who": who, "message": f"skipped: {why_not}"}
        return str(graph.run("jobs/skip", id=f"{name}-{domain}-{task}-skipped", properties=properties)[0]["id"])
    more = {"recipe": find_active_set(graph, domain, task).recipe} if entry.kind == "retrain" else {}  # type: ignore[union-attr]
    request = KINDS[entry.kind](**place, **more)
    return queue.submit(settings, graph, request, job=job, who=f"{who}: {reason}")


def _reason(settings: Settings, graph: Graph, entry: Entry, domain: str, task: str) -> tuple[str, str]:
    """Why a run, or why none."""
    if busy := graph.run("jobs/open", kind=entry.kind, graph=domain):
        return "", f"{busy[0]['id']} has not ended"
    if entry.if_changed is None:
        return "its time", ""
    from workers.reasons import changed_since

    return changed_since(settings, graph, entry.if_changed, domain, task)


def _places(graph: Graph, entry: Entry) -> Iterator[tuple[str, str]]:
    for domain in [entry.graph] if entry.graph else domain_names():
        for task in [entry.task] if entry.task else load_domain(domain).tasks:
            if find_active_set(graph, domain, task) is not None:
                yield domain, task
