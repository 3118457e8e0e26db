"""How are paintings, artists, styles and genres called in ArtGraph, whatever a folder or a table calls them?"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from kg.schema import Domain

__all__ = ["FileName", "artist_title", "class_facts", "class_key", "plain", "read_file_name", "slug"]

_FOLDER = Path(__file__).resolve().parents[2] / "data" / "artgraph"
_FILES = {"Style": "styles.yaml", "Genre": "genres.yaml"}
_YEAR = re.compile(r"-(1[0-9]{3}|20[0-9]{2})(?=(?:-\d{1,2})?(?:\(\d+\))?$)")
_COPY = re.compile(r"\(\d+\)$")


class FileName(NamedTuple):
    """What a name of the form artist_title-year.jpg says; `key` is the name itself."""

    key: str
    artist: str
    title: str
    year: int | None


def read_file_name(name: str) -> FileName | None:
    """Take artist_title-year(n).jpg apart; None without an underscore between artist and title."""
    key = unicodedata.normalize("NFC", name)
    artist, _, title = key.rpartition(".")[0].partition("_")
    if not artist or not title:
        return None
    year = _YEAR.search(title)
    return FileName(key, artist, plain(title), int(year[1]) if year else None)


def plain(title: str) -> str:
    """A title for people: `water-lilies-1906(1)` becomes `water lilies`."""
    bare = _COPY.sub("", title)
    bare = _YEAR.sub("", bare) or bare
    return " ".join(bare.replace("-", " ").replace("_", " ").split())


def artist_title(key: str) -> str:
    """An artist's name for people, from the key: `claude-monet` becomes `Claude Monet`."""
    return " ".join(word.capitalize() for word in key.split("-") if word)


def slug(name: str) -> str:
    """An artist's key from the name: `Édouard Manet` becomes `edouard-manet`; a key stays as it is."""
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", ascii_name).strip("-") or name


def class_key(domain: Domain, label: str, spelling: str) -> str | None:
    """ArtGraph's key of a style or genre, through the alias table; None when it is not one of them."""
    known = class_facts(label)
    blank = " ".join(unicodedata.normalize("NFC", spelling).replace("_", " ").lower().split())
    for candidate in (blank, domain.canonical(label, blank), blank.replace(" ", "-")):
        if candidate in known:
            return candidate
    return None


@cache
def class_facts(label: str) -> dict[str, dict[str, Any]]:
    """Key -> properties of the 32 styles or 18 genres, in ArtGraph's label order, with the descriptions' origin."""
    raw = yaml.safe_load((_FOLDER / _FILES[label]).read_text(encoding="utf-8"))
    origin = {f"description_{name}": raw[name] for name in ("source", "licence", "date")}
    return {entry["name"]: {**{k: v for k, v in entry.items() if k != "name"}, **origin} for entry in raw["classes"]}
