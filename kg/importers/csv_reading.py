"""How is a table read that people made: compressed or not, with marks, stray quotes, wrong bytes and ragged rows?

Every record knows the physical line on which it begins. A record that cannot be taken is reported and costs one line,
never the rest of the file: when a stray quote has swallowed the lines after it, reading starts again on the second of
them.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TextIO

from kg.errors import SchemaViolation
from kg.importers.tables import Where

__all__ = ["Record", "read_header", "read_table"]

Complain = Callable[[Where, str], None]

_UNDECODED = re.compile("[\udc80-\udcff]")
_LONGEST_RECORD_LINES = 1_000
"""A quoted field may span lines; one that spans more is a stray quote."""

_LONGEST_LINE_CHARACTERS = 16_000_000
"""A longer one is no table's: reading it would only fill the memory."""


class Record(NamedTuple):
    """One row: column name -> text, stripped."""

    cells: dict[str, str]
    where: Where


def read_table(
    path: Path,
    complain: Complain,
    *,
    needed: tuple[str, ...] = (),
    delimiter: str = ",",
    encoding: str = "utf-8",
    quote: str = '"',
) -> Iterator[Record]:
    """The rows of a CSV file (`.gz` too) under its header; bad rows go to `complain`.

    Raises: SchemaViolation when the file is missing or empty, the encoding unknown, a needed column absent, or a
    delimiter or quote not one character.
    """
    _check_form(path, delimiter=delimiter, quote=quote)
    with _opened(path, encoding) as text:
        records = _records(_Lines(text), path, complain, delimiter=delimiter, quote=quote)
        first = next(records, None)
        if first is None:
            raise SchemaViolation(f"{path}: the file is empty; its first line must name the columns")
        header = _header(path, first[1], needed)
        for line, row in records:
            if len(row) == len(header):
                yield Record(dict(zip(header, map(str.strip, row), strict=True)), Where(str(path), line))


def read_header(path: Path, *, delimiter: str = ",", encoding: str = "utf-8", quote: str = '"') -> list[str]:
    """The column names of a CSV file.

    Raises: SchemaViolation, see `read_table`.
    """
    _check_form(path, delimiter=delimiter, quote=quote)
    with _opened(path, encoding) as text:
        first = next(_records(_Lines(text), path, lambda *_: None, delimiter=delimiter, quote=quote), (1, []))
        return _header(path, first[1], ())


def _check_form(path: Path, *, delimiter: str, quote: str) -> None:
    for what, sign in (("delimiter", delimiter), ("quote", quote)):
        if len(sign) != 1 or sign in "\r\n":
            raise SchemaViolation(f"{path}: the {what} is {sign!r}; give one character, such as ',' ';' or a tab")


class _Lines:
    """Lines of a file with their numbers, that can be put back."""

    def __init__(self, text: TextIO) -> None:
        self._text, self._back, self.number, self.taken = text, deque(), 0, []

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if len(self.taken) >= _LONGEST_RECORD_LINES:
            raise csv.Error(f"a quoted field spans more than {_LONGEST_RECORD_LINES} lines")
        line = self._back.popleft() if self._back else self._text.readline(_LONGEST_LINE_CHARACTERS)
        if not line:
            raise StopIteration
        self.number += 1
        self.taken.append(line)
        if len(line) == _LONGEST_LINE_CHARACTERS:
            self._skip_line()
        return line

    def _skip_line(self) -> None:
        """Pass over the rest of a line that is too long. Raises: csv.Error."""
        while (rest := self._text.readline(_LONGEST_LINE_CHARACTERS)) and not rest.endswith(("\n", "\r")):
            pass
        self.taken[-1] = ""
        raise csv.Error(f"the line is longer than {_LONGEST_LINE_CHARACTERS:,} characters; is this a table?")

    def put_back(self) -> None:
        """Give back all lines of the current record but its first."""
        self._back.extendleft(reversed(self.taken[1:]))
        self.number -= len(self.taken) - 1


def _records(
    lines: _Lines, path: Path, complain: Complain, *, delimiter: str, quote: str
) -> Iterator[tuple[int, list[str]]]:
    """(line, fields) of each record; the first one gives the number of columns that all must have."""
    width = None
    while True:
        lines.taken, start = [], lines.number + 1
        try:
            row = next(csv.reader(lines, delimiter=delimiter, quotechar=quote, strict=True))
            reason = _fault(lines.taken, row, width)
        except StopIteration:
            return
        except csv.Error as error:
            row, reason = [], f"cannot be read as CSV ({error})"
        except (EOFError, zlib.error, OSError) as error:
            complain(Where(str(path), start), f"the file ends here: its compression is damaged ({error})")
            return
        if reason:
            complain(Where(str(path), start), f"{reason}; the row is left out")
            lines.put_back()
        elif row:
            width = width or len(row)
            yield start, row


def _fault(taken: list[str], row: list[str], width: int | None) -> str:
    undecoded = next((m for m in map(_UNDECODED.search, taken) if m), None)
    if undecoded:
        return f"byte 0x{ord(undecoded[0]) - 0xDC00:02x} is not text in this encoding (another one? `encoding: cp1252`)"
    if row and width and len(row) != width:
        spread = f" over {len(taken)} lines (a stray quote?)" if len(taken) > 1 else ""
        return f"{len(row)} fields{spread}, the header has {width}"
    return ""


def _header(path: Path, row: list[str], needed: tuple[str, ...]) -> list[str]:
    header = [name.strip() for name in row]
    if absent := [name for name in needed if name not in header]:
        raise SchemaViolation(f"{path}: no column {', '.join(map(repr, absent))}; the file has {', '.join(header)}")
    if repeated := sorted({name for name in header if header.count(name) > 1}):
        raise SchemaViolation(f"{path}: the columns {', '.join(map(repr, repeated))} occur twice; rename one")
    return header


@contextmanager
def _opened(path: Path, encoding: str) -> Iterator[TextIO]:
    try:
        raw = gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # noqa: SIM115 (closed below)
    except OSError as error:
        raise SchemaViolation(f"{path}: cannot be read ({error.strerror}); check the path") from error
    with raw:
        # Wrong bytes become lone surrogates, so that the line they stand on can be named instead of ending the file.
        codec = "utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding
        try:
            text = io.TextIOWrapper(raw, encoding=codec, errors="surrogateescape", newline="")
        except LookupError as error:
            raise SchemaViolation(f"{path}: there is no encoding {encoding!r}; try utf-8, cp1252 or utf-16") from error
        yield text
