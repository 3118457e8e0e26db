"""What does an annotation file in Visual Genome's layout say of each image?

`scene_graphs.json`: a list of {image_id, objects: [{object_id, names | name, x, y, w, h, attributes}], relationships:
[{predicate, subject_id, object_id}]}. Real files hold empty names, repeated objects and relations to nothing: each is
counted by its reason, and the rest of the image is taken.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kg.errors import SchemaViolation
from kg.scenes.scene import Scene, Thing

__all__ = ["read_visual_genome"]


def read_visual_genome(path: Path) -> Iterator[tuple[int, str, Scene, Counter[str]]]:
    """(place in the file, image, scene, what was left out and how often) of each entry.

    `image` is the entry's `image` where it has one (an item's key or a sha256), else its `image_id`; "" for an entry
    that cannot be read at all.
    Raises: SchemaViolation (no such file, not a JSON list).
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SchemaViolation(f"{path}: cannot be read as JSON ({error}); give Visual Genome's scene graphs") from error
    if not isinstance(entries, list):
        raise SchemaViolation(f"{path}: holds a {type(entries).__name__}; Visual Genome's scene graphs are a list")
    for place, entry in enumerate(entries):
        image = entry.get("image", entry.get("image_id")) if isinstance(entry, Mapping) else None
        if image is None or not isinstance(entry.get("objects"), list):
            yield place, "", Scene(), Counter({"entry without image or objects": 1})
            continue
        left_out: Counter[str] = Counter()
        yield place, str(image), _scene(entry, left_out), left_out


def _scene(entry: Mapping[str, Any], left_out: Counter[str]) -> Scene:
    things: dict[str, Thing] = {}
    for raw in entry["objects"]:
        thing = _thing(raw, left_out)
        if thing is None:
            left_out["object without id or name"] += 1
        elif thing.id in things:
            left_out["object id twice"] += 1
        else:
            things[thing.id] = thing
    relations: dict[tuple[str, str, str], None] = {}
    for raw in _listed(entry, "relationships", left_out):
        triple = _triple(raw)
        if not triple or triple[0] not in things or triple[2] not in things:
            left_out["relation without predicate or to no object"] += 1
        elif triple in relations:
            left_out["relation twice"] += 1
        else:
            relations[triple] = None
    return Scene(tuple(things.values()), tuple(relations))


def _listed(raw: Mapping[str, Any], name: str, left_out: Counter[str]) -> list[Any]:
    """What should be a list, or is missing; anything else is counted."""
    found = raw.get(name)
    if found is None or isinstance(found, list):
        return found or []
    left_out[f"{name} that are no list"] += 1
    return []


def _thing(raw: Any, left_out: Counter[str]) -> Thing | None:
    if not isinstance(raw, Mapping) or raw.get("object_id") is None:
        return None
    names = raw.get("names") or [raw.get("name")]
    name = _words(names[0]) if isinstance(names, list) else ""
    if not name:
        return None
    stated = [*filter(None, map(_words, _listed(raw, "attributes", left_out)))]
    attributes = dict.fromkeys(stated)
    if twice := len(stated) - len(attributes):
        left_out["attribute twice"] += twice
    box = [_number(raw.get(side)) for side in ("x", "y", "w", "h")]
    return Thing(str(raw["object_id"]), name, tuple(attributes), *box)


def _triple(raw: Any) -> tuple[str, str, str] | None:
    if not isinstance(raw, Mapping):
        return None
    subject, predicate, target = raw.get("subject_id"), _words(raw.get("predicate")), raw.get("object_id")
    return (str(subject), predicate, str(target)) if predicate and None not in (subject, target) else None


def _words(value: Any) -> str:
    return " ".join(value.lower().split()) if isinstance(value, str) else ""


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
