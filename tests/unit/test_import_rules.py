"""Do the rooms import only what they may, and does the API start without the heavy libraries?"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "dgl", "open_clip", "timm", "transformers", "sentence_transformers", "training", "lightning")


@pytest.mark.parametrize("module", ["api.main", "workers.queue", "workers.contracts", "workers.kinds", "workers.ping"])
def test_light_modules_load_nothing_heavy(module: str) -> None:
    loaded = _modules_after(f"import {module}")
    assert module in loaded
    assert not loaded & set(HEAVY)


def test_making_the_api_loads_nothing_heavy(tmp_path: Path) -> None:
    loaded = _modules_after(
        "from api.main import create_app; from kg.settings import load_settings; "
        f"create_app(load_settings(home={str(tmp_path)!r})).openapi()"
    )
    assert not loaded & set(HEAVY)


def test_only_workers_tasks_knows_training() -> None:
    loaded = _modules_after("import workers.app, workers.beat, workers.context")
    assert "workers.tasks" not in loaded and "training" not in loaded


def test_the_test_itself_sees_torch() -> None:
    assert "torch" in _modules_after("import torch")


def test_import_directions() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command; lint_imports_command()",
            "--no-cache",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def _modules_after(statement: str) -> set[str]:
    """Names of all modules, and their top-level packages, that a fresh process holds after `statement`."""
    code = f"{statement}\nimport json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    names = json.loads(done.stdout.splitlines()[-1])
    return {*names, *(name.partition(".")[0] for name in names)}
