"""How are a graph's columns written as the files that Neo4j's offline import reads, side by side and rightly quoted?

Every node gets its internal id from us (`--id-type=actual`: its place in the order of labels and rows), so the files of
relations are pairs of numbers, and the importer keeps no table of keys.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv

from kg.errors import SchemaViolation
from kg.importers.columns import KEY, GraphColumns
from kg.loading.soundness import Sound
from kg.progress import Reporter
from kg.store import disk_guard

__all__ = ["write_files"]

_LIST_SIGN = "\x1f"
_ROWS_A_FILE = 200_000
_PLAIN = re.compile(r"\w+")
_LINE_BREAK = "[\r\n]"


@dataclass(frozen=True)
class _File:
    """One file to write: its table's rows from `start`, and what the importer is told of it."""

    option: str
    header: tuple[str, ...]
    table: pa.Table
    name: str


def write_files(sound: Sound, folder: Path, *, batch: Mapping[str, Any], reporter: Reporter) -> list[str]:
    """Write all files into `folder`; the arguments with which `neo4j-admin database import full` reads them.

    `batch`: properties of the Batch node that stands in the graph from its first moment.
    Raises: StoreError (disk full), SchemaViolation (a property's name or type that such files cannot carry).
    """
    columns = sound.columns
    classes = {task.target for task in columns.domain.tasks.values()}
    firsts = dict(zip(columns.nodes, np.cumsum([0, *(t.num_rows for t in columns.nodes.values())]), strict=False))
    files = []
    for n, (label, table) in enumerate(columns.nodes.items()):
        labels = [label, "Class"] if label in classes else [label]
        key = columns.domain.node_type(label).key
        files.append(_node_file(f"nodes-{n:03d}", labels, key, table, int(firsts[label])))
    for n, (edge_type, table) in enumerate(columns.edges.items()):
        files.append(_edge_file(f"relations-{n:03d}", edge_type[1], table, _shifted(sound, edge_type, firsts)))
    files.append(_batch_file(batch, columns.node_count))
    with disk_guard(folder), reporter.stage("writing files", sum(f.table.num_rows for f in files), "rows") as advance:
        folder.mkdir(parents=True)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            jobs = [(file, start) for file in files for start in range(0, max(file.table.num_rows, 1), _ROWS_A_FILE)]
            for rows in pool.map(lambda job: _write_part(folder, *job), jobs):
                advance(rows)
        for file in files:
            _write_header(folder, file)
    many_lines = any(_has_line_breaks(file.table) for file in files)
    return [f"--array-delimiter=U+{ord(_LIST_SIGN):04X}", f"--multiline-fields={str(many_lines).lower()}",
            "--id-type=actual", *(_option(folder, file) for file in files)]  # fmt: skip


def _node_file(name: str, labels: list[str], key: str, table: pa.Table, first: int) -> _File:
    columns = {":ID": pa.array(np.arange(first, first + table.num_rows))}
    columns[_heading(key, pa.string())] = table[KEY]
    columns |= {_heading(prop, table[column].type): table[column] for column, prop in _held(table).items()}
    if all(map(_PLAIN.fullmatch, labels)):
        option = f"--nodes={':'.join(labels)}="
    else:
        option, columns[":LABEL"] = "--nodes=", pa.repeat(_LIST_SIGN.join(labels), table.num_rows)
    return _file(option, columns, name)


def _edge_file(name: str, kind: str, table: pa.Table, ends: tuple[np.ndarray, np.ndarray]) -> _File:
    columns = {":START_ID": pa.array(ends[0]), ":END_ID": pa.array(ends[1])}
    columns |= {_heading(prop, table[column].type): table[column] for column, prop in _held(table).items()}
    if _PLAIN.fullmatch(kind):
        option = f"--relationships={kind}="
    else:
        option, columns[":TYPE"] = "--relationships=", pa.repeat(kind, table.num_rows)
    return _file(option, columns, name)


def _batch_file(batch: Mapping[str, Any], node_id: int) -> _File:
    columns = {":ID": pa.array([node_id])}
    for name, value in batch.items():
        kind = ":datetime" if name.endswith("at") else ""
        columns[_heading(name, pa.array([value]).type) + kind] = pa.array([value])
    return _file("--nodes=Batch=", columns, "batch")


def _file(option: str, columns: Mapping[str, Any], name: str) -> _File:
    table = pa.table([_flat(column) for column in columns.values()], names=list(columns))
    return _File(option, tuple(columns), table, name)


def _shifted(sound: Sound, edge_type: tuple[str, str, str], firsts: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    sources, targets = sound.ends[edge_type]
    return sources + int(firsts[edge_type[0]]), targets + int(firsts[edge_type[2]])


def _held(table: pa.Table) -> dict[str, str]:
    """Columns that hold anything, and their properties."""
    named = GraphColumns.properties(table)
    return {column: prop for column, prop in named.items() if table[column].null_count < table.num_rows}


def _heading(name: str, kind: pa.DataType) -> str:
    """Property and type, as the importer's header has them. Raises: SchemaViolation."""
    if ":" in name or not name.strip():
        raise SchemaViolation(f"property {name!r}: the files of an offline import cannot carry that name; load online")
    many = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    value = kind.value_type if many else kind
    for test, said in (
        (pa.types.is_string, ""),
        (pa.types.is_large_string, ""),
        (pa.types.is_integer, ":long"),
        (pa.types.is_floating, ":double"),
        (pa.types.is_boolean, ":boolean"),
    ):
        if test(value):
            return f"{name}{(said or ':string') + '[]' if many else said}"
    raise SchemaViolation(f"property {name!r} is {kind}: the files of an offline import cannot carry that; load online")


def _flat(column: Any) -> Any:
    """Lists as one text; what is empty as nothing, as everywhere else."""
    kind = column.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        column = pc.binary_join(column.cast(pa.list_(pa.string())), _LIST_SIGN)
    if pa.types.is_string(column.type):
        return pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)
    return column


def _write_part(folder: Path, file: _File, start: int) -> int:
    part = file.table.slice(start, _ROWS_A_FILE)
    options = pcsv.WriteOptions(include_header=False, quoting_style="needed", batch_size=16_384)
    pcsv.write_csv(part, folder / f"{file.name}-{start // _ROWS_A_FILE:04d}.csv", options)
    return part.num_rows


def _write_header(folder: Path, file: _File) -> None:
    with (folder / f"{file.name}-header.csv").open("w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerow(file.header)


def _option(folder: Path, file: _File) -> str:
    parts = -(-max(file.table.num_rows, 1) // _ROWS_A_FILE)
    names = [f"{file.name}-header.csv", *(f"{file.name}-{n:04d}.csv" for n in range(parts))]
    return file.option + ",".join(f"{folder.name}/{name}" for name in names)


def _has_line_breaks(table: pa.Table) -> bool:
    return any(_texts_have(column) for column in table.columns if pa.types.is_string(column.type))


def _texts_have(column: pa.ChunkedArray) -> bool:
    return bool(pc.any(pc.match_substring_regex(column, _LINE_BREAK)).as_py())
