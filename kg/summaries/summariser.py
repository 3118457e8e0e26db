"""Who makes a long text short, keeping what can be seen: sentences of its own, or a language model?

A summariser has a `name`, which is written down as the source of what it says, and `summarise(title, text)`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from kg.errors import ServiceError, SettingsError

if TYPE_CHECKING:
    import httpx

__all__ = ["Endpoint", "Extractive", "Summariser", "first_words"]

_KEY = "KORVAI_SUMMARISER_KEY"
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9\"“(])|\n+")
_WORD = re.compile(r"[a-z]+")
_VISUAL_WEIGHT = 0.5
_TIMEOUT_S = 60.0
_VISUAL_FILE = Path(__file__).resolve().parents[2] / "data" / "summaries" / "visual_words.txt"


class Summariser(Protocol):
    """Makes texts short."""

    name: str

    def summarise(self, title: str, text: str, *, words: int) -> str:
        """At most so many words about what can be seen of `title`."""


class Extractive:
    """The sentences that are most like the whole text and say most of what can be seen, in their own order.

    score(s) = cos(s, centroid) + half of the share of visual words among its words (their root). Nothing is made up.
    Reference: Radev et al. 2004, Centroid-based summarization of multiple documents, with embeddings for words.
    """

    name = "extractive"

    def __init__(self, encode: Callable[[Sequence[str]], np.ndarray]) -> None:
        """`encode`: texts to unit vectors, as `kg.encoders.text.TextEncoder.encode`."""
        self._encode = encode

    def summarise(self, title: str, text: str, *, words: int) -> str:  # noqa: ARG002
        """Whole sentences as far as they fit, at least the best one's first words."""
        sentences = [part.strip() for part in _SENTENCE.split(text) if part.strip()]
        if len(text.split()) <= words or len(sentences) < 2:
            return first_words(" ".join(sentences), words)
        vectors = np.asarray(self._encode(sentences), np.float64)
        centroid = vectors.mean(0)
        likeness = vectors @ centroid / max(float(np.linalg.norm(centroid)), 1e-12)
        score = likeness + _VISUAL_WEIGHT * np.sqrt([_visual_share(sentence) for sentence in sentences])
        chosen: list[int] = []
        for place in np.argsort(-score, kind="stable").tolist():
            if sum(len(sentences[n].split()) for n in (*chosen, place)) <= words:
                chosen.append(place)
        chosen = chosen or [int(score.argmax())]
        return first_words(" ".join(sentences[place] for place in sorted(chosen)), words)


class Endpoint:
    """A language model behind any endpoint that speaks OpenAI's chat completions; the key is in the environment."""

    def __init__(self, url: str, model: str, *, key: str | None = None, timeout_s: float = _TIMEOUT_S) -> None:
        if not url.startswith(("http://", "https://")) or not model:
            raise SettingsError(
                f"--endpoint {url!r} --model {model!r}: give an address such as http://127.0.0.1:8080/v1, and a model"
            )
        self.url, self.model, self.name = url.rstrip("/"), model, model
        self._key, self._timeout_s = key or os.environ.get(_KEY, ""), timeout_s

    def summarise(self, title: str, text: str, *, words: int) -> str:
        """What the model answers, cut to so many words.

        Raises: ServiceError where the endpoint cannot be reached, refuses, or answers something else.
        """
        import httpx

        asked = (
            f"Describe {title} in at most {words} words: only what can be seen of it, such as colours, shapes, motifs, "
            f"materials, composition. Use nothing but this text. Answer with the description alone.\n\n{text}"
        )
        body = {"model": self.model, "temperature": 0, "messages": [{"role": "user", "content": asked}]}
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        try:
            answer = httpx.post(f"{self.url}/chat/completions", json=body, headers=headers, timeout=self._timeout_s)
        except httpx.HTTPError as error:
            raise ServiceError(f"asking {self.url}: {type(error).__name__} {error}; is it running?") from error
        return first_words(self._said(answer), words)

    def _said(self, answer: httpx.Response) -> str:
        if answer.status_code != 200:
            hint = f"; set {_KEY}" if answer.status_code in (401, 403) else ""
            raise ServiceError(f"asking {self.url}: HTTP {answer.status_code} {answer.text[:200]!r}{hint}")
        try:
            said: Any = answer.json()["choices"][0]["message"]["content"]
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise ServiceError(
                f"asking {self.url}: no chat completion in {answer.text[:200]!r}; give the address that ends in /v1"
            ) from error
        if not isinstance(said, str) or not said.strip():
            raise ServiceError(f"asking {self.url}: model {self.model} answered nothing; try another model")
        return said


def first_words(text: str, count: int) -> str:
    """The text on one line, cut after so many words."""
    words = text.split()
    return " ".join(words) if len(words) <= count else " ".join(words[:count]).rstrip(",;:") + " …"


def _visual_share(sentence: str) -> float:
    found = _WORD.findall(sentence.lower())
    return sum(word in _visual_words() for word in found) / max(1, len(found))


@cache
def _visual_words() -> frozenset[str]:
    return frozenset(_VISUAL_FILE.read_text(encoding="utf-8").split())
