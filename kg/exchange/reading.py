"""What graph does a folder of exchange files hold, and what in it cannot be taken?

Files are read as columns; only one with a fault in it is gone through line by line, to say where. What is good is kept.
See kg/exchange/layout.py for the layout; the authors' own export, plain or with .gz, is one such folder.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc

from kg.errors import SchemaViolation
from kg.exchange import layout
from kg.exchange.columns_of_files import FileColumns, read_columns
from kg.importers.columns import KEY, SOURCE, TARGET, GraphColumns
from kg.importers.report import Problem
from kg.progress import Reporter
from kg.schema import Domain, EdgeType, load_domain

__all__ = ["Exchange", "read_exchange"]

_NOT_READ = {
    "split": "Korvai makes its own splits",
    "raw/split": "Korvai makes its own splits",
    "raw/node-feat": "Korvai computes features from texts and images",
    "korvai/overlay": "hierarchy, captions and scenes have imports of their own; edits stay with their graph",
}
_NAMED_PROBLEMS = 1_000
"""Problems of one file that are told one by one; the rest of them is counted."""


@dataclass(frozen=True)
class Exchange:
    """What a folder holds, and what in it could not be taken."""

    columns: GraphColumns
    problems: list[Problem]


@dataclass
class _Reading:
    folder: Path
    domain: Domain
    problems: list[Problem] = field(default_factory=list)
    nodes: dict[str, pa.Table] = field(default_factory=dict)
    numbers: dict[str, np.ndarray] = field(default_factory=dict)
    """label -> (node number of the file, row of the table), sorted by number. Shapes: (2, nodes) int64."""

    edges: dict[EdgeType, pa.Table] = field(default_factory=dict)

    def problem(self, path: Path, line: int, reason: str) -> None:
        self.problems.append(Problem(path.relative_to(self.folder).as_posix(), line, reason))

    def problems_of(self, path: Path, lines: np.ndarray, reasons: list[str], what: str) -> None:
        for line, reason in zip(lines[:_NAMED_PROBLEMS].tolist(), reasons, strict=True):
            self.problem(path, line, reason)
        if len(lines) > _NAMED_PROBLEMS:
            self.problem(path, 0, f"{len(lines) - _NAMED_PROBLEMS:,} more {what}")


def read_exchange(folder: Path, domain: Domain | None = None, *, reporter: Reporter) -> Exchange:
    """Read a folder of exchange files; the domain is the one it was written of, artgraph where it does not say.

    Raises: SchemaViolation when it is no such folder.
    """
    folder = Path(folder)
    for part in (layout.MAPPING, layout.RELATIONS):
        if not (folder / part).is_dir():
            raise SchemaViolation(
                f"exchange files: {folder} has no folder {part}; give the one that holds mapping/ and raw/"
            )
    reading = _Reading(folder, domain or load_domain(_manifest(folder).get("domain", "artgraph")))
    _read_nodes(reading, reporter)
    _read_relations(reading, reporter)
    _compare_counts(reading)
    for part, why in _NOT_READ.items():
        if (folder / part).exists():
            reporter.note(f"{part} is not read: {why}")
    return Exchange(GraphColumns(reading.domain, reading.nodes, reading.edges), reading.problems)


def _manifest(folder: Path) -> dict:
    try:
        return json.loads((folder / layout.MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SchemaViolation(f"{folder / layout.MANIFEST}: {error}; mend or remove it") from error


# -- nodes -------------------------------------------------------------------------------------------------------------


def _read_nodes(reading: _Reading, reporter: Reporter) -> None:
    labels = layout.label_names(reading.domain)
    found = {path.name.split("_entidx2name")[0]: path for path in _tables(reading.folder / layout.MAPPING)}
    ordered = [name for name in _manifest(reading.folder).get("labels", {}) if name in found]
    with reporter.stage("reading nodes", unit="nodes") as advance:
        for name in dict.fromkeys([*ordered, *(n for n in labels if n in found), *sorted(found)]):
            if name in labels:
                _read_label(reading, labels[name], found[name])
                advance(reading.nodes[labels[name]].num_rows)
            elif name != "rel":
                reading.problem(found[name], 0, f"{reading.domain.domain} has no node type {name!r}; left out")


def _tables(folder: Path) -> list[Path]:
    return [path for pattern in ("*_entidx2name.csv", "*_entidx2name.csv.gz") for path in sorted(folder.glob(pattern))]


def _read_label(reading: _Reading, label: str, path: Path) -> None:
    read = read_columns(path, {"number": pa.int64(), KEY: pa.string()})
    reading.problems_of(path, *_told(read), "bad lines")
    keys = read.columns[KEY]
    if len(keys) and pc.all(pc.starts_with(keys, " ")).as_py():  # `0, name`, as the authors' own description shows it
        keys = pc.utf8_ltrim_whitespace(keys)
    numbers, lines = read.columns["number"].to_numpy(), read.lines
    first_of = pc.index_in(keys, value_set=pc.unique(keys)).to_numpy()
    _, first_rows = np.unique(first_of, return_index=True)
    rows = np.arange(len(keys))
    again = np.setdiff1d(rows, first_rows)
    _tell_repeated(reading, path, label, keys, lines, again)
    kept = np.sort(first_rows)
    new_row = np.full(len(keys), -1)
    new_row[kept] = np.arange(len(kept))
    table = pa.table({KEY: keys.take(pa.array(kept))})
    reading.nodes[label] = _with_properties(reading, label, table, numbers[kept])
    order = np.argsort(numbers, kind="stable")
    # A key that stands twice is one node: its second number leads to the first one's row.
    reading.numbers[label] = np.stack([numbers[order], new_row[first_rows[first_of[order]]]])
    twice = order[1:][numbers[order[1:]] == numbers[order[:-1]]]
    reasons = [f"{label} number {n} was there already; relations of it go to the first" for n in numbers[twice]]
    reading.problems_of(path, lines[twice], reasons[:_NAMED_PROBLEMS], "repeated numbers")


def _told(read: FileColumns) -> tuple[np.ndarray, list[str]]:
    lines = np.array([line for line, _ in read.faults], np.int64)
    return lines, [reason for _, reason in read.faults[:_NAMED_PROBLEMS]]


def _tell_repeated(
    reading: _Reading, path: Path, label: str, keys: pa.Array, lines: np.ndarray, again: np.ndarray
) -> None:
    repeated = keys.take(pa.array(again[:_NAMED_PROBLEMS], pa.int64())).to_pylist()
    reasons = [f"{label} {key!r} was there already; taken for the same node" for key in repeated]
    reading.problems_of(path, lines[again], reasons, "repeated keys")


# -- relations ---------------------------------------------------------------------------------------------------------


def _read_relations(reading: _Reading, reporter: Reporter) -> None:
    triplets = layout.triplet_names(reading.domain)
    folders = {path.name: path for path in sorted((reading.folder / layout.RELATIONS).iterdir()) if path.is_dir()}
    for name in _listed_triplets(reading):
        if name not in folders:
            reading.problem(reading.folder / layout.RELATIONS / name, 0, "is in triplet-type-list.csv and not there")
    ordered = [name for name in _manifest(reading.folder).get("relations", {}) if name in folders]
    with reporter.stage("reading relations", unit="relations") as advance:
        for name in dict.fromkeys([*ordered, *(n for n in triplets if n in folders), *folders]):
            path = _existing(folders[name] / "edge.csv")
            if name not in triplets:
                reading.problem(folders[name], 0, f"{reading.domain.domain} has no relation {name!r}; left out")
            elif path is None:
                reading.problem(folders[name], 0, "there is no edge.csv")
            elif {triplets[name][0], triplets[name][2]} <= set(reading.nodes):
                _read_relation(reading, triplets[name], path)
                advance(reading.edges[triplets[name]].num_rows)
            else:
                reading.problem(path, 0, "the file of its source's or its target's keys is missing")


def _listed_triplets(reading: _Reading) -> list[str]:
    path = _existing(reading.folder / layout.RAW / "triplet-type-list.csv")
    if path is None:
        return []
    read = read_columns(path, {part: pa.string() for part in ("source", "type", "target")})
    reading.problems_of(path, *_told(read), "bad lines")
    columns = (read.columns[part].to_pylist() for part in ("source", "type", "target"))
    return [layout.triplet_name(tuple(part.strip() for part in triplet)) for triplet in zip(*columns, strict=True)]


def _read_relation(reading: _Reading, edge_type: EdgeType, path: Path) -> None:
    read = read_columns(path, {SOURCE: pa.int64(), TARGET: pa.int64()})
    reading.problems_of(path, *_told(read), "bad lines")
    good, ends = np.ones(len(read.lines), bool), {}
    for name, label in ((SOURCE, edge_type[0]), (TARGET, edge_type[2])):
        numbers = read.columns[name].to_numpy()
        rows = _rows_of(reading.numbers[label], numbers)
        lost = np.flatnonzero(rows < 0)
        reasons = [f"{name}: there is no {label} number {number}" for number in numbers[lost[:_NAMED_PROBLEMS]]]
        reading.problems_of(path, read.lines[lost], reasons, f"relations whose {name} is not there")
        good[lost] = False
        ends[name] = (label, rows)
    counted = _count_file(path.with_name("num-edge-list.csv"))
    if counted is not None and counted != len(read.lines) + len(read.faults):
        said = path.with_name("num-edge-list.csv")
        reading.problem(said, 1, f"it says {counted:,} relations, edge.csv has {len(read.lines) + len(read.faults):,}")
    kept = {name: reading.nodes[label][KEY].take(pa.array(rows[good])) for name, (label, rows) in ends.items()}
    places = np.flatnonzero(good) if not read.faults else None
    reading.edges[edge_type] = _with_properties(reading, edge_type, pa.table(kept), places)


def _rows_of(known: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Rows of nodes by their numbers, -1 for unknown ones. Shapes: (2, nodes), (n,) to (n,) int64."""
    if not known.shape[1]:
        return np.full(len(numbers), -1)
    places = np.minimum(np.searchsorted(known[0], numbers), known.shape[1] - 1)
    return np.where(known[0][places] == numbers, known[1][places], -1)


