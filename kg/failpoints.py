"""Where can a test stop a process, to see that what it leaves behind is whole?

Code that must survive being killed calls `reach("publish.after_class_vectors")` between its steps; every statement is
one before and one after. Nothing happens unless the environment says `KORVAI_FAILPOINT=publish.after_class_vectors`,
which raises there; `NAME:kill` ends the process as by kill -9, `NAME@3` stops from the third time on.

For processes that are running already, `KORVAI_FAILPOINTS=FOLDER` names a folder: who finds the failpoint's name in
its file `kill` removes that file and is killed, so it happens once whoever comes by; `trace`, where it exists, gets
the names of all that are reached.
"""

import os
import signal
from collections import Counter
from contextlib import suppress
from pathlib import Path

from kg.errors import KorvaiError

__all__ = ["FailpointReached", "reach"]

_reached: Counter[str] = Counter()


class FailpointReached(KorvaiError):
    """The failpoint that KORVAI_FAILPOINT names was reached; only tests set it."""


def reach(name: str) -> None:
    """Stop here if the environment asks for it.

    Raises: FailpointReached.
    """
    if folder := os.environ.get("KORVAI_FAILPOINTS"):
        _ask(Path(folder), name)
    wanted = os.environ.get("KORVAI_FAILPOINT")
    if not wanted:
        if _reached:
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


def _ask(folder: Path, name: str) -> None:
    with suppress(OSError):
        trace = os.open(folder / "trace", os.O_WRONLY | os.O_APPEND)  # only where it is; whole lines, whoever writes
        try:
            os.write(trace, f"{name}\n".encode())
        finally:
            os.close(trace)
    with suppress(OSError):
        if (folder / "kill").read_text(encoding="utf-8") == name:
            (folder / "kill").rename(folder / f"killed-{os.getpid()}")  # one of several processes succeeds
            os.kill(os.getpid(), signal.SIGKILL)
