"""What are the columns of a headerless csv file, and which of its lines are not as they should be?"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

__all__ = ["FileColumns", "read_columns"]

_BLOCK_BYTES = 8 << 20
_INT64 = range(-(2**63), 2**63)
_LONGEST_FIELD = 1 << 20


@dataclass(frozen=True)
class FileColumns:
    """Equally long columns, the line each row ends on, and the lines that were left out with the reason."""

    columns: dict[str, pa.Array]
    lines: np.ndarray
    faults: list[tuple[int, str]]


def read_columns(path: Path, types: Mapping[str, pa.DataType]) -> FileColumns:
    """Read a csv file without a header, also .gz; columns are texts or integers, and none may be missing."""
    try:
        table = _read_fast(path, types)
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError):
        return _read_slowly(path, types)
    columns = {name: table[name].combine_chunks() for name in types}
    if any(column.null_count for column in columns.values()) or not all(map(_is_plain, _texts(columns))):
        return _read_slowly(path, types)
    return FileColumns(columns, np.arange(1, table.num_rows + 1), [])


def _read_fast(path: Path, types: Mapping[str, pa.DataType]) -> pa.Table:
    if path.stat().st_size == 0:
        return pa.table({name: pa.array([], kind) for name, kind in types.items()})
    return pa.csv.read_csv(
        path,
        read_options=pa.csv.ReadOptions(column_names=list(types), block_size=_BLOCK_BYTES, use_threads=False),
        parse_options=pa.csv.ParseOptions(newlines_in_values=pa.string() in types.values(), ignore_empty_lines=False),
        convert_options=pa.csv.ConvertOptions(column_types=dict(types), strings_can_be_null=False, null_values=[]),
    )


def _texts(columns: Mapping[str, pa.Array]) -> list[pa.Array]:
    return [column for column in columns.values() if pa.types.is_string(column.type)]


def _is_plain(texts: pa.Array) -> bool:
    """Whether no text is empty, and none has a line break in it, so that rows are lines."""
    broken = pc.match_substring_regex(texts, r"\n|^\s*$")
    return not pc.any(broken).as_py()


def _read_slowly(path: Path, types: Mapping[str, pa.DataType]) -> FileColumns:
    rows: list[list] = []
    lines: list[int] = []
    faults: list[tuple[int, str]] = []
    for line, cells in _rows(path, faults):
        values, reason = _values(cells, types)
        if reason:
            faults.append((line, reason))
        else:
            rows.append(values)
            lines.append(line)
    columns = zip(*rows, strict=True) if rows else ([] for _ in types)
    arrays = {name: pa.array(column, kind) for (name, kind), column in zip(types.items(), columns, strict=True)}
    return FileColumns(arrays, np.array(lines, np.int64), sorted(faults))


def _rows(path: Path, faults: list[tuple[int, str]]) -> Iterator[tuple[int, list[str]]]:
    """Lines, each with the number of the one it ends on; a file that breaks off is a fault of its last line."""
    with _long_fields(), _opened(path) as file:
        reader = csv.reader(file)
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                faults.append((reader.line_num, str(error)))
                continue
            except (OSError, EOFError, zlib.error) as error:
                faults.append((reader.line_num + 1, f"the file cannot be read further: {error}"))
                return
            if cells:
                yield reader.line_num, cells


@contextmanager
def _long_fields() -> Iterator[None]:
    """The csv module has one limit for the whole process: other readers get theirs back."""
    before = csv.field_size_limit(_LONGEST_FIELD)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _opened(path: Path) -> IO[str]:
    form = {"encoding": "utf-8-sig", "errors": "surrogateescape", "newline": ""}
    return gzip.open(path, "rt", **form) if path.suffix == ".gz" else path.open(**form)


def _values(cells: list[str], types: Mapping[str, pa.DataType]) -> tuple[list, str]:
    if len(cells) != len(types):
        return [], f"{len(cells)} columns instead of {len(types)}"
    values: list = []
    for cell, (name, kind) in zip(cells, types.items(), strict=True):
        if pa.types.is_string(kind):
            values.append(cell)
            if not cell.strip() or _is_broken(cell):
                return [], f"{name} is {'not UTF-8 text' if cell.strip() else 'empty'}"
            continue
        try:
            values.append(int(cell))
        except ValueError:
            return [], f"{name} is {cell[:60]!a}, which is not a number"
        if values[-1] not in _INT64:
            return [], f"{name} is {cell[:60]}, which is too large"
    return values, ""


def _is_broken(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
