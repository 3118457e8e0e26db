"""What is a flat piece of saree while it is woven: its pixels, its regions, its raised threads, its motifs?"""

from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np

from kg.rendering.looks import Look
from kg.rendering.paint import Palette, contrasting, metal_contrast

__all__ = ["BODY", "BORDER", "PALLU", "Cloth", "Placed", "Plan", "Rect", "accent_for", "outline", "part_of"]

BODY, BORDER, PALLU = 1, 2, 3
"""Region labels on a cloth."""

_FAINT = 105.0
"""RGB distance below which zari on a ground cannot be made out without an outline."""


class Rect(NamedTuple):
    """A rectangle in cloth pixels."""

    x: int
    y: int
    w: int
    h: int


class Placed(NamedTuple):
    """One motif instance on the cloth: its centre and its side length in cloth pixels, before any view."""

    motif: str
    region: int
    x: float
    y: float
    size: float
    flip: bool
    paint: str


@dataclass(frozen=True, slots=True)
class Plan:
    """How a piece is laid out. `unit_px` is one 112th of the image; `motif_px` the side of a body motif."""

    width: int
    height: int
    unit_px: float
    motif_px: float
    pallu_side: str | None = None
    pallu_share: float = 0.0
    border_sides: tuple[str, ...] = ("bottom",)
    border_scale: float = 1.0


@dataclass(slots=True)
class Cloth:
    """A woven piece. Shapes: rgb (h, w, 3) float32; labels and relief (h, w) uint8."""

    rgb: np.ndarray
    labels: np.ndarray
    relief: np.ndarray
    metal: np.ndarray | None
    palette: Palette
    look: Look
    plan: Plan
    placed: list[Placed] = field(default_factory=list)

    def ink(self, rect: Rect, mask: np.ndarray, paint: np.ndarray | str, *, raised: float = 1.0,
            over: np.ndarray | None = None) -> None:  # fmt: skip
        """Lay a paint (an RGB, or "zari") through a mask over a rectangle; zari that would be lost on the ground
        `over` gets a dark outline first.
        """
        if over is not None and isinstance(paint, str) and metal_contrast(self.look.zari, over) < _FAINT:
            reach = 2 * max(1, round(self.plan.unit_px * 0.8)) + 1
            self.ink(rect, cv2.dilate(mask, np.ones((reach, reach), np.uint8)), over * 0.4, raised=0)
        part = part_of(rect)
        colour = self.metal[part] if isinstance(paint, str) else paint
        ground = self.rgb[part]
        ground += (colour - ground) * (mask.astype(np.float32) * np.float32(1 / 255))[..., None]
        if raised:
            np.maximum(self.relief[part], mask if raised == 1 else cv2.convertScaleAbs(mask, alpha=raised),
                       out=self.relief[part])  # fmt: skip


def part_of(rect: Rect) -> tuple[slice, slice]:
    """Rows and columns of a rectangle."""
    return slice(rect.y, rect.y + rect.h), slice(rect.x, rect.x + rect.w)


def accent_for(
    cloth: Cloth, grounds: list[np.ndarray], rng: np.random.Generator, *, zari_share: float
) -> np.ndarray | str:
    """Zari where there is some (mostly), else a thread that stands out from the grounds."""
    if cloth.metal is not None and rng.random() < zari_share:
        return "zari"
    if min(np.linalg.norm(cloth.palette.thread - ground) for ground in grounds) > 120:
        return cloth.palette.thread
    return contrasting(grounds, rng)


def outline(mask: np.ndarray, points: np.ndarray, thick: int, *, closed: bool = False) -> None:
    """Draw lines on a mask. Shapes: points (n, 2), or (lines, n, 2) for many at once."""
    fixed = np.round((points - 0.5) * 32).astype(np.int32)
    cv2.polylines(mask, list(fixed) if fixed.ndim == 3 else [fixed], closed, 255, thick, cv2.LINE_AA, 5)
