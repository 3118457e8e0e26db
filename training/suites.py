"""Does a model prefer the true sentence: what is a suite of such questions, and what share of them is answered right?

A question has one picture and several sentences of which the first is true; it is answered right where that one scores
above every other, so that a tie is wrong. Or it has two pictures and two sentences that belong together in pairs.

Reference: Thrush et al. 2022, equations 1 to 3 (Winoground: text, image and group score); intervals: Efron 1979
(bootstrap, here over questions of the same sentences together), Wilson 1927 where all answers are alike.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Part", "Question", "Similarity", "Suite", "judge"]

_Z = 1.96
_RESAMPLES = 1000
_MOST_AT_ONCE = 4_000_000

Similarity = Callable[[str, str], float]


class Question(NamedTuple):
    """Pictures and sentences: of one picture the first sentence is true; of two, sentence i belongs to picture i."""

    category: str
    images: tuple[str, ...]
    texts: tuple[str, ...]
    kind: str = ""
    """What within the category."""


class Suite(NamedTuple):
    """What could be read, and how much could not, by reason."""

    name: str
    questions: list[Question]
    left_out: Counter[str]
    pictures: Mapping[str, Any] | None = None
    """Image -> its file, or its pixels (height, width, 3) uint8; None where only vectors are to be had."""
    over_kinds: bool = False
    """Whether a category's accuracy is the mean over its kinds, as ARO's protocol has it."""


class Part(NamedTuple):
    """Share of right answers, with its 95 % interval."""

    category: str
    accuracy: float
    low: float
    high: float
    n: int


def judge(
    suite: Suite, similarity: Similarity, *, images: Iterable[str] | None = None, kinds: bool = False
) -> list[Part]:
    """Accuracy by category, and with `kinds` of each kind within it; then `macro`, the mean over categories.

    Questions whose pictures are not among `images` are counted in `left_out`.
    """
    asked = _asked(suite, None if images is None else set(images))
    found: dict[str, dict[str, _Answers]] = {}
    for question in asked:
        for category, right in _answers(question, similarity):
            kind = found.setdefault(category, {}).setdefault(question.kind, _Answers())
            kind.add(question.texts, right)
    rng, parts, resampled = np.random.default_rng(0), [], []
    for category, by_kind in sorted(found.items()):
        shares = {kind: answers.resampled(rng) for kind, answers in sorted(by_kind.items())}
        whole = _Answers.joined(by_kind.values())
        if suite.over_kinds:
            resampled.append(np.mean(list(shares.values()), axis=0))
            mean = float(np.mean([answers.share for answers in by_kind.values()]))
            parts.append(_part(category, mean, resampled[-1], whole.n))
        else:
            resampled.append(whole.resampled(rng))
            parts.append(_part(category, whole.share, resampled[-1], whole.n))
        if kinds and any(by_kind):
            parts += [_part(f"{category}: {k}", by_kind[k].share, shares[k], by_kind[k].n) for k in shares]
    if len(found) > 1 and suite.name != "winoground":
        tops = [part for part in parts if part.category in found]
        mean = float(np.mean([part.accuracy for part in tops]))
        parts.append(_part("macro", mean, np.mean(resampled, axis=0), sum(part.n for part in tops)))
    return parts


def _asked(suite: Suite, images: set[str] | None) -> Iterator[Question]:
    for question in suite.questions:
        if images is not None and not images.issuperset(question.images):
            suite.left_out["missing image"] += 1
        else:
            yield question


def _answers(question: Question, similarity: Similarity) -> Iterator[tuple[str, bool]]:
    scores = [[similarity(image, text) for text in question.texts] for image in question.images]
    if len(question.images) == 1:
        yield question.category, scores[0][0] > max(scores[0][1:])
        return
    (a, b), (c, d) = scores
    text, image = a > b and d > c, a > c and d > b
    yield from (("text", text), ("image", image), ("group", text and image))


class _Answers:
    """Right and wrong answers, together where the sentences are the same: these are not independent."""

    def __init__(self) -> None:
        self._by_texts: defaultdict[frozenset[str], list[int]] = defaultdict(lambda: [0, 0])

    @classmethod
    def joined(cls, parts: Iterable[_Answers]) -> _Answers:
        made = cls()
        for part in parts:
            for texts, (right, n) in part._by_texts.items():
                held = made._by_texts[texts]
                held[0], held[1] = held[0] + right, held[1] + n
        return made

    def add(self, texts: tuple[str, ...], right: bool) -> None:
        held = self._by_texts[frozenset(texts)]
        held[0], held[1] = held[0] + right, held[1] + 1

    @property
    def n(self) -> int:
        return sum(n for _, n in self._by_texts.values())

    @property
    def share(self) -> float:
        return sum(right for right, _ in self._by_texts.values()) / self.n

    def resampled(self, rng: np.random.Generator) -> np.ndarray:
        """Shares of bootstrap resamples; where all answers are alike, spread between Wilson's bounds.

        Shapes: -> (1000,) float64.
        """
        if self.share in (0.0, 1.0):
            return np.linspace(*_wilson(self.share, self.n), _RESAMPLES)
        counts = np.array(list(self._by_texts.values()))
        rounds = math.ceil(_RESAMPLES * len(counts) / _MOST_AT_ONCE)
        drawn = []
        for part in np.array_split(np.arange(_RESAMPLES), rounds):
            picked = counts[rng.integers(len(counts), size=(len(part), len(counts)))].sum(1)
            drawn.append(picked[:, 0] / picked[:, 1])
        return np.concatenate(drawn)


def _part(category: str, share: float, resampled: np.ndarray, n: int) -> Part:
    low, high = np.quantile(resampled, (0.025, 0.975))
    return Part(category, share, min(float(low), share), max(float(high), share), n)


def _wilson(share: float, n: int) -> tuple[float, float]:
    middle, scale = share + _Z**2 / (2 * n), 1 + _Z**2 / n
    half = _Z * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n * n))
    return max((middle - half) / scale, 0.0), min((middle + half) / scale, 1.0)
