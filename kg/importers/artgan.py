"""How do the ArtGAN lists of WikiArt (paths of 81,446 paintings with their classes, no images) become an artgraph?

A row is `Style_Folder/artist_title-year.jpg,class`. The style lists say which paintings there are; the genre lists add
the genre of most of them. Artist, title and year come from the file name, classes through the alias table.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from kg.errors import SchemaViolation
from kg.exchange.columns_of_files import read_columns
from kg.importers.art_names import FileName, artist_title, class_facts, class_key, read_file_name
from kg.importers.columns import KEY, SOURCE, TARGET, GraphColumns
from kg.importers.report import Problem
from kg.progress import Reporter
from kg.schema import Domain, load_domain

__all__ = ["ArtGan", "read_artgan"]

_STYLE_LISTS, _GENRE_LISTS = ("style_train.csv", "style_val.csv"), ("genre_train.csv", "genre_val.csv")
_CLASS_FILES = {"Style": "style_class.txt", "Genre": "genre_class.txt"}
_GENRES = (
    "abstract_painting",
    "cityscape",
    "genre_painting",
    "illustration",
    "landscape",
    "nude_painting",
    "portrait",
    "religious_painting",
    "sketch_and_study",
    "still_life",
)
"""The genres in the lists' order, where the folder lacks genre_class.txt."""

_MISREAD = re.compile("[\u00e0-\u00fe][\u0080-\u00bf]")
"""Two bytes of a letter that were taken for two letters, and the first put into lower case."""


@dataclass(frozen=True)
class ArtGan:
    """The lists as a graph, and the rows that were not taken, or not whole."""

    columns: GraphColumns
    problems: list[Problem]


@dataclass
class _Painting:
    path: str
    name: FileName
    classes: dict[str, list[str]]


@dataclass
class _Reading:
    folder: Path
    domain: Domain
    merge: bool
    problems: list[Problem] = field(default_factory=list)
    by_path: dict[str, _Painting] = field(default_factory=dict)
    by_key: dict[str, _Painting] = field(default_factory=dict)

    def problem(self, file: Path, line: int, reason: str) -> None:
        self.problems.append(Problem(file.name, line, reason))


def read_artgan(folder: Path, *, reporter: Reporter, merge: bool = False) -> ArtGan:
    """Read the lists (plain or .gz) of a folder.

    Two rows may have one file name in two style folders. Nobody can tell without the images whether that is one
    painting: both are kept, the second under a key with its folder in it, and told. `merge` makes one artwork of both.
    Raises: SchemaViolation when there is no style list.
    """
    reading = _Reading(Path(folder), load_domain("artgraph"), merge)
    if not any(_existing(reading.folder / name) for name in _STYLE_LISTS):
        raise SchemaViolation(f"import artgan: {folder} holds neither {' nor '.join(_STYLE_LISTS)}, plain or .gz")
    for label, lists in (("Style", _STYLE_LISTS), ("Genre", _GENRE_LISTS)):
        _read_lists(reading, label, lists, reporter)
    return ArtGan(_columns(reading.domain, list(reading.by_key.values())), reading.problems)


def _read_lists(reading: _Reading, label: str, lists: Iterable[str], reporter: Reporter) -> None:
    names = _class_names(reading, label)
    keys = [class_key(reading.domain, label, name) for name in names]
    seen: set[str] = set()
    with reporter.stage(f"reading the {label.lower()} lists", unit="rows") as advance:
        for file in (found for name in lists if (found := _existing(reading.folder / name))):
            count = 0
            for line, path, number in _rows(reading, file):
                count += 1
                if path in seen:
                    reading.problem(file, line, f"{path} was there already; the first row counts")
                    continue
                seen.add(path)
                painting = _painting(reading, file, line, path) if label == "Style" else reading.by_path.get(path)
                if painting is None:
                    if label == "Genre":
                        reading.problem(file, line, f"{path} is in no style list; its genre is left out")
                elif not 0 <= number < len(keys):
                    reading.problem(file, line, f"{label.lower()} {number} has no name; the artwork is kept without")
                elif (key := keys[number]) is None:
                    reading.problem(
                        file,
                        line,
                        f"{label} {names[number]!r} is not one of ArtGraph's; the artwork is kept without it",
                    )
                else:
                    painting.classes.setdefault(label, []).append(key)
            advance(count)


def _rows(reading: _Reading, file: Path) -> Iterator[tuple[int, str, int]]:
    read = read_columns(file, {"path": pa.string(), "class": pa.int64()})
    for line, reason in read.faults:
        reading.problem(file, line, reason)
    columns = (read.columns[name].to_pylist() for name in ("path", "class"))
    yield from zip(read.lines.tolist(), *columns, strict=True)


