"""How many nodes and relations has an ArtGraph of a given size?

At scale 1 exactly the published numbers (data/artgraph/published_counts.yaml); otherwise that many times as many, with
the exceptions that the file names: the classes of a task stay, and there are only so many countries.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict

from kg.errors import SchemaViolation
from kg.schema import EdgeType

__all__ = ["MAX_SCALE", "MIN_SCALE", "Counts", "RelationCount", "scaled_counts"]

MIN_SCALE, MAX_SCALE = 0.01, 10.0

_FILE = Path(__file__).resolve().parents[2] / "data" / "artgraph" / "published_counts.yaml"
_SMALLEST = 10
"""A type that shrinks keeps this many nodes, where it ever had them."""

_DENSEST = 3
"""At most one in this many possible pairs is related, however small the graph."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RelationCount(_Part):
    """How many relations of one type there are, and how they fall on sources and targets."""

    source: str
    type: str
    target: str
    count: int
    per_source: Literal["one", "at_most_one", "several"]
    head: float = 1.0
    """The k-th most used target weighs 1 / (k + head)."""

    @property
    def edge_type(self) -> EdgeType:
        """(source, type, target)"""
        return (self.source, self.type, self.target)


class _NodeCount(_Part):
    count: int
    grows: Literal["linear", "capped", "never"] = "linear"


class _Published(_Part):
    source: str
    nodes: dict[str, _NodeCount]
    relations: tuple[RelationCount, ...]
    classes: dict[str, dict[str, int]]


@dataclass(frozen=True)
class Counts:
    """What to make: nodes by label, relations, and the artworks of each class of a task, in the file's order."""

    nodes: dict[str, int]
    relations: tuple[RelationCount, ...]
    classes: dict[str, dict[str, int]]


def scaled_counts(scale: float) -> Counts:
    """The published counts times `scale`.

    Raises: SchemaViolation for a scale outside 0.01 to 10.
    """
    if not MIN_SCALE <= scale <= MAX_SCALE:
        raise SchemaViolation(f"generate artgraph: the scale {scale:g} is not within {MIN_SCALE:g} to {MAX_SCALE:g}")
    published = _published()
    nodes = {label: _scaled_nodes(entry, scale) for label, entry in published.nodes.items()}
    relations = tuple(
        relation.model_copy(update={"count": _scaled_relations(relation, nodes, scale)})
        for relation in published.relations
    )
    return Counts(nodes, relations, published.classes)


@cache
def _published() -> _Published:
    return _Published.model_validate(yaml.safe_load(_FILE.read_text(encoding="utf-8")))


def _scaled_nodes(entry: _NodeCount, scale: float) -> int:
    if entry.grows == "never" or (entry.grows == "capped" and scale > 1):
        return entry.count
    return max(round(entry.count * scale), min(entry.count, _SMALLEST))


def _scaled_relations(relation: RelationCount, nodes: dict[str, int], scale: float) -> int:
    sources, wanted = nodes[relation.source], max(round(relation.count * scale), 1)
    if relation.per_source == "one":
        return sources
    if relation.per_source == "at_most_one":
        return min(wanted, sources)
    return min(wanted, sources * nodes[relation.target] // _DENSEST)
