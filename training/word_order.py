"""How are the words of a caption put into a wrong order, as the order part of ARO asks for?

Four ways: nouns change places among themselves and adjectives too; all other words do; the words of each three do; the
threes do. Each caption is shuffled the same way every time. Words are spaCy's, where the published code takes those of
another library for the last two ways.

Reference: Yuksekgonul et al. 2023, section 2.3; O'Connor and Andreas 2021.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

from kg.scenes.parsing import tagged

__all__ = ["shuffled"]

_MOST_WORDS = 30
_DROPPED = re.compile(r"[.!\"()*#:;~]")
_NOUNS, _ADJECTIVES = ("NN", "NNS", "NNP", "NNPS"), ("JJ", "JJR", "JJS")

Words = Sequence[tuple[str, str]]


def shuffled(caption: str) -> tuple[str, dict[str, str]]:
    """The caption in the protocol's spelling, and way -> shuffled caption."""
    words = tagged(caption)
    ways = {name: _plain(" ".join(way(words, random.Random(f"{name} {caption}")))) for name, way in _WAYS.items()}
    return _plain(caption), ways


def _plain(text: str) -> str:
    """Lower case, without most marks, at most 30 words."""
    return " ".join(_DROPPED.sub(" ", text.lower()).split()[:_MOST_WORDS])


def _nouns_and_adjectives(words: Words, rng: random.Random) -> list[str]:
    return _permuted(_permuted([w for w, _ in words], _places(words, _NOUNS), rng), _places(words, _ADJECTIVES), rng)


def _all_but_nouns_and_adjectives(words: Words, rng: random.Random) -> list[str]:
    kept = {*_places(words, _NOUNS), *_places(words, _ADJECTIVES)}
    return _permuted([w for w, _ in words], [n for n in range(len(words)) if n not in kept], rng)


def _within_trigrams(words: Words, rng: random.Random) -> list[str]:
    return [word for three in _trigrams(words) for word in rng.sample(three, len(three))]


def _order_of_trigrams(words: Words, rng: random.Random) -> list[str]:
    threes = _trigrams(words)
    return [word for three in rng.sample(threes, len(threes)) for word in three]


_WAYS: dict[str, Callable[[Words, random.Random], list[str]]] = {
    "nouns and adjectives": _nouns_and_adjectives,
    "all but nouns and adjectives": _all_but_nouns_and_adjectives,
    "within trigrams": _within_trigrams,
    "trigrams": _order_of_trigrams,
}


def _places(words: Words, tags: tuple[str, ...]) -> list[int]:
    return [n for n, (_, tag) in enumerate(words) if tag in tags]


def _permuted(words: list[str], places: list[int], rng: random.Random) -> list[str]:
    taken = [words[n] for n in places]
    moved = dict(zip(places, rng.sample(taken, len(taken)), strict=True))
    return [moved.get(n, word) for n, word in enumerate(words)]


def _trigrams(words: Words) -> list[list[str]]:
    return [[word for word, _ in words[n : n + 3]] for n in range(0, len(words), 3)]
