"""Which HTTP code and which one line does a client get for each error?"""

from __future__ import annotations

import logging

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as StarletteHTTPException

from kg import errors

__all__ = ["CODES", "code_of", "register"]

log = logging.getLogger(__name__)

CODES: tuple[tuple[type[errors.KorvaiError], int], ...] = (
    # The first that fits wins, so a class stands before its parents.
    (errors.GraphUnavailable, 503),
    (errors.IndexNotReady, 503),
    (errors.QueueUnavailable, 503),
    (errors.ServiceError, 503),
    (errors.NodeNotFound, 404),
    (errors.UnreadableMedia, 422),
    (errors.PayloadError, 422),
    (errors.DimensionMismatch, 409),
    (errors.SchemaViolation, 409),
    (errors.StoreError, 507),
    (errors.KorvaiError, 500),
)
"""Our errors and their codes. What the operator has to mend is 5xx, what the client has to change 4xx."""

_RETRY_AFTER_S = 5


def register(app: FastAPI) -> None:
    """Make every error of `app` an answer of the form {"error": name, "message": one line}."""
    app.add_exception_handler(errors.KorvaiError, _korvai)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(StarletteHTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


def code_of(error: errors.KorvaiError) -> int:
    """The HTTP code of one of our errors."""
    return next(code for kind, code in CODES if isinstance(error, kind))


def _korvai(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, errors.KorvaiError), "registered for it"
    code = code_of(error)
    if code >= 500:
        log.error("%s: %s", type(error).__name__, error)
    headers = {"Retry-After": str(_RETRY_AFTER_S)} if code == 503 else None
    return _answer(code, type(error).__name__, str(error), headers)


def _validation(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError), "registered for it"
    problems = (f"{'.'.join(map(str, p['loc'][1:])) or 'body'}: {p['msg']}" for p in error.errors())
    return _answer(422, "InvalidRequest", "; ".join(problems))


def _http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException | StarletteHTTPException), "registered for it"
    return _answer(error.status_code, "HTTPError", str(error.detail), error.headers)


def _unexpected(request: Request, _: Exception) -> JSONResponse:
    # The server logs the traceback; the client gets no part of it.
    return _answer(500, "InternalError", f"{request.method} {request.url.path} failed; the log of the API says why")


def _answer(code: int, name: str, message: str, headers: object = None) -> JSONResponse:
    line = " ".join(message.split())
    return JSONResponse({"error": name, "message": line}, status_code=code, headers=headers)  # type: ignore[arg-type]
