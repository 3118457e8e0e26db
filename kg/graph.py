"""How does everything else talk to Neo4j? The only module that imports the driver."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import neo4j
from neo4j.exceptions import (
    AuthError,
    ClientError,
    DriverError,
    Neo4jError,
    ServiceUnavailable,
    SessionExpired,
    TransientError,
)

from cypher import Statement, StatementFileError, load
from kg import failpoints
from kg.errors import GraphUnavailable, SchemaViolation, SettingsError, StatementError
from kg.server.connection import Neo4jAddress, neo4j_address
from kg.settings import Settings

__all__ = ["Explained", "Graph", "Transaction", "connect"]

Row = dict[str, Any]
_SUPPORTED = "5.26"
_ENTITIES = ("NODE", "RELATIONSHIP", "PATH")
"""Declared types of columns that the driver has objects for."""


def connect(settings: Settings) -> Graph:
    """Open the configured graph: NEO4J_URI, or the embedded server of this home.

    Raises: ServiceError (nothing runs), SettingsError (wrong password), GraphUnavailable, SchemaViolation (another
    version).
    """
    return Graph(neo4j_address(settings), timeout_s=settings.statement_timeout_s)


_CREATED_MEANWHILE = {
    f"Neo.ClientError.Schema.{name}"
    for name in ("EquivalentSchemaRuleAlreadyExists", "IndexAlreadyExists", "ConstraintAlreadyExists")
}


class Graph:
    """One database of one server. Thread-safe; close it, or use it as a context manager."""

    def __init__(self, address: Neo4jAddress, *, timeout_s: float = 300.0) -> None:
        self.address = address
        self._timeout_s = timeout_s
        self._guard: Callable[[Transaction], None] = _let_pass
        with translating(f"connecting to {address.uri}"):
            self._driver = neo4j.GraphDatabase.driver(
                address.uri,
                auth=(address.user, address.password.get_secret_value()),
                user_agent="korvai",
                notifications_min_severity="OFF",
                connection_acquisition_timeout=30,
                max_transaction_retry_time=20,
            )
        try:
            with translating(f"connecting to {address.uri}"):
                self._driver.verify_connectivity()
                self._refuse_other_versions()
        except Exception:
            self._driver.close()
            raise

    def __enter__(self) -> Graph:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._driver.close()

    def guarded(self, guard: Callable[[Transaction], None]) -> Graph:
        """This graph for somebody who may lose the right to write: `guard` is the last thing before every commit.

        It raises to roll back. What cannot be one transaction (schema, CALL … IN TRANSACTIONS) it precedes.
        """
        other = copy.copy(self)
        other._guard = guard
        return other

    def run(self, statement: Statement | str, **params: Any) -> list[Row]:
        """Run a saved statement in a transaction of its own and return its rows.

        Transient failures (deadlock, leader change) are retried by the driver; statements are written to be repeatable.
        Raises: StatementError (unknown, parameters, syntax, constraint), GraphUnavailable.
        """
        statement = _prepared(statement, params)
        batched = "IN TRANSACTIONS" in statement.text
        if self._guard is not _let_pass and (batched or statement.access == "schema"):
            with self.transaction(f"before {statement.name}"):
                pass  # the guard is its only statement
        if batched:
            return self._run_implicit(statement, params)
        with translating(statement.name), self._session(statement.access) as session:
            execute = session.execute_read if statement.access == "read" else session.execute_write

            def rows(tx: neo4j.ManagedTransaction) -> list[Row]:
                found = _rows(statement, tx.run(statement.text, params))
                if statement.access == "write":
                    self._guard(Transaction(tx))
                return found

            failpoints.reach(f"before {statement.name}")
            work = neo4j.unit_of_work(metadata=_metadata(statement), timeout=self._timeout_s)(rows)
            try:
                found = execute(work)
            except ClientError as error:
                # IF NOT EXISTS looks first, then creates: of two at one moment the later fails, and finds it next time.
                if error.code not in _CREATED_MEANWHILE or statement.access != "schema":
                    raise
                found = execute(work)
            failpoints.reach(f"after {statement.name}")
            return found

    def one(self, statement: Statement | str, **params: Any) -> Row | None:
        """The first row, or None."""
        rows = self.run(statement, **params)
        return rows[0] if rows else None

    def stream(self, statement: Statement | str, **params: Any) -> Iterator[Row]:
        """Rows one by one, for results that do not fit in memory; the transaction ends with the iterator."""
        statement = _prepared(statement, params)
        with translating(statement.name), self._session(statement.access) as session:
            query = neo4j.Query(statement.text, metadata=_metadata(statement), timeout=self._timeout_s)
            for record in session.run(query, params):
                yield dict(zip(record.keys(), record.values(), strict=True))

    @contextmanager
    def transaction(
        self, name: str, *, metadata: Mapping[str, Any] | None = None, timeout_s: float | None = None
    ) -> Iterator[Transaction]:
        """Several statements as one unit: commits when the block ends, rolls back when it raises.

        `timeout_s` is for one that stays open longer than a statement may take; 0 is no limit.
        """
        with translating(name), self._session("write") as session:
            meta = {"korvai": True, "statement": name, **(metadata or {})}
            limit_s = self._timeout_s if timeout_s is None else timeout_s
            with session.begin_transaction(metadata=meta, timeout=limit_s) as tx:
                yield Transaction(tx)
                self._guard(Transaction(tx))
                tx.commit()

    def run_on_system(self, statement: Statement | str, **params: Any) -> list[Row]:
        """Like `run`, on the server's system database, which takes single procedure calls only."""
        statement = _prepared(statement, params)
        with translating(statement.name), self._driver.session(database="system") as session:
            query = neo4j.Query(statement.text, metadata=_metadata(statement), timeout=self._timeout_s)
            return _rows(statement, session.run(query, params))

    def newest_commit(self) -> str:
        """A mark of the newest commit, which every later read sees as a whole; the same mark later: nobody wrote since.

        The bookmark of a read names the newest commit of all sessions, applied or not; a second session that is given
        the bookmark waits until it, and all before it, are applied.
        """
        statement = load("pull/newest_commit")
        with translating(statement.name):
            with self._session("read") as session:
                session.run(statement.text).consume()
                newest = session.last_bookmarks()
            with self._session("read", bookmarks=newest) as session:
                session.run(statement.text).consume()
        return " ".join(sorted(newest.raw_values))

    def user_query(self, text: str, **params: Any) -> tuple[list[str], list[list[Any]]]:
        """Run a person's own text read-only; for consoles and tests, never for text from the network."""
        with translating("your query"), self._session("read") as session:
            return session.execute_read(lambda tx: _table(tx.run(text, params)))  # type: ignore[arg-type]

    def explain(self, statement: Statement, **params: Any) -> Explained:
        """What the server makes of a statement, without running it."""
        with translating(statement.name), self._session("write") as session:
            result = session.run(f"EXPLAIN {statement.text}", params)  # type: ignore[arg-type]
            columns = tuple(result.keys())
            return Explained(result.consume().query_type or "r", columns)

    def _run_implicit(self, statement: Statement, params: Mapping[str, Any]) -> list[Row]:
        with translating(statement.name), self._session("write") as session:
            query = neo4j.Query(statement.text, metadata=_metadata(statement), timeout=self._timeout_s)
            return _rows(statement, session.run(query, params))

    def _session(self, access: str, **config: Any) -> neo4j.Session:
        mode = neo4j.READ_ACCESS if access == "read" else neo4j.WRITE_ACCESS
        return self._driver.session(database=self.address.database, default_access_mode=mode, **config)

    def _refuse_other_versions(self) -> None:
        with self._session("read") as session:
            version = session.run(load("server/version").text).single(strict=True)["version"]
        if not version.startswith(_SUPPORTED + "."):
            raise SchemaViolation(
                f"connecting to {self.address.uri}: the server is Neo4j {version}; Korvai is tested with {_SUPPORTED} "
                "only; unset NEO4J_URI to use the embedded one"
            )


