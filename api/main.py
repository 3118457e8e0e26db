"""How does the HTTP API come to be? `uvicorn --factory api.main:create_app`.

Importing this module connects to nothing and loads neither torch nor dgl: a model is loaded by the first picture.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from api import errors
from api.deps import GraphHolder, ModelTurns
from api.limits import BodyLimit
from api.routes import asking, guide, health, images, jobs, metrics, pages
from kg.settings import Settings, load_settings

__all__ = ["create_app"]

_DESCRIPTION = "Classes of pictures from a knowledge graph in Neo4j. The same questions can be asked in Cypher."


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application; it starts, and says so under /health, whether the graph is there or not.

    Raises: SettingsError.
    """
    settings = settings or load_settings()
    app = FastAPI(title="Korvai", description=_DESCRIPTION, lifespan=_lifespan, docs_url=None, redoc_url=None)
    app.state.settings = settings
    app.state.graph = GraphHolder(settings)
    app.state.model_turns = ModelTurns()
    app.add_middleware(BodyLimit)
    errors.register(app)
    for part in (asking, health, images, jobs, metrics, pages, guide):
        app.include_router(part.router)
    logging.getLogger("api").setLevel(settings.log_level)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    app.state.graph.close()
