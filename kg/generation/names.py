"""What are invented artists, towns, museums and paintings called, each by a name of its own?

Names are put together from the words of data/artgraph/invented_names.yaml by patterns such as "{thing} in {City}",
column by column: a million of them take a second.
"""

from __future__ import annotations

import math
import re
import string
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import yaml

__all__ = ["capacity", "capitalised", "invent", "joined", "patterns", "words"]

Words = Mapping[str, pa.StringArray]

_FILE = Path(__file__).resolve().parents[2] / "data" / "artgraph" / "invented_names.yaml"
_SPARE = 1.1
"""More are drawn than asked for: a few come out alike, or say the same word twice."""


def patterns(kind: str) -> list[str]:
    """What names of a label, or `titles`, look like."""
    return _read()["patterns"][kind]


@cache
def words() -> Words:
    """Word lists by name."""
    return {name: pa.array(entries, pa.string()) for name, entries in _read().items() if name != "patterns"}


def invent(
    forms: Sequence[str], lists: Words, count: int, rng: np.random.Generator, *, upper: bool = False
) -> pa.StringArray:
    """`count` distinct names: all of the first form before any of the second; numbered when even the last runs out."""
    names = pa.array([], pa.string())
    for form in forms:
        if len(names) < count:
            drawn = _draw(form, lists, count - len(names), rng)
            names = pc.unique(pa.concat_arrays([names, capitalised(drawn) if upper else drawn]))
    first, number = names, 2
    while len(names) < count:
        names = pc.unique(pa.concat_arrays([names, joined(first, f" {number}")]))
        number += 1
    return names.slice(0, count)


def joined(*parts: pa.StringArray | str) -> pa.StringArray:
    """Texts written one after the other, row by row; a `str` stands in every row."""
    return pc.binary_join_element_wise(*(pa.scalar(part) if isinstance(part, str) else part for part in parts), "")


def capitalised(names: pa.StringArray) -> pa.StringArray:
    """The same with a capital in front."""
    return joined(pc.utf8_upper(pc.utf8_slice_codeunits(names, 0, 1)), pc.utf8_slice_codeunits(names, 1))


def capacity(form: str, lists: Words) -> int:
    """How many names a form gives, some of which may be alike."""
    return math.prod(len(lists[_list_name(field)]) for _, field, _, _ in string.Formatter().parse(form) if field)


@cache
def _read() -> dict:
    return yaml.safe_load(_FILE.read_text(encoding="utf-8"))


def _draw(form: str, lists: Words, count: int, rng: np.random.Generator) -> pa.StringArray:
    """About `count` names of one form, fewer where it does not give as many."""
    parts = [(text, field) for text, field, _, _ in string.Formatter().parse(form)]
    fields = [field for _, field in parts if field]
    sizes = [len(lists[_list_name(field)]) for field in fields]
    size = min(capacity(form, lists), int(count * _SPARE) + 8)
    codes = rng.choice(capacity(form, lists), size=size, replace=False, shuffle=True)
    chosen = dict(zip(fields, np.unravel_index(codes, sizes), strict=True))
    different = np.ones(len(codes), bool)
    for field in fields:
        if field != _list_name(field):
            different &= chosen[field] != chosen[_list_name(field)]
    columns: list[pa.StringArray | str] = []
    for text, field in parts:
        columns.append(text)
        if field:
            columns.append(lists[_list_name(field)].take(pa.array(chosen[field][different])))
    return joined(*columns)


def _list_name(field: str) -> str:
    """`thing2` draws from the list `thing`, and differs from `{thing}`."""
    return re.sub(r"\d$", "", field)
