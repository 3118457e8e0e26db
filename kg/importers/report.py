"""What did an import do, and what could it not take?"""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from kg.store import Store

__all__ = ["ImportReport", "Problem", "write_problems"]


class Problem(NamedTuple):
    """One thing that was not imported: where it stands and why. Line 0 means the whole file."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}{f':{self.line}' if self.line else ''}: {self.reason}"


@dataclass
class ImportReport:
    """Counts by label or relation; `batch` is what `korvai import undo` takes, None when nothing was written."""

    batch: str | None = None
    created: Counter[str] = field(default_factory=Counter)
    updated: Counter[str] = field(default_factory=Counter)
    unchanged: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)
    problems_file: Path | None = None
    kept: list[Problem] = field(default_factory=list)
    """Rows, or values of rows, that were not taken because a curator's edit says otherwise."""
    dry_run: bool = False
    rolled_back: bool = False
    """All or nothing was asked, and it was nothing."""

    @property
    def total_created(self) -> int:
        """Nodes and relations that were not there before."""
        return sum(self.created.values())

    @property
    def total_updated(self) -> int:
        """Nodes and relations whose properties were changed."""
        return sum(self.updated.values())

    def rows(self) -> list[tuple[str, int, int, int]]:
        """(what, created, updated, unchanged), in the order in which they were met."""
        names = dict.fromkeys([*self.created, *self.updated, *self.unchanged])
        return [(name, self.created[name], self.updated[name], self.unchanged[name]) for name in names]


def write_problems(store: Store, folder: Path, problems: list[Problem], *, name: str = "problems.csv") -> Path:
    """Write all problems to a file in `folder` and return its path.

    Raises: StoreError.
    """
    path = folder / name
    with store.atomic_write(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", errors="backslashreplace", newline="", write_through=True)
        writer = csv.writer(text)
        writer.writerow(Problem._fields)
        writer.writerows(problems)
        text.detach()
    return path
