"""How are many renderings shown on one sheet?"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from kg.errors import MediaError
from kg.rendering.craft import load_craft
from kg.rendering.drawing import Job, Rendering, render_many

__all__ = ["cluster_gallery", "contact_sheet", "write_sheet"]

_GAP_PX = 4


def contact_sheet(renderings: Sequence[Rendering], *, columns: int) -> np.ndarray:
    """Renderings of one size in rows. Shapes: (height, width, 3) uint8 RGB."""
    if not renderings:
        raise MediaError("contact_sheet: no renderings were given; give at least one")
    size = renderings[0].image.shape[0] + _GAP_PX
    rows = -(-len(renderings) // columns)
    sheet = np.full((rows * size + _GAP_PX, columns * size + _GAP_PX, 3), 255, np.uint8)
    for i, rendering in enumerate(renderings):
        top, left = (i // columns) * size + _GAP_PX, (i % columns) * size + _GAP_PX
        sheet[top : top + size - _GAP_PX, left : left + size - _GAP_PX] = rendering.image
    return sheet


def cluster_gallery(*, per_cluster: int = 6, size_px: int = 160, workers: int = 1) -> np.ndarray:
    """A row of renderings for each cluster, in the order of looks.yaml."""
    clusters = list(load_craft().looks)
    jobs = [
        Job("gallery", row * 1000 + i, cluster, size_px)
        for row, cluster in enumerate(clusters)
        for i in range(per_cluster)
    ]
    return contact_sheet(list(render_many(jobs, workers=workers)), columns=per_cluster)


def write_sheet(sheet: np.ndarray, path: Path) -> None:
    """Write a sheet as PNG or JPEG, by the ending of the path.

    Raises: MediaError where the file cannot be written.
    """
    options = [cv2.IMWRITE_JPEG_QUALITY, 88] if path.suffix.lower() in (".jpg", ".jpeg") else []
    if not cv2.imwrite(str(path), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), options):
        raise MediaError(f"write_sheet: {path} could not be written; check the folder and the file's ending")
