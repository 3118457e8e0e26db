"""How is a child process started, found again by a later command, and stopped, whatever happened in between?

A process is remembered in RUN_DIR/<name>.pid.json with its pid, start time and command line: a pid that the system has
given to another program since is not taken for ours.
"""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from pydantic import BaseModel, ValidationError

from kg.errors import ServiceError
from kg.server.home import disk_errors, write_private

__all__ = ["Launch", "ProcessRecord", "StartFailed", "find", "last_record", "launch", "stop", "tail", "telling_line"]

_POLL_S = 0.05
_KILL_WAIT_S = 5.0
_SIGNS = tuple(
    map(re.compile, (r"^Caused by:", r"\b(ERROR|FATAL)\b|(Error|Exception)\b|\berror:", r"(?i)\b(fail|cannot|unable)"))
)
_STACK_FRAME = re.compile(r"\s+at |\s*\.\.\. \d+ more")
_children: dict[int, subprocess.Popen] = {}
"""Children of this very process: kept so that they are reaped when they end."""


class StartFailed(ServiceError):
    """A process ended early or was never ready; `log` is what it printed, and also a note of the error."""

    def __init__(self, message: str, log: str) -> None:
        super().__init__(message)
        self.log = log
        if log:
            self.add_note(log)


@dataclass(frozen=True)
class Launch:
    """What to start, and how to tell that it is ready.

    `ready` is called until it is true; it may raise ServiceError when waiting longer is useless.
    """

    name: str
    argv: Sequence[str]
    run_dir: Path
    log_file: Path
    ready: Callable[[], bool]
    timeout_s: float
    env: Mapping[str, str] | None = None
    cwd: Path | None = None


class ProcessRecord(BaseModel, frozen=True):
    """A process that was started: enough to know it again."""

    name: str
    pid: int
    created_s: float
    argv: tuple[str, ...]


def launch(what: Launch) -> ProcessRecord:
    """Start a process in a group of its own and wait until it is ready.

    Raises: StartFailed when it ends early or is not ready in time; nothing is left running.
    """
    _end_orphans(last_record(what.run_dir, what.name))
    log_start = what.log_file.stat().st_size if what.log_file.exists() else 0
    child = _spawn(what)
    try:
        record = _remember(what, child)
        _wait_until_ready(what, child, log_start)
    except BaseException:  # an interrupt from the keyboard must not leave the child behind either
        _end(psutil.Process(child.pid) if psutil.pid_exists(child.pid) else None, child.pid, grace_s=5.0)
        _record_path(what.run_dir, what.name).unlink(missing_ok=True)
        raise
    return record


def find(run_dir: Path, name: str) -> ProcessRecord | None:
    """The record of `name` when that process is alive, else None."""
    record = last_record(run_dir, name)
    return record if record is not None and _alive(record) is not None else None


def last_record(run_dir: Path, name: str) -> ProcessRecord | None:
    """What was last started under `name` and not stopped by us; it may be dead."""
    try:
        return ProcessRecord.model_validate_json(_record_path(run_dir, name).read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValidationError):
        return None


def stop(run_dir: Path, name: str, *, grace_s: float = 30.0) -> bool:
    """Ask `name` to end, make it end after `grace_s`, forget it. False when it was not running."""
    record = last_record(run_dir, name)
    process = _alive(record) if record is not None else None
    if process is not None:
        _end(process, process.pid, grace_s=grace_s)
    else:
        _end_orphans(record)
    _record_path(run_dir, name).unlink(missing_ok=True)
    return process is not None


def tail(log_file: Path, lines: int = 15, *, start_byte: int = 0) -> str:
    """The last `lines` lines that were written to a log after `start_byte`."""
    try:
        with log_file.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(start_byte, size - 256 * (lines + 8)))
            text = stream.read().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def _record_path(run_dir: Path, name: str) -> Path:
    return run_dir / f"{name}.pid.json"


