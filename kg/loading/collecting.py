"""How do the checked rows of an importer become a graph in columns, for an offline load?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa

from kg.errors import SchemaViolation
from kg.importers.columns import KEY, SOURCE, TARGET, GraphColumns, column_of
from kg.loading.engine import EdgeRows, Lost, NodeValues
from kg.loading.specs import EdgeSpec, NodeSpec
from kg.schema import Domain

__all__ = ["ColumnSink", "refuse_too_large"]

_MEMORY_PER_BYTE = 8
"""Bytes of memory that a byte of a table takes as rows on their way to columns (measured 3 to 6), with some reserve."""
_PACKED = {".gz": 5}


class ColumnSink:
    """Takes an importer's rows instead of the engine; the first row of a key or pair counts."""

    def __init__(self, domain: Domain) -> None:
        self._domain = domain
        self._nodes: dict[str, dict[str, Mapping[str, Any]]] = {}
        self._edges: dict[EdgeSpec, dict[tuple[str, str], Mapping[str, Any]]] = {}

    def nodes(self, spec: NodeSpec, wanted: Mapping[str, NodeValues]) -> None:
        """Keep nodes; a later row fills what an earlier one left open."""
        there = self._nodes.setdefault(spec.label, {})
        for key, values in wanted.items():
            there[key] = {**values.defaults, **there.get(key, {}), **values.properties}

    def relations(self, spec: EdgeSpec, rows: EdgeRows, lost: Lost) -> None:
        """Keep relations whose ends were kept."""
        there = self._edges.setdefault(spec, {})
        no_source, no_target = self.missing(spec.source, rows.sources), self.missing(spec.target, rows.targets)
        for n, (source, target) in enumerate(zip(rows.sources, rows.targets, strict=True)):
            if source in no_source:
                lost(n, f"{spec}: there is no {spec.source.label} {source!r}")
            if target in no_target:
                lost(n, f"{spec}: there is no {spec.target.label} {target!r}")
            if source not in no_source and target not in no_target:
                properties = rows.properties[n] if rows.properties else {}
                there[source, target] = {**there.get((source, target), {}), **properties}

    def missing(self, spec: NodeSpec, keys: Iterable[str]) -> set[str]:
        """Which of these keys were not kept."""
        return set(keys) - self._nodes.get(spec.label, {}).keys()

    def mark_classes(self, spec: NodeSpec) -> None:
        """The offline load does that itself."""

    def columns(self) -> GraphColumns:
        """All that was kept."""
        nodes = {label: _table({KEY: list(rows)}, list(rows.values())) for label, rows in self._nodes.items()}
        edges = {}
        for spec, rows in self._edges.items():
            ends = {SOURCE: [source for source, _ in rows], TARGET: [target for _, target in rows]}
            edges[spec.edge_type] = _table(ends, list(rows.values()))
        return GraphColumns(self._domain, nodes, edges)


def refuse_too_large(files: Iterable[Path]) -> None:
    """Raises: SchemaViolation with the numbers, when tables would not fit into this machine's memory."""
    needed = sum(path.stat().st_size * _PACKED.get(path.suffix, 1) for path in files if path.is_file())
    free_mib, needed_mib = psutil.virtual_memory().available // 2**20, needed * _MEMORY_PER_BYTE // 2**20
    if needed_mib > free_mib:
        raise SchemaViolation(
            f"offline load: its tables take about {needed_mib:,} MiB in memory and {free_mib:,} MiB are free; "
            "import them online (without --offline), which reads them row by row"
        )


def _table(keys: Mapping[str, list[str]], rows: list[Mapping[str, Any]]) -> pa.Table:
    columns: dict[str, Any] = {name: pa.array(values, pa.string()) for name, values in keys.items()}
    for name in dict.fromkeys(name for row in rows for name in row):
        columns[column_of(name)] = pa.array([row.get(name) for row in rows])
    return pa.table(columns)
