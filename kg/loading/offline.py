"""How does a first graph get into an empty embedded database in the shortest time?

Through Neo4j's own offline import: files written side by side, a new database built from them while the server is down,
and moved into place when the server starts. A kill at any moment leaves the old (empty) database or the complete one,
which holds its Batch record from its first moment.
"""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kg.errors import GraphError, SchemaViolation
from kg.failpoints import reach
from kg.graph import Graph, connect
from kg.importers.columns import KEY, SOURCE, TARGET, GraphColumns
from kg.importers.journal import Journal
from kg.importers.report import ImportReport, Problem, write_problems
from kg.loading.batch import describe, new_id, write_about
from kg.loading.csv_files import write_files
from kg.loading.soundness import Sound, sound_part
from kg.loading.specs import edge_spec, node_spec
from kg.progress import Reporter
from kg.schema import ensure_schema
from kg.server import admin
from kg.server.home import require_free_mib
from kg.settings import Settings
from kg.store import Store

__all__ = ["contents", "load_offline", "refuse_unless_empty"]

_NAMED_LABELS = 4
_BYTES_A_NODE, _BYTES_A_RELATION = 400, 120
"""Of disk, files and database together, generously."""


def load_offline(
    settings: Settings,
    columns: GraphColumns,
    *,
    reporter: Reporter,
    kind: str = "offline",
    source: str = "columns",
    problems: Iterable[Problem] = (),
    dry_run: bool = False,
    all_or_nothing: bool = False,
) -> ImportReport:
    """Load a graph into the empty database of the embedded server, which is stopped and started again meanwhile.

    Rows that cannot be taken are reported and left out; with `all_or_nothing` one of them is enough to load nothing.
    Raises: SettingsError (an external server), SchemaViolation (not empty, unknown labels), StoreError, ServiceError.
    """
    admin.refuse_external(settings, "offline load")
    with reporter.stage("checking", columns.node_count + columns.edge_count, "rows") as advance:
        sound = sound_part(columns)
        advance(columns.node_count + columns.edge_count)
    report = ImportReport(problems=[*problems, *sound.problems], dry_run=dry_run)
    with connect(settings) as graph:
        refuse_unless_empty(graph, "offline load")
    if all_or_nothing and report.problems:
        report.rolled_back = True
        return report
    _count(report, sound)
    if not dry_run:
        _load(settings, sound, report, kind=kind, source=source, reporter=reporter)
    return report


def contents(graph: Graph) -> dict[str, int]:
    """Nodes by label, most frequent first; empty for an empty database."""
    return {row["label"]: row["nodes"] for row in graph.run("import/count_labels")}


def refuse_unless_empty(graph: Graph, what: str) -> None:
    """Raises: SchemaViolation saying what is there and what to do."""
    if there := contents(graph):
        named = ", ".join(f"{count:,} {label}" for label, count in list(there.items())[:_NAMED_LABELS])
        more = f" and {len(there) - _NAMED_LABELS} more labels" if len(there) > _NAMED_LABELS else ""
        raise SchemaViolation(
            f"{what}: works on an empty database only, and {graph.address.uri} holds {named}{more}; load online "
            "(without --offline), or set KORVAI_HOME to another folder for a database of its own"
        )


def _load(
    settings: Settings, sound: Sound, report: ImportReport, *, kind: str, source: str, reporter: Reporter
) -> None:
    store, domain = Store(settings.store_dir), sound.columns.domain
    store.check_writable()
    needed = sound.columns.node_count * _BYTES_A_NODE + sound.columns.edge_count * _BYTES_A_RELATION
    require_free_mib(settings.home_dir, needed // 2**20 + 1, purpose="offline load")
    about = describe(new_id(kind), domain, kind=kind, source=source)
    files = settings.home_dir / "neo4j" / f"load-{about['id']}"
    try:
        arguments = write_files(sound, files, batch=_record(about, sound, report), reporter=reporter)
        _write_journal(store, about, sound)
        report.batch = about["id"]
        if report.problems:
            report.problems_file = write_problems(store, store.batches / about["id"], report.problems)
        reach("offline.files_written")
        with connect(settings) as graph:  # somebody may have begun to write meanwhile
            refuse_unless_empty(graph, "offline load")
        with admin.stopped(settings, reporter):
            admin.import_files(settings, arguments, reporter)
    finally:
        shutil.rmtree(files, ignore_errors=True)
    with connect(settings) as graph, reporter.stage("constraints and indexes"):
        if about["id"] not in {row["id"] for row in graph.run("import/list_batches", limit=1)}:
            raise GraphError(f"offline load {about['id']}: the database was started before it was loaded; run it again")
        ensure_schema(graph, domain)


def _record(about: dict[str, str], sound: Sound, report: ImportReport) -> dict[str, Any]:
    now = datetime.datetime.now(datetime.UTC).isoformat()
    counts = {"created": sound.columns.node_count + sound.columns.edge_count, "updated": 0}
    labels = list(sound.columns.domain.node_types)
    closing = {"state": "done", "problems": len(report.problems), "at": now, "finished_at": now}
    return {**about, "labels": labels, **counts, **closing}


def _write_journal(store: Store, about: dict[str, str], sound: Sound) -> None:
    """What undo needs: the same as after an online load."""
    write_about(store, about)
    domain = sound.columns.domain
    with Journal(Path(store.batches / about["id"])) as journal:
        for label, table in sound.columns.nodes.items():
            journal.write_created(node_spec(domain, label), table[KEY].combine_chunks())
        for edge_type, table in sound.columns.edges.items():
            ends = table[SOURCE].combine_chunks(), table[TARGET].combine_chunks()
            journal.write_created(edge_spec(domain, edge_type), *ends)


def _count(report: ImportReport, sound: Sound) -> None:
    for label, table in sound.columns.nodes.items():
        report.created[label] += table.num_rows
    for edge_type, table in sound.columns.edges.items():
        report.created[str(edge_spec(sound.columns.domain, edge_type))] += table.num_rows
