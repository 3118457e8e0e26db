"""How do captions that people wrote, and scene graphs that people drew, get onto the images of a graph?

Captions: a CSV with the columns `image` (an item's key or an image's sha256) and `caption`; each is parsed into a scene
of its own. Scenes: a file in Visual Genome's layout.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from cypher import load
from kg.graph import Graph
from kg.importers.csv_reading import Record, read_table
from kg.importers.report import ImportReport
from kg.importers.scenes import SceneRow, import_scenes
from kg.importers.tables import Importer, Where, importing
from kg.importers.values import in_batches
from kg.progress import Reporter
from kg.scenes.parsing import DEFAULT_MODEL, parse_captions
from kg.scenes.scene import Scene, Thing
from kg.scenes.stored import caption_mark
from kg.scenes.visual_genome import read_visual_genome
from kg.schema import Domain
from kg.store import Store

__all__ = ["import_annotated_scenes", "import_captions"]

_A_BATCH = 1_000


class _Found(NamedTuple):
    image: str
    captions: tuple[tuple[str, str], ...]
    scene: Scene
    where: Where


def import_captions(
    graph: Graph,
    store: Store,
    domain: Domain,
    file: Path,
    *,
    reporter: Reporter,
    source: str = "caption",
    model: str = DEFAULT_MODEL,
    parse: bool = True,
    delimiter: str = ",",
    dry_run: bool = False,
) -> ImportReport:
    """Captions onto images that the graph has, and with `parse` the scene that each speaks of.

    A caption that cannot be parsed is kept as text and reported with the reason; an empty one is only reported.
    Raises: SchemaViolation (no such file or column), EncoderError (no parser), StoreError, GraphUnavailable.
    """
    form = {"domain": domain, "kind": "captions", "source": str(file), "reporter": reporter, "dry_run": dry_run}
    with importing(graph, store, **form) as importer:
        rows = read_table(Path(file), importer.problem, needed=("image", "caption"), delimiter=delimiter)
        with reporter.stage("captions", None, "captions") as advance:
            for batch in in_batches(rows, _A_BATCH):
                _write(importer, _captioned(importer, batch, model=model if parse else ""), source)
                advance(len(batch))
    return importer.report


def import_annotated_scenes(
    graph: Graph,
    store: Store,
    domain: Domain,
    file: Path,
    *,
    reporter: Reporter,
    source: str = "annotation",
    dry_run: bool = False,
) -> ImportReport:
    """Scene graphs of a file in Visual Genome's layout onto images that the graph has.

    Raises: SchemaViolation (no such file, not a JSON list), StoreError, GraphUnavailable.
    """
    form = {"domain": domain, "kind": "scenes", "source": str(file), "reporter": reporter, "dry_run": dry_run}
    with importing(graph, store, **form) as importer, reporter.stage("scenes", None, "images") as advance:
        for batch in in_batches(_annotated(importer, Path(file)), _A_BATCH):
            _write(importer, batch, source)
            advance(len(batch))
    return importer.report


def _captioned(importer: Importer, records: list[Record], *, model: str) -> Iterator[_Found]:
    texts = [record.cells["caption"] for record in records]
    scenes = [(answer.scene, answer.why) for answer in parse_captions(texts, model=model)] if model else None
    for n, (record, text) in enumerate(zip(records, texts, strict=True)):
        scene, why = scenes[n] if scenes else (Scene(), "" if text else "empty")
        if why:
            importer.problem(record.where, f"caption {text[:40]!r}: not parsed: {why}")
        if text:
            mark = caption_mark(text)
            yield _Found(record.cells["image"], ((f"written-{mark}", text),), _marked(scene, mark), record.where)


def _annotated(importer: Importer, file: Path) -> Iterator[_Found]:
    for place, image, scene, left_out in read_visual_genome(file):
        where = Where(str(file), place + 1)
        for reason, count in left_out.items():
            importer.problem(where, f"image {image!r}: {reason}" + (f" ({count} times)" if count > 1 else ""))
        if image:
            yield _Found(image, (), _marked(scene, "vg"), where)


def _marked(scene: Scene, mark: str) -> Scene:
    """Ids that no other caption of the image has."""
    things = (Thing(f"{mark}-{t.id}", t.name, t.attributes, t.x, t.y, t.w, t.h) for t in scene.objects)
    return Scene(tuple(things), tuple((f"{mark}-{s}", p, f"{mark}-{o}") for s, p, o in scene.relations))


def _write(importer: Importer, found: Iterable[_Found], source: str) -> None:
    found = list(found)
    item = importer.domain.item
    statement = load("scenes/find_images").fill(item=item, item_key=importer.domain.node_type(item).key)
    names = sorted({one.image for one in found})
    images = {row["name"]: row["image"] for row in importer.graph.run(statement, names=names)}
    for one in found:
        if one.image not in images:
            importer.problem(one.where, f"image {one.image[:60]!r}: no item or image of the graph is called so")
    import_scenes(
        importer,
        [SceneRow(images[one.image], one.captions, one.scene, source) for one in found if one.image in images],
    )
