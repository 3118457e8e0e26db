"""Which arms of a result table are finished, and how long will the others take?

An arm is one method on one seed or hold-out. What it found is kept under the hash of its method, configuration,
snapshot and encoders, so a table that was stopped goes on, and a repeated one is read off. Seconds are kept with it:
they are the estimate for arms to come.
"""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kg.store import atomic_write

__all__ = ["Arms", "told_duration"]

_VERSION = "1"
"""Raised whenever a method changes so that what was found before does not hold any more."""


class Arms:
    """Finished arms below one folder of the store; `graph` names whose they are, since each takes another time."""

    def __init__(self, folder: Path, *, graph: str) -> None:
        self.folder, self.graph = folder, graph

    def path(self, method: str, *named: Any) -> Path:
        """The folder of an arm; all of `named` is in its hash."""
        text = json.dumps([_VERSION, method, *named], sort_keys=True)
        return self.folder / hashlib.sha256(text.encode()).hexdigest()[:16]

    def read(self, arm: Path) -> dict[str, Any] | None:
        """What a finished arm found; None where it is not finished."""
        try:
            return json.loads((arm / "found.json").read_text(encoding="utf-8"))["found"]
        except (OSError, ValueError, KeyError):
            return None

    def write(self, arm: Path, method: str, found: Mapping[str, Any], *, seconds: float) -> None:
        """Keep what an arm found. Raises: StoreError."""
        said = {"graph": self.graph, "method": method, "seconds": round(seconds, 2), "found": dict(found)}
        with atomic_write(arm / "found.json") as file:
            file.write(json.dumps(said, indent=1).encode())

    def forget(self, arm: Path) -> None:
        """Have an arm measured again; trained weights stay."""
        (arm / "found.json").unlink(missing_ok=True)

    def seconds(self, methods: Sequence[str]) -> float | None:
        """How long arms of these methods will take, by the median of finished ones; None where a method has none."""
        known: dict[str, list[float]] = {}
        for path in self.folder.glob("*/found.json"):
            try:
                said = json.loads(path.read_text(encoding="utf-8"))
                if said["graph"] == self.graph:
                    known.setdefault(said["method"], []).append(said["seconds"])
            except (OSError, ValueError, KeyError):
                continue
        if not set(methods) <= set(known):
            return None
        return sum(statistics.median(known[method]) for method in methods)


def told_duration(seconds: float) -> str:
    """`40 s`, `13 min` or `2 h 5 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
