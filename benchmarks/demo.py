"""How long does `korvai demo` take, from an empty home, and how long when it is typed again?

    make bench ONLY=demo

In a home of its own, on free ports, with Neo4j's jars as they are in the cache: fetching them is not part of the time.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.records import Record
from kg.errors import ServiceError

__all__ = ["measure"]

COMMAND = "make bench ONLY=demo"
_FOREIGN = ("KORVAI_", "NEO4J_", "REDIS_")


def measure() -> list[Record]:
    """`demo.first_s` and `demo.second_s`; the home is removed afterwards, servers are stopped."""
    _korvai_jars()
    with tempfile.TemporaryDirectory(prefix="korvai-demo-") as folder:
        home = Path(folder) / "home"
        try:
            first_s, second_s = _timed_demo(home), _timed_demo(home)
        finally:
            _korvai(home, "down")
    return [
        Record("demo.first_s", first_s, "s", COMMAND),
        Record("demo.second_s", second_s, "s", COMMAND, baseline=first_s, ratio=first_s / second_s),
    ]


def _korvai_jars() -> None:
    """Have the jars in the cache before the clock runs. Raises: ServiceError."""
    from cli import context
    from kg.server.jars import ensure_jars

    ensure_jars(context.settings(), context.reporter())


def _timed_demo(home: Path) -> float:
    """Seconds of one demo. Raises: ServiceError, with the last line it printed."""
    started_s = time.perf_counter()
    done = _korvai(home, "demo")
    if done.returncode != 0:
        last = [*done.stdout.splitlines(), *done.stderr.splitlines(), "nothing"][-2]
        raise ServiceError(f"korvai demo ended with exit code {done.returncode}: {last}; run it by hand in {home}")
    return time.perf_counter() - started_s


def _korvai(home: Path, *args: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    jars = {name: value for name, value in os.environ.items() if name == "KORVAI_JARS"}
    return subprocess.run(
        [sys.executable, "-c", "from cli.main import main; main()", *args],
        env={**kept, **jars, "KORVAI_HOME": str(home)},
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
