"""How does what a model learnt go back into the graph?

A published model is a version (weights, image vectors, their index, a folder in the store) and one or more embedding
sets of it (class vectors, scale, temperature). Nothing of it is used before `activate`, one transaction; a crash
anywhere leaves the old set active, and what it left behind is taken up or removed by the next publish. Publishing the
same thing twice changes nothing.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Literal, TypeVar

import numpy as np

from cypher import load
from kg import failpoints
from kg.errors import IndexNotReady, NodeNotFound, SchemaViolation, StaleToken
from kg.graph import Graph
from kg.progress import Reporter, SilentReporter
from kg.publishing import activation, artefacts
from kg.publishing.activation import ActiveSet, activate, active_set, fenced, find_active_set, rollback, take_token
from kg.publishing.collecting import remove_versions, retire_outdated
from kg.publishing.exporting import keep_image_vectors
from kg.publishing.publication import (
    LevelVectors,
    Publication,
    SetDescription,
    as_json,
    check,
    check_levels,
    describe_set,
    unit_vectors,
    version_content,
    version_id,
    whoever,
)
from kg.schema import TEXT_TASK, Domain, load_domain
from kg.store import Store

__all__ = [
    "ActiveSet",
    "Publication",
    "activate",
    "active_set",
    "add_image_vectors",
    "find_active_set",
    "publish",
    "refresh_set",
    "rollback",
    "take_token",
    "version_id",
]

_IMAGES_A_BATCH = 1000  # measured: 500 and 4,000 are slower
_IMAGES_A_CHECK = 10_000
_CLASSES_A_BATCH = 500
_INDEX_TIMEOUT_S = 600.0
_T, _U = TypeVar("_T"), TypeVar("_U")


def publish(graph: Graph, store: Store, publication: Publication, *, reporter: Reporter, activate: bool = True) -> str:
    """Write a version and an embedding set of it, then make the set the task's active one; returns the set's id.

    A publication of task `text` has no classes: texts are compared with its image vectors. Without `activate` the set
    is a shadow: kept beside the active one until `promote`.
    Raises: DimensionMismatch, SchemaViolation (bad vectors, unknown classes), StoreError, IndexNotReady, StaleToken.
    """
    domain, task = publication.domain, publication.task
    check(publication)
    content = version_content(publication)
    version = version_id(publication, content)
    described = _describe(publication, version)
    store.check_writable()
    token = take_token(graph, domain, task)
    failpoints.reach("publish.after_token")
    retire_outdated(graph, domain, task, token=token)
    remove_versions(graph, store, keep=version, reporter=reporter)
    failpoints.reach("publish.after_collecting")
    _announce(graph, _version_properties(publication, store, version, content), described, token)
    failpoints.reach("publish.after_version")
    parts = {"tower": publication.tower_dir, "model": publication.model_dir}
    artefacts.keep(store, version, parts, label=f"{domain.domain}-{task}", token=token)
    failpoints.reach("publish.after_artefacts")
    _create_index(graph, version, publication.dim)
    failpoints.reach("publish.after_index")
    images = (publication.image_ids, publication.image_vectors)
    add_image_vectors(graph, version, *images, store=store, reporter=reporter)
    _await_index(graph, version, reporter)
    failpoints.reach("publish.after_image_vectors")
    keys, vectors = publication.class_keys, publication.class_vectors
    _write_class_vectors(graph, domain, described, keys, vectors, token, levels=publication.levels, shadow=not activate)
    failpoints.reach("publish.after_class_vectors")
    if activate:
        activation.activate(graph, domain, task, described.id, token)
        failpoints.reach("publish.after_activation")
        if retire_outdated(graph, domain, task, token=token):
            remove_versions(graph, store, keep=version, reporter=reporter)
    return described.id


def refresh_set(
    graph: Graph,
    version: str,
    class_keys: Sequence[str],
    class_vectors: np.ndarray,
    *,
    domain: Domain | str,
    task: str | None = None,
    scale: float,
    temperature: float,
    snapshot_hash: str,
    graph_kind: Literal["live", "masked"] = "live",
    started_by: str | None = None,
    store: Store | None = None,
    reporter: Reporter | None = None,
    only_while_active: bool = False,
    levels: Sequence[LevelVectors] = (),
) -> str:
    """Write new class vectors of an existing version as a new set and make it active; image vectors stay as they are.

    With `store`, versions that become useless are removed at once; without, which is quicker, at the next publish. With
    `only_while_active` a version that was replaced while the vectors were computed does not come back.
    Shapes: class_vectors (len(class_keys), dim).
    Raises: NodeNotFound (no such version), StaleToken (another version is active), and what `publish` raises.
    """
    domain = load_domain(domain) if isinstance(domain, str) else domain
    task = domain.task(task)[0]
    dim = _living_version(graph, version)["dim"]
    class_vectors = unit_vectors(class_keys, class_vectors, dim, what=f"refreshing {version}: class vectors")
    check_levels(levels, dim, what=f"refreshing {version}")
    described = describe_set(
        version,
        class_keys,
        class_vectors,
        domain=domain.domain,
        task=task,
        graph=graph_kind,
        snapshot=snapshot_hash,
        scale=scale,
        temperature=temperature,
        started_by=started_by or whoever(),
        levels=levels,
    )
    token = take_token(graph, domain, task)
    if only_while_active and (now := active_set(graph, domain, task).version) != version:
        raise StaleToken(f"refreshing {version}: version {now} was made active meanwhile; refresh again")
    retire_outdated(graph, domain, task, token=token)
    _announce(graph, {"id": version}, described, token)
    _write_class_vectors(graph, domain, described, class_keys, class_vectors, token, levels=levels)
    failpoints.reach("refresh.after_class_vectors")
    activation.activate(graph, domain, task, described.id, token)
    if retire_outdated(graph, domain, task, token=token) and store is not None:
        remove_versions(graph, store, keep=version, reporter=reporter or SilentReporter())
    return described.id


def add_image_vectors(
    graph: Graph,
    version: str,
    ids: Sequence[str],
    vectors: np.ndarray,
    *,
    store: Store | None = None,
    reporter: Reporter | None = None,
) -> int:
    """Write a version's vectors of those images that have none yet; returns how many.

    Images that the graph does not know (any more) are reported and skipped. With `store`, the vectors are kept there,
    too, and exports of the version are quick.
    Shapes: vectors (len(ids), dim).
    Raises: NodeNotFound (no such version), DimensionMismatch, SchemaViolation, StaleToken.
    """
    reporter = reporter or SilentReporter()
    found = _living_version(graph, version)
    vectors = unit_vectors(ids, vectors, found["dim"], what=f"image vectors of {version}")
    todo, unknown = _without_vector(graph, ids, found["image_property"])
    if unknown and len(unknown) == len(ids):
        raise SchemaViolation(
            f"publishing {version}: none of its {len(ids):,} images is in this graph; is it the right one?"
        )
    if unknown:
        reporter.warn(f"{len(unknown):,} images are no longer in the graph and were skipped, such as {unknown[0]}")
    if store is not None and len(ids):
        keep_image_vectors(store, version, ids, vectors)

    def write(rows: Sequence[int]) -> int:
        _write_images(graph, version, [{"id": ids[row], "vector": vectors[row].tolist()} for row in rows])
        return len(rows)

    with reporter.stage("writing image vectors", len(todo), "images") as advance:
        for written in _two_at_a_time(write, _batches(todo, _IMAGES_A_BATCH)):
            advance(written)
            failpoints.reach("publish.between_image_batches")
    return len(todo)


def _two_at_a_time(work: Callable[[_T], _U], parts: Iterable[_T]) -> Iterator[_U]:
    """Results in order; while the server writes one part, Python packs the next."""
    waiting: deque[Future[_U]] = deque()
    with ThreadPoolExecutor(2) as pool:
        for part in parts:
            waiting.append(pool.submit(work, part))
            if len(waiting) == 2:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _describe(publication: Publication, version: str) -> SetDescription:
    return describe_set(
        version,
        publication.class_keys,
        publication.class_vectors,
        domain=publication.domain.domain,
        task=publication.task,
        graph=publication.graph,
        snapshot=publication.snapshot_hash,
        scale=publication.scale,
        temperature=publication.temperature,
        started_by=publication.started_by,
        levels=publication.levels,
    )


def _version_properties(publication: Publication, store: Store, version: str, content: str) -> dict[str, Any]:
    return {
        "id": version,
        "recipe": publication.recipe,
        "domain": publication.domain.domain,
        "config": as_json(publication.config),
        "metrics": as_json(publication.metrics),
        "code": publication.code,
        "snapshot": publication.snapshot_hash,
        "started_by": publication.started_by,
        "run": artefacts.relative(store, publication.run_dir),
        "image_property": f"embedding_{version}",
        "image_index": f"image_{version}",
        "dim": publication.dim,
        "content": content,
    }


def _announce(graph: Graph, version: dict[str, Any], described: SetDescription, token: int) -> None:
    """Create the nodes of version (where its content is given) and set (state building), or find them as they are."""
    with graph.transaction(f"publish {described.id}") as tx:
        if "content" in version:
            rows = tx.run("publish/create_version", version=version["id"], properties=version)
            _same_content(version["id"], rows, version["content"])
        rows = tx.run(
            "publish/create_set",
            version=version["id"],
            embedding_set=described.id,
            properties=described.model_dump(),
            token=token,
        )
        _same_content(described.id, rows, described.content)


def _same_content(node_id: str, rows: list[dict[str, Any]], content: str) -> None:
    if not rows:
        raise StaleToken(f"publishing {node_id}: its version was removed meanwhile; publish again")
    if rows[0]["content"] != content:
        raise SchemaViolation(
            f"publishing {node_id}: the graph holds another one of that id; remove it, then publish again"
        )


def _living_version(graph: Graph, version: str) -> dict[str, Any]:
    found = graph.one("publish/find_version", version=version)
    if found is None or found["collected"]:
        state = "is not in the graph" if found is None else "was replaced and its vectors removed"
        raise NodeNotFound(f"version {version}: {state}; `korvai cypher versions/list` shows what is there")
    return found


def _create_index(graph: Graph, version: str, dim: int) -> None:
    # Before the vectors: 20,000 x 192 take 6.2 s so, 11.3 s when the index comes after them.
    statement = load("publish/create_image_index").fill(index=f"image_{version}", property=f"embedding_{version}")
    graph.run(statement, options={"indexConfig": {"vector.dimensions": dim, "vector.similarity_function": "cosine"}})


def _await_index(graph: Graph, version: str, reporter: Reporter, *, timeout_s: float = _INDEX_TIMEOUT_S) -> None:
    deadline, shown = time.monotonic() + timeout_s, 0
    with reporter.stage("building the vector index", 100, "%") as advance:
        while True:
            row = graph.one("publish/index_state", index=f"image_{version}")
            percent = int(row["percent"]) if row else 0
            advance(percent - shown)
            shown = percent
            if row and row["state"] == "ONLINE":
                return
            if row is None or row["state"] == "FAILED" or time.monotonic() > deadline:
                state = f"is {row['state']} at {percent} % after {timeout_s:.0f} s" if row else "was removed meanwhile"
                raise IndexNotReady(f"vector index image_{version} {state}; the old set stays active, publish again")
            time.sleep(0.1)


def _without_vector(graph: Graph, ids: Sequence[str], image_property: str) -> tuple[list[int], list[str]]:
    """Rows that have no vector yet, and ids that the graph does not know."""
    unknown: list[str] = []
    present: set[str] = set()
    for chunk in _batches(ids, _IMAGES_A_CHECK):
        row = graph.run("publish/check_images", image_ids=list(chunk), property=image_property)[0]
        unknown += row["unknown"]
        present.update(row["present"])
    skipped = present.union(unknown)
    return [row for row, image_id in enumerate(ids) if image_id not in skipped], unknown


def _write_images(graph: Graph, version: str, rows: list[dict[str, Any]]) -> None:
    if not graph.run("publish/write_image_vectors", version=version, rows=rows):
        raise StaleToken(
            f"publishing {version}: another publisher took over and removed it; publish again if you want it"
        )


def _write_class_vectors(
    graph: Graph,
    domain: Domain,
    described: SetDescription,
    keys: Sequence[str],
    vectors: np.ndarray,
    token: int,
    *,
    levels: Sequence[LevelVectors] = (),
    shadow: bool = False,
) -> None:
    """All class vectors, those of levels above too, and state ready or shadow, in one transaction."""
    own: tuple[LevelVectors, ...] = ()
    if described.task != TEXT_TASK:
        target = domain.task(described.task)[1].target
        own = (LevelVectors(target, domain.node_type(target).key, keys, vectors),)
    with fenced(graph, domain.domain, described.task, token) as tx:
        for level in (*own, *levels):
            statement = load("publish/write_class_vectors").fill(**{"class": level.label, "class_key": level.key})
            written: list[str] = []
            for rows in _batches(range(len(level.keys)), _CLASSES_A_BATCH):
                batch = [{"key": level.keys[row], "vector": level.vectors[row].tolist()} for row in rows]
                written += tx.run(statement, property=described.class_property, rows=batch)[0]["keys"]
            _check_written(f"publishing {domain.domain}/{described.task}", level.label, level.keys, written)
        if not tx.run("publish/mark_ready", embedding_set=described.id, classes=len(keys), token=token, shadow=shadow):
            raise StaleToken(f"publishing {described.id}: another publisher took over; publish again if you want it")


def _check_written(what: str, label: str, keys: Sequence[str], written: list[str]) -> None:
    if missing := sorted(set(keys) - set(written)):
        raise SchemaViolation(
            f"{what}: {len(missing)} {label} nodes are not in the graph (any more), such as {missing[0]!r}; "
            "they were removed or renamed since it was pulled; pull and encode the classes again"
        )
    if len(written) != len(keys):
        raise SchemaViolation(f"{what}: two {label} nodes have one key; remove one of them, then publish again")


def _batches(values: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    return (values[start : start + size] for start in range(0, len(values), size))
