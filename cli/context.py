"""What does every command need: settings, a console, a progress display and the graph?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from kg.progress import Advance
from kg.settings import Settings, load_settings

if TYPE_CHECKING:
    from kg.graph import Graph

__all__ = ["RichReporter", "console", "error_console", "graph", "reporter", "settings"]

console = Console(highlight=False)
error_console = Console(stderr=True, highlight=False)


@cache
def settings() -> Settings:
    """The settings of this process."""
    return load_settings()


@contextmanager
def graph() -> Iterator[Graph]:
    """The configured graph, closed at the end."""
    from kg.graph import connect

    with connect(settings()) as opened:
        yield opened


def reporter() -> RichReporter:
    """A reporter that draws bars on the terminal, or prints one line a stage where there is none."""
    return RichReporter(console)


class RichReporter:
    """Progress bars with rate and remaining time; plain lines when the output is not a terminal."""

    def __init__(self, out: Console) -> None:
        self._out = out

    @contextmanager
    def stage(self, name: str, total: int | None = None, unit: str = "") -> Iterator[Advance]:
        """Show one stage of work; see kg.progress.Reporter."""
        started, done, shown = time.monotonic(), 0, ""
        with self._progress() as progress:
            task = progress.add_task(name, total=total, metrics="")

            def advance(n: int = 1, **metrics: object) -> None:
                nonlocal done, shown
                done += n
                shown = "  ".join(f"{key} {_short(value)}" for key, value in metrics.items()) or shown
                rate = f"{done / max(time.monotonic() - started, 1e-3):,.0f} {unit}/s  " if unit else ""
                progress.update(task, advance=n, metrics=rate + shown)

            yield advance
        seconds = time.monotonic() - started
        rate = f", {done / max(seconds, 1e-3):,.0f} {unit}/s" if unit and done and seconds > 0.05 else ""
        count = f"{done:,} {unit}, " if done else ""
        self._out.print(f"[green]✓[/] {name} [dim]({count}{seconds:.1f} s{rate}) {shown}[/]")

    def note(self, message: str) -> None:
        """Print a finished fact."""
        self._out.print(message)

    def warn(self, message: str) -> None:
        """Print something to look at."""
        self._out.print(f"[yellow]! {message}[/]")

    def _progress(self) -> Progress:
        return Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("[dim]{task.fields[metrics]}"),
            console=self._out,
            transient=True,
            disable=not self._out.is_terminal,
        )


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
