"""Which true sentences can be said of a rendering, without ever naming a cluster?"""

from typing import Literal

import numpy as np

from kg.rendering.craft import load_craft
from kg.rendering.drawing import Rendering
from kg.rendering.scene import SceneObject
from kg.rendering.slots import NO_MOTIF

__all__ = ["Kind", "caption"]

Kind = Literal["attributes", "objects", "scene"]

_PREDICATE_WORDS = {
    "left of": ("to the left of", "left of"),
    "right of": ("to the right of", "right of"),
    "above": ("above", "higher than"),
    "below": ("below", "lower than"),
    "beside": ("beside", "next to"),
}


def caption(rendering: Rendering, rng: np.random.Generator, *, kind: Kind = "attributes") -> str:
    """A sentence that is true of the image. `attributes` speaks of colours, patterns and weave, `objects` of things
    alone, `scene` of where things are.
    """
    return {"attributes": _attributes, "objects": _objects, "scene": _scene}[kind](rendering, rng)


# ---- attributes ------------------------------------------------------------------------------------------------------


def _attributes(rendering: Rendering, rng: np.random.Generator) -> str:
    """Say some or all parts in random order; a part says only slots that are visible."""
    parts = [part(rendering, rng) for part in (_body_part, _border_part, _pallu_part, _weave_part, _zari_part)]
    said = [part for part in parts if part]
    order = rng.permutation(len(said)) if rng.random() < 0.35 else np.arange(len(said))
    keep = len(said) if rng.random() < 0.6 else int(rng.integers(1, len(said) + 1))
    chosen = sorted(rng.choice(len(said), keep, replace=False), key=list(order).index)
    texts = [said[i] for i in chosen]
    style = rng.integers(4)
    if style == 0:
        return "a saree with " + _listed(texts)
    if style == 1:
        return ", ".join(texts)
    if style == 2:
        return "saree: " + "; ".join(texts)
    return "a rendered saree, " + _listed(texts)


def _body_part(rendering: Rendering, rng: np.random.Generator) -> str:
    if "body" not in rendering.visible:
        return ""
    text = f"{_word(rendering, 'body_colour', rng)} {_word(rendering, 'body', rng)}"
    return _a(text + _motif_tail(rendering, "body_motif", rng))


def _border_part(rendering: Rendering, rng: np.random.Generator) -> str:
    if "border" not in rendering.visible:
        return ""
    text = f"{_word(rendering, 'border_colour', rng)} {_word(rendering, 'border', rng)}"
    if "border_width" in rendering.visible and rng.random() < 0.75:
        text = f"{_word(rendering, 'border_width', rng)} {text}"
    return _a(text)


def _pallu_part(rendering: Rendering, rng: np.random.Generator) -> str:
    if "pallu" not in rendering.visible:
        return ""
    text = f"{_word(rendering, 'pallu_colour', rng)} {_word(rendering, 'pallu', rng)}"
    return _a(text + _motif_tail(rendering, "pallu_motif", rng))


def _weave_part(rendering: Rendering, rng: np.random.Generator) -> str:
    return _word(rendering, "technique", rng)


def _zari_part(rendering: Rendering, rng: np.random.Generator) -> str:
    return _word(rendering, "zari", rng) if "zari" in rendering.visible else ""


def _motif_tail(rendering: Rendering, slot: str, rng: np.random.Generator) -> str:
    motif = rendering.look[slot]
    if slot not in rendering.visible or motif == NO_MOTIF:
        return ""
    plural = load_craft().value(slot, motif).plural
    return (f" with {plural}", f" with {motif} motifs", f" showing {plural}")[int(rng.integers(3))]


# ---- objects ---------------------------------------------------------------------------------------------------------


def _objects(rendering: Rendering, rng: np.random.Generator) -> str:
    """Names of things only: parts of the saree and motifs, without colour, pattern, weave or place."""
    names = list(dict.fromkeys(obj.name for obj in rendering.scene.objects))
    names = [names[i] for i in rng.permutation(len(names))]
    start = ("a saree with ", "a saree showing ", "saree, ", "a rendered saree with ")[int(rng.integers(4))]
    return start + _listed([_a(name) for name in names]) if names else "a saree"


# ---- scene -----------------------------------------------------------------------------------------------------------


def _scene(rendering: Rendering, rng: np.random.Generator) -> str:
    """One or two relations between named things, with their colours where they have one of their own."""
    objects = {obj.id: obj for obj in rendering.scene.objects}
    told = [r for r in rendering.scene.relations if objects[r[0]].name != objects[r[2]].name or rng.random() < 0.15]
    if not told:
        return _attributes(rendering, rng)
    count = min(len(told), 1 + int(rng.integers(2)))
    parts = []
    for i in rng.choice(len(told), count, replace=False):
        subject, predicate, target = told[i]
        words = _PREDICATE_WORDS.get(predicate, (predicate,))
        parts.append(
            f"{_thing(objects[subject], rng)} {words[int(rng.integers(len(words)))]} {_thing(objects[target], rng)}"
        )
    return ("", "a saree: ", "on a saree, ")[int(rng.integers(3))] + " and ".join(parts)


def _thing(obj: SceneObject, rng: np.random.Generator) -> str:
    """The thing with one of its attributes: "a red body", "a temple border", "a golden peacock"."""
    stated = dict(attribute.split("=") for attribute in obj.attributes)
    if "zari" in stated:
        return _a(f"{stated['zari']} {obj.name}") if rng.random() < 0.6 else _a(obj.name)
    colour = next((value for slot, value in stated.items() if slot.endswith("_colour")), None)
    return _a(f"{colour} {obj.name}") if colour and rng.random() < 0.85 else _a(obj.name)


# ---- words -----------------------------------------------------------------------------------------------------------


def _word(rendering: Rendering, slot: str, rng: np.random.Generator) -> str:
    words = load_craft().value(slot, rendering.look[slot]).words
    return words[int(rng.integers(len(words)))]


def _a(text: str) -> str:
    return f"{'an' if text[0] in 'aeiou' else 'a'} {text}"


def _listed(texts: list[str]) -> str:
    return texts[0] if len(texts) == 1 else ", ".join(texts[:-1]) + " and " + texts[-1]
