"""What must a refresh do: which graph is it for, what changed since the published one, what is computed again?"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from torch import Tensor

from kg.changes.since import Since, changes_since
from kg.errors import StoreError
from kg.graph import Graph
from kg.progress import Reporter
from kg.schema import Domain
from kg.snapshots.snapshot import Snapshot, find_snapshot, pull
from kg.store import Store
from training.incremental import States, can_be_incremental, compute_states, part_of_images, refresh_incrementally

__all__ = [
    "Current",
    "class_vectors",
    "current_graph",
    "image_side",
    "keep_states",
    "new_image_vectors",
    "states_folder",
]


@dataclass(frozen=True)
class Current:
    """The graph as it is, beside the one that was published."""

    snapshot: Snapshot
    published: Snapshot | None = None
    since: Since | None = None


def current_graph(
    graph: Graph, domain: Domain, store: Store, *, task: str, published: str, reporter: Reporter
) -> Current:
    """The graph now, and what changed since the snapshot whose hash is `published`, where the store still has that.

    Raises: SchemaViolation where nothing is left to learn, and what `pull` raises.
    """
    old = None
    with suppress(StoreError):
        old = find_snapshot(store, published)
    if old is None or old.domain != domain:
        return Current(pull(graph, domain, store, reporter=reporter, task=task))
    since = changes_since(graph, store, old, reporter=reporter)
    item_edge = domain.task_edge_type(task)
    if not since.snapshot.count(item_edge[2]) or not len(since.snapshot.edges(item_edge)[0]):
        pull(graph, domain, store, reporter=reporter, task=task)  # says what is missing
    return Current(since.snapshot, old, since)


def states_folder(store: Store, version: str) -> Path:
    """Where the states of a version's class network are kept."""
    return store.models / version / "states"


def class_vectors(recipe: Any, folder: Path, current: Current, *, reporter: Reporter) -> Tensor:
    """Class vectors of the graph as it is: the stale ones alone where there are states of the published graph.

    Shapes: (classes, width) of unit length.
    """
    if not can_be_incremental(recipe) or not folder.parent.is_dir():
        return recipe.encode_classes(current.snapshot)
    with FileLock(folder.with_suffix(".lock")):
        states, old, since = States(folder), current.published, current.since
        if since is None or old is None or states.snapshot_hash != old.content_hash:
            return compute_states(recipe, current.snapshot, folder)[0]
        vectors, done = refresh_incrementally(recipe, states, old=old, new=current.snapshot, changes=since.changes)
    reporter.note(done.summary())
    return vectors


def keep_states(recipe: Any, snapshot: Snapshot, folder: Path, *, reporter: Reporter) -> None:
    """Keep the states of a graph that was just published, so that the first refresh is a short one.

    What is published stays so without them: where there is no room, it is said, and the first refresh is a long one.
    """
    if not can_be_incremental(recipe) or not folder.parent.is_dir():
        return
    try:
        with FileLock(folder.with_suffix(".lock")):
            if States(folder).snapshot_hash != snapshot.content_hash:
                compute_states(recipe, snapshot, folder)
    except StoreError as error:
        reporter.warn(f"published, but the states for a quick refresh are not kept: {error}")


def image_side(recipe: Any) -> Any:
    """Where a recipe's images come from: its encoders, but for one that trained the image tower."""
    return getattr(recipe, "seen", recipe.encoders)


def new_image_vectors(recipe: Any, current: Current) -> tuple[list[str], np.ndarray]:
    """Ids and vectors of the images that the published graph did not have, of all where it is not known.

    Shapes: n ids, (n, width).
    """
    known = set(current.published.images.sha256) if current.published is not None else set()
    images = current.snapshot.images
    rows = np.array([row for row, sha256 in enumerate(images.sha256) if sha256 not in known], np.int64)
    if not len(rows):
        return [], np.zeros((0, 0), np.float32)
    feat, readable = image_side(recipe).images(part_of_images(images, rows))
    ids = [images.sha256[row] for row, fine in zip(rows.tolist(), readable, strict=True) if fine]
    return ids, recipe.encode_images(np.asarray(feat)[np.asarray(readable)]).numpy() if ids else np.zeros(
        (0, 0), np.float32
    )
