"""How do several connections write at once without ever waiting for each other's locks?

Creating a relation locks its ends, and the neighbours in their chains of relations, when the transaction commits, not
before (measured on 5.26: a second connection creates and commits between the same nodes while the first is open).
So statements run on all connections side by side, and one connection at a time commits: no two of them ever hold a
lock on the same node. Splitting the nodes between connections is not enough: on a grid of disjoint blocks the chains
still met, in deadlocks that cost a second each.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import Any

from cypher import Statement
from kg.failpoints import reach
from kg.graph import Graph
from kg.loading.lease import Lease

__all__ = ["Writers"]

Row = dict[str, Any]


class Writers:
    """Connections for reading and writing; a context manager."""

    def __init__(self, graph: Graph, lease: Lease | None, *, connections: int) -> None:
        self.connections = connections
        self._graph, self._lease, self._commits = graph, lease, threading.Lock()
        self._pool = ThreadPoolExecutor(connections, thread_name_prefix="korvai-import")

    def __enter__(self) -> Writers:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def read(self, statement: Statement, pages: Iterable[Mapping[str, Any]]) -> Iterator[Row]:
        """The single row that the statement gives for each page of parameters, in order."""
        futures = [self._pool.submit(self._graph.one, statement, **page) for page in pages]
        return _results(futures)

    def write(self, statement: Statement, portions: Iterable[Mapping[str, Any]]) -> list[Row]:
        """Run the statement once a portion, each in its own transaction; the single row of each, in order.

        Raises: GraphUnavailable, StatementError: of the portions some are written and some not.
        """
        return list(_results([self._pool.submit(self._write, statement, portion) for portion in portions]))

    def _write(self, statement: Statement, portion: Mapping[str, Any]) -> Row:
        committing = False
        try:
            with self._graph.transaction(statement.name) as tx:
                (row,) = tx.run(statement, **portion)
                self._commits.acquire()
                committing = True
                if self._lease is not None:
                    self._lease.confirm(tx)
            reach("import.after_commit")
            return row
        finally:
            if committing:
                self._commits.release()


def _results(futures: list[Future[Row]]) -> Iterator[Row]:
    """Results in order; after a failure nothing new begins, and what is under way has ended."""
    try:
        done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        if any(future.exception() for future in done if not future.cancelled()):
            raise next(error for future in done if (error := future.exception()))
        return iter([future.result() for future in futures])
    except BaseException:
        for future in futures:
            future.cancel()
        wait(futures)
        raise
