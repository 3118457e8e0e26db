"""How large may a request be, and who stops reading when it is larger?"""

from __future__ import annotations

import contextlib

from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["MAX_UPLOAD_MIB", "BodyLimit"]

MAX_UPLOAD_MIB = 32
"""Larger pictures are refused; a camera's largest JPEG is below this."""


class BodyLimit:
    """Answers 413 to a body above `max_bytes`, whether its length was announced or not, without reading on.

    It stands in front of the framework, which would keep the whole upload before any route sees it.
    """

    def __init__(self, app: ASGIApp, max_bytes: int = MAX_UPLOAD_MIB * 2**20) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        if _announced_bytes(scope) > self._max_bytes:
            return await self._refuse(scope, receive, send)
        read = answered = False
        total = 0

        async def counted() -> Message:
            nonlocal read, total
            message = await receive()
            total += len(message.get("body", b""))
            if total > self._max_bytes:
                read = True
                raise _TooLarge
            return message

        async def sent(message: Message) -> None:
            nonlocal answered
            # What the framework makes of the interrupted body is not the client's answer.
            if not read:
                answered = True
                await send(message)

        with contextlib.suppress(_TooLarge):
            await self._app(scope, counted, sent)
        if read and not answered:
            await self._refuse(scope, receive, send)
        return None

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        message = f"the upload is larger than {self._max_bytes / 2**20:g} MiB; send a smaller picture"
        answer = JSONResponse(
            {"error": "TooLarge", "message": message}, status_code=413, headers={"Connection": "close"}
        )
        await answer(scope, receive, send)


class _TooLarge(Exception):
    pass


def _announced_bytes(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0