class Explained(NamedTuple):
    """The server's query type (r, rw, w, s) and the columns of a statement."""

    query_type: str
    columns: tuple[str, ...]


class Transaction:
    """Statements inside `Graph.transaction`."""

    def __init__(self, tx: neo4j.Transaction | neo4j.ManagedTransaction) -> None:
        self._tx = tx

    def run(self, statement: Statement | str, **params: Any) -> list[Row]:
        """Like `Graph.run`, within this transaction."""
        statement = _prepared(statement, params)
        with translating(statement.name):
            failpoints.reach(f"before {statement.name}")
            found = _rows(statement, self._tx.run(statement.text, params))
            failpoints.reach(f"after {statement.name}")
            return found


def _let_pass(_: Transaction) -> None:
    """The guard of a graph without one."""


def _prepared(statement: Statement | str, params: Mapping[str, Any]) -> Statement:
    try:
        statement = load(statement) if isinstance(statement, str) else statement
    except StatementFileError as error:
        raise StatementError(str(error)) from error
    wanted = {field.name for field in statement.params}
    if wanted != set(params):
        raise StatementError(f"{statement.name}: takes the parameters {sorted(wanted)}, was given {sorted(params)}")
    if statement.slots:
        raise StatementError(f"{statement.name}: its slots {[s.name for s in statement.slots]} are not filled")
    return statement


def _metadata(statement: Statement) -> dict[str, Any]:
    return {"korvai": True, "statement": statement.name}


def _rows(statement: Statement, result: neo4j.Result) -> list[Row]:
    """As dictionaries. `Record.data` looks at every element of every list: only where nodes or paths can be in it."""
    if any(kind in field.type for field in statement.returns for kind in _ENTITIES):
        return [record.data() for record in result]
    return [dict(record.items()) for record in result]


def _table(result: neo4j.Result) -> tuple[list[str], list[list[Any]]]:
    keys: Sequence[str] = result.keys()
    return list(keys), [list(record.values()) for record in result]


@contextmanager
def translating(what: str) -> Iterator[None]:
    """Turn the driver's errors into ours, with the statement's name in front."""
    try:
        yield
    except AuthError as error:
        raise SettingsError(
            f"{what}: the server refused user and password; set NEO4J_USER and NEO4J_PASSWORD, or restore "
            "HOME/neo4j/password"
        ) from error
    except (ServiceUnavailable, SessionExpired, TransientError) as error:
        raise GraphUnavailable(f"{what}: {_line(error)}; is the server up? (`korvai status`)") from error
    except Neo4jError as error:
        raise StatementError(f"{what}: {_line(error)}") from error
    except (DriverError, OSError) as error:
        raise GraphUnavailable(f"{what}: {_line(error)}") from error


def _line(error: BaseException) -> str:
    return " ".join(str(getattr(error, "message", None) or error).split())[:400]
