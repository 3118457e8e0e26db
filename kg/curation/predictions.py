"""How do the active set's answers become proposals that a curator accepts or rejects?

`(:Prediction {id, score, state, reviewer, at})-[:OF]->(item), -[:SAYS]->(class), -[:FROM]->(:EmbeddingSet)`, one for
each set and item. Proposing again is safe: open proposals are brought up to date, decided ones stay decided. Deciding
runs the very statement that curators paste into Neo4j Browser, and records in the same transaction what it did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cypher import load
from kg import failpoints
from kg.changes.edit_record import Edit, encode, new_id
from kg.curation.addresses import addresses
from kg.curation.edits import os_user
from kg.curation.recording import one_transaction, record
from kg.errors import SchemaViolation
from kg.explanations import Evidence
from kg.graph import Graph
from kg.progress import Reporter
from kg.publishing.activation import active_set
from kg.schema import Domain
from kg.statements import statement_for

__all__ = ["Decided", "Given", "Proposed", "decide", "list_predictions", "propose", "propose_given"]

_PAGE = 500


@dataclass(frozen=True)
class Proposed:
    """What `propose` did."""

    looked_at: int
    proposed: int
    skipped: int
    """Items whose proposal of this set was decided before."""
    embedding_set: str


@dataclass(frozen=True)
class Given:
    """What something outside the database says of an item."""

    item: str
    class_key: str
    score: float
    """Probability."""
    facts: tuple[str, ...]
    """What counted, in words."""
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True)
class Decided:
    """What `decide` did."""

    batch: str
    rows: list[dict[str, Any]]
    """The decided predictions: id, item, class, score."""
    left: list[dict[str, Any]] = field(default_factory=list)
    """Predictions whose item was classified meanwhile; they stay open."""


def propose(
    graph: Graph,
    domain: Domain,
    *,
    task: str | None = None,
    limit: int | None = None,
    at_least: float = 0.0,
    items: Sequence[str] | None = None,
    reporter: Reporter,
) -> Proposed:
    """Write proposals for items that have an image and no class, in pages, in the order of their keys.

    `items`, where given, says which of them may get one. A page is one transaction; stopped in the
    middle, the same call goes on and ends at the same graph.
    Raises: NodeNotFound (nothing is published), SchemaViolation (unknown task).
    """
    _check_share("--at-least", at_least)
    name = domain.task(task)[0]
    active = active_set(graph, domain, name)
    statement = statement_for(graph, "predictions/propose", domain, name)
    looked_at = proposed = skipped = 0
    after = ""
    wanted = None if items is None else sorted(set(items))
    with reporter.stage("proposing classes", limit if wanted is None else len(wanted), "items") as advance:
        while limit is None or looked_at < limit:
            most = _PAGE if limit is None else min(_PAGE, limit - looked_at)
            values = {"domain": domain.domain, "task": name, "after": after, "most": most, "at_least": at_least}
            page = None if wanted is None else [key for key in wanted if key > after][:_PAGE]
            if page == []:
                break
            row = graph.run(statement, items=page or [], **values)[0]
            if not row["looked_at"]:
                if page is None:
                    break
                after = page[-1]  # none of this page is open any more
                continue
            failpoints.reach("curation.after_page")
            after, looked_at = row["last"], looked_at + row["looked_at"]
            proposed, skipped = proposed + row["proposed"], skipped + row["skipped"]
            advance(row["looked_at"], proposed=proposed)
    return Proposed(looked_at, proposed, skipped, active.set)


def propose_given(
    graph: Graph, domain: Domain, answers: Sequence[Given], *, task: str | None = None, method: str, reporter: Reporter
) -> Proposed:
    """Write answers that were found outside the database as proposals of the active set, with their evidence.

    An item has one proposal of a set: an open one takes over the new answer, a decided one stays decided. A page is
    one transaction.
    Raises: NodeNotFound (nothing is published), SchemaViolation (unknown task).
    """
    name = domain.task(task)[0]
    active, statement = active_set(graph, domain, name), statement_for(graph, "predictions/propose_given", domain, name)
    proposed = skipped = 0
    with reporter.stage("proposing classes", len(answers), "items") as advance:
        for start in range(0, len(answers), _PAGE):
            page = {answer.item: answer for answer in answers[start : start + _PAGE]}
            rows = [
                {"item": a.item, "class": a.class_key, "score": a.score, "facts": list(a.facts)} for a in page.values()
            ]
            with graph.transaction("predictions/propose_given") as tx:
                done = tx.run(statement, domain=domain.domain, task=name, method=method, rows=rows)
                ids = {row["id"]: page[row["item"]].evidence for row in done if row["open"]}
                for label, evidence in _evidence_by_label(ids).items():
                    slots = {"node": label, "node_key": domain.node_type(label).key}
                    tx.run(load("predictions/write_evidence").fill(**slots), evidence=evidence)
            proposed, skipped = proposed + len(ids), skipped + len(done) - len(ids)
            advance(len(page))
    return Proposed(len(answers), proposed, skipped, active.set)


def _evidence_by_label(ids: Mapping[str, Sequence[Evidence]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for prediction, evidence in ids.items():
        for part in evidence:
            said = {"key": part.key, "relation": part.relation, "rank": part.rank, "weight": part.weight}
            found.setdefault(part.node_type, []).append({"id": prediction, **said})
    return found


def list_predictions(
    graph: Graph,
    domain: Domain,
    *,
    task: str | None = None,
    state: str = "proposed",
    class_key: str | None = None,
    at_least: float = 0.0,
    limit: int = 50,
) -> list[dict[str, Any]]:
    """Predictions of a state, surest first."""
    if state not in ("proposed", "accepted", "rejected"):
        raise SchemaViolation(f"predictions: no state {state!r}; choose proposed, accepted or rejected")
    statement, values = _asked(graph, "predictions/list", domain, task, class_key)
    return graph.run(statement, state=state, at_least=at_least, limit=limit, **values)


def decide(
    graph: Graph,
    domain: Domain,
    *,
    accept: bool,
    task: str | None = None,
    class_key: str | None = None,
    at_least: float = 0.0,
    below: float = 2.0,
    ids: Sequence[str] = (),
    limit: int = 1000,
    who: str | None = None,
    reason: str = "",
    batch: str | None = None,
    dry_run: bool = False,
) -> Decided:
    """Accept (at least so sure) or reject (less sure than) proposals of the active set; by class or ids where given.

    One transaction, one batch: `korvai undo --batch` takes all of it back.
    Raises: NodeNotFound (nothing is published, no such id), SchemaViolation.
    """
    _check_share("--at-least", at_least)
    who, batch = who or os_user(), batch or new_id()
    active_set(graph, domain, task)
    name = "predictions/accept" if accept else "predictions/reject"
    statement, values = _asked(graph, name, domain, task, class_key)
    values |= {"at_least": at_least} if accept else {"below": below}
    at = graph.run("edits/clock")[0]["at"].to_native()
    with one_transaction(graph, f"korvai {name}", dry_run=dry_run) as tx:
        rows = tx.run(statement, reviewer=who, ids=list(ids), limit=limit, **values)
        failpoints.reach("curation.before_record")
        done = [row for row in rows if row.get("linked", True)]
        common = {"who": who, "reason": reason, "batch": batch, "at": at}
        record(tx, addresses([domain]), _edits_of(domain, task, done, accept=accept, common=common))
    return Decided(batch, done, [row for row in rows if not row.get("linked", True)])


def _asked(
    graph: Graph, name: str, domain: Domain, task: str | None, class_key: str | None
) -> tuple[Any, dict[str, Any]]:
    task_name, asked = domain.task(task)
    key = "" if class_key is None else domain.canonical(asked.target, class_key)
    statement = statement_for(graph, name, domain, task_name)
    return statement, {"domain": domain.domain, "task": task_name, "class": key}


def _edits_of(
    domain: Domain, task: str | None, rows: Sequence[Mapping[str, Any]], *, accept: bool, common: Mapping[str, Any]
) -> list[Edit]:
    """What deciding did, edit by edit."""
    item, relation, target = domain.task_edge_type(task)
    edits = []
    for row in rows:
        said = {"state": ("proposed", "accepted" if accept else "rejected"), "reviewer": (None, common["who"])}
        for key, (old, new) in said.items():
            on = {"target_type": "Prediction", "target_key": row["id"], "key": key}
            edits.append(Edit(id=new_id(), kind="set_property", old=encode(old), new=encode(new), **on, **common))
        if accept:
            on = {"target_type": item, "target_key": row["item"], "relation": relation}
            to = {"other_type": target, "other_key": row["class"]}
            edits.append(Edit(id=new_id(), kind="create_relation", new=encode({}), **on, **to, **common))
    return edits


def _check_share(option: str, value: float) -> None:
    if not 0.0 <= value <= 1.0:
        raise SchemaViolation(f"{option} {value}: a probability is between 0 and 1")
