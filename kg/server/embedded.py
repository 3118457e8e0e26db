"""What do the embedded servers have in common: one start at a time, a port that is really free, a stop that waits?"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

import psutil
from filelock import FileLock, Timeout

from kg.progress import Reporter
from kg.server.connection import forget
from kg.server.home import one_at_a_time, prepare_home, require_free_mib, run_dir
from kg.server.process import StartFailed, find
from kg.server.process import stop as stop_process
from kg.settings import Settings

__all__ = ["on_free_ports", "owns_port", "start_once", "stop_and_forget"]

_Address = TypeVar("_Address")
_Prepared = TypeVar("_Prepared")
_PORT_TRIES = 5
_TAKEN = "already in use"
"""What Java, Valkey and the system say of a port that somebody took between the look and the start."""


def start_once(
    settings: Settings,
    name: str,
    *,
    running: Callable[[Settings], _Address | None],
    prepare: Callable[[], _Prepared],
    begin: Callable[[_Prepared], _Address],
    needed_mib: int,
    title: str,
    reporter: Reporter,
) -> _Address:
    """The address of a server that runs, else `prepare` (what can fail early) and `begin`, under the home's lock.

    Raises: ServiceError.
    """
    prepare_home(settings)
    with one_at_a_time(settings, name):
        if (address := running(settings)) is not None:
            return address
        prepared = prepare()
        require_free_mib(settings.home_dir, needed_mib, purpose=title)
        # A process without an address is one that was never ready: its starter died.
        stop_process(run_dir(settings), name)
        with reporter.stage(f"starting {title}"):
            return begin(prepared)


def stop_and_forget(settings: Settings, name: str, *, grace_s: float) -> bool:
    """Stop a server and wait until its files are closed; False when it did not run."""
    if not run_dir(settings).exists():
        return False
    with one_at_a_time(settings, name):
        stopped = stop_process(run_dir(settings), name, grace_s=grace_s)
        forget(settings, name)
    return stopped


def on_free_ports(choose: Callable[[tuple[int, ...]], tuple[int, ...]], start: Callable[..., _Address]) -> _Address:
    """`start(*ports)` with the ports that `choose(avoid)` names; others when somebody was faster to take one.

    Raises: StartFailed, when it fails for another reason, or every time.
    """
    avoid: tuple[int, ...] = ()
    tries_left = _PORT_TRIES
    while True:
        ports = choose(avoid)
        with _reserved(ports) as ours:
            if ours:
                tries_left -= 1
                try:
                    return start(*ports)
                except StartFailed as error:
                    if _TAKEN not in error.log or not tries_left:
                        raise
        avoid = (*avoid, *ports)


@contextmanager
def _reserved(ports: Sequence[int]) -> Iterator[bool]:
    """Whether these ports are ours until the block ends, among all Korvai servers that start on this machine.

    Java listens a minute after the look on a slow machine: another home would look, find the port free, and lose it.
    """
    with ExitStack() as held:
        try:
            for port in ports:
                path = Path(tempfile.gettempdir()) / f"korvai-port-{port}.lock"
                held.enter_context(FileLock(path, timeout=0, mode=0o666))
            ours = True
        except Timeout:
            ours = False
        except OSError:  # another user's file: without a reservation the second look after a failure has to do
            ours = True
        yield ours


def owns_port(settings: Settings, name: str, port: int) -> bool:
    """Whether it is this home's server that listens there, and not another that took the port a moment earlier."""
    record = find(run_dir(settings), name)
    try:
        open_now = psutil.Process(record.pid).net_connections("tcp") if record else []
    except psutil.Error:
        return False
    return any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in open_now)
