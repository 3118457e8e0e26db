"""What have curators changed by hand, so that importing the same files again does not undo it?

An edit in effect wins over an import: a relation that somebody removed does not come back, a property that somebody
wrote or removed keeps that value. The later of two edits counts, and one that was taken back does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kg.changes.edit_record import decode
from kg.graph import Graph
from kg.loading.specs import EdgeSpec, NodeSpec
from kg.schema import Domain

__all__ = ["Curated"]

_WRONG = "wrong: "
"""What the reason of a relation marked as wrong begins with."""

Row = Mapping[str, Any]


class Curated:
    """What was edited, as sentences that say by whom and when. Empty where nobody edited."""

    def __init__(self, removed: dict[tuple, str], written: dict[tuple, dict[str, str]]) -> None:
        self._removed, self._written = removed, written
        self._types = {name[:3] for name in removed}

    @classmethod
    def nothing(cls) -> Curated:
        """For an import that was asked to win over edits."""
        return cls({}, {})

    @classmethod
    def read(cls, graph: Graph, domain: Domain) -> Curated:
        """The edits of a domain that are in effect. Raises: GraphUnavailable."""
        removed: dict[tuple, str] = {}
        written: dict[tuple, dict[str, str]] = {}
        for row in graph.run("import/curated", labels=list(domain.node_types)):
            name = _name(row)
            if row["kind"] == "delete_relation":
                removed[name] = _sentence("marked wrong" if row["reason"].startswith(_WRONG) else "removed", row)
            elif row["kind"] == "create_relation":
                removed.pop(name, None)
            else:
                said = written.setdefault(name, {})
                said.update((prop, _sentence("edited", row)) for prop in _properties(row))
        return cls(removed, written)

    def removes(self, spec: EdgeSpec) -> bool:
        """Whether any relation of this type was removed: spares asking for each."""
        return spec.edge_type in self._types

    def removed(self, spec: EdgeSpec, source: str, target: str) -> str | None:
        """Who removed this relation and when; None for one that nobody did."""
        return self._removed.get((*spec.edge_type, source, target))

    def of_node(self, spec: NodeSpec, key: str) -> Mapping[str, str]:
        """Property to who wrote it and when, of a node."""
        return self._written.get((spec.label, key), {}) if self._written else {}

    def of_relation(self, spec: EdgeSpec, source: str, target: str) -> Mapping[str, str]:
        """Property to who wrote it and when, of a relation."""
        return self._written.get((*spec.edge_type, source, target), {}) if self._written else {}


def _name(row: Row) -> tuple:
    if row["relation"] is None:
        return row["target_type"], row["target_key"]
    return row["target_type"], row["relation"], row["other_type"], row["target_key"], row["other_key"]


def _properties(row: Row) -> list[str]:
    if row["kind"] == "create_node":
        return list((decode(row["new"]) or {}).get("properties", {}))
    return [row["key"]]


def _sentence(what: str, row: Row) -> str:
    reason = row["reason"].removeprefix(_WRONG)
    return f"{what} by {row['who']} on {row['at'].to_native():%Y-%m-%d}" + (f" ({reason})" if reason else "")
