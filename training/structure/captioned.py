"""What do these recipes learn from: pictures behind the frozen blocks, captions, what is known of each picture?"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from kg.errors import EmptySplit
from kg.scenes.negatives import make_negatives
from kg.scenes.plausible import Plausible
from kg.scenes.scene import Scene
from kg.scenes.telling import IS, Parser, Told, Triple, Words, tell_all
from training.structure.shown import Facts, Shown, facts_of, shown_by

__all__ = ["Captioned", "CaptionedImages"]


def _anything(_: str) -> bool:
    return True


class Captioned(NamedTuple):
    """A caption of image number `image`; `whole`: `scene` is the image's, not only what the caption says."""

    image: int
    text: str
    scene: Scene
    truth: Scene
    whole: bool


@dataclass(frozen=True)
class CaptionedImages:
    """Pictures with captions, in splits.

    Shapes: tokens (images, tokens, width) float16; rows: split -> numbers of its images.
    """

    tokens: np.ndarray
    captions: Sequence[Captioned]
    rows: Mapping[str, np.ndarray]
    words: Words
    plausible: Plausible
    may_say: Callable[[str], bool] = _anything
    """False of texts that training must not see, such as those with a held-out compound."""
    exact: bool = False
    """Whether scenes are the renderer's, one motif a place and each slot told; what another one lacks may be there."""
    parser: Parser = "words"
    readable: np.ndarray | None = None
    """Shapes: (images,) bool; None: all of them."""
    _told: dict[str, Told] = field(default_factory=dict)
    _facts: dict[str, Facts] = field(default_factory=dict)
    _shown: dict[int, Shown] = field(default_factory=dict)
    _turned: dict[int, list[tuple[Triple, tuple[Triple, ...]]]] = field(default_factory=dict)

    @cached_property
    def captions_of(self) -> dict[int, list[Captioned]]:
        """Image -> its captions."""
        found: dict[int, list[Captioned]] = {}
        for caption in self.captions:
            found.setdefault(caption.image, []).append(caption)
        return found

    def of(self, split: str) -> np.ndarray:
        """Numbers of a split's images that have a caption. Raises: EmptySplit."""
        rows = [row for row in self.rows.get(split, ()) if row in self.captions_of]
        if not rows:
            raise EmptySplit(f"no image of {split} has a caption; import captions or more images")
        return np.asarray(rows)

    def tell(self, text: str) -> Told:
        """What a sentence says, by the same reading for all of them."""
        if text not in self._told:
            self._told[text] = tell_all([text], self.words, parser=self.parser)[0]
        return self._told[text]

    def facts(self, text: str) -> Facts:
        """What a sentence tells, to be looked up in pictures."""
        if text not in self._facts:
            self._facts[text] = facts_of(self.tell(text))
        return self._facts[text]

    def shown(self, image: int) -> Shown:
        """What is known of an image that has a caption."""
        if image not in self._shown:
            self._shown[image] = shown_by(self.captions_of[image][0].truth)
        return self._shown[image]

    def turned(self, image: int) -> list[tuple[Triple, tuple[Triple, ...]]]:
        """What an image shows, each fact with its false forms; nothing where scenes are not drawn ones, since what was
        not told may be true, and nothing that training must not say."""
        if image not in self._turned:
            facts = self.shown(image).turned() if self.exact else []
            said = [(fact, tuple(form for form in forms if self._may_tell(form))) for fact, forms in facts]
            self._turned[image] = [(fact, forms) for fact, forms in said if forms and self._may_tell(fact)]
        return self._turned[image]

    def _may_tell(self, triple: Triple) -> bool:
        head, relation, tail = triple
        return self.may_say(f"{tail} {head}" if relation == IS else f"{head} {relation} {tail}")

    def false_texts(
        self, text: str, of: Captioned, rng: random.Random, *, kinds: tuple[str, ...], most: int, part: bool = False
    ) -> list[str]:
        """At most `most` sentences almost like `text` and false of the image of caption `of`; `part`: a sub-graph."""
        if not most:
            return []
        made = make_negatives(
            text, of.scene, self.plausible, rng=rng, truth=of.truth, whole=of.whole or part, kinds=kinds
        )
        texts = [negative.text for negative in made if self.may_say(negative.text)]
        return rng.sample(texts, min(most, len(texts)))
