"""Does a model prefer the true sentence: what is in a public suite's files, and what share of it is answered right?

Layouts: SugarCrepe (one JSON object a category, its keys in any order and with gaps), ARO's VG-Relation and
VG-Attribution (a JSON list), Winoground (JSON lines). Only the layouts are tested here, with files of our own: the
suites themselves are not at hand. What an entry lacks is counted by its reason; a tie is a wrong answer.

Reference: Hsieh et al. 2023 (SugarCrepe), Yuksekgonul et al. 2023 (ARO: macro average over relations without the
symmetric ones), Thrush et al. 2022 (Winoground: text, image and group score).
"""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kg.errors import SchemaViolation

__all__ = ["READERS", "Part", "Question", "Suite", "judge", "read_suite", "similarities"]

_Z = 1.96
_SYMMETRIC = frozenset(
    ["adjacent to", "beside", "by", "close to", "near", "next to", "with", "touching", "against", "and"]
)
"""Relations that hold both ways: their swapped sentence is true too. Our list; the published one was not at hand."""


class Question(NamedTuple):
    """Images and sentences, of which text i belongs to image i and no other; with one image, the first text is true."""

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


class Part(NamedTuple):
    """Share of right answers in one category, with its 95 % interval (Wilson)."""

    category: str
    accuracy: float
    low: float
    high: float
    n: int


Entries = Iterator[tuple[str, Any]]
Similarity = Callable[[str, str], float]


def read_suite(name: str, path: Path) -> Suite:
    """Questions of a suite's file, or of a folder with one file a category.

    Raises: SchemaViolation (unknown suite, nothing to read, malformed JSON, no usable entry).
    """
    if name not in READERS:
        raise SchemaViolation(f"evaluate-structure {name!r}: no such suite; choose {', '.join(READERS)}")
    pattern = "*.jsonl" if name == "winoground" else "*.json"
    files = sorted(path.glob(pattern)) if path.is_dir() else [path]
    left_out: Counter[str] = Counter()
    questions: list[Question] = []
    for file in files:
        for category, entry in _entries(file, left_out):
            question = READERS[name](category, entry) if isinstance(entry, Mapping) else "not an object"
            if isinstance(question, Question):
                questions.append(question)
            else:
                left_out[question] += 1
    if not questions:
        raise SchemaViolation(f"{path}: no entry of {name} could be read ({dict(left_out) or 'no files'})")
    return Suite(name, questions, left_out)


def judge(suite: Suite, similarity: Similarity, *, images: Iterable[str] | None = None) -> list[Part]:
    """Accuracy by category, then `macro` over them; questions whose `images` are missing are counted in `left_out`."""
    there = None if images is None else set(images)
    right: defaultdict[str, list[bool]] = defaultdict(list)
    for question in suite.questions:
        if there is not None and not there.issuperset(question.images):
            suite.left_out["missing image"] += 1
            continue
        for category, answer in _answers(question, similarity):
            right[category].append(answer)
    parts = [_part(category, answers) for category, answers in sorted(right.items())]
    if len(parts) > 1 and suite.name != "winoground":
        mean = float(np.mean([part.accuracy for part in parts]))
        half = _Z * math.sqrt(sum(p.accuracy * (1 - p.accuracy) / p.n for p in parts)) / len(parts)
        parts.append(Part("macro", mean, max(mean - half, 0.0), min(mean + half, 1.0), sum(p.n for p in parts)))
    return parts


