"""How does a test get servers of its own, apart from the session's and from anybody else's?"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from kg.progress import SilentReporter
from kg.server import neo4j, redis
from kg.settings import Settings, load_settings
from tests.support.command import run_command

__all__ = ["korvai", "own_settings", "refused", "start_test_neo4j", "start_test_redis"]

REPOSITORY = Path(__file__).parents[2]


def own_settings(home: Path, **overrides: object) -> Settings:
    """Settings of a test home: a small heap, and first-choice ports that nobody uses now."""
    names = ("neo4j_http_port", "neo4j_bolt_port", "redis_port", "api_port")
    ports = dict(zip(names, _unused_ports(len(names)), strict=True))
    return load_settings(**{"home": home, "environment": "test", "neo4j_heap_mib": 512, **ports, **overrides})


@contextmanager
def start_test_neo4j(home: Path) -> Iterator[Settings]:
    """A Neo4j under `home`, stopped at the end."""
    settings = own_settings(home)
    try:
        neo4j.start(settings, SilentReporter())
        yield settings
    finally:
        neo4j.stop(settings)


@contextmanager
def start_test_redis(home: Path) -> Iterator[Settings]:
    """A Redis under `home`, stopped at the end."""
    settings = own_settings(home)
    try:
        redis.start(settings, SilentReporter())
        yield settings
    finally:
        redis.stop(settings)


def korvai(*args: str, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a person would, with a clean environment and `home`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KORVAI_", "NEO4J_", "REDIS_"))}
    wanted = {**kept, "KORVAI_HOME": str(home), "KORVAI_ENVIRONMENT": "test", **environment}
    if "PYTHONPATH" not in environment:
        return run_command(args, wanted)
    code = "from cli.main import main; main()"  # other modules than ours: a process that has loaded nothing
    argv = [sys.executable, "-c", code, *args]
    return subprocess.run(argv, cwd=REPOSITORY, env=wanted, capture_output=True, text=True, timeout=180, check=False)


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The one line of an expected failure."""
    assert done.returncode == 1, done.stdout + done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert "a fault of Korvai's own" not in lines[0]
    return lines[0]


def _unused_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
