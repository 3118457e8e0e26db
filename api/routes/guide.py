"""How does Neo4j Browser, a page from another port, get Korvai's guide and style?

Browser asks whether it may (CORS, with a preflight for its cache headers) and takes content from hosts of its server's
list only, which holds this machine. Nothing here changes anything, and nothing here is secret.
"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, HTMLResponse

from api.deps import DomainDep
from kg.curation.guide import GRASS, guide_html
from kg.errors import KorvaiError
from kg.graph import Graph

__all__ = ["router"]

router = APIRouter(include_in_schema=False)
_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, OPTIONS",
    "Access-Control-Allow-Headers": "pragma, cache-control",
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
}


@router.options("/guide")
@router.options("/guide/korvai.grass")
def allowed() -> Response:
    """What another page may ask."""
    return Response(status_code=204, headers=_CORS)


@router.get("/guide")
def guide(request: Request, domain: DomainDep) -> HTMLResponse:
    """The guide for `:play`, with examples from the graph while that answers."""
    return HTMLResponse(guide_html(domain, graph=_graph(request), base_url=str(request.base_url)[:-1]), headers=_CORS)


@router.get("/guide/korvai.grass")
def style() -> FileResponse:
    """Colours, sizes and captions for `:style`."""
    return FileResponse(GRASS, media_type="text/plain", headers=_CORS)


def _graph(request: Request) -> Graph | None:
    try:
        return request.app.state.graph.get()
    except KorvaiError:
        return None
