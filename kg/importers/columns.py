"""What is a domain graph, or a part of one, as columns, and does it hold together?

The form between those who make or read a whole graph (generator, exchange files, lists) and those who write it
(loaders): Arrow tables of nodes by label and of relations by edge type, ends as keys. No database, no files here.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kg.importers.report import Problem
from kg.importers.values import WHITESPACE
from kg.schema import Domain, EdgeType

__all__ = ["KEY", "SOURCE", "TARGET", "GraphColumns", "column_of", "edge_name", "property_of"]

KEY, SOURCE, TARGET = "key", "source", "target"
"""The columns that every table has; all others are properties."""

_ENDS = (KEY, SOURCE, TARGET)
_NAMED_PROBLEMS = 20
"""Problems of one kind and table that are named one by one; the rest is counted."""


@dataclass(frozen=True)
class GraphColumns:
    """A domain graph, or a part of it, as Arrow tables.

    `nodes`: label -> table of `key` (string, unique, not null) and one column a property (null = absent).
    `edges`: (source label, type, target label) -> table of `source`, `target` (string keys) and one column a property.
    A column is called as its property, but for a property `source` of a relation: `column_of` and `property_of` know.
    """

    domain: Domain
    nodes: dict[str, pa.Table]
    edges: dict[EdgeType, pa.Table]

    @staticmethod
    def properties(table: pa.Table) -> dict[str, str]:
        """Column -> property, of all columns that hold properties."""
        return {name: property_of(name) for name in table.column_names if name not in _ENDS}

    @property
    def node_count(self) -> int:
        """Nodes of all labels."""
        return sum(table.num_rows for table in self.nodes.values())

    @property
    def edge_count(self) -> int:
        """Relations of all types."""
        return sum(table.num_rows for table in self.edges.values())

    def counts(self) -> dict[str, int]:
        """Rows by label, then by relation, written as Source-TYPE-Target."""
        nodes = {label: table.num_rows for label, table in self.nodes.items()}
        return nodes | {edge_name(edge_type): table.num_rows for edge_type, table in self.edges.items()}

    def end_rows(self, edge_type: EdgeType) -> tuple[np.ndarray, np.ndarray]:
        """Rows of both ends in the nodes' tables, -1 where a key is not there. Shapes: two of (relations,) int64."""
        table = self.edges[edge_type]
        return self._rows_of(edge_type[0], table[SOURCE]), self._rows_of(edge_type[2], table[TARGET])

    def trimmed(self) -> GraphColumns:
        """The same with all keys and ends as `values.clean_key` makes them of a row's: without space around."""
        nodes = {label: _trimmed(table, KEY) for label, table in self.nodes.items()}
        edges = {edge_type: _trimmed(table, SOURCE, TARGET) for edge_type, table in self.edges.items()}
        return GraphColumns(self.domain, nodes, edges)

    def check(self) -> list[Problem]:
        """What a loader could not take: unknown labels and relations, missing and duplicate keys, dangling ends.

        A problem's `file` is the label or the relation. A sound graph has none.
        """
        return [*self._node_problems(), *self._edge_problems()]

    def fingerprint(self) -> str:
        """sha256 over names, types and values in their order, whatever the chunks: equal for equal graphs only."""
        digest = hashlib.sha256()
        for name, table in [*self.nodes.items(), *((edge_name(e), table) for e, table in self.edges.items())]:
            digest.update(f"{name}\n{table.schema.to_string(show_schema_metadata=False)}\n".encode())
            for column in table.columns:
                for part in _content(column):
                    digest.update(part)
        return digest.hexdigest()

    def _rows_of(self, label: str, keys: pa.ChunkedArray) -> np.ndarray:
        nodes = self.nodes.get(label)
        there = nodes[KEY] if nodes is not None else pa.chunked_array([[]], pa.string())
        rows = pc.index_in(keys, value_set=there.combine_chunks(), skip_nulls=True)
        return pc.fill_null(rows, -1).to_numpy().astype(np.int64)

    def _node_problems(self) -> Iterator[Problem]:
        for label, table in self.nodes.items():
            if label not in self.domain.node_types:
                yield Problem(
                    label, 0, f"{self.domain.domain} has no such label; known: {', '.join(self.domain.node_types)}"
                )
            elif lack := _lacking(table, KEY):
                yield Problem(label, 0, lack)
            else:
                yield from _key_problems(label, table[KEY])

    def _edge_problems(self) -> Iterator[Problem]:
        for edge_type, table in self.edges.items():
            name = edge_name(edge_type)
            if edge_type not in self.domain.edge_types:
                known = ", ".join(edge_name(e) for e in self.domain.edge_types)
                yield Problem(name, 0, f"{self.domain.domain} has no such relation; known: {known}")
            elif lack := _lacking(table, SOURCE, TARGET):
                yield Problem(name, 0, lack)
            else:
                yield from self._end_problems(edge_type, table)

    def _end_problems(self, edge_type: EdgeType, table: pa.Table) -> Iterator[Problem]:
        sources, targets = self.end_rows(edge_type)
        for rows, column, label in ((sources, SOURCE, edge_type[0]), (targets, TARGET, edge_type[2])):
            lost = table.filter(pa.array(rows < 0))
            reasons = (
                f"{row[SOURCE]!r} to {row[TARGET]!r}: there is no {label} {row[column]!r}"
                for row in lost.slice(0, _NAMED_PROBLEMS).to_pylist()
            )
            yield from _named(edge_name(edge_type), reasons, lost.num_rows, f"relations whose {column} is not there")


