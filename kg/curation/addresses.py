"""By which label and property is a node known, whatever domain or part of the overlay it belongs to?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kg.errors import SchemaViolation
from kg.schema import Domain, domain_names, load_domain

__all__ = ["Addresses", "addresses"]

_OVERLAY = {
    "Image": "sha256",
    "ImageVector": "sha256",
    "Concept": "key",
    "Caption": "id",
    "SceneObject": "id",
    "Attribute": "key",
    "Prediction": "id",
    "EmbeddingSet": "id",
    "ModelVersion": "id",
    "Batch": "id",
    "Job": "id",
}
"""The overlay's own keys, as cypher/schema/ declares them."""


@dataclass(frozen=True)
class Addresses:
    """Label -> key property; domain labels come before the overlay's, for nodes that have several."""

    keys: Mapping[str, str]
    classes: frozenset[str] = frozenset()
    """Labels that are classes of some task; their nodes have `Class` as a second label."""

    def key(self, label: str) -> str:
        """The key property of `label`. Raises: SchemaViolation naming the way out."""
        if label not in self.keys:
            raise SchemaViolation(f"label {label!r} belongs to no known domain; name its domain file by --graph FILE")
        return self.keys[label]

    @property
    def names(self) -> list[str]:
        """All properties that are some label's key."""
        return sorted(set(self.keys.values()))

    def of(self, labels: Iterable[str], values: Mapping[str, Any]) -> tuple[str, str] | None:
        """(label, key) of a node with these labels and key values, or None where it has no key of its own."""
        present = set(labels)
        for label, key in self.keys.items():
            if label in present and values.get(key) is not None:
                return label, str(values[key])
        return None


def addresses(domains: Sequence[Domain] = ()) -> Addresses:
    """What is known of the domains that ship, of `domains`, and of the overlay."""
    keys: dict[str, str] = {}
    classes: set[str] = set()
    for domain in (*domains, *map(load_domain, domain_names())):
        classes |= {task.target for task in domain.tasks.values()}
        for label, node_type in domain.node_types.items():
            keys.setdefault(label, node_type.key)
    overlay = {label: key for label, key in _OVERLAY.items() if label not in keys}
    return Addresses({**keys, **overlay}, frozenset(classes))
