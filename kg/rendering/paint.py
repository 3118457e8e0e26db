"""Which colours does one saree get, and how do thread, zari and weave shimmer?"""

from dataclasses import dataclass

import numpy as np

from kg.rendering.craft import load_craft
from kg.rendering.looks import Look

__all__ = ["Palette", "contrasting", "luminance", "metal", "metal_contrast", "mix_palette"]

_METALS = {
    "gold": np.float32([[112, 70, 8], [206, 154, 44], [255, 236, 158]]),
    "silver": np.float32([[84, 90, 104], [174, 182, 194], [250, 252, 255]]),
}
_THREADS = np.float32([[244, 236, 214], [24, 20, 24], [236, 190, 60], [190, 24, 40], [24, 120, 70], [40, 60, 150]])


@dataclass(frozen=True, slots=True)
class Palette:
    """RGB of one saree, each (3,) float32; `thread` is the accent where there is no zari."""

    body: np.ndarray
    border: np.ndarray
    pallu: np.ndarray
    thread: np.ndarray
    second: np.ndarray


def mix_palette(look: Look, rng: np.random.Generator) -> Palette:
    """Draw the shades of a look's three colours and its accent threads."""
    body, border, pallu = (_shade(look[slot], slot, rng) for slot in ("body_colour", "border_colour", "pallu_colour"))
    thread = contrasting([body, border, pallu], rng)
    return Palette(body, border, pallu, thread, contrasting([body, thread], rng))


def luminance(rgb: np.ndarray) -> float:
    """Perceived brightness, 0..255."""
    return float(rgb @ np.float32([0.3, 0.59, 0.11]))


def contrasting(grounds: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """A thread colour that stands out from every ground; among the good ones, a random one."""
    apart = [min(float(np.linalg.norm(thread - ground)) for ground in grounds) for thread in _THREADS]
    good = [i for i, distance in enumerate(apart) if distance > 0.75 * max(apart)]
    return _THREADS[good[int(rng.integers(len(good)))]]


def metal(zari: str, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Metallic thread over a whole cloth: slow bands of glint across fine lines of thread.

    Shapes: (height, width, 3) float32 RGB.
    """
    height, width = shape
    y, x = np.arange(height, dtype=np.float32)[:, None], np.arange(width, dtype=np.float32)[None]
    angle, reach = rng.uniform(0, np.pi), max(shape)
    along = (np.cos(angle) * x + np.sin(angle) * y) / reach
    wave = np.sin(2 * np.pi * rng.uniform(1.6, 2.6) * along + rng.uniform(0, 6.28))
    ripple = np.sin(2 * np.pi * rng.uniform(7, 11) * along + 2.2 * y / reach)
    glint = (0.5 + 0.36 * wave + 0.14 * ripple) * (0.9 + 0.1 * np.cos(np.pi * y))
    dark, base, bright = _METALS[zari]
    low, high = np.clip(glint * 2, 0, 1)[..., None], np.clip(glint * 2 - 1, 0, 1)[..., None]
    return dark + (base - dark) * low + (bright - base) * high


def metal_contrast(zari: str, ground: np.ndarray) -> float:
    """RGB distance between the middle tone of a metallic thread and a ground."""
    return float(np.linalg.norm(_METALS[zari][1] - ground))


def _shade(colour: str, slot: str, rng: np.random.Generator) -> np.ndarray:
    value = load_craft().value(slot, colour)
    low, high = np.float32(value.low), np.float32(value.high)
    return np.clip(low + (high - low) * np.float32(rng.random()) + rng.normal(0, 3, 3), 0, 255).astype(np.float32)
