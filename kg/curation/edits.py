"""How does a curator change the graph through Korvai, so that every change is recorded and can be taken back?

    with editing(graph, domain, who="meera", reason="catalogue of 1994") as desk:
        desk.set_property("Artwork", "a.jpg", "year", 1889)
        desk.move("a.jpg", "realism", task="style")

One block is one transaction: all of it and its records are there, or nothing. `dry_run` does everything and rolls it
back, so a preview meets the same refusals as the real thing.
"""

from __future__ import annotations

import datetime as dt
import getpass
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from cypher import load
from kg import failpoints
from kg.changes.edit_record import Edit, Kind, encode, new_id
from kg.curation.addresses import Addresses, addresses
from kg.curation.checks import check_properties, check_relation_properties, other_label_of
from kg.curation.recording import apply, one_transaction, record
from kg.errors import EditConflict, NodeNotFound, SchemaViolation
from kg.graph import Graph, Transaction
from kg.importers.values import clean_key
from kg.schema import Domain

__all__ = ["Desk", "NodeState", "editing", "os_user"]

_STEP = dt.timedelta(microseconds=1)


@dataclass(frozen=True)
class NodeState:
    """A node as it is now, without vectors."""

    label: str
    key: str
    labels: tuple[str, ...]
    properties: Mapping[str, Any]


@dataclass(frozen=True)
class _Tie:
    """A relation of a node, with the node at its other end; `other` is None where that has no key."""

    relation: str
    outgoing: bool
    properties: Mapping[str, Any]
    other_labels: tuple[str, ...]
    other: tuple[str, str] | None

    def ends(self, label: str, key: str) -> tuple[str, str, str, str, str]:
        """(source label, source key, relation, target label, target key) with (label, key) as this end."""
        assert self.other is not None, "ties to nodes without a key are refused before"
        here = (label, key)
        (a, b), (c, d) = (here, self.other) if self.outgoing else (self.other, here)
        return (a, b, self.relation, c, d)


@contextmanager
def editing(
    graph: Graph,
    domain: Domain,
    *,
    who: str | None = None,
    reason: str = "",
    batch: str | None = None,
    dry_run: bool = False,
) -> Iterator[Desk]:
    """A desk whose edits become one transaction when the block ends; `desk.edits` are those that were made.

    Raises: EditConflict, NodeNotFound, SchemaViolation, and then nothing is written.
    """
    started = graph.run("edits/clock")[0]["at"].to_native()
    names = addresses([domain])
    with one_transaction(graph, "korvai edit", dry_run=dry_run) as tx:
        desk = Desk(tx, domain, names, who=who or os_user(), reason=reason, batch=batch or new_id(), at=started)
        yield desk
        failpoints.reach("curation.before_record")
        record(tx, names, desk.edits)


