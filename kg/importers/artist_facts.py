"""What is known of the artists, and where was each value found?

The file is JSON: `artists` maps an artist's key to birth, death, birth_place, death_place ({city, country}),
nationality, movements, training, teachers, fields, patrons, worked_in, museums ({name, city}), ulan, wikidata;
`sources` names where each field comes from, `memory_values` lists values from general knowledge. `cities` maps a city
to its country.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kg.errors import SchemaViolation
from kg.importers.art_names import artist_title, slug
from kg.importers.tables import Importer, NodeRow, RelationRow, Where

__all__ = ["import_artist_facts"]

_RELATIONS = (
    ("movements", "Movement", "Movement"),
    ("training", "Training", "Training"),
    ("fields", "Field", "Field"),
    ("patrons", "Patrons", "People"),
)
_PLACES = ("Gallery", "City", "Country")


def import_artist_facts(importer: Importer, path: Path, artists: set[str]) -> None:
    """Add what the file says of these artists, in the published relations, each with its source.

    Raises: SchemaViolation when the file cannot be read as described above.
    """
    facts, cities = _read(path)
    where = Where(str(path))
    for key in sorted(artists - set(facts)):
        importer.problem(where, f"nothing is said of the artist {key!r}")
    known = {key: facts[key] for key in sorted(artists & set(facts))}
    importer.nodes(
        "Artist", [NodeRow(key, _properties(about), where) for key, about in known.items()], total=len(known)
    )
    for field, kind, target in _RELATIONS:
        rows = [RelationRow(key, value, {"source": source}, where) for key, value, source in _values(known, field)]
        importer.nodes(target, [NodeRow(row.target, {}, where) for row in rows], repeats=True)
        importer.relations(("Artist", kind, target), rows, total=len(rows))
    _teachers(importer, known, where)
    _museums(importer, known, cities, where)


def _read(path: Path) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        return raw["artists"], raw.get("cities", {})
    except OSError as error:
        raise SchemaViolation(f"--facts {path}: cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError) as error:
        raise SchemaViolation(
            f"--facts {path}: not a facts file ({error}); it is JSON with `artists` and `cities`"
        ) from error


def _properties(about: dict[str, Any]) -> dict[str, Any]:
    same = {name: about.get(name) for name in ("birth", "death", "nationality", "ulan", "wikidata", "worked_in")}
    museums = [museum["name"] for museum in about.get("museums", ())]
    places = {name: _place(about.get(name)) for name in ("birth_place", "death_place")}
    return {"title": about.get("name"), "museums": museums, **same, **places}


def _place(place: dict[str, str] | None) -> str | None:
    return ", ".join(part for part in (place.get("city"), place.get("country")) if part) if place else None


def _values(facts: dict[str, dict[str, Any]], field: str) -> Iterator[tuple[str, str, str]]:
    """(artist, value, source) of a field that lists texts."""
    for key, about in facts.items():
        for value in dict.fromkeys(about.get(field) or ()):
            yield key, value, _source(about, field, value)


def _source(about: dict[str, Any], field: str, value: str) -> str:
    """`memory` for a value from general knowledge, otherwise the sources of its field."""
    sources = [name for name in about.get("sources", {}).get(field, "unknown").split("+") if name]
    listed = about.get("memory_values", {}).get(field, ())
    if field in about.get("from_memory", ()) or value in listed or sources == ["memory"]:
        return "memory"
    return "+".join(name for name in sources if name != "memory") or "memory"


def _teachers(importer: Importer, facts: dict[str, dict[str, Any]], where: Where) -> None:
    rows, names = [], {}
    for key, value, source in _values(facts, "teachers"):
        teacher = slug(value)
        if teacher == key:
            importer.problem(where, f"{key!r} is named as the artist's own teacher; left out")
            continue
        names.setdefault(teacher, artist_title(value) if value == teacher else value)
        rows.append(RelationRow(key, teacher, {"source": source}, where))
    importer.nodes("Artist", [NodeRow(key, {}, where, {"title": title}) for key, title in names.items()], repeats=True)
    importer.relations(("Artist", "Teacher", "Artist"), rows, total=len(rows))


def _museums(importer: Importer, facts: dict[str, dict[str, Any]], cities: dict[str, str], where: Where) -> None:
    """Museums with their city and country. Which painting hangs where is not known, so no artwork is linked to them."""
    in_city: dict[tuple[str, str], str] = {}
    for about in facts.values():
        for museum in about.get("museums", ()):
            if museum.get("city"):
                in_city.setdefault((museum["name"], museum["city"]), _source(about, "museums", museum["name"]))
    pairs = {
        ("Gallery", "City"): in_city,
        ("Gallery", "Country"): {(g, cities[c]): source for (g, c), source in in_city.items() if c in cities},
        ("City", "Country"): {(c, cities[c]): "memory" for _, c in in_city if c in cities},
    }
    for label in _PLACES:
        keys = {
            end
            for (a, b), found in pairs.items()
            for pair in found
            for end, on in zip(pair, (a, b), strict=True)
            if on == label
        }
        importer.nodes(label, [NodeRow(key, {}, where) for key in sorted(keys)], total=len(keys))
    for (source_label, target_label), found in pairs.items():
        rows = [RelationRow(a, b, {"source": source}, where) for (a, b), source in found.items()]
        importer.relations((source_label, target_label, target_label), rows, total=len(rows))
