"""Which items show what a person describes: "peacock on pallu, red body, green border"?

The words are read with the vocabulary of the graph's own scenes, so that a fact is either one that a scene can state,
or its words are named as unknown. The facts then go as parameters into scenes/search.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from kg.errors import NodeNotFound
from kg.graph import Graph
from kg.scenes.words import plural, searching_words, vocabulary
from kg.schema import Domain, load_domain
from kg.statements import statement_for

__all__ = ["Composition", "Found", "SceneWords", "find_scenes", "read_facts"]


class Found(NamedTuple):
    """One item, and which of the facts its scene meets."""

    item: str
    image_id: str
    met: list[str]
    missing: list[str]
    score: float


@dataclass(frozen=True)
class Composition:
    """What was understood, and who shows it."""

    facts: tuple[str, ...]
    unknown: tuple[str, ...]
    found: list[Found]


class SceneWords(NamedTuple):
    """The words that scenes use."""

    names: frozenset[str]
    attributes: frozenset[str]
    predicates: frozenset[str]


def find_scenes(graph: Graph, domain: Domain | str, text: str, *, k: int = 10) -> Composition:
    """The k items whose scenes meet most of the facts that `text` lists, those that meet all first.

    Raises: NodeNotFound when no scene speaks of any of its things.
    """
    domain = load_domain(domain) if isinstance(domain, str) else domain
    words = graph.run("scenes/vocabulary")[0]
    known = SceneWords(*(frozenset(words[part]) for part in SceneWords._fields))
    facts, unknown = read_facts(text, known)
    if not facts:
        some = ", ".join(sorted(known.names)[:12]) or "none: import scenes first"
        raise NodeNotFound(f"search {text[:60]!r}: no scene shows such a thing; scenes show {some}")
    texts = tuple(fact["text"] for fact in facts)
    rows = graph.run(statement_for(graph, "scenes/search", domain), facts=facts, k=k)
    found = [Found(**row, missing=[one for one in texts if one not in row["met"]]) for row in rows]
    return Composition(texts, unknown, found)


def read_facts(text: str, known: SceneWords) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """Facts as scenes/search takes them, and the words left out: no scene uses them, or they relate no two things."""
    facts: dict[str, dict[str, Any]] = {}
    unknown: list[str] = []
    breaks = r"[,;.]|\band\b" if "with" in known.predicates else r"[,;.]|\band\b|\bwith\b"
    for part in re.split(breaks, text.lower()):
        for fact in _facts(list(_matched(part, known, unknown)), unknown):
            facts.setdefault(fact["text"], fact)
    return list(facts.values()), tuple(dict.fromkeys(unknown))


class _Word(NamedTuple):
    text: str
    kinds: frozenset[str]


def _matched(part: str, known: SceneWords, unknown: list[str]) -> Iterator[_Word]:
    """The longest known words from left to right."""
    same, ignored = searching_words()
    tokens = [token for token in re.findall(r"[\w'-]+", part) if token not in ignored]
    spellings = _spellings(known) | same
    at = 0
    while at < len(tokens):
        for length in range(min(4, len(tokens) - at), 0, -1):
            said = " ".join(tokens[at : at + length])
            text = spellings.get(said, said)
            kinds = frozenset(kind for kind in SceneWords._fields if text in getattr(known, kind))
            if kinds:
                yield _Word(text, kinds)
                break
        else:
            length = 1
            unknown.append(tokens[at])
        at += length


def _spellings(known: SceneWords) -> Mapping[str, str]:
    """Plurals of names, and participles of predicates, by what they are forms of."""
    forms = {plural(name): name for name in known.names}
    for predicate in known.predicates:
        verb, space, rest = predicate.partition(" ")
        for form in (f"{verb}ing", f"{verb.removesuffix('e')}ing", f"{verb}{verb[-1:]}ing", f"{verb}s"):
            forms.setdefault(f"{form}{space}{rest}", predicate)
    return {form: text for form, text in forms.items() if form not in known.names | known.attributes}


def _facts(words: Sequence[_Word], unknown: list[str]) -> Iterator[dict[str, Any]]:
    """[attributes] name, and [predicate [attributes] name] as often as wanted, each of the two things around it; a
    predicate that lacks one of them is named as unknown."""
    things: list[tuple[str, list[str]]] = []
    predicates: dict[int, str] = {}
    attributes: list[str] = []
    for n, word in enumerate(words):
        more = n + 1 < len(words) and "predicates" not in words[n + 1].kinds
        if "predicates" in word.kinds and len(things) not in predicates:
            predicates[len(things)] = word.text
        elif "names" in word.kinds and not ("attributes" in word.kinds and more):
            things.append((word.text, attributes))
            attributes = []
        elif "attributes" in word.kinds:
            attributes.append(word.text)
    related = [n for n in sorted(predicates) if 0 < n < len(things)]
    unknown += [predicate for n, predicate in predicates.items() if n not in related]
    for n in related:
        yield _fact(things[n - 1], predicates[n], things[n])
    for n, thing in enumerate(things):
        if n not in related and n + 1 not in related:
            yield _fact(thing)


def _fact(
    subject: tuple[str, list[str]], predicate: str = "", other: tuple[str, list[str]] = ("", [])
) -> dict[str, Any]:
    said = [*subject[1], subject[0], predicate, *other[1], other[0]]
    alike = {word for group in vocabulary().alike if predicate in group for word in group}
    return {
        "text": " ".join(filter(None, said)),
        "subject": subject[0],
        "attributes": subject[1],
        "predicates": sorted({predicate, *alike}),
        "object": other[0],
        "object_attributes": other[1],
    }
