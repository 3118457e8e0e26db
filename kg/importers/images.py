"""How do pictures on disk become images of items: stored by content, named in the graph, bad ones skipped by name?"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from kg.errors import UnreadableMedia
from kg.importers.tables import Importer, NodeRow, RelationRow, Where
from kg.importers.values import in_batches
from kg.progress import SilentReporter
from kg.store import StoredImage

__all__ = ["IMAGE_SUFFIXES", "ImageRow", "import_images", "is_image"]

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".gif", ".bmp"})

_A_BATCH = 1_000
_THREADS = 4
"""Decoding and hashing release the interpreter's lock; more threads than this only wait for the disk."""


class ImageRow(NamedTuple):
    """One picture of an item: a path or the bytes of a file."""

    item: str
    source: Path | bytes
    split: str | None = None
    sha1: str = ""
    where: Where = Where()


def import_images(
    importer: Importer,
    rows: Iterable[ImageRow],
    *,
    total: int | None = None,
    before_hanging: Callable[[set[str]], None] | None = None,
    quiet: bool = False,
) -> dict[str, str]:
    """Store pictures, make their Image nodes and hang them on their items; returns item key -> sha256.

    `before_hanging` gets the keys of items with a readable picture, after their Image nodes and before HAS_IMAGE.
    Unreadable pictures are problems; their items stay without an image.
    Raises: StoreError (read-only or full store).
    """
    found: dict[str, str] = {}
    reporter = SilentReporter() if quiet else importer.reporter
    with reporter.stage("images", total, "images") as advance, ThreadPoolExecutor(_THREADS) as pool:
        for batch in in_batches(rows, _A_BATCH):
            stored: list[tuple[ImageRow, StoredImage]] = []
            for row, image in zip(batch, pool.map(lambda r: _store(importer, r), batch), strict=True):
                if isinstance(image, UnreadableMedia):
                    importer.problem(row.where, str(image))
                else:
                    stored.append((row, image))
                advance()
            _write_images(importer, stored)
            if before_hanging is not None:
                before_hanging({row.item for row, _ in stored})
            _hang(importer, stored)
            found.update((row.item, image.sha256) for row, image in stored)
    return found


def is_image(path: Path) -> bool:
    """Whether a file's name says that it is a picture; hidden files never are."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def _store(importer: Importer, row: ImageRow) -> StoredImage | UnreadableMedia:
    try:
        if row.sha1 and isinstance(row.source, Path) and row.source.is_file():
            _check_sha1(row.source, row.sha1)
        store = importer.store
        return store.inspect_image(row.source) if importer.dry_run else store.put_image(row.source)
    except UnreadableMedia as error:
        return error


def _check_sha1(path: Path, expected: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha1").hexdigest()
    if found != expected.lower():
        raise UnreadableMedia(
            f"{path}: its sha1 is {found[:12]}…, the table says {expected[:12]}…; fetch the file again"
        )


def _write_images(importer: Importer, stored: list[tuple[ImageRow, StoredImage]]) -> None:
    nodes = []
    for row, image in stored:
        about = {"uri": image.uri, "width": image.width, "height": image.height, "split": row.split}
        nodes.append(NodeRow(image.sha256, about, row.where))
    importer.nodes("Image", nodes, repeats=True, quiet=True)


def _hang(importer: Importer, stored: list[tuple[ImageRow, StoredImage]]) -> None:
    relations = [RelationRow(row.item, image.sha256, {}, row.where) for row, image in stored]
    importer.relations((importer.domain.item, "HAS_IMAGE", "Image"), relations, quiet=True)
