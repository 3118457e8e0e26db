"""How do tables of nodes and relations get into the graph, however often, however bad some rows are?

One engine for every importer. Per batch of a few thousand rows it reads what is there (one indexed query), compares,
and writes only what is missing or different: a second import reads and writes nothing. Bad rows become `Problem`s and
the rest goes on.
"""

from __future__ import annotations

import getpass
import json
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from cypher import Statement, load
from kg.errors import KorvaiError, SchemaViolation
from kg.graph import Graph
from kg.importers.journal import EdgeSpec, Entry, Journal, NodeSpec
from kg.importers.report import ImportReport, Problem, write_problems
from kg.importers.values import clean_key, clean_properties, in_batches
from kg.progress import Reporter, SilentReporter
from kg.schema import Domain, EdgeType, ensure_schema
from kg.store import Store

__all__ = ["Importer", "NodeRow", "RelationRow", "Where", "filled", "importing"]

_NODES_A_BATCH = 4_000
_RELATIONS_A_BATCH = 10_000

_OVERLAY_KEYS = {"Image": "sha256", "Caption": "id", "SceneObject": "id", "Attribute": "key"}
_OVERLAY_RELATIONS = {
    ("Image", "HAS_CAPTION", "Caption"): (),
    ("Image", "DEPICTS", "SceneObject"): (),
    ("SceneObject", "HAS_ATTRIBUTE", "Attribute"): (),
    ("SceneObject", "RELATION", "SceneObject"): ("predicate",),
}


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


@contextmanager
def importing(
    graph: Graph, store: Store, *, domain: Domain, kind: str, source: str, reporter: Reporter, dry_run: bool = False
) -> Iterator[Importer]:
    """An import of one domain: yields the `Importer`, whose `report` is complete when the block has ended.

    Raises: SchemaViolation (labels that another domain has), StoreError, GraphUnavailable.
    """
    if not dry_run:
        store.check_writable()
        ensure_schema(graph, domain)
    for row in graph.run("import/clashing_labels", domain=domain.domain, labels=list(domain.node_types)):
        labels, owner = ", ".join(row["labels"]), row["domain"]
        raise SchemaViolation(
            f"{domain.domain}: {owner} was imported here with the labels {labels}; use another database"
        )
    importer = Importer(graph, store, domain=domain, kind=kind, source=source, reporter=reporter, dry_run=dry_run)
    with importer.journal:
        try:
            yield importer
        except BaseException:
            _give_up(importer)
            raise
        importer.write_problems()
        importer.finish()


def _give_up(importer: Importer) -> None:
    """Record that an import stopped half-way, as far as disk and server still take it; the next one goes on."""
    with suppress(KorvaiError):
        importer.write_problems()
    with suppress(KorvaiError):
        importer.finish(state="stopped")


