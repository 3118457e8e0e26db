"""Which merges of letters make a small vocabulary for a small model, in the file format of CLIP's tokenizer?

CLIP's own table of 49,408 tokens would be 19 MB of a model of 25; words about sarees need a fraction of it, and every
other text is still spelt byte by byte.
"""

import gzip
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import regex
from open_clip.tokenizer import bytes_to_unicode

__all__ = ["learn_merges", "write_merges"]

_WORD = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+", regex.IGNORECASE)
"""The pattern of CLIP's tokenizer: merges never cross a word's border."""

Word = tuple[str, ...]
Pair = tuple[str, str]


def learn_merges(texts: Iterable[str], *, merges: int) -> list[Pair]:
    """The most frequent pairs, one after the other, ties in alphabetical order; fewer where every word is whole.

    Reference: Sennrich et al. 2016, "Neural machine translation of rare words with subword units", algorithm 1.
    """
    words = _count_words(texts)
    learnt: list[Pair] = []
    while len(learnt) < merges:
        pairs: Counter[Pair] = Counter()
        for word, n in words.items():
            for pair in pairwise(word):
                pairs[pair] += n
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        learnt.append(best)
        words = Counter({_merge(word, best): n for word, n in words.items()})
    return learnt


def write_merges(merges: list[Pair], path: Path) -> int:
    """Write CLIP's gzip format, the same bytes each time; the value is the size of the vocabulary it makes."""
    lines = ["#version: korvai-small", *(" ".join(pair) for pair in merges)]
    path.write_bytes(gzip.compress("\n".join(lines).encode(), mtime=0))
    return 2 * len(bytes_to_unicode()) + len(merges) + 2


def _count_words(texts: Iterable[str]) -> Counter[Word]:
    byte_of = bytes_to_unicode()
    counted: Counter[Word] = Counter()
    for text in texts:
        for found in _WORD.findall(text.lower()):
            letters = [byte_of[b] for b in found.encode()]
            counted[(*letters[:-1], letters[-1] + "</w>")] += 1
    return counted


def _merge(word: Word, pair: Pair) -> Word:
    return tuple(_merged(word, pair)) if pair[0] in word else word


def _merged(word: Word, pair: Pair) -> Iterator[str]:
    i = 0
    while i < len(word):
        if word[i : i + 2] == pair:
            yield word[i] + word[i + 1]
            i += 2
        else:
            yield word[i]
            i += 1
