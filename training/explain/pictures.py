"""How is a heat map laid over the picture that a person knows, and which part of that picture did the model see?"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

if TYPE_CHECKING:
    from kg.encoders.image import ImageEncoder

__all__ = ["LEGEND", "as_png", "overlay", "plain", "seen_box"]

LEGEND = ((255, 237, 160), (254, 178, 76), (240, 59, 32), (150, 0, 30))
"""Colours from a little to most; where a place says nothing, there is no colour."""

_LARGEST_PX = 560
_FAINTEST, _STRONGEST_ALPHA = 0.15, 0.72
_UNSEEN_LIGHT = 0.35


def plain(image: Image.Image) -> Image.Image:
    """The picture upright, in RGB, at most as large as a page shows it."""
    upright = ImageOps.exif_transpose(image).convert("RGB")
    factor = _LARGEST_PX / max(upright.size)
    return upright.resize((max(1, round(upright.width * factor)), max(1, round(upright.height * factor))))


def overlay(image: Image.Image, heat: np.ndarray, box: tuple[float, float, float, float]) -> Image.Image:
    """The picture, paled, with the map's colours where it speaks; what the model never saw is darkened.

    Shapes: heat (px, px), 0..1; box: left, top, right, bottom as shares of the picture's sides.
    """
    shown = plain(image)
    grey = np.asarray(ImageOps.grayscale(shown), np.float32)[..., None] / 255
    base = 0.55 * np.asarray(shown, np.float32) / 255 + 0.45 * (0.5 + 0.5 * grey)
    strength, seen = _placed(heat, box, shown.size)
    alpha = _STRONGEST_ALPHA * np.clip((strength - _FAINTEST) / (1 - _FAINTEST), 0, 1)[..., None]
    mixed = (1 - alpha) * base + alpha * _coloured(strength)
    mixed = np.where(seen[..., None], mixed, _UNSEEN_LIGHT * base)
    return Image.fromarray(np.uint8(np.round(255 * np.clip(mixed, 0, 1))))


def as_png(image: Image.Image) -> bytes:
    """PNG of a picture."""
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


def seen_box(encoder: ImageEncoder, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Which part of a picture of that size goes into the encoder: left, top, right, bottom as shares of its sides.

    Found by sending through the encoder's own preprocessing a picture whose colours say where they are.
    """
    import torch

    width, height = size
    across = np.broadcast_to(np.linspace(0, 255, width)[None], (height, width))
    down = np.broadcast_to(np.linspace(0, 255, height)[:, None], (height, width))
    places = np.stack([across, down, np.zeros((height, width))], -1).round().astype(np.uint8)
    black, white = (
        encoder.preprocess(Image.new("RGB", (64, 64), colour)).mean((1, 2)) for colour in ("black", "white")
    )
    found = (encoder.preprocess(Image.fromarray(places)) - black[:, None, None]) / (white - black)[:, None, None]
    left, right = _ends(found[0].mean(0).to(torch.float64).numpy())
    top, bottom = _ends(found[1].mean(1).to(torch.float64).numpy())
    return left, top, right, bottom


def _ends(places: np.ndarray) -> tuple[float, float]:
    """Where the first pixel begins and the last ends, from the places of their middles."""
    middles = np.arange(len(places)) + 0.5
    inner = slice(2, -2)  # resizing bends the values at the border
    slope, offset = np.polyfit(middles[inner], places[inner], 1)
    return float(np.clip(offset, 0, 1)), float(np.clip(offset + slope * len(places), 0, 1))


def _placed(
    heat: np.ndarray, box: tuple[float, float, float, float], size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """The map in the whole picture, and which pixels the model saw. Shapes: (height, width), (height, width) bool."""
    width, height = size
    left, right = (min(width, max(0, round(share * width))) for share in (box[0], box[2]))
    top, bottom = (min(height, max(0, round(share * height))) for share in (box[1], box[3]))
    strength, seen = np.zeros((height, width), np.float32), np.zeros((height, width), bool)
    inside = Image.fromarray(np.float32(heat)).resize((right - left, bottom - top), Image.Resampling.BICUBIC)
    strength[top:bottom, left:right] = np.clip(np.asarray(inside), 0, 1)
    seen[top:bottom, left:right] = True
    return strength, seen


def _coloured(strength: np.ndarray) -> np.ndarray:
    """Shapes: (height, width) -> (height, width, 3), 0..1."""
    stops = np.linspace(0, 1, len(LEGEND))
    return np.stack([np.interp(strength, stops, channel) for channel in np.array(LEGEND, np.float32).T / 255], -1)
