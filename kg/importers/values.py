"""Which values of a row can stand in the graph, and as which type?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, TypeVar

__all__ = ["WHITESPACE", "clean_key", "clean_properties", "in_batches"]

Item = TypeVar("Item")

_MAX_KEY_BYTES = 4_000
"""Neo4j's range index refuses keys of about 8 kB."""

WHITESPACE = "".join(chr(code) for code in range(0x3001) if chr(code).isspace())
"""What `str.strip` takes away, for those that trim whole columns."""

_INT64 = range(-(2**63), 2**63)
_TRUE, _FALSE = {"true", "yes", "y", "1"}, {"false", "no", "n", "0"}


def clean_key(value: Any) -> tuple[str, str]:
    """A key as the graph holds it, stripped, and why it cannot be one ("" when it can)."""
    key = value.strip() if isinstance(value, str) else "" if value is None else str(value)
    if not key:
        return "", "the key is empty"
    size = _utf8_size(key)
    if size < 0:
        return "", f"the key {key[:40]!r} is not valid text"
    if size > _MAX_KEY_BYTES:
        return "", f"the key is {size:,} bytes long, beginning {key[:40]!r}; keys have at most {_MAX_KEY_BYTES:,}"
    return key, ""


def clean_properties(properties: Mapping[str, Any], types: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Properties as the graph takes them (None and empty text left out), and complaints about those that it cannot."""
    good: dict[str, Any] = {}
    complaints: list[str] = []
    for name, value in properties.items():
        if value is None or value == "" or value == []:
            continue
        try:
            good[name] = _CONVERT[types[name]](value) if name in types else _as_it_is(value)
        except (ValueError, TypeError, OverflowError, KeyError):
            complaints.append(
                f"{name} is {str(value)[:60]!a}, which is not {types.get(name, 'a value that a graph holds')}"
            )
    return good, complaints


def in_batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of at most `size` items, in order."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else str(value)
    if _utf8_size(text) < 0:
        raise ValueError("lone surrogate")
    return text


def _integer(value: Any) -> int:
    number = int(float(value)) if isinstance(value, str) and value.strip().endswith(".0") else int(value)
    if number not in _INT64 or (isinstance(value, float) and value != number):
        raise ValueError("not a 64-bit integer")
    return number


def _boolean(value: Any) -> bool:
    word = str(value).strip().lower()
    if word not in _TRUE | _FALSE:
        raise ValueError("neither true nor false")
    return word in _TRUE


def _texts(value: Any) -> list[str]:
    return [_text(value)] if isinstance(value, str) else [_text(part) for part in value]


def _as_it_is(value: Any) -> Any:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return _integer(value)
    if not isinstance(value, list | tuple):
        raise TypeError("neither a value nor a list")
    parts = [_as_it_is(part) for part in value]
    if len({type(part) for part in parts}) != 1 or isinstance(parts[0], list):
        raise ValueError("a list in the graph holds one type")
    return parts


_CONVERT: dict[str, Callable[[Any], Any]] = {
    "STRING": _text,
    "INTEGER": _integer,
    "FLOAT": float,
    "BOOLEAN": _boolean,
    "LIST<STRING>": _texts,
}


def _utf8_size(text: str) -> int:
    """Bytes in UTF-8, -1 for text with lone surrogates, which no database takes."""
    if text.isascii():
        return len(text)
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        return -1
