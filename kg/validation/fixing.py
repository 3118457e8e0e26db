"""Which text mends a finding, ready for Neo4j Browser?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cypher import StatementFileError, load
from kg.statements import browser_text
from kg.validation.checks import Fix
from kg.validation.places import Place

__all__ = ["fix_text"]


def fix_text(fix: Fix, place: Place, row_place: str, example: Mapping[str, Any]) -> str:
    """The fix's statement with names and values in place, or its words."""
    if not fix.statement:
        return fix.words
    known = {**example, "place": row_place, "declared": place.declared.get(row_place, "")}
    if "label" in example:
        known["constraint"] = place.declared.get(str(example["label"]), "")
    try:
        statement = load(fix.statement if "/" in fix.statement else f"validate/{fix.statement}")
        named = {name: _value(slot, known) for name, slot in fix.slots.items()}
        slots = {slot.name: named.get(slot.name, place.slots.get(slot.name)) for slot in statement.slots}
        values = {name: _value(value, known) for name, value in fix.values.items()}
        return browser_text(statement.fill(**slots), values, inline=True)
    except StatementFileError:  # a name in the data that Cypher cannot write
        return f"korvai cypher {fix.statement} --show"


def _value(value: Any, known: Mapping[str, Any]) -> Any:
    return known.get(value[1:], value) if isinstance(value, str) and value.startswith("@") else value
