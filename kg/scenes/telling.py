"""What does a caption tell, in things, attributes and relations, when its words are those of the graph's scenes?

One reading for every sentence, true or false, in training, evaluation and search: it sees the words alone. What it does
not know it passes over. `a red body with a peacock on the body` tells (body, is, red) and (peacock, on, body); `the
border is not red` tells (border, is not, red); `two peacocks`, (peacock, is, two); `no lotus`, (saree, without, lotus).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from kg.scenes.parsing import parse_captions
from kg.scenes.scene import Scene, Thing
from kg.scenes.words import plural, searching_words, vocabulary

__all__ = [
    "IS",
    "IS_NOT",
    "NUMBERS",
    "WITHOUT",
    "Parser",
    "Told",
    "Triple",
    "Words",
    "tell_all",
    "told_by_parser",
    "triples_of",
]

Triple = tuple[str, str, str]
Parser = Literal["words", "spacy"]
"""Who reads a text: the words of the graph's scenes, or kg's parser on spaCy."""

IS, IS_NOT, WITHOUT = "is", "is not", "without"
NUMBERS = ("one", "two", "three", "four", "five", "six")
_DENYING = frozenset({"not", "no", "without", "never"})
_LONGEST = 4


class Told(NamedTuple):
    """What is said to be there, and what is denied."""

    scene: Scene
    denied: tuple[Triple, ...] = ()


@dataclass(frozen=True)
class Words:
    """The words of scenes, as they are spelled in captions -> (kind, word): thing, attribute or predicate."""

    known: dict[str, tuple[str, str]]

    @classmethod
    def of_scenes(cls, scenes: Iterable[Scene]) -> Words:
        """Names with their plurals, attributes without their slots, predicates with other wordings of them."""
        names: set[str] = set()
        attributes: set[str] = {*NUMBERS}
        predicates: set[str] = set()
        for scene in scenes:
            names.update(thing.name for thing in scene.objects)
            attributes.update(value for _, value in scene.attributed())
            predicates.update(predicate for _, predicate, _ in scene.relations)
        known = {word: ("attribute", word) for word in attributes}
        known |= {plural(name): ("thing", name) for name in names} | {name: ("thing", name) for name in names}
        known |= {word: ("predicate", word) for word in predicates}
        same = searching_words()[0] | {"higher than": "above", "lower than": "below", "next to": "beside"}
        known |= {said: known[meant] for said, meant in same.items() if meant in known and said not in known}
        return cls(known)

    def tell(self, text: str) -> Told:
        """What a sentence says, from left to right."""
        return _Telling(self).read(text)

    def matched(self, part: str) -> Iterator[tuple[str, str]]:
        """The longest known words of a part, and the few others that matter: (kind, word)."""
        tokens = re.findall(r"[\w'-]+", part)
        at = 0
        while at < len(tokens):
            for length in range(min(_LONGEST, len(tokens) - at), 0, -1):
                found = self.known.get(" ".join(tokens[at : at + length]))
                if found:
                    yield found
                    break
            else:
                length = 1
                if tokens[at] in _DENYING:
                    yield ("deny", tokens[at])
                elif tokens[at] in ("is", "are"):
                    yield ("is", IS)
                elif tokens[at] in ("and", "but", "while", "with"):
                    yield ("break", tokens[at])
            at += length


def triples_of(told: Told) -> list[Triple]:
    """Attributes and relations as triples by names, then what is denied; a bare thing tells nothing."""
    names = {thing.id: thing.name for thing in told.scene.objects}
    is_so = [(thing.name, IS, key.rpartition("=")[2]) for thing in told.scene.objects for key in thing.attributes]
    stand = [(names[s], predicate, names[o]) for s, predicate, o in told.scene.relations]
    return [*dict.fromkeys([*is_so, *stand, *told.denied])]


def tell_all(texts: Sequence[str], words: Words, *, parser: Parser) -> list[Told]:
    """What each text says, by one reader for all. Raises: EncoderError (the parser is spaCy, and it is missing)."""
    return [words.tell(text) for text in texts] if parser == "words" else told_by_parser(texts)


def told_by_parser(texts: Iterable[str]) -> list[Told]:
    """The same from kg's caption parser, for captions in anybody's words. Raises: EncoderError (spaCy is missing)."""
    return [Told(parsed.scene) for parsed in parse_captions(texts)]


class _Telling:
    """One sentence being read."""

    def __init__(self, words: Words) -> None:
        self._words = words
        self._names: list[str] = []
        self._attributes: list[list[str]] = []
        self._relations: list[tuple[int, str, int]] = []
        self._denied: list[Triple] = []

    def read(self, text: str) -> Told:
        for part in re.split(r"[,;:.]", text.lower()):
            self._part(list(self._words.matched(part)))
        things = tuple(
            Thing(f"o{n}", name, tuple(dict.fromkeys(attributes)))
            for n, (name, attributes) in enumerate(zip(self._names, self._attributes, strict=True))
        )
        return Told(Scene(things, tuple((f"o{s}", p, f"o{o}") for s, p, o in self._relations)), tuple(self._denied))

    def _part(self, words: list[tuple[str, str]]) -> None:
        subject, predicate, waiting, denied, stated = -1, "", [], False, False
        spent = False  # a "not" that an attribute has taken says nothing of things that come later
        for n, (kind, word) in enumerate(words):
            if kind == "break":
                subject, predicate, waiting, denied, stated = -1, "", [], False, False
            elif kind == "deny":
                denied, spent = True, False
            elif kind == "is":
                stated = True
            elif kind == "attribute" and stated and not self._leads_to_thing(words, n):
                self._state(subject, word, denied=denied)
                spent = denied
            elif kind == "attribute":
                waiting.append(word)
            elif kind == "predicate":
                predicate, stated = word, False
            elif denied and not spent and not predicate:
                if any(kind == "predicate" for kind, _ in words[n + 1 : n + 2]):
                    subject = -1  # "no peacocks on the body": of other places nothing is said
                else:
                    self._denied.append(("saree", WITHOUT, word))
                denied, waiting = False, []
            else:
                found = self._thing(word, waiting)
                if subject >= 0 and predicate and (spent or not denied):
                    self._relations.append((subject, predicate, found))
                subject, predicate, waiting, denied = found, "", [], False

    @staticmethod
    def _leads_to_thing(words: list[tuple[str, str]], at: int) -> bool:
        for kind, _ in words[at + 1 :]:
            if kind != "attribute":
                return kind == "thing"
        return False

    def _state(self, subject: int, attribute: str, *, denied: bool) -> None:
        if subject < 0:
            return
        if denied:
            self._denied.append((self._names[subject], IS_NOT, attribute))
        else:
            self._attributes[subject].append(attribute)

    def _thing(self, name: str, attributes: list[str]) -> int:
        """A thing that was named before is the same one, unless it is told to look otherwise."""
        for n, known in enumerate(self._names):
            same_kind = vocabulary().exclude
            apart = any(same_kind("attributes", a, b) for a in attributes for b in self._attributes[n])
            if known == name and not apart:
                self._attributes[n] += attributes
                return n
        self._names.append(name)
        self._attributes.append(list(attributes))
        return len(self._names) - 1
