"""How does the saree craft graph come about: facts, rendered sarees with their scenes, photographs of one's own?"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from multiprocessing import current_process
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from kg.errors import SchemaViolation
from kg.graph import Graph
from kg.importers.art_names import slug
from kg.importers.images import ImageRow, import_images, is_image
from kg.importers.report import ImportReport
from kg.importers.scenes import SceneRow, import_scenes
from kg.importers.tables import Importer, NodeRow, RelationRow, Where, importing
from kg.importers.values import in_batches
from kg.progress import Reporter
from kg.rendering.craft import load_craft
from kg.rendering.drawing import RENDERER_VERSION, Job, Rendering, render_job, render_many
from kg.schema import Domain, load_domain
from kg.store import Store

__all__ = ["import_saree", "rendering_job", "rendering_name"]

_A_BATCH = 200
"""Renderings written at once; a killed import has lost at most so many."""
_JPEG_QUALITY = 92
_CAPTION_KINDS = ("attributes", "scene")
_INDICES_A_CLUSTER = 10_000
_ALONE = 64
"""Fewer renderings than this are drawn in this process: starting others takes longer."""


class Wanted(NamedTuple):
    """A rendering to make."""

    name: str
    cluster: str
    job: Job


def import_saree(
    graph: Graph,
    store: Store,
    *,
    per_cluster: int = 60,
    rng_range: str = "train",
    images_dir: Path | None = None,
    clusters: Sequence[str] | None = None,
    left_out: Sequence[str] = (),
    size_px: int = 224,
    workers: int = 2,
    reporter: Reporter,
    dry_run: bool = False,
    over_edits: bool = False,
) -> ImportReport:
    """Import the craft's facts, `per_cluster` renderings of each cluster (0: facts only), and photographs.

    `left_out` clusters get no class node, and their sarees, imported all the same, belong to none.
    Photographs are `images_dir`/<cluster>/*. A second run renders and writes nothing; a larger `per_cluster` adds what
    is missing.
    Raises: SchemaViolation (unknown cluster, no such folder), SettingsError (unknown range), MediaError (a size that
    cannot be drawn), StoreError, GraphUnavailable.
    """
    domain, source = load_domain("saree"), f"{per_cluster} renderings a cluster of {rng_range!r}"
    chosen = _chosen(domain, clusters)
    if not 0 <= per_cluster < _INDICES_A_CLUSTER:
        raise SchemaViolation(f"import saree: {per_cluster} renderings a cluster; choose 0..{_INDICES_A_CLUSTER - 1}")
    if images_dir is not None and not Path(images_dir).is_dir():
        raise SchemaViolation(f"import saree: --images {images_dir} is not a folder; it holds one folder a cluster")
    if per_cluster and chosen:
        render_job(rendering_job(chosen[0], 1, rng_range=rng_range, size_px=size_px))  # says now what cannot be drawn
    form = {"kind": "saree", "source": source, "reporter": reporter, "dry_run": dry_run}
    with importing(graph, store, domain=domain, over_edits=over_edits, **form) as importer:
        _import_facts(importer, left_out)
        wanted = _wanted(importer, chosen, per_cluster=per_cluster, rng_range=rng_range, size_px=size_px)
        if dry_run:
            importer.report.created[domain.item] += len(wanted)
        elif wanted:
            _import_renderings(importer, wanted, left_out=left_out, workers=workers)
        if images_dir is not None:
            _import_photographs(importer, Path(images_dir))
    return importer.report


def rendering_name(cluster: str, number: int, *, rng_range: str = "train") -> str:
    """The key of a rendered saree: `rendered-kanchipuram-0001`, with the range in it where it is not `train`."""
    middle = slug(cluster) if rng_range == "train" else f"{slug(cluster)}-{rng_range.replace('_', '-')}"
    return f"rendered-{middle}-{number:04d}"


def rendering_job(cluster: str, number: int, *, rng_range: str = "train", size_px: int = 224) -> Job:
    """What `rendering_name` shows. Its seed depends on the cluster's name and the number, not on other clusters."""
    digest = int.from_bytes(hashlib.sha256(cluster.encode()).digest()[:8], "big")
    index = digest % 10_000 * _INDICES_A_CLUSTER + number
    return Job(rng_range, index, cluster, size_px)


def _chosen(domain: Domain, clusters: Sequence[str] | None) -> list[str]:
    known = list(load_craft().looks)
    if clusters is None:
        return known
    found = [_cluster(domain, name, known) for name in clusters]
    if None in found:
        unknown = clusters[found.index(None)]
        raise SchemaViolation(f"import saree: no cluster {unknown!r} can be rendered; choose from {', '.join(known)}")
    return [name for name in found if name]


def _cluster(domain: Domain, spelling: str, known: Sequence[str]) -> str | None:
    _, _, target = domain.task_edge_type("cluster" if len(domain.tasks) > 1 else None)
    by_slug = {slug(alias): name for name in known for alias in load_craft().facts[name].aliases}
    by_slug |= {slug(name): name for name in known}
    return by_slug.get(slug(domain.canonical(target, spelling)), by_slug.get(slug(spelling)))


# -- facts -------------------------------------------------------------------------------------------------------------


def _import_facts(importer: Importer, left_out: Sequence[str]) -> None:
    craft, where = load_craft(), Where("data/saree")
    nodes: dict[str, list[NodeRow]] = {}
    for label, properties in craft.nodes():
        key = properties[importer.domain.node_type(label).key]
        if label == "Cluster" and key in left_out:
            continue
        # What ships never overwrites what a curator has written.
        nodes.setdefault(label, []).append(NodeRow(key, {}, where, defaults=properties))
    relations: dict[tuple[str, str, str], list[RelationRow]] = {}
    for source_label, source, kind, target_label, target, properties in craft.relations():
        if source_label == "Cluster" and source in left_out:
            continue
        row = RelationRow(source, target, properties, where)
        relations.setdefault((source_label, kind, target_label), []).append(row)
    total = sum(map(len, nodes.values())) + sum(map(len, relations.values()))
    with importer.reporter.stage("craft facts", total, "rows") as advance:
        for label, rows in nodes.items():
            importer.nodes(label, rows, quiet=True)
            advance(len(rows))
        for edge_type, pairs in relations.items():
            importer.relations(edge_type, pairs, quiet=True)
            advance(len(pairs))


# -- renderings --------------------------------------------------------------------------------------------------------


def _wanted(importer: Importer, clusters: list[str], *, per_cluster: int, rng_range: str, size_px: int) -> list[Wanted]:
    """The renderings that the graph does not have yet; one has its image only when all else of it is there."""
    form: dict[str, Any] = {"rng_range": rng_range}
    everything = [
        Wanted(rendering_name(c, n, **form), c, rendering_job(c, n, size_px=size_px, **form))
        for n in range(1, per_cluster + 1)
        for c in clusters
    ]
    there = importer.with_image(wanted.name for wanted in everything)
    importer.report.unchanged[importer.domain.item] += len(there)
    return [wanted for wanted in everything if wanted.name not in there]


def _import_renderings(importer: Importer, wanted: list[Wanted], *, left_out: Sequence[str], workers: int) -> None:
    alone = len(wanted) <= _ALONE or current_process().daemon  # a worker's process may not start others
    drawn = render_many((w.job for w in wanted), workers=1 if alone else workers)
    pairs = zip(wanted, drawn, strict=True)
    with importer.reporter.stage("weaving rendered sarees", len(wanted), "images") as advance:
        for batch in in_batches(_advancing(pairs, advance), _A_BATCH):
            _write_renderings(importer, batch, left_out)


def _advancing(pairs: Iterator[tuple[Wanted, Rendering]], advance: Any) -> Iterator[tuple[Wanted, Rendering]]:
    for pair in pairs:
        yield pair
        advance()


def _write_renderings(importer: Importer, batch: list[tuple[Wanted, Rendering]], left_out: Sequence[str]) -> None:
    """Files first, so that a full disk leaves no saree without its picture; then items and scenes, and HAS_IMAGE last:
    what a killed import left half-made is made again by the next one.
    """
    pictures = [_jpeg(rendering.image) for _, rendering in batch]
    for picture in pictures:
        importer.store.put_image(picture)
    item, relation, target = importer.domain.task_edge_type("cluster" if len(importer.domain.tasks) > 1 else None)
    importer.nodes(item, [NodeRow(w.name, _item_properties(w, r)) for w, r in batch], quiet=True)
    belonging = [RelationRow(w.name, w.cluster) for w, _ in batch if w.cluster not in left_out]
    importer.relations((item, relation, target), belonging, quiet=True)
    scenes = [_scene_row(picture, w, rendering) for picture, (w, rendering) in zip(pictures, batch, strict=True)]
    split = "test" if batch[0][0].job.range_name == "test" else None
    rows = [ImageRow(w.name, picture, split) for picture, (w, _) in zip(pictures, batch, strict=True)]
    import_images(importer, rows, quiet=True, before_hanging=lambda _: import_scenes(importer, scenes))


def _item_properties(wanted: Wanted, rendering: Rendering) -> dict[str, Any]:
    job = wanted.job
    return {
        "rendered": True,
        "renderer": RENDERER_VERSION,
        "seed": f"{job.range_name}:{job.index}",
        "look": json.dumps(rendering.look.as_dict(), ensure_ascii=False),
    }


def _scene_row(picture: bytes, wanted: Wanted, rendering: Rendering) -> SceneRow:
    from kg.rendering.captions import caption

    rng = np.random.default_rng(wanted.job.index)
    captions = tuple((kind, caption(rendering, rng, kind=kind)) for kind in _CAPTION_KINDS)
    return SceneRow(hashlib.sha256(picture).hexdigest(), captions, rendering.scene, source="renderer")


def _jpeg(image: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(image).save(out, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    return out.getvalue()


# -- photographs -------------------------------------------------------------------------------------------------------


def _import_photographs(importer: Importer, folder: Path) -> None:
    """DIR/<cluster>/*: one saree a file; a file that cannot be read makes no saree."""
    item, relation, target = importer.domain.task_edge_type("cluster" if len(importer.domain.tasks) > 1 else None)
    known = [node["name"] for label, node in load_craft().nodes() if label == target]
    rows: list[ImageRow] = []
    pairs: list[RelationRow] = []
    for path in sorted(folder.glob("*/*")):
        where = Where(str(path))
        cluster = _cluster(importer.domain, path.parent.name, known)
        if not is_image(path):
            continue
        if cluster is None:
            importer.problem(where, f"no cluster {path.parent.name!r}; name the folder after one of {', '.join(known)}")
            continue
        name = f"photograph-{slug(cluster)}-{path.name}"
        rows.append(ImageRow(name, path, where=where))
        pairs.append(RelationRow(name, cluster, {}, where))

    def make_items(readable: set[str]) -> None:
        good = [pair for pair in pairs if pair.source in readable]
        importer.nodes(item, [NodeRow(p.source, {"rendered": False}, p.where) for p in good], quiet=True)
        importer.relations((item, relation, target), good, quiet=True)

    import_images(importer, rows, total=len(rows), before_hanging=make_items)