def _spawn(what: Launch) -> subprocess.Popen:
    with disk_errors(what.log_file):
        what.log_file.parent.mkdir(parents=True, exist_ok=True)
        log = what.log_file.open("ab")
    with log:
        try:
            child = subprocess.Popen(
                list(what.argv),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(what.env) if what.env is not None else None,
                cwd=what.cwd,
                start_new_session=True,  # Ctrl-C in the terminal is for the command, not for the servers
            )
        except OSError as error:
            raise ServiceError(f"{what.name}: cannot run {what.argv[0]}: {error.strerror or error}") from error
    _children[child.pid] = child
    return child


def _remember(what: Launch, child: subprocess.Popen) -> ProcessRecord:
    try:
        created_s = psutil.Process(child.pid).create_time()
    except psutil.NoSuchProcess:
        created_s = time.time()
    record = ProcessRecord(name=what.name, pid=child.pid, created_s=created_s, argv=tuple(map(str, what.argv)))
    write_private(_record_path(what.run_dir, what.name), record.model_dump_json())
    return record


def _wait_until_ready(what: Launch, child: subprocess.Popen, log_start: int) -> None:
    deadline = time.monotonic() + what.timeout_s
    while not what.ready():
        code = child.poll()
        if code is not None:
            raise _failure(what, f"ended with exit code {code} while starting", log_start)
        if time.monotonic() > deadline:
            raise _failure(what, f"was not ready after {what.timeout_s:.0f} s", log_start)
        time.sleep(_POLL_S)


def _failure(what: Launch, event: str, log_start: int) -> StartFailed:
    log = tail(what.log_file, 60, start_byte=log_start)
    return StartFailed(f"{what.name} {event}: {telling_line(log)}; its log is {what.log_file}", log)


def telling_line(log: str) -> str:
    """The line of a log that most likely says what went wrong: the innermost cause, else the last error or line."""
    lines = [line.strip() for line in log.splitlines() if line.strip() and not _STACK_FRAME.match(line)]
    for sign in _SIGNS:
        found = [index for index, line in enumerate(lines) if sign.search(line)]
        if found:
            # A line that only announces the reason ("Error:") needs what it announces.
            return " ".join(lines[found[-1] : found[-1] + 3]) if lines[found[-1]].endswith(":") else lines[found[-1]]
    return lines[-1] if lines else "it printed nothing"


def _alive(record: ProcessRecord) -> psutil.Process | None:
    """The live process of that record. Setting the clock moves start times, hence the command line as second proof."""
    try:
        process = psutil.Process(record.pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            _reap(record.pid)
            return None
        same = abs(process.create_time() - record.created_s) < 1.0 or tuple(process.cmdline()) == record.argv
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None
    return process if same else None


def _end(process: psutil.Process | None, group: int, *, grace_s: float) -> None:
    # Only the leader is asked: a worker's pool children must not be cut off in the middle of a task.
    with suppress(psutil.NoSuchProcess):
        if process is not None:
            process.terminate()
            _wait_until_dead(process, grace_s)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
    with suppress(psutil.NoSuchProcess):
        if process is not None:
            _wait_until_dead(process, _KILL_WAIT_S)
    _reap(group)


def _end_orphans(record: ProcessRecord | None) -> None:
    """End forked children that outlived a killed leader: they would go on with a task that is given out again."""
    for process in psutil.process_iter() if record is not None else ():
        with suppress(psutil.Error, ProcessLookupError):
            if os.getpgid(process.pid) == record.pid and tuple(process.cmdline()) == record.argv:
                process.kill()


def _wait_until_dead(process: psutil.Process, grace_s: float) -> None:
    # Not psutil's wait: it takes a zombie, whose parent is not us and does not look after it, for alive.
    deadline = time.monotonic() + grace_s
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        _reap_if_dead(process.pid)
        time.sleep(_POLL_S)


def _reap_if_dead(pid: int) -> None:
    child = _children.get(pid)
    if child is not None:
        child.poll()


def _reap(pid: int) -> None:
    child = _children.pop(pid, None)
    if child is not None:
        child.wait()
