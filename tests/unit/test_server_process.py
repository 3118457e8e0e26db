"""Is a child process started, recognised and ended as it should be, and is nothing left when it fails?"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from kg.errors import ServiceError
from kg.server.process import Launch, StartFailed, find, last_record, launch, stop, tail, telling_line

SLEEP = "import time; print('up', flush=True); time.sleep(60)"


def python(tmp_path: Path, code: str, *, timeout_s: float = 20.0, sign: str = "up") -> Launch:
    log = tmp_path / "logs" / "child.log"
    return Launch(
        name="child",
        argv=[sys.executable, "-c", code],
        run_dir=tmp_path / "run",
        log_file=log,
        ready=lambda: sign in tail(log),
        timeout_s=timeout_s,
    )


def test_launched_process_is_found_and_stopped(tmp_path: Path) -> None:
    record = launch(python(tmp_path, SLEEP))
    assert find(tmp_path / "run", "child") == record
    assert os.getpgid(record.pid) == record.pid != os.getpgid(0)
    assert stop(tmp_path / "run", "child")
    assert not psutil.pid_exists(record.pid)
    assert last_record(tmp_path / "run", "child") is None
    assert not stop(tmp_path / "run", "child")


def test_killed_process_is_not_found(tmp_path: Path) -> None:
    record = launch(python(tmp_path, SLEEP))
    os.kill(record.pid, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while find(tmp_path / "run", "child") is not None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert find(tmp_path / "run", "child") is None
    assert last_record(tmp_path / "run", "child") == record
    assert not stop(tmp_path / "run", "child")


def test_recycled_pid_is_not_taken_for_ours(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as stranger:
        try:
            record = {"name": "child", "pid": stranger.pid, "created_s": time.time() - 9999, "argv": ["java"]}
            (tmp_path / "child.pid.json").write_text(json.dumps(record))
            assert find(tmp_path, "child") is None
            assert not stop(tmp_path, "child")
            assert stranger.poll() is None, "a process that is not ours was ended"
        finally:
            stranger.kill()


def test_own_process_is_known_after_the_clock_was_set(tmp_path: Path) -> None:
    record = launch(python(tmp_path, SLEEP))
    moved = record.model_copy(update={"created_s": record.created_s - 3600})
    (tmp_path / "run" / "child.pid.json").write_text(moved.model_dump_json())
    assert find(tmp_path / "run", "child") == moved
    assert stop(tmp_path / "run", "child")
    assert not psutil.pid_exists(record.pid)


def test_damaged_record_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "child.pid.json").write_text('{"name": "chi')
    assert find(tmp_path, "child") is None


def test_process_that_ends_while_starting_is_named_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(StartFailed, match=r"child ended with exit code 3 while starting: OSError: no heap") as caught:
        launch(python(tmp_path, "import sys; print('OSError: no heap'); sys.exit(3)"))
    assert "\n" not in str(caught.value)
    assert caught.value.log == "OSError: no heap"
    assert last_record(tmp_path / "run", "child") is None


def test_process_that_is_never_ready_is_ended(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match=r"was not ready after 1 s"):
        launch(python(tmp_path, SLEEP, timeout_s=1.0, sign="never"))
    assert not [p for p in psutil.process_iter() if _is_child(p, tmp_path)]


def test_error_of_readiness_ends_the_process(tmp_path: Path) -> None:
    pids = []

    def refuse() -> bool:
        pids.append(max(psutil.Process().children(), key=psutil.Process.create_time).pid)
        raise ServiceError("wrong password")

    log = tmp_path / "child.log"
    with pytest.raises(ServiceError, match="wrong password"):
        launch(Launch("child", [sys.executable, "-c", SLEEP], tmp_path, log, refuse, 5.0))
    assert not psutil.pid_exists(pids[0])


def test_missing_program_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match=r"child: cannot run /no/such/java: No such file"):
        launch(Launch("child", ["/no/such/java"], tmp_path, tmp_path / "log", lambda: True, 1.0))


def test_stop_ends_a_process_that_ignores_the_request_and_its_children(tmp_path: Path) -> None:
    code = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print('child', child.pid, flush=True); print('up', flush=True); time.sleep(60)\n"
    )
    record = launch(python(tmp_path, code))
    grandchild = int(tail(tmp_path / "logs" / "child.log").split()[1])
    started = time.monotonic()
    assert stop(tmp_path / "run", "child", grace_s=0.5)
    assert 0.4 < time.monotonic() - started < 5
    assert not psutil.pid_exists(record.pid)
    assert _gone(grandchild)


@pytest.mark.parametrize("end", ["stop", "launch"])
def test_forked_child_of_a_killed_leader_is_ended(tmp_path: Path, end: str) -> None:
    fork = "import os, time; child = os.fork(); print('pid', os.getpid(), 'up', flush=True); time.sleep(60)"
    record = launch(python(tmp_path, fork))
    children = psutil.Process(record.pid).children()
    assert len(children) == 1
    os.kill(record.pid, signal.SIGKILL)
    if end == "stop":
        stop(tmp_path / "run", "child")
    else:
        launch(python(tmp_path, fork))
    assert _gone(children[0].pid)
    stop(tmp_path / "run", "child")


def test_log_of_an_earlier_run_is_not_blamed(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "child.log").write_text("ERROR: long ago\n")
    with pytest.raises(StartFailed) as caught:
        launch(python(tmp_path, "import sys; print('bad heap'); sys.exit(1)", sign="never"))
    assert "long ago" not in str(caught.value)
    assert "bad heap" in str(caught.value)


@pytest.mark.parametrize(
    ("log", "line"),
    [
        ("INFO start\njava.lang.E: outer\n\tat a.b(C.java:1)\nCaused by: inner\n\t... 9 more\n", "Caused by: inner"),
        ("ERROR first\nERROR second\nINFO bye\n", "ERROR second"),
        ("Error:\nUnable to load\nThe module was not found.\n", "Error: Unable to load The module was not found."),
        (
            "ERROR [Dump] no such database\nRun with '--verbose' for a detailed error message.\n",
            "ERROR [Dump] no such database",
        ),
        (
            "Traceback\n  File 'x'\nModuleNotFoundError: No module named 'y'\n",
            "ModuleNotFoundError: No module named 'y'",
        ),
        ("just this\n", "just this"),
        ("", "it printed nothing"),
    ],
)
def test_telling_line(log: str, line: str) -> None:
    assert telling_line(log) == line


def _is_child(process: psutil.Process, tmp_path: Path) -> bool:
    try:
        return SLEEP in process.cmdline() and process.ppid() == os.getpid() and process.status() != "zombie"
    except psutil.Error:
        return False


def _gone(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False
