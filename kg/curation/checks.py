"""Does the domain know what an edit is to write: the relation, its properties, their types?"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from kg.errors import SchemaViolation
from kg.schema import Domain, EdgeType

__all__ = ["check_properties", "check_relation_properties", "other_label_of"]

_KINDS: dict[str, type | tuple[type, ...]] = {
    "STRING": str,
    "INTEGER": int,
    "FLOAT": (int, float),
    "BOOLEAN": bool,
    "LIST<STRING>": list,
}


def other_label_of(domain: Domain, label: str, relation: str, wanted: str | None = None) -> str:
    """The label at the relation's other end. Raises: SchemaViolation naming what there is."""
    domain.node_type(label)
    ends = [t for s, r, t in domain.edge_types if s == label and r == relation]
    if wanted is None and len(ends) == 1:
        return ends[0]
    if wanted is not None and wanted in ends:
        return wanted
    if ends:
        raise SchemaViolation(f"({label})-[{relation}]-> leads to {' or '.join(ends)}; say which (--to-label)")
    known = ", ".join(sorted({r for s, r, _ in domain.edge_types if s == label})) or "none"
    raise SchemaViolation(f"{domain.domain}: a {label} has no relation {relation!r}; it has {known}")


def check_properties(domain: Domain, label: str, properties: Mapping[str, Any]) -> None:
    """Raises: SchemaViolation for a property that the label does not have, or a value of another type."""
    node_type = domain.node_type(label)
    _check(label, node_type.properties, properties, also=frozenset([node_type.title]))


def check_relation_properties(domain: Domain, edge_type: EdgeType, properties: Mapping[str, Any]) -> None:
    """Raises: SchemaViolation for a property that the relation does not have, or a value of another type."""
    known = next(r.properties for r in domain.relations if r.edge_type == edge_type)
    _check("-".join(edge_type), known, properties)


def _check(what: str, known: Mapping[str, str], properties: Mapping[str, Any], also: Set[str] = frozenset()) -> None:
    if unknown := sorted(set(properties) - set(known) - also):
        raise SchemaViolation(f"{what}: no property {unknown[0]!r}; it has {', '.join(known) or 'none'}")
    for name, value in properties.items():
        wanted = known.get(name, "STRING")
        wrong = not isinstance(value, _KINDS.get(wanted, object)) or (isinstance(value, bool) and wanted != "BOOLEAN")
        if value is not None and wrong:
            raise SchemaViolation(f"{what}: {name} is {value!r}, must be {wanted}")
