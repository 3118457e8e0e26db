"""How is an import taken back: only what it alone made, and only where nobody has built on it since?"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from kg.errors import NodeNotFound
from kg.graph import Graph
from kg.importers.journal import Entry, read_journal
from kg.importers.report import ImportReport, Problem, write_problems
from kg.importers.values import in_batches
from kg.loading.lease import Lease
from kg.loading.specs import EdgeSpec, NodeSpec, filled
from kg.progress import Reporter
from kg.store import Store

__all__ = ["undo_import"]

_A_BATCH = 5_000


def undo_import(graph: Graph, store: Store, batch_id: str, *, reporter: Reporter) -> ImportReport:
    """Restore what the batch changed, then remove the relations and nodes that it created. Safe to repeat.

    A node that somebody has connected since, and a property that somebody has changed since, stay and are reported.
    Waits for an import that runs. Returns a report whose `created` counts what was removed and `updated` what was put
    back.
    Raises: NodeNotFound (no such batch in this graph), StoreError (its key files are gone).
    """
    if "/" in batch_id or batch_id.startswith("."):
        raise NodeNotFound(f"batch {batch_id!r}: not a batch id; `korvai import list` shows them")
    known = {row["id"] for row in graph.run("import/list_batches", limit=100_000)}
    if batch_id not in known:
        raise NodeNotFound(f"batch {batch_id!r}: this graph remembers no such import; `korvai import list` shows them")
    folder = store.batches / batch_id
    report = ImportReport(batch=batch_id)
    total = sum(len(entries) for _, entries in read_journal(folder))
    with Lease(graph, reporter), reporter.stage(f"undoing {batch_id}", total, "entries") as advance:
        for step in (_restore, _remove_relations, _remove_nodes):
            step(graph, folder, report, advance)
    if report.problems:
        report.problems_file = write_problems(store, folder / "undo", report.problems)
    graph.run("import/undo_batch", id=batch_id)
    return report


def _restore(graph: Graph, folder: Path, report: ImportReport, advance: Callable[..., None]) -> None:
    # What the batch itself made goes as a whole, whatever it changed on it later.
    changed = {_name(spec, e) for spec, portion in _portions(folder, "updated") for e in portion}
    made = {n for spec, portion in _portions(folder, "created") for e in portion if (n := _name(spec, e)) in changed}
    for spec, portion in _portions(folder, "updated"):
        advance(len(portion))
        entries = [e for e in portion if _name(spec, e) not in made]
        rows = [_row(spec, e) | {"old": _aligned(e), "new": json.loads(e.new)} for e in entries]
        if isinstance(spec, NodeSpec):
            restored = graph.run(filled("import/restore_nodes", spec), rows=rows)[0]["restored"] if rows else []
            report.updated[spec.label] += len(restored)
            for key in dict.fromkeys(e.source for e in entries if e.source not in set(restored)):
                reason = f"{spec.label} {key!r} was changed or removed since; its properties stay as they are"
                report.problems.append(Problem(report.batch or "", 0, reason))
        else:
            report.updated[str(spec)] += graph.run(filled("import/restore_relations", spec), rows=rows)[0]["restored"]


def _remove_relations(graph: Graph, folder: Path, report: ImportReport, advance: Callable[..., None]) -> None:
    for spec, portion in _portions(folder, "created"):
        if isinstance(spec, EdgeSpec):
            rows = [_row(spec, e) for e in portion]
            report.created[str(spec)] += graph.run(filled("import/remove_relations", spec), rows=rows)[0]["removed"]
            advance(len(portion))


def _remove_nodes(graph: Graph, folder: Path, report: ImportReport, advance: Callable[..., None]) -> None:
    for spec, portion in _portions(folder, "created"):
        if isinstance(spec, EdgeSpec):
            continue
        keys = list(dict.fromkeys(e.source for e in portion))
        if spec.label == "Image":
            graph.run("import/remove_vectors", keys=keys)
        removed = set(graph.run(filled("import/remove_lonely_nodes", spec), keys=keys)[0]["removed"])
        left = set(graph.run(filled("import/existing_keys", spec), keys=keys)[0]["keys"])
        report.created[spec.label] += len(removed)
        for key in sorted(left):
            reason = f"{spec.label} {key!r} stays: something else hangs on it now"
            report.problems.append(Problem(report.batch or "", 0, reason))
        advance(len(portion))


def _portions(folder: Path, action: str) -> Iterator[tuple[Any, list[Entry]]]:
    for spec, entries in read_journal(folder):
        for portion in in_batches((e for e in entries if e.action == action), _A_BATCH):
            yield spec, portion


def _name(spec: NodeSpec | EdgeSpec, entry: Entry) -> tuple[Any, str, str, str]:
    return spec, entry.source, entry.target, entry.identity


def _row(spec: NodeSpec | EdgeSpec, entry: Entry) -> dict[str, Any]:
    if isinstance(spec, NodeSpec):
        return {"key": entry.source}
    return {"source": entry.source, "target": entry.target, "identity": json.loads(entry.identity)}


def _aligned(entry: Entry) -> dict[str, Any]:
    """Old values with a null for each property that was not there, so that restoring removes it."""
    return dict.fromkeys(json.loads(entry.new)) | json.loads(entry.old)
