"""How is an explanation shown to somebody who has never seen a heat map?"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kg.errors import KorvaiError
from kg.store import Store, atomic_write, open_image
from training.explain.pictures import LEGEND, overlay, plain
from training.explain.wording import Finding
from training.pages import inline_image, page_template

if TYPE_CHECKING:
    from PIL import Image

    from training.explain.answering import Subject
    from training.explain.explaining import Explainer, Reasons

__all__ = ["write_page"]

_FOR, _AGAINST, _OF_THE_RIVAL, _CLASSES = 7, 4, 3, 4
_THUMBNAIL_PX = 200
_WORDS = ((0.9, "almost certain"), (0.7, "fairly sure"), (0.4, "not sure"), (0.0, "mostly guessing"))


@dataclass(frozen=True)
class _Bar:
    """One line of the evidence."""

    says: str
    source: str
    weight: float
    share: float
    """Of the strongest one, 0..1."""


def write_page(path: Path, subject: Subject, reasons: Reasons, explainer: Explainer, *, store: Store) -> Path:
    """Write one self-contained HTML page; returns its path.

    Raises: StoreError.
    """
    best = reasons.ranking[0]
    speaking = [f for f in reasons.findings if f.weight > 0]
    opposing = [f for f in reversed(reasons.findings) if f.weight < 0]
    strongest = max((abs(f.weight) for f in reasons.findings), default=1.0) or 1.0
    page = page_template("explanation.html", percent=_percent).render(
        subject=subject.item or subject.name,
        reasons=reasons,
        best=best,
        is_best=best[0] == reasons.class_key,
        how_sure=next(words for least, words in _WORDS if reasons.probability >= least),
        picture=_inline(plain(subject.picture)),
        overlay=_inline(overlay(subject.picture, reasons.heat, reasons.box)),
        cropped=max(reasons.box[0], reasons.box[1], 1 - reasons.box[2], 1 - reasons.box[3]) > 0.02,
        flat=float(reasons.heat.max()) == 0,
        legend=", ".join(f"rgb{colour}" for colour in LEGEND),
        speaking=_bars(speaking[:_FOR], strongest),
        opposing=_bars(opposing[:_AGAINST], strongest),
        left_out=max(0, len(speaking) - _FOR) + max(0, len(opposing) - _AGAINST),
        like=_thumbnails(reasons, explainer, store),
        item=explainer.recipe.item_edge[0].lower(),
        own=subject.item is not None and _is_linked(subject.item, reasons),
        rival=next(((key, p) for key, p in reasons.ranking if key == reasons.rival), None),
        rival_missing=_bars(
            [f for f in reversed(reasons.rival_findings) if f.weight < 0 and f.visible][:_OF_THE_RIVAL], strongest
        ),
        classes=reasons.ranking[:_CLASSES],
        version=explainer.version,
        embedding_set=explainer.embedding_set,
    )
    with atomic_write(path) as file:
        file.write(page.encode())
    return path


def _bars(findings: list[Finding], strongest: float) -> list[_Bar]:
    return [_Bar(f.says, f.source, f.weight, abs(f.weight) / strongest) for f in findings]


def _is_linked(item: str, reasons: Reasons) -> bool:
    return any(f.unit.is_items and item in f.unit.keys for f in reasons.findings)


def _thumbnails(reasons: Reasons, explainer: Explainer, store: Store) -> list[tuple[str, str]]:
    """Pictures of the linked items that look most like this one; those that cannot be read are left out."""
    snapshot, label = explainer.snapshot, explainer.recipe.item_edge[0]
    keys = [str(key) for key in snapshot.keys(label)]
    item_row, image_row = snapshot.item_images
    first = dict(zip(reversed(item_row.tolist()), reversed(image_row.tolist()), strict=True))
    found = []
    for likeness in reasons.like:
        row = first.get(keys.index(likeness.key))
        if row is None:
            continue
        try:
            image = plain(open_image(store.path(snapshot.images.uri[row])))
        except KorvaiError:
            continue
        image.thumbnail((_THUMBNAIL_PX, _THUMBNAIL_PX))
        found.append((likeness.key, _inline(image)))
    return found


def _inline(image: Image.Image) -> str:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=88)
    return inline_image(out.getvalue(), "jpeg")


def _percent(value: float) -> str:
    return f"{100 * value:.0f}\u2009%"
