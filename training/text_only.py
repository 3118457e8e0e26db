"""How many of a suite's questions can be answered without looking at the picture?

A bag of words, word pairs and word triples with logistic regression, trained on the sentences of one half and asked
about the other. Questions with the same sentences stay in one half: a sentence that is true there and false here would
make the scorer worse than chance, and so hide what it knows.

Reference: Hsieh et al. 2023, section 3: suites whose false sentences can be told by their wording alone.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from kg.errors import EmptySplit
from training.suites import Question

__all__ = ["text_only_accuracy"]


def text_only_accuracy(questions: Iterable[Question], *, rng_seed: int = 0) -> dict[str, float]:
    """Share of right answers from sentences alone, by category, over both halves in turn; a tie counts half.

    Raises: EmptySplit where a category has less than two different pairs of sentences.
    """
    by_category: defaultdict[str, list[Question]] = defaultdict(list)
    for question in questions:
        by_category[question.category].append(question)
    return {category: _accuracy(asked, rng_seed) for category, asked in by_category.items()}


def _accuracy(questions: Sequence[Question], rng_seed: int) -> float:
    pairs = sorted({_pair(q) for q in questions}, key=lambda pair: _order(pair, rng_seed))
    if len(pairs) < 2:
        raise EmptySplit(f"text-only scorer: {questions[0].category!r} has {len(pairs)} pair of sentences; give more")
    first = set(pairs[: len(pairs) // 2])
    halves = [[q for q in questions if (_pair(q) in first) == side] for side in (True, False)]
    return float(np.concatenate([_answers(*halves), _answers(*reversed(halves))]).mean())


def _answers(learnt: Sequence[Question], asked: Sequence[Question]) -> np.ndarray:
    """1 right, 0 wrong, 0.5 where both sentences get the same score."""
    texts = [text for q in learnt for text in q.texts[:2]]
    model = make_pipeline(
        CountVectorizer(ngram_range=(1, 3), token_pattern=r"\b\w+\b"), LogisticRegression(max_iter=1000)
    )
    model.fit(texts, [1, 0] * len(learnt))
    margins = model.decision_function([text for q in asked for text in q.texts[:2]]).reshape(-1, 2)
    return (np.sign(np.round(margins[:, 0] - margins[:, 1], 9)) + 1) / 2


def _pair(question: Question) -> tuple[str, ...]:
    return tuple(sorted(question.texts))


def _order(pair: tuple[str, ...], rng_seed: int) -> bytes:
    return hashlib.sha256("\0".join([str(rng_seed), *pair]).encode()).digest()
