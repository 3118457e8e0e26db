"""How are rendered sarees drawn as training images are not: one drape alone, in lamplight, small?

Pictures come from the seed range of tests, beyond the numbers that an import draws, and are kept in the store: whatever
encodes the images of a snapshot encodes `ShiftedImages` too.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image

from kg.importers.saree import rendering_job
from kg.progress import Reporter
from kg.rendering.drawing import RENDERER_VERSION, Job, render_job
from kg.snapshots.snapshot import Images
from kg.store import Store, atomic_write

__all__ = ["SHIFTS", "ShiftedImages", "shifted_images"]

_FIRST = 5_001
"""Number of a cluster's first shifted picture; imports count from 1."""
_LAMP = (0.85, 0.66, 0.42)
_SMALL_PX = 96


def _lamp(image: np.ndarray) -> np.ndarray:
    """Half as bright and far warmer than any light of the renderer."""
    return (image * np.float32(_LAMP)).astype(np.uint8)


def _same(image: np.ndarray) -> np.ndarray:
    return image


SHIFTS: dict[str, tuple[dict[str, Any], Callable[[np.ndarray], np.ndarray], int]] = {
    "close-up": ({"drape": "close-up"}, _same, 92),
    "draped": ({"drape": "draped"}, _same, 92),
    "lamplight": ({}, _lamp, 92),
    "small": ({"size_px": _SMALL_PX}, _same, 40),
}
"""Name -> how the job, the pixels and the quality of the JPEG differ."""


@dataclass(frozen=True)
class ShiftedImages:
    """As much of a snapshot as encoders ask for. Shapes: targets (images,) of class rows."""

    images: Images
    targets: np.ndarray


def shifted_images(
    store: Store, name: str, clusters: Sequence[str], *, per_cluster: int, reporter: Reporter
) -> ShiftedImages:
    """Pictures of all clusters with one shift of `SHIFTS`; drawn once, then found in the store.

    Raises: StoreError.
    """
    changes, light, quality = SHIFTS[name]
    jobs = [
        replace(rendering_job(cluster, _FIRST + n, rng_range="test"), **changes)
        for cluster in clusters
        for n in range(per_cluster)
    ]
    path = store.runs / "evaluations" / f"shifted-{name}-{RENDERER_VERSION}.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    with reporter.stage(f"drawing sarees, {name}", len(jobs), "images") as advance:
        for job in jobs:
            if _key(job) not in known:
                stored = store.put_image(_jpeg(light(render_job(job).image), quality))
                known[_key(job)] = [stored.sha256, stored.uri]
            advance()
    with atomic_write(path) as file:
        file.write(json.dumps(known).encode())
    ids, uris = zip(*(known[_key(job)] for job in jobs), strict=True)
    count = len(jobs)
    images = Images(list(ids), list(uris), [0] * count, [0] * count, [None] * count)
    return ShiftedImages(images, np.repeat(np.arange(len(clusters)), per_cluster))


def _key(job: Job) -> str:
    return f"{job.cluster}:{job.index}"


def _jpeg(image: np.ndarray, quality: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(image).save(out, "JPEG", quality=quality)
    return out.getvalue()
