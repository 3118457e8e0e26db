"""Where is a check to be asked: once a label, once a relation, once a task, with which names and values?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kg.schema import OVERLAY_LABELS, Cardinality, Domain, Relation, domain_names, load_domain

__all__ = [
    "OVERLAY_TYPES",
    "Place",
    "acyclic_types",
    "constraints",
    "date_properties",
    "foreign_labels",
    "hierarchies",
    "items",
    "labels",
    "overlay",
    "property_types",
    "relation_property_types",
    "relation_types",
    "relations",
    "required_properties",
    "sources",
    "targets",
    "task_classes",
    "task_context",
]

OVERLAY_TYPES = frozenset(
    ("HAS_IMAGE", "HAS_VECTOR", "HAS_CAPTION", "DEPICTS", "HAS_ATTRIBUTE", "RELATION", "BROADER", "PRODUCED", "ACTIVE")
).union(("PREVIOUS", "OF", "SAYS", "FROM", "ON"))
"""Relation types of Korvai's own overlay."""

_HELD_BY = {
    "Image": ("sha256", ["HAS_IMAGE"]),
    "ImageVector": ("sha256", ["HAS_VECTOR"]),
    "Caption": ("id", ["HAS_CAPTION"]),
    "SceneObject": ("id", ["DEPICTS"]),
    "Attribute": ("key", ["HAS_ATTRIBUTE"]),
    "EmbeddingSet": ("id", ["PRODUCED"]),
    "Prediction": ("id", ["OF"]),
}
"""Overlay label -> its key, and the types one of which must hold it. An Edit outlives what it changed."""

_VALUE_TYPES = {
    "STRING": ["STRING NOT NULL"],
    "INTEGER": ["INTEGER NOT NULL"],
    "FLOAT": ["FLOAT NOT NULL", "INTEGER NOT NULL"],
    "BOOLEAN": ["BOOLEAN NOT NULL"],
    "LIST<STRING>": ["LIST<STRING NOT NULL> NOT NULL", "LIST<NOTHING> NOT NULL"],
}
"""Declared type -> how valueType() writes what may stand there; 1 is as good as 1.0."""


@dataclass(frozen=True)
class Place:
    """One asking of a check: `where` for people, names for the slots, values for the parameters."""

    where: str
    slots: Mapping[str, str | list[str]] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    declared: Mapping[str, str] = field(default_factory=dict)
    """Property -> declared type, for the fix."""


def labels(domain: Domain) -> Iterator[Place]:
    """Each label with its key."""
    for label, node_type in domain.node_types.items():
        yield Place(label, {"label": label, "key": node_type.key})


def constraints(domain: Domain) -> Iterator[Place]:
    """Once, with all labels and keys."""
    keys = {label: node_type.key for label, node_type in domain.node_types.items()}
    yield Place(
        domain.domain, {}, {"keys": keys}, {label: f"{domain.domain}_{label}_{key}" for label, key in keys.items()}
    )


def required_properties(domain: Domain) -> Iterator[Place]:
    """Each label that requires properties."""
    for label, node_type in domain.node_types.items():
        if node_type.required:
            yield Place(label, {"label": label, "key": node_type.key}, {"required": list(node_type.required)})


def property_types(domain: Domain) -> Iterator[Place]:
    """Each label with declared properties; dates are read by a check of their own."""
    for label, node_type in domain.node_types.items():
        declared = {name: kind for name, kind in node_type.properties.items() if name not in node_type.dates}
        if declared:
            yield Place(label, {"label": label, "key": node_type.key}, {"types": _allowed(declared)}, declared)


def relation_property_types(domain: Domain) -> Iterator[Place]:
    """Each relation with declared properties."""
    for relation in domain.relations:
        if relation.properties:
            types = {"types": _allowed(relation.properties)}
            yield Place(_arrow(relation), _ends(domain, relation), types, relation.properties)


def targets(domain: Domain) -> Iterator[Place]:
    """Each relation that bounds the targets of a source."""
    for relation in domain.relations:
        if relation.cardinality.targets != "0..*":
            yield Place(_arrow(relation), _ends(domain, relation), _bounds(relation.cardinality.targets))


