"""How does a graph in columns become a folder of exchange files?

The folder appears under its name only when it is whole. See kg/exchange/layout.py for what is in it.
"""

from __future__ import annotations

import csv
import json
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc

from kg.errors import SchemaViolation, StoreError
from kg.exchange import layout
from kg.importers.columns import KEY, SOURCE, TARGET, GraphColumns, edge_name
from kg.progress import Reporter
from kg.schema import EdgeType

__all__ = ["exchange_folder", "write_exchange", "write_files"]

_NO_LABEL = "nan"
_FORMAT = 1
_LINES_A_WRITE = 200_000


def write_exchange(columns: GraphColumns, folder: Path, *, reporter: Reporter) -> Path:
    """Write a graph as a new folder of exchange files.

    Raises: SchemaViolation (a graph that does not hold together), StoreError (the folder is not empty, a full disk).
    """
    with exchange_folder(folder) as partial:
        write_files(columns, partial, reporter=reporter)
    return Path(folder)


@contextmanager
def exchange_folder(folder: Path) -> Iterator[Path]:
    """An empty folder to write into, which gets the name `folder` when the block ends well.

    Raises: StoreError (there is something in that folder, the disk is full or read-only).
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StoreError(f"exchange files: {folder} is there already; give a folder that is new or empty")
    partial = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.part")
    try:
        partial.mkdir(parents=True)
        yield partial
        if folder.exists():
            folder.rmdir()
        partial.rename(folder)
    except OSError as error:
        why = error.strerror or error
        raise StoreError(
            f"exchange files: writing {folder}: {why}; free some space, or give a folder that may be written elsewhere"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_files(columns: GraphColumns, folder: Path, *, reporter: Reporter) -> None:
    """Write a graph's files into an existing folder. Raises: SchemaViolation, OSError."""
    names = {layout.triplet_names(columns.domain)[layout.triplet_name(e)]: e[1].lower() for e in columns.edges}
    layout.label_names(columns.domain)
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names.values()))}
    for part in (layout.MAPPING, layout.RELATIONS, layout.KORVAI / "nodes", layout.KORVAI / "relations"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    with reporter.stage("writing nodes", columns.node_count, "nodes") as advance:
        for label, table in columns.nodes.items():
            _write_rows(folder / layout.entities(label), enumerate(table[KEY].to_pylist()))
            _write_properties(folder, label, table.drop_columns([KEY]))
            advance(table.num_rows)
    with reporter.stage("writing relations", columns.edge_count, "relations") as advance:
        for edge_type, table in columns.edges.items():
            _write_relation(columns, edge_type, folder, numbers[names[edge_type]])
            advance(table.num_rows)
    _write_lists(columns, folder, numbers)
    _write_manifest(columns, folder)


def _write_relation(columns: GraphColumns, edge_type: EdgeType, folder: Path, number: int) -> None:
    sources, targets = columns.end_rows(edge_type)
    if min(sources.min(initial=0), targets.min(initial=0)) < 0:
        lost = next(problem for problem in columns.check() if problem.file == edge_name(edge_type))
        raise SchemaViolation(f"exchange files: {lost.file}: {lost.reason}; leave that relation out or add the node")
    here = folder / layout.RELATIONS / layout.triplet_name(edge_type)
    here.mkdir()
    _write_integers(here / "edge.csv", {SOURCE: sources, TARGET: targets})
    _write_repeated(here / "edge_reltype.csv", f"{number}\n", len(sources))
    (here / "num-edge-list.csv").write_text(f"{len(sources)}\n", encoding="utf-8")
    _write_properties(folder, edge_type, columns.edges[edge_type].drop_columns([SOURCE, TARGET]))
    if (classes := _classes_of_items(columns, edge_type, sources, targets)) is not None:
        _write_classes(columns, edge_type, folder, classes)


def _classes_of_items(
    columns: GraphColumns, edge_type: EdgeType, sources: np.ndarray, targets: np.ndarray
) -> np.ndarray | None:
    """Each item's class, -1 without one; None when the relation is no classification. Shapes: (items,) int64."""
    domain = columns.domain
    a_task = edge_type in {domain.task_edge_type(name) for name in domain.tasks}
    one_each = edge_type[0] == domain.item and len(sources) == len(np.unique(sources))
    items = columns.nodes[edge_type[0]].num_rows
    if not one_each or not (a_task or len(sources) == items):
        return None
    classes = np.full(items, -1, np.int64)
    classes[sources] = targets
    return classes


def _write_classes(columns: GraphColumns, edge_type: EdgeType, folder: Path, classes: np.ndarray) -> None:
    target = layout.node_name(edge_type[2])
    keys = columns.nodes[edge_type[2]][KEY].to_pylist()
    _write_rows(folder / layout.MAPPING / f"labelidx2{target}name.csv", enumerate(keys))
    here = folder / layout.RAW / "node-label" / layout.node_name(edge_type[0])
    here.mkdir(parents=True, exist_ok=True)
    with (here / f"node-label-{target}.csv").open("w", encoding="utf-8") as file:
        for start in range(0, len(classes), _LINES_A_WRITE):
            page = classes[start : start + _LINES_A_WRITE].tolist()
            file.writelines(f"{row if row >= 0 else _NO_LABEL}\n" for row in page)


def _write_lists(columns: GraphColumns, folder: Path, numbers: dict[str, int]) -> None:
    relations = [(number, name) for name, number in numbers.items()]
    for name in ("relidx2relname.csv", "rel_entidx2name.csv"):
        _write_rows(folder / layout.MAPPING / name, relations)
    raw, item = folder / layout.RAW, layout.node_name(columns.domain.item)
    _write_rows(raw / "triplet-type-list.csv", ([part.lower() for part in edge_type] for edge_type in columns.edges))
    nodes = {layout.node_name(label): table.num_rows for label, table in columns.nodes.items()}
    _write_rows(raw / "num-node-dict.csv", [list(nodes), list(nodes.values())])
    labelled = (raw / "node-label" / item).is_dir()
    _write_rows(raw / "nodetype-has-label.csv", [list(nodes), [labelled and name == item for name in nodes]])
    _write_rows(raw / "nodetype-has-feat.csv", [list(nodes), [False] * len(nodes)])


def _write_manifest(columns: GraphColumns, folder: Path) -> None:
    manifest = {
        "format": _FORMAT,
        "domain": columns.domain.domain,
        "labels": {layout.node_name(label): label for label in columns.nodes},
        "relations": {layout.triplet_name(edge_type): edge_type for edge_type in columns.edges},
        "counts": columns.counts(),
    }
    (folder / layout.MANIFEST).write_text(json.dumps(manifest, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _write_properties(folder: Path, what: str | EdgeType, table: pa.Table) -> None:
    if table.num_columns:
        with pa.ipc.new_file(folder / layout.properties_file(what), table.schema) as file:
            file.write_table(table)


def _write_rows(path: Path, rows: Iterable[Sequence]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def _write_integers(path: Path, columns: dict[str, np.ndarray]) -> None:
    options = pa.csv.WriteOptions(include_header=False, batch_size=_LINES_A_WRITE)
    pa.csv.write_csv(pa.table(columns), path, options)


def _write_repeated(path: Path, line: str, count: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        for start in range(0, count, _LINES_A_WRITE):
            file.write(line * min(_LINES_A_WRITE, count - start))
