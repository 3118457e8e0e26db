"""How do class hierarchies get into the graph: those that ship, and plain lists `leaf, parent, grandparent`?

A row is one path from a class up, with a name for each level that the domain declares for the facet. A parent is the
domain's own node where the level has a label of its domain, and else a `(:Class:Concept {key, name})`.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from kg.errors import SchemaViolation
from kg.graph import Graph
from kg.importers.art_names import class_key
from kg.importers.report import ImportReport
from kg.importers.tables import Importer, NodeRow, RelationRow, Where, importing
from kg.progress import Reporter
from kg.schema import BROADER, CONCEPT, Domain
from kg.store import Store

__all__ = ["ClassPath", "authored_paths", "concept_key", "import_hierarchy", "read_list"]

_DATA = Path(__file__).resolve().parents[2] / "data"
Node = tuple[str, str]
"""Label and key."""


class ClassPath(NamedTuple):
    """Names from a class up to the coarsest level, and where they stand."""

    names: tuple[str, ...]
    where: Where = Where()


def import_hierarchy(
    graph: Graph,
    store: Store,
    domain: Domain,
    *,
    facet: str | None = None,
    file: Path | None = None,
    new_classes: bool = False,
    reporter: Reporter,
    dry_run: bool = False,
) -> ImportReport:
    """Import what ships for the domain (one facet, or all), or with `file` a plain list for one facet.

    Cycles, a second parent within the facet and paths of another length are reported and not taken. `new_classes`
    makes class nodes for leaves that the graph does not have.
    Raises: SchemaViolation (no such facet or file, nothing ships), StoreError, GraphUnavailable.
    """
    wanted = _wanted(domain, facet, file)
    source = str(file) if file else "what ships"
    with importing(
        graph, store, domain=domain, kind="hierarchy", source=source, reporter=reporter, dry_run=dry_run
    ) as importer:
        for name, paths in wanted.items():
            _import_facet(importer, name, paths, source="" if file else source, new_classes=new_classes)
    return importer.report


def authored_paths(domain: Domain, facet: str) -> list[ClassPath]:
    """The hierarchy that ships for a facet; none where nothing does. Raises: SchemaViolation for an unknown facet."""
    domain.hierarchy(facet)
    path = _DATA / domain.domain / "hierarchies.yaml"
    tree = yaml.safe_load(path.read_text(encoding="utf-8")).get(facet) if path.is_file() else None
    where = Where(f"data/{domain.domain}/hierarchies.yaml")
    return [ClassPath(names, where) for names in _walk(tree)] if tree else []


def read_list(file: Path) -> list[ClassPath]:
    """The lines of a plain list, `leaf, parent, grandparent`; blank lines and `#` lines say nothing.

    Raises: SchemaViolation for a file that is missing or no text.
    """
    try:
        lines = Path(file).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SchemaViolation(f"import hierarchy: {file} cannot be read ({error}); give a text file") from error
    rows = ((number, line.strip()) for number, line in enumerate(lines, 1))
    return [
        ClassPath(tuple(" ".join(name.split()) for name in line.split(",")), Where(str(file), number))
        for number, line in rows
        if line and not line.startswith("#")
    ]


def concept_key(domain: Domain, facet: str, name: str) -> str:
    """Key of a class for which the domain has no node of its own."""
    return f"{domain.domain}/{facet}/{name}"


def _wanted(domain: Domain, facet: str | None, file: Path | None) -> dict[str, list[ClassPath]]:
    if file is not None:
        if facet is None and len(domain.hierarchies) != 1:
            known = ", ".join(domain.hierarchies) or "none is declared"
            raise SchemaViolation(f"import hierarchy: say by --facet what {file} is about; {domain.domain}: {known}")
        facet = facet or next(iter(domain.hierarchies))
        domain.hierarchy(facet)
        return {facet: read_list(file)}
    found = {name: authored_paths(domain, name) for name in ([facet] if facet else domain.hierarchies)}
    if not any(found.values()):
        raise SchemaViolation(f"import hierarchy: nothing ships for {domain.domain}; give a file `leaf, parent, …`")
    return found


def _walk(tree: Any) -> Iterator[tuple[str, ...]]:
    """Paths of a tree that is written from coarse to fine, turned round."""
    if isinstance(tree, Mapping):
        for name, below in tree.items():
            yield from ((*path, str(name)) for path in _walk(below))
    else:
        yield from ((str(name),) for name in tree)


# -- one facet ---------------------------------------------------------------------------------------------------------


def _import_facet(importer: Importer, facet: str, paths: list[ClassPath], *, source: str, new_classes: bool) -> None:
    domain, hierarchy = importer.domain, importer.domain.hierarchy(facet)
    checked = list(_whole_paths(importer, facet, paths))
    leaves = [(path, nodes[0][1]) for path, nodes in checked]
    if new_classes:
        importer.nodes(hierarchy.labels[0], [NodeRow(key, {}, path.where) for path, key in leaves], quiet=True)
    absent = importer.missing(hierarchy.labels[0], [key for _, key in leaves])
    for path, key in leaves:
        if key in absent:
            importer.problem(path.where, f"{facet}: there is no {hierarchy.labels[0]} {key!r}")
    steps = _steps(importer, facet, [(path, nodes) for path, nodes in checked if nodes[0][1] not in absent])
    concepts = dict.fromkeys(key for pair in steps for label, key in pair if label == CONCEPT)
    prefix = concept_key(domain, facet, "")
    importer.nodes(CONCEPT, [NodeRow(key, {"name": key.removeprefix(prefix)}) for key in concepts], quiet=True)
    for edge_type in dict.fromkeys(hierarchy.edge_types):
        said = {"facet": facet, **({"source": source} if source else {})}
        rows = [
            RelationRow(child[1], parent[1], said, where)
            for (child, parent), where in steps.items()
            if (child[0], BROADER, parent[0]) == edge_type
        ]
        importer.relations(edge_type, rows, quiet=True)
    if not importer.dry_run:
        importer.graph.run("hierarchy/mark_classes", facet=facet)


def _whole_paths(importer: Importer, facet: str, paths: Iterable[ClassPath]) -> Iterator[tuple[ClassPath, list[Node]]]:
    """Paths with a name for every level, as nodes."""
    domain, hierarchy = importer.domain, importer.domain.hierarchy(facet)
    for path in paths:
        if len(path.names) != len(hierarchy.levels) or not all(path.names):
            told = " < ".join(hierarchy.levels)
            problem = f"{facet}: {', '.join(path.names)}: {len(hierarchy.levels)} names are wanted, {told}"
            importer.problem(path.where, problem)
            continue
        yield (
            path,
            [_node(domain, facet, label, name) for label, name in zip(hierarchy.labels, path.names, strict=True)],
        )


def _node(domain: Domain, facet: str, label: str, name: str) -> Node:
    if label == CONCEPT:
        return label, concept_key(domain, facet, name)
    if domain.domain == "artgraph" and label in ("Style", "Genre"):
        return label, class_key(domain, label, name) or name
    return label, domain.canonical(label, name)


def _steps(
    importer: Importer, facet: str, paths: Iterable[tuple[ClassPath, list[Node]]]
) -> dict[tuple[Node, Node], Where]:
    """(child, parent) with its place: each child has one parent, in graph and file, and no way leads back."""
    parents = _parents_in_graph(importer, facet)
    steps: dict[tuple[Node, Node], Where] = {}
    for path, nodes in paths:
        tried: ChainMap[Node, Node] = ChainMap({}, parents)
        for child, parent in pairwise(nodes):
            if why := _conflict(tried, child, parent):
                importer.problem(path.where, f"{facet}: {why}")
                break
            tried[child] = parent
        else:
            parents.update(tried.maps[0])
            steps |= {pair: path.where for pair in pairwise(nodes) if pair not in steps}
    return steps


def _conflict(parents: Mapping[Node, Node], child: Node, parent: Node) -> str | None:
    """Why this step cannot be taken."""
    known = parents.get(child, parent)
    if known != parent:
        return f"{child[1]!r} stands under {known[1]!r} already, and a class has one parent; {parent[1]!r} is not taken"
    above: Node | None = parent
    while above is not None:
        if above == child:
            return f"{child[1]!r} would stand above itself, by way of {parent[1]!r}"
        above = parents.get(above)
    return None


def _parents_in_graph(importer: Importer, facet: str) -> dict[Node, Node]:
    domain = importer.domain
    keys = {CONCEPT: "key"} | {label: node_type.key for label, node_type in domain.node_types.items()}
    rows = importer.graph.run("hierarchy/list_parents", facet=facet, labels=list(keys), keys=list(keys.values()))
    return {(row["child_label"], row["child"]): (row["parent_label"], row["parent"]) for row in rows}
