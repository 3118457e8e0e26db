"""How is a whole database saved to one file, brought back from one, and checked?"""

from __future__ import annotations

from pathlib import Path

from kg.errors import GraphError, SchemaViolation
from kg.graph import connect
from kg.loading.offline import contents, refuse_unless_empty
from kg.progress import Reporter
from kg.server import admin, neo4j
from kg.settings import Settings

__all__ = ["check_database", "dump_database", "load_database"]


def dump_database(settings: Settings, file: Path, *, reporter: Reporter) -> int:
    """Save the embedded database to `file`, which must not be there yet; its size in bytes.

    The server is stopped meanwhile, and started again if it ran.
    Raises: SettingsError (an external server), SchemaViolation (the file is there), ServiceError.
    """
    admin.refuse_external(settings, "dump")
    if file.exists():
        raise SchemaViolation(f"dump {file}: is there already and is not overwritten; give another name, or remove it")
    with admin.stopped(settings, reporter):
        admin.dump(settings, file, reporter)
    return file.stat().st_size


def load_database(settings: Settings, file: Path, *, reporter: Reporter) -> dict[str, int]:
    """Bring a dump into the empty database of the embedded server, which runs afterwards; its nodes by label.

    Whatever the dump holds comes as it is; nothing of Korvai's is added to it.
    Raises: SettingsError (an external server), SchemaViolation (not empty), ServiceError (no dump, a store before 4.4).
    """
    admin.refuse_external(settings, "load")
    if not file.is_file():
        raise SchemaViolation(f"load {file}: there is no such file; `korvai dump FILE` makes one")
    neo4j.start(settings, reporter)
    with connect(settings) as graph:
        refuse_unless_empty(graph, "load")
    with admin.stopped(settings, reporter):
        admin.load_dump(settings, file, reporter)
    with connect(settings) as graph:
        there = contents(graph)
    if not there:
        reporter.note(f"load {file}: the dump holds no nodes")
    return there


def check_database(settings: Settings, *, reporter: Reporter) -> None:
    """Let Neo4j check the embedded database's files for consistency; the server is stopped meanwhile.

    Raises: SettingsError (an external server), GraphError with the report's path when they are not sound.
    """
    admin.refuse_external(settings, "check")
    with admin.stopped(settings, reporter):
        report = admin.check(settings, reporter)
    if report is not None:
        raise GraphError(f"check: the database is not sound; what is wrong stands in {report}; load a dump of before")
