"""How do nodes get short texts of what can be seen, so that everybody sees that a machine wrote them?

A node without a description gets one, `description_source` = machine:NAME. What people wrote stays: beside it stands
`summary` with `summary_source` = machine:NAME, which a domain's text template may name. Both are one import batch,
which `korvai import undo` takes back. Answers are cached in the store by what was asked.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cypher import load
from kg.graph import Graph
from kg.importers.report import ImportReport
from kg.importers.tables import NodeRow, importing
from kg.progress import Reporter
from kg.schema import Domain
from kg.snapshots.neighbour_text import neighbour_texts
from kg.snapshots.snapshot import pull
from kg.store import Store, atomic_write
from kg.summaries.summariser import Summariser

__all__ = ["MACHINE", "Summary", "cached", "summarise_graph"]

MACHINE = "machine:"
_PAGE = 2_000
_VERSION = "1"
"""Of how summarisers are asked; another one asks again."""


@dataclass(frozen=True)
class Summary:
    """What is written of one node."""

    label: str
    key: str
    text: str
    property: str
    """description, or summary beside a description that people wrote."""


def summarise_graph(
    graph: Graph,
    store: Store,
    domain: Domain,
    summariser: Summariser,
    *,
    labels: Sequence[str] = (),
    words: int = 50,
    dry_run: bool = False,
    reporter: Reporter,
) -> tuple[ImportReport, list[Summary]]:
    """Summaries of all nodes of `labels` (by default the classes of the domain's tasks), written unless `dry_run`.

    Raises: SchemaViolation (no such label), ServiceError (an endpoint), StoreError, GraphUnavailable.
    """
    chosen = list(labels) or list(dict.fromkeys(task.target for task in domain.tasks.values()))
    for label in chosen:
        domain.node_type(label)
    snapshot, found = pull(graph, domain, store, reporter=reporter), []
    for label in chosen:
        keys = [str(key) for key in snapshot.keys(label)]
        texts, told = neighbour_texts(snapshot, label, range(len(keys))), _descriptions(graph, domain, label)
        with reporter.stage(f"summaries of {label}", len(keys), "texts") as advance:
            for key, text in zip(keys, texts, strict=True):
                by_people, described = told.get(key, (False, ""))
                text = text if by_people else " ".join(text.replace(described, "").split())
                said = cached(store, summariser, key, text, words=words)
                found.append(Summary(label, key, said, "summary" if by_people else "description"))
                advance()
    form = {"kind": "summaries", "source": f"{MACHINE}{summariser.name}", "reporter": reporter, "dry_run": dry_run}
    with importing(graph, store, domain=domain, **form) as importer:
        for label in chosen:
            rows = (_row(summary, summariser) for summary in found if summary.label == label)
            importer.nodes(label, rows, quiet=True)
    return importer.report, found


def cached(store: Store, summariser: Summariser, title: str, text: str, *, words: int) -> str:
    """What the summariser says, asked once for the same text. Raises: StoreError, ServiceError."""
    asked = json.dumps([_VERSION, summariser.name, title, text, words], ensure_ascii=False)
    path = store.folder / "summaries" / f"{hashlib.sha256(asked.encode()).hexdigest()}.json"
    if path.is_file():
        try:
            return str(json.loads(path.read_text(encoding="utf-8"))["summary"])
        except (ValueError, KeyError, TypeError):
            pass  # damaged: asked again and replaced
    said = summariser.summarise(title, text, words=words)
    with atomic_write(path) as file:
        record = {"summary": said, "by": summariser.name, "title": title, "words": words}
        file.write(json.dumps(record, ensure_ascii=False).encode())
    return said


def _row(summary: Summary, summariser: Summariser) -> NodeRow:
    name = summary.property
    return NodeRow(summary.key, {name: summary.text, f"{name}_source": f"{MACHINE}{summariser.name}"})


def _descriptions(graph: Graph, domain: Domain, label: str) -> dict[str, tuple[bool, str]]:
    """Key -> whether people wrote its description, and the description; a machine's is never summarised again."""
    pages = _pages(graph, domain, label)
    return {key: (not str(source).startswith(MACHINE), str(text)) for key, text, source in pages if text}


def _pages(graph: Graph, domain: Domain, label: str) -> Iterator[tuple[str, Any, Any]]:
    statement, after = load("pull/node_page").fill(label=label), -1
    fields = [domain.node_type(label).key, "description", "description_source"]
    while (page := graph.run(statement, fields=fields, after=after, page_rows=_PAGE)[0])["count"]:
        yield from zip(*page["values"], strict=True)
        after = page["last"]
