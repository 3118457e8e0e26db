"""How does a saree lie before the camera: flat, folded, draped or close up, and where do its parts come to lie?"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from kg.rendering.cloth import Cloth, Placed, Plan
from kg.rendering.finish import SHEER_COVER, light_image, weave_texture
from kg.rendering.looks import Look
from kg.rendering.paint import Palette, mix_palette
from kg.rendering.stamps import hull
from kg.rendering.weaving import weave_cloth

__all__ = ["DRAPES", "PIECE_STEP", "Laid", "View", "lay_saree"]

PIECE_STEP = 4
"""A pixel's label is its region plus PIECE_STEP times the number of the piece it belongs to; 0 is background."""

DRAPES = ("flat", "folded", "draped", "close-up")
_DRAPE_SHARES = (0.36, 0.2, 0.24, 0.2)
_OPPOSITE = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a piece lies: its centre in the image, its turn, and pleats along its x axis."""

    x: float
    y: float
    turn_rad: float = 0.0
    pleat_px: float = 0.0
    pleat_length_px: float = 1.0
    pleat_phase: float = 0.0
    pleat_shade: float = 0.0


@dataclass(frozen=True, slots=True)
class Laid:
    """One motif instance in the image: its box in pixels and the label its pixels must carry to be in sight."""

    placed: Placed
    label: int
    box: tuple[float, float, float, float]


@dataclass(slots=True)
class View:
    """Shapes: image (size, size, 3) uint8; labels (size, size) uint8."""

    image: np.ndarray
    labels: np.ndarray
    laid: list[Laid]
    about: dict[str, str]
    close: bool


class _Stage:
    """The picture while pieces are laid on it, one over the other."""

    def __init__(self, look: Look, size: int, rng: np.random.Generator) -> None:
        self.look, self.size, self.rng = look, size, rng
        self.unit = size / 112
        self.palette: Palette = mix_palette(look, rng)
        self.image = _background(size, rng, bright=look.technique == "sheer weave")
        self.labels = np.zeros((size, size), np.uint8)
        self.laid: list[Laid] = []
        self.pieces = 0

    def lay(self, plan: Plan, pose: Pose, *, layers: int = 0) -> None:
        """Weave a piece and lay it on the picture; `layers` of folded cloth peep out beneath it."""
        cloth = weave_cloth(self.look, plan, self.rng, self.palette)
        weave_texture(cloth, self.rng)
        maps, shade = _maps(plan, pose, self.size)
        cover = cv2.remap(np.full(cloth.labels.shape, 255, np.uint8), *maps, cv2.INTER_LINEAR)
        self._shadow(cover, layers)
        cover = cover.astype(np.float32) * np.float32(1 / 255)
        if self.look.technique == "sheer weave":
            cover *= SHEER_COVER
        seen = cv2.remap(cloth.rgb, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        if shade is not None:
            seen *= shade[..., None]
        self.image += (seen - self.image) * cover[..., None]
        self._label(cloth, maps, pose)

    def _label(self, cloth: Cloth, maps: tuple[np.ndarray, np.ndarray], pose: Pose) -> None:
        seen = cv2.remap(cloth.labels, *maps, cv2.INTER_NEAREST)
        np.copyto(self.labels, seen + np.uint8(PIECE_STEP * self.pieces), where=seen > 0)
        boxes = _boxes(cloth, pose)
        step = PIECE_STEP * self.pieces
        self.laid += [Laid(p, p.region + step, tuple(b)) for p, b in zip(cloth.placed, boxes, strict=True)]
        self.pieces += 1

    def _shadow(self, cover: np.ndarray, layers: int) -> None:
        """A soft shadow, and the edges of the folds that lie below."""
        reach = max(1, round(2.2 * self.unit))
        for layer in range(layers, 0, -1):
            edge = _moved(cover, layer * reach, layer * reach)
            colour = (self.palette.body, self.palette.border)[layer % 2] * (0.9 - 0.12 * layer)
            self.image += (colour - self.image) * (edge.astype(np.float32) / 255)[..., None]
            rim = _moved(cover, (layer - 1) * reach, (layer - 1) * reach)
            self.image *= 1 - 0.25 * cv2.blur(rim, (3, 3)).astype(np.float32)[..., None] / 255
        soft = 2 * max(1, round(3 * self.unit)) + 1
        shadow = cv2.blur(_moved(cover, reach, reach), (soft, soft)).astype(np.float32)
        depth = 0.12 if self.look.technique == "sheer weave" else 0.4
        self.image *= 1 - (depth / 255) * shadow[..., None]


def lay_saree(look: Look, rng: np.random.Generator, *, size_px: int, drape: str | None = None) -> View:
    """Draw a saree of this look in a random view, or in a random one of a given drape."""
    stage = _Stage(look, size_px, rng)
    drawn = DRAPES[int(rng.choice(len(DRAPES), p=_DRAPE_SHARES))]
    drape = drape or drawn
    layout = _LAYOUTS[drape](stage, rng)
    image, light = light_image(stage.image, rng)
    about = {"drape": drape, "layout": layout, "light": light, "scale": "close" if drape == "close-up" else "whole"}
    return View(image, stage.labels, stage.laid, about, drape == "close-up")


# ---- the four ways to lie --------------------------------------------------------------------------------------------


def _flat(stage: _Stage, rng: np.random.Generator) -> str:
    side = _pallu_side(rng)
    width, height = (stage.size * rng.uniform(0.9, 1.12, 2)).round().astype(int)
    plan = Plan(int(width), int(height), stage.unit, stage.unit * rng.uniform(19, 27), side,
                rng.uniform(0.34, 0.5), _border_sides(side, rng))  # fmt: skip
    middle = stage.size / 2
    shift = rng.uniform(-0.04, 0.04, 2) * stage.size
    stage.lay(plan, Pose(middle + shift[0], middle + shift[1], rng.normal(0, 0.07), *_pleats(stage, rng, 0.5)))
    return f"pallu {side}"


def _close(stage: _Stage, rng: np.random.Generator) -> str:
    """A corner of the cloth, larger than life, with the border towards one edge of the picture."""
    side = _pallu_side(rng) if rng.random() < 0.65 else None
    border = _border_sides(side or _pallu_side(rng), rng)[:1]
    span = round(stage.size * 1.3)
    plan = Plan(span, span, stage.unit, stage.unit * rng.uniform(28, 36), side, rng.uniform(0.4, 0.5), border,
                rng.uniform(1.0, 1.5))  # fmt: skip
    push = {"left": (1, 0), "right": (-1, 0), "top": (0, 1), "bottom": (0, -1)}[border[0]]
    back = 0.13 * stage.size
    x, y = stage.size / 2 + push[0] * back, stage.size / 2 + push[1] * back
    stage.lay(plan, Pose(x, y, rng.normal(0, 0.16), *_pleats(stage, rng, 0.6)))
    return f"border {border[0]}" + (f", pallu {side}" if side else "")


def _folded(stage: _Stage, rng: np.random.Generator) -> str:
    """A folded pile that shows body and border, with the pallu turned over it at one end."""
    size, middle = stage.size, stage.size / 2
    side = _pallu_side(rng)
    flat = side in ("left", "right")
    border = _border_sides(side, rng)[:1]
    width, height = round(size * rng.uniform(0.8, 0.94)), round(size * rng.uniform(0.8, 0.94))
    motif = stage.unit * rng.uniform(18, 23)
    turn = rng.normal(0, 0.09)
    pile = Plan(width, height, stage.unit, motif, border_sides=border)
    stage.lay(pile, Pose(middle, middle, turn), layers=int(rng.integers(1, 4)))
    share = rng.uniform(0.4, 0.5)
    flap_w, flap_h = (round(width * share), height) if flat else (width, round(height * share))
    plan = Plan(flap_w, flap_h, stage.unit, motif, _OPPOSITE[side], 0.97, border)
    away = (width - flap_w, height - flap_h)
    sign = {"left": (-0.5, 0), "right": (0.5, 0), "top": (0, -0.5), "bottom": (0, 0.5)}[side]
    offset = np.array([sign[0] * away[0], sign[1] * away[1]]) + rng.uniform(-1.5, 1.5, 2) * stage.unit
    cos, sin = np.cos(turn), np.sin(turn)
    x, y = middle + cos * offset[0] - sin * offset[1], middle + sin * offset[0] + cos * offset[1]
    stage.lay(plan, Pose(x, y, turn + rng.normal(0, 0.02)))
    return f"pallu {side}"


def _draped(stage: _Stage, rng: np.random.Generator) -> str:
    """Pleats with the border at the hem, and the pallu falling over them from a shoulder."""
    size, unit = stage.size, stage.unit
    plan = Plan(round(size * 1.02), round(size * rng.uniform(0.98, 1.1)), unit, unit * rng.uniform(19, 25),
                border_sides=("bottom",))  # fmt: skip
    stage.lay(plan, Pose(size / 2, size * rng.uniform(0.46, 0.5), rng.normal(0, 0.03), *_pleats(stage, rng, 1.0)))
    side = ("left", "right")[int(rng.integers(2))]
    sign = -1 if side == "left" else 1
    fall = Plan(round(size * rng.uniform(0.44, 0.54)), round(size * rng.uniform(0.92, 1.08)), unit,
                unit * rng.uniform(19, 24), "bottom", rng.uniform(0.62, 0.8), (side,), 1.1)  # fmt: skip
    pose = Pose(size * (0.5 + sign * rng.uniform(0.16, 0.26)), size * rng.uniform(0.34, 0.44),
                sign * -rng.uniform(0.08, 0.3), *_pleats(stage, rng, 0.5))  # fmt: skip
    stage.lay(fall, pose)
    return f"pallu over the {side}"


_LAYOUTS: dict[str, Callable[[_Stage, np.random.Generator], str]] = {
    "flat": _flat,
    "folded": _folded,
    "draped": _draped,
    "close-up": _close,
}


def _pallu_side(rng: np.random.Generator) -> str:
    return ("left", "right", "top", "bottom")[int(rng.integers(4))]


def _border_sides(pallu_side: str, rng: np.random.Generator) -> tuple[str, ...]:
    """Borders run along the cloth: beside the pallu's ends, never along its free edge."""
    pair = ("top", "bottom") if pallu_side in ("left", "right") else ("left", "right")
    return (pair, pair[:1], pair[1:], pair[::-1])[int(rng.integers(4))]


