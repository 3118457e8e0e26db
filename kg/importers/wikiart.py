"""How does a folder of paintings become an artgraph?

Two layouts: a `labels.csv` (columns file, style, artist, title and, where known, genre, artist_death, year, sha1 and
split) beside the images, or folders by style with files named artist_title-year.jpg. What is known of the artists comes
from a facts file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from kg.errors import SchemaViolation
from kg.graph import Graph
from kg.importers.art_names import FileName, artist_title, class_facts, class_key, plain, read_file_name
from kg.importers.artist_facts import import_artist_facts
from kg.importers.csv_reading import read_table
from kg.importers.images import ImageRow, import_images, is_image
from kg.importers.report import ImportReport
from kg.importers.tables import Importer, NodeRow, RelationRow, Where, importing
from kg.progress import Reporter
from kg.schema import load_domain
from kg.store import Store

__all__ = ["import_wikiart"]

_NEEDED = ("file", "style", "artist", "title")
_SPLITS = {"train": "train", "valid": "test", "val": "test", "validation": "test", "test": "test"}
"""The file's own validation rows are our test; valid and gate are cut from train later."""


@dataclass(frozen=True)
class Painting:
    """One row of either layout, before its classes are looked up."""

    name: FileName
    path: Path
    style: str
    genre: str
    where: Where
    death: str = ""
    sha1: str = ""
    split: str | None = None


def import_wikiart(
    graph: Graph,
    store: Store,
    folder: Path,
    *,
    reporter: Reporter,
    facts: Path | None = None,
    all_classes: bool = False,
    dry_run: bool = False,
    over_edits: bool = False,
) -> ImportReport:
    """Import a folder of paintings; a second time it changes nothing.

    Only the styles and genres that occur become class nodes, since a model chooses among all of them; `all_classes`
    imports the 32 and 18 of ArtGraph. Unknown ones are reported and the painting is kept without.
    Raises: SchemaViolation (no such folder, no images, columns missing), StoreError, GraphUnavailable.
    """
    folder, domain = Path(folder), load_domain("artgraph")
    if not folder.is_dir():
        raise SchemaViolation(
            f"import wikiart: {folder} is not a folder; give the one that holds labels.csv or the style folders"
        )
    form = {"kind": "wikiart", "source": str(folder), "reporter": reporter, "dry_run": dry_run}
    with importing(graph, store, domain=domain, over_edits=over_edits, **form) as importer:
        table = folder / "labels.csv"
        found = _from_table(importer, table) if table.is_file() else _from_folders(importer, folder)
        paintings = list(_distinct(importer, found))
        if not paintings:
            raise SchemaViolation(
                f"import wikiart: {folder} holds neither rows nor images; expected labels.csv or STYLE/*.jpg"
            )
        _write(importer, paintings, all_classes=all_classes)
        if facts is not None:
            import_artist_facts(importer, Path(facts), {painting.name.artist for painting in paintings})
    return importer.report


def _from_table(importer: Importer, table: Path) -> Iterator[Painting]:
    for row in read_table(table, importer.problem, needed=_NEEDED):
        cells = row.cells
        name = read_file_name(f"{cells['artist']}_{cells['title']}.jpg")
        if not cells["file"] or name is None or not cells["artist"] or not cells["title"]:
            importer.problem(row.where, "file, artist or title is empty; the row is left out")
            continue
        split = cells.get("split", "").lower()
        if split and split not in _SPLITS:
            importer.problem(row.where, f"split {split!r} is none of {', '.join(_SPLITS)}; the image gets none")
        yield Painting(
            name._replace(year=_year(cells.get("year", "")) or name.year, title=plain(cells["title"])),
            table.parent / cells["file"],
            cells["style"],
            cells.get("genre", ""),
            row.where,
            death=cells.get("artist_death", ""),
            sha1=cells.get("sha1", ""),
            split=_SPLITS.get(split),
        )


