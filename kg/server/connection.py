"""Where are the Neo4j and the Redis that this process is to talk to, and with which password?

Settings win (`NEO4J_URI`, `REDIS_URL`); otherwise the address that a running embedded server left under HOME/run.
"""

from pathlib import Path

from pydantic import BaseModel, SecretStr, ValidationError

from kg.errors import ServiceError
from kg.server.home import run_dir, write_private
from kg.server.process import find
from kg.settings import Settings

__all__ = ["Neo4jAddress", "api_address", "embedded_neo4j", "embedded_redis", "neo4j_address", "redis_url"]


class Neo4jAddress(BaseModel, frozen=True):
    """All that is needed to log in to a Neo4j."""

    uri: str
    user: str
    password: SecretStr
    database: str
    browser_url: str | None
    embedded: bool


class _Ports(BaseModel, frozen=True):
    """What HOME/run/neo4j.json holds; the password stays in its own file."""

    bolt: int
    http: int


def neo4j_address(settings: Settings) -> Neo4jAddress:
    """The server that the settings name, else the embedded one that runs under HOME.

    Raises: ServiceError when neither is there.
    """
    if settings.neo4j_uri is not None:
        assert settings.neo4j_password is not None, "Settings demands both or neither"
        return Neo4jAddress(
            uri=settings.neo4j_uri,
            user=settings.neo4j_user,
            password=settings.neo4j_password,
            database=settings.neo4j_database,
            browser_url=None,
            embedded=False,
        )
    address = embedded_neo4j(settings)
    if address is None:
        raise ServiceError(
            f"no Neo4j is running under {settings.home_dir}; start it with `korvai up`, or set NEO4J_URI"
        )
    return address


def redis_url(settings: Settings) -> str:
    """The Redis that the settings name, else the embedded one that runs under HOME.

    Raises: ServiceError when neither is there.
    """
    url = settings.redis_url or embedded_redis(settings)
    if url is None:
        raise ServiceError(
            f"no Redis is running under {settings.home_dir}; start it with `korvai up`, or set REDIS_URL"
        )
    return url


def embedded_neo4j(settings: Settings) -> Neo4jAddress | None:
    """The address of the embedded Neo4j while its process lives."""
    ports = _read_ports(settings)
    if ports is None or find(run_dir(settings), "neo4j") is None:
        return None
    return Neo4jAddress(
        uri=f"bolt://127.0.0.1:{ports.bolt}",
        user="neo4j",
        password=SecretStr(_read_password(neo4j_password_file(settings))),
        database="neo4j",
        browser_url=f"http://127.0.0.1:{ports.http}/browser/",
        embedded=True,
    )


def embedded_redis(settings: Settings) -> str | None:
    """The URL, password included, of the embedded Redis while its process lives."""
    return _read_if_alive(settings, "redis")


def api_address(settings: Settings) -> str | None:
    """The URL of the HTTP API that `korvai up` started, while its process lives."""
    return _read_if_alive(settings, "api")


def neo4j_password_file(settings: Settings) -> Path:
    """Where the embedded server's generated password is."""
    return settings.home_dir / "neo4j" / "password"


def write_neo4j_ports(settings: Settings, *, bolt: int, http: int) -> None:
    """Leave the embedded server's ports for every other process of this home."""
    write_private(run_dir(settings) / "neo4j.json", _Ports(bolt=bolt, http=http).model_dump_json())


def write_url(settings: Settings, name: str, url: str) -> None:
    """Leave the address of service `name` for every other process of this home."""
    write_private(run_dir(settings) / f"{name}.json", _Url(url=url).model_dump_json())


def forget(settings: Settings, name: str) -> None:
    """Remove the address of a service that has stopped."""
    (run_dir(settings) / f"{name}.json").unlink(missing_ok=True)


class _Url(BaseModel, frozen=True):
    url: str


def _read_password(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ServiceError(
            f"cannot read Neo4j's password from {path}: {error.strerror}; write it into that file"
        ) from error


def _read_ports(settings: Settings) -> _Ports | None:
    try:
        return _Ports.model_validate_json((run_dir(settings) / "neo4j.json").read_bytes())
    except (OSError, ValidationError):
        return None


def _read_if_alive(settings: Settings, name: str) -> str | None:
    try:
        url = _Url.model_validate_json((run_dir(settings) / f"{name}.json").read_bytes()).url
    except (OSError, ValidationError):
        return None
    return url if find(run_dir(settings), name) is not None else None