def _pleats(stage: _Stage, rng: np.random.Generator, depth: float) -> tuple[float, float, float, float]:
    length = stage.size * rng.uniform(0.16, 0.42)
    strength = depth * rng.uniform(0.2, 1.0)
    return 0.09 * length * strength, length, rng.uniform(0, 6.28), 0.3 * strength


# ---- geometry --------------------------------------------------------------------------------------------------------


def _maps(plan: Plan, pose: Pose, size: int) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray | None]:
    """For every image pixel its place on the cloth, and the shading of the pleats there."""
    y, x = np.mgrid[0:size, 0:size].astype(np.float32)
    cos, sin = np.float32(np.cos(pose.turn_rad)), np.float32(np.sin(pose.turn_rad))
    dx, dy = x - np.float32(pose.x - 0.5), y - np.float32(pose.y - 0.5)
    along = cos * dx + sin * dy + np.float32(plan.width / 2 - 0.5)
    across = cos * dy - sin * dx + np.float32(plan.height / 2 - 0.5)
    if not pose.pleat_px:
        return (along, across), None
    phase = along * np.float32(2 * np.pi / pose.pleat_length_px) + np.float32(pose.pleat_phase)
    shade = 1 + np.float32(pose.pleat_shade) * np.cos(phase)
    return (along + np.float32(pose.pleat_px) * np.sin(phase), across), shade


