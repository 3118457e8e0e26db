"""What is removed from graph and store once it can never become active again?

A task keeps two sets, the active and the previous one, and the newest shadows. Older ones, and what interrupted
publishers left, go: class vectors when their set is retired; image vectors, index and files when no set of their
version is left. The nodes stay as records.
"""

from __future__ import annotations

import shutil

from cypher import load
from kg import failpoints
from kg.graph import Graph
from kg.progress import Reporter
from kg.publishing.exporting import vectors_folder
from kg.schema import TEXT_TASK, Domain
from kg.store import Store

__all__ = ["KEEP_SHADOWS", "remove_versions", "retire_outdated"]

KEEP_SHADOWS = 3
"""Refused models that can still be looked at and promoted when the next one is published."""
_BATCH = 5000


def retire_outdated(graph: Graph, domain: Domain, task: str, *, token: int) -> int:
    """Remove the class vectors of earlier publishers' sets, except the active, the previous and the newest shadows.

    Returns how many sets that were. Safe to repeat and to interrupt.
    """
    kept = {"keep_shadows": KEEP_SHADOWS}
    outdated = graph.run("publish/find_outdated_sets", domain=domain.domain, task=task, token=token, **kept)
    label = "Class" if task == TEXT_TASK else domain.task(task)[1].target
    retire = load("publish/retire_set").fill(**{"class": label})
    for row in outdated:
        graph.run(retire, embedding_set=row["embedding_set"], token=token)
        failpoints.reach("publish.after_retiring")
    return len(outdated)


def remove_versions(graph: Graph, store: Store, *, keep: str, reporter: Reporter) -> None:
    """Remove image vectors, index and files of the versions that no set needs, except `keep`.

    Safe to repeat and to interrupt. 20,000 image vectors take seconds.
    """
    graph.run("publish/collect_versions", keep=keep)
    for row in graph.run("publish/find_collected"):
        version = row["version"]
        # Removing the one before may have taken a minute, in which somebody may have published this one again.
        if not _is_collected(graph, version):
            continue
        if removed := _remove_image_vectors(graph, version, row["image_index"]):
            reporter.note(f"removed {removed:,} vectors of version {version}: no set of it can become active any more")
        if _is_collected(graph, version):
            for folder in (store.models / version, vectors_folder(store, version)):
                shutil.rmtree(folder, ignore_errors=True)
            graph.run("publish/mark_removed", version=version)


def _is_collected(graph: Graph, version: str) -> bool:
    found = graph.one("publish/find_version", version=version)
    return found is not None and bool(found["collected"])


def _remove_image_vectors(graph: Graph, version: str, index: str) -> int:
    graph.run(load("publish/drop_image_index").fill(index=index))
    removed = 0
    while batch := graph.run("publish/remove_image_vectors", version=version, batch=_BATCH)[0]["removed"]:
        removed += batch
        failpoints.reach("publish.while_removing")
    return removed
