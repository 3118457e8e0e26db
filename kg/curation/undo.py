"""How is an edit, or a batch of them, taken back, and when is that refused?

An edit is taken back only where the graph still is as the edit left it. A later edit that changed that is named, and
nothing is written: take that one back first, or both together as one batch. Taking back is itself edits, with
`(:Edit)-[:UNDOES]->(:Edit)`, so it can be taken back too. Edits that were typed as raw Cypher are no different, as far
as the trigger could see the old values.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from kg import failpoints
from kg.changes.edit_record import KINDS, Edit, in_order, new_id
from kg.curation.addresses import Addresses, addresses
from kg.curation.edits import os_user
from kg.curation.recording import apply, inverse, one_transaction, record
from kg.errors import EditConflict, NodeNotFound, SchemaViolation
from kg.graph import Graph, Transaction
from kg.schema import Domain

__all__ = ["Undone", "describe", "find_edits", "undo"]

_LONGEST_VALUE = 60
_STEP = dt.timedelta(microseconds=1)


@dataclass(frozen=True)
class Undone:
    """What was taken back: the inverse edits in the order of their making, and how many had been taken back before."""

    batch: str
    edits: list[Edit]
    before: int = 0


def undo(
    graph: Graph,
    *,
    edit: str | None = None,
    batch: str | None = None,
    domains: Sequence[Domain] = (),
    who: str | None = None,
    reason: str = "",
    dry_run: bool = False,
) -> Undone:
    """Take back one edit, or all of a batch that are in effect, in one transaction; `dry_run` only tries.

    Raises: NodeNotFound (no such edit), EditConflict (was taken back, or a later edit stands in the way: it is named),
    SchemaViolation (the record does not say enough).
    """
    names = addresses(domains)
    found = find_edits(graph, edit=edit, batch=batch)
    chosen = [e for e, undone_by in found if undone_by is None]
    if not chosen:
        what = f"edit {edit}" if edit else f"batch {batch}"
        raise EditConflict(f"undo: {what} was taken back already, by edit {found[0][1]}; undo that to have it again")
    _refuse_counts(chosen)
    made = f"undo-{new_id()[:8]}"
    at = graph.run("edits/clock")[0]["at"].to_native()
    back = _inverses(chosen, at=at, who=who or os_user(), reason=reason, batch=made)
    with one_transaction(graph, "korvai undo", dry_run=dry_run) as tx:
        _take_back(tx, names, back)
        failpoints.reach("curation.before_record")
        record(tx, names, [new for _, new in back], undoes={new.id: old.id for old, new in back})
    return Undone(made, [new for _, new in back], before=len(found) - len(chosen))


def find_edits(graph: Graph, *, edit: str | None = None, batch: str | None = None) -> list[tuple[Edit, str | None]]:
    """The edits of an id or a batch, each with the edit that took it back.

    Raises: NodeNotFound, SchemaViolation when neither or both are given.
    """
    if (edit is None) == (batch is None):
        raise SchemaViolation(
            "undo: give either the id of an edit or --batch with a batch's; `korvai edits` lists both"
        )
    rows = graph.run("edits/find", ids=[edit] if edit else [], batches=[batch] if batch else [])
    if not rows:
        what = f"edit {edit}" if edit else f"batch {batch}"
        raise NodeNotFound(f"undo: there is no {what}; `korvai edits` lists what was recorded")
    return [(Edit.from_properties(row["properties"]), row["undone_by"]) for row in rows]


def describe(edit: Edit) -> str:
    """One line for a person."""
    node = f"{edit.target_type} {edit.target_key!r}"
    if edit.relation is not None:
        node += f" -[{edit.relation}]-> {edit.other_type} {edit.other_key!r}"
    verb = edit.kind.replace("_", " ")
    if edit.kind in ("set_property", "remove_property"):
        return f"{verb} {edit.key} of {node}: {_short(edit.old)} => {_short(edit.new)}"
    return f"{verb} {edit.key} of {node}" if edit.key else f"{verb} {node}"


def _inverses(edits: Sequence[Edit], *, at: dt.datetime, who: str, reason: str, batch: str) -> list[tuple[Edit, Edit]]:
    """Each edit, last first, with the one that takes it back; every step has a time of its own, to keep the order."""
    back = []
    for number, step in enumerate(_backwards(edits)):
        common = {"at": at + number * _STEP, "who": who, "batch": batch}
        back += [(e, inverse(e, id=new_id(), reason=reason or f"undo of {e.id}", **common)) for e in step]
    return back


def _take_back(tx: Transaction, names: Addresses, back: Sequence[tuple[Edit, Edit]]) -> None:
    refused = apply(tx, names, [new for _, new in back])
    if not refused:
        return
    of = {new.id: old for old, new in back}
    first = of[refused[0].id]
    rows = tx.run("edits/later", id=first.id, without=[old.id for old, _ in back])
    later = [Edit.from_properties(row["properties"]) for row in rows]
    more = f" and {len(refused) - 1} more" if len(refused) > 1 else ""
    raise EditConflict(f"undo of edit {first.id} ({describe(first)}){more}: {_obstacle(later)}; nothing was written")


def _obstacle(later: Sequence[Edit]) -> str:
    if not later:
        return "the graph is no longer as it left it, and no record says why; look at the node in Browser"
    named = ", ".join(f"{e.id} ({describe(e)}, by {e.who}, {e.at:%Y-%m-%d %H:%M})" for e in later[:3])
    count = f" ({len(later)} of them)" if len(later) > 3 else ""
    return f"a later edit stands in the way{count}: {named}; undo that first"


def _backwards(edits: Sequence[Edit]) -> list[list[Edit]]:
    """Steps, last first; those of one step are of one kind, side by side by label and relation: one statement each."""
    steps: dict[tuple[object, ...], list[Edit]] = {}
    for edit in reversed(in_order(edits)):
        steps.setdefault((edit.at, edit.tx, KINDS.index(edit.kind)), []).append(edit)
    return [sorted(step, key=_what) for step in steps.values()]


def _what(edit: Edit) -> tuple[str, ...]:
    return (edit.target_type, edit.relation or "", edit.other_type or "", edit.target_key or "")


def _refuse_counts(edits: Sequence[Edit]) -> None:
    """A transaction so large that it was only counted cannot be taken back."""
    for edit in edits:
        if edit.target_key is None:
            raise SchemaViolation(
                f"undo of edit {edit.id} ({edit.kind} of {edit.target_type}): the record only counts, or its node has "
                "no key; restore a backup, or change it in Browser"
            )


def _short(text: str | None) -> str:
    if text is None:
        return "nothing"
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"
