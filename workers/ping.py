"""Is the worker on this machine alive? `python -m workers.ping`, for health checks: exit code 0 or 1.

It loads neither torch nor the tasks, so that it may be asked every few seconds.
"""

from __future__ import annotations

import socket
import sys

from kg.server.connection import redis_url
from kg.settings import Settings, load_settings
from workers.queue import new_celery

__all__ = ["main", "worker_answers"]

_PATIENCE_S = 5.0


def worker_answers(settings: Settings, *, name: str = "korvai", patience_s: float = _PATIENCE_S) -> bool:
    """Whether the worker `name@<this host>` answers.

    Raises: ServiceError when there is no Redis.
    """
    worker = f"{name}@{socket.gethostname()}"
    answers = new_celery(redis_url(settings)).control.ping(destination=[worker], timeout=patience_s)
    return any(worker in answer for answer in answers)


def main() -> int:
    """Exit code for a health check."""
    return 0 if worker_answers(load_settings()) else 1


if __name__ == "__main__":
    sys.exit(main())
