"""How does a person start, stop and look at the servers and workers? `korvai up`, `down`, `status`, `logs`."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Iterable
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from cli import context, panels
from kg.errors import ServiceError
from kg.server import services

__all__ = ["register"]

_COLOURS = {"running": "green", "starting": "yellow", "external": "cyan", "stopped": "dim", "crashed": "red"}
_ALL = ",".join(services.NAMES)
_POLL_S = 0.3

Only = Annotated[str, typer.Option(metavar="NAMES", help=f"Some of {_ALL}, separated by commas.")]


def register(app: typer.Typer) -> None:
    """Add `korvai up`, `down`, `status` and `logs`."""
    for verb in (up, down, status, logs):
        app.command(rich_help_panel=panels.SERVERS)(verb)


def up(only: Only = _ALL) -> None:
    """Start Neo4j, Redis, a worker, the schedule and the HTTP API on this machine.

    What runs already is left alone. Everything listens on loopback and lives under KORVAI_HOME; when a usual port is
    taken the next free one is used. The first time, Neo4j's jars (150 MB) are fetched. With NEO4J_URI or REDIS_URL set,
    those servers are used instead.

    Example: [bold]korvai up --only neo4j,redis[/]
    """
    chosen = _names(only)
    states = services.up(context.settings(), chosen, context.reporter())
    if "neo4j" in chosen:
        _warm_capture()
    _show(states)


def down(only: Only = _ALL) -> None:
    """Stop what `korvai up` started; nothing is lost, and the next start goes on from there."""
    stopped = services.down(context.settings(), _names(only))
    context.console.print(f"stopped: {', '.join(stopped)}" if stopped else "nothing was running")


def status() -> None:
    """Show what is running, where, and with which process id."""
    settings = context.settings()
    _show(services.status(settings))
    context.console.print(f"[dim]home {escape(str(settings.home_dir))}[/]", soft_wrap=True)


def logs(
    name: Annotated[str, typer.Argument(metavar="NAME", help=f"One of {_ALL}.")],
    lines: Annotated[int, typer.Option("-n", "--lines", min=1, help="How many of the last lines.")] = 100,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes; Ctrl-C ends it.")] = False,
) -> None:
    """Print the end of a service's log."""
    path = services.log_files(context.settings(), name)
    if not path.exists():
        raise ServiceError(f"{name} has no log yet ({path}); start it with `korvai up --only {name}`")
    with path.open(encoding="utf-8", errors="replace") as stream:
        _echo(deque(stream, maxlen=lines))
        with contextlib.suppress(KeyboardInterrupt):
            while follow:
                _echo(stream)
                time.sleep(_POLL_S)


def _warm_capture() -> None:
    """The first edit that somebody types after a start shall not wait until the capturing trigger is planned."""
    from kg.changes.capture import warm_up
    from kg.errors import KorvaiError

    with contextlib.suppress(KorvaiError), context.graph() as graph:
        warm_up(graph)


def _names(only: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in only.split(",") if name.strip())


def _echo(lines: Iterable[str]) -> None:
    for line in lines:
        typer.echo(line, nl=False)


def _show(rows: list[services.ServiceStatus]) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("service", "state", "pid", "address"):
        table.add_column(title)
    for row in rows:
        pid = "" if row.pid is None else str(row.pid)
        table.add_row(row.name, f"[{_COLOURS[row.state]}]{row.state}[/]", pid, row.address or "")
    context.console.print(table)
    for row in rows:
        if row.detail:
            context.console.print(f"[dim]{row.name}: {escape(row.detail)}[/]", soft_wrap=True)
