"""How is the pallu, the end piece of a saree, laid out?"""

import numpy as np

from kg.rendering.cloth import PALLU, Cloth, Rect, accent_for, outline, part_of
from kg.rendering.motifs import grid_centers, stamp_motifs
from kg.rendering.paint import contrasting

__all__ = ["draw_pallu"]


def draw_pallu(cloth: Cloth, rect: Rect, rng: np.random.Generator) -> None:
    cloth.labels[part_of(rect)] = PALLU
    cloth.relief[part_of(rect)] = 0
    cloth.rgb[part_of(rect)] = cloth.palette.pallu
    upright = cloth.plan.pallu_side in ("left", "right")
    lines = _Lines(rect, upright, end_first=cloth.plan.pallu_side in ("left", "top"))
    _PALLUS[cloth.look.pallu](cloth, rect, lines, rng)
    seam = lines.mask()
    lines.across(seam, 0.0, max(1.2 * cloth.plan.unit_px / lines.length, 0.02))
    cloth.ink(rect, seam, accent_for(cloth, [cloth.palette.pallu, cloth.palette.body], rng, zari_share=1.0))


class _Lines:
    """Positions along the pallu, 0 where it joins the body and 1 at the free end."""

    def __init__(self, rect: Rect, upright: bool, *, end_first: bool) -> None:
        self.rect, self.upright, self.end_first = rect, upright, end_first
        self.length, self.breadth = (rect.w, rect.h) if upright else (rect.h, rect.w)

    def mask(self) -> np.ndarray:
        return np.zeros((self.rect.h, self.rect.w), np.uint8)

    def across(self, mask: np.ndarray, start: float, end: float) -> None:
        """Fill the stretch from `start` to `end`."""
        low, high = (1 - end, 1 - start) if self.end_first else (start, end)
        view = mask.T if self.upright else mask
        first = round(low * self.length)
        view[first : max(first + 1, round(high * self.length))] = 255

    def points(self, along: np.ndarray, breadth: np.ndarray) -> np.ndarray:
        """Pixel positions (n, 2) relative to the rectangle from shares along and across."""
        a = (1 - along if self.end_first else along) * self.length
        b = breadth * self.breadth
        return np.stack([a, b] if self.upright else [b, a], 1)


def _plain_pallu(cloth: Cloth, rect: Rect, lines: _Lines, rng: np.random.Generator) -> None:
    mask = lines.mask()
    start = rng.uniform(0.5, 0.62)
    lines.across(mask, start, start + rng.uniform(0.2, 0.3))
    cloth.ink(rect, mask, accent_for(cloth, [cloth.palette.pallu], rng, zari_share=1.0), raised=0.5,
              over=cloth.palette.pallu)  # fmt: skip


def _striped_pallu(cloth: Cloth, rect: Rect, lines: _Lines, rng: np.random.Generator) -> None:
    mask, count = lines.mask(), int(rng.integers(2, 5))
    for i in range(count):
        start = (i + 0.65) / (count + 0.35)
        lines.across(mask, start, start + 0.46 / (count + 0.35))
    white = np.float32([240, 234, 218])
    paint: np.ndarray | str = "zari" if cloth.metal is not None else white
    if cloth.metal is None and np.linalg.norm(white - cloth.palette.pallu) < 110:
        paint = contrasting([cloth.palette.pallu], rng)
    cloth.ink(rect, mask, paint, raised=0.5, over=cloth.palette.pallu)


