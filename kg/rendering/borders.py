"""How is each kind of border drawn along a straight strip of cloth?

A strip is drawn lying flat: the body lies above it, the outer edge of the cloth below. Its first rows reach into the
body, so that temple towers and scallops can stand there.
"""

import cv2
import numpy as np

__all__ = ["border_strip", "reach_px"]

_SHIFT = 5


def reach_px(border: str, band_px: int, unit_px: float) -> int:
    """How far the border's edge stands into the body."""
    return round(max(0.55 * band_px, 8 * unit_px)) if border in ("temple", "scallop") else 0


def border_strip(border: str, length_px: int, band_px: int, *, unit_px: float) -> tuple[np.ndarray, np.ndarray]:
    """Coverage of the border's ground and of its accent (zari or thread).

    Shapes: two (reach + band, length) uint8 masks.
    """
    reach = reach_px(border, band_px, unit_px)
    strip = _Strip(length_px, band_px, reach, unit_px)
    strip.edges(slim=border in ("temple", "scallop"))
    getattr(strip, f"draw_{border}")()
    return strip.ground, strip.accent


class _Strip:
    def __init__(self, length: int, band: int, reach: int, unit: float) -> None:
        self.length, self.band, self.reach = length, band, reach
        self.ground = np.zeros((reach + band, length), np.uint8)
        self.ground[reach:] = 255
        self.accent = np.zeros_like(self.ground)
        self.line = max(1, round(unit * 1.0))
        self.inside = (reach + self.line + 0.09 * band, reach + 0.84 * band)

    def edges(self, *, slim: bool) -> None:
        """The lines at both edges of the band."""
        self.accent[self.reach + round(0.9 * self.band) :] = 255
        if not slim:
            self.accent[self.reach : self.reach + self.line] = 255

    def draw_plain(self) -> None:
        for low, high in ((0.42, 0.8), (0.2, 0.2)):
            top = self.reach + round(low * self.band)
            self.accent[top : max(top + self.line, self.reach + round(high * self.band))] = 255

    def draw_temple(self) -> None:
        step = max(self.reach * 0.95, 5.0)
        edge = self.reach + 0.5
        for x in self._steps(step):
            tower = [(x - step * 0.5, edge), (x, 0.5), (x + step * 0.5, edge)]
            self._fill(self.ground, tower)
            self._draw(self.accent, tower, max(1, self.line))
        self.accent[self.reach + round(0.45 * self.band) : self.reach + round(0.6 * self.band)] = 255

    def draw_scallop(self) -> None:
        step = max(self.reach * 1.1, 6.0)
        for x in self._steps(step):
            lobe = (step * 0.45, self.reach * 0.95)
            self._oval(self.ground, (x, self.reach), lobe)
            self._oval(self.accent, (x, self.reach), lobe, self.line)
            self._oval(self.accent, (x, self.reach), (step * 0.22, self.reach * 0.5))
        self.accent[self.reach :][: max(1, round(0.12 * self.band))] = 255

    def draw_zigzag(self) -> None:
        top, bottom = self.inside
        step = (bottom - top) * 0.85
        turns = [(x, top if i % 2 else bottom) for i, x in enumerate(np.arange(-step, self.length + step, step))]
        self._draw(self.accent, turns, max(1, round(0.22 * (bottom - top))))

    def draw_rudraksha(self) -> None:
        top, bottom = self.inside
        radius = (bottom - top) * 0.5
        for x in self._steps(radius * 2.2):
            self._oval(self.accent, (x, (top + bottom) / 2), (radius, radius))
            self._oval(self.accent, (x, (top + bottom) / 2), (radius * 0.36, radius * 0.36), value=0)

    def draw_brick(self) -> None:
        top, bottom = self.inside
        rows = 3 if self.band > 11 * self.line else 2
        height = (bottom - top) / rows
        wide = height * 2.1
        for row in range(rows):
            y0, y1 = top + row * height, top + (row + 1) * height - max(1, 0.2 * height)
            for x in np.arange(-wide + (row % 2) * wide / 2, self.length, wide):
                self._fill(self.accent, [(x, y0), (x + wide * 0.8, y0), (x + wide * 0.8, y1), (x, y1)])

    def draw_creeper(self) -> None:
        top, bottom = self.inside
        middle, swing = (top + bottom) / 2, (bottom - top) * 0.24
        period = (bottom - top) * 1.9
        x = np.arange(0, self.length, max(1.0, period / 16))
        stem = np.stack([x, middle + swing * np.sin(2 * np.pi * x / period)], 1)
        self._draw(self.accent, stem, max(1, round(0.09 * (bottom - top))))
        for i, crest in enumerate(np.arange(period * 0.25, self.length, period / 2)):
            side = -1 if i % 2 else 1
            center = (crest, middle - side * swing * 0.75)
            self._oval(self.accent, center, (0.28 * (bottom - top), 0.15 * (bottom - top)), turn=35 * side)

    def draw_diamonds(self) -> None:
        top, bottom = self.inside
        half, middle = (bottom - top) * 0.5, (top + bottom) / 2
        for x in self._steps(half * 1.9):
            for size, value in ((1.0, 255), (0.4, 0)):
                r = half * size
                self._fill(
                    self.accent,
                    [(x, middle - r), (x + r * 0.86, middle), (x, middle + r), (x - r * 0.86, middle)],
                    value,
                )

    def _steps(self, step: float) -> np.ndarray:
        count = max(1, round(self.length / step))
        return (np.arange(count) + 0.5) * self.length / count

    @staticmethod
    def _fixed(points: np.ndarray | list) -> np.ndarray:
        return np.round((np.asarray(points, np.float64) - 0.5) * (1 << _SHIFT)).astype(np.int32)

    def _fill(self, mask: np.ndarray, points: list, value: int = 255) -> None:
        cv2.fillPoly(mask, [self._fixed(points)], value, cv2.LINE_AA, _SHIFT)

    def _draw(self, mask: np.ndarray, points: np.ndarray | list, thick: int) -> None:
        cv2.polylines(mask, [self._fixed(points)], False, 255, thick, cv2.LINE_AA, _SHIFT)

    def _oval(self, mask: np.ndarray, center: tuple[float, float], axes: tuple[float, float], thick: int = -1,
              turn: float = 0, value: int = 255) -> None:  # fmt: skip
        c, a = self._fixed([center])[0].tolist(), (self._fixed([axes])[0] + (1 << _SHIFT) // 2).tolist()
        cv2.ellipse(mask, c, a, turn, 0, 360, value, thick, cv2.LINE_AA, _SHIFT)
