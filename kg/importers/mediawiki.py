"""What do encyclopaedia articles say of the graph's nodes: how are MediaWiki extracts read, and whose texts are they?

A file holds answers of `action=query&prop=extracts|info&inprop=url` (one, a list, or one a line), or pages one a line
as extractors of dumps write them (`title`, `text`, `url`); `.gz` and `.bz2` too. A page belongs to the node whose key
its title is, or that redirects to it; of a title like "Ilkal (town)" the part before the bracket counts as well.
"""

from __future__ import annotations

import bz2
import gzip
import html
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from kg.errors import SchemaViolation
from kg.importers.csv_reading import Record
from kg.importers.tables import Importer, Where

__all__ = ["LICENCE", "Extract", "read_extracts", "records_of"]

LICENCE = "CC BY-SA 4.0"
"""Of the texts of the Wikipedias; another wiki may say another."""
_HEADING = re.compile(r"^\s*(?:=+.*?=+\s*|<h\d.*?</h\d>)$", re.MULTILINE | re.IGNORECASE)
_TAG = re.compile(r"<[^>]*>")
_BRACKET = re.compile(r"\s*\([^()]*\)$")


@dataclass(frozen=True)
class Extract:
    """One page's text."""

    title: str
    names: tuple[str, ...]
    """The title and every name that led to it."""
    text: str
    url: str
    date: str
    where: Where


def read_extracts(
    file: Path, complain: Callable[[Where, str], None], *, site: str = "https://en.wikipedia.org/wiki/"
) -> Iterator[Extract]:
    """The pages of a file that have a text; others and broken lines go to `complain`.

    `site`: what a title is put behind where a page does not say its address.
    Raises: SchemaViolation for a file that is missing or holds no page.
    """
    found = False
    for where, part in _parts(Path(file), complain):
        for page, names in _pages(part):
            found = True
            text, title = _plain(str(page.get("extract", page.get("text", "")) or "")), str(page.get("title", ""))
            if "missing" in page or not title or not text:
                complain(where, f"page {title or '?'!r} has no text")
                continue
            url = page.get("canonicalurl") or page.get("fullurl") or page.get("url") or _address(site, title)
            yield Extract(title, tuple(dict.fromkeys([title, *names])), text, str(url), _date(page), where)
    if not found:
        raise SchemaViolation(
            f"{file}: no page in it; give what action=query&prop=extracts answers, or pages one a line (title, text)"
        )


def records_of(
    importer: Importer, pages: Sequence[Extract], *, labels: Sequence[str], licence: str
) -> Iterator[Record]:
    """The rows of a descriptions table that pages stand for; a page that fits no node, or several, is a problem."""
    domain = importer.domain
    there = {label: _keys_there(importer, label, pages) for label in labels}
    for page in pages:
        fits = [(label, there[label][name]) for label in labels for name in _spellings(page) if name in there[label]]
        nodes = list(dict.fromkeys(fits))
        if len({label for label, _ in nodes}) != 1:
            said = "several node types: give --type" if nodes else "no node"
            importer.problem(page.where, f"page {page.title!r} fits {said} of {domain.domain}")
            continue
        label, key = nodes[0]
        cells = {"type": label, "node": key, "text": page.text, "source": page.url}
        yield Record(cells | {"licence": licence, "date": page.date}, page.where)


def _keys_there(importer: Importer, label: str, pages: Sequence[Extract]) -> dict[str, str]:
    """Spelling -> the key of the node of that label that it means."""
    keys = {}
    for name in {name for page in pages for name in _spellings(page)}:
        key = importer.domain.canonical(label, name)
        keys |= {name: [key, key.lower(), key.replace(" ", "-").lower(), key[:1].upper() + key[1:]]}
    absent = importer.missing(label, {key for spelt in keys.values() for key in spelt})
    found = {name: next((key for key in spelt if key not in absent), None) for name, spelt in keys.items()}
    return {name: key for name, key in found.items() if key is not None}


def _spellings(page: Extract) -> list[str]:
    return list(dict.fromkeys([*page.names, *(_BRACKET.sub("", name) for name in page.names)]))


def _parts(file: Path, complain: Callable[[Where, str], None]) -> Iterator[tuple[Where, Any]]:
    """Every JSON value of the file: the whole of it, or line by line."""
    text = _text(file)
    try:
        whole = json.loads(text)
    except ValueError:
        for number, line in enumerate(text.splitlines(), start=1):
            where = Where(str(file), number)
            if not line.strip():
                continue
            try:
                yield where, json.loads(line)
            except ValueError as error:
                complain(where, f"not JSON: {error}")
        return
    for part in whole if isinstance(whole, list) else [whole]:
        yield Where(str(file), 1), part


def _text(file: Path) -> str:
    opener = {".gz": gzip.open, ".bz2": bz2.open}.get(file.suffix, open)
    try:
        with opener(file, "rt", encoding="utf-8") as opened:
            return opened.read()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise SchemaViolation(f"reading {file}: {error}; give a file of JSON in UTF-8") from error


def _pages(part: Any) -> Iterator[tuple[dict[str, Any], list[str]]]:
    """Pages of one JSON value, each with the other names that led to it."""
    if not isinstance(part, dict) or "index" in part:  # the index lines of search dumps
        return
    if "query" not in part:
        if "title" in part:
            yield part, []
        return
    query = part["query"] if isinstance(part["query"], dict) else {}
    pages, named = query.get("pages", {}), {}
    for step in [*query.get("normalized", []), *query.get("converted", []), *query.get("redirects", [])]:
        named.setdefault(step.get("to"), []).extend([step.get("from", ""), *named.get(step.get("from"), [])])
    for page in pages.values() if isinstance(pages, dict) else pages:
        yield page, [name for name in named.get(page.get("title"), []) if name]


def _plain(text: str) -> str:
    """Paragraphs without headings, tags and blank lines."""
    bare = html.unescape(_TAG.sub("", _HEADING.sub("", text)))
    return "\n".join(line for line in (" ".join(part.split()) for part in bare.splitlines()) if line)


def _address(site: str, title: str) -> str:
    return site + quote(title.replace(" ", "_"), safe="/:_,()")


def _date(page: dict[str, Any]) -> str:
    return str(page.get("touched") or page.get("timestamp") or "")[:10]
