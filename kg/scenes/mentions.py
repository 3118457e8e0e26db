"""Where does a caption speak of the things of its scene, and how is one of its phrases put in another's place?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import NamedTuple

from kg.scenes.scene import Thing
from kg.scenes.words import article, parsing_words, plural

__all__ = ["Caption", "Change", "Mention", "verb_form", "without_articles"]

_TOKEN = re.compile(r"\w+(?:['’-]\w+)*|[^\w\s]")
_ARTICLES = frozenset({"a", "an", "the"})
_DETERMINERS = frozenset(
    """a an the this that these those his her its their some another each every two three four five six seven eight nine
    ten""".split()  # noqa: SIM905 (a list of words reads best as words)
)
_BEFORE_A_PHRASE = frozenset(
    """with of on in at by near to from and or under over above below behind beside between through across along past
    around into onto against inside outside toward towards wearing holding eating riding is are : , ; . while
    as""".split()  # noqa: SIM905
)


class Change(NamedTuple):
    """Characters `start` to `end` become `text`."""

    start: int
    end: int
    text: str


class Mention(NamedTuple):
    """The noun phrase that speaks of a thing: tokens `first` (its article or first word) to `last` (its noun's end)."""

    first: int
    noun: int
    last: int
    plural: bool


class Caption:
    """A caption in tokens."""

    def __init__(self, text: str) -> None:
        self.text = text
        found = list(_TOKEN.finditer(text))
        self.words = [match.group().lower() for match in found]
        self.spans = [match.span() for match in found]
        self._places: dict[str, list[int]] = {}
        for at, word in enumerate(self.words):
            self._places.setdefault(word, []).append(at)

    def names(self, name: str) -> bool:
        """Whether any word of it may be in the caption."""
        return any(form[0] in self._places for form, _ in _forms(name))

    def mention(self, thing: Thing) -> Mention | str:
        """Where the caption speaks of a thing; else why that cannot be said."""
        found = [
            (at, len(form), many)
            for form, many in _forms(thing.name)
            for at in self._places.get(form[0], ())
            if len(form) == 1 or self.words[at : at + len(form)] == list(form)
        ]
        if len(found) != 1:
            return "a thing is named twice" if found else "a thing is not named in the caption"
        noun, length, many = found[0]
        if noun > 1 and self.words[noun - 1] == "of" and self.words[noun - 2] in parsing_words()["collectives"]:
            return "a group of things"
        first = self._start(noun, thing)
        return Mention(first, noun, noun + length - 1, many) if first >= 0 else "where a phrase begins is not clear"

    def place_of(self, attribute: str, mention: Mention) -> int | None:
        """The token that states an attribute in a thing's phrase."""
        for at in range(mention.first, mention.noun):
            if self.words[at] == attribute:
                return at
        return None

    def phrase(self, mention: Mention) -> str:
        """The words of a mention."""
        return self.text[self.spans[mention.first][0] : self.spans[mention.last][1]]

    def change(self, first: int, last: int, text: str) -> Change:
        """Tokens `first` to `last` become `text`."""
        return Change(self.spans[first][0], self.spans[last][1], text)

    def with_changes(self, changes: Sequence[Change]) -> str:
        """The caption changed, with `a` and `an` and the capital at its start put right."""
        out, at = [], 0
        for start, end, text in sorted(changes):
            out += [_agreeing(self.text[at:start], text), text]
            at = end
        whole = "".join([*out, self.text[at:]])
        return whole[:1].upper() + whole[1:] if self.text[:1].isupper() else whole

    def lowered(self, mention: Mention) -> str:
        """The words of a mention as they stand within a sentence."""
        text = self.phrase(mention)
        return text[:1].lower() + text[1:] if mention.first == 0 else text

    def _start(self, noun: int, thing: Thing) -> int:
        """The first token of the phrase around a noun; -1 where words stand before it that the scene does not know."""
        known = {word for key in thing.attributes for word in key.rpartition("=")[2].split()}
        at = noun
        while at and (self.words[at - 1] in known or (at < noun and self._joins(at - 1, known))):
            at -= 1
        if at and self.words[at - 1] in _DETERMINERS:
            return at - 1
        if self.words[at] in _DETERMINERS or at == 0 or self.words[at - 1] in _BEFORE_A_PHRASE:
            return at
        return -1

    def _joins(self, at: int, known: set[str]) -> bool:
        """As in `red and yellow`."""
        return at > 0 and self.words[at] in ("and", ",") and self.words[at - 1] in known


@cache
def _forms(name: str) -> tuple[tuple[tuple[str, ...], bool], ...]:
    """A name's words, singular and plural; what always stands in the plural is plural."""
    one, many = tuple(name.split()), tuple(plural(name).split())
    if not one:
        return ()
    return ((one, name.endswith("s") and not name.endswith("ss")),) if one == many else ((one, False), (many, True))


_ARTICLE_AT_END = re.compile(r"\b(a|an)(\s+)$", re.IGNORECASE)


def _agreeing(before: str, text: str) -> str:
    found = _ARTICLE_AT_END.search(before)
    if not found:
        return before
    right = article(text)
    return before[: found.start()] + (right.capitalize() if found[1][0].isupper() else right) + found[2]


_DOUBLED = {"sit", "run", "swim", "hit", "get", "put", "cut", "hug", "stop"}


@cache
def verb_form(verb: str, ending: str) -> str:
    """`sit` with "ing" is `sitting`, with "s" `sits`; lie is `lying`."""
    if ending == "s":
        return plural(verb)
    if ending != "ing":
        return verb
    if verb.endswith("ie"):
        return f"{verb[:-2]}ying"
    if verb in _DOUBLED:
        return f"{verb}{verb[-1]}ing"
    return f"{verb[:-1]}ing" if verb.endswith("e") and not verb.endswith("ee") else f"{verb}ing"


def without_articles(words: Iterable[str]) -> list[str]:
    """The words but for a, an, the."""
    return [word for word in words if word not in _ARTICLES]
