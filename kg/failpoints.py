"""Where can a test stop a process, to see that what it leaves behind is whole?

Code that must survive being killed calls `reach("publish.after_class_vectors")` between its steps. Nothing happens
unless the environment says `KORVAI_FAILPOINT=publish.after_class_vectors`, which raises there; `NAME:kill` ends the
process as by kill -9, `NAME@3` stops from the third time on.
"""

import os
import signal
from collections import Counter

from kg.errors import KorvaiError

__all__ = ["FailpointReached", "reach"]

_reached: Counter[str] = Counter()


class FailpointReached(KorvaiError):
    """The failpoint that KORVAI_FAILPOINT names was reached; only tests set it."""


def reach(name: str) -> None:
    """Stop here if the environment asks for it.

    Raises: FailpointReached.
    """
    wanted = os.environ.get("KORVAI_FAILPOINT")
    if not wanted:
        _reached.clear()
        return
    place, _, action = wanted.partition(":")
    place, _, nth = place.partition("@")
    if place != name:
        return
    _reached[wanted] += 1
    if _reached[wanted] < int(nth or 1):
        return
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    raise FailpointReached(f"stopped at {name}, as KORVAI_FAILPOINT={wanted} asks; unset it to go on")