def sources(domain: Domain) -> Iterator[Place]:
    """Each relation that bounds the sources of a target."""
    for relation in domain.relations:
        if relation.cardinality.sources != "0..*":
            yield Place(_arrow(relation), _ends(domain, relation), _bounds(relation.cardinality.sources))


def relations(domain: Domain) -> Iterator[Place]:
    """Each relation with its ends."""
    for relation in domain.relations:
        yield Place(_arrow(relation), _ends(domain, relation))


def relation_types(domain: Domain) -> Iterator[Place]:
    """Each relation type with all the pairs of labels that it may connect."""
    for name in dict.fromkeys(relation.type for relation in domain.relations):
        pairs = [[r.source, r.target] for r in domain.relations if r.type == name]
        yield Place(f"[{name}]", {"type": name}, {"pairs": pairs, "labels": list(domain.node_types)})


def acyclic_types(domain: Domain) -> Iterator[Place]:
    """The class hierarchy, and each relation type that must never lead back."""
    declared = [relation.type for relation in domain.relations if relation.acyclic]
    for name in dict.fromkeys(["BROADER", *declared]):
        yield Place(f"[{name}]", {"type": name}, {"labels": [*domain.node_types, "Concept"]})


def hierarchies(domain: Domain) -> Iterator[Place]:
    """Each declared hierarchy, with its classes."""
    for facet, hierarchy in domain.hierarchies.items():
        names = _class_slots(domain, hierarchy.labels[0])
        steps = len(hierarchy.levels) - 1
        yield Place(f"[BROADER {facet}]", names, {"facet": facet, "steps": steps, "levels": list(hierarchy.levels)})


def foreign_labels(domain: Domain) -> Iterator[Place]:
    """Each label with all those that may not stand beside it."""
    others = {label for name in domain_names() for label in load_domain(name).node_types}
    together = sorted((others | set(domain.node_types) | OVERLAY_LABELS) - {"Class"})
    for label, node_type in domain.node_types.items():
        yield Place(label, {"label": label, "key": node_type.key}, {"label": label, "labels": together})


def items(domain: Domain) -> Iterator[Place]:
    """The label whose nodes carry images."""
    yield Place(domain.item, {"item": domain.item, "item_key": domain.node_type(domain.item).key})


def task_classes(domain: Domain) -> Iterator[Place]:
    """Each task's classes."""
    for task in domain.tasks.values():
        names = {"item": domain.item, "relation": task.relation, **_class_slots(domain, task.target)}
        yield Place(task.target, names)


def task_context(domain: Domain) -> Iterator[Place]:
    """Each task's classes with the relation types that tell of them.

    What says which item belongs to a class is context only where the domain has no other.
    """
    for task in domain.tasks.values():
        touching = [r for r in domain.relations if task.target in (r.source, r.target)]
        telling = [r.type for r in touching if domain.item not in (r.source, r.target)]
        types = list(dict.fromkeys(telling or [r.type for r in touching]))
        yield Place(task.target, {"context": types, **_class_slots(domain, task.target)})


def date_properties(domain: Domain) -> Iterator[Place]:
    """Each property that holds a date."""
    for label, node_type in domain.node_types.items():
        for name in node_type.dates:
            yield Place(f"{label}.{name}", {"label": label, "key": node_type.key, "property": name})


def overlay(_: Domain) -> Iterator[Place]:
    """Each overlay label that hangs on something."""
    for label, (key, types) in _HELD_BY.items():
        yield Place(label, {"label": label, "key": key, "type": types})


def _allowed(declared: Mapping[str, str]) -> dict[str, list[str]]:
    return {name: _VALUE_TYPES[kind] for name, kind in declared.items() if kind in _VALUE_TYPES}


def _bounds(span: str) -> dict[str, int]:
    least, highest = Cardinality.bounds(span)
    return {"least": least, "highest": -1 if highest is None else highest}


def _arrow(relation: Relation) -> str:
    return f"({relation.source})-[{relation.type}]->({relation.target})"


def _ends(domain: Domain, relation: Relation) -> dict[str, str]:
    source, target = domain.node_type(relation.source), domain.node_type(relation.target)
    names = {"source": relation.source, "source_key": source.key, "type": relation.type}
    return {**names, "target": relation.target, "target_key": target.key}


def _class_slots(domain: Domain, label: str) -> dict[str, str]:
    return {"class": label, "class_key": domain.node_type(label).key}
