"""What is the text of a node? Its domain's template with its properties, without what is missing."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from functools import cache
from typing import Any

__all__ = ["node_text"]

_CLAUSE_END = re.compile(r"(?<=[,.;])\s+")
_TIDY = (
    (re.compile(r"\s+"), " "),
    (re.compile(r"\(\s*\)|\[\s*\]"), ""),
    (re.compile(r"\s+([,.;:!?])"), r"\1"),
    (re.compile(r"[,;]+([,;.])"), r"\1"),
    (re.compile(r"(?<!\.)\.\.(?!\.)"), "."),
    (re.compile(r"\s{2,}"), " "),
)


def node_text(template: str, properties: Mapping[str, Any], *, otherwise: str) -> str:
    """The filled template, or `otherwise` where nothing of it is left.

    A clause (up to a comma, semicolon or full stop) all of whose fields are missing is left out: "{name}, born {birth}
    {birth_place}." makes "Amrita Sher-Gil." and never "Amrita Sher-Gil, born."
    """
    values = {name: _as_text(value) for name, value in properties.items()}
    kept: list[str] = []
    for clause, fields in _clauses(template):
        if not fields or any(values.get(field) for field in fields):
            kept.append(clause.format_map(_Blank(values)))
        elif kept and clause[-1] in ".;":
            kept[-1] = kept[-1].rstrip(",; ") + clause[-1]
    return _tidy(" ".join(kept)) or otherwise


class _Blank(dict):
    def __missing__(self, _: str) -> str:
        return ""


@cache
def _clauses(template: str) -> list[tuple[str, tuple[str, ...]]]:
    formatter = string.Formatter()
    return [
        (clause, tuple(field for _, field, _, _ in formatter.parse(clause) if field))
        for clause in _CLAUSE_END.split(template)
        if clause
    ]


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return ", ".join(_as_text(part) for part in value)
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _tidy(text: str) -> str:
    for pattern, replacement in _TIDY:
        text = pattern.sub(replacement, text)
    return text.strip(" ,;")
