"""How do weave, drape and light change a flat drawing: feathered ikat, raised brocade, stepped tapestry, sheer mesh?"""

import cv2
import numpy as np

from kg.rendering.cloth import Cloth
from kg.rendering.paint import luminance

__all__ = ["SHEER_COVER", "light_image", "weave_texture"]

SHEER_COVER = 0.75
"""How much of what lies behind a sheer cloth it hides."""


def weave_texture(cloth: Cloth, rng: np.random.Generator) -> None:
    """Change the cloth's pixels in place as its technique would."""
    _TECHNIQUES[cloth.look.technique](cloth, rng)


def light_image(image: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, str]:
    """Light falling from one side, its tint, a vignette and camera noise; the image and where the light comes from.

    Shapes: (h, w, 3) float32 in, (h, w, 3) uint8 out.
    """
    height, width = image.shape[:2]
    y, x = np.linspace(-1, 1, height, dtype=np.float32)[:, None], np.linspace(-1, 1, width, dtype=np.float32)[None]
    side = int(rng.integers(4))
    fall = (-x, x, -y, y)[side] * np.float32(rng.uniform(0.03, 0.16))
    vignette = (x * x + y * y) * np.float32(-rng.uniform(0.0, 0.12))
    gain = np.float32(rng.uniform(0.86, 1.1)) * (1 + fall + vignette)
    tint = (1 + rng.uniform(-0.05, 0.05) * np.float32([1, 0, -1])).astype(np.float32)
    noise = rng.standard_normal((height, width), np.float32) * np.float32(rng.uniform(1.5, 5.0))
    lit = image * gain[..., None] * tint + noise[..., None]
    return np.clip(lit, 0, 255).astype(np.uint8), ("left", "right", "top", "bottom")[side]


def _threads(cloth: Cloth, rng: np.random.Generator, strength: float, period: float) -> None:
    """Uneven threads along and across."""
    for axis in (0, 1):
        n = max(2, round(cloth.rgb.shape[axis] / (period * cloth.plan.unit_px)))
        lines = cv2.resize(rng.normal(0, strength, (n, 1)).astype(np.float32), (1, cloth.rgb.shape[axis]),
                           interpolation=cv2.INTER_LINEAR)  # fmt: skip
        cloth.rgb *= 1 + (lines[:, None] if axis == 0 else lines.T[..., None])


def _sheen(cloth: Cloth, rng: np.random.Generator, strength: float, tint: np.ndarray) -> None:
    """Soft bright bands of silk across the cloth."""
    height, width = cloth.rgb.shape[:2]
    angle = rng.uniform(0, np.pi)
    x, y = np.arange(width, dtype=np.float32)[None], np.arange(height, dtype=np.float32)[:, None]
    along = (np.cos(angle) * x + np.sin(angle) * y) / max(height, width)
    band = np.sin(2 * np.pi * rng.uniform(0.9, 1.8) * along + rng.uniform(0, 6.28)).astype(np.float32)
    cloth.rgb += (np.maximum(band, 0) ** 2)[..., None] * (tint * np.float32(strength))
    cloth.rgb *= (1 - 0.14 * np.maximum(-band, 0))[..., None]


def _emboss(cloth: Cloth, strength: float) -> None:
    """Raised threads: a bright edge towards the light, a dark one away from it."""
    step = max(1, round(cloth.plan.unit_px * 0.9))
    raised = cloth.relief.astype(np.float32)
    edge = np.zeros_like(raised)
    edge[:-step, :-step] = raised[step:, step:] - raised[:-step, :-step]
    cloth.rgb += (edge * np.float32(strength / 255))[..., None]


def _brocade(cloth: Cloth, rng: np.random.Generator) -> None:
    _emboss(cloth, -rng.uniform(60, 85))
    _sheen(cloth, rng, rng.uniform(34, 56), np.float32([1, 0.98, 0.94]))


def _tapestry(cloth: Cloth, rng: np.random.Generator) -> None:
    step = 1.7 * cloth.plan.unit_px
    height, width = cloth.rgb.shape[:2]
    blocks = (max(8, round(width / step)), max(8, round(height / step)))
    small = cv2.resize(cloth.rgb, blocks, interpolation=cv2.INTER_AREA)
    cloth.rgb[:] = cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST) * 0.75 + cloth.rgb * 0.25
    body = cloth.palette.body
    shot = np.roll(body, int(rng.integers(1, 3))) - body
    _sheen(cloth, rng, rng.uniform(0.18, 0.3), shot + 50)


def _ikat(cloth: Cloth, rng: np.random.Generator) -> None:
    """Dyed threads slip along their own direction, each by its own length: edges across it become feathered."""
    height, width = cloth.rgb.shape[:2]
    upright = bool(rng.integers(2))
    threads, unit = width if upright else height, cloth.plan.unit_px
    count = max(4, round(threads / (1.2 * unit)))
    slip = (rng.normal(0, rng.uniform(0.55, 0.85), count).clip(-1.6, 1.6) * unit).astype(np.float32)
    slip = np.repeat(slip, -(-threads // count))[:threads].astype(np.float32)
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    maps = (x, y + slip[None]) if upright else (x + slip[:, None], y)
    feathered = cv2.remap(cloth.rgb, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    length = 2 * round(unit) + 1
    cloth.rgb[:] = cv2.blur(feathered, (1, length) if upright else (length, 1))
    _threads(cloth, rng, 0.025, 1.5)


def _sheer(cloth: Cloth, rng: np.random.Generator) -> None:
    """Lighter threads with gaps; the ground shows through when the view lays the cloth on it."""
    period = max(2, round(2 * cloth.plan.unit_px))
    gap = 1 - rng.uniform(0.1, 0.16)
    ground = (cloth.relief < 90)[..., None]
    mesh = np.ones(cloth.rgb.shape[:2], np.float32)
    mesh[::period] *= gap
    mesh[:, ::period] *= gap
    cloth.rgb += ground * (18 - 0.1 * luminance(cloth.palette.body))
    cloth.rgb *= mesh[..., None]


def _plain(cloth: Cloth, rng: np.random.Generator) -> None:
    _threads(cloth, rng, rng.uniform(0.05, 0.075), 1.2)


_TECHNIQUES = {
    "ikat": _ikat,
    "extra-weft brocade": _brocade,
    "sheer weave": _sheer,
    "tapestry weave": _tapestry,
    "plain weave": _plain,
}
