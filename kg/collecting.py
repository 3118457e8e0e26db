"""What is removed from graph and store once it can never become active again?

A task keeps two sets, the active and the previous one. Older ones, and what interrupted publishers left, go: class vectors
when their set is retired, image vectors, index and files when no set of their version is left. The nodes stay as records.
"""

from __future__ import annotations

import shutil

from cypher import load
from kg import failpoints
from kg.graph import Graph
from kg.progress import Reporter
from kg.schema import Domain
from kg.store import Store

__all__ = ["collect"]

_BATCH = 5000


def collect(
    graph: Graph, domain: Domain, task: str, *, token: int, keep: str, store: Store | None, reporter: Reporter
) -> int:
    """Retire the task's outdated sets, then remove versions that no set needs, except `keep`.

    Without `store`, versions are left for the next publish: removing 20,000 image vectors takes seconds.
    Returns how many sets were retired. Safe to repeat and to interrupt.
    """
    outdated = graph.run("publish/find_outdated_sets", domain=domain.domain, task=task, token=token)
    retire = load("publish/retire_set").fill(**{"class": domain.task(task)[1].target})
    for row in outdated:
        graph.run(retire, embedding_set=row["embedding_set"], token=token)
        failpoints.reach("publish.after_retiring")
    if store is None:
        return len(outdated)
    graph.run("publish/collect_versions", keep=keep)
    for row in graph.run("publish/find_collected"):
        if removed := _remove(graph, row["version"], row["image_index"], store):
            reporter.note(
                f"removed {removed:,} vectors of version {row['version']}: no set of it can become active any more"
            )
    return len(outdated)


def _remove(graph: Graph, version: str, index: str, store: Store) -> int:
    graph.run(load("publish/drop_image_index").fill(index=index))
    removed = 0
    while batch := graph.run("publish/remove_image_vectors", version=version, batch=_BATCH)[0]["removed"]:
        removed += batch
        failpoints.reach("publish.while_removing")
    shutil.rmtree(store.models / version, ignore_errors=True)
    graph.run("publish/mark_removed", version=version)
    return removed
