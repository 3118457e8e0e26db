"""How does a live graph leave: as a folder of exchange files, with or without what Korvai added to it?"""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

from kg.errors import SchemaViolation
from kg.exchange import layout
from kg.exchange.live import overlay_records, read_graph
from kg.exchange.writing import exchange_folder, write_files
from kg.graph import Graph
from kg.importers.columns import GraphColumns
from kg.progress import Reporter
from kg.schema import Domain

__all__ = ["export_graph"]


def export_graph(
    graph: Graph, domain: Domain, folder: Path, *, reporter: Reporter, with_overlay: bool = False
) -> GraphColumns:
    """Write the domain's graph as a new folder of exchange files; what was written comes back.

    Raises: SchemaViolation (the graph is empty), GraphError (somebody keeps writing), StoreError (the folder is not
    empty, the disk is full).
    """
    with exchange_folder(folder) as partial:
        columns = read_graph(graph, domain, reporter=reporter)
        if not columns.node_count:
            raise SchemaViolation(f"export {domain.domain}: the graph is empty; import something first")
        write_files(columns, partial, reporter=reporter)
        if with_overlay:
            _write_overlay(graph, domain, partial, reporter)
    return columns


def _write_overlay(graph: Graph, domain: Domain, folder: Path, reporter: Reporter) -> None:
    """One file of JSON lines a label or relation type."""
    here = folder / layout.KORVAI / "overlay"
    here.mkdir(parents=True)
    files = {}
    with reporter.stage("writing the overlay", unit="records") as advance, ExitStack() as opened:
        for name, record in overlay_records(graph, domain):
            if name not in files:
                files[name] = opened.enter_context((here / f"{name}.jsonl").open("w", encoding="utf-8"))
            files[name].write(json.dumps(record, ensure_ascii=False, default=_json) + "\n")
            advance(1)


def _json(value: object) -> str:
    return value.iso_format() if hasattr(value, "iso_format") else str(value)