def similarities(file: Path) -> tuple[Similarity, set[str]]:
    """Cosines from a file of vectors computed beforehand, and the images in it.

    An .npz with `images` and `texts` (strings), `image_vectors` and `text_vectors`. Shapes: (n,), (m,), (n, d), (m, d).
    Raises: SchemaViolation (unreadable, or its shapes disagree).
    """
    try:
        with np.load(file, allow_pickle=False) as held:
            rows = {kind: {str(key): n for n, key in enumerate(held[f"{kind}s"])} for kind in ("image", "text")}
            vectors = {kind: _unit(held[f"{kind}_vectors"]) for kind in ("image", "text")}
    except (OSError, ValueError, KeyError) as error:
        raise SchemaViolation(f"{file}: cannot be read ({error}); see `korvai evaluate-structure --help`") from error
    if vectors["image"].shape[1] != vectors["text"].shape[1]:
        raise SchemaViolation(f"{file}: vectors are {vectors['image'].shape[1]} and {vectors['text'].shape[1]} long")

    def similarity(image: str, text: str) -> float:
        if text not in rows["text"]:
            raise SchemaViolation(f"{file}: holds no vector of the text {text[:60]!r}; embed all of the suite's texts")
        return float(vectors["image"][rows["image"][image]] @ vectors["text"][rows["text"][text]])

    return similarity, set(rows["image"])


def _entries(file: Path, left_out: Counter[str]) -> Entries:
    try:
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".jsonl":
            for line in filter(str.strip, text.splitlines()):
                try:
                    yield file.stem, json.loads(line)
                except ValueError:
                    left_out["line that is no JSON"] += 1
            return
        held = json.loads(text)
    except (OSError, ValueError) as error:
        raise SchemaViolation(f"{file}: cannot be read as JSON ({error})") from error
    if not isinstance(held, list | dict):
        raise SchemaViolation(f"{file}: holds a {type(held).__name__}, neither a list nor an object")
    for entry in held.values() if isinstance(held, dict) else held:
        yield file.stem, entry


def _sugarcrepe(category: str, entry: Mapping[str, Any]) -> Question | str:
    return _pair(category, entry.get("filename"), entry.get("caption"), entry.get("negative_caption"))


def _aro(category: str, entry: Mapping[str, Any]) -> Question | str:
    relation, attributes = entry.get("relation_name"), entry.get("attributes")
    if isinstance(relation, str) and relation in _SYMMETRIC:
        return "symmetric relation"
    name = relation if isinstance(relation, str) else "_".join(map(str, attributes)) if attributes else category
    image = entry.get("image_path", entry.get("image_id"))
    return _pair(name, None if image is None else str(image), entry.get("true_caption"), entry.get("false_caption"))


def _winoground(category: str, entry: Mapping[str, Any]) -> Question | str:
    values = [entry.get(name) for name in ("image_0", "image_1", "caption_0", "caption_1")]
    if not all(isinstance(value, str) and value for value in values):
        return "entry without image or caption"
    tag = entry.get("collapsed_tag")
    return Question(tag if isinstance(tag, str) and tag else category, tuple(values[:2]), tuple(values[2:]))


READERS: dict[str, Callable[[str, Mapping[str, Any]], Question | str]] = {
    "sugarcrepe": _sugarcrepe,
    "aro": _aro,
    "winoground": _winoground,
}


def _pair(category: str, image: Any, true: Any, false: Any) -> Question | str:
    if not all(isinstance(value, str) and value.strip() for value in (image, true, false)):
        return "entry without image or caption"
    return Question(category, (image,), (true, false)) if true != false else "both captions are the same"


def _answers(question: Question, similarity: Similarity) -> Iterator[tuple[str, bool]]:
    scores = [[similarity(image, text) for text in question.texts] for image in question.images]
    if len(question.images) == 1:
        yield question.category, scores[0][0] > scores[0][1]
        return
    (a, b), (c, d) = scores
    text, image = a > b and d > c, a > c and d > b
    yield from (("text", text), ("image", image), ("group", text and image))


def _part(category: str, answers: list[bool]) -> Part:
    n, share = len(answers), sum(answers) / len(answers)
    middle, scale = (share + _Z**2 / (2 * n)), 1 + _Z**2 / n
    half = _Z * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n * n))
    return Part(category, share, max((middle - half) / scale, 0.0), min((middle + half) / scale, 1.0), n)


def _unit(vectors: np.ndarray) -> np.ndarray:
    if vectors.ndim != 2:
        raise ValueError(f"vectors of shape {vectors.shape}")
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
