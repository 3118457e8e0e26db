"""Which node types, relations, tasks and hierarchies does a domain have?

A domain is one YAML file, `kg/schemas/<name>.yaml`. A third domain is a new file, not new code.
"""

from __future__ import annotations

import re
import string
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from cypher import load, names
from kg.errors import SchemaViolation, StatementError
from kg.graph import Graph

__all__ = [
    "TEXT_TASK",
    "Cardinality",
    "Domain",
    "EdgeType",
    "Hierarchy",
    "NodeType",
    "Relation",
    "Task",
    "check_disjoint",
    "domain_names",
    "ensure_schema",
    "load_domain",
]

EdgeType = tuple[str, str, str]
"""(source label, relation type, target label)"""

BROADER = "BROADER"
"""Relation from a class to the one that it belongs to, within a facet."""
TEXT_TASK = "text"
"""Task of every domain, without classes: which images does a text mean? No domain file declares it."""
CONCEPT = "Concept"
"""Label of a class above others for which the domain has no node of its own."""
_SCHEMAS = Path(__file__).parent / "schemas"
_NAMED = re.compile(r"(?:CONSTRAINT|INDEX) (\S+) IF NOT EXISTS")
OVERLAY_LABELS = frozenset(
    [
        "Image",
        "ImageVector",
        "Class",
        "Concept",
        "SceneObject",
        "Attribute",
        "Caption",
        "Prediction",
        "Edit",
        "Batch",
        "Job",
        "Explanation",
        "ModelVersion",
        "EmbeddingSet",
        "Task",
        "SchemaStep",
    ]
)
"""Labels of Korvai's own overlay; no domain may use one."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NodeType(_Part):
    """One label of a domain."""

    key: str = "name"
    title: str = "name"
    text: str = "{name}"
    """Template of the node's text; fields are its properties, missing ones become empty."""
    properties: dict[str, str] = {}
    """Property name -> type (STRING, INTEGER, FLOAT, BOOLEAN, LIST<STRING>)."""
    # What only the validator reads stays out of dumps, and so out of snapshots and their hashes.
    required: tuple[str, ...] = Field((), exclude=True)
    """Properties that every node must have, beside the key."""
    dates: tuple[str, ...] = Field((), exclude=True)
    """Properties that say when: a year, or words that `kg.importers.dates` reads."""

    @cached_property
    def text_fields(self) -> tuple[str, ...]:
        """Properties that the text template uses."""
        return tuple(field for _, field, _, _ in string.Formatter().parse(self.text) if field)


class Cardinality(_Part):
    """How many relations of one type: `0..1`, `1..1`, `1..*`, `2..5`."""

    targets: str = "0..*"
    """Targets of one source."""
    sources: str = "0..*"
    """Sources of one target."""

    @field_validator("targets", "sources")
    @classmethod
    def _readable(cls, value: str) -> str:
        low, high = cls.bounds(value)
        if high is not None and low > high:
            raise ValueError(f"{value!r} begins above its end")
        return value

    @staticmethod
    def bounds(span: str) -> tuple[int, int | None]:
        """Least and most of a span such as `0..1`; None: any number. Raises: ValueError."""
        found = re.fullmatch(r"(\d+)\.\.(\d+|\*)", span)
        if not found:
            raise ValueError(f"{span!r} is not written as LEAST..MOST, such as 0..1 or 1..*")
        return int(found[1]), None if found[2] == "*" else int(found[2])


class Relation(_Part):
    """One relation type between two labels."""

    source: str
    type: str
    target: str
    properties: dict[str, str] = {}
    symmetric: bool = False
    cardinality: Cardinality = Field(Cardinality(), exclude=True)
    acyclic: bool = Field(False, exclude=True)
    """Whether following the relation must never lead back, as in a hierarchy."""

    @property
    def edge_type(self) -> EdgeType:
        """(source, type, target)"""
        return (self.source, self.type, self.target)


class Task(_Part):
    """A classification task: which class does an item belong to, said by `relation` from the item to `target`."""

    relation: str
    target: str


