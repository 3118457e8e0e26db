"""How is the body of a saree patterned: checks, stripes, butis, nets, lattices, squares?"""

import cv2
import numpy as np

from kg.rendering.cloth import BODY, Cloth, Rect, accent_for, outline
from kg.rendering.motifs import grid_centers, stamp_motifs
from kg.rendering.slots import NO_MOTIF

__all__ = ["draw_body"]

_BODY_PITCH = {"butis": 1.6, "jaal": 1.5, "diamond lattice": 1.85, "compartments": 1.4}
"""Distance of neighbouring motifs in motif sides."""


def draw_body(cloth: Cloth, rect: Rect, rng: np.random.Generator) -> None:
    look, plan, palette = cloth.look, cloth.plan, cloth.palette
    mask = np.zeros((rect.h, rect.w), np.uint8)
    pitch = plan.motif_px * _BODY_PITCH.get(look.body, 0.9) * rng.uniform(0.95, 1.15)
    phase = rng.uniform(0, 1, 2)
    accent = accent_for(cloth, [palette.body], rng, zari_share=0.35)
    if look.body == "checks":
        _rule(mask, pitch * 0.75, phase, plan.unit_px * rng.uniform(1.0, 2.2))
    elif look.body == "stripes":
        _stripe(mask, pitch * 0.8, phase, bool(rng.integers(2)), rng.uniform(0.22, 0.42))
    elif look.body == "chequerboard":
        _chequer(mask, pitch * 0.62, phase)
    if look.body_motif == NO_MOTIF:
        if look.body != "plain":
            strong = 1.0 if look.body == "chequerboard" else rng.uniform(0.65, 0.95)
            cloth.ink(rect, cv2.convertScaleAbs(mask, alpha=strong), accent, raised=0.3,
                      over=palette.body)  # fmt: skip
        return
    centers = grid_centers(rect, pitch, phase, staggered=look.body != "compartments")
    paint = accent_for(cloth, [palette.body], rng, zari_share=0.9)
    thick = max(1, round(plan.unit_px * (0.9 if look.body == "jaal" else 1.1)))
    if look.body == "jaal":
        _vines(mask, centers, pitch, thick, plan.motif_px)
    elif look.body == "diamond lattice":
        _lattice(mask, centers, pitch, thick)
    elif look.body == "compartments":
        _frames(mask, centers, pitch, thick)
    if look.body != "butis":
        cloth.ink(rect, mask, accent if look.body == "compartments" else paint, raised=0.8, over=palette.body)
    stamp_motifs(cloth, rect, centers, look.body_motif, plan.motif_px, BODY, paint, palette.body, rng)


def _rule(mask: np.ndarray, pitch: float, phase: np.ndarray, thick: float) -> None:
    thick = max(1, round(thick))
    for x in np.arange(phase[0] * pitch, mask.shape[1], pitch):
        mask[:, int(x) : int(x) + thick] = 255
    for y in np.arange(phase[1] * pitch, mask.shape[0], pitch):
        mask[int(y) : int(y) + thick] = 255


def _stripe(mask: np.ndarray, pitch: float, phase: np.ndarray, upright: bool, share: float) -> None:
    lines = mask.T if upright else mask
    for y in np.arange((phase[1] - 1) * pitch, lines.shape[0], pitch):
        lines[max(0, round(y)) : max(0, round(y + pitch * share))] = 255


def _chequer(mask: np.ndarray, pitch: float, phase: np.ndarray) -> None:
    """Every other square, a little smaller than its cell, so that the body's own colour stays the larger part."""
    rows, columns = (np.arange(n) / pitch + start for n, start in zip(mask.shape, phase[::-1], strict=True))
    odd = (np.floor(rows).astype(int)[:, None] + np.floor(columns).astype(int)[None]) % 2 == 1
    mask[:] = np.where(odd & (rows % 1 < 0.86)[:, None] & (columns % 1 < 0.86)[None], 255, 0)


def _vines(mask: np.ndarray, centers: np.ndarray, pitch: float, thick: int, motif_px: float) -> None:
    """A net of curved stems around every centre, with small leaves where they part."""
    t = np.linspace(0, 1, 9)[:, None]
    for sx in (-1, 1):
        for sy in (-1, 1):
            start, end = np.array([0, sy * 0.62]) * pitch, np.array([sx * 0.62, 0]) * pitch
            bow = np.stack([0.5 - 0.5 * np.cos(np.pi * t[:, 0]), t[:, 0]], 1)
            curve = start + (end - start) * bow
            outline(mask, centers[:, None] + curve[None], thick)
    leaf = max(1.2, motif_px * 0.1)
    axes = (round(leaf * 1.7 * 32), round(leaf * 0.8 * 32))
    for x, y in centers + np.array([0, 0.62 * pitch]):
        for turn in (-40, 40):
            center = (round((x + np.sign(turn) * leaf) * 32), round(y * 32))
            cv2.ellipse(mask, center, axes, turn, 0, 360, 255, -1, cv2.LINE_AA, 5)


def _lattice(mask: np.ndarray, centers: np.ndarray, pitch: float, thick: int) -> None:
    corners = np.array([[0, -0.62], [0.62, 0], [0, 0.62], [-0.62, 0]]) * pitch
    outline(mask, centers[:, None] + corners[None], thick, closed=True)


def _frames(mask: np.ndarray, centers: np.ndarray, pitch: float, thick: int) -> None:
    corners = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]]) * pitch
    outline(mask, centers[:, None] + corners[None], thick, closed=True)
