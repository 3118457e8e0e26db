"""Which embedding set does a task use, and how does it change to another one without anybody seeing a half?

`(:Task)-[:ACTIVE]->(:EmbeddingSet)` is the only record of what is active; `PREVIOUS` is where a rollback goes. Every
publisher first raises the task's fencing token; whoever holds a lower one can make nothing visible any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from kg import failpoints
from kg.errors import IndexNotReady, NodeNotFound, StaleToken
from kg.graph import Graph, Transaction
from kg.schema import Domain, domain_names, load_domain

__all__ = [
    "ActiveSet",
    "activate",
    "active_set",
    "fenced",
    "find_active_set",
    "promote",
    "require_online",
    "rollback",
    "take_token",
    "task_name",
]


@dataclass(frozen=True)
class ActiveSet:
    """What is needed to use a task's active embedding set; probabilities are softmax(scale * cosine / temperature)."""

    version: str
    set: str
    class_property: str | None
    """None for task `text`, whose sets have no classes."""
    image_property: str
    image_index: str
    scale: float
    temperature: float
    dim: int
    recipe: str
    snapshot: str
    graph: str


def active_set(graph: Graph, domain: Domain | str, task: str | None = None) -> ActiveSet:
    """The active set of a task; the domain's only task where none is named.

    Raises: NodeNotFound when nothing was published yet, SchemaViolation for an unknown task.
    """
    found = find_active_set(graph, domain, task)
    if found is None:
        name, task = task_name(domain, task)
        raise NodeNotFound(f"{name}/{task}: nothing is published yet; run `korvai retrain --graph {name}`")
    return found


def find_active_set(graph: Graph, domain: Domain | str, task: str | None = None) -> ActiveSet | None:
    """Like `active_set`, None where nothing was published yet."""
    name, task = task_name(domain, task)
    row = graph.one("tasks/active_set", domain=name, task=task)
    return ActiveSet(set=row.pop("embedding_set"), **row) if row else None


def take_token(graph: Graph, domain: Domain | str, task: str) -> int:
    """Raise the task's fencing token by one: from now on, earlier holders are refused."""
    row = graph.one("tasks/take_token", domain=task_name(domain, task)[0], task=task)
    assert row is not None, "MERGE gives a row"
    return int(row["token"])


@contextmanager
def fenced(graph: Graph, domain: str, task: str, token: int) -> Iterator[Transaction]:
    """A transaction that begins with the task's write lock and goes on only for the holder of its newest token.

    Raises: StaleToken when somebody took a newer one.
    """
    with graph.transaction(f"publish {domain}/{task}") as tx:
        rows = tx.run("tasks/lock", domain=domain, task=task)
        newest = rows[0]["token"] if rows else None
        if newest != token:
            raise StaleToken(
                f"publishing {domain}/{task}: this publisher's token is {token}, the newest {newest}; "
                "another one took over and nothing of this one is visible; publish again if you want it"
            )
        yield tx


def activate(graph: Graph, domain: Domain | str, task: str, set_id: str, token: int) -> None:
    """Make a ready set the active one, in one transaction; the one it replaces becomes the previous.

    Raises: StaleToken, IndexNotReady, NodeNotFound when the set is not there or not ready.
    """
    name, task = task_name(domain, task)
    with fenced(graph, name, task, token) as tx:
        if not tx.run("tasks/activate_set", domain=name, task=task, embedding_set=set_id):
            raise NodeNotFound(
                f"activating {set_id} for {name}/{task}: no ready set of that id; `korvai cypher versions/active`"
            )
        failpoints.reach("publish.inside_activation")


def rollback(graph: Graph, domain: Domain | str, task: str | None = None) -> ActiveSet:
    """Make the previous set the active one again; doing it twice comes back.

    Raises: NodeNotFound when nothing is published, or there is no previous set.
    """
    name, task = task_name(domain, task)
    active_set(graph, domain, task)  # without one there is no Task node, and taking a token would leave one behind
    token = take_token(graph, name, task)
    previous = graph.one("tasks/previous_set", domain=name, task=task)
    if previous is None:
        raise NodeNotFound(f"rolling back {name}/{task}: there is no previous set; only one was ever active")
    require_online(graph, previous["image_index"])
    activate(graph, name, task, previous["embedding_set"], token)
    return active_set(graph, name, task)


def promote(graph: Graph, domain: Domain | str, task: str | None, set_id: str) -> ActiveSet:
    """Make a shadow set the active one; the one it replaces becomes the previous.

    Raises: NodeNotFound when there is no such set, StaleToken.
    """
    name, task = task_name(domain, task)
    activate(graph, name, task, set_id, take_token(graph, name, task))
    return active_set(graph, name, task)


def require_online(graph: Graph, index: str) -> None:
    """Raises: IndexNotReady unless the vector index answers."""
    row = graph.one("publish/index_state", index=index)
    if row is None or row["state"] != "ONLINE":
        state = f"{row['state']}, {row['percent']:.0f} % built" if row else "absent"
        raise IndexNotReady(f"vector index {index}: {state}; try again in a while, or publish again")


def task_name(domain: Domain | str, task: str | None) -> tuple[str, str]:
    """Names of domain and task as the graph holds them, where a task may be left out.

    Raises: SchemaViolation when the domain has no such task.
    """
    if task is not None and isinstance(domain, str) and domain not in domain_names():
        return domain, task  # the name of somebody's own domain file, as the graph holds it
    domain = load_domain(domain) if isinstance(domain, str) else domain
    return domain.domain, domain.task_name(task)
