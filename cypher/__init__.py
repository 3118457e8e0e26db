"""Which saved Cypher statements are there, and what does each take and give?

A statement is a file `<noun>/<verb_phrase>.cypher` whose header names its access, parameters, slots and columns:

    // images/nearest: the k images closest to a vector, best first
    // access: read
    // slot   item     node_type    label of the nodes that carry images
    // param  k        INTEGER      1..200
    // return image_id STRING       sha256 of the image

Values are always parameters. Labels, relationship types, properties and index names cannot be parameters in Cypher;
they stand as slots `«item»` and are filled, through the one escaping function here, with names from a checked domain.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal, LiteralString, cast

__all__ = ["Field", "Statement", "StatementFileError", "escape", "literal", "load", "names", "union_all"]

_ROOT = Path(__file__).parent
_FIELD = re.compile(r"^// (?P<kind>slot|param|return)\s+(?P<name>\w+)\s+(?P<type>\S+)\s*(?P<note>.*)$")
_SLOT = re.compile(r"«(\w+)»")
_STRING_OR_COMMENT = re.compile(r"//[^\n]*|'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|`[^`]*`")
_PARAM_OR_OTHER = re.compile(_STRING_OR_COMMENT.pattern + r"|\$(?P<name>\w+)")
SLOT_KINDS = ("node_type", "relation", "property", "index", "label_list")


class StatementFileError(ValueError):
    """A statement's file is missing, or its header and its text disagree."""


@dataclass(frozen=True)
class Field:
    """One slot, parameter or column: its name, type and a note for people."""

    name: str
    type: str
    note: str = ""

    @property
    def optional(self) -> bool:
        """Whether a parameter may be left out; its note then says `default VALUE`."""
        return "default " in self.note

    @property
    def default(self) -> str | None:
        """The default's text as the note has it."""
        found = re.search(r"default (\S+)", self.note)
        return found.group(1) if found else None


@dataclass(frozen=True)
class Statement:
    """A saved statement; immutable. `fill` returns a copy whose slots hold escaped names."""

    name: str
    summary: str
    text: LiteralString
    access: Literal["read", "write", "schema"]
    params: tuple[Field, ...]
    slots: tuple[Field, ...]
    returns: tuple[Field, ...]

    def fill(self, **slots: str | list[str]) -> Statement:
        """Put names into the slots, each escaped; a list becomes `A|B` (several labels or types).

        Raises: StatementFileError when a slot is missing or unknown.
        """
        wanted = {slot.name for slot in self.slots}
        if wanted != set(slots):
            raise StatementFileError(f"{self.name}: has the slots {sorted(wanted)}, was given {sorted(slots)}")
        text = _SLOT.sub(lambda match: _escape_all(slots[match.group(1)]), self.text)
        # The only place that makes a LiteralString out of a filled text: every part of it is a file's or escaped.
        return Statement(self.name, self.summary, cast(LiteralString, text), self.access, self.params, (), self.returns)

    def with_values(self, values: Mapping[str, Any]) -> str:
        """The text with values in place of its parameters, for a person to paste; Korvai itself never runs such a text.

        Raises: StatementFileError when a value is missing or cannot be written.
        """
        if missing := sorted({param.name for param in self.params} - set(values)):
            raise StatementFileError(f"{self.name}: no value for the parameters {missing}")
        return _PARAM_OR_OTHER.sub(lambda m: literal(values[m["name"]]) if m["name"] else m[0], self.text)


def escape(name: str) -> str:
    """A label, type, property or index name as Cypher wants it: in backticks, inner backticks doubled.

    Raises: StatementFileError for an empty name, one with a NUL character, or one with a unicode escape, which Cypher
    would decode before it looks for the closing backtick.
    """
    if not name or "\x00" in name or re.search(r"\\+u", name):
        raise StatementFileError(f"{name!r} cannot be a name in Cypher: it is empty, or holds NUL or a unicode escape")
    return "`" + name.replace("`", "``") + "`"


def literal(value: object) -> str:
    """A value as Cypher writes it.

    Raises: StatementFileError for what Cypher has no literal for.
    """
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return repr(value)
    if isinstance(value, str):
        # A backslash is cut off from a following u, since Cypher decodes unicode escapes before anything else.
        quoted = value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r")
        return "'" + quoted.replace("\\u", "\\' + 'u") + "'"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(literal(part) for part in value) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{escape(key)}: {literal(part)}" for key, part in value.items()) + "}"
    raise StatementFileError(f"{value!r} cannot be written as a value in Cypher")


