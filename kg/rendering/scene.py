"""What is to be seen in a rendering: which objects, with which attributes, and how do they stand to each other?"""

from dataclasses import dataclass, field
from itertools import combinations

import cv2
import numpy as np

from kg.rendering.cloth import BODY, BORDER, PALLU
from kg.rendering.looks import Look
from kg.rendering.slots import NO_MOTIF
from kg.rendering.views import PIECE_STEP, View

__all__ = ["Scene", "SceneObject", "read_scene", "side_of"]

_REGIONS = {BODY: "body", BORDER: "border", PALLU: "pallu"}
_REGION_SLOTS = {
    "body": ("body_colour", "body"),
    "border": ("border_colour", "border"),
    "pallu": ("pallu_colour", "pallu"),
}
_LEAST_SHARE = {"body": 0.08, "border": 0.025, "pallu": 0.06}
"""A region smaller than this share of the image does not count as seen."""
_MOST_PAIRS = 24


@dataclass(frozen=True, slots=True)
class SceneObject:
    """One thing in the image; the box is x, y, w, h in image pixels."""

    id: str
    name: str
    x: float
    y: float
    w: float
    h: float
    attributes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scene:
    """Objects, and relations (subject id, predicate, object id)."""

    objects: tuple[SceneObject, ...]
    relations: tuple[tuple[str, str, str], ...]
    visible: frozenset[str] = field(default_factory=frozenset)

    def holds(self, subject: str, predicate: str, target: str) -> bool:
        """Does any thing named `subject` stand so to any thing named `target`? Measured on all boxes, so that a
        swapped caption can be checked to be false.
        """
        if predicate == "on":
            names = {obj.id: obj.name for obj in self.objects}
            return any((names[a], p, names[b]) == (subject, predicate, target) for a, p, b in self.relations)
        wanted = ("left of", "right of") if predicate == "beside" else (predicate,)
        firsts = [obj for obj in self.objects if obj.name == subject]
        seconds = [obj for obj in self.objects if obj.name == target]
        return any(side_of(a, b) in wanted for a in firsts for b in seconds if a is not b)


def read_scene(view: View, look: Look) -> Scene:
    """Objects, relations and visible slots of a view, from its labels: what another piece hides is not there."""
    size = view.labels.shape[0]
    regions = _region_objects(view.labels % PIECE_STEP, look)
    motifs = _motif_objects(view, size)
    names = {obj.name for obj in regions}
    visible = _visible(names, {obj.region for obj in motifs}, look, view.close)
    objects = (*regions, *(obj.scene for obj in motifs))
    relations = (*_on(regions, motifs), *_among(list(regions)), *_among([obj.scene for obj in motifs]))
    return Scene(objects, relations, visible)


def side_of(a: SceneObject, b: SceneObject) -> str | None:
    """Where `a` is as seen from `b`: left of, right of, above, below; None where it is not plain to see."""
    dx, dy = (a.x + a.w / 2) - (b.x + b.w / 2), (a.y + a.h / 2) - (b.y + b.h / 2)
    if abs(dx) >= 1.5 * abs(dy) and abs(dx) >= 0.45 * (a.w + b.w):
        return "left of" if dx < 0 else "right of"
    if abs(dy) >= 1.5 * abs(dx) and abs(dy) >= 0.45 * (a.h + b.h):
        return "above" if dy < 0 else "below"
    return None


@dataclass(frozen=True, slots=True)
class _Motif:
    scene: SceneObject
    region: str


def _region_objects(regions: np.ndarray, look: Look) -> tuple[SceneObject, ...]:
    out: list[SceneObject] = []
    for code, name in _REGIONS.items():
        mask = (regions == code).astype(np.uint8)
        if mask.mean() < _LEAST_SHARE[name]:
            continue
        boxes = _parts(mask) if name == "border" else [cv2.boundingRect(mask)]
        for i, box in enumerate(boxes, 1):
            attributes = tuple(f"{slot}={look[slot]}" for slot in _REGION_SLOTS[name])
            out.append(SceneObject(name if len(boxes) == 1 else f"{name}-{i}", name, *map(float, box), attributes))
    return tuple(out)


def _parts(mask: np.ndarray) -> list[tuple[int, ...]]:
    """Bounding boxes of a mask's separate parts, small crumbs left out."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    kept = [tuple(int(v) for v in row[:4]) for row in stats[1:] if row[4] >= 0.015 * mask.size]
    return kept or [tuple(cv2.boundingRect(mask))]


def _motif_objects(view: View, size: int) -> list[_Motif]:
    out: list[_Motif] = []
    for laid in view.laid:
        if not _in_sight(laid.box, laid.label, view.labels, size):
            continue
        placed, region = laid.placed, _REGIONS[laid.placed.region]
        box = [round(float(v), 1) for v in laid.box]
        attributes = () if placed.paint == "thread" else (f"zari={placed.paint}",)
        out.append(_Motif(SceneObject(f"motif-{len(out) + 1}", placed.motif, *box, attributes), region))
    return out


def _in_sight(box: tuple[float, ...], label: int, labels: np.ndarray, size: int) -> bool:
    """Is the box inside the image but for a tenth, and do its middle and its quarters show the piece it lies on?"""
    x, y, w, h = box
    if x < -0.1 * w or y < -0.1 * h or x + w > size + 0.1 * w or y + h > size + 0.1 * h:
        return False
    for fx, fy in ((0.5, 0.5), (0.15, 0.3), (0.85, 0.3), (0.15, 0.7), (0.85, 0.7), (0.5, 0.1), (0.5, 0.9)):
        px, py = int(np.clip(x + fx * w, 0, size - 1)), int(np.clip(y + fy * h, 0, size - 1))
        if labels[py, px] != label:
            return False
    return True


def _visible(regions: set[str], with_motif: set[str], look: Look, close: bool) -> frozenset[str]:
    seen = {"technique"}
    for name in regions:
        seen.update(_REGION_SLOTS[name])
        if name != "border" and (look[f"{name}_motif"] == NO_MOTIF or name in with_motif):
            seen.add(f"{name}_motif")
    if "border" in regions and not close:
        seen.add("border_width")
    if regions & {"border", "pallu"}:
        seen.add("zari")
    return frozenset(seen)


def _on(regions: tuple[SceneObject, ...], motifs: list[_Motif]) -> list[tuple[str, str, str]]:
    known = {obj.id for obj in regions}
    return [(motif.scene.id, "on", motif.region) for motif in motifs if motif.region in known]


def _among(objects: list[SceneObject]) -> list[tuple[str, str, str]]:
    """Where each stands from its neighbours, both ways round; the nearest pairs first."""
    pairs = sorted(combinations(objects, 2), key=lambda pair: _distance(*pair))
    out: list[tuple[str, str, str]] = []
    for a, b in pairs:
        if len(out) >= _MOST_PAIRS:
            break
        if side := side_of(a, b):
            out += [(a.id, side, b.id), (b.id, _OTHER_WAY[side], a.id)]
            if side in ("left of", "right of"):
                out.append((a.id, "beside", b.id))
    return out


_OTHER_WAY = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}


def _distance(a: SceneObject, b: SceneObject) -> float:
    return abs(a.x + a.w / 2 - b.x - b.w / 2) + abs(a.y + a.h / 2 - b.y - b.h / 2)
