"""Which part of a graph in columns can be loaded as a whole, and what is wrong with the rest?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kg.errors import SchemaViolation
from kg.importers.columns import KEY, GraphColumns, edge_name
from kg.importers.report import Problem
from kg.importers.values import clean_key
from kg.loading.pairs import distinct
from kg.schema import EdgeType

__all__ = ["Sound", "sound_part"]

_LONG_KEY_CHARACTERS = 1_000
"""Keys below this length are short enough in any script."""


@dataclass(frozen=True)
class Sound:
    """Nodes with distinct, good keys; relations whose ends are among them, each pair once; what was left out.

    `ends`: rows of both ends in the nodes' tables. Shapes: two of (relations,) int64 an edge type.
    """

    columns: GraphColumns
    ends: dict[EdgeType, tuple[np.ndarray, np.ndarray]]
    problems: list[Problem]


def sound_part(columns: GraphColumns) -> Sound:
    """Leave out rows that no database takes; the first of several rows with one key counts.

    Raises: SchemaViolation for labels, relations or columns that the domain does not have.
    """
    columns = columns.trimmed()
    problems = columns.check()
    known = {*columns.domain.node_types, *map(edge_name, columns.domain.edge_types)}
    for problem in problems:
        if problem.file not in known or "column" in problem.reason.split(" ")[:4]:
            raise SchemaViolation(f"{problem}")
    nodes = {}
    for label, table in columns.nodes.items():
        nodes[label], long = _good_nodes(label, table)
        problems += long
    kept = GraphColumns(columns.domain, nodes, columns.edges)
    edges: dict[EdgeType, pa.Table] = {}
    ends: dict[EdgeType, tuple[np.ndarray, np.ndarray]] = {}
    for edge_type, table in columns.edges.items():
        sources, targets = kept.end_rows(edge_type)
        there = np.flatnonzero((sources >= 0) & (targets >= 0))
        rows = there[distinct(sources[there], targets[there])]
        whole = len(rows) == table.num_rows
        edges[edge_type] = table if whole else table.take(pa.array(rows))
        ends[edge_type] = (sources[rows], targets[rows])
    return Sound(GraphColumns(columns.domain, nodes, edges), ends, problems)


def _good_nodes(label: str, table: pa.Table) -> tuple[pa.Table, list[Problem]]:
    """First rows of good keys, and problems with keys that are too long for an index."""
    keys = table[KEY]
    good = pc.fill_null(pc.not_equal(keys, ""), False).to_numpy()
    problems = []
    for row in np.flatnonzero(pc.fill_null(pc.greater(pc.utf8_length(keys), _LONG_KEY_CHARACTERS), False).to_numpy()):
        _, reason = clean_key(keys[int(row)].as_py())
        if reason:
            good[row] = False
            problems.append(Problem(label, 0, reason))
    codes = keys.combine_chunks().dictionary_encode().indices.fill_null(-1).to_numpy(zero_copy_only=False)
    first = np.zeros(len(codes), bool)
    first[np.unique(codes, return_index=True)[1]] = True
    keep = good & first
    return (table if keep.all() else table.filter(pa.array(keep))), problems