def _count_file(path: Path) -> int | None:
    found = _existing(path)
    if found is None:
        return None
    counts = read_columns(found, {"count": pa.int64()}).columns["count"]
    return counts[0].as_py() if len(counts) else None


# -- properties and counts ---------------------------------------------------------------------------------------------


def _with_properties(reading: _Reading, what: str | EdgeType, table: pa.Table, places: np.ndarray | None) -> pa.Table:
    """The table beside its properties, whose row of each is in `places`; without where the files no longer agree."""
    path = reading.folder / layout.properties_file(what)
    if not path.is_file():
        return table
    try:
        with pa.memory_map(str(path)) as file:
            properties = pa.ipc.open_file(file).read_all()
    except (OSError, pa.ArrowInvalid) as error:
        reading.problem(path, 0, f"cannot be read ({' '.join(str(error).split())[:120]}); properties are left out")
        return table
    if places is None or (len(places) and not 0 <= places.min() <= places.max() < properties.num_rows):
        reading.problem(path, 0, "its rows and those of the csv file are not the same ones; properties are left out")
        return table
    if len(places) < properties.num_rows or (np.diff(places) != 1).any():
        properties = properties.take(pa.array(places))
    for name, column in zip(properties.column_names, properties.columns, strict=True):
        table = table.append_column(name, column)
    return table


def _compare_counts(reading: _Reading) -> None:
    """Report labels of which num-node-dict.csv tells another number of nodes than there are."""
    path = _existing(reading.folder / layout.RAW / "num-node-dict.csv")
    if path is None:
        return
    names, *rows = (line.split(",") for line in path.read_text(encoding="utf-8", errors="replace").splitlines())
    labels = layout.label_names(reading.domain)
    for name, said in zip(names, rows[0] if rows else (), strict=False):
        label = labels.get(name.strip())
        found = reading.numbers[label].shape[1] if label in reading.numbers else 0
        if label and said.strip() != str(found):
            reading.problem(path, 2, f"it says {said.strip()} nodes of {name.strip()}, its file has {found}")


def _existing(path: Path) -> Path | None:
    """The file, or the same compressed."""
    return next((p for p in (path, path.with_name(f"{path.name}.gz")) if p.is_file()), None)