def os_user() -> str:
    """Who is at the keyboard, as the operating system knows."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


class Desk:
    """What can be edited. Every verb checks against the domain, applies at once, and notes what it did."""

    def __init__(
        self, tx: Transaction, domain: Domain, names: Addresses, *, who: str, reason: str, batch: str, at: dt.datetime
    ) -> None:
        self.domain, self.batch, self.edits, self.notes = domain, batch, list[Edit](), list[str]()
        self._tx, self._names = tx, names
        self._who, self._reason, self._at = who, reason, at

    # -- nodes -----------------------------------------------------------------------------------------------------

    def create_node(self, label: str, key: str, properties: Mapping[str, Any] | None = None) -> None:
        """A new node; class nodes get their second label.

        Raises: EditConflict when the key is taken, SchemaViolation.
        """
        node_type = self.domain.node_type(label)
        key, complaint = clean_key(key)
        if complaint:
            raise SchemaViolation(f"create {label}: {complaint}; give it another {node_type.key}")
        given = {k: v for k, v in (properties or {}).items() if v is not None}
        check_properties(self.domain, label, given)
        labels = [label, "Class"] if label in self._names.classes else [label]
        value = {"labels": labels, "properties": {node_type.key: key, **given}}
        if self._do([self._edit("create_node", label, key, new=encode(value))]):
            raise EditConflict(f"create {label} {key!r}: there is one already; change it with `korvai edit set`")

    def set_property(self, label: str, key: str, name: str, value: Any) -> None:
        """Write one property; None removes it. Setting what is already there is no edit.

        Raises: NodeNotFound, SchemaViolation (unknown property, or the key: create and merge instead).
        """
        node_type = self.domain.node_type(label)
        if name == node_type.key:
            raise SchemaViolation(
                f"{label} {key!r}: {name} is its id; create {label} {value!r} and merge this one into it "
                f"(`korvai edit create`, `korvai edit merge {label} NEW OLD`)"
            )
        check_properties(self.domain, label, {name: value})
        self._write_property(label, key, name, value)

    def delete_node(self, label: str, key: str) -> None:
        """Remove a node with all its relations; each is recorded, so that undo brings everything back but vectors.

        Raises: NodeNotFound, SchemaViolation when a neighbour has no key by which undo could find it.
        """
        state, ties = self.read(label, key), self._ties(label, key)
        self._must([self._tie_edit("delete_relation", tie, label, key) for tie in ties])
        value = {"labels": list(state.labels), "properties": dict(state.properties)}
        self._must([self._edit("delete_node", label, key, old=encode(value))])

    def merge(self, label: str, keep: str, duplicate: str) -> None:
        """Make one node of two: `duplicate`'s relations and missing properties move to `keep`, then it goes.

        Where both have a value, `keep`'s stays; lists are joined; a second class of a task is not taken over. What is
        not taken over is in the record, and undo brings it back.
        Raises: NodeNotFound, SchemaViolation.
        """
        if keep == duplicate:
            raise SchemaViolation(f"merge {label} {keep!r} with itself: name two nodes")
        kept, gone = self.read_all(label, [keep, duplicate])
        self._merge_relations(label, keep, duplicate)
        for name, value in self._merged_properties(kept, gone).items():
            self._write_property(label, keep, name, value)
        self.delete_node(label, duplicate)

    # -- relations -------------------------------------------------------------------------------------------------

    def link(
        self,
        label: str,
        key: str,
        relation: str,
        other_key: str,
        *,
        other_label: str | None = None,
        properties: Mapping[str, Any] | None = None,
    ) -> None:
        """Connect two nodes; what is connected already is no edit.

        Raises: NodeNotFound, SchemaViolation.
        """
        other = other_label_of(self.domain, label, relation, other_label)
        given = {k: v for k, v in (properties or {}).items() if v is not None}
        check_relation_properties(self.domain, (label, relation, other), given)
        self.read(label, key), self.read(other, other_key)
        edit = self._edit("create_relation", label, key, new=encode(given), to=(relation, other, other_key))
        if self._do([edit]):
            self.notes.append(f"{label} {key!r} has {relation} {other_key!r} already")

    def unlink(self, label: str, key: str, relation: str, other_key: str, *, other_label: str | None = None) -> None:
        """Take a relation away.

        Raises: NodeNotFound when there is no such relation, SchemaViolation.
        """
        other = other_label_of(self.domain, label, relation, other_label)
        spellings = ((other, other_key), (other, self.domain.canonical(other, other_key)))
        found = [
            tie
            for tie in self._ties(label, key)
            if tie.outgoing and tie.relation == relation and tie.other in spellings
        ]
        if not found:
            there = sorted(
                tie.other[1]
                for tie in self._ties(label, key)
                if tie.outgoing and tie.relation == relation and tie.other
            )
            has = ", ".join(map(repr, there[:5])) or "none"
            raise NodeNotFound(f"{label} {key!r} has no {relation} {other_key!r}; it has {has}")
        self._must([self._tie_edit("delete_relation", tie, label, key) for tie in found])

    def mark_wrong(
        self, label: str, key: str, relation: str, other_key: str, *, other_label: str | None = None
    ) -> None:
        """Take a relation away because it is wrong; the record says so and why.

        Raises: SchemaViolation without a reason; as `unlink`.
        """
        if not self._reason.strip():
            raise SchemaViolation(f"marking {relation} {other_key!r} of {key!r} wrong: say why (--reason)")
        if not self._reason.startswith("wrong: "):
            self._reason = f"wrong: {self._reason}"
        self.unlink(label, key, relation, other_key, other_label=other_label)

    def move(self, item: str, class_key: str, *, task: str | None = None) -> None:
        """Give an item another class: its relations of the task go, one to the new class comes.

        Raises: NodeNotFound, SchemaViolation.
        """
        label, relation, target = self.domain.task_edge_type(task)
        class_key = self.domain.canonical(target, class_key)
        self.read(target, class_key)
        ties = [t for t in self._ties(label, item) if t.outgoing and t.relation == relation]
        old = [tie for tie in ties if tie.other and tie.other[0] == target and tie.other[1] != class_key]
        self._must([self._tie_edit("delete_relation", tie, label, item) for tie in old])
        self.link(label, item, relation, class_key, other_label=target)

    def add_class(
        self,
        key: str,
        properties: Mapping[str, Any] | None = None,
        *,
        task: str | None = None,
        relations: Sequence[tuple[str, str]] = (),
        items: Sequence[str] = (),
    ) -> None:
        """A new class with its relations (type, other key) and, if any, its first items; `korvai refresh` ranks it.

        Raises: EditConflict, NodeNotFound, SchemaViolation.
        """
        target = self.domain.task(task)[1].target
        self.create_node(target, key, properties)
        for relation, other_key in relations:
            self.link(target, key, relation, other_key)
        for item in items:
            self.move(item, key, task=task)

    # -- reading ---------------------------------------------------------------------------------------------------

    def read(self, label: str, key: str) -> NodeState:
        """A node as it is, locked for the rest of the transaction. Raises: NodeNotFound."""
        return self.read_all(label, [key])[0]

    def read_all(self, label: str, keys: Sequence[str]) -> list[NodeState]:
        """Nodes in the order of their keys given. Raises: NodeNotFound."""
        statement = load("edits/read_nodes").fill(target=label, target_key=self._names.key(label))
        found = {row["key"]: row for row in self._tx.run(statement, keys=sorted(set(keys)))}
        if missing := [key for key in keys if key not in found]:
            node_type = self.domain.node_type(label) if label in self.domain.node_types else None
            key_name = node_type.key if node_type else "key"
            raise NodeNotFound(f"{label} {missing[0]!r}: not in the graph; its id is its {key_name}, spelt exactly so")
        return [
            NodeState(label, key, tuple(row["labels"]), dict(zip(row["names"], row["values"], strict=True)))
            for key in keys
            for row in [found[key]]
        ]

    # -- beneath ---------------------------------------------------------------------------------------------------

    def _write_property(self, label: str, key: str, name: str, value: Any) -> None:
        before = self.read(label, key).properties.get(name)
        if before == value and type(before) is type(value):
            self.notes.append(f"{label} {key!r}: {name} is {value!r} already")
            return
        kind: Kind = "remove_property" if value is None else "set_property"
        self._must([self._edit(kind, label, key, key_=name, old=encode(before), new=encode(value))])

    def _ties(self, label: str, key: str) -> list[_Tie]:
        self.read(label, key)
        statement = load("edits/read_relations").fill(target=label, target_key=self._names.key(label))
        key_names = self._names.names
        ties = []
        for row in self._tx.run(statement, key=key, key_names=key_names):
            values = dict(zip(key_names, row["keys"], strict=True))
            other = self._names.of(row["labels"], values)
            ties.append(_Tie(row["relation"], row["outgoing"], row["properties"], tuple(row["labels"]), other))
        return ties

    def _tie_edit(self, kind: Kind, tie: _Tie, label: str, key: str) -> Edit:
        if tie.other is None:
            raise SchemaViolation(
                f"{label} {key!r}: its {tie.relation} leads to a node without a key ({', '.join(tie.other_labels)}), "
                "which undo could not find again; remove that relation in Browser first"
            )
        source, source_key, relation, target, target_key = tie.ends(label, key)
        side = {"new" if kind == "create_relation" else "old": encode(dict(tie.properties))}
        return self._edit(kind, source, source_key, to=(relation, target, target_key), **side)

    def _merge_relations(self, label: str, keep: str, duplicate: str) -> None:
        """Give `keep` the relations of `duplicate`, but those that it has, and a second class of a task."""
        mine = {tie.ends(label, keep)[:5]: tie for tie in self._ties(label, keep) if tie.other}
        classes = {
            (relation, target)
            for source, relation, target in map(self.domain.task_edge_type, self.domain.tasks)
            if source == label
        }
        taken = {(end[2], end[3]) for end in mine if end[:2] == (label, keep)}
        created: list[Edit] = []
        for tie in self._ties(label, duplicate):
            if tie.other is None or tie.other == (label, keep):
                continue
            ends = tie.ends(label, keep)
            if ends in mine:
                self._fill_relation(mine[ends], tie, label, keep)
            elif tie.outgoing and (ends[2], ends[3]) in classes & taken:
                self.notes.append(f"{ends[2]} {ends[4]!r} of {duplicate!r} is not taken over: {keep!r} has another one")
            else:
                created.append(self._tie_edit("create_relation", tie, label, keep))
                mine[ends] = tie
        self._must(sorted(created, key=lambda e: (e.target_type, e.relation or "", e.other_type or "")))

    def _fill_relation(self, mine: _Tie, theirs: _Tie, label: str, keep: str) -> None:
        """Properties that only the duplicate's relation has."""
        source, source_key, *to = mine.ends(label, keep)
        for name in sorted(set(theirs.properties) - set(mine.properties)):
            value = encode(theirs.properties[name])
            self._must([self._edit("set_property", source, source_key, key_=name, new=value, to=(to[0], to[1], to[2]))])

    def _merged_properties(self, kept: NodeState, gone: NodeState) -> dict[str, Any]:
        """What the kept node gets from the other one."""
        known, key = self.domain.node_type(kept.label).properties, self.domain.node_type(kept.label).key
        merged: dict[str, Any] = {}
        for name, value in gone.properties.items():
            here = kept.properties.get(name)
            if name == key:
                continue
            if here is None:
                merged[name] = value
            elif isinstance(here, list) and isinstance(value, list):
                merged[name] = [*here, *(part for part in value if part not in here)]
            elif here != value:
                self.notes.append(f"{name} stays {here!r}; {gone.key!r} had {value!r}, which the record keeps")
        if known.get("aliases") == "LIST<STRING>":
            aliases = merged.get("aliases", kept.properties.get("aliases") or [])
            merged["aliases"] = aliases if gone.key in aliases else [*aliases, gone.key]
        return merged

    def _edit(
        self,
        kind: Kind,
        label: str,
        key: str,
        *,
        key_: str | None = None,
        old: str | None = None,
        new: str | None = None,
        to: tuple[str, str, str] | None = None,
    ) -> Edit:
        relation, other_type, other_key = to or (None, None, None)
        return Edit(
            id=new_id(),
            at=self._at,
            who=self._who,
            reason=self._reason,
            batch=self.batch,
            kind=kind,
            key=key_,
            old=old,
            new=new,
            target_type=label,
            target_key=key,
            relation=relation,
            other_type=other_type,
            other_key=other_key,
        )

    def _do(self, edits: list[Edit]) -> list[Edit]:
        """Apply and note; those that the graph's state refuses come back."""
        self._at += _STEP  # edits of one block keep their order
        edits = [replace(edit, at=self._at) for edit in edits]
        refused = apply(self._tx, self._names, edits)
        if not refused:
            self.edits += edits
        return refused

    def _must(self, edits: list[Edit]) -> None:
        if edits and (refused := self._do(edits)):
            first = refused[0]
            raise EditConflict(
                f"{first.kind} {first.target_type} {first.target_key!r}: the graph changed in between; nothing was "
                "written, try again"
            )
