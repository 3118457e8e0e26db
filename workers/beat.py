"""How does beat come to be? `celery -A workers.beat beat`; it knows the schedule and loads none of the tasks."""

from __future__ import annotations

from functools import cache

from celery import Celery

from workers import context
from workers.app import create_celery

__all__: list[str] = []


@cache
def _of_this_process() -> Celery:
    app = create_celery(context.settings())
    app.conf.include = []  # a gigabyte, and most of the seconds until it is ready
    return app


def __getattr__(name: str) -> Celery:
    # As in workers.app: importing this module reads and connects nothing.
    if name == "app":
        return _of_this_process()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
