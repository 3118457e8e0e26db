"""What is running for this home, and how are all of it started, stopped and read?

Five services: Neo4j and Redis (servers), worker and beat (Celery), api (HTTP). A server that the settings name is used
and never started or stopped here.
"""

import http.client
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import SecretStr

import kg
from kg.errors import ServiceError
from kg.progress import Reporter
from kg.server import neo4j, redis
from kg.server.connection import (
    api_address,
    embedded_neo4j,
    embedded_redis,
    neo4j_password_file,
    redis_url,
    write_url,
)
from kg.server.embedded import on_free_ports, owns_port, stop_and_forget
from kg.server.home import one_at_a_time, prepare_home, run_dir
from kg.server.ports import LOOPBACK, free_port
from kg.server.process import Launch, find, last_record, launch
from kg.settings import Settings

__all__ = ["NAMES", "ServiceStatus", "State", "child_environment", "down", "log_files", "status", "up"]

NAMES = ("neo4j", "redis", "worker", "beat", "api")
"""In the order of starting; stopping goes backwards."""

State = Literal["running", "starting", "stopped", "crashed", "external"]

_WITH_ADDRESS = ("neo4j", "redis", "api")

_READY_TIMEOUT_S = 120.0
_WORKER_GRACE_S = 60.0


@dataclass(frozen=True)
class ServiceStatus:
    """What one service is doing; an address never shows a password."""

    name: str
    state: State
    pid: int | None = None
    address: str | None = None
    detail: str = ""


def up(settings: Settings, names: Sequence[str], reporter: Reporter) -> list[ServiceStatus]:
    """Start what of `names` is not running yet; the status of all services.

    Raises: ServiceError when one cannot be started; those before it stay up.
    """
    wanted = _known(names)
    prepare_home(settings)
    for name in wanted:
        if _external(settings, name) is None:
            _starter(name)(settings, reporter)
    return status(settings)


def down(settings: Settings, names: Sequence[str] = NAMES) -> list[str]:
    """Stop what of `names` runs, workers before the servers that they use; the names of those that were running."""
    return [name for name in reversed(_known(names)) if _stop(settings, name)]


def status(settings: Settings) -> list[ServiceStatus]:
    """What every service of this home is doing."""
    return [_status(settings, name) for name in NAMES]


def log_files(settings: Settings, name: str) -> Path:
    """The file that service `name` logs to.

    Raises: ServiceError when there is no such service.
    """
    (name,) = _known([name])
    return {"neo4j": neo4j.log_file, "redis": redis.log_file}.get(name, lambda s: _log_file(s, name))(settings)


def child_environment(settings: Settings) -> dict[str, str]:
    """The environment in which a child process builds exactly these settings."""
    environment = dict(os.environ)
    for field, description in type(settings).model_fields.items():
        for alias in _variables(field, description.validation_alias):
            environment.pop(alias, None)
        value = getattr(settings, field)
        if value is not None:
            environment[f"KORVAI_{field.upper()}"] = _text(value)
    environment["KORVAI_HOME"] = str(settings.home_dir)
    environment["PYTHONUNBUFFERED"] = "1"
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(_code_root()), environment.get("PYTHONPATH", ""))))
    return environment


def _known(names: Sequence[str]) -> list[str]:
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        raise ServiceError(f"no service is called {', '.join(unknown)}; there are {', '.join(NAMES)}")
    return [name for name in NAMES if name in names]


def _external(settings: Settings, name: str) -> str | None:
    """The address of a server that the settings name instead of the embedded one."""
    return {"neo4j": settings.neo4j_uri, "redis": settings.redis_url}.get(name)


def _starter(name: str) -> Callable[[Settings, Reporter], object]:
    own = {"worker": _start_worker, "beat": _start_beat, "api": _start_api}
    return {"neo4j": neo4j.start, "redis": redis.start, **own}[name]


def _stop(settings: Settings, name: str) -> bool:
    if name == "neo4j":
        return neo4j.stop(settings)
    if name == "redis":
        return redis.stop(settings)
    return stop_and_forget(settings, name, grace_s=_WORKER_GRACE_S)


def _start_worker(settings: Settings, reporter: Reporter) -> None:
    argv = _celery("worker", settings, "--hostname=korvai@%h", "--concurrency=1")
    _start_own(settings, reporter, _own(settings, "worker", argv, " ready."))


