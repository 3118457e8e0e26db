"""What does beat start, and why not where it starts nothing?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

from celery import shared_task

from kg.graph import Graph
from kg.publishing.activation import find_active_set
from kg.schema import domain_names, load_domain
from workers import contracts, queue
from workers.context import open_graph, settings
from workers.contracts import parse
from workers.kinds import Retrain

__all__ = ["tick"]


@shared_task(name=contracts.Tick.task_name, ignore_result=True)
def tick(*parts: Any) -> None:
    """Start what an entry of the schedule asks for; see the contract."""
    args = parse(contracts.Tick, parts)
    with open_graph() as graph:
        for request in _active_tasks(graph):
            name = f"{args.entry}-{request.graph}-{request.task}-{dt.datetime.now():%Y%m%dT%H}"
            queue.submit(settings(), graph, request, job=name, who=f"schedule {args.entry}")


def _active_tasks(graph: Graph) -> Iterator[Retrain]:
    for domain, task in ((name, task) for name in domain_names() for task in load_domain(name).tasks):
        if (active := find_active_set(graph, domain, task)) is not None:
            yield Retrain(graph=domain, task=task, recipe=active.recipe)
