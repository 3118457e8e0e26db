"""What does a route get handed: the settings, the graph, the store, a checked domain, a turn at the model."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Annotated, TypeVar

import anyio
import anyio.to_thread
from fastapi import Depends, HTTPException, Query, Request

from kg.graph import Graph, connect
from kg.schema import Domain, domain_names, load_domain
from kg.server.connection import neo4j_address
from kg.settings import Settings
from kg.store import Store

__all__ = ["DomainDep", "GraphDep", "GraphHolder", "ModelTurns", "ModelTurnsDep", "SettingsDep", "StoreDep", "TaskDep"]

_T = TypeVar("_T")
_MODEL_THREADS = 2
"""Pictures encoded at a time: more would share the same cores and multiply the memory."""


class GraphHolder:
    """The process's one connection to the graph, made on first use and again when the server comes back elsewhere."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._graph: Graph | None = None

    def get(self) -> Graph:
        """The open graph.

        Raises: ServiceError, GraphUnavailable, SettingsError.
        """
        address = neo4j_address(self._settings)
        with self._lock:
            if self._graph is not None and self._graph.address != address:
                self._close()
            if self._graph is None:
                self._graph = connect(self._settings)
            return self._graph

    def close(self) -> None:
        """Close what is open."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._graph is not None:
            self._graph.close()
            self._graph = None


class ModelTurns:
    """Runs work on the model in threads, a few at a time, so that the event loop goes on answering."""

    def __init__(self) -> None:
        self._limiter = anyio.CapacityLimiter(_MODEL_THREADS)

    async def run(self, work: Callable[[], _T]) -> _T:
        """The result of `work`, when its turn has come."""
        return await anyio.to_thread.run_sync(work, limiter=self._limiter)


def _settings(request: Request) -> Settings:
    return request.app.state.settings


def _graph(request: Request) -> Graph:
    return request.app.state.graph.get()


def _store(request: Request) -> Store:
    return Store(request.app.state.settings.store_dir)


def _turns(request: Request) -> ModelTurns:
    return request.app.state.model_turns


def _domain(graph: Annotated[str, Query(description="Name of the graph, e.g. saree or artgraph.")] = "saree") -> Domain:
    # By name only: load_domain also takes a file's path, which is not for the network.
    if graph not in domain_names():
        raise HTTPException(404, f"graph {graph[:40]!r}: no such graph; known: {', '.join(domain_names())}")
    return load_domain(graph)


SettingsDep = Annotated[Settings, Depends(_settings)]
GraphDep = Annotated[Graph, Depends(_graph)]
StoreDep = Annotated[Store, Depends(_store)]
ModelTurnsDep = Annotated[ModelTurns, Depends(_turns)]
DomainDep = Annotated[Domain, Depends(_domain)]


def _task(
    domain: DomainDep,
    task: Annotated[str | None, Query(description="Name of the task; may be left out where the graph has one.")] = None,
) -> str:
    if task is None:
        return next(iter(domain.tasks))
    if task not in domain.tasks:
        raise HTTPException(404, f"graph {domain.domain}: no task {task[:40]!r}; known: {', '.join(domain.tasks)}")
    return task


TaskDep = Annotated[str, Depends(_task)]
