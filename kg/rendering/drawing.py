"""How does a look become an image with its scene, one at a time or many in parallel?"""

import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from kg.errors import MediaError
from kg.rendering.looks import Look, sample_look, sample_open_look
from kg.rendering.scene import Scene, read_scene
from kg.rendering.seeds import rng_for
from kg.rendering.views import DRAPES, lay_saree

__all__ = ["RENDERER_VERSION", "Job", "Rendering", "render", "render_job", "render_many"]

RENDERER_VERSION = "1"
"""Raised whenever pixels or the distribution of looks change; results name the version they were measured with."""

_LEAST_PX, _MOST_PX = 48, 1024


@dataclass(frozen=True, slots=True)
class Rendering:
    """A drawn saree. Shapes: image (size, size, 3) uint8 RGB. `visible` are the slots that can be seen in this view."""

    image: np.ndarray
    look: Look
    scene: Scene
    view: dict[str, str]
    visible: frozenset[str]


@dataclass(frozen=True, slots=True)
class Job:
    """One rendering to make: a cluster's look, or an open one where `cluster` is None."""

    range_name: str
    index: int
    cluster: str | None = None
    size_px: int = 224
    drape: str | None = None
    """One of `DRAPES`; a random one where it is None."""


def render(look: Look, rng: np.random.Generator, *, size_px: int = 224, drape: str | None = None) -> Rendering:
    """Draw one saree of this look in a random view, or in a random one of a given drape.

    Raises: MediaError for a size or drape that cannot be drawn.
    """
    if drape is not None and drape not in DRAPES:
        raise MediaError(f"render: no drape {drape!r}; choose from {', '.join(DRAPES)}")
    if not _LEAST_PX <= size_px <= _MOST_PX:
        raise MediaError(f"render: size {size_px} px cannot be drawn; choose {_LEAST_PX}..{_MOST_PX}")
    view = lay_saree(look, rng, size_px=size_px, drape=drape)
    scene = read_scene(view, look)
    return Rendering(view.image, look, scene, view.about, scene.visible)


def render_job(job: Job) -> Rendering:
    """The one rendering that a job names, the same in every process."""
    rng = rng_for(job.range_name, job.index)
    look = sample_open_look(rng) if job.cluster is None else sample_look(job.cluster, rng)
    return render(look, rng, size_px=job.size_px, drape=job.drape)


def render_many(jobs: Iterable[Job], *, workers: int = 1, chunk: int = 32) -> Iterator[Rendering]:
    """Render jobs in their order, in `workers` processes."""
    if workers <= 1:
        yield from map(render_job, jobs)
        return
    from multiprocessing import get_context, resource_tracker

    resource_tracker.ensure_running()  # its own start would let interrupts through again
    with _no_interrupts():
        pool = get_context("spawn").Pool(workers, initializer=_one_thread)
    with pool:
        yield from pool.imap(render_job, jobs, chunksize=chunk)


@contextmanager
def _no_interrupts() -> Iterator[None]:
    """Hold Ctrl-C back. Processes started meanwhile never see one: it is for the parent alone, which ends its workers
    without a traceback from each of them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _one_thread() -> None:
    import cv2

    cv2.setNumThreads(1)