def _from_folders(importer: Importer, folder: Path) -> Iterator[Painting]:
    for path in sorted(folder.glob("*/*")):
        if not path.is_file() or not is_image(path):
            continue
        where = Where(path.relative_to(folder).as_posix())
        name = read_file_name(path.name)
        if name is None:
            importer.problem(
                where, "the name is not artist_title-year.jpg: there is no underscore after the artist; left out"
            )
            continue
        yield Painting(name, path, path.parent.name, "", where)


def _distinct(importer: Importer, paintings: Iterable[Painting]) -> Iterator[Painting]:
    """Paintings with a key each: another picture under a taken name gets part of its hash, the same one is left out."""
    taken: dict[str, Painting] = {}
    for painting in paintings:
        first = taken.setdefault(painting.name.key, painting)
        if first is painting:
            yield painting
            continue
        digest = _digest(painting)
        if digest == _digest(first):
            importer.problem(painting.where, f"the same picture as {first.where.file}:{first.where.line}; left out")
            continue
        stem, _, suffix = painting.name.key.rpartition(".")
        renamed = replace(painting, name=painting.name._replace(key=f"{stem}~{digest[:8]}.{suffix}"))
        importer.problem(
            painting.where, f"another picture has the name {painting.name.key}; kept as {renamed.name.key}"
        )
        if taken.setdefault(renamed.name.key, renamed) is renamed:
            yield renamed


def _write(importer: Importer, paintings: list[Painting], *, all_classes: bool) -> None:
    classes = {label: _classes(importer, paintings, label, all_classes=all_classes) for label in ("Style", "Genre")}
    deaths: dict[str, str] = {}
    for painting in paintings:
        deaths.setdefault(painting.name.artist, painting.death)
    artists = (NodeRow(key, {"death": death}, defaults={"title": artist_title(key)}) for key, death in deaths.items())
    importer.nodes("Artist", artists, total=len(deaths))
    importer.nodes("Artwork", map(_artwork, paintings), total=len(paintings))
    for kind, target, key_of in (
        ("Author", "Artist", lambda p: p.name.artist),
        ("Style", "Style", lambda p: classes["Style"].get(p.style)),
        ("Genre", "Genre", lambda p: classes["Genre"].get(p.genre)),
    ):
        importer.relations(("Artwork", kind, target), _relations(paintings, key_of), total=len(paintings))
    rows = (ImageRow(p.name.key, p.path, p.split, p.sha1, p.where) for p in paintings)
    import_images(importer, rows, total=len(paintings))


def _artwork(painting: Painting) -> NodeRow:
    return NodeRow(painting.name.key, {"title": painting.name.title, "year": painting.name.year}, painting.where)


def _relations(paintings: list[Painting], key_of: Callable[[Painting], str | None]) -> Iterator[RelationRow]:
    for painting in paintings:
        key = key_of(painting)
        if key:
            yield RelationRow(painting.name.key, key, {}, painting.where)


def _classes(importer: Importer, paintings: list[Painting], label: str, *, all_classes: bool) -> dict[str, str]:
    """Spelling -> key of the classes that occur, whose nodes are made; unknown spellings are reported."""
    found: dict[str, str] = {}
    for painting in paintings:
        spelling = painting.style if label == "Style" else painting.genre
        key = found.get(spelling) or (class_key(importer.domain, label, spelling) if spelling else "")
        if key:
            found[spelling] = key
        elif key is None:
            importer.problem(
                painting.where, f"{label} {spelling!r} is not one of ArtGraph's; the artwork is kept without it"
            )
    facts = class_facts(label)
    wanted = [key for key in facts if all_classes or key in set(found.values())]
    importer.nodes(label, (NodeRow(key, defaults=facts[key]) for key in wanted), total=len(wanted))
    return found


def _year(text: str) -> int | None:
    return int(text) if text.isdigit() else None


def _digest(painting: Painting) -> str:
    if painting.sha1:
        return painting.sha1
    try:
        return hashlib.sha1(painting.path.read_bytes(), usedforsecurity=False).hexdigest()
    except OSError:
        return hashlib.sha1(str(painting.where).encode(), usedforsecurity=False).hexdigest()
