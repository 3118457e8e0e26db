"""How does long work tell whoever waits how far it is, without knowing who that is?

Work takes a `Reporter`; the CLI passes one that draws bars, a worker one that writes the state of
its task, a test the silent one.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

__all__ = ["Advance", "Reporter", "SilentReporter"]

Advance = Callable[..., None]
"""`advance(n=1, **metrics)`: n more units are done; metrics (loss, rate …) are shown beside the bar."""


class Reporter(Protocol):
    """Receives stages of work and messages for people."""

    def stage(self, name: str, total: int | None = None, unit: str = "") -> AbstractContextManager[Advance]:
        """Open a stage of `total` units (None: unknown); the context value is its `Advance`."""

    def note(self, message: str) -> None:
        """Tell one finished fact, on a line of its own."""

    def warn(self, message: str) -> None:
        """Tell something that a person should look at."""


class SilentReporter:
    """A reporter that tells nobody."""

    @contextmanager
    def stage(self, name: str, total: int | None = None, unit: str = "") -> Iterator[Advance]:  # noqa: ARG002
        yield lambda n=1, **metrics: None  # noqa: ARG005 (the protocol names them)

    def note(self, message: str) -> None:
        """Drop the message."""

    def warn(self, message: str) -> None:
        """Drop the message."""
