"""How does the graph come to hold what an import says, by reading and writing as little as possible?

The one engine beneath every importer and the bulk loader. Per portion it reads what is there, column by column,
compares, and writes only what is missing or different, over several connections: a second import reads and writes
nothing. Whatever it is about to write stands in the batch's journal first. When the server goes away in the middle, the
engine waits, takes the lease again and does the portion again from its reading on: what came through is found there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from cypher import load
from kg.errors import GraphUnavailable
from kg.failpoints import reach
from kg.graph import Graph
from kg.importers.journal import Entry
from kg.importers.values import in_batches
from kg.loading.batch import Batch
from kg.loading.curated import Curated
from kg.loading.lease import Lease
from kg.loading.pairs import distinct, grouped, not_in
from kg.loading.specs import EdgeSpec, NodeSpec, filled
from kg.loading.writers import Writers
from kg.progress import Reporter

__all__ = ["EdgeRows", "Engine", "Lost", "NodeValues"]

_KEYS_A_PAGE = 4_000
_NODES_A_TRANSACTION = 2_000
_RELATIONS_A_TRANSACTION = 20_000
_TRIES = 5


class Lost(Protocol):
    """Told of each row that could not be taken, or (`kept`) that gives way to a curator's edit."""

    def __call__(self, row: int, why: str, *, kept: bool = False) -> None:
        """Why this row is not in the graph as it says."""


Identity = tuple[Any, ...]


@dataclass(frozen=True)
class NodeValues:
    """What a node shall hold: `properties`, and `defaults` where the graph has no value yet."""

    properties: Mapping[str, Any]
    defaults: Mapping[str, Any]


@dataclass(frozen=True)
class EdgeRows:
    """Relations by the keys of their ends; `properties` is None where no row has any."""

    sources: Sequence[str]
    targets: Sequence[str]
    properties: Sequence[Mapping[str, Any]] | None = None


