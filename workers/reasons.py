"""Has a graph changed enough since its active version was trained, and which edits wait for new class vectors?"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from kg.errors import StoreError
from kg.graph import Graph
from kg.progress import SilentReporter
from kg.schema import Domain, domain_names, load_domain
from kg.settings import Settings
from kg.snapshots.snapshot import find_snapshot
from kg.store import Store
from workers import queue
from workers.kinds import Refresh

if TYPE_CHECKING:
    from workers.schedule import Reasons

__all__ = ["EditWatch", "changed_since"]

_FEWEST_PREDICTIONS = 50
_HOPS = 2


def changed_since(settings: Settings, graph: Graph, wanted: Reasons, domain_name: str, task: str) -> tuple[str, str]:
    """(the first reason that is reached, ""), or ("", why none is)."""
    domain = load_domain(domain_name)
    ages = graph.one("versions/ages", domain=domain_name, task=task)
    if ages is None:
        return "", "nothing is published yet"
    told = []
    for name, ask in (("edits", _edits), ("score_drop", _score_drop), ("stale_classes", _stale_classes)):
        if (limit := getattr(wanted, name)) is None:
            continue
        found, note = ask(settings, graph, domain, task, ages)
        said = f"{name} {found if found is None else round(found, 3)} of {limit}{note}"
        if found is not None and found >= limit:
            return said, ""
        told.append(said)
    return "", "; ".join(told)


def _edits(_: Settings, graph: Graph, domain: Domain, __: str, ages: dict[str, Any]) -> tuple[float | None, str]:
    labels = list(domain.node_types)
    return graph.run("changes/edits_since", labels=labels, since=ages["published_at"])[0]["edits"], ""


def _score_drop(_: Settings, graph: Graph, __: Domain, ___: str, ages: dict[str, Any]) -> tuple[float | None, str]:
    (row,) = graph.run("predictions/drift", version=ages["version"], newest=200)
    if min(row["new"], row["before"]) < _FEWEST_PREDICTIONS:
        return None, f" (only {row['new'] + row['before']} predictions)"
    return row["before_score"] - row["new_score"], ""


def _stale_classes(
    settings: Settings, graph: Graph, domain: Domain, task: str, ages: dict[str, Any]
) -> tuple[float | None, str]:
    """Share of the classes that the changes since the training graph reach; read from the recorded edits alone."""
    from kg.changes.adjacency import Adjacency
    from kg.changes.patched import NotPatchable
    from kg.changes.since import changes_since
    from kg.changes.stale import stale_sets

    store = Store(settings.store_dir)
    try:
        old = find_snapshot(store, ages["trained_on"])
        since = changes_since(graph, store, old, reporter=SilentReporter(), by_edits=True)
    except (NotPatchable, StoreError) as error:
        return None, f" ({error})"
    target = domain.task_edge_type(task)[2]
    return stale_sets(Adjacency(since.snapshot), since.changes, target, _HOPS).share_of_classes, ""


class EditWatch:
    """Queues a refresh a moment after somebody edited the graph, without anybody asking for it.

    What was seen is kept in memory: after a restart, edits since the active set was made active count as new, and a
    refresh that finds nothing to do makes the very same set.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings, self._seen = settings, dict[tuple[str, str], dt.datetime]()

    def __call__(self, graph: Graph) -> list[str]:
        """Look once; the ids of the jobs that were queued."""
        return [job for name in domain_names() for job in self._of_domain(graph, load_domain(name))]

    def _of_domain(self, graph: Graph, domain: Domain) -> list[str]:
        jobs, labels = [], list(domain.node_types)
        for task in domain.tasks:
            ages = graph.one("versions/ages", domain=domain.domain, task=task)
            if ages is None or ages["activated_at"] is None:
                continue
            since = max(self._seen.get((domain.domain, task), ages["activated_at"]), ages["activated_at"])
            (row,) = graph.run("changes/edits_since", labels=labels, since=since)
            if not row["edits"] or self._busy(graph, domain.domain):
                continue
            self._seen[domain.domain, task] = row["last"]
            jobs.append(self._submit(graph, domain.domain, task, row["last"], row["edits"]))
        return jobs

    def _busy(self, graph: Graph, domain: str) -> bool:
        return bool(graph.run("jobs/open", kind="refresh", graph=domain))

    def _submit(self, graph: Graph, domain: str, task: str, last: Any, edits: int) -> str:
        # Every worker looks; the id says which edit it was, so that together they make one job.
        moment = f"{last.to_native():%Y%m%dT%H%M%S%f}"
        request, who = Refresh(graph=domain, task=task), f"{edits} edits"
        return queue.submit(self._settings, graph, request, job=f"refresh-{domain}-{task}-{moment}", who=who)
