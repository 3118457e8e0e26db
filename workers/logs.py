"""How does each line of a worker's log say which job it belongs to? One JSON object a line."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

__all__ = ["JsonLines", "job_context", "use_json_lines"]

_job: ContextVar[tuple[str, int] | None] = ContextVar("korvai_job", default=None)


@contextmanager
def job_context(job: str, step: int) -> Iterator[None]:
    """Lines logged by this thread within the block name the job."""
    token = _job.set((job, step))
    try:
        yield
    finally:
        _job.reset(token)


class JsonLines(logging.Formatter):
    """`{"at", "level", "logger", "message", "job", "step", "error"}`; what is not known is left out."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; a traceback is in it."""
        said = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (found := _job.get()) is not None:
            said |= {"job": found[0], "step": str(found[1])}
        if record.exc_info:
            said["error"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=False)


def use_json_lines(logger: logging.Logger) -> None:
    """Have a logger's handlers write so."""
    for handler in logger.handlers:
        handler.setFormatter(JsonLines())
