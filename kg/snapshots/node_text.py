"""What is the text of a node? Its domain's template with its properties, without what is missing."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["node_text", "node_texts"]

_UNTIDY = (
    r"^$|^[ ,;]|[ ,;]$|  |[\x00-\x1f\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}]"
    r"|\( ?\)|\[ ?\]| [,.;:!?]|[,;][,;.]|\.\."
)
"""What a text that `_tidy` would change has somewhere; Arrow's \\s knows few of the blanks that Python's knows."""

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
    fields = tuple(properties)
    columns = [[value] for value in properties.values()] or [[None]]
    (text,) = node_texts(template, fields, columns, otherwise=otherwise).to_pylist()
    return text


def node_texts(template: str, fields: Sequence[str], columns: Sequence[Sequence[Any]], *, otherwise: str) -> pa.Array:
    """The texts of many nodes, of which each column holds the values of one of `fields`; see `node_text`."""
    texts = {name: _texts(column) for name, column in zip(fields, columns, strict=False)}
    shape = np.zeros(len(columns[0]), np.int64)
    for place, column in enumerate(texts.values()):
        shape |= pc.not_equal(column, "").to_numpy(zero_copy_only=False).astype(np.int64) << place
    pieces, order = [pa.array([], pa.large_string())], [np.zeros(0, np.int64)]
    for present in np.unique(shape).tolist():
        alike = np.flatnonzero(shape == present)
        plan = _plan(template, frozenset(name for place, name in enumerate(fields) if present >> place & 1))
        pieces.append(_filled(plan, texts, alike))
        order.append(alike)
    return _tidied(pa.concat_arrays(pieces).take(pa.array(np.argsort(np.concatenate(order)))), otherwise)


def _texts(column: Sequence[Any]) -> pa.Array:
    """Most columns hold nothing but texts or nothing but whole numbers, which Arrow writes as Python does."""
    try:
        alike = pa.array(column)
    except (pa.ArrowException, OverflowError):
        alike = None
    if isinstance(alike, pa.Array) and alike.type in (pa.string(), pa.int64(), pa.null()):
        return pc.fill_null(alike.cast(pa.large_string()), "")
    return pa.array([value if type(value) is str else _as_text(value) for value in column], pa.large_string())


def _filled(plan: str, texts: Mapping[str, pa.Array], rows: np.ndarray) -> pa.Array:
    """The template's text with the values of some rows."""
    parts: list[Any] = []
    for literal, field, spec, conversion in string.Formatter().parse(plan):
        parts.append(pa.scalar(literal, pa.large_string()))
        if spec or conversion or (field is not None and not field.isidentifier()):
            columns = {name: column.take(pa.array(rows)).to_pylist() for name, column in texts.items()}
            lines = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
            return pa.array([plan.format_map(_Blank(line)) for line in lines], pa.large_string())
        if field in texts:
            parts.append(texts[field].take(pa.array(rows)))
    if not any(isinstance(part, pa.Array) for part in parts):
        return pa.array(["".join(part.as_py() for part in parts)] * len(rows), pa.large_string())
    return pc.binary_join_element_wise(*parts, pa.scalar("", pa.large_string()))


class _Blank(dict):
    def __missing__(self, _: str) -> str:
        return ""


@cache
def _plan(template: str, present: frozenset[str]) -> str:
    """The clauses that stay when only these fields are there."""
    kept: list[str] = []
    for clause, fields in _clauses(template):
        if not fields or present & set(fields):
            kept.append(clause)
        elif kept and clause[-1] in ".;":
            kept[-1] = kept[-1].rstrip(",; ") + clause[-1]
    return " ".join(kept)


@cache
def _clauses(template: str) -> list[tuple[str, tuple[str, ...]]]:
    formatter = string.Formatter()
    return [
        (clause, tuple(field for _, field, _, _ in formatter.parse(clause) if field))
        for clause in _CLAUSE_END.split(template)
        if clause
    ]


def _tidied(texts: pa.Array, otherwise: str) -> pa.Array:
    """Few texts need tidying, so all are looked through at once and those few are tidied one by one.

    Not those that merely end in a blank, as every text does whose last field is missing.
    """
    texts = pc.utf8_trim(texts, " ")
    untidy = pc.match_substring_regex(texts, _UNTIDY)
    if not pc.any(untidy).as_py():
        return texts
    tidy = [_tidy(text) or otherwise for text in texts.filter(untidy).to_pylist()]
    return pc.replace_with_mask(texts, untidy, pa.array(tidy, pa.large_string()))


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    if type(value) is int:
        return str(value)
    if isinstance(value, list | tuple):
        return ", ".join(_as_text(part) for part in value)
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _tidy(text: str) -> str:
    for pattern, replacement in _TIDY:
        text = pattern.sub(replacement, text)
    return text.strip(" ,;")