def _boxes(cloth: Cloth, pose: Pose) -> np.ndarray:
    """The boxes (x, y, w, h) of the cloth's motifs in image pixels, from the hull of each.

    Shapes: (motifs, 4) float64.
    """
    out = np.empty((len(cloth.placed), 4))
    cos, sin = np.cos(pose.turn_rad), np.sin(pose.turn_rad)
    for i, placed in enumerate(cloth.placed):
        points = hull(placed.motif, placed.flip) * placed.size + np.array([placed.x, placed.y])
        along = _unpleated(points[:, 0] - 0.5, pose) - (cloth.plan.width / 2 - 0.5)
        across = points[:, 1] - cloth.plan.height / 2
        x, y = cos * along - sin * across + pose.x, sin * along + cos * across + pose.y
        out[i] = x.min(), y.min(), x.max() - x.min(), y.max() - y.min()
    return out


def _unpleated(source: np.ndarray, pose: Pose) -> np.ndarray:
    """Solve along + pleat * sin(phase(along)) = source by fixed-point steps (the slope stays below 0.6)."""
    along = source
    if pose.pleat_px:
        for _ in range(6):
            along = source - pose.pleat_px * np.sin(2 * np.pi / pose.pleat_length_px * along + pose.pleat_phase)
    return along


def _moved(mask: np.ndarray, dx: int, dy: int) -> np.ndarray:
    """The mask moved right and down; what comes in at the edges repeats them."""
    height, width = mask.shape
    return cv2.copyMakeBorder(mask[: height - dy, : width - dx], dy, 0, dx, 0, cv2.BORDER_REPLICATE)


def _background(size: int, rng: np.random.Generator, *, bright: bool) -> np.ndarray:
    """A plain table or wall of some shade, sometimes with an edge across it; bright under a sheer cloth, whose colours
    would drown on a dark one.
    """
    base = rng.uniform(150 if bright else 40, 225) + rng.normal(0, 9, 3)
    image = np.empty((size, size, 3), np.float32)
    image[:] = base
    if rng.random() < 0.75:
        angle, offset = rng.uniform(0, 6.28), rng.uniform(-0.25, 0.25) * size
        y, x = np.mgrid[0:size, 0:size].astype(np.float32) - size / 2
        edge = np.clip((np.cos(angle) * x + np.sin(angle) * y - offset) + 0.5, 0, 1)
        other = base + rng.choice([-1, 1]) * rng.uniform(25, 70) + rng.normal(0, 6, 3)
        image += (np.clip(other, 10, 250).astype(np.float32) - image) * edge[..., None].astype(np.float32)
    return image
