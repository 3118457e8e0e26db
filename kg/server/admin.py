"""How are the embedded database's files imported, saved, replaced and checked with Neo4j's own admin tool?

The tool works on a database that nobody uses: the server is stopped around it and started again, whatever happens.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from kg.errors import ServiceError, SettingsError
from kg.progress import Reporter
from kg.server import neo4j, staging
from kg.server.home import disk_errors
from kg.settings import Settings

__all__ = [
    "StoreInfo",
    "check",
    "dump",
    "import_files",
    "load_dump",
    "refuse_external",
    "refuse_old_store",
    "stopped",
    "store_info",
]

_DATABASE = "neo4j"
_OLDEST = (4, 4)
_TOO_OLD = "older than 4.4, the oldest that Korvai takes: load it into Neo4j 4.4, which migrates it, and dump it there"
_UNREADABLE = re.compile(r"store with version '([^']+)'")
_JSON = re.compile(r"\{[^{}]*\}")
_DUMP_SIGNS = (b"DZV1", b"DGV1", b"\x28\xb5\x2f\xfd", b"\x1f\x8b")
"""First bytes of dumps: Neo4j's own head before zstd or gzip, and those two alone (older tools)."""


class StoreInfo(BaseModel):
    """What the tool says of a store; every value is text or absent."""

    model_config = ConfigDict(extra="ignore")

    databaseName: str = ""
    storeFormat: str | None = None
    storeFormatIntroduced: str | None = None
    storeFormatSuperseded: str | None = None


def refuse_external(settings: Settings, what: str) -> None:
    """Raises: SettingsError when the graph is a server that we do not run: its files are not ours."""
    if settings.neo4j_uri:
        raise SettingsError(
            f"{what}: NEO4J_URI names the server {settings.neo4j_uri}, whose files are not ours; use its own "
            "neo4j-admin, or unset NEO4J_URI for the embedded server"
        )


@contextmanager
def stopped(settings: Settings, reporter: Reporter) -> Iterator[None]:
    """The embedded server is down inside the block; if it ran before, it runs again afterwards."""
    with reporter.stage("stopping Neo4j"):
        ran = neo4j.stop(settings)
    try:
        yield
    finally:
        if ran:
            neo4j.start(settings, reporter)


def import_files(settings: Settings, arguments: Sequence[str], reporter: Reporter) -> None:
    """Build a new database from CSV files; it takes the old one's place at the next start of the server.

    Raises: ServiceError when the server runs, or with what the tool complains about.
    """
    place = staging.begin(settings)
    options = [f"--additional-config={staging.configuration(settings)}", f"--report-file={place / 'import.report'}"]
    neo4j.admin(settings, ["database", "import", "full", _DATABASE, *options, *arguments], reporter)
    staging.complete(settings)


def dump(settings: Settings, file: Path, reporter: Reporter) -> None:
    """Save the stopped server's database as one file; nothing appears under its name until it is whole.

    Raises: ServiceError.
    """
    scratch = file.absolute().parent / f".korvai-dump-{os.getpid()}-{secrets.token_hex(3)}"
    with disk_errors(file, "the file's name"):
        scratch.mkdir(parents=True)
    try:
        neo4j.admin(settings, ["database", "dump", _DATABASE, f"--to-path={scratch}"], reporter)
        with disk_errors(file, "the file's name"):
            (scratch / f"{_DATABASE}.dump").replace(file)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def load_dump(settings: Settings, file: Path, reporter: Reporter) -> StoreInfo:
    """Build a new database from a dump; it takes the old one's place at the next start of the server.

    A store of 4.4 is migrated. Raises: ServiceError (no dump, damaged, a store older than 4.4).
    """
    _refuse_other_files(file)
    place = staging.begin(settings)
    source = place / "source"
    with disk_errors(place):
        source.mkdir()
        (source / f"{_DATABASE}.dump").symlink_to(file.absolute())
    extra = f"--additional-config={staging.configuration(settings)}"
    with _naming_old_stores(file):
        neo4j.admin(settings, ["database", "load", _DATABASE, f"--from-path={source}", extra], reporter)
    info = store_info(settings, staging.databases(settings), file, reporter)
    if info.storeFormatSuperseded:
        neo4j.admin(settings, ["database", "migrate", _DATABASE, "--force-btree-indexes-to-range", extra], reporter)
    staging.complete(settings)
    return info


def check(settings: Settings, reporter: Reporter) -> Path | None:
    """Check the stopped server's database for consistency: None when it is sound, else the report of what is not.

    Raises: ServiceError when the check itself fails.
    """
    folder = settings.home_dir / "logs" / "neo4j" / f"check-{os.getpid()}-{secrets.token_hex(3)}"
    with disk_errors(folder):
        folder.mkdir(parents=True)
    try:
        neo4j.admin(settings, ["database", "check", _DATABASE, f"--report-path={folder}"], reporter)
    except ServiceError:
        if reports := sorted(folder.glob("*.report")):
            return reports[0]
        raise
    shutil.rmtree(folder, ignore_errors=True)
    return None


def store_info(settings: Settings, databases: Path, file: Path, reporter: Reporter) -> StoreInfo:
    """What is known of the store that came out of `file` and lies, unused, in a folder of databases.

    Raises: ServiceError naming the version of one older than 4.4.
    """
    with _naming_old_stores(file):
        options = ["--format=json", f"--from-path={databases}", _DATABASE]
        said = neo4j.admin(settings, ["database", "info", *options], reporter)
    found = _JSON.search(said)
    info = StoreInfo.model_validate_json(found[0] if found else "{}")
    refuse_old_store(info, file)
    return info


def refuse_old_store(info: StoreInfo, file: Path) -> None:
    """Raises: ServiceError naming the version of a store older than 4.4, or of a format that only Enterprise reads."""
    introduced = info.storeFormatIntroduced or ""
    numbers = tuple(int(part) for part in introduced.split(".")[:2] if part.isdecimal())
    superseded = tuple(int(part) for part in (info.storeFormatSuperseded or "").split(".")[:2] if part.isdecimal())
    if superseded and superseded <= _OLDEST:
        raise ServiceError(f"{file}: its store is {info.storeFormat} of Neo4j {introduced}, {_TOO_OLD}")
    if not numbers:
        raise ServiceError(f"{file}: Neo4j does not know its store ({info.storeFormat}); dump it with 4.4 or 5")


@contextmanager
def _naming_old_stores(file: Path) -> Iterator[None]:
    """The tool cannot so much as describe a store of 4.2 or before; it does say its version."""
    try:
        yield
    except ServiceError as error:
        if found := _UNREADABLE.search(str(error)):
            raise ServiceError(f"{file}: its store is {found[1]}, {_TOO_OLD}") from error
        raise


def _refuse_other_files(file: Path) -> None:
    with disk_errors(file, "the file's name"):
        head = file.open("rb").read(4)
    if head not in _DUMP_SIGNS and head[:2] != b"\x1f\x8b":
        raise ServiceError(f"{file}: not a Neo4j dump (it begins with {head!r}); make one by `korvai dump FILE`")
