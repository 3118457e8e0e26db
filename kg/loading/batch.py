"""What is one import: its id, its record in the graph, its journal on disk and its report?"""

from __future__ import annotations

import getpass
import json
import secrets
import time

from kg.graph import Graph
from kg.importers.journal import Journal
from kg.importers.report import ImportReport, Problem, write_problems
from kg.loading.lease import Lease
from kg.schema import Domain
from kg.store import Store

__all__ = ["Batch", "describe", "new_id", "write_about"]


class Batch:
    """One import. Nothing is recorded of one that writes nothing, unless it ends what an earlier one left half-way."""

    def __init__(
        self, graph: Graph, store: Store, lease: Lease | None, *, domain: Domain, kind: str, source: str
    ) -> None:
        self.id = new_id(kind)
        self.folder = store.batches / self.id
        self.journal = Journal(self.folder)
        self.report = ImportReport(dry_run=lease is None)
        self._graph, self._store, self._lease = graph, store, lease
        self._about = describe(self.id, domain, kind=kind, source=source)
        self._labels = list(domain.node_types)

    @property
    def dry_run(self) -> bool:
        """Whether nothing may be written."""
        return self._lease is None

    def begin(self) -> Journal:
        """Record the batch before its first write; the journal to write into."""
        if self.report.batch is None and self._lease is not None:
            write_about(self._store, self._about)
            self._graph.run("import/begin_batch", labels=self._labels, **self._about)
            self.report.batch = self._lease.batch = self.id
        return self.journal

    def finish(self, *, state: str = "done") -> None:
        """Close the batch's record.

        An import that was killed after its last row is `stopped`, and its repetition finds all there: that all is
        there is recorded all the same, lest a curator takes the rows for left-overs.
        """
        if self.report.batch is None and self._lease is not None and state == "done" and self._left_half_way():
            self.begin()
        if self.report.batch is not None:
            report = self.report
            counts = {"created": report.total_created, "updated": report.total_updated}
            self._graph.run("import/finish_batch", id=self.id, state=state, problems=len(report.problems), **counts)

    def _left_half_way(self) -> bool:
        about = {name: self._about[name] for name in ("kind", "source", "domain")}
        return bool(self._graph.run("import/left_half_way", **about)[0]["stopped"])

    def problem(self, file: str, line: int, reason: str) -> None:
        """Report a row that is not taken."""
        self.report.problems.append(Problem(file, line, reason))

    def keep(self, file: str, line: int, reason: str) -> None:
        """Report a row, or a value of one, that gives way to a curator's edit."""
        self.report.kept.append(Problem(file, line, reason))

    def write_problems(self) -> None:
        """Put the problems met so far in the order of files and lines, and write them beside the journal."""
        problems = self.report.problems
        files = {file: n for n, file in enumerate(dict.fromkeys(problem.file for problem in problems))}
        problems.sort(key=lambda problem: (files[problem.file], problem.line))
        if problems and not self.dry_run:
            self.report.problems_file = write_problems(self._store, self.folder, problems)
        if self.report.kept and not self.dry_run:
            write_problems(self._store, self.folder, self.report.kept, name="kept.csv")


def new_id(kind: str) -> str:
    """An id for a batch: kind, time (UTC), and what tells it from others of the same second."""
    return f"{kind}-{time.strftime('%Y%m%dt%H%M%S', time.gmtime())}-{secrets.token_hex(3)}"


def describe(batch_id: str, domain: Domain, *, kind: str, source: str) -> dict[str, str]:
    """What the graph and the store keep of an import."""
    return {"id": batch_id, "kind": kind, "who": _user(), "source": source, "domain": domain.domain}


def write_about(store: Store, about: dict[str, str]) -> None:
    """Keep a batch's description beside its journal. Raises: StoreError."""
    with store.atomic_write(store.batches / about["id"] / "batch.json") as file:
        file.write(json.dumps(about, ensure_ascii=False, indent=1).encode())


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unknown"
