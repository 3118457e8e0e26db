"""What do those checks find that Cypher alone cannot decide: cycles, dates in words, image files, unknown types?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from cypher import load
from kg.errors import StoreError
from kg.graph import Graph
from kg.importers.dates import read_years
from kg.progress import Reporter
from kg.schema import Domain
from kg.store import Store
from kg.validation.checks import Check, Fix
from kg.validation.findings import Finding
from kg.validation.fixing import fix_text
from kg.validation.places import OVERLAY_TYPES, Place

__all__ = ["Asked", "Files", "judge"]

Files = Literal["hashed", "present", "none"]
_PAGE_ROWS = 10_000
_THREADS = 4


class Asked(NamedTuple):
    """All that one validation knows while it runs."""

    graph: Graph
    domain: Domain
    store: Store | None
    reporter: Reporter
    most: int
    files: Files


def judge(check: Check, place: Place, asked: Asked) -> Iterator[Finding]:
    """The findings of one check at one place."""
    return _JUDGES[check.kind](check, place, asked)


def _rows(check: Check, place: Place, asked: Asked, **more: Any) -> Iterator[Finding]:
    statement = load(f"validate/{check.name}").fill(**place.slots)
    for row in asked.graph.run(statement, **place.params, **more, most=asked.most):
        yield _finding(check, place, row["place"], row["count"], row["examples"])


def _finding(
    check: Check, place: Place, row_place: str, count: int, examples: Sequence[dict[str, Any]], **changes: Any
) -> Finding:
    problem = check.problem.format(place=row_place, declared=place.declared.get(row_place, ""))
    fix = check.fixes.get(row_place, check.fix)
    text = fix_text(fix, place, row_place, examples[0] if examples else {})
    where = f"{place.where}.{row_place}" if row_place in place.declared else place.where
    return replace(Finding(check.name, check.severity, where, count, problem, examples, text), **changes)


def _unknown_types(check: Check, place: Place, asked: Asked) -> Iterator[Finding]:
    known = OVERLAY_TYPES.union(relation.type for relation in asked.domain.relations)
    row = asked.graph.one("validate/names_in_use")
    unknown = sorted(set(row["types"]) - known) if row else []
    if unknown:
        yield from _rows(check, place, asked, types=unknown)


def _constraints(check: Check, place: Place, asked: Asked) -> Iterator[Finding]:
    held = {(row["label"], row["key"]) for row in asked.graph.run("validate/missing_constraint")}
    row = asked.graph.one("validate/names_in_use")
    used = set(row["labels"]) if row else set()
    keys: dict[str, str] = place.params["keys"]
    loose = [{"label": label, "key": key} for label, key in keys.items() if label in used and (label, key) not in held]
    if loose:
        yield _finding(check, place, "", len(loose), loose[: asked.most])


def _cycles(check: Check, place: Place, asked: Asked) -> Iterator[Finding]:
    row = asked.graph.one(load("validate/cycles").fill(**place.slots), **place.params)
    assert row is not None, "an aggregation gives a row"
    cycles = list(find_cycles(row["sources"], row["targets"]))
    if cycles:
        examples = [
            {"path": " -> ".join(row["names"][edge] for edge in [*cycle, cycle[0]]), "id": row["ids"][cycle[-1]]}
            for cycle in cycles[: asked.most]
        ]
        yield _finding(check, place, "", len(cycles), examples)


def find_cycles(sources: Sequence[int], targets: Sequence[int]) -> Iterator[list[int]]:
    """One cycle, as rows of edges, for each knot of nodes that can reach one another.

    Shapes: two of (edges,).
    """
    if not len(sources):
        return
    nodes, ends = np.unique(np.concatenate([sources, targets]), return_inverse=True)
    begin, end = np.split(ends, 2)
    matrix = csr_array((np.ones(len(begin)), (begin, end)), shape=(len(nodes), len(nodes)))
    _, knot = connected_components(matrix, directed=True, connection="strong")
    inner = np.flatnonzero(knot[begin] == knot[end])  # an edge within a knot lies on a cycle; so does a loop
    onward: dict[int, int] = {}
    for edge in inner:
        onward.setdefault(int(begin[edge]), int(edge))
    for first in {int(knot[begin[edge]]): int(begin[edge]) for edge in inner[::-1]}.values():
        path: dict[int, int] = {}
        while first not in path:
            path[first] = onward[first]
            first = int(end[onward[first]])
        edges = list(path.values())
        yield edges[list(path).index(first) :]


def _dates(check: Check, place: Place, asked: Asked) -> Iterator[Finding]:
    statement = load("validate/dates").fill(**place.slots)
    good: list[dict[str, Any]] = []
    bad: list[dict[str, Any]] = []
    for row in asked.graph.run(statement, most=asked.most):
        years, why = read_years(row["found"])
        if years:
            good.append({"found": row["found"], "first": years.first, "last": years.last, "nodes": row["count"]})
        else:
            bad.append({"found": row["found"], "why": why, "key": (row["keys"] or [""])[0], "nodes": row["count"]})
    for found, problem, fix in (
        (good, "dates in words that mean years", _years_fix(good[: asked.most])),
        (bad, "dates that cannot be read", Fix("set_property", {"node": "@key", "value": "YEAR"})),
    ):
        if found:
            count = sum(example["nodes"] for example in found)
            text = fix_text(fix, place, "", found[0])
            yield _finding(check, place, "", count, found[: asked.most], problem=problem, fix=text)


def _years_fix(examples: list[dict[str, Any]]) -> Fix:
    return Fix("set_years", {"years": {example["found"]: example["last"] for example in examples}})


def _files(check: Check, place: Place, asked: Asked) -> Iterator[Finding]:
    if asked.store is None or asked.files == "none":
        return
    found: dict[str, list[dict[str, Any]]] = {"missing": [], "changed": []}
    with asked.reporter.stage("image files", None, "files") as advance, ThreadPoolExecutor(_THREADS) as pool:
        for hashes, uris in _image_pages(asked.graph, place):
            for sha256, uri, state in zip(
                hashes, uris, pool.map(lambda h, u: _state(asked, h, u), hashes, uris), strict=True
            ):
                if state:
                    found[state].append({"sha256": sha256, "uri": uri})
            advance(len(hashes))
    for state, images in found.items():
        if images:
            fix = Fix("remove_image", {"sha256": "@sha256"})
            text = f"// import its images again, or remove it:\n{fix_text(fix, place, '', images[0])}"
            problem = f"image files {state} in the store"
            yield _finding(check, place, "", len(images), images[: asked.most], problem=problem, fix=text)


def _image_pages(graph: Graph, place: Place) -> Iterator[tuple[list[str], list[str]]]:
    statement = load("validate/image_files").fill(item=place.slots["item"])
    after = ""
    while True:
        row = graph.one(statement, after=after, page_rows=_PAGE_ROWS)
        if row is None or not row["hashes"]:
            return
        yield row["hashes"], row["uris"]
        after = row["hashes"][-1]


def _state(asked: Asked, sha256: str, uri: str) -> str:
    """missing, changed, or empty when the file is what the graph says."""
    assert asked.store is not None
    try:
        path = asked.store.path(uri)
        if asked.files == "present":
            return "" if path.stat().st_size else "changed"
        with path.open("rb") as file:
            return "" if hashlib.file_digest(file, "sha256").hexdigest() == sha256 else "changed"
    except (OSError, StoreError):
        return "missing"


_JUDGES = {
    "rows": _rows,
    "constraints": _constraints,
    "unknown_types": _unknown_types,
    "cycles": _cycles,
    "dates": _dates,
    "files": _files,
}
