"""What lies where on one flat piece of saree: body, border and pallu?"""

import numpy as np

from kg.rendering.borders import border_strip
from kg.rendering.cloth import BODY, BORDER, Cloth, Plan, Rect, accent_for, part_of
from kg.rendering.fields import draw_body
from kg.rendering.looks import Look
from kg.rendering.paint import Palette, metal
from kg.rendering.pallus import draw_pallu

__all__ = ["weave_cloth"]

_WIDTH_SHARE = {"narrow": 0.095, "medium": 0.15, "broad": 0.225}


def weave_cloth(look: Look, plan: Plan, rng: np.random.Generator, palette: Palette) -> Cloth:
    """Draw one flat piece of a saree as the plan lays it out."""
    shape = (plan.height, plan.width)
    metallic = None if look.zari == "none" else metal(look.zari, shape, rng)
    cloth = Cloth(np.empty((*shape, 3), np.float32), np.full(shape, BODY, np.uint8), np.zeros(shape, np.uint8),
                  metallic, palette, look, plan)  # fmt: skip
    body, pallu, borders = _regions(look, plan, rng)
    cloth.rgb[:] = palette.body
    draw_body(cloth, body, rng)
    for side, rect in borders:
        _draw_border(cloth, side, rect, rng)
    if pallu:
        draw_pallu(cloth, pallu, rng)
    return cloth


def _regions(look: Look, plan: Plan, rng: np.random.Generator) -> tuple[Rect, Rect | None, list[tuple[str, Rect]]]:
    """The body between the borders, the pallu at its end (as wide as the body), and each border along its side."""
    w, h = plan.width, plan.height
    across = h if plan.border_sides[0] in ("top", "bottom") else w
    band = max(4, round(across * _WIDTH_SHARE[look.border_width] * plan.border_scale * rng.uniform(0.93, 1.07)))
    left, top, right, bottom = (band if side in plan.border_sides else 0 for side in ("left", "top", "right", "bottom"))
    borders = []
    for side in plan.border_sides:
        rect = {"top": Rect(0, 0, w, band), "bottom": Rect(0, h - band, w, band),
                "left": Rect(0, 0, band, h), "right": Rect(w - band, 0, band, h)}[side]  # fmt: skip
        borders.append((side, rect))
    inner = Rect(left, top, w - left - right, h - top - bottom)
    if plan.pallu_side is None:
        return inner, None, borders
    return *_cut(inner, plan.pallu_side, plan.pallu_share), borders


def _cut(rect: Rect, side: str, share: float) -> tuple[Rect, Rect]:
    """The rectangle without a share at one side, and that share."""
    x, y, w, h = rect
    n = round((w if side in ("left", "right") else h) * share)
    return {
        "left": (Rect(x + n, y, w - n, h), Rect(x, y, n, h)),
        "right": (Rect(x, y, w - n, h), Rect(x + w - n, y, n, h)),
        "top": (Rect(x, y + n, w, h - n), Rect(x, y, w, n)),
        "bottom": (Rect(x, y, w, h - n), Rect(x, y + h - n, w, n)),
    }[side]


def _draw_border(cloth: Cloth, side: str, rect: Rect, rng: np.random.Generator) -> None:
    length, band = (rect.w, rect.h) if side in ("top", "bottom") else (rect.h, rect.w)
    masks = border_strip(cloth.look.border, length, band, unit_px=cloth.plan.unit_px)
    reach = masks[0].shape[0] - band
    ground, accent = (_turned(mask, side) for mask in masks)
    place = {
        "bottom": Rect(rect.x, rect.y - reach, rect.w, rect.h + reach),
        "top": Rect(rect.x, rect.y, rect.w, rect.h + reach),
        "right": Rect(rect.x - reach, rect.y, rect.w + reach, rect.h),
        "left": Rect(rect.x, rect.y, rect.w + reach, rect.h),
    }[side]
    cloth.ink(place, ground, cloth.palette.border, raised=0)
    cloth.relief[part_of(rect)] = 0
    cloth.ink(place, accent, accent_for(cloth, [cloth.palette.border], rng, zari_share=1.0),
              over=cloth.palette.border)  # fmt: skip
    cloth.labels[part_of(place)][ground > 127] = BORDER


def _turned(mask: np.ndarray, side: str) -> np.ndarray:
    """A flat strip (body above) turned so that its outer edge lies on `side`."""
    return {"bottom": mask, "top": mask[::-1], "right": mask.T, "left": mask[::-1].T}[side]
