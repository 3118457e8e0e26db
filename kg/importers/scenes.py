"""How do captions and scene graphs of images get into the graph?

    (:Image)-[:HAS_CAPTION]->(:Caption {id, text, kind, source})
    (:Image)-[:DEPICTS]->(:SceneObject {id, name, x, y, w, h})-[:HAS_ATTRIBUTE]->(:Attribute {key, slot, name})
    (:SceneObject)-[:RELATION {predicate}]->(:SceneObject)

Boxes are in image pixels, where somebody has measured them. A SceneObject's `source` says who saw it: the renderer, an
annotation file, or a parser that read a caption. An Attribute is shared by all objects that have it; its key is
`slot=value`, or the bare value.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from kg.importers.tables import Importer, NodeRow, RelationRow

__all__ = ["SceneRow", "import_scenes"]


class _Object(Protocol):
    id: str
    name: str
    x: float | None
    y: float | None
    w: float | None
    h: float | None
    attributes: Sequence[str]


class _Scene(Protocol):
    objects: Sequence[_Object]
    relations: Sequence[tuple[str, str, str]]


class SceneRow(NamedTuple):
    """What one image shows: captions as (kind, text), and its scene, whose ids are unique within the image.

    Of several captions of one kind, each has a kind of its own: `written-<anything>`.
    """

    sha256: str
    captions: Sequence[tuple[str, str]]
    scene: _Scene
    source: str


def import_scenes(importer: Importer, rows: Sequence[SceneRow]) -> None:
    """Write captions and scenes of images that the graph has."""
    importer.nodes("Caption", _captions(rows), quiet=True, repeats=True)
    importer.relations(("Image", "HAS_CAPTION", "Caption"), _has_caption(rows), quiet=True)
    importer.nodes("SceneObject", _objects(rows), quiet=True, repeats=True)
    importer.relations(("Image", "DEPICTS", "SceneObject"), _depicts(rows), quiet=True)
    importer.nodes("Attribute", _attributes(rows), quiet=True, repeats=True)
    importer.relations(("SceneObject", "HAS_ATTRIBUTE", "Attribute"), _has_attribute(rows), quiet=True)
    importer.relations(("SceneObject", "RELATION", "SceneObject"), _relations(rows), quiet=True)


def _id(row: SceneRow, part: str) -> str:
    return f"{row.sha256[:24]}/{part}"


def _captions(rows: Sequence[SceneRow]) -> Iterator[NodeRow]:
    for row in rows:
        for kind, text in row.captions:
            yield NodeRow(_id(row, kind), {"text": text, "kind": kind.partition("-")[0], "source": row.source})


def _has_caption(rows: Sequence[SceneRow]) -> Iterator[RelationRow]:
    return (RelationRow(row.sha256, _id(row, kind)) for row in rows for kind, _ in row.captions)


def _objects(rows: Sequence[SceneRow]) -> Iterator[NodeRow]:
    for row in rows:
        for thing in row.scene.objects:
            box = {side: value if value is None else float(value) for side, value in _box(thing)}
            yield NodeRow(_id(row, thing.id), {"name": thing.name, "source": row.source, **box})


def _box(thing: _Object) -> Iterator[tuple[str, float | None]]:
    return ((side, getattr(thing, side)) for side in "xywh")


def _depicts(rows: Sequence[SceneRow]) -> Iterator[RelationRow]:
    return (RelationRow(row.sha256, _id(row, thing.id)) for row in rows for thing in row.scene.objects)


def _attributes(rows: Sequence[SceneRow]) -> Iterator[NodeRow]:
    for key in dict.fromkeys(key for row in rows for thing in row.scene.objects for key in thing.attributes):
        slot, _, value = key.rpartition("=")
        yield NodeRow(key, {"name": value, "slot": slot})


def _has_attribute(rows: Sequence[SceneRow]) -> Iterator[RelationRow]:
    for row in rows:
        for thing in row.scene.objects:
            yield from (RelationRow(_id(row, thing.id), key) for key in thing.attributes)


def _relations(rows: Sequence[SceneRow]) -> Iterator[RelationRow]:
    for row in rows:
        for subject, predicate, target in row.scene.relations:
            yield RelationRow(_id(row, subject), _id(row, target), {"predicate": predicate})
