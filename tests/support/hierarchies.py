"""Which small hierarchy can a test have without a server?"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from kg.schema import Domain
from tests.support.memory_snapshot import GivenFeatures, MemorySnapshot, craft_snapshot

__all__ = ["WithHierarchy", "graded_snapshot", "tables"]


@dataclass
class WithHierarchy(MemorySnapshot):
    """A snapshot in memory with overlay tables."""

    overlay: dict[str, pa.Table] = field(default_factory=dict)

    def table(self, name: str) -> pa.Table:
        return self.overlay[name]


def tables(rows: list[tuple[str, str, str, str, str]]) -> dict[str, pa.Table]:
    """Overlay tables of (child label, child, parent label, parent, facet); concepts are called by their key's end."""
    names = ("child_label", "child_key", "parent_label", "parent_key", "facet")
    concepts = sorted({row[3] for row in rows if row[2] == "Concept"})
    return {
        "hierarchy": pa.table({name: [row[n] for row in rows] for n, name in enumerate(names)}),
        "concepts": pa.table({"key": concepts, "name": [key.rpartition("/")[2] for key in concepts]}),
    }


def graded_snapshot(**form: Any) -> tuple[WithHierarchy, GivenFeatures]:
    """The craft world with six clusters in two facets: `make` (pairs, then one side) and `hue` (thirds by a colour)."""
    snapshot, features = craft_snapshot(**form)
    domain = snapshot.domain.model_dump()
    domain["hierarchies"] = {
        "make": {"task": "cluster", "levels": {"cluster": "Cluster", "pair": "Concept", "side": "Concept"}},
        "hue": {"task": "cluster", "levels": {"cluster": "Cluster", "colour": "Colour"}},
    }
    pairs = ["a", "a", "b", "b", "c", "c"]
    rows = [("Cluster", f"cluster {n}", "Concept", f"toy/make/{pair}", "make") for n, pair in enumerate(pairs)]
    sides = {"a": "left", "b": "left", "c": "right"}
    rows += [("Concept", f"toy/make/{p}", "Concept", f"toy/make/{side}", "make") for p, side in sides.items()]
    rows += [("Cluster", f"cluster {n}", "Colour", f"colour {n % 3}", "hue") for n in range(6)]
    known = {**vars(snapshot), "domain": Domain.model_validate(domain), "overlay": tables(rows)}
    return WithHierarchy(**known), features
