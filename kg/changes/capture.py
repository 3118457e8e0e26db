"""How do edits that somebody types as raw Cypher get recorded, on Community Edition?

An APOC trigger runs `changes/watch` before every commit, inside the transaction and as its user. So an edit and its
record are one: neither is there without the other, the user's name is known, and what a DETACH DELETE takes away can
still be told. (APOC's `afterAsync` phase, in contrast, runs without a user, loses what joined deleted nodes, and an
error in it is silent.) Transactions of Korvai's own say `korvai: true` and are left alone: it records its own edits,
and an import has its journal.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cypher import load
from kg.changes.edit_record import Edit
from kg.errors import ServiceError, StatementError
from kg.graph import Graph
from kg.schema import OVERLAY_LABELS, Domain, domain_names, load_domain

__all__ = ["BULK", "Capture", "install", "recorded", "remove", "status", "warm_up"]

TRIGGER = "korvai_capture"
BULK = 10_000
"""Changes in one transaction above which they are counted, not recorded one by one: whoever types them waits for it."""

_IMAGE_KEY = {"Image": "sha256"}
"""Labels of the overlay to which a relation of a domain node is recorded too: a curator may give an item an image."""
_UNRECORDED = ["clusters/add"]
"""Statements of Korvai's own that change a domain's graph and write no edits themselves."""

_LIVE_S = 10.0
_ALL = 1_000_000


@dataclass(frozen=True)
class Capture:
    """Whether raw Cypher is recorded."""

    on: bool
    live: bool = False
    """The database has taken the trigger up; it looks for new ones once a second."""
    since: dt.datetime | None = None
    labels: frozenset[str] = frozenset()
    """Labels whose nodes and relations are watched."""
    edits: int = 0
    last: dt.datetime | None = None

    def covers(self, domain: Domain, since: dt.datetime) -> bool:
        """Whether every raw edit of the domain after `since` was recorded."""
        watched = self.since is not None and self.since <= since and set(domain.node_types) <= self.labels
        return self.on and self.live and watched


def install(graph: Graph, *domains: Domain, bulk: int = BULK) -> Capture:
    """Have raw edits recorded from now on, of `domains` or of all that ship; safe to repeat.

    A transaction with more than `bulk` changes leaves one edit for each kind of them, with a count.
    Raises: ServiceError where APOC or its triggers are not to be had.
    """
    keys = _keys(domains or map(load_domain, domain_names()))
    found, said = _installed(graph), _values(keys, bulk)
    if found is None or not _same(found, said):
        said["since"] = dt.datetime.now(dt.UTC).isoformat()
        _on_system(graph, "changes/install_trigger", name=TRIGGER, text=load("changes/watch").text, values=said)
    _wait_until(graph, there=True)
    warm_up(graph)
    return status(graph)


def warm_up(graph: Graph) -> bool:
    """Have the trigger's statements planned, so that the first edit after a start need not wait for it; whether it ran.

    A server plans them at the first edit otherwise, for seconds. Where nothing is captured this does nothing.
    """
    try:
        if not _live(graph):
            return False
    except StatementError:  # no APOC
        return False
    with graph.transaction("changes/warm_up", metadata={"korvai": False}) as tx:  # as if a person had typed it
        tx.run("changes/warm_up")
    return True


def remove(graph: Graph) -> None:
    """Record raw edits no longer; what was recorded stays.

    Raises: ServiceError where APOC or its triggers are not to be had.
    """
    if _installed(graph) is not None:
        _on_system(graph, "changes/drop_trigger", name=TRIGGER)
        _wait_until(graph, there=False)


def status(graph: Graph) -> Capture:
    """Whether raw edits are recorded, since when, and how many edits there are."""
    (counted,) = graph.run("changes/count_edits")
    last = counted["last"].to_native() if counted["last"] else None
    try:
        found = _installed(graph)
    except ServiceError:
        found = None
    if found is None or found["paused"]:
        return Capture(on=False, edits=counted["edits"], last=last)
    values = found["values"]
    return Capture(
        on=True,
        live=_live(graph),
        since=dt.datetime.fromisoformat(values["since"]),
        labels=frozenset(values["values"]["keys"]),
        edits=counted["edits"],
        last=last,
    )


def recorded(graph: Graph, domain: Domain, *, since: dt.datetime, limit: int = _ALL) -> list[Edit]:
    """The domain's recorded edits from `since` on, through Korvai and raw ones, latest first."""
    rows = graph.run("changes/list_edits", labels=list(domain.node_types), since=since, limit=limit)
    return [Edit.from_properties(row["edit"]) for row in rows]


def _keys(domains: Iterable[Domain]) -> dict[str, str]:
    return {label: kind.key for domain in domains for label, kind in domain.node_types.items()}


def _same(found: dict[str, Any], said: dict[str, Any]) -> bool:
    current = found["query"] == load("changes/watch").text and not found["paused"]
    return current and said.items() <= found["values"].items()


def _values(keys: dict[str, str], bulk: int) -> dict[str, Any]:
    values = {"keys": keys, "ends": keys | _IMAGE_KEY, "overlay": sorted(OVERLAY_LABELS), "limit": bulk}
    values["unrecorded"] = _UNRECORDED
    return {"capture": load("changes/capture").text, "values": values}


def _installed(graph: Graph) -> dict[str, Any] | None:
    rows = _on_system(graph, "changes/show_trigger")
    return next((row for row in rows if row["name"] == TRIGGER), None)


def _live(graph: Graph) -> bool:
    row = graph.one("changes/live_trigger", name=TRIGGER)
    return row is not None and row["query"] == load("changes/watch").text


def _wait_until(graph: Graph, *, there: bool) -> None:
    until = time.monotonic() + _LIVE_S
    while _live(graph) != there:
        if time.monotonic() > until:
            raise ServiceError(
                f"the database has not taken up the change of the trigger {TRIGGER} within {_LIVE_S:.0f} s; set "
                "apoc.trigger.refresh=1000 in apoc.conf and restart it"
            )
        time.sleep(0.1)


def _on_system(graph: Graph, statement: str, **values: Any) -> list[dict[str, Any]]:
    """Run a statement about the trigger where triggers are kept."""
    try:
        return graph.run_on_system(statement, database=graph.address.database, **values)
    except StatementError as error:
        raise ServiceError(
            f"triggers are not to be had on {graph.address.uri} ({error}); install APOC Core of the server's version "
            "and set apoc.trigger.enabled=true in apoc.conf. Without it `korvai changes` compares columns, and knows "
            "neither who nor the old value"
        ) from error
