"""Do `korvai up`, `status`, `logs` and `down` say what is there, start all five services and leave nothing behind?"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.services import korvai, refused

NOTHING_RUNS = ["neo4j", "redis", "worker", "beat", "api"]


def test_help_teaches(tmp_path: Path) -> None:
    shown = korvai("up", "--help", home=tmp_path)
    assert shown.returncode == 0
    assert "NEO4J_URI" in shown.stdout
    assert "--only" in shown.stdout


def test_status_of_an_empty_home_writes_nothing(tmp_path: Path) -> None:
    shown = korvai("status", home=tmp_path / "home")
    assert shown.returncode == 0
    assert [line.split()[:2] for line in shown.stdout.splitlines()[1:6]] == [[n, "stopped"] for n in NOTHING_RUNS]
    assert korvai("down", home=tmp_path / "home").stdout == "nothing was running\n"
    assert not (tmp_path / "home").exists()


def test_unknown_service_and_missing_log(tmp_path: Path) -> None:
    assert "no service is called flower; there are neo4j, redis" in refused(korvai("logs", "flower", home=tmp_path))
    assert "redis has no log yet" in refused(korvai("logs", "redis", home=tmp_path))


@pytest.mark.slow
def test_everything_starts_and_stops(tmp_path: Path) -> None:
    """`up` brings all five, once; a killed worker is reported and brought back; `down` leaves no process behind."""
    home = tmp_path / "home"
    try:
        assert_ok(korvai("up", home=home))
        assert running(home) == NOTHING_RUNS
        again = korvai("up", home=home)
        assert "starting" not in again.stdout
        kill(home, "worker")
        assert "worker   crashed" in korvai("status", home=home).stdout
        assert_ok(korvai("up", home=home))
        assert running(home) == NOTHING_RUNS
        assert "ready" in korvai("logs", "worker", "-n", "50", home=home).stdout
    finally:
        assert_ok(korvai("down", home=home))
    assert running(home) == []
    found = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(home) not in found


def assert_ok(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stdout + done.stderr


def running(home: Path) -> list[str]:
    rows = [line.split() for line in korvai("status", home=home).stdout.splitlines()]
    return [row[0] for row in rows if row[1:2] == ["running"]]


def kill(home: Path, name: str) -> None:
    rows = [line.split() for line in korvai("status", home=home).stdout.splitlines()]
    (pid,) = [int(row[2]) for row in rows if row[:2] == [name, "running"]]
    os.kill(pid, 9)
