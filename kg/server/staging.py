"""How is the embedded database replaced as a whole, so that a kill leaves the old one or the new one, never a mixture?

A new database is built under HOME/neo4j/staging while the old one lies untouched; a mark, written last, says that it is
complete. From then on it counts: the next start of the server, or of its admin tool, moves it into place, and goes on
moving where a killed one stopped. Without the mark, what lies there is thrown away.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from kg.failpoints import reach
from kg.server.home import disk_errors, write_private
from kg.settings import Settings

__all__ = ["begin", "complete", "configuration", "databases", "finish", "folder", "is_complete"]

_PARTS = ("databases", "transactions")
_DATABASE = "neo4j"


def folder(settings: Settings) -> Path:
    """Where a new database is built."""
    return settings.home_dir / "neo4j" / "staging"


def databases(settings: Settings) -> Path:
    """The folder of databases that is being built."""
    return folder(settings) / "databases"


def configuration(settings: Settings) -> Path:
    """Settings that send the admin tool there."""
    return folder(settings) / "staging.conf"


def begin(settings: Settings) -> Path:
    """An empty folder to build in. Raises: ServiceError (disk)."""
    place = folder(settings)
    finish(settings)
    with disk_errors(place):
        place.mkdir(parents=True, mode=0o700)
        data = str(place).replace("\\", "\\\\")
        configuration(settings).write_text(f"server.directories.data={data}\n", encoding="utf-8")
    return place


def complete(settings: Settings) -> None:
    """What lies there is whole: it is the database from now on. Raises: ServiceError (disk)."""
    with disk_errors(folder(settings)):
        for path in folder(settings).rglob("*"):
            if path.is_file():
                with path.open("rb") as file:
                    os.fsync(file.fileno())
    write_private(_mark(settings), "complete\n")
    reach("staging.complete")


def is_complete(settings: Settings) -> bool:
    """Whether a new database waits to be moved into place."""
    return _mark(settings).exists()


def finish(settings: Settings) -> bool:
    """Move a complete new database into place, throw away any other; True when one was moved. The server is down.

    Raises: ServiceError (disk).
    """
    place, data = folder(settings), settings.home_dir / "neo4j" / "data"
    whole = is_complete(settings)
    with disk_errors(place):
        for part in _PARTS if whole else ():
            fresh, live = place / part / _DATABASE, data / part / _DATABASE
            if fresh.exists():
                if live.exists():
                    shutil.rmtree(live)
                reach(f"staging.before_{part}")
                live.parent.mkdir(parents=True, exist_ok=True)
                fresh.rename(live)
        _mark(settings).unlink(missing_ok=True)
        shutil.rmtree(place, ignore_errors=True)
    return whole


def _mark(settings: Settings) -> Path:
    return settings.home_dir / "neo4j" / "staging.complete"
