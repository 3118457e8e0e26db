"""Is everything there that the API needs, and which models answer?"""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from api.deps import SettingsDep
from kg.errors import KorvaiError
from kg.graph import Graph
from kg.publishing.activation import find_active_set
from kg.schema import domain_names, load_domain
from workers import queue

__all__ = ["Active", "Health", "Part", "router"]

router = APIRouter(tags=["health"])


class Part(BaseModel):
    """One thing that the API needs."""

    ok: bool
    message: str = ""


class Active(BaseModel):
    """The model version and the embedding set that a task answers with."""

    graph: str
    task: str
    version: str
    embedding_set: str
    recipe: str


class Health(BaseModel):
    """`down`: no question can be answered. `degraded`: questions are answered, no work can be queued."""

    status: Literal["ok", "degraded", "down"]
    neo4j: Part
    redis: Part
    active: list[Active]


@router.get("/health", responses={503: {"model": Health}})
def health(request: Request, settings: SettingsDep, response: Response) -> Health:
    """What is there; 503 when the graph is away."""
    neo4j, active = _graph_part(request)
    redis = _redis_part(settings)
    response.status_code = 200 if neo4j.ok else 503
    status = "down" if not neo4j.ok else "ok" if redis.ok else "degraded"
    return Health(status=status, neo4j=neo4j, redis=redis, active=active)


def _graph_part(request: Request) -> tuple[Part, list[Active]]:
    try:
        return Part(ok=True), _active(request.app.state.graph.get())
    except KorvaiError as error:
        return Part(ok=False, message=" ".join(str(error).split())), []


def _active(graph: Graph) -> list[Active]:
    pairs = ((domain, task) for domain in map(load_domain, domain_names()) for task in domain.tasks)
    found = ((domain.domain, task, find_active_set(graph, domain, task)) for domain, task in pairs)
    return [
        Active(graph=domain, task=task, version=one.version, embedding_set=one.set, recipe=one.recipe)
        for domain, task, one in found
        if one is not None
    ]


def _redis_part(settings: SettingsDep) -> Part:
    try:
        queue.check(settings)
    except KorvaiError as error:
        return Part(ok=False, message=" ".join(str(error).split()))
    return Part(ok=True)
