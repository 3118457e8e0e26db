"""What is one training batch: pictures, texts that belong to them, false texts, and the triples of both?"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from kg.encoders.knowledge_encoder import Speller
from kg.scenes.negatives import KINDS
from kg.scenes.telling import Triple, triples_of
from training.registry import Batch
from training.structure.captioned import Captioned, CaptionedImages
from training.structure.subgraphs import subgraph_texts

__all__ = ["KEYS", "Inputs", "Plan", "make_batch"]

KEYS = (
    "image", "text", "belongs", "false", "false_of", "false_image", "ignored", "triples",
    "fact", "turned", "fact_image",
)  # fmt: skip
"""`image` tokens (n, tokens, width); `text` (K, context); `belongs` (n, K) bool; `false` (m, context), each the false
form of text `false_of` (m,) of image `false_image` (m,); `ignored` (n, K + m) bool, texts and false texts that are true
of an image that they do not come from; `triples` (K + m, triples, 3, tokens), or empty; `fact` (f, 1, 3, tokens),
triples that image `fact_image` (f,) shows, and `turned` (f, 1, 3, tokens), a false form of each."""


class Plan(NamedTuple):
    """How many of what a batch holds."""

    subgraphs: int = 0
    false_texts: int = 1
    kinds: tuple[str, ...] = KINDS
    triples: bool = False
    ignore: bool = False
    """Whether it is looked up which texts are true of other pictures of the batch."""
    facts: int = 0
    """Of each picture's scene, beside its caption."""


class Inputs:
    """Texts as the network takes them, each different one once."""

    def __init__(self, tokenizer: Any, data: CaptionedImages) -> None:
        self._tokenizer, self._speller, self._data = tokenizer, Speller(tokenizer), data
        self._tokens: dict[str, Tensor] = {}
        self._triples: dict[str, Tensor] = {}
        self._of_fact: dict[Triple, Tensor] = {}

    def tokens(self, texts: Sequence[str]) -> Tensor:
        """Shapes: -> (texts, context) int64."""
        for text in dict.fromkeys(texts):
            if text not in self._tokens:
                self._tokens[text] = self._tokenizer([text])[0]
        return torch.stack([self._tokens[text] for text in texts]) if texts else torch.zeros(0, 1, dtype=torch.long)

    def triples(self, texts: Sequence[str]) -> Tensor:
        """Shapes: -> (texts, triples, 3, tokens) int64, 0 where there is nothing."""
        for text in dict.fromkeys(texts):
            if text not in self._triples:
                self._triples[text] = self._speller.spelled(triples_of(self._data.tell(text)))
        return self._speller.stacked([self._triples[text] for text in texts])

    def facts(self, triples: Sequence[Triple]) -> Tensor:
        """Shapes: -> (triples, 1, 3, tokens) int64."""
        for triple in dict.fromkeys(triples):
            if triple not in self._of_fact:
                self._of_fact[triple] = self._speller.spelled([triple], room=1)
        return self._speller.stacked([self._of_fact[triple] for triple in triples], room=1)


class _Text(NamedTuple):
    image: int
    text: str
    caption: Captioned
    part: bool


def make_batch(rows: np.ndarray, data: CaptionedImages, inputs: Inputs, *, plan: Plan, rng: random.Random) -> Batch:
    """One caption an image, its sub-graphs and false forms of each, as the plan wants them."""
    texts = [text for n, row in enumerate(rows) for text in _texts(n, data.captions_of[int(row)], data, plan, rng)]
    said = [one.text for one in texts]
    known = set(said)
    false = [
        (k, wrong)
        for k, one in enumerate(texts)
        for wrong in data.false_texts(
            one.text, one.caption, rng, kinds=plan.kinds, most=plan.false_texts, part=one.part
        )
        if wrong not in known  # false of its own picture, but another one brought these very words
    ]
    wrong = [text for _, text in false]
    told = [(n, *one) for n, row in enumerate(rows) for one in _facts(data, int(row), plan.facts, rng)]
    belongs = _belongs(texts, len(rows))
    return {
        "image": torch.from_numpy(data.tokens[np.asarray(rows)].astype(np.float32)),
        "text": inputs.tokens(said),
        "belongs": belongs,
        "false": inputs.tokens(wrong),
        "false_of": torch.tensor([k for k, _ in false], dtype=torch.long),
        "false_image": torch.tensor([texts[k].image for k, _ in false], dtype=torch.long),
        "ignored": _true_elsewhere(rows, [*said, *wrong], belongs, data, look=plan.ignore),
        "triples": inputs.triples([*said, *wrong] if plan.triples else []),
        "fact": inputs.facts([fact for _, fact, _ in told]),
        "turned": inputs.facts([form for *_, form in told]),
        "fact_image": torch.tensor([n for n, *_ in told], dtype=torch.long),
    }


def _facts(data: CaptionedImages, image: int, most: int, rng: random.Random) -> list[tuple[Triple, Triple]]:
    """Some of what a picture shows, each beside one false form."""
    known = data.turned(image) if most else []
    return [(fact, rng.choice(forms)) for fact, forms in rng.sample(known, min(most, len(known)))]


def _texts(n: int, captions: Sequence[Captioned], data: CaptionedImages, plan: Plan, rng: random.Random) -> list[_Text]:
    caption = rng.choice(captions)
    parts = subgraph_texts(data.tell(caption.text).scene, rng, most=plan.subgraphs) if plan.subgraphs else []
    return [_Text(n, caption.text, caption, False)] + [
        _Text(n, text, caption, True) for text in parts if text != caption.text
    ]


def _belongs(texts: Sequence[_Text], images: int) -> Tensor:
    """A text belongs to its image, and to every other one that brought the very same words."""
    who: dict[str, set[int]] = {}
    for one in texts:
        who.setdefault(one.text, set()).add(one.image)
    belongs = torch.zeros(images, len(texts), dtype=torch.bool)
    for k, one in enumerate(texts):
        belongs[list(who[one.text]), k] = True
    return belongs


def _true_elsewhere(
    rows: np.ndarray, texts: Sequence[str], belongs: torch.Tensor, data: CaptionedImages, *, look: bool
) -> torch.Tensor:
    """Which texts are true of which images without belonging to them; none where nobody looks."""
    found = torch.zeros(len(rows), len(texts), dtype=torch.bool)
    if look:
        shown, facts = [data.shown(int(row)) for row in rows], [data.facts(text) for text in texts]
        found = torch.tensor([[one.shows(what) for what in facts] for one in shown])
        found[:, : belongs.shape[1]] &= ~belongs
    return found
