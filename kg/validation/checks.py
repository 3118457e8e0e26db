"""Which checks are there, how grave is each, where is it asked, and which statement mends what it finds?

A new check is a statement `cypher/validate/<name>.cypher` that returns `place`, `count` and `examples`, and a line
here. In a fix, `@name` stands for that field of the first example, `@place` for the row's place, `@declared` for the
property's type in the domain file; slots that are not named are those of the check.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kg.schema import BROADER, Domain
from kg.validation import places
from kg.validation.findings import Severity
from kg.validation.places import Place

__all__ = ["CHECKS", "Check", "Fix"]


@dataclass(frozen=True)
class Fix:
    """A statement that mends a finding, or in words what does."""

    statement: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    slots: Mapping[str, str] = field(default_factory=dict)
    words: str = ""


@dataclass(frozen=True)
class Check:
    """One line of the table."""

    name: str
    severity: Severity
    problem: str
    """What follows the count: `3 nodes without a key`; `{place}` is the row's."""
    places: Callable[[Domain], Iterable[Place]]
    fix: Fix = Fix()
    fixes: Mapping[str, Fix] = field(default_factory=dict)
    """Place of a row -> its own fix."""
    kind: str = "rows"
    """rows: the statement counts by itself; any other: see kg.validation.judging."""


_IMAGES = Fix(words="korvai import saree --images FOLDER, or korvai import wikiart FOLDER: hang images on its items")
_CONTEXT = Fix(words="connect it to what it is made of, comes from or belongs to, or remove it")
_DROP = {"id": "@id"}

CHECKS: tuple[Check, ...] = (
    Check(
        "missing_key", "error", "nodes without a key", places.labels, Fix("set_key", {"id": "@id", "value": "NEW KEY"})
    ),
    Check(
        "duplicate_key",
        "error",
        "keys that several nodes have",
        places.labels,
        Fix("part_duplicates", {"value": "@key"}),
    ),
    Check(
        "similar_keys",
        "warning",
        "keys that differ from another one in capitals and blanks only",
        places.labels,
        Fix("merge_keys", {"keep": "@keep", "drop": "@key"}),
    ),
    Check(
        "missing_constraint",
        "warning",
        "labels whose keys no constraint keeps unique",
        places.constraints,
        Fix("schema/domain_key", slots={"constraint": "@constraint", "label": "@label", "key": "@key"}),
        kind="constraints",
    ),
    Check(
        "missing_property",
        "error",
        "nodes without {place}, which the domain requires",
        places.required_properties,
        Fix("set_property", {"node": "@key", "value": "THE VALUE"}, {"property": "@place"}),
    ),
    Check(
        "property_type",
        "error",
        "values of {place} that are not {declared}",
        places.property_types,
        Fix("convert_property", {"type": "@declared"}, {"property": "@place"}),
    ),
    Check(
        "relation_property_type",
        "error",
        "values of {place} that are not {declared}",
        places.relation_property_types,
        Fix("convert_relation_property", {"declared": "@declared"}, {"property": "@place"}),
    ),
    Check(
        "targets_per_source",
        "error",
        "sources with {place} targets",
        places.targets,
        fixes={
            "too many": Fix("remove_relation", _DROP),
            "too few": Fix("add_relation", {"source": "@key", "target": "KEY OF A TARGET"}),
        },
    ),
    Check(
        "sources_per_target",
        "error",
        "targets with {place} sources",
        places.sources,
        fixes={
            "too many": Fix("remove_relation", _DROP),
            "too few": Fix("add_relation", {"source": "KEY OF A SOURCE", "target": "@key"}),
        },
    ),
    Check("cycles", "error", "cycles", places.acyclic_types, Fix("remove_relation", _DROP), kind="cycles"),
    Check(
        "two_parents",
        "error",
        "classes under two parents of one hierarchy",
        places.hierarchies,
        Fix("remove_relation", _DROP, {"type": BROADER}),
    ),
    Check(
        "hierarchy_paths",
        "warning",
        "classes that stand {place} the levels of their hierarchy",
        places.hierarchies,
        Fix(words="korvai import hierarchy FILE --facet FACET: give each class its way up, level by level"),
    ),
    Check(
        "lonely_levels",
        "warning",
        "levels with one class, where there is nothing to tell apart: {place}",
        places.hierarchies,
        Fix(words="divide that class, or leave the level out of the domain's file"),
    ),
    Check(
        "foreign_labels",
        "error",
        "nodes that are also {place}",
        places.foreign_labels,
        Fix("remove_label", {"node": "@key"}, {"wrong": "@place"}),
    ),
    Check("wrong_ends", "error", "relations between {place}", places.relation_types, Fix("remove_relation", _DROP)),
    Check(
        "unknown_relations",
        "warning",
        "relations {place}, which the domain does not have; training ignores them",
        places.labels,
        Fix("remove_relation", _DROP, {"type": "@place"}),
        kind="unknown_types",
    ),
    Check(
        "parallel_relations",
        "warning",
        "relations that say again what another one says",
        places.relations,
        Fix("remove_parallel_relations"),
    ),
    Check("items_without_image", "warning", "items without an image", places.items, _IMAGES),
    Check("classes_without_image", "warning", "classes without an image", places.task_classes, _IMAGES),
    Check("classes_without_context", "warning", "classes without context", places.task_context, _CONTEXT),
    Check("image_files", "error", "image files", places.items, kind="files"),
    Check("dates", "warning", "dates in words", places.date_properties, kind="dates"),
    Check("orphans", "warning", "nodes that hang on nothing", places.overlay, Fix("remove_orphans")),
)
"""All checks, in the order in which they are asked."""
