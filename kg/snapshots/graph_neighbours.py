"""Who are the neighbours of nodes in the graph as it is now?

Asked by internal ids, which are good for as long as nobody writes. The ids and chance numbers of all nodes of a label
are read once, 16 bytes a node, and again when somebody wrote.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from cypher import Statement, load, union_all
from kg.errors import NodeNotFound, SchemaViolation
from kg.graph import Graph
from kg.schema import Domain, EdgeType
from kg.snapshots.chance import key_hashes
from kg.snapshots.columns import ImageColumns, NodeColumns
from kg.snapshots.pull_pages import fields_of, node_columns
from kg.snapshots.sources import Asked, Found, directions

__all__ = ["GraphNeighbours"]

_ROWS_A_PAGE = 40_000
_ANY = 2**62
_NO_QUESTION = {"number": -1, "ids": [], "few": [], "whole": 0}
"""For the directions that are not asked about."""

_LANES = 2
"""Statements at a time. Ways there and back, which cost most, are dealt out to both."""


class GraphNeighbours:
    """A `kg.snapshots.sources.Source`; a node's number is its place among its label's internal ids.

    Keep one open to ask often; close it, or use it as a context manager.
    """

    whole = 128

    def __init__(self, graph: Graph, domain: Domain) -> None:
        self.domain = domain
        self._graph = graph
        self._pool = ThreadPoolExecutor(min(4, max(2, os.cpu_count() or 2)), thread_name_prefix="neighbours")
        self._mark = ""
        self._ids: dict[str, np.ndarray] = {}
        self._hashes: dict[str, np.ndarray] = {}
        self._counts: dict[str, int] = {}
        self._statements: dict[tuple[bool, int], Statement] = {}
        self._numbers = {direction: number for number, direction in enumerate(directions(domain))}

    def __enter__(self) -> GraphNeighbours:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the threads; the graph stays open."""
        self._pool.shutdown()

    def refresh(self) -> str:
        """Forget what was read if somebody wrote since; the mark of the newest commit."""
        if (mark := self._graph.newest_commit()) != self._mark:
            self._ids, self._hashes, self._counts, self._mark = {}, {}, {}, mark
        return mark

    def hashes(self, label: str) -> np.ndarray:
        """`key_hashes` by place. Shapes: (nodes,) uint64"""
        self._read(label)
        return self._hashes[label]

    def edge_count(self, edge_type: EdgeType) -> int:
        """Relations of that type in the whole graph."""
        return self._count(edge_type[1])

    def find(self, label: str, keys: Sequence[str]) -> np.ndarray:
        """Places of keys.

        Raises: NodeNotFound, SchemaViolation for an unknown label.
        """
        key = self.domain.node_type(label).key
        (row,) = self._graph.stream(load("pull/node_ids").fill(label=label, key=key), keys=list(keys))
        id_of = dict(zip(row["keys"], row["ids"], strict=True))
        if missing := [name for name in keys if name not in id_of]:
            raise NodeNotFound(
                f"neighbourhood: no {label} {missing[0]!r} in the graph ({len(missing)} of {len(keys)} seeds are "
                "missing); keys are spelt as in the graph"
            )
        self._read(label)
        return np.searchsorted(self._ids[label], np.array([id_of[name] for name in keys], np.int64))

    def look(self, asked: Sequence[Asked]) -> list[Found]:
        """The relations of nodes; all questions go as one statement over each of two connections."""
        for label in {end for a in asked for end in (a.direction.near, a.direction.far)}:
            self._read(label)
        batches: dict[tuple[bool, int], dict[int, int]] = {}
        for place, a in enumerate(asked):
            number = self._numbers[a.direction]
            batches.setdefault((a.few is not None, number % _LANES), {})[number // _LANES] = place
        found: dict[int, Found] = {}
        for answers in self._pool.map(lambda batch: self._answers(*batch, asked), batches.items()):
            found |= answers
        return [found[place] for place in range(len(asked))]

    def nodes(self, places: Mapping[str, np.ndarray]) -> dict[str, NodeColumns]:
        """Keys and texts of nodes by label, in the order in which the server answers; `ids` are places."""
        alike: dict[tuple[str, ...], list[str]] = {}
        for label in places:
            alike.setdefault(fields_of(self.domain, label), []).append(label)
        parts = self._pool.map(lambda entry: self._columns(*entry, places), alike.items())
        read = {label: columns for part in parts for label, columns in part.items()}
        return {label: read[label] for label in places}

    def images(self, places: np.ndarray) -> ImageColumns:
        """The images of items; `items` are places."""
        columns, label = ImageColumns(), self.domain.item
        if not len(places) or not self._count("HAS_IMAGE"):
            return columns
        (page,) = self._graph.stream("pull/images", ids=self._ids[label][places].tolist())
        if page["items"]:
            columns.add(page)
        columns.items = [self._places(label, ids) for ids in columns.items]
        return columns

    def _count(self, name: str) -> int:
        if name not in self._counts:
            (row,) = self._graph.run(load("pull/relation_count").fill(type=name))
            self._counts[name] = row["count"]
        return self._counts[name]

    def _columns(
        self, fields: tuple[str, ...], labels: Sequence[str], places: Mapping[str, np.ndarray]
    ) -> dict[str, NodeColumns]:
        """The nodes of labels of which the same fields are wanted."""
        columns = {label: node_columns(self.domain, label) for label in labels}
        ids = np.concatenate([self._ids[label][places[label]] for label in labels])
        ends = np.cumsum([len(places[label]) for label in labels])
        for start in range(0, len(ids), _ROWS_A_PAGE):
            some = ids[start : start + _ROWS_A_PAGE]
            (page,) = self._graph.stream("pull/nodes", ids=some.tolist(), fields=list(fields))
            # Where each node that was found stood among those asked for, and so of which label it is.
            asked = start + _places_in(some, page["ids"])
            for label, begin, end in zip(labels, [0, *ends], ends, strict=False):
                mine = np.flatnonzero((begin <= asked) & (asked < end)).tolist()
                if mine:
                    values = [[column[place] for place in mine] for column in page["values"]]
                    columns[label].add({"ids": places[label][asked[mine] - begin], "values": values})
        return columns

    def _answers(self, kind: tuple[bool, int], places: Mapping[int, int], asked: Sequence[Asked]) -> dict[int, Found]:
        """The answers to questions of one kind by their place; `places` has that by the branch of the statement."""
        among, lane = kind
        statement = self._statement(among, lane)
        # As maps, since the server plans a statement anew for lists of another size.
        params: dict[str, Any] = {param.name: _NO_QUESTION for param in statement.params}
        for branch, place in places.items():
            a = asked[place]
            ids = self._ids[a.direction.near][a.nodes].tolist()
            few = [] if a.few is None else self._ids[a.direction.far][a.few].tolist()
            whole = _ANY if a.whole is None else a.whole
            params[f"question_{branch}"] = {"number": branch, "ids": ids, "few": few, "whole": whole}
        nothing = np.zeros(0, np.int64)
        # A branch that finds nothing returns no row.
        answers = {place: Found(np.zeros(len(asked[place].nodes), int), nothing, nothing) for place in places.values()}
        for row in self._graph.stream(statement, **params):
            if (place := places.get(row["number"])) is not None:
                ids = params[f"question_{row['number']}"]["ids"]
                answers[place] = self._met(asked[place], ids, row) if among else self._listed(asked[place], ids, row)
        return answers

    def _statement(self, among: bool, lane: int) -> Statement:
        """All directions of a lane as one statement, whichever are asked: the server plans it once."""
        if (among, lane) not in self._statements:
            noun = "meetings" if among else "neighbours"
            filled = [
                load(f"pull/{noun}_{'in' if direction.back else 'out'}").fill(type=direction.edge_type[1])
                for direction, number in self._numbers.items()
                if number % _LANES == lane
            ]
            self._statements[among, lane] = union_all(f"pull/{noun}", filled)
        return self._statements[among, lane]

    def _listed(self, asked: Asked, ids: Sequence[int], row: Mapping[str, Any]) -> Found:
        """Degrees and lists; relations that lead to other labels are left out."""
        there = _places_in(ids, row["ids"])
        degrees = np.zeros(len(ids), np.int64)
        degrees[there] = row["degrees"]
        lengths = [len(found) for found in row["neighbours"]]
        near = np.repeat(there, lengths)
        far = np.fromiter(chain.from_iterable(row["neighbours"]), np.int64, sum(lengths))
        return self._known(asked, degrees, near, far)

    def _met(self, asked: Asked, ids: Sequence[int], row: Mapping[str, Any]) -> Found:
        near = _places_in(ids, row["near"])
        return self._known(asked, np.zeros(len(ids), np.int64), near, np.array(row["far"], np.int64))

    def _known(self, asked: Asked, degrees: np.ndarray, near: np.ndarray, far: np.ndarray) -> Found:
        places = self._places(asked.direction.far, far)
        known = places >= 0
        return Found(degrees, near[known], places[known])

    def _places(self, label: str, ids: np.ndarray) -> np.ndarray:
        """Places of ids, -1 where one is not of that label."""
        known = self._ids[label]
        if not len(known):
            return np.full(len(ids), -1)
        place = np.minimum(np.searchsorted(known, ids), len(known) - 1)
        return np.where(known[place] == ids, place, -1)

    def _read(self, label: str) -> None:
        if label in self._ids:
            return
        statement = load("pull/node_page").fill(label=label)
        ids, hashes, after = [np.zeros(0, np.int64)], [np.zeros(0, np.uint64)], -1
        while True:
            fields = [self.domain.node_type(label).key]
            (page,) = self._graph.stream(statement, fields=fields, after=after, page_rows=_ROWS_A_PAGE)
            if not page["count"]:
                break
            ids.append(np.array(page["ids"], np.int64))
            hashes.append(key_hashes(label, _keys(label, page["values"][0])))
            after = page["last"]
        self._ids[label], self._hashes[label] = np.concatenate(ids), np.concatenate(hashes)


def _keys(label: str, values: Sequence[object]) -> pa.Array:
    keys = [str(value) if value is not None else "" for value in values]
    if "" in keys:
        raise SchemaViolation(f"neighbourhood: a {label} node has no key; `korvai validate` names it")
    return pa.array(keys, pa.large_string())


def _places_in(ids: Sequence[int], found: Sequence[int]) -> np.ndarray:
    known = np.array(ids, np.int64)
    order = np.argsort(known)
    return order[np.searchsorted(known, np.array(found, np.int64), sorter=order)]