def names() -> list[str]:
    """Names of all saved statements, sorted."""
    return sorted(path.relative_to(_ROOT).with_suffix("").as_posix() for path in _ROOT.rglob("*.cypher"))


def union_all(name: str, statements: Sequence[Statement]) -> Statement:
    """Several filled statements with the same columns as one, to ask all in one round trip.

    The parameter `x` of the statement at place 3 becomes `x_3`. Rows come in no order that may be relied on.
    Raises: StatementFileError for other columns, another access, or slots that are not filled.
    """
    first = statements[0]
    if any((s.access, [c.name for c in s.returns], s.slots) != (first.access, [c.name for c in first.returns], ())
           for s in statements):  # fmt: skip
        raise StatementFileError(f"{name}: {', '.join(s.name for s in statements)} differ in columns, access or slots")
    texts, params = [], []
    for place, statement in enumerate(statements):
        texts.append(
            _PARAM_OR_OTHER.sub(lambda m, place=place: f"${m['name']}_{place}" if m["name"] else m[0], statement.text)
        )
        params += [Field(f"{param.name}_{place}", param.type, param.note) for param in statement.params]
    text = cast(LiteralString, "\nUNION ALL\n".join(texts))
    return Statement(name, first.summary, text, first.access, tuple(params), (), first.returns)


@cache
def load(name: str) -> Statement:
    """Read the statement `noun/verb_phrase`.

    Raises: StatementFileError when there is none, naming the nearest, or when its header is malformed.
    """
    if name not in names():
        import difflib

        close = ", ".join(difflib.get_close_matches(name, names(), n=3))
        hint = f"nearest: {close}" if close else "`korvai cypher --list` shows all"
        raise StatementFileError(f"{name}: no such statement; {hint}")
    lines = (_ROOT / f"{name}.cypher").read_text(encoding="utf-8").splitlines()
    header = list(takewhile(lambda line: line.startswith("//"), lines))
    body = "\n".join(lines[len(header) :]).strip()
    summary, access = _first_lines(name, header)
    fields = _fields(name, header[2:])
    text = cast(LiteralString, body)
    statement = Statement(name, summary, text, access, fields["param"], fields["slot"], fields["return"])
    _check(statement)
    return statement


def _escape_all(value: str | list[str]) -> str:
    return escape(value) if isinstance(value, str) else "|".join(escape(part) for part in value)


def _first_lines(name: str, header: list[str]) -> tuple[str, Literal["read", "write", "schema"]]:
    title = f"// {name}: "
    if len(header) < 2 or not header[0].startswith(title) or not header[1].startswith("// access: "):
        raise StatementFileError(f"{name}: the header must begin with '{title}…' and '// access: read|write|schema'")
    access = header[1].removeprefix("// access: ").strip()
    if access not in ("read", "write", "schema"):
        raise StatementFileError(f"{name}: access is {access!r}, must be read, write or schema")
    return header[0].removeprefix(title), cast(Literal["read", "write", "schema"], access)


def _fields(name: str, header: list[str]) -> dict[str, tuple[Field, ...]]:
    found: dict[str, list[Field]] = {"slot": [], "param": [], "return": []}
    for line in header:
        match = _FIELD.match(line)
        if match:
            found[match["kind"]].append(Field(match["name"], match["type"], match["note"].strip()))
        elif re.match(r"^// (slot|param|return)\b", line):
            raise StatementFileError(f"{name}: cannot read the header line {line!r}")
    return {kind: tuple(fields) for kind, fields in found.items()}


def _check(statement: Statement) -> None:
    code = _STRING_OR_COMMENT.sub("", statement.text)
    for what, declared, used in (
        ("parameters", {f.name for f in statement.params}, set(re.findall(r"\$(\w+)", code))),
        ("slots", {f.name for f in statement.slots}, set(_SLOT.findall(statement.text))),
    ):
        if declared != used:
            raise StatementFileError(
                f"{statement.name}: the header declares the {what} {sorted(declared)}, the text uses {sorted(used)}"
            )
    for slot in statement.slots:
        if slot.type not in SLOT_KINDS:
            kinds = ", ".join(SLOT_KINDS)
            raise StatementFileError(f"{statement.name}: slot {slot.name} is a {slot.type!r}; kinds: {kinds}")
