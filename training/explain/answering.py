"""How does one question, "why this class?", become a picture, a page, and a node in the graph?"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from kg.errors import NodeNotFound
from kg.explanations import Explanation, explanation_id, write_explanation
from kg.graph import Graph
from kg.progress import Reporter, SilentReporter
from kg.schema import Domain, load_domain
from kg.settings import Settings
from kg.statements import statement_for
from kg.store import Store, atomic_write, open_image
from training.explain.explaining import Explainer, Reasons, as_explanation, difference_from_graph, open_published
from training.explain.page import write_page
from training.explain.pictures import as_png, overlay

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Answer", "Subject", "explain", "find_subject"]

_TOLERATED = 0.01
"""Difference of probabilities from those in the graph that is worth telling: the snapshot is another one."""


@dataclass(frozen=True)
class Subject:
    """The picture that is asked about."""

    name: str
    picture: Image.Image
    image: str
    """sha256 of its file."""
    in_graph: bool
    item: str | None = None


@dataclass(frozen=True)
class Answer:
    """What was found, and where it lies."""

    subject: Subject
    reasons: Reasons
    explanation: Explanation
    kept: bool
    """Whether the graph holds it: only images of the graph have explanations there."""
    files: dict[str, Path] = field(default_factory=dict)


def explain(
    graph: Graph,
    settings: Settings,
    image: str,
    *,
    domain: Domain | str,
    task: str | None = None,
    class_key: str | None = None,
    out: Path | None = None,
    html: bool = False,
    explainer: Explainer | None = None,
    reporter: Reporter | None = None,
) -> Answer:
    """Explain an image file, or an image of the graph by its sha256 or its item's key; its likeliest class by default.

    An image of the graph gets an `Explanation` there, the map lies in the store; `out` gets copies, `html` a page too.
    Raises: NodeNotFound (no such image, class, or published set), UnreadableMedia, StoreError, EncoderError.
    """
    reporter, store = reporter or SilentReporter(), Store(settings.store_dir)
    domain = load_domain(domain) if isinstance(domain, str) else domain
    subject = find_subject(graph, store, domain, image)
    explainer = explainer or open_published(graph, settings, domain, task, reporter=reporter)
    with reporter.stage("explaining", 1, "images") as advance:
        reasons = explainer.explain(subject.picture, class_key, item=subject.item)
        advance()
    map_png = as_png(overlay(subject.picture, reasons.heat, reasons.box))
    uri = None
    if subject.in_graph:
        _tell_difference(explainer, reasons, graph, domain, task, subject, reporter)
        uri = _keep_map(store, explanation_id(subject.image, reasons.class_key, explainer.embedding_set), map_png)
    explanation = as_explanation(explainer, reasons, subject.image, heat_map_uri=uri)
    if subject.in_graph:
        write_explanation(graph, domain, task, explanation)
    files = _write_files(out, subject, reasons, explainer, map_png, store, html=html) if out or html else {}
    return Answer(subject, reasons, explanation, subject.in_graph, files)


def find_subject(graph: Graph, store: Store, domain: Domain, name: str) -> Subject:
    """The picture that a name means: a file first, then an image's sha256, then an item's key.

    Raises: NodeNotFound, UnreadableMedia.
    """
    if (path := Path(name)).is_file():
        data = path.read_bytes()
        sha256 = hashlib.sha256(data).hexdigest()
        row = graph.one(statement_for(graph, "explanations/find_image", domain), name=sha256)
        return Subject(path.stem, open_image(data), sha256, row is not None, row["item"] if row else None)
    row = graph.one(statement_for(graph, "explanations/find_image", domain), name=name)
    if row is None:
        raise NodeNotFound(
            f"explaining {name!r}: no such file, and no image or {domain.item} of the graph with that sha256 or key; "
            "check the spelling"
        )
    return Subject(row["item"] or name, open_image(store.path(row["uri"])), row["image"], True, row["item"])


def _tell_difference(
    explainer: Explainer,
    reasons: Reasons,
    graph: Graph,
    domain: Domain,
    task: str | None,
    subject: Subject,
    reporter: Reporter,
) -> None:
    try:
        difference = difference_from_graph(reasons, graph, domain=domain, task=task, image=subject.image)
    except NodeNotFound:
        reporter.warn(f"image {subject.image[:16]}: the active version has no vector of it yet; run `korvai refresh`")
        return
    if difference > _TOLERATED:
        reporter.warn(
            f"the graph's own probabilities differ by up to {difference:.2f}: it changed since set "
            f"{explainer.embedding_set} was computed; run `korvai refresh`"
        )


def _keep_map(store: Store, name: str, png: bytes) -> str:
    uri = f"explanations/{name[:2]}/{name}.png"
    path = store.path(uri)
    if not path.is_file() or path.read_bytes() != png:
        with atomic_write(path) as file:
            file.write(png)
    return uri


def _write_files(
    out: Path | None,
    subject: Subject,
    reasons: Reasons,
    explainer: Explainer,
    map_png: bytes,
    store: Store,
    *,
    html: bool,
) -> dict[str, Path]:
    folder = out or Path()
    stem = re.sub(r"[^\w.-]+", "_", f"{subject.name[:80]}-{reasons.class_key}")
    files = {"map": folder / f"{stem}.png"}
    with atomic_write(files["map"]) as file:
        file.write(map_png)
    if html:
        files["page"] = write_page(folder / f"{stem}.html", subject, reasons, explainer, store=store)
    return files