def _panelled_pallu(cloth: Cloth, rect: Rect, lines: _Lines, rng: np.random.Generator) -> None:
    size = cloth.plan.motif_px * rng.uniform(1.15, 1.35)
    rows = max(1, round(lines.breadth / (size * 1.3)))
    cell_b = lines.breadth / rows
    columns = max(1, round(lines.length * 0.94 / max(cell_b, size * 1.2)))
    cell_a = lines.length * 0.94 / columns
    size = min(size, 0.82 * min(cell_a, cell_b))
    along, across = np.meshgrid((np.arange(columns) + 0.5) / columns * 0.94 + 0.04, (np.arange(rows) + 0.5) / rows)
    centers = lines.points(along.ravel(), across.ravel())
    accent = accent_for(cloth, [cloth.palette.pallu], rng, zari_share=0.95)
    mask = lines.mask()
    half = np.array([cell_a, cell_b] if lines.upright else [cell_b, cell_a]) * 0.45
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half
    outline(mask, centers[:, None] + corners[None], max(1, round(1.3 * cloth.plan.unit_px)), closed=True)
    cloth.ink(rect, mask, accent, over=cloth.palette.pallu)
    stamp_motifs(cloth, rect, centers, cloth.look.pallu_motif, size, PALLU, accent, cloth.palette.pallu, rng)


def _zari_pallu(cloth: Cloth, rect: Rect, lines: _Lines, rng: np.random.Generator) -> None:
    full = lines.mask()
    lines.across(full, 0.08, 0.92)
    cloth.ink(rect, full, "zari", raised=0)
    size = cloth.plan.motif_px * rng.uniform(1.1, 1.3)
    ground = np.float32([206, 160, 60]) if cloth.look.zari == "gold" else np.float32([176, 182, 192])
    paint = cloth.palette.pallu
    if np.linalg.norm(paint - ground) < 110 or cloth.look.technique == "tapestry weave":
        paint = contrasting([ground, np.float32([255, 240, 190])], rng)
    stamp_motifs(cloth, rect, _rows_of(lines, size * 1.3), cloth.look.pallu_motif, size, PALLU, paint, ground, rng)


def _banded_pallu(cloth: Cloth, rect: Rect, lines: _Lines, rng: np.random.Generator) -> None:
    wanted = cloth.plan.motif_px * rng.uniform(0.9, 1.05)
    bands = max(1, round(lines.length * 0.94 / (wanted * 1.45)))
    step = 0.94 / bands
    size = min(wanted, 0.74 * step * lines.length)
    mask = lines.mask()
    for i in range(bands + 1):
        lines.across(mask, 0.05 + i * step - 0.1 * step, 0.05 + i * step + 0.06 * step)
    paint = accent_for(cloth, [cloth.palette.pallu], rng, zari_share=0.9)
    cloth.ink(rect, mask, paint, over=cloth.palette.pallu)
    count = max(1, int(lines.breadth / (size * 1.25)))
    along, across = np.meshgrid(0.05 + (np.arange(bands) + 0.48) * step, (np.arange(count) + 0.5) / count)
    centers = lines.points(along.ravel(), across.ravel())
    stamp_motifs(cloth, rect, centers, cloth.look.pallu_motif, size, PALLU, paint, cloth.palette.pallu, rng)


def _buti_pallu(cloth: Cloth, rect: Rect, _lines: _Lines, rng: np.random.Generator) -> None:
    size = cloth.plan.motif_px * rng.uniform(0.85, 1.0)
    paint = accent_for(cloth, [cloth.palette.pallu], rng, zari_share=0.9)
    centers = grid_centers(rect, size * 1.75, rng.uniform(0, 1, 2), staggered=True)
    stamp_motifs(cloth, rect, centers, cloth.look.pallu_motif, size, PALLU, paint, cloth.palette.pallu, rng)


def _rows_of(lines: _Lines, pitch: float) -> np.ndarray:
    """Centres of evenly spaced motifs that fill the pallu."""
    columns = max(1, int(lines.length * 0.9 / pitch))
    rows = max(1, int(lines.breadth / pitch))
    along, across = np.meshgrid(0.06 + 0.88 * (np.arange(columns) + 0.5) / columns, (np.arange(rows) + 0.5) / rows)
    return lines.points(along.ravel(), across.ravel())


_PALLUS = {
    "plain": _plain_pallu,
    "stripes": _striped_pallu,
    "panels": _panelled_pallu,
    "zari ground": _zari_pallu,
    "bands": _banded_pallu,
    "butis": _buti_pallu,
}
