"""Which words are pictures read by, and what do features look like once they are read?

With readings (`kg.encoders.readings`) the joint space has one axis for each node that a relation with a phrase leads
to: a picture's vector says how much of each it shows, a class's how often each is its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kg.encoders.readings import Readings, read_images
from kg.errors import RecipeConfigError
from training.class_inputs import speak
from training.features import Features

__all__ = ["AskedFeatures", "ReadFeatures", "Words", "with_words", "words_of"]

Words = Mapping[str, tuple[str, ...]]
"""Relation -> keys of the nodes that pictures are read by."""


def words_of(snapshot: Any, phrases: Mapping[str, str], *, label: str) -> dict[str, tuple[str, ...]]:
    """Keys of all nodes that relations with a phrase link with nodes of `label`.

    Raises: RecipeConfigError where there are none.
    """
    found: dict[str, set[str]] = {}
    for source, relation, target in snapshot.edge_types:
        if relation in phrases and label in (source, target):
            ends = snapshot.edges((source, relation, target))
            other, rows = (target, ends[1]) if source == label else (source, ends[0])
            found.setdefault(relation, set()).update(str(snapshot.keys(other)[row]) for row in np.unique(rows))
    if not any(found.values()):
        raise RecipeConfigError(
            f"readings: no {label} has one of the relations {', '.join(phrases)}; "
            "give it relations that have a phrase, or set readings=none"
        )
    return {relation: tuple(sorted(words)) for relation, words in sorted(found.items()) if words}


def with_words(config: Any, snapshot: Any) -> Any:
    """A recipe's configuration with the words that pictures are read by; without phrases nothing can be read.

    Raises: RecipeConfigError where no class has a relation with a phrase.
    """
    if config.readings != "graph":
        return config
    label = snapshot.domain.task(config.task)[1].target
    words = words_of(snapshot, config.phrases, label=label) if config.phrases else "none"
    return config.model_copy(update={"readings": words})


class ReadFeatures:
    """Features whose images are readings and whose phrases are distributions over the same axes; else as they were."""

    def __init__(self, features: Features, phrases: Mapping[str, str], words: Words, *, scale: float) -> None:
        self._features, self._relations = features, tuple(words)
        self.texts_of = {r: [speak(phrases[r], word) for word in words[r]] for r in words}
        vectors = [features.phrases(r, texts) for r, texts in self.texts_of.items()]
        self.readings = Readings(np.concatenate(vectors), tuple(map(len, vectors)), scale)
        starts = dict(zip(words, np.cumsum([0, *self.readings.sizes]).tolist(), strict=False))
        self._axes = {r: {text: starts[r] + n for n, text in enumerate(texts)} for r, texts in self.texts_of.items()}

    def images(self, snapshot: Any) -> tuple[np.ndarray, np.ndarray]:
        """Unit vectors of all images and which of them are readable. Shapes: (images, width), (images,) bool."""
        feat, readable = self._features.images(snapshot)
        return read_images(self.readings, feat), readable

    def patches(self, snapshot: Any) -> tuple[np.ndarray, np.ndarray]:
        """Unit vectors of all images' patches, each read like a picture. Shapes: (images, tokens, width), (images,)."""
        feat, readable = self._features.patches(snapshot)
        flat = np.asarray(feat, np.float32).reshape(-1, feat.shape[-1])
        return read_images(self.readings, flat).reshape(*feat.shape[:2], -1), readable

    @property
    def unread(self) -> Features:
        """The features below."""
        return self._features

    def image_width(self) -> int:
        """Axes of the readings."""
        return self.readings.width

    def phrases(self, relation: str, texts: Sequence[str]) -> np.ndarray:
        """What a relation says, as shares of its own axes; nothing for one that had no word. Shapes: (texts, width)."""
        if relation not in self._relations:
            return np.zeros((len(texts), self.readings.width), np.float32)
        vectors = self._features.phrases(relation, texts)
        return self.readings.shares(vectors, relation=self._relations.index(relation))

    def __getattr__(self, name: str) -> Any:
        """Texts, encoders and their record are those of the features below."""
        return getattr(self._features, name)


class AskedFeatures(ReadFeatures):
    """Features whose images stay the encoder's own, to be read while training; a word is itself and nothing else."""

    def images(self, snapshot: Any) -> tuple[np.ndarray, np.ndarray]:
        """The encoder's unit vectors and which images are readable."""
        return self._features.images(snapshot)

    def phrases(self, relation: str, texts: Sequence[str]) -> np.ndarray:
        """A text that is one of the relation's phrases has its own axis, one that is not is read as what is near it."""
        shares = super().phrases(relation, texts)
        for row, text in enumerate(texts):
            if text in self._axes.get(relation, {}):
                shares[row] = np.eye(1, self.readings.width, self._axes[relation][text], dtype=np.float32)
        return shares
