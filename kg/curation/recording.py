"""How do edits get into the graph: checked against what they saw, applied and recorded in one transaction?

An edit is applied only where the graph still is as the edit says it was (`old`); every statement answers with the ids
of those that it applied, so nothing is overwritten that somebody changed in between. Edits of one kind are one
statement, however many there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby
from typing import Any

from cypher import load
from kg import failpoints
from kg.changes.edit_record import Edit
from kg.curation.addresses import Addresses
from kg.errors import SchemaViolation
from kg.graph import Graph, Transaction

__all__ = ["apply", "inverse", "one_transaction", "record"]

_STATEMENTS = {
    "create_node": "create_nodes",
    "delete_node": "delete_nodes",
    "set_property": "set_properties",
    "remove_property": "set_properties",
    "add_label": "add_labels",
    "remove_label": "remove_labels",
    "create_relation": "create_relations",
    "delete_relation": "delete_relations",
}
_INVERSE = {
    "create_node": "delete_node",
    "delete_node": "create_node",
    "add_label": "remove_label",
    "remove_label": "add_label",
    "create_relation": "delete_relation",
    "delete_relation": "create_relation",
}
_ROWS_A_STATEMENT = 5_000
VECTOR_PREFIX = "embedding_"


class _RolledBack(Exception):
    """Ends a preview's transaction."""


@contextmanager
def one_transaction(graph: Graph, name: str, *, dry_run: bool) -> Iterator[Transaction]:
    """A transaction that is rolled back at its end when nothing is to be written: a preview does the real thing.

    Raises: EditConflict and what statements raise; nothing is written then.
    """
    try:
        with graph.transaction(name) as tx:
            yield tx
            failpoints.reach("curation.before_commit")
            if dry_run:
                raise _RolledBack
    except _RolledBack:
        return


def apply(tx: Transaction, names: Addresses, edits: Sequence[Edit]) -> list[Edit]:
    """Apply edits in their order; those that the graph's state refuses come back, and the caller ends the transaction.

    Stops after the first group in which one was refused: later ones may build on it.
    """
    for _, group in groupby(edits, key=_group_key):
        chunk = list(group)
        for start in range(0, len(chunk), _ROWS_A_STATEMENT):
            part = chunk[start : start + _ROWS_A_STATEMENT]
            if refused := _apply_alike(tx, names, part):
                return refused
            failpoints.reach("curation.between_statements")
    return []


def record(
    tx: Transaction, names: Addresses, edits: Sequence[Edit], *, undoes: dict[str, str] | None = None
) -> list[Edit]:
    """Write the edits' nodes; `undoes` maps an edit's id to the id of the one it takes back. The edits as written."""
    written = [_renamed(names, edit) for edit in edits]
    for target, group in groupby(sorted(written, key=lambda e: e.target_type), key=lambda e: e.target_type):
        rows = [
            {"properties": e.properties(), "target_key": e.target_key, "undoes": (undoes or {}).get(e.id)}
            for e in group
        ]
        statement = load("edits/record").fill(target=target, target_key=names.key(target))
        for start in range(0, len(rows), _ROWS_A_STATEMENT):
            tx.run(statement, rows=rows[start : start + _ROWS_A_STATEMENT])
    _attach(tx, names, written)
    return written


def inverse(edit: Edit, **changes: Any) -> Edit:
    """The edit that takes one back.

    Raises: SchemaViolation where the edit does not say what it was about.
    """
    if edit.target_key is None or (edit.relation is not None and edit.other_key is None):
        raise SchemaViolation(
            f"edit {edit.id}: it is about a node without a key ({edit.target_type}), which cannot be found again; "
            "change it back in Browser"
        )
    kind = _INVERSE.get(edit.kind) or ("remove_property" if edit.old is None else "set_property")
    return replace(edit, kind=kind, old=edit.new, new=edit.old, tx=None, through="korvai", **changes)


def _apply_alike(tx: Transaction, names: Addresses, edits: list[Edit]) -> list[Edit]:
    """Edits of one kind, label and relation; those that were refused."""
    first = edits[0]
    slots = {"target": first.target_type, "target_key": names.key(first.target_type)}
    name = _STATEMENTS[first.kind]
    if first.relation is not None:
        if first.other_type is None:
            raise SchemaViolation(f"edit {first.id}: it does not say what the relation {first.relation} leads to")
        slots |= {"relation": first.relation, "other": first.other_type, "other_key": names.key(first.other_type)}
        name = "set_relation_properties" if name == "set_properties" else name
    rows = tx.run(load(f"edits/{name}").fill(**slots), rows=[_row(names, edit) for edit in edits])
    done = {row["id"] for row in rows}
    return [edit for edit in edits if edit.id not in done]


def _row(names: Addresses, edit: Edit) -> dict[str, Any]:
    row = {"id": edit.id, "target_key": edit.target_key, "other_key": edit.other_key, "key": edit.key}
    old, new = edit.old_value, edit.new_value
    if edit.kind in ("create_node", "delete_node"):
        value = (new if edit.kind == "create_node" else old) or {}
        # Vectors belong to embedding sets that may be gone; a refresh computes them again.
        kept = {k: v for k, v in value.get("properties", {}).items() if not k.startswith(VECTOR_PREFIX)}
        # The trigger records no label of the overlay.
        labels = {*value.get("labels", []), *({"Class"} if edit.target_type in names.classes else ())}
        return {**row, "labels": sorted(labels), "properties": kept}
    if edit.kind in ("create_relation", "delete_relation"):
        return {**row, "properties": (new if edit.kind == "create_relation" else old) or {}}
    return {**row, "old": old, "new": new}


def _group_key(edit: Edit) -> tuple[object, ...]:
    # A later step sees what an earlier one wrote, so they are never one statement.
    return (edit.at, _STATEMENTS[edit.kind], edit.target_type, edit.relation, edit.other_type)


def _renamed(names: Addresses, edit: Edit) -> Edit:
    """An edit of the key itself is recorded under the key that the node has now, as the trigger does."""
    if edit.relation is None and edit.kind == "set_property" and edit.key == names.keys.get(edit.target_type):
        return replace(edit, target_key=str(edit.new_value))
    return edit


def _attach(tx: Transaction, names: Addresses, edits: Sequence[Edit]) -> None:
    """A node that came back gets its history back."""
    created = sorted({(e.target_type, e.target_key) for e in edits if e.kind == "create_node"})
    for target, group in groupby(created, key=lambda pair: pair[0]):
        statement = load("edits/attach").fill(target=target, target_key=names.key(target))
        tx.run(statement, target_type=target, keys=[key for _, key in group])
