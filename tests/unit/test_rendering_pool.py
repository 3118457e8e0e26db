"""Does Ctrl-C end rendering in several processes at once, with one traceback at most and nobody left behind?"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

CODE = """
import signal
import sys
from kg.rendering import Job, render_many
def main():
    jobs = (Job("train", n, None, 64) for n in range(10**6))
    for number, _ in enumerate(render_many(jobs, workers=2, chunk=2)):
        if number in (0, 4):
            print("drawing", number, flush=True)
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # started from a script in the background, it is ignored
    try:
        main()
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)
"""


def test_an_interrupt_is_heard_by_the_parent_alone(tmp_path: Path) -> None:
    (tmp_path / "draw.py").write_text(CODE)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    drawing = subprocess.Popen(
        [sys.executable, str(tmp_path / "draw.py")],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert drawing.stdout is not None
        assert any("drawing 4" in line for line in drawing.stdout)
        family = psutil.Process(drawing.pid).children(recursive=True)
        assert len(family) >= 2
        os.killpg(drawing.pid, signal.SIGINT)  # as a terminal does: to everybody
        _, said = drawing.communicate(timeout=60)
    finally:
        drawing.kill()
    assert (drawing.returncode, said) == (130, "stopped\n")
    _, alive = psutil.wait_procs(family, timeout=20)
    assert alive == []
