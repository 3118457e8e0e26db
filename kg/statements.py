"""How does a person run a saved statement: which names go into its slots, what do typed values mean, how is it pasted?

Slots are filled from the domain file (`item`, `item_key`, and the task's `relation`, `class`, `class_key`) and from the
active embedding set (`image_property`, `image_index`, `class_property`); any other one must be given.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cypher import Field, Statement, StatementFileError, literal, load
from kg.errors import StatementError
from kg.graph import Graph
from kg.publishing.activation import active_set
from kg.schema import OVERLAY_LABELS, Domain, load_domain

__all__ = ["SET_SLOTS", "browser_text", "parse_values", "statement_for"]

_OF_THE_TASK = ("relation", "class", "class_key")
SET_SLOTS = frozenset({"image_property", "image_index", "class_property"})
"""Slots that only the active embedding set can fill."""


def statement_for(
    graph: Graph | None,
    name: str,
    domain: Domain | str,
    task: str | None = None,
    *,
    slots: Mapping[str, str] | None = None,
) -> Statement:
    """The saved statement with its slots filled; `slots` wins over what domain and active set say.

    `graph` is asked only where a slot belongs to the active set.
    Raises: StatementError (unknown statement, slot without a value), SchemaViolation (unknown task), NodeNotFound.
    """
    domain = load_domain(domain) if isinstance(domain, str) else domain
    try:
        statement = load(name)
        wanted = [slot.name for slot in statement.slots]
        _refuse_strangers(statement, domain, slots or {})
        known = {**_names(graph, domain, task, wanted), **(slots or {})}
        if missing := [slot for slot in wanted if slot not in known]:
            raise StatementError(f"{name}: nothing says what its slots {missing} are; give --slot {missing[0]}=NAME")
        return statement.fill(**{slot: known[slot] for slot in wanted})
    except StatementFileError as error:
        raise StatementError(str(error)) from error


def parse_values(
    statement: Statement, typed: Mapping[str, str], defaults: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Values of all parameters: typed texts by the header's types, else `defaults`, else the header's own default.

    Raises: StatementError for an unknown or missing parameter, or a text that is not of its type or range.
    """
    fields = {field.name: field for field in statement.params}
    takes = ", ".join(f"{field.name} ({field.type})" for field in fields.values()) or "none"
    if unknown := sorted(set(typed) - set(fields)):
        raise StatementError(f"{statement.name}: no parameter {unknown[0]!r}; it takes {takes}")
    values = {name: value for name, value in (defaults or {}).items() if name in fields}
    values |= {name: _parse(statement, fields[name], text) for name, text in typed.items()}
    for name, field in fields.items():
        if name not in values and field.default is not None:
            values[name] = _parse(statement, field, field.default.rstrip(",;.").strip("'"))
    if missing := [name for name in fields if name not in values]:
        raise StatementError(f"{statement.name}: --param {missing[0]}=… is missing; it takes {takes}")
    return values


def browser_text(statement: Statement, values: Mapping[str, Any], *, inline: bool = False) -> str:
    """The statement as Neo4j Browser takes it in one paste: `:param` lines before it, or values in their places.

    Raises: StatementError when a value cannot be written in Cypher.
    """
    try:
        if inline:
            return f"// {statement.name}: {statement.summary}\n{statement.with_values(values)};"
        lines = [f":param {param.name} => {literal(values[param.name])};" for param in statement.params]
        return "\n".join([*lines, f"{statement.text};"])
    except StatementFileError as error:
        raise StatementError(str(error)) from error


def _names(graph: Graph | None, domain: Domain, task: str | None, wanted: list[str]) -> dict[str, str]:
    names = {"item": domain.item, "item_key": domain.node_type(domain.item).key}
    if set(wanted) & set(_OF_THE_TASK):
        asked = domain.task(task)[1]
        names |= {"relation": asked.relation, "class": asked.target, "class_key": domain.node_type(asked.target).key}
    if graph is not None and set(wanted) & SET_SLOTS:
        active = active_set(graph, domain, task)
        names |= {slot: getattr(active, slot) for slot in SET_SLOTS}
    return names


def _refuse_strangers(statement: Statement, domain: Domain, slots: Mapping[str, str]) -> None:
    kinds = {slot.name: slot.type for slot in statement.slots}
    for slot, value in slots.items():
        if slot not in kinds:
            raise StatementError(f"{statement.name}: no slot {slot!r}; it has {', '.join(kinds) or 'none'}")
        known = {"node_type": {*domain.node_types, *OVERLAY_LABELS}, "relation": {r.type for r in domain.relations}}
        if value not in known.get(kinds[slot], {value}):
            raise StatementError(
                f"{statement.name}: {value!r} is no {kinds[slot]} of {domain.domain}; slot {slot} wants one"
            )


def _parse(statement: Statement, field: Field, text: str) -> Any:
    try:
        value = _typed(field.type, text)
    except ValueError as error:
        raise StatementError(f"{statement.name}: {field.name} is {text[:60]!r}, must be {field.type}") from error
    limits = re.search(r"(-?\d+)\.\.(-?\d+)", field.note)
    if limits and isinstance(value, int | float) and not int(limits[1]) <= value <= int(limits[2]):
        raise StatementError(f"{statement.name}: {field.name} is {text}, must be {limits[0].replace('..', ' to ')}")
    return value


def _typed(type_name: str, text: str) -> Any:
    """The value of a text. Raises: ValueError."""
    if type_name == "STRING":
        return text
    if type_name == "INTEGER":
        return int(text)
    if type_name == "FLOAT":
        return float(text)
    if type_name == "BOOLEAN":
        return {"true": True, "false": False}[text.lower()] if text.lower() in ("true", "false") else _not_a("boolean")
    value = json.loads(_file_or_text(text))
    if not isinstance(value, list if type_name.startswith("LIST") else dict if type_name.startswith("MAP") else object):
        _not_a(type_name)
    return value


def _file_or_text(text: str) -> str:
    """`@FILE` stands for what is in the file, for vectors and lists too long to type."""
    try:
        return Path(text[1:]).read_text(encoding="utf-8") if text.startswith("@") else text
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise StatementError(f"--param …={text}: cannot be read ({reason}); name a JSON file") from error


def _not_a(what: str) -> Any:
    raise ValueError(f"not a {what}")
