"""What has changed in the graph since a snapshot, and what does the graph look like now?

Where every edit since is recorded, they tell where to look and the cost follows the change. Otherwise, and after an
import, whose many rows are in its own journal and not in edits, the graph is pulled and compared column by column. Both
ways end in a snapshot of the graph as it is, and in the same `Changes`.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from kg.changes.capture import recorded, status
from kg.changes.compare import Changes, compare
from kg.changes.edit_record import Edit
from kg.changes.patched import NotPatchable, patched
from kg.graph import Graph
from kg.progress import Reporter
from kg.snapshots.folder import MANIFEST, write_content
from kg.snapshots.snapshot import Snapshot, pull
from kg.store import Store

__all__ = ["Since", "changes_since"]

_MARGIN = dt.timedelta(minutes=15)
"""How far before the snapshot's date edits are looked at: longer than a pull takes, and than clocks differ."""

_IMPORT_MARGIN = dt.timedelta(minutes=1)
"""The same of imports; shorter, since whoever pulls right after an import would otherwise never be quick."""

_HASH_CHARS = 12


@dataclass(frozen=True)
class Since:
    """What is different, and how that was found out."""

    changes: Changes
    snapshot: Snapshot
    """Of the graph as it is now."""
    edits: list[Edit]
    """Recorded since, latest first; those of the last minutes before the snapshot too."""
    compared: str | None
    """Why the whole graph was read and compared; None where the edits were enough."""


def changes_since(
    graph: Graph, store: Store, old: Snapshot, *, reporter: Reporter, by_edits: bool | None = None
) -> Since:
    """What has changed since `old`; `by_edits` False compares in any case, True refuses to.

    Raises: NotPatchable (with `by_edits` True), and what `pull` raises.
    """
    since = dt.datetime.fromisoformat(old.manifest["pulled_at"])
    edits = recorded(graph, old.domain, since=since - _MARGIN)
    why = "asked to" if by_edits is False else _why_not(graph, old, since)
    if why is None:
        try:
            new = _patched_snapshot(graph, store, old, edits)
            return Since(compare(old, new), new, edits, None)
        except NotPatchable as error:
            why = str(error)
    if by_edits:
        raise NotPatchable(why)
    new = pull(graph, old.domain, store, reporter=reporter)
    return Since(compare(old, new), new, edits, why)


def _why_not(graph: Graph, old: Snapshot, since: dt.datetime) -> str | None:
    if not status(graph).covers(old.domain, since):
        return "raw Cypher was not recorded all the time since (`korvai capture on`)"
    batches = graph.run("changes/batches_since", domain=old.domain.domain, since=since - _IMPORT_MARGIN)
    return f"the import {batches[0]['id']} wrote or was undone" if batches else None


def _patched_snapshot(graph: Graph, store: Store, old: Snapshot, edits: list[Edit]) -> Snapshot:
    content = patched(graph, old, edits)
    folder = store.snapshots / content.hash[:_HASH_CHARS]
    if not (folder / MANIFEST).is_file():
        write_content(content, folder, server=f"{graph.address.uri}/{graph.address.database}")
    return Snapshot.open(folder)