def _start_beat(settings: Settings, reporter: Reporter) -> None:
    argv = _celery("beat", settings, f"--schedule={run_dir(settings) / 'beat-schedule'}", "--pidfile=")
    _start_own(settings, reporter, _own(settings, "beat", argv, "beat: Starting"))


def _start_api(settings: Settings, reporter: Reporter) -> None:
    def start(port: int) -> None:
        listen = ["--host", LOOPBACK, "--port", str(port)]
        argv = [sys.executable, "-m", "uvicorn", "api.main:create_app", "--factory", *listen]
        what = replace(_own(settings, "api", argv, ""), ready=lambda: _is_our_api(settings, port))
        if _start_own(settings, reporter, what):
            write_url(settings, "api", f"http://{LOOPBACK}:{port}")

    on_free_ports(lambda avoid: (free_port(settings.api_port, avoid=avoid),), start)


def _start_own(settings: Settings, reporter: Reporter, what: Launch) -> bool:
    """Start one of our own processes unless it runs; whether it was started."""
    with one_at_a_time(settings, what.name):
        if find(what.run_dir, what.name) is not None:
            return False
        with reporter.stage(f"starting {what.name}"):
            launch(what)
    return True


def _own(settings: Settings, name: str, argv: list[str], ready_sign: str) -> Launch:
    log = _log_file(settings, name)
    start_byte = log.stat().st_size if log.exists() else 0
    return Launch(
        name=name,
        argv=argv,
        run_dir=run_dir(settings),
        log_file=log,
        ready=lambda: _logged(log, ready_sign, start_byte),
        timeout_s=_READY_TIMEOUT_S,
        env=child_environment(settings),
        cwd=settings.home_dir,
    )


def _celery(command: str, settings: Settings, *options: str) -> list[str]:
    redis_url(settings)  # without a broker a worker would wait for ever: say so now
    # Celery's own sign of readiness is logged at INFO.
    level = "DEBUG" if settings.log_level == "DEBUG" else "INFO"
    app = "workers.beat" if command == "beat" else "workers.app"
    return [sys.executable, "-m", "celery", "-A", app, command, f"--loglevel={level}", *options]


def _logged(log: Path, sign: str, start_byte: int) -> bool:
    if not log.exists():
        return False
    with log.open("rb") as stream:
        stream.seek(start_byte)
        return sign.encode() in stream.read()


def _is_our_api(settings: Settings, port: int) -> bool:
    """Whether our API answers at all; an unhealthy answer (no graph yet) is an answer too."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=10)
    try:
        connection.request("GET", "/health")
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return owns_port(settings, "api", port)


def _status(settings: Settings, name: str) -> ServiceStatus:
    external = _external(settings, name)
    if external is not None:
        return ServiceStatus(name, "external", address=_without_password(external), detail="named by the settings")
    record = find(run_dir(settings), name)
    if record is not None:
        address, detail = _address(settings, name)
        if address is None and name in _WITH_ADDRESS:
            return ServiceStatus(name, "starting", record.pid, detail="no address yet; if that lasts, run `korvai up`")
        return ServiceStatus(name, "running", record.pid, address, detail)
    if last_record(run_dir(settings), name) is not None:
        return ServiceStatus(name, "crashed", detail=f"it ended by itself; see `korvai logs {name}`")
    return ServiceStatus(name, "stopped")


def _address(settings: Settings, name: str) -> tuple[str | None, str]:
    if name == "neo4j" and (found := embedded_neo4j(settings)) is not None:
        return found.uri, f"Browser {found.browser_url} user {found.user}, password in {neo4j_password_file(settings)}"
    if name == "redis" and (url := embedded_redis(settings)) is not None:
        return _without_password(url), f"password in {settings.home_dir / 'redis' / 'password'}"
    if name == "api" and (url := api_address(settings)) is not None:
        return url, f"what it offers: {url}/docs"
    return None, ""


def _without_password(address: str) -> str:
    parts = urlsplit(address)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _log_file(settings: Settings, name: str) -> Path:
    return settings.home_dir / "logs" / f"{name}.log"


def _code_root() -> Path:
    return Path(kg.__path__[0]).parent


def _variables(field: str, alias: object) -> list[str]:
    choices = getattr(alias, "choices", [])
    return [f"KORVAI_{field.upper()}", *(str(choice) for choice in choices if str(choice).isupper())]


def _text(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
