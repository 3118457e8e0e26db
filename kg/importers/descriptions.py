"""How do texts about nodes get into the graph, with the name of whoever wrote them?

A CSV with the columns `type` (label), `node` (key), `text`, `source`, `licence`, `date`; or MediaWiki's extracts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kg.graph import Graph
from kg.importers.art_names import class_key
from kg.importers.csv_reading import Record, read_table
from kg.importers.mediawiki import LICENCE, read_extracts, records_of
from kg.importers.report import ImportReport
from kg.importers.tables import Importer, NodeRow, importing
from kg.importers.values import in_batches
from kg.progress import Reporter
from kg.schema import Domain
from kg.store import Store

__all__ = ["import_descriptions", "import_extracts"]

_NEEDED = ("type", "node", "text", "source")
_A_BATCH = 4_000


def import_descriptions(
    graph: Graph,
    store: Store,
    domain: Domain,
    file: Path,
    *,
    reporter: Reporter,
    delimiter: str = ",",
    encoding: str = "utf-8",
    dry_run: bool = False,
    over_edits: bool = False,
) -> ImportReport:
    """Set `description` and its source, licence and date on nodes that exist; others are reported.

    Raises: SchemaViolation (no such file or column), StoreError, GraphUnavailable.
    """
    file = Path(file)
    form = {"kind": "descriptions", "source": str(file), "reporter": reporter, "dry_run": dry_run}
    with importing(graph, store, domain=domain, over_edits=over_edits, **form) as importer:
        rows = read_table(file, importer.problem, needed=_NEEDED, delimiter=delimiter, encoding=encoding)
        seen: set[tuple[str, str]] = set()
        with reporter.stage("descriptions", None, "rows") as advance:
            for batch in in_batches(rows, _A_BATCH):
                _describe(importer, batch, seen)
                advance(len(batch))
    return importer.report


def import_extracts(
    graph: Graph,
    store: Store,
    domain: Domain,
    file: Path,
    *,
    reporter: Reporter,
    labels: Sequence[str] = (),
    licence: str = LICENCE,
    site: str = "https://en.wikipedia.org/wiki/",
    dry_run: bool = False,
    over_edits: bool = False,
) -> ImportReport:
    """Set descriptions from MediaWiki's extracts (`kg.importers.mediawiki`) on nodes of `labels`, by default of all.

    Raises: SchemaViolation (no such file, no page in it, no such label), StoreError, GraphUnavailable.
    """
    for label in labels:
        domain.node_type(label)
    form = {"kind": "descriptions", "source": str(file), "reporter": reporter, "dry_run": dry_run}
    with importing(graph, store, domain=domain, over_edits=over_edits, **form) as importer:
        pages, seen = read_extracts(Path(file), importer.problem, site=site), set[tuple[str, str]]()
        chosen = list(labels) or [label for label in domain.node_types if label != domain.item]
        with reporter.stage("extracts", None, "pages") as advance:
            for batch in in_batches(pages, _A_BATCH):
                _describe(importer, list(records_of(importer, batch, labels=chosen, licence=licence)), seen)
                advance(len(batch))
    return importer.report


def _describe(importer: Importer, records: list[Record], seen: set[tuple[str, str]]) -> None:
    by_label: dict[str, dict[str, NodeRow]] = {}
    for record in records:
        label, key = record.cells["type"], _key(importer.domain, record)
        if label not in importer.domain.node_types:
            importer.problem(record.where, f"{importer.domain.domain} has no node type {label!r}")
        elif not record.cells["text"] or not record.cells["source"]:
            importer.problem(record.where, f"{label} {key!r}: a description needs a text and its source")
        elif (label, key) in seen:
            importer.problem(record.where, f"{label} {key!r} was described above already; the first text counts")
        else:
            seen.add((label, key))
            by_label.setdefault(label, {})[key] = NodeRow(key, _properties(record), record.where)
    for label, rows in by_label.items():
        absent = importer.missing(label, rows)
        for key in absent:
            importer.problem(rows[key].where, f"there is no {label} {key!r}")
        importer.nodes(label, [row for key, row in rows.items() if key not in absent], quiet=True)


def _key(domain: Domain, record: Record) -> str:
    key, label = record.cells["node"], record.cells["type"]
    if domain.domain == "artgraph" and label in ("Style", "Genre"):
        return class_key(domain, label, key) or key
    return domain.canonical(label, key)


def _properties(record: Record) -> dict[str, str]:
    cells = record.cells
    return {
        "description": cells["text"],
        "description_source": cells["source"],
        "description_licence": cells.get("licence", cells.get("license", "")),
        "description_date": cells.get("date", ""),
    }
