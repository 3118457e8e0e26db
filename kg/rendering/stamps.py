"""How is each motif drawn: its outline, its inner details, and the points of its hull?

A stamp is drawn once at a high resolution in the unit square (y down), then shrunk by area, so small ones stay smooth.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import cv2
import numpy as np

__all__ = ["Stamp", "hull", "stamp"]

_MASTER_PX = 256
_SHIFT = 6

Points = list[tuple[float, float]]


class Stamp(NamedTuple):
    """Shapes: `shape` and `detail` (size, size) uint8 coverage; the detail lies inside the shape."""

    shape: np.ndarray
    detail: np.ndarray


@cache
def stamp(motif: str, size_px: int, flip: bool = False) -> Stamp:
    """The motif's masks at a size; `flip` mirrors it left to right."""
    shape, detail = _master(motif)
    masks = [cv2.resize(mask, (size_px, size_px), interpolation=cv2.INTER_AREA) for mask in (shape, detail)]
    return Stamp(*(np.ascontiguousarray(mask[:, ::-1]) if flip else mask for mask in masks))


@cache
def hull(motif: str, flip: bool = False) -> np.ndarray:
    """Convex hull of the motif in the unit square centred on 0.

    Shapes: (points, 2) float32 within -0.5..0.5.
    """
    shape, _ = _master(motif)
    outline, _ = cv2.findContours((shape > 100).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    points = cv2.convexHull(np.concatenate(outline))[:, 0].astype(np.float32) / _MASTER_PX - 0.5
    return points * np.float32([-1, 1]) if flip else points


class _Ink:
    """Draws polygons, ellipses and strokes in unit coordinates on one mask."""

    def __init__(self) -> None:
        self.mask = np.zeros((_MASTER_PX, _MASTER_PX), np.uint8)

    def poly(self, points: Points, value: int = 255) -> None:
        cv2.fillPoly(self.mask, [_fixed(points)], value, cv2.LINE_AA, _SHIFT)

    def oval(self, x: float, y: float, rx: float, ry: float | None = None, turn: float = 0, value: int = 255) -> None:
        axes = _fixed([(rx, rx if ry is None else ry)])[0]
        center = _fixed([(x, y)])[0]
        cv2.ellipse(self.mask, center.tolist(), axes.tolist(), turn, 0, 360, value, -1, cv2.LINE_AA, _SHIFT)

    def stroke(self, points: Points, width: float, value: int = 255) -> None:
        thick = max(1, round(width * _MASTER_PX))
        cv2.polylines(self.mask, [_fixed(points)], False, value, thick, cv2.LINE_AA, _SHIFT)


def _fixed(points: Points | np.ndarray) -> np.ndarray:
    return np.round(np.asarray(points, np.float64) * _MASTER_PX * (1 << _SHIFT)).astype(np.int32)


def _curve(points: Points, steps: int = 12) -> Points:
    """A smooth (Catmull-Rom) line through the points."""
    p = np.asarray([points[0], *points, points[-1]], np.float64)
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    out = []
    for a, b, c, d in zip(p, p[1:], p[2:], p[3:], strict=False):
        out.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3))
    return [tuple(row) for row in np.concatenate([*out, p[-1:]])]


def _around(n: int, radius: float, start: float = -90.0, x: float = 0.5, y: float = 0.5) -> Points:
    angles = np.radians(start + 360 / n * np.arange(n))
    return [(x + radius * np.cos(a), y + radius * np.sin(a)) for a in angles]


@cache
def _master(motif: str) -> tuple[np.ndarray, np.ndarray]:
    shape, detail = _Ink(), _Ink()
    _DRAWINGS[motif](shape, detail)
    ys, xs = np.nonzero(shape.mask > 60)
    masks = [mask[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1] for mask in (shape.mask, detail.mask)]
    shape_mask, detail_mask = (_squared(mask) for mask in masks)
    return shape_mask, np.minimum(shape_mask, detail_mask)


