"""How does an import name a kind of node or relation, and the statements that read and write it?"""

from __future__ import annotations

from dataclasses import dataclass

from cypher import Statement, load
from kg.errors import SchemaViolation
from kg.schema import CONCEPT, Domain, EdgeType

__all__ = ["EdgeSpec", "NodeSpec", "edge_spec", "filled", "node_spec"]

_OVERLAY_KEYS = {"Image": "sha256", "Caption": "id", "SceneObject": "id", "Attribute": "key", CONCEPT: "key"}
_OVERLAY_RELATIONS = {
    ("Image", "HAS_CAPTION", "Caption"): (),
    ("Image", "DEPICTS", "SceneObject"): (),
    ("SceneObject", "HAS_ATTRIBUTE", "Attribute"): (),
    ("SceneObject", "RELATION", "SceneObject"): ("predicate",),
}


@dataclass(frozen=True)
class NodeSpec:
    """A label and the property that is its key."""

    label: str
    key: str


@dataclass(frozen=True)
class EdgeSpec:
    """A relation type between two labels; `identity` names properties that tell parallel relations apart."""

    source: NodeSpec
    type: str
    target: NodeSpec
    identity: tuple[str, ...] = ()

    @property
    def edge_type(self) -> EdgeType:
        """(source label, type, target label)"""
        return (self.source.label, self.type, self.target.label)

    def __str__(self) -> str:
        return f"{self.source.label}-{self.type}->{self.target.label}"


def node_spec(domain: Domain, label: str) -> NodeSpec:
    """Label and key of a domain's or the overlay's node type. Raises: SchemaViolation."""
    if label in _OVERLAY_KEYS:
        return NodeSpec(label, _OVERLAY_KEYS[label])
    return NodeSpec(label, domain.node_type(label).key)


def edge_spec(domain: Domain, edge_type: EdgeType) -> EdgeSpec:
    """Ends and identity of a domain's or the overlay's relation. Raises: SchemaViolation."""
    source, kind, target = edge_type
    overlay = _OVERLAY_RELATIONS | {(domain.item, "HAS_IMAGE", "Image"): ()}
    overlay |= {broader: ("facet",) for hierarchy in domain.hierarchies.values() for broader in hierarchy.edge_types}
    if tuple(edge_type) not in overlay and tuple(edge_type) not in domain.edge_types:
        known = ", ".join("-".join(e) for e in domain.edge_types)
        raise SchemaViolation(f"{domain.domain}: no relation {source}-{kind}-{target}; known: {known}")
    identity = overlay.get(tuple(edge_type), ())
    return EdgeSpec(node_spec(domain, source), kind, node_spec(domain, target), identity)


def filled(name: str, spec: NodeSpec | EdgeSpec) -> Statement:
    """A saved statement whose slots are a node type's label and key, or a relation's type, ends and their keys."""
    statement = load(name)
    if isinstance(spec, NodeSpec):
        known = {"label": spec.label, "key": spec.key}
    else:
        ends = {"source": spec.source.label, "source_key": spec.source.key, "target": spec.target.label}
        known = {"type": spec.type, "target_key": spec.target.key, **ends}
    return statement.fill(**{slot.name: known[slot.name] for slot in statement.slots})
