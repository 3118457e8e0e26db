"""Who may import into a database right now, so that two imports at once can never make one relation twice?

One import at a time. The lease is a transaction that stays open as long as the import and holds the lock of a batch
that never comes to be: when the importer dies, its connection closes and the server frees the lock at once, with
nothing to time out and nothing left behind. While the transaction is open the server also gives no freed internal id
to another node, so ids that were read stay good.

The lock's holder may lose it without knowing (a server that ends long transactions, a cut connection). Therefore every
writing transaction, as the last thing before its commit, takes the lock of its own Batch node and looks whether that
still runs; whoever takes the lease has marked it as stopped before, and has waited for those locks.
"""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack, suppress

from kg.errors import GraphError, GraphUnavailable, KorvaiError
from kg.graph import Graph, Transaction
from kg.progress import Reporter

__all__ = ["Lease"]

_SAY_AFTER_S = 2.0
_BACK_WITHIN_S = 180.0
"""How long a server that went away may take to come back."""


class Lease:
    """The right to import; a context manager. `batch` is set once the import has a record in the graph."""

    def __init__(self, graph: Graph, reporter: Reporter) -> None:
        self._graph, self._reporter, self._stack = graph, reporter, ExitStack()
        self._tx: Transaction | None = None
        self.batch: str | None = None

    def __enter__(self) -> Lease:
        self._take()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(KorvaiError):  # the lock is gone with its server
            self._stack.close()

    def check(self) -> None:
        """Make sure that the lease is still ours. Raises: GraphUnavailable."""
        if self._tx is not None:
            self._tx.run("import/hold_lease")

    def confirm(self, tx: Transaction) -> None:
        """Let a writing transaction go on to its commit. Raises: GraphError when another import has taken over."""
        if self.batch is not None and not tx.run("import/confirm_batch", id=self.batch)[0]["running"]:
            raise GraphError(
                f"import {self.batch}: another import has taken over since the connection was lost; run it again"
            )

    def retake(self) -> None:
        """Wait for a server that went away, and take the lease again.

        Raises: GraphUnavailable when it does not come back in time; GraphError when another import was faster.
        """
        deadline = time.monotonic() + _BACK_WITHIN_S
        self.__exit__()
        while True:
            try:
                self._take()
                break
            except GraphUnavailable:
                if time.monotonic() > deadline:
                    raise
                time.sleep(1.0)
        if self.batch is not None:
            with self._graph.transaction("import/confirm_batch") as tx:
                self.confirm(tx)

    def _take(self) -> None:
        self._stack = ExitStack()
        waiting = threading.Timer(_SAY_AFTER_S, self._say)
        waiting.start()
        try:
            tx = self._stack.enter_context(self._graph.transaction("import/hold_lease", timeout_s=0))
            tx.run("import/hold_lease")
            self._graph.run("import/stop_others", id=self.batch or "")
        except BaseException:
            self.__exit__()
            raise
        finally:
            waiting.cancel()
        self._tx = tx

    def _say(self) -> None:
        """What the wait is about: the transactions that hold a lease, the server's word; else it is only slow."""
        with suppress(KorvaiError):
            holders = self._graph.run("import/lease_holders")[0]["holders"]
            if holders <= 1:  # our own attempt
                self._reporter.note("the server is slow to answer; no other import is running")
                return
            running = [
                row["id"] for row in self._graph.run("import/list_batches", limit=5) if row["state"] == "running"
            ]
            self._reporter.note(f"waiting for another import to end: {', '.join(running) or 'it has not written yet'}")
