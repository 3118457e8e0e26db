"""How do tests run the real command many times without loading its libraries each time?

One process loads them and forks for each command: the child has the command's arguments, environment and output, and
runs the very `main` that a person's shell starts. `python -m tests.support.command` is that process.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["run_command"]

_REPOSITORY = Path(__file__).parents[2]
_PATIENCE_S = 300.0
_LIGHT = ("cli.main", "neo4j", "kg.graph", "kg.server.services", "kg.importers.saree")
_HEAVY = ("training.run", "training.recipes.graphclip", "kg.encoders.image", "sentence_transformers", "timm", "dgl")
_LEARNING = {"retrain", "encode", "train", "publish", "refresh"}


def run_command(args: tuple[str, ...], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """`korvai ARGS…` in that environment."""
    with tempfile.TemporaryDirectory(prefix="korvai-command-") as folder:
        files = [Path(folder) / name for name in ("out", "err")]
        request = {"args": args, "environment": environment, "files": [str(file) for file in files]}
        process = _process()
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        code = int(process.stdout.readline())
        out, err = (file.read_text(encoding="utf-8") for file in files)
    return subprocess.CompletedProcess(["korvai", *args], code, out, err)


@cache
def _process() -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "tests.support.command"]
    process = subprocess.Popen(argv, cwd=_REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(process.kill)
    return process


def _serve() -> None:
    """A request a line, an exit code a line, until nobody asks any more."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints when it is loaded is no answer
    _load(_LIGHT)
    for line in sys.stdin:
        request = json.loads(line)
        if request["args"][:1] and request["args"][0] in _LEARNING:
            _load(_HEAVY)
        child = os.fork()
        if child == 0:
            _be_the_command(request)
        print(_code_of(child), file=answers, flush=True)


def _load(names: tuple[str, ...]) -> None:
    for name in names:
        importlib.import_module(name)


def _be_the_command(request: dict[str, Any]) -> None:
    os.environ.clear()
    os.environ.update(request["environment"])
    for target, (path, flags) in enumerate(
        [(os.devnull, os.O_RDONLY), *((file, os.O_WRONLY | os.O_CREAT) for file in request["files"])]
    ):
        os.dup2(os.open(path, flags, 0o600), target)
    sys.argv = ["korvai", *request["args"]]
    code = 0
    try:
        importlib.import_module("cli.main").main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
    except BaseException:
        traceback.print_exc()
        code = 1
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _code_of(child: int) -> int:
    deadline = time.monotonic() + _PATIENCE_S
    while (found := os.waitpid(child, os.WNOHANG))[0] == 0:
        if time.monotonic() > deadline:
            os.kill(child, 9)
        time.sleep(0.01)
    return os.waitstatus_to_exitcode(found[1])


if __name__ == "__main__":
    _serve()