class Engine:
    """Upserts nodes and relations into a graph, for one batch."""

    def __init__(
        self,
        graph: Graph,
        batch: Batch,
        lease: Lease | None,
        writers: Writers,
        reporter: Reporter,
        curated: Curated | None = None,
    ) -> None:
        self._graph, self._batch, self._lease = graph, batch, lease
        self._curated = curated or Curated.nothing()
        self._writers, self._reporter = writers, reporter
        self._ids: dict[str, dict[str, int]] = {}
        self._made: dict[str, set[int]] = {}
        self._linked: dict[EdgeSpec, set[int]] = {}
        self._names: tuple[set[str], set[str]] | None = None
        self._imagined: dict[EdgeSpec, set[tuple[int, int]]] = {}

    def nodes(self, spec: NodeSpec, wanted: Mapping[str, NodeValues]) -> None:
        """Make the nodes that are missing, and set the properties that differ."""
        self._again_if_lost(lambda: self._upsert_nodes(spec, wanted))

    def relations(self, spec: EdgeSpec, rows: EdgeRows, lost: Lost) -> None:
        """Make the relations that are missing, and set the properties that differ; `lost(row, why)` for the others."""
        told: set[tuple[int, str]] = set()

        def once(row: int, why: str, *, kept: bool = False) -> None:
            if (row, why) not in told:
                lost(row, f"{spec}: {why}", kept=kept)
            told.add((row, why))

        self._again_if_lost(lambda: self._upsert_relations(spec, rows, once))

    def missing(self, spec: NodeSpec, keys: Iterable[str]) -> set[str]:
        """Which of these keys no node of the label has."""
        known, wanted = self._ids.setdefault(spec.label, {}), set(keys)
        statement = filled("import/existing_keys", spec)
        pages = ({"keys": page} for page in in_batches(sorted(wanted - known.keys()), _KEYS_A_PAGE))
        for row in self._writers.read(statement, pages):
            known.update(zip(row["keys"], row["ids"], strict=True))
        return wanted - known.keys()

    def mark_classes(self, spec: NodeSpec) -> None:
        """Give the nodes of a class label the second label Class."""
        if not self._batch.dry_run:
            self._again_if_lost(lambda: self._graph.run(load("import/mark_classes").fill(label=spec.label)))

    def _again_if_lost(self, work: Callable[[], object]) -> None:
        """Do the work, and again when the server went away meanwhile: every attempt begins by reading what is there."""
        self._counted = False
        for attempt in range(_TRIES):
            try:
                if self._lease is not None:
                    self._lease.check()
                work()
                return
            except GraphUnavailable as error:
                if self._lease is None or attempt == _TRIES - 1:
                    raise
                self._reporter.warn(f"{error}; waiting for the server, then going on")
                self._forget()
                self._lease.retake()

    def _forget(self) -> None:
        """Internal ids are good only while the lease is held."""
        for memory in (self._ids, self._made, self._linked):
            memory.clear()
        self._names = None

    # -- nodes ---------------------------------------------------------------------------------------------------------

    def _upsert_nodes(self, spec: NodeSpec, wanted: Mapping[str, NodeValues]) -> None:
        there = self._existing_nodes(spec, wanted)
        fresh = [key for key in wanted if key not in there]
        differing = ((key, _difference(old, wanted[key])) for key, old in there.items())
        changed = {key: pair for key, (old, new) in differing if (pair := self._not_curated(spec, key, old, new))[1]}
        self._count(spec.label, len(fresh), len(changed), len(there) - len(changed))
        if self._batch.dry_run:
            known = self._ids.setdefault(spec.label, {})
            known.update((key, -len(known) - n) for n, key in enumerate(fresh, 1))
            return
        if fresh:
            self._batch.begin().write_created(spec, fresh)
        if changed:
            entries = [Entry(key, "", "{}", "updated", _json(old), _json(new)) for key, (old, new) in changed.items()]
            self._batch.begin().write(spec, entries)
        reach("import.after_journal")
        rows = [(key, {**wanted[key].defaults, **wanted[key].properties}) for key in fresh]
        made = self._write_nodes(spec, rows)
        self._made.setdefault(spec.label, set()).update(made)
        self._write_nodes(spec, [(key, new) for key, (_, new) in changed.items()])

    def _not_curated(
        self, spec: NodeSpec, key: str, old: dict[str, Any], new: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """(old, new) without the properties that a curator has written."""
        edited = self._curated.of_node(spec, key)
        for name in edited.keys() & new.keys():
            if not self._counted:
                self._batch.keep(spec.label, 0, f"{key!r}: {name} stays as it was {edited[name]}")
            del old[name], new[name]
        return old, new

    def _existing_nodes(self, spec: NodeSpec, wanted: Mapping[str, NodeValues]) -> dict[str, dict[str, Any]]:
        parts = (part for values in wanted.values() for part in (values.properties, values.defaults))
        names = list(dict.fromkeys(name for part in parts for name in part))
        known, there = self._ids.setdefault(spec.label, {}), {}
        if not self._any(spec.label):
            return there
        pages = ({"keys": page, "names": names} for page in in_batches(wanted, _KEYS_A_PAGE))
        for row in self._writers.read(filled("import/existing_nodes", spec), pages):
            known.update(zip(row["keys"], row["ids"], strict=True))
            for key, values in zip(row["keys"], row["values"], strict=True):
                there[key] = dict(zip(names, values, strict=True))
        return there

    def _any(self, label: str) -> bool:
        """Whether anything has the label; asked once for all, since planning a question costs more than the answer."""
        return label in self._in_use()[0] or bool(self._made.get(label))

    def _any_relation(self, spec: EdgeSpec) -> bool:
        """Whether there are relations of this type, between whatever labels."""
        return spec.type in self._in_use()[1] or any(spec.type == linked.type for linked in self._linked)

    def _in_use(self) -> tuple[set[str], set[str]]:
        if self._names is None:
            row = self._graph.run("import/names_in_use")[0]
            self._names = set(row["labels"]), set(row["types"])
        return self._names

    def _write_nodes(self, spec: NodeSpec, rows: Sequence[tuple[str, Mapping[str, Any]]]) -> list[int]:
        """Internal ids of the nodes that were written."""
        maps = ({"key": key, "properties": properties} for key, properties in rows)
        size = _portion(len(rows), self._writers.connections, _NODES_A_TRANSACTION)
        portions = ({"rows": part} for part in in_batches(maps, size))
        ids: list[int] = []
        for row in self._writers.write(filled("import/write_nodes", spec), portions):
            self._ids.setdefault(spec.label, {}).update(zip(row["keys"], row["ids"], strict=True))
            ids += row["ids"]
        return ids

    # -- relations -----------------------------------------------------------------------------------------------------

    def _upsert_relations(self, spec: EdgeSpec, rows: EdgeRows, lost: Lost) -> None:
        sources, targets, at = self._ends(spec, rows, lost)
        if not len(at):
            return
        if rows.properties is None and not spec.identity:
            self._upsert_pairs(spec, rows, (sources, targets, at))
        else:
            self._upsert_with_properties(spec, rows, (sources, targets, at))
        if not self._batch.dry_run:
            self._linked.setdefault(spec, set()).update(sources.tolist())

    def _ends(self, spec: EdgeSpec, rows: EdgeRows, lost: Lost) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Internal ids of both ends, and the row, of each relation whose ends are there. Shapes: three of (n,) int64"""
        no_source = self.missing(spec.source, rows.sources)
        no_target = self.missing(spec.target, rows.targets)
        from_key, to_key = self._ids[spec.source.label], self._ids[spec.target.label]
        ends = rows.sources, rows.targets
        if not no_source and not no_target and not self._curated.removes(spec):
            at = np.arange(len(rows.sources))
        else:
            at = np.fromiter(self._whole(spec, rows, (no_source, no_target), lost), np.int64)
            ends = tuple([column[n] for n in at] for column in ends)
        sources, targets = (
            np.fromiter(map(known.__getitem__, column), np.int64, len(at))
            for known, column in zip((from_key, to_key), ends, strict=True)
        )
        return sources, targets, at

    def _whole(self, spec: EdgeSpec, rows: EdgeRows, gone: tuple[set[str], set[str]], lost: Lost) -> Iterator[int]:
        labels = spec.source.label, spec.target.label
        for n, ends in enumerate(zip(rows.sources, rows.targets, strict=True)):
            bad = [(label, key) for label, key, absent in zip(labels, ends, gone, strict=True) if key in absent]
            removed = self._curated.removed(spec, *ends)
            if removed is not None:
                lost(n, f"{ends[0]!r} to {ends[1]!r} stays away, {removed}", kept=True)
            elif not bad:
                yield n
            for label, key in bad:
                lost(n, f"there is no {label} {key!r}")

    def _upsert_pairs(self, spec: EdgeSpec, rows: EdgeRows, ends: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
        sources, targets, at = ends
        keep = distinct(sources, targets)
        keep = keep[not_in(sources[keep], targets[keep], *self._existing_pairs(spec, sources))]
        if self._batch.dry_run:
            keep = self._not_imagined(spec, sources, targets, keep)
        self._count(str(spec), len(keep), 0, len(at) - len(keep))
        if not len(keep) or self._batch.dry_run:
            return
        chosen = at[keep].tolist()
        journal = self._batch.begin()
        journal.write_created(spec, [rows.sources[n] for n in chosen], [rows.targets[n] for n in chosen])
        reach("import.after_journal")
        size = _portion(len(keep), self._writers.connections, _RELATIONS_A_TRANSACTION)
        self._create("create_relations", spec, grouped(sources[keep], targets[keep].tolist(), size))

    def _existing_pairs(self, spec: EdgeSpec, sources: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        pages = ({"ids": page} for page in in_batches(self._to_read(spec, sources), _KEYS_A_PAGE))
        found = [np.zeros((2, 0), np.int64)]
        for row in self._writers.read(filled("import/existing_pairs", spec), pages):
            found.append(np.array([row["sources"], row["targets"]], np.int64))
        there = np.concatenate(found, axis=1)
        return there[0], there[1]

    def _to_read(self, spec: EdgeSpec, sources: np.ndarray) -> list[int]:
        """Sources that may have relations of this type: not those that we have just made and not linked yet."""
        if not self._any_relation(spec):
            return []
        made, linked = self._made.get(spec.source.label, set()), self._linked.get(spec, set())
        return [n for n in np.unique(sources).tolist() if n >= 0 and (n not in made or n in linked)]

    def _not_imagined(self, spec: EdgeSpec, sources: np.ndarray, targets: np.ndarray, keep: np.ndarray) -> np.ndarray:
        """A dry run writes nothing that a later portion could find; what it would have written is remembered here."""
        seen = self._imagined.setdefault(spec, set())
        pairs = zip(sources[keep].tolist(), targets[keep].tolist(), strict=True)
        fresh = np.fromiter((pair not in seen and not seen.add(pair) for pair in pairs), bool, len(keep))
        return keep[fresh]

    def _create(self, statement: str, spec: EdgeSpec, portions: Iterable[list[list[Any]]]) -> None:
        """Write portions as they come: the first are on their way while the next is put together."""
        wanted = 0

        def counted() -> Iterator[dict[str, Any]]:
            nonlocal wanted
            for part in portions:
                wanted += sum(len(targets) for _, targets in part)
                yield {"groups": part}

        created = self._writers.write(filled(f"import/{statement}", spec), counted())
        if wanted != sum(row["created"] for row in created):
            # An end was deleted between our reading and our writing: read again, so that the row is reported.
            raise GraphUnavailable(f"{spec}: nodes disappeared while their relations were made")

    # -- relations with properties -------------------------------------------------------------------------------------

    def _upsert_with_properties(
        self, spec: EdgeSpec, rows: EdgeRows, ends: tuple[np.ndarray, np.ndarray, np.ndarray]
    ) -> None:
        known = self._existing_relations(spec, ends[0])
        fresh: list[tuple[int, int, int]] = []
        changed: list[tuple[int, dict[str, Any], dict[str, Any]]] = []
        for source, target, n in zip(*(column.tolist() for column in ends), strict=True):
            properties = rows.properties[n] if rows.properties is not None else {}
            name = source, target, *(properties.get(part) for part in spec.identity)
            old = known.setdefault(name, properties)
            if old is properties:
                fresh.append((source, target, n))
            elif new := self._new_properties(spec, rows, n, old):
                changed.append((n, {k: old.get(k) for k in new}, new))
                known[name] = {**old, **new}
        if self._batch.dry_run:
            new_pairs = self._not_imagined(
                spec, *(np.array([f[i] for f in fresh]) for i in (0, 1)), np.arange(len(fresh))
            )
            fresh = [fresh[n] for n in new_pairs]
        self._count(str(spec), len(fresh), len(changed), len(ends[2]) - len(fresh) - len(changed))
        if not self._batch.dry_run:
            self._create_with_properties(spec, rows, fresh)
            self._update(spec, rows, changed)

    def _new_properties(self, spec: EdgeSpec, rows: EdgeRows, n: int, old: Mapping[str, Any]) -> dict[str, Any]:
        """Properties of a relation that differ, without those that a curator has written."""
        said = rows.properties[n] if rows.properties is not None else {}
        new = {name: value for name, value in said.items() if not _same(old.get(name), value)}
        edited = self._curated.of_relation(spec, rows.sources[n], rows.targets[n])
        for name in edited.keys() & new.keys():
            if not self._counted:
                why = f"{rows.sources[n]!r} to {rows.targets[n]!r}: {name} stays as it was {edited[name]}"
                self._batch.keep(str(spec), 0, why)
            del new[name]
        return new

    def _existing_relations(self, spec: EdgeSpec, sources: np.ndarray) -> dict[Identity, Mapping[str, Any]]:
        known: dict[Identity, Mapping[str, Any]] = {}
        pages = ({"ids": page} for page in in_batches(self._to_read(spec, sources), _KEYS_A_PAGE))
        for row in self._writers.read(filled("import/existing_relations", spec), pages):
            for source, target, old in zip(row["sources"], row["targets"], row["properties"], strict=True):
                known[(source, target, *(old.get(part) for part in spec.identity))] = old
        return known

    def _create_with_properties(self, spec: EdgeSpec, rows: EdgeRows, fresh: list[tuple[int, int, int]]) -> None:
        if not fresh:
            return
        said = rows.properties or [{}] * len(rows.sources)
        entries = [Entry(rows.sources[n], rows.targets[n], _json(_identity(spec, said[n]))) for _, _, n in fresh]
        self._batch.begin().write(spec, entries)
        reach("import.after_journal")
        sources = np.array([source for source, _, _ in fresh], np.int64)
        size = _portion(len(fresh), self._writers.connections, _RELATIONS_A_TRANSACTION)
        portions = grouped(sources, [[target, dict(said[n])] for _, target, n in fresh], size)
        self._create("create_relations_with_properties", spec, portions)

    def _update(self, spec: EdgeSpec, rows: EdgeRows, changed: list[tuple[int, dict, dict]]) -> None:
        if not changed:
            return
        entries, updates = [], []
        for n, old, new in changed:
            source, target = rows.sources[n], rows.targets[n]
            identity = _identity(spec, (rows.properties or {})[n])
            entries.append(Entry(source, target, _json(identity), "updated", _json(old), _json(new)))
            updates.append({"source": source, "target": target, "identity": identity, "properties": new})
        self._batch.begin().write(spec, entries)
        # One after another: two of them may be about the same relation.
        portions = ({"rows": part} for part in in_batches(updates, _RELATIONS_A_TRANSACTION))
        for portion in portions:
            self._writers.write(filled("import/update_relations", spec), [portion])

    def _count(self, what: str, created: int, updated: int, unchanged: int) -> None:
        """Count a portion once: an attempt after a lost connection finds what the first one wrote."""
        if self._counted:
            return
        self._counted = True
        report = self._batch.report
        report.created[what] += created
        report.updated[what] += updated
        report.unchanged[what] += unchanged


def _difference(old: Mapping[str, Any], wanted: NodeValues) -> tuple[dict[str, Any], dict[str, Any]]:
    """(old, new) of the properties that differ."""
    lacking = {name: value for name, value in wanted.defaults.items() if old.get(name) is None}
    new = {k: value for k, value in {**lacking, **wanted.properties}.items() if not _same(old.get(k), value)}
    return {name: old.get(name) for name in new}, new


def _portion(rows: int, connections: int, most: int) -> int:
    """Rows a transaction: all connections have work, and none a transaction too small to be worth it."""
    return min(most, max(-(-rows // connections), most // 10, 1))


def _identity(spec: EdgeSpec, properties: Mapping[str, Any]) -> dict[str, Any]:
    return {name: properties.get(name) for name in spec.identity}


def _same(old: Any, new: Any) -> bool:
    return type(old) is type(new) and old == new


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False) if value else "{}"
