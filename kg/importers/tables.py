"""How do rows of nodes and relations get into the graph, however often, however bad some of them are?

What every importer of files stands on: rows are checked one by one, bad ones become `Problem`s with file and line, and
the good ones go, portion by portion, to a sink: the engine (kg/loading/engine.py), which writes what is missing or
different, or columns in memory for an offline load.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, NamedTuple, Protocol

from cypher import load
from kg.errors import KorvaiError, SchemaViolation
from kg.graph import Graph
from kg.importers.report import ImportReport
from kg.importers.undo import undo_import
from kg.importers.values import clean_key, clean_properties, in_batches
from kg.loading.batch import Batch
from kg.loading.curated import Curated
from kg.loading.engine import EdgeRows, Engine, Lost, NodeValues
from kg.loading.lease import Lease
from kg.loading.specs import EdgeSpec, NodeSpec, edge_spec, node_spec
from kg.loading.writers import Writers
from kg.progress import Reporter, SilentReporter
from kg.schema import Domain, EdgeType, ensure_schema
from kg.store import Store

__all__ = ["CONNECTIONS", "Importer", "NodeRow", "RelationRow", "Sink", "Where", "importing", "refuse_clashes"]

CONNECTIONS = 3
"""Connections that an import writes over; more gain nothing, since one at a time commits."""

_NODES_A_BATCH = 4_000
_RELATIONS_A_BATCH = 30_000


class Where(NamedTuple):
    """The place of a row, for reports."""

    file: str = ""
    line: int = 0


class NodeRow(NamedTuple):
    """One node; a property that is None or absent keeps the value that the graph has, a default any value at all."""

    key: Any
    properties: Mapping[str, Any] = {}
    where: Where = Where()
    defaults: Mapping[str, Any] = {}


class RelationRow(NamedTuple):
    """One relation, by the keys of its ends."""

    source: Any
    target: Any
    properties: Mapping[str, Any] = {}
    where: Where = Where()


class Sink(Protocol):
    """Takes rows that have been checked."""

    def nodes(self, spec: NodeSpec, wanted: Mapping[str, NodeValues]) -> None:
        """Nodes by key."""

    def relations(self, spec: EdgeSpec, rows: EdgeRows, lost: Lost) -> None:
        """Relations; `lost(row, why)` for those whose ends are not there."""

    def missing(self, spec: NodeSpec, keys: Iterable[str]) -> set[str]:
        """Which of these keys no node of the label has."""

    def mark_classes(self, spec: NodeSpec) -> None:
        """The nodes of this label are classes."""


@contextmanager
def importing(
    graph: Graph,
    store: Store,
    *,
    domain: Domain,
    kind: str,
    source: str,
    reporter: Reporter,
    dry_run: bool = False,
    connections: int = CONNECTIONS,
    all_or_nothing: bool = False,
    over_edits: bool = False,
) -> Iterator[Importer]:
    """An import of one domain: yields the `Importer`, whose `report` is complete when the block has ended.

    What curators edited stays as they left it and is told in `report.kept`, unless `over_edits`.

    Waits until no other import runs. With `all_or_nothing` a single problem, or an error, takes the whole batch back.
    Raises: SchemaViolation (labels that another domain has), StoreError, GraphUnavailable.
    """
    if not dry_run:
        store.check_writable()
        ensure_schema(graph, domain)
    refuse_clashes(graph, domain)
    importer = None
    try:
        with ExitStack() as stack:
            lease = None if dry_run else stack.enter_context(Lease(graph, reporter))
            batch = Batch(graph, store, lease, domain=domain, kind=kind, source=source)
            writers = stack.enter_context(Writers(graph, lease, connections=connections))
            curated = Curated.nothing() if over_edits else Curated.read(graph, domain)
            engine = Engine(graph, batch, lease, writers, reporter, curated)
            importer = Importer(graph, store, batch, engine, domain=domain, reporter=reporter)
            stack.enter_context(_closing(batch))
            yield importer
    except BaseException:
        if all_or_nothing and importer is not None:
            with suppress(KorvaiError):
                _take_back(importer)
        raise
    if all_or_nothing and importer.report.problems:
        _take_back(importer)


def refuse_clashes(graph: Graph, domain: Domain) -> None:
    """Raises: SchemaViolation when labels of the domain were imported for another domain."""
    for row in graph.run("import/clashing_labels", domain=domain.domain, labels=list(domain.node_types)):
        labels, owner = ", ".join(row["labels"]), row["domain"]
        raise SchemaViolation(
            f"{domain.domain}: {owner} was imported here with the labels {labels}; use another database"
        )


@contextmanager
def _closing(batch: Batch) -> Iterator[None]:
    """Complete report and record at the end; when the import stopped half-way, as far as disk and server still go."""
    with batch.journal:
        try:
            yield
        except BaseException:
            with suppress(KorvaiError):
                batch.write_problems()
            with suppress(KorvaiError):
                batch.finish(state="stopped")
            raise
        batch.write_problems()
        batch.finish()


def _take_back(importer: Importer) -> None:
    report = importer.report
    if report.batch is not None:
        undo_import(importer.graph, importer.store, report.batch, reporter=importer.reporter)
    report.created.clear()
    report.updated.clear()
    report.rolled_back = True


class Importer:
    """Checks rows of one domain and its overlay, and hands the good ones on; see `importing`."""

    def __init__(
        self, graph: Graph, store: Store, batch: Batch, sink: Sink, *, domain: Domain, reporter: Reporter
    ) -> None:
        self.graph, self.store, self.domain, self.reporter = graph, store, domain, reporter
        self.report: ImportReport = batch.report
        self.dry_run = batch.dry_run
        self._batch, self._sink = batch, sink

    def problem(self, where: Where, reason: str) -> None:
        """Report a row that is not taken."""
        self._batch.problem(where.file, where.line, reason)

    def nodes(
        self,
        label: str,
        rows: Iterable[NodeRow],
        *,
        total: int | None = None,
        repeats: bool = False,
        quiet: bool = False,
    ) -> None:
        """Upsert nodes of one label. `repeats`: a key may occur twice (the first row wins) without being a problem.

        Raises: SchemaViolation for a label that the domain does not have.
        """
        spec, seen = node_spec(self.domain, label), set()
        with self._stage(f"{label} nodes", total, quiet=quiet) as advance:
            for batch in in_batches(rows, _NODES_A_BATCH):
                self._sink.nodes(spec, self._checked_nodes(spec, batch, seen, repeats=repeats))
                advance(len(batch))
        if label in {task.target for task in self.domain.tasks.values()}:
            self._sink.mark_classes(spec)

    def relations(
        self, edge_type: EdgeType, rows: Iterable[RelationRow], *, total: int | None = None, quiet: bool = False
    ) -> None:
        """Upsert relations of one type; ends that do not exist are problems.

        Raises: SchemaViolation for a relation that the domain does not have.
        """
        spec = edge_spec(self.domain, edge_type)
        with self._stage(f"{spec} relations", total, quiet=quiet) as advance:
            for batch in in_batches(rows, _RELATIONS_A_BATCH):
                self._take_relations(spec, self._checked_relations(spec, batch))
                advance(len(batch))

    def columns(self, spec: EdgeSpec, rows: EdgeRows, where: Where) -> None:
        """Upsert relations that are columns already; `where` names them in problems."""

        def lost(row: int, why: str, *, kept: bool = False) -> None:
            self._tell(where, why if kept else f"{why} ({rows.sources[row]!r})", kept=kept)

        self._sink.relations(spec, rows, lost)

    def missing(self, label: str, keys: Iterable[str]) -> set[str]:
        """Which of these keys no node of the label has."""
        return self._sink.missing(node_spec(self.domain, label), keys)

    def with_image(self, keys: Iterable[str]) -> set[str]:
        """Which of these items have an image already."""
        item = node_spec(self.domain, self.domain.item)
        statement = load("import/items_with_image").fill(item=item.label, key=item.key)
        batches = in_batches(keys, _NODES_A_BATCH)
        return {key for batch in batches for row in self.graph.run(statement, keys=batch) for key in row["keys"]}

    def _checked_nodes(
        self, spec: NodeSpec, rows: Iterable[NodeRow], seen: set[str], *, repeats: bool
    ) -> dict[str, NodeValues]:
        """The rows that can be taken, by key."""
        types = self._types(spec.label)
        good: dict[str, NodeValues] = {}
        for row in rows:
            key, reason = clean_key(row.key)
            if not reason and key in seen:
                if not repeats:
                    self.problem(
                        row.where, f"{spec.label} {key!r} was there already in this file; the first row counts"
                    )
                continue
            if reason:
                self.problem(row.where, f"{spec.label}.{spec.key}: {reason}")
                continue
            seen.add(key)
            properties, complaints = clean_properties(row.properties, types)
            defaults = clean_properties(row.defaults, types)[0] if row.defaults else {}
            for part in (properties, defaults):
                part.pop(spec.key, None)
            good[key] = NodeValues(properties, defaults)
            for complaint in complaints:
                self.problem(row.where, f"{spec.label} {key!r}: {complaint}")
        return good

    def _checked_relations(self, spec: EdgeSpec, rows: Iterable[RelationRow]) -> list[RelationRow]:
        types, good = self._types(spec), []
        for row in rows:
            source, wrong_source = clean_key(row.source)
            target, wrong_target = clean_key(row.target)
            if wrong_source or wrong_target:
                self.problem(
                    row.where, f"{spec}: {'source' if wrong_source else 'target'}: {wrong_source or wrong_target}"
                )
                continue
            properties, complaints = clean_properties(row.properties, types) if row.properties else ({}, ())
            for complaint in complaints:
                self.problem(row.where, f"{spec} {source!r} to {target!r}: {complaint}")
            good.append(RelationRow(source, target, properties, row.where))
        return good

    def _take_relations(self, spec: EdgeSpec, rows: list[RelationRow]) -> None:
        if not rows:
            return
        sources, targets, properties, places = zip(*rows, strict=True)

        def lost(row: int, why: str, *, kept: bool = False) -> None:
            self._tell(places[row], why, kept=kept)

        self._sink.relations(spec, EdgeRows(sources, targets, properties if any(properties) else None), lost)

    def _tell(self, where: Where, why: str, *, kept: bool) -> None:
        (self._batch.keep if kept else self._batch.problem)(where.file, where.line, why)

    def _types(self, what: str | EdgeSpec) -> Mapping[str, str]:
        if isinstance(what, EdgeSpec):
            declared = {r.edge_type: r.properties for r in self.domain.relations}
            return declared.get(what.edge_type, {})
        return self.domain.node_types[what].properties if what in self.domain.node_types else {}

    @contextmanager
    def _stage(self, name: str, total: int | None, *, quiet: bool) -> Iterator[Any]:
        if quiet:
            with SilentReporter().stage(name) as advance:
                yield advance
            return
        with self.reporter.stage(name, total, "rows") as advance:
            yield advance
