"""How are motifs set on a cloth: where, in which paint, and with which second colour?"""

import cv2
import numpy as np

from kg.rendering.cloth import PALLU, Cloth, Placed, Rect
from kg.rendering.paint import contrasting, luminance
from kg.rendering.stamps import stamp

__all__ = ["grid_centers", "stamp_motifs"]


def grid_centers(rect: Rect, pitch: float, phase: np.ndarray, *, staggered: bool) -> np.ndarray:
    """Centres of a regular field of motifs, relative to the rectangle, some beyond its edges; (n, 2)."""
    step_y = pitch * (0.62 if staggered else 1.0)
    step_x = pitch * (1.24 if staggered else 1.0)
    rows = np.arange(-1, rect.h / step_y + 2)
    columns = np.arange(-1, rect.w / step_x + 2)
    shift = (rows % 2) * 0.5 * step_x if staggered else np.zeros(len(rows))
    x = columns[None] * step_x + shift[:, None] + (phase[0] - 0.5) * step_x
    y = np.broadcast_to((rows * step_y + (phase[1] - 0.5) * step_y)[:, None], x.shape)
    return np.stack([x.ravel(), y.ravel()], 1)


def stamp_motifs(cloth: Cloth, rect: Rect, centers: np.ndarray, motif: str, size: float, region: int,
               paint: np.ndarray | str, ground: np.ndarray, rng: np.random.Generator) -> None:  # fmt: skip
    """Stamp the motif at the centres inside the rectangle (at least one of them whole), in one pass per paint."""
    side = max(6, round(size))
    if _well_inside(centers, rect, 0.45 * side).any():
        centers = centers[_well_inside(centers, rect, 0.15 * side)]
    else:
        centers = np.array([[rect.w / 2, rect.h / 2]])
        side = max(6, round(min(size, 0.92 * min(rect.w, rect.h))))
    shape, detail = np.zeros((2, rect.h, rect.w), np.uint8)
    mirrored = rng.integers(3)
    for i, (x, y) in enumerate(centers):
        flip = bool(mirrored == 1 or (mirrored == 2 and i % 2))
        _press(shape, detail, motif, side, x, y, flip)
        cloth.placed.append(Placed(motif, region, rect.x + x, rect.y + y, side, flip, _paint_name(cloth, paint)))
    if cloth.look.technique == "tapestry weave":
        rim = cv2.dilate(shape, np.ones((3, 3), np.uint8))
        cloth.ink(rect, rim, np.float32([28, 20, 24]) if region == PALLU else ground * 0.45)
    cloth.ink(rect, shape, paint, over=ground)
    cloth.ink(rect, detail, _detail_paint(cloth, paint, ground, rng), raised=0)


def _well_inside(centers: np.ndarray, rect: Rect, margin: float) -> np.ndarray:
    """Which centres keep a margin to the rectangle's edges."""
    return ((centers > margin) & (centers < np.array([rect.w, rect.h]) - margin)).all(1)


def _press(shape: np.ndarray, detail: np.ndarray, motif: str, side: int, x: float, y: float, flip: bool) -> None:
    left, top = round(x - side / 2), round(y - side / 2)
    x0, y0, x1, y1 = max(0, left), max(0, top), min(shape.shape[1], left + side), min(shape.shape[0], top + side)
    if x1 <= x0 or y1 <= y0:
        return
    source = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
    target = (slice(y0, y1), slice(x0, x1))
    masks = stamp(motif, side, flip)
    np.maximum(shape[target], masks.shape[source], out=shape[target])
    np.maximum(detail[target], masks.detail[source], out=detail[target])


def _paint_name(cloth: Cloth, paint: np.ndarray | str) -> str:
    return cloth.look.zari if isinstance(paint, str) else "thread"


def _detail_paint(cloth: Cloth, paint: np.ndarray | str, ground: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The second colour inside a motif: meenakari-like contrast, vivid in tapestry."""
    if isinstance(paint, str):
        return cloth.palette.second if luminance(cloth.palette.second) < 150 else ground * 0.75
    if cloth.look.technique == "tapestry weave":
        return contrasting([paint, ground], rng)
    return ground if rng.random() < 0.5 else contrasting([paint], rng)