def _painting(reading: _Reading, file: Path, line: int, path: str) -> _Painting | None:
    """The painting of a row of a style list; None, and told, when its name does not say whose it is."""
    style, _, image = path.rpartition("/")
    name = read_file_name(image)
    if name is None:
        reading.problem(file, line, f"{path}: the name is not artist_title-year.jpg; left out")
        return None
    name = name._replace(artist=_without_blank(name.artist))
    first = reading.by_key.get(name.key)
    if first is not None and reading.merge:
        reading.by_path[path] = first
        return first
    if first is not None:
        stem, _, suffix = name.key.rpartition(".")
        name = name._replace(key=unicodedata.normalize("NFC", f"{stem}~{style.lower()}.{suffix}"))
        reading.problem(file, line, f"{path} has the file name of {first.path}; kept as {name.key}")
    painting = _Painting(path, name, {})
    reading.by_path[path] = reading.by_key[name.key] = painting
    return painting


def _class_names(reading: _Reading, label: str) -> list[str]:
    """Class names by number, from lines such as `3 Art_Nouveau`."""
    file = _existing(reading.folder / _CLASS_FILES[label])
    if file is None:
        if label == "Genre":
            return list(_GENRES)
        raise SchemaViolation(f"import artgan: {reading.folder} lacks style_class.txt, which names the classes")
    lines = read_columns(file, {"line": pa.string()})
    named = {}
    for line, text in zip(lines.lines.tolist(), lines.columns["line"].to_pylist(), strict=True):
        number, _, name = text.strip().partition(" ")
        if number.isdigit() and name.strip():
            named[int(number)] = name.strip()
        else:
            reading.problem(file, line, f"{text[:60]!r} is not `number name`; left out")
    return [named.get(number, "") for number in range(max(named, default=-1) + 1)]


def _columns(domain: Domain, paintings: list[_Painting]) -> GraphColumns:
    keys = [painting.name.key for painting in paintings]
    artists = dict.fromkeys(painting.name.artist for painting in paintings)
    nodes = {
        "Artwork": pa.table({
            KEY: pa.array(keys, pa.string()),
            "title": pa.array([painting.name.title for painting in paintings], pa.string()),
            "year": pa.array([painting.name.year for painting in paintings], pa.int64()),
        }),
        "Artist": pa.table({
            KEY: pa.array(list(artists), pa.string()),
            "title": pa.array([artist_title(_reread(artist)) for artist in artists], pa.string()),
        }),
    }  # fmt: skip
    edges = {("Artwork", "Author", "Artist"): _pairs((p.name.key, p.name.artist) for p in paintings)}
    for label in ("Style", "Genre"):
        pairs = [(p.name.key, key) for p in paintings for key in dict.fromkeys(p.classes.get(label, ()))]
        nodes[label] = _class_table(label, {key for _, key in pairs})
        edges["Artwork", label, label] = _pairs(pairs)
    return GraphColumns(domain, nodes, edges)


def _pairs(pairs: Iterable[tuple[str, str]]) -> pa.Table:
    sources, targets = zip(*pairs, strict=True) if (pairs := list(pairs)) else ((), ())
    return pa.table({SOURCE: pa.array(sources, pa.string()), TARGET: pa.array(targets, pa.string())})


def _class_table(label: str, occurring: set[str]) -> pa.Table:
    """The classes that occur, with what the repository knows of them."""
    facts = {key: entry for key, entry in class_facts(label).items() if key in occurring}
    names = dict.fromkeys(name for entry in class_facts(label).values() for name in entry)
    columns = {name: [entry.get(name) for entry in facts.values()] for name in names}
    return pa.table({KEY: pa.array(list(facts), pa.string())} | columns)


def _reread(artist: str) -> str:
    """`grã©goire` as `grégoire`."""
    return _MISREAD.sub(lambda pair: _letter(pair[0]), artist)


def _without_blank(artist: str) -> str:
    """`georges-lacombe` with a misread blank behind it as without; all else as it is."""
    reread = _reread(artist)
    return artist if reread == reread.strip() else reread.strip()


def _letter(pair: str) -> str:
    upper = bytes([ord(pair[0]) - 0x20, ord(pair[1])])
    try:
        return upper.decode()
    except UnicodeDecodeError:
        return pair


def _existing(path: Path) -> Path | None:
    return next((p for p in (path, path.with_name(f"{path.name}.gz")) if p.is_file()), None)