def _squared(mask: np.ndarray) -> np.ndarray:
    """The mask in the middle of a square whose side is its longer one."""
    height, width = mask.shape
    side = max(height, width)
    out = np.zeros((side, side), np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    out[top : top + height, left : left + width] = mask
    return cv2.resize(out, (_MASTER_PX, _MASTER_PX), interpolation=cv2.INTER_LINEAR)


def _peacock(shape: _Ink, detail: _Ink) -> None:
    for angle in np.radians([-86, -62, -38, -14, 10]):
        tip = (0.42 + 0.46 * np.cos(angle), 0.62 + 0.5 * np.sin(angle))
        shape.stroke([(0.42, 0.62), tip], 0.045)
        shape.oval(*tip, 0.105, 0.075, np.degrees(angle))
        detail.oval(*tip, 0.05, 0.036, np.degrees(angle))
    shape.oval(0.4, 0.66, 0.17, 0.12, 12)
    shape.stroke(_curve([(0.32, 0.64), (0.22, 0.54), (0.24, 0.4), (0.17, 0.3)]), 0.085)
    shape.oval(0.17, 0.27, 0.065)
    shape.poly([(0.13, 0.24), (0.0, 0.3), (0.13, 0.31)])
    for x in (0.1, 0.17, 0.24):
        shape.stroke([(0.17, 0.26), (x, 0.13)], 0.025)
    shape.stroke([(0.38, 0.74), (0.36, 0.92)], 0.035)
    shape.stroke([(0.44, 0.74), (0.45, 0.92)], 0.035)
    detail.oval(0.42, 0.66, 0.085, 0.05, 12)


def _parrot(shape: _Ink, detail: _Ink) -> None:
    shape.oval(0.4, 0.26, 0.15)
    shape.poly(_curve([(0.29, 0.2), (0.2, 0.24), (0.19, 0.36), (0.25, 0.33), (0.31, 0.32)]))
    shape.oval(0.48, 0.46, 0.25, 0.155, 55)
    shape.poly(_curve([(0.5, 0.6), (0.62, 0.56), (0.74, 0.74), (0.84, 1.0), (0.72, 0.94), (0.58, 0.76), (0.5, 0.62)]))
    shape.stroke([(0.28, 0.72), (0.56, 0.7)], 0.04)
    detail.poly(_curve([(0.46, 0.34), (0.6, 0.44), (0.66, 0.68), (0.52, 0.58), (0.44, 0.46), (0.46, 0.34)]))
    detail.oval(0.36, 0.23, 0.04)


def _swan(shape: _Ink, detail: _Ink) -> None:
    shape.poly(
        _curve([(0.2, 0.62), (0.34, 0.56), (0.6, 0.6), (0.8, 0.5), (1.0, 0.36), (0.93, 0.62), (0.76, 0.8), (0.5, 0.85),
                (0.28, 0.78), (0.2, 0.62)])
    )  # fmt: skip
    shape.stroke(_curve([(0.26, 0.68), (0.16, 0.52), (0.28, 0.36), (0.31, 0.22), (0.2, 0.15)]), 0.095)
    shape.oval(0.19, 0.16, 0.075)
    shape.poly([(0.15, 0.11), (0.0, 0.2), (0.16, 0.22)])
    detail.poly(_curve([(0.42, 0.66), (0.64, 0.66), (0.84, 0.54), (0.74, 0.72), (0.56, 0.77), (0.42, 0.66)]))


def _lotus(shape: _Ink, detail: _Ink) -> None:
    for turn, length in ((-78, 0.5), (78, 0.5), (-48, 0.56), (48, 0.56), (-22, 0.6), (22, 0.6), (0, 0.64)):
        _petal(shape, 0.5, 0.84, turn, length, 0.125, 255)
        _petal(shape, 0.5, 0.84, turn, length, 0.125, 0, edge=0.018)
        _petal(shape, 0.5, 0.84, turn, length - 0.02, 0.105, 255)
    _petal(detail, 0.5, 0.84, 0, 0.5, 0.06, 255)
    for turn in (-48, 48):
        _petal(detail, 0.5, 0.84, turn, 0.44, 0.045, 255)
    shape.oval(0.5, 0.88, 0.26, 0.055)


def _petal(ink: _Ink, x: float, y: float, turn: float, length: float, half: float, value: int, edge: float = 0) -> None:
    """A pointed petal from (x, y), turned clockwise from upright; with `edge` only its outline."""
    along = np.array([np.sin(np.radians(turn)), -np.cos(np.radians(turn))])
    across = np.array([-along[1], along[0]])
    t = np.array([0.0, 0.3, 0.55, 0.8, 1.0])
    w = half * np.array([0.15, 0.85, 1.0, 0.6, 0.0])
    left = [(x, y) + along * length * a - across * b for a, b in zip(t, w, strict=True)]
    right = [(x, y) + along * length * a + across * b for a, b in zip(t, w, strict=True)][::-1]
    points = [tuple(p) for p in (*left, *right)]
    ink.stroke([*points, points[0]], edge, value) if edge else ink.poly(points, value)


def _mango(shape: _Ink, detail: _Ink) -> None:
    outline = [(0.62, 0.02), (0.82, 0.12), (0.8, 0.24), (0.72, 0.14), (0.58, 0.2), (0.62, 0.36), (0.8, 0.56),
               (0.76, 0.84), (0.5, 0.98), (0.24, 0.84), (0.2, 0.56), (0.32, 0.26), (0.46, 0.08),
               (0.62, 0.02)]  # fmt: skip
    shape.poly(_curve(outline))
    inner = [(0.46, 0.38), (0.62, 0.6), (0.6, 0.76), (0.5, 0.84), (0.38, 0.78), (0.34, 0.6), (0.46, 0.38)]
    detail.poly(_curve(inner))


def _coin(shape: _Ink, detail: _Ink) -> None:
    shape.oval(0.5, 0.5, 0.48)
    shape.oval(0.5, 0.5, 0.37, value=0)
    shape.oval(0.5, 0.5, 0.27)
    detail.oval(0.5, 0.5, 0.1)


def _diamond(shape: _Ink, _detail: _Ink) -> None:
    shape.poly([(0.5, 0.0), (0.92, 0.5), (0.5, 1.0), (0.08, 0.5)])
    shape.poly([(0.5, 0.19), (0.76, 0.5), (0.5, 0.81), (0.24, 0.5)], 0)
    shape.poly([(0.5, 0.3), (0.67, 0.5), (0.5, 0.7), (0.33, 0.5)])


def _elephant(shape: _Ink, detail: _Ink) -> None:
    shape.oval(0.6, 0.42, 0.33, 0.26)
    shape.oval(0.27, 0.36, 0.17, 0.18)
    shape.stroke(_curve([(0.17, 0.38), (0.08, 0.56), (0.08, 0.74), (0.0, 0.8)]), 0.09)
    for x in (0.36, 0.5, 0.7, 0.85):
        shape.poly([(x - 0.06, 0.5), (x + 0.06, 0.5), (x + 0.055, 0.88), (x - 0.055, 0.88)])
    shape.stroke(_curve([(0.92, 0.36), (0.99, 0.48), (0.98, 0.64)]), 0.035)
    shape.poly([(0.18, 0.5), (0.26, 0.5), (0.16, 0.68)])
    detail.poly([(0.46, 0.2), (0.76, 0.2), (0.8, 0.5), (0.46, 0.5)])
    detail.oval(0.3, 0.38, 0.07, 0.11)


def _leaf(shape: _Ink, _detail: _Ink) -> None:
    shape.poly(_curve([(0.86, 0.04), (0.9, 0.4), (0.7, 0.7), (0.36, 0.8), (0.24, 0.72), (0.22, 0.5), (0.4, 0.22),
                       (0.86, 0.04)]))  # fmt: skip
    shape.stroke(_curve([(0.34, 0.7), (0.18, 0.86), (0.04, 0.96)]), 0.07)
    shape.stroke([(0.36, 0.68), (0.74, 0.2)], 0.05, 0)
    for t in (0.25, 0.5, 0.75):
        x, y = 0.36 + 0.38 * t, 0.68 - 0.48 * t
        shape.stroke([(x, y), (x - 0.02, y - 0.2)], 0.03, 0)
        shape.stroke([(x, y), (x + 0.2, y + 0.0)], 0.03, 0)


def _flower(shape: _Ink, detail: _Ink) -> None:
    for x, y in _around(6, 0.32):
        shape.oval(x, y, 0.19)
        shape.stroke([(0.5, 0.5), (x, y)], 0.14)
    shape.oval(0.5, 0.5, 0.17, value=0)
    shape.oval(0.5, 0.5, 0.12)
    detail.oval(0.5, 0.5, 0.12)


def _fish(shape: _Ink, detail: _Ink) -> None:
    shape.poly(_curve([(0.0, 0.5), (0.16, 0.34), (0.4, 0.26), (0.62, 0.36), (0.76, 0.5), (0.62, 0.64), (0.4, 0.74),
                       (0.16, 0.66), (0.0, 0.5)]))  # fmt: skip
    shape.poly([(0.7, 0.5), (1.0, 0.24), (0.92, 0.5), (1.0, 0.76)])
    shape.poly([(0.3, 0.3), (0.46, 0.13), (0.54, 0.34)])
    shape.poly([(0.34, 0.7), (0.48, 0.85), (0.54, 0.66)])
    shape.oval(0.15, 0.46, 0.035, value=0)
    for x in (0.34, 0.48, 0.6):
        shape.stroke(_curve([(x - 0.03, 0.36), (x + 0.04, 0.5), (x - 0.03, 0.64)]), 0.028, 0)
    detail.oval(0.44, 0.5, 0.2, 0.1)


def _conch(shape: _Ink, detail: _Ink) -> None:
    shape.poly(_curve([(0.32, 0.16), (0.14, 0.3), (0.14, 0.46), (0.3, 0.66), (0.42, 0.86), (0.5, 1.0), (0.58, 0.86),
                       (0.74, 0.62), (0.8, 0.4), (0.7, 0.2), (0.5, 0.12), (0.32, 0.16)]))  # fmt: skip
    for x, y, r in ((0.48, 0.13, 0.2), (0.5, 0.06, 0.12), (0.51, 0.0, 0.06)):
        shape.oval(x, y, r, r * 0.5)
    shape.stroke(_curve([(0.26, 0.23), (0.5, 0.27), (0.74, 0.22)]), 0.04, 0)
    shape.stroke(_curve([(0.34, 0.11), (0.5, 0.135), (0.66, 0.1)]), 0.028, 0)
    shape.poly(_curve([(0.28, 0.36), (0.42, 0.38), (0.5, 0.62), (0.5, 0.84), (0.38, 0.62), (0.28, 0.36)]), 0)
    detail.oval(0.62, 0.42, 0.07, 0.13, 14)


def _tree(shape: _Ink, detail: _Ink) -> None:
    shape.poly([(0.45, 0.5), (0.55, 0.5), (0.58, 0.92), (0.42, 0.92)])
    shape.poly([(0.24, 1.0), (0.76, 1.0), (0.58, 0.9), (0.42, 0.9)])
    for x, y, r in ((0.5, 0.16, 0.16), (0.26, 0.32, 0.16), (0.74, 0.32, 0.16), (0.18, 0.54, 0.13), (0.82, 0.54, 0.13),
                    (0.5, 0.38, 0.16)):  # fmt: skip
        shape.oval(x, y, r)
        detail.oval(x, y, r * 0.45)
    shape.stroke([(0.5, 0.72), (0.22, 0.54)], 0.05)
    shape.stroke([(0.5, 0.72), (0.78, 0.54)], 0.05)


def _star(shape: _Ink, detail: _Ink) -> None:
    outer, inner = _around(5, 0.52), _around(5, 0.2, -54)
    shape.poly([point for pair in zip(outer, inner, strict=True) for point in pair])
    detail.oval(0.5, 0.5, 0.09)


def _horse_rider(shape: _Ink, detail: _Ink) -> None:
    shape.oval(0.54, 0.6, 0.27, 0.135)
    shape.poly([(0.3, 0.64), (0.36, 0.48), (0.2, 0.32), (0.12, 0.36), (0.24, 0.56)])
    shape.poly([(0.24, 0.3), (0.2, 0.28), (0.02, 0.44), (0.06, 0.5), (0.22, 0.44)])
    for a, b in (((0.34, 0.66), (0.16, 0.82)), ((0.16, 0.82), (0.24, 0.94)), ((0.4, 0.68), (0.36, 0.98)),
                 ((0.7, 0.66), (0.66, 0.98)), ((0.74, 0.64), (0.9, 0.8)), ((0.9, 0.8), (0.84, 0.94))):  # fmt: skip
        shape.stroke([a, b], 0.06)
    shape.stroke(_curve([(0.78, 0.54), (0.92, 0.52), (0.98, 0.7)]), 0.055)
    shape.poly([(0.46, 0.54), (0.62, 0.54), (0.58, 0.22), (0.46, 0.24)])
    shape.oval(0.52, 0.12, 0.09, 0.1)
    shape.stroke([(0.5, 0.32), (0.32, 0.44)], 0.045)
    detail.poly([(0.46, 0.5), (0.62, 0.5), (0.58, 0.26), (0.47, 0.26)])
    detail.poly([(0.44, 0.54), (0.66, 0.54), (0.64, 0.68), (0.46, 0.68)])


_DRAWINGS: dict[str, Callable[[_Ink, _Ink], None]] = {
    "peacock": _peacock,
    "parrot": _parrot,
    "swan": _swan,
    "lotus": _lotus,
    "mango": _mango,
    "coin": _coin,
    "diamond": _diamond,
    "elephant": _elephant,
    "leaf": _leaf,
    "flower": _flower,
    "fish": _fish,
    "conch": _conch,
    "tree": _tree,
    "star": _star,
    "horse rider": _horse_rider,
}