class Importer:
    """Upserts rows of one domain and its overlay; see `importing`."""

    def __init__(
        self, graph: Graph, store: Store, *, domain: Domain, kind: str, source: str, reporter: Reporter, dry_run: bool
    ) -> None:
        self.graph, self.store, self.domain, self.reporter, self.dry_run = graph, store, domain, reporter, dry_run
        self.batch_id = f"{kind}-{time.strftime('%Y%m%dt%H%M%S', time.gmtime())}-{secrets.token_hex(3)}"
        self.folder = store.batches / self.batch_id
        self.journal = Journal(self.folder)
        self.report = ImportReport(dry_run=dry_run)
        self._kind, self._source, self._begun = kind, source, False
        self._present: dict[str, set[str]] = {}
        self._created: dict[str, set[str]] = {}

    def problem(self, where: Where, reason: str) -> None:
        """Report a row that is not taken."""
        self.report.problems.append(Problem(where.file, where.line, reason))

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
        spec, seen = self.node_spec(label), set()
        with self._stage(f"{label} nodes", total, quiet=quiet) as advance:
            for batch in in_batches(rows, _NODES_A_BATCH):
                self._upsert_nodes(spec, self._checked_nodes(spec, batch, seen, repeats=repeats))
                advance(len(batch))
        if label in {task.target for task in self.domain.tasks.values()} and not self.dry_run:
            self.graph.run(load("import/mark_classes").fill(label=label))

    def relations(
        self, edge_type: EdgeType, rows: Iterable[RelationRow], *, total: int | None = None, quiet: bool = False
    ) -> None:
        """Upsert relations of one type; ends that do not exist are problems.

        Raises: SchemaViolation for a relation that the domain does not have.
        """
        spec = self.edge_spec(edge_type)
        known: dict[str, dict[tuple, Mapping[str, Any]]] = {}
        with self._stage(f"{spec} relations", total, quiet=quiet) as advance:
            for batch in in_batches(rows, _RELATIONS_A_BATCH):
                self._upsert_relations(spec, self._checked_relations(spec, batch), known)
                advance(len(batch))

    def node_spec(self, label: str) -> NodeSpec:
        """Label and key of a domain's or the overlay's node type. Raises: SchemaViolation."""
        if label in _OVERLAY_KEYS:
            return NodeSpec(label, _OVERLAY_KEYS[label])
        return NodeSpec(label, self.domain.node_type(label).key)

    def edge_spec(self, edge_type: EdgeType) -> EdgeSpec:
        """Ends and identity of a domain's or the overlay's relation. Raises: SchemaViolation."""
        source, kind, target = edge_type
        overlay = _OVERLAY_RELATIONS | {(self.domain.item, "HAS_IMAGE", "Image"): ()}
        if tuple(edge_type) not in overlay and tuple(edge_type) not in self.domain.edge_types:
            known = ", ".join("-".join(e) for e in self.domain.edge_types)
            raise SchemaViolation(f"{self.domain.domain}: no relation {source}-{kind}-{target}; known: {known}")
        return EdgeSpec(self.node_spec(source), kind, self.node_spec(target), overlay.get(tuple(edge_type), ()))

    def missing(self, label: str, keys: Iterable[str]) -> set[str]:
        """Which of these keys no node of the label has."""
        spec = self.node_spec(label)
        present, wanted = self._present.setdefault(label, set()), set(keys)
        for batch in in_batches(sorted(wanted - present), _NODES_A_BATCH):
            row = self.graph.one(filled("import/existing_keys", spec), keys=list(batch))
            present.update(row["keys"] if row else ())
        return wanted - present

    def with_image(self, keys: Iterable[str]) -> set[str]:
        """Which of these items have an image already."""
        item = self.node_spec(self.domain.item)
        statement = load("import/items_with_image").fill(item=item.label, key=item.key)
        batches = in_batches(keys, _NODES_A_BATCH)
        return {key for batch in batches for row in self.graph.run(statement, keys=batch) for key in row["keys"]}

    def finish(self, *, state: str = "done") -> None:
        """Close the batch's record; nothing is recorded of an import that wrote nothing."""
        if self._begun:
            report = self.report
            counts = {
                "created": report.total_created,
                "updated": report.total_updated,
                "problems": len(report.problems),
            }
            self.graph.run("import/finish_batch", id=self.batch_id, state=state, **counts)

    def write_problems(self) -> None:
        """Put the problems met so far in the order of files and lines, and write them beside the key files."""
        files = {file: n for n, file in enumerate(dict.fromkeys(problem.file for problem in self.report.problems))}
        self.report.problems.sort(key=lambda problem: (files[problem.file], problem.line))
        if self.report.problems and not self.dry_run:
            self.report.problems_file = write_problems(self.store, self.folder, self.report.problems)

    # -- nodes ---------------------------------------------------------------------------------------------------------

    def _checked_nodes(
        self, spec: NodeSpec, rows: Iterable[NodeRow], seen: set[str], *, repeats: bool
    ) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
        """Key -> (properties, defaults) of the rows that can be taken."""
        types = self._types(spec.label)
        good: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
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
            good[key] = properties, defaults
            for complaint in complaints:
                self.problem(row.where, f"{spec.label} {key!r}: {complaint}")
        return good

    def _upsert_nodes(self, spec: NodeSpec, wanted: dict[str, tuple[dict[str, Any], dict[str, Any]]]) -> None:
        if not wanted:
            return
        there = self._existing_nodes(spec, wanted)
        fresh = [key for key in wanted if key not in there]
        changed = {}
        for key, old in there.items():
            properties, defaults = wanted[key]
            properties = {name: value for name, value in defaults.items() if old.get(name) is None} | properties
            new = {name: value for name, value in properties.items() if not _same(old.get(name), value)}
            if new:
                changed[key] = ({name: old.get(name) for name in new}, new)
        self._count(spec.label, len(fresh), len(changed), len(there) - len(changed))
        self._present.setdefault(spec.label, set()).update(wanted)
        self._created.setdefault(spec.label, set()).update(fresh)
        self._write_nodes(spec, [(key, {}, wanted[key][1] | wanted[key][0]) for key in fresh], "created")
        self._write_nodes(spec, [(key, *pair) for key, pair in changed.items()], "updated")

    def _existing_nodes(self, spec: NodeSpec, wanted: dict[str, tuple[dict, dict]]) -> dict[str, dict[str, Any]]:
        names = list(dict.fromkeys(name for pair in wanted.values() for properties in pair for name in properties))
        row = self.graph.one(filled("import/existing_nodes", spec), keys=list(wanted), names=names)
        pairs = zip(row["keys"], row["values"], strict=True) if row else ()
        return {key: dict(zip(names, values, strict=True)) for key, values in pairs}

    def _write_nodes(self, spec: NodeSpec, rows: list[tuple[str, dict, dict]], action: str) -> None:
        if not rows or self.dry_run:
            return
        self._begin()
        if action == "created":
            self.journal.write(spec, [Entry(key) for key, _, _ in rows])
        else:
            self.journal.write(
                spec, [Entry(key, action=action, old=_json(old), new=_json(new)) for key, old, new in rows]
            )
        self.graph.run(
            filled("import/write_nodes", spec), rows=[{"key": key, "properties": new} for key, _, new in rows]
        )

    # -- relations -----------------------------------------------------------------------------------------------------

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
        no_source = self.missing(spec.source.label, (row.source for row in good))
        no_target = self.missing(spec.target.label, (row.target for row in good))
        if not no_source and not no_target:
            return good
        for row in good:
            for gone, key, label in (
                (no_source, row.source, spec.source.label),
                (no_target, row.target, spec.target.label),
            ):
                if key in gone:
                    self.problem(row.where, f"{spec}: there is no {label} {key!r}")
        return [row for row in good if row.source not in no_source and row.target not in no_target]

    def _upsert_relations(self, spec: EdgeSpec, rows: list[RelationRow], known: dict[str, dict[tuple, Any]]) -> None:
        self._learn_relations(spec, rows, known)
        fresh: list[RelationRow] = []
        changed: list[tuple[RelationRow, dict, dict]] = []
        for row in rows:
            there, identity = known[row.source], (row.target, *(row.properties.get(name) for name in spec.identity))
            old = there.setdefault(identity, row.properties)
            if old is row.properties:
                fresh.append(row)
                continue
            new = {name: value for name, value in row.properties.items() if not _same(old.get(name), value)}
            if new:
                changed.append((row, {name: old.get(name) for name in new}, new))
                there[identity] = {**old, **new}
        self._count(str(spec), len(fresh), len(changed), len(rows) - len(fresh) - len(changed))
        self._create_relations(spec, fresh)
        self._update_relations(spec, changed)

    def _learn_relations(self, spec: EdgeSpec, rows: list[RelationRow], known: dict[str, dict[tuple, Any]]) -> None:
        """Read the relations of sources met for the first time: each source once, however its rows are spread."""
        unread = list(dict.fromkeys(row.source for row in rows if row.source not in known))
        known.update((source, {}) for source in unread)
        ours = self._created.get(spec.source.label, ())
        old_sources = [source for source in unread if source not in ours]
        for sources in in_batches(old_sources, _NODES_A_BATCH):
            for found in self.graph.run(filled("import/existing_relations", spec), sources=list(sources)):
                there = known[found["source"]]
                for target, properties in zip(found["targets"], found["properties"], strict=True):
                    there[(target, *(properties.get(name) for name in spec.identity))] = properties

    def _create_relations(self, spec: EdgeSpec, rows: list[RelationRow]) -> None:
        if not rows or self.dry_run:
            return
        self._begin()
        self.journal.write(spec, [Entry(row.source, row.target, identity=_json(_identity(spec, row))) for row in rows])
        plain: dict[str, list[str]] = {}
        rich: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            if row.properties:
                rich.setdefault(row.source, []).append({"key": row.target, "properties": row.properties})
            else:
                plain.setdefault(row.source, []).append(row.target)
        for name, grouped in (("create_relations", plain), ("create_relations_with_properties", rich)):
            if grouped:
                groups = [{"source": source, "targets": targets} for source, targets in grouped.items()]
                self.graph.run(filled(f"import/{name}", spec), groups=groups)

    def _update_relations(self, spec: EdgeSpec, changed: list[tuple[RelationRow, dict, dict]]) -> None:
        if not changed or self.dry_run:
            return
        self._begin()
        entries, rows = [], []
        for row, old, new in changed:
            identity = _identity(spec, row)
            entries.append(Entry(row.source, row.target, _json(identity), "updated", _json(old), _json(new)))
            rows.append({"source": row.source, "target": row.target, "identity": identity, "properties": new})
        self.journal.write(spec, entries)
        self.graph.run(filled("import/update_relations", spec), rows=rows)

    # -- shared --------------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Record the batch before its first write."""
        if self._begun:
            return
        about = {
            "id": self.batch_id,
            "kind": self._kind,
            "who": _user(),
            "source": self._source,
            "domain": self.domain.domain,
        }
        with self.store.atomic_write(self.folder / "batch.json") as file:
            file.write(json.dumps(about, ensure_ascii=False, indent=1).encode())
        self.graph.run("import/begin_batch", labels=list(self.domain.node_types), **about)
        self._begun, self.report.batch = True, self.batch_id

    def _types(self, what: str | EdgeSpec) -> Mapping[str, str]:
        if isinstance(what, EdgeSpec):
            declared = {r.edge_type: r.properties for r in self.domain.relations}
            return declared.get(what.edge_type, {})
        return self.domain.node_types[what].properties if what in self.domain.node_types else {}

    def _count(self, what: str, created: int, updated: int, unchanged: int) -> None:
        for counter, n in (
            (self.report.created, created),
            (self.report.updated, updated),
            (self.report.unchanged, unchanged),
        ):
            counter[what] += n

    @contextmanager
    def _stage(self, name: str, total: int | None, *, quiet: bool) -> Iterator[Any]:
        if quiet:
            with SilentReporter().stage(name) as advance:
                yield advance
            return
        with self.reporter.stage(name, total, "rows") as advance:
            yield advance


def filled(name: str, spec: NodeSpec | EdgeSpec) -> Statement:
    """A statement whose slots are a node type's label and key, or a relation's type, ends and their keys."""
    statement = load(name)
    if isinstance(spec, NodeSpec):
        return statement.fill(label=spec.label, key=spec.key)
    ends = {"source": spec.source.label, "source_key": spec.source.key, "target": spec.target.label}
    return statement.fill(type=spec.type, target_key=spec.target.key, **ends)


def _identity(spec: EdgeSpec, row: RelationRow) -> dict[str, Any]:
    return {name: row.properties.get(name) for name in spec.identity} if spec.identity else {}


def _same(old: Any, new: Any) -> bool:
    return type(old) is type(new) and old == new


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False) if value else "{}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unknown"