class Hierarchy(_Part):
    """One facet by which a task's classes are grouped: `(child)-[:BROADER {facet}]->(parent)`, one parent each."""

    task: str
    levels: dict[str, str]
    """Level -> label of its nodes, the task's classes first; `Concept` where the domain has no node for it."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels from fine to coarse."""
        return tuple(self.levels.values())

    @property
    def edge_types(self) -> tuple[EdgeType, ...]:
        """(child label, BROADER, parent label) from level to level."""
        return tuple((child, BROADER, parent) for child, parent in pairwise(self.labels))


class Domain(_Part):
    """A whole domain, checked."""

    domain: str
    title: str = ""
    item: str
    """The label whose nodes carry images."""
    node_types: dict[str, NodeType]
    relations: tuple[Relation, ...]
    tasks: dict[str, Task]
    hierarchies: dict[str, Hierarchy] = {}
    """Facet -> its levels."""
    aliases: dict[str, dict[str, str]] = {}
    """Label -> other spelling (lower case) -> key as this domain spells it."""

    @model_validator(mode="after")
    def _consistent(self) -> Domain:
        for relation in self.relations:
            for label in (relation.source, relation.target):
                if label not in self.node_types:
                    raise ValueError(f"relation {relation.type}: no node type {label!r}")
        if self.item not in self.node_types:
            raise ValueError(f"item: no node type {self.item!r}")
        if TEXT_TASK in self.tasks:
            raise ValueError(f"task {TEXT_TASK}: searching by text has that name in every domain; take another")
        for name, task in self.tasks.items():
            if (self.item, task.relation, task.target) not in self.edge_types:
                raise ValueError(f"task {name}: no relation ({self.item})-[{task.relation}]->({task.target})")
        for facet, hierarchy in self.hierarchies.items():
            self._check_hierarchy(facet, hierarchy)
        if clash := OVERLAY_LABELS & set(self.node_types):
            raise ValueError(f"node types {sorted(clash)} are labels of Korvai's own overlay; rename them")
        return self

    def _check_hierarchy(self, facet: str, hierarchy: Hierarchy) -> None:
        """Raises: ValueError."""
        if hierarchy.task not in self.tasks:
            raise ValueError(f"hierarchy {facet}: no task {hierarchy.task!r}")
        if len(hierarchy.levels) < 2 or hierarchy.labels[0] != self.tasks[hierarchy.task].target:
            target = self.tasks[hierarchy.task].target
            raise ValueError(f"hierarchy {facet}: write two levels or more, the first of them of {target}")
        if unknown := set(hierarchy.labels) - set(self.node_types) - {CONCEPT}:
            raise ValueError(f"hierarchy {facet}: no node type {sorted(unknown)[0]!r}; write {CONCEPT} for a new one")

    @property
    def edge_types(self) -> tuple[EdgeType, ...]:
        """All (source, type, target) triples, in the file's order."""
        return tuple(relation.edge_type for relation in self.relations)

    def node_type(self, label: str) -> NodeType:
        """The node type of `label`. Raises: SchemaViolation naming the known ones."""
        if label not in self.node_types:
            raise SchemaViolation(f"{self.domain}: no node type {label!r}; known: {', '.join(self.node_types)}")
        return self.node_types[label]

    def task(self, name: str | None = None) -> tuple[str, Task]:
        """The task called `name`, or the only one. Raises: SchemaViolation."""
        if name is None and len(self.tasks) == 1:
            return next(iter(self.tasks.items()))
        if name is None:
            raise SchemaViolation(f"{self.domain}: has several tasks; say which by --task: {', '.join(self.tasks)}")
        if name not in self.tasks:
            raise SchemaViolation(f"{self.domain}: no task {name!r}; choose one of {', '.join(self.tasks)}")
        return name, self.tasks[name]

    def task_name(self, name: str | None = None) -> str:
        """Like `task`, the name alone; `text`, which has no classes, is one too. Raises: SchemaViolation."""
        return TEXT_TASK if name == TEXT_TASK else self.task(name)[0]

    def task_edge_type(self, name: str | None = None) -> EdgeType:
        """(item, relation, class label) of a task."""
        _, task = self.task(name)
        return (self.item, task.relation, task.target)

    def hierarchy(self, facet: str) -> Hierarchy:
        """The hierarchy of a facet. Raises: SchemaViolation naming the known ones."""
        if facet not in self.hierarchies:
            known = ", ".join(self.hierarchies) or "none; declare one under `hierarchies` in the domain's file"
            raise SchemaViolation(f"{self.domain}: no hierarchy {facet!r}; known: {known}")
        return self.hierarchies[facet]

    def facets(self, task: str) -> tuple[str, ...]:
        """Facets that group a task's classes."""
        return tuple(facet for facet, hierarchy in self.hierarchies.items() if hierarchy.task == task)

    def canonical(self, label: str, spelling: str) -> str:
        """The domain's own spelling of a key, through the alias table; unknown ones come back as they are."""
        return self.aliases.get(label, {}).get(spelling.strip().lower(), spelling)