def column_of(name: str) -> str:
    """The column that holds a property: its name, with a `_` behind where that is `key`, `source` or `target`."""
    return f"{name}_" if name.rstrip("_") in _ENDS else name


def property_of(column: str) -> str:
    """The property that a column holds."""
    return column.removesuffix("_") if column.rstrip("_") in _ENDS else column


def edge_name(edge_type: EdgeType) -> str:
    """An edge type as people write it."""
    return "-".join(edge_type)


def _lacking(table: pa.Table, *columns: str) -> str:
    """Why a table cannot be read at all; empty when it can."""
    for column in columns:
        if column not in table.column_names:
            return f"there is no column {column!r}; columns: {', '.join(table.column_names)}"
        if not pa.types.is_string(table.schema.field(column).type):
            return f"column {column!r} is {table.schema.field(column).type}; keys are strings"
    return ""


def _trimmed(table: pa.Table, *names: str) -> pa.Table:
    for name in names:
        if name in table.column_names and pa.types.is_string(table[name].type):
            column = pc.utf8_trim(table[name], characters=WHITESPACE)
            table = table.set_column(table.column_names.index(name), name, column)
    return table


def _key_problems(label: str, keys: pa.ChunkedArray) -> Iterator[Problem]:
    if keys.null_count:
        yield Problem(label, 0, f"{keys.null_count:,} nodes have no key")
    empty = pc.sum(pc.equal(keys, "")).as_py()
    if empty:
        yield Problem(label, 0, f"{empty:,} nodes have an empty key")
    if pc.count_distinct(keys, mode="only_valid").as_py() == len(keys) - keys.null_count:
        return
    counted = pc.value_counts(keys.drop_null())
    repeated = counted.filter(pc.greater(counted.field("counts"), 1)).to_pylist()
    reasons = (f"key {row['values']!r} stands {row['counts']} times" for row in repeated)
    yield from _named(label, reasons, len(repeated), "keys that stand several times")


def _named(name: str, reasons: Iterable[str], total: int, what: str) -> Iterator[Problem]:
    yield from (Problem(name, 0, reason) for reason in itertools.islice(reasons, _NAMED_PROBLEMS))
    if total > _NAMED_PROBLEMS:
        yield Problem(name, 0, f"{total - _NAMED_PROBLEMS:,} more {what}")


def _content(column: pa.ChunkedArray) -> Iterator[memoryview | bytes]:
    """The values of a column as bytes that do not depend on how it is cut or padded."""
    whole = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    valid = whole.is_valid()
    yield np.packbits(valid.to_numpy(zero_copy_only=False)).tobytes()
    if pa.types.is_list(whole.type):
        yield pc.list_value_length(whole).fill_null(0).to_numpy(zero_copy_only=False).tobytes()
        yield from _content(pa.chunked_array([pc.list_flatten(whole)]))
    elif pa.types.is_string(whole.type):
        filled = whole.fill_null("")
        yield pc.binary_length(filled).to_numpy(zero_copy_only=False).tobytes()
        yield pc.binary_join(pa.ListArray.from_arrays([0, len(filled)], filled), "")[0].as_buffer()
    else:
        yield whole.fill_null(False if pa.types.is_boolean(whole.type) else 0).to_numpy(zero_copy_only=False).tobytes()
