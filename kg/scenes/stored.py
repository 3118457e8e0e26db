"""Which captions does a snapshot hold, each with the scene it speaks of and all that is known of its image?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import pyarrow as pa

from kg.scenes.scene import Scene, Thing

__all__ = ["StoredCaption", "caption_mark", "stored_captions", "stored_scenes"]


class StoredCaption(NamedTuple):
    """A caption; `scene` is what was read from it, or, where nothing was, the whole image's (`whole`)."""

    image: str
    text: str
    scene: Scene
    truth: Scene
    whole: bool


class _Tables(Protocol):
    def table(self, name: str) -> pa.Table: ...


def caption_mark(text: str) -> str:
    """What the ids of things read from a caption begin with, behind their image."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def stored_captions(snapshot: _Tables) -> Iterator[StoredCaption]:
    """All captions, image by image; of an image without scene the scene is empty."""
    scenes = stored_scenes(snapshot)
    empty = Scene()
    captions = snapshot.table("captions").to_pydict()
    for image, text in zip(captions["sha256"], captions["text"], strict=True):
        truth = scenes.get(image, empty)
        mark = f"/{caption_mark(text)}-"
        own = tuple(thing for thing in truth.objects if mark in thing.id)
        if own:
            ids = {thing.id for thing in own}
            scene = Scene(own, tuple(triple for triple in truth.relations if triple[0] in ids))
        yield StoredCaption(image, text, scene if own else truth, truth, not own)


def stored_scenes(snapshot: _Tables) -> dict[str, Scene]:
    """sha256 -> everything that is known of the image, whoever saw it."""
    things: dict[str, list[Thing]] = {}
    image_of: dict[str, str] = {}
    for row in snapshot.table("scenes").to_pylist():
        image, attributes = row.pop("sha256"), tuple(row.pop("attributes") or ())
        things.setdefault(image, []).append(Thing(attributes=attributes, **row))
        image_of[row["id"]] = image
    relations: dict[str, list[tuple[str, str, str]]] = {}
    for row in snapshot.table("scene_relations").to_pylist():
        relations.setdefault(image_of[row["subject"]], []).append((row["subject"], row["predicate"], row["object"]))
    return {image: Scene(tuple(found), tuple(relations.get(image, ()))) for image, found in things.items()}