def domain_names() -> list[str]:
    """Names of the domains that ship."""
    return sorted(path.stem for path in _SCHEMAS.glob("*.yaml"))


def load_domain(name: str | Path) -> Domain:
    """Read a domain by name, or from a YAML file of one's own.

    Raises: SchemaViolation with the file and the first contradiction.
    """
    path = Path(name) if str(name).endswith((".yaml", ".yml")) else _SCHEMAS / f"{name}.yaml"
    if not path.is_file():
        raise SchemaViolation(
            f"graph {str(name)!r}: no such domain; known: {', '.join(domain_names())}, or a YAML file's path"
        )
    try:
        return Domain.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (ValidationError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise SchemaViolation(f"{path}: {' '.join(str(error).split())[:500]}; mend that domain file") from error


def check_disjoint(*domains: Domain) -> None:
    """Refuse domains that share a label: they could not live in one database.

    Raises: SchemaViolation naming the labels.
    """
    owner: dict[str, str] = {}
    for domain in domains:
        for label in domain.node_types:
            if owner.setdefault(label, domain.domain) != domain.domain:
                raise SchemaViolation(
                    f"label {label!r} is used by {owner[label]} and by {domain.domain}; rename one, or use another "
                    "database"
                )


def ensure_schema(graph: Graph, *domains: Domain) -> None:
    """Create the overlay's and the domains' constraints where they are missing; safe to repeat.

    Raises: SchemaViolation for domains that share a label, or two nodes that share a key.
    """
    check_disjoint(*domains)
    # Asked for first: to plan forty statements that change nothing takes seconds on a server that has just started.
    there = set(graph.run("schema/in_place")[0]["names"])
    for statement in map(load, sorted(n for n in names() if n.startswith("schema/0"))):
        if _NAMED.search(statement.text)[1] not in there:
            graph.run(statement)
    for domain in domains:
        for label, node_type in domain.node_types.items():
            constraint = f"{domain.domain}_{label}_{node_type.key}"
            if constraint not in there:
                _create_key(graph, domain, label, constraint)


def _create_key(graph: Graph, domain: Domain, label: str, constraint: str) -> None:
    key = domain.node_type(label).key
    try:
        graph.run(load("schema/domain_key").fill(constraint=constraint, label=label, key=key))
    except StatementError:
        _refuse_duplicates(graph, domain, label)
        raise


def _refuse_duplicates(graph: Graph, domain: Domain, label: str) -> None:
    """Raises: SchemaViolation when two nodes of the label have one key."""
    key = domain.node_type(label).key
    found = graph.one(load("schema/duplicate_key").fill(label=label, key=key))
    if found is not None:
        raise SchemaViolation(
            f"{domain.domain}: {found['nodes']} {label} nodes have the {key} {found['key']!r}; "
            "merge or rename them in Browser, then run this again"
        )
