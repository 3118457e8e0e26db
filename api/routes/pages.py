"""What does a person see in a browser? A page to try a picture, and what the API offers; both work offline."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, HTTPException
from fastapi.responses import FileResponse

__all__ = ["router"]

router = APIRouter(include_in_schema=False)

_STATIC = Path(__file__).parent.parent / "static"
_FILES = {path.name: path for path in _STATIC.iterdir() if path.suffix in (".css", ".js")}
_HEADERS = {
    # Keys of the graph are other people's text: nothing but our own files may run on the page.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


@router.get("/")
def index() -> FileResponse:
    """The page on which a picture is tried."""
    return FileResponse(_STATIC / "index.html", headers=_HEADERS)


@router.get("/docs")
def docs() -> FileResponse:
    """What the API offers, drawn from /openapi.json."""
    return FileResponse(_STATIC / "docs.html", headers=_HEADERS)


@router.get("/static/{name}")
def static(name: str) -> FileResponse:
    """A style sheet or script of the two pages."""
    if name not in _FILES:
        raise HTTPException(404, f"/static/{name[:40]}: no such file")
    return FileResponse(_FILES[name], headers=_HEADERS)
