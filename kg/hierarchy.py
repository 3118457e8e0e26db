"""Which classes stand above which: a snapshot's evaluation tree of one facet, level by level?

Level 0 is the task's classes. Each class has one parent in a facet, so a facet is a forest of even depth; `ancestors`
holds, for every class, the row of its ancestor at every level.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kg.errors import SchemaViolation
from kg.schema import CONCEPT, Domain

__all__ = ["Tree", "facet_tree", "task_trees"]

Node = tuple[str, str]
"""Label and key."""


@dataclass(frozen=True)
class Tree:
    """One facet over a task's classes."""

    facet: str
    task: str
    levels: tuple[str, ...]
    """Names, fine to coarse."""
    labels: tuple[str, ...]
    keys: tuple[tuple[str, ...], ...]
    """Keys of each level's classes; those of level 0 in the snapshot's order, others sorted."""
    names: tuple[tuple[str, ...], ...]
    """The same for people."""
    ancestors: np.ndarray
    """(levels, classes) of rows: `ancestors[l, c]` is where class c belongs at level l; level 0 is c itself."""

    @property
    def depth(self) -> int:
        """Number of levels."""
        return len(self.levels)

    def count(self, level: int) -> int:
        """Classes of a level."""
        return len(self.keys[level])

    def members(self, level: int) -> np.ndarray:
        """Whose ancestor is whose. Shapes: (classes of the level, classes of level 0) of bool."""
        return np.arange(self.count(level))[:, None] == self.ancestors[level][None, :]

    def parents(self, level: int) -> np.ndarray:
        """Row at level + 1 of each class of a level. Shapes: (classes of the level,)."""
        found = np.full(self.count(level), -1, np.int64)
        found[self.ancestors[level]] = self.ancestors[level + 1]
        return found

    def lca_heights(self) -> np.ndarray:
        """Height of the lowest common ancestor of two classes: 0 for a class with itself, `depth` where they share
        none.

        Shapes: (classes, classes).
        """
        same = self.ancestors[:, :, None] == self.ancestors[:, None, :]
        return np.where(same.any(0), same.argmax(0), self.depth)


def task_trees(snapshot: Any, task: str | None = None) -> list[Tree]:
    """The trees of all facets that group a task's classes and are used in the graph.

    Raises: SchemaViolation where no facet is, and what `facet_tree` raises.
    """
    name, _ = snapshot.domain.task(task)
    used = set(snapshot.table("hierarchy")["facet"].to_pylist())
    facets = [facet for facet in snapshot.domain.facets(name) if facet in used]
    if not facets:
        way_out = f"korvai import hierarchy --graph {snapshot.domain.domain}"
        raise SchemaViolation(f"task {name}: no class of it stands in a hierarchy; `{way_out}`, then pull again")
    return [facet_tree(snapshot, facet) for facet in facets]


def facet_tree(snapshot: Any, facet: str) -> Tree:
    """One facet's tree over all classes of its task.

    Raises: SchemaViolation for a class outside, a second parent, a way of another length, a cycle, a lonely level.
    """
    domain: Domain = snapshot.domain
    hierarchy = domain.hierarchy(facet)
    parents = _parents(snapshot, facet)
    label = hierarchy.labels[0]
    leaves = [(label, str(key)) for key in snapshot.keys(label)]
    ways = [_way_up(facet, leaf, parents, hierarchy.labels) for leaf in leaves]
    levels: list[Sequence[Node]] = [
        leaves,
        *(sorted({way[n] for way in ways}) for n in range(1, len(hierarchy.levels))),
    ]
    _refuse_lonely(facet, tuple(hierarchy.levels), levels)
    places = [{node: row for row, node in enumerate(nodes)} for nodes in levels]
    ancestors = np.array([[place[way[n]] for way in ways] for n, place in enumerate(places)], np.int64)
    called = {(CONCEPT, row["key"]): row["name"] for row in snapshot.table("concepts").to_pylist()}
    return Tree(
        facet,
        hierarchy.task,
        tuple(hierarchy.levels),
        hierarchy.labels,
        tuple(tuple(key for _, key in nodes) for nodes in levels),
        tuple(tuple(called.get(node, node[1]) for node in nodes) for nodes in levels),
        ancestors,
    )


def _parents(snapshot: Any, facet: str) -> dict[Node, Node]:
    """Raises: SchemaViolation for a second parent."""
    parents: dict[Node, Node] = {}
    for row in snapshot.table("hierarchy").to_pylist():
        if row["facet"] != facet:
            continue
        child, parent = ((row[f"{end}_label"], row[f"{end}_key"]) for end in ("child", "parent"))
        if parents.setdefault(child, parent) != parent:
            two = f"{parents[child][1]!r} and {parent[1]!r}"
            raise SchemaViolation(f"hierarchy {facet}: {child[1]!r} stands under {two}; {_WAY_OUT}")
    return parents


def _way_up(facet: str, leaf: Node, parents: Mapping[Node, Node], labels: Sequence[str]) -> list[Node]:
    """A class and its ancestors, one a level. Raises: SchemaViolation."""
    way = [leaf]
    while way[-1] in parents and len(way) <= len(labels):
        way.append(parents[way[-1]])
    if len(way) == 1:
        raise SchemaViolation(f"hierarchy {facet}: {leaf[1]!r} stands under nothing; {_WAY_OUT}")
    if len(set(way)) < len(way):
        raise SchemaViolation(f"hierarchy {facet}: the way up from {leaf[1]!r} leads back; {_WAY_OUT}")
    if [label for label, _ in way] != list(labels):
        found = " < ".join(f"{label} {key!r}" for label, key in way[:8])
        raise SchemaViolation(f"hierarchy {facet}: levels are {' < '.join(labels)}, found {found}; {_WAY_OUT}")
    return way


def _refuse_lonely(facet: str, names: Sequence[str], levels: Sequence[Sequence[Node]]) -> None:
    for name, nodes in zip(names, levels, strict=True):
        if len(nodes) < 2:
            only = nodes[0][1] if nodes else "nothing"
            raise SchemaViolation(f"hierarchy {facet}: level {name} holds {only!r} alone; {_WAY_OUT}")


_WAY_OUT = "`korvai validate` names all of it; mend it and pull again"
