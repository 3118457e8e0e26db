"""MosaiCLIP: does it help to show every picture with sentences of all sizes, and false forms of each?

What a caption tells is a graph. It is decomposed from coarse to fine (training/structure/subgraphs.py): the whole
sentence, unions of facts, single things with their attributes, single relations, each rendered as text. All of them
belong to the picture; each has hard negatives that were made in the graph: things swapped, attributes swapped, a
relation replaced, or a node replaced by what other images' scenes hold in such a place (cross-image).

    L = image-text-graph loss over all texts (training/losses/structure.py)

`keep` > 0 mixes the weights with the starting model's, w = (1 - keep) * trained + keep * start, when they are measured
and published; `interpolation` gives the whole curve.

Reference: Singh et al. 2023, "Coarse-to-Fine Contrastive Learning in Image-Text-Graph Space", after the paper's
description: the paper itself was not at hand, so wording, sampling and numbers are ours. Wortsman et al. 2022
(weight interpolation).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from kg.encoders.image import ImageEncoder
from kg.encoders.knowledge import Knowledge
from training.losses.structure import image_text_graph_loss
from training.registry import Batch, recipe
from training.structure.batches import Plan
from training.structure.captioned import CaptionedImages
from training.structure.recipe import CaptionRecipe, StructureConfig

__all__ = ["Config", "MosaiClip"]


class Config(StructureConfig):
    """What a MosaiCLIP run can set."""

    subgraphs: int = Field(2, ge=0, le=8, description="Sub-graphs of a caption that are shown beside it; 0: none.")
    keep: float = Field(0.0, ge=0, le=1, description="Share of the starting model in the weights that are used.")


@recipe("mosaiclip", Config)
class MosaiClip(CaptionRecipe):
    """The recipe."""

    def build(self, snapshot: CaptionedImages, encoders: Any) -> None:
        """As all of them; the weights at the start are kept for interpolation."""
        super().build(snapshot, encoders)
        self._start = {name: tensor.clone() for name, tensor in self.net.state_dict().items()}

    def plan(self) -> Plan:
        """A caption, its sub-graphs, and false forms of each."""
        return self.planned(subgraphs=self.config.subgraphs)

    def losses(self, batch: Batch, image: Tensor, text: Tensor, false: Tensor) -> dict[str, Tensor]:
        """The image-text-graph loss."""
        text, false = self.known(batch, text, false)
        form = {"scale": self.net.scale(), "false": false, "ignored": batch["ignored"]}
        loss = image_text_graph_loss(image, text, batch["belongs"], **form)
        return {"graph_loss": loss}

    def evaluate(self, split: str) -> dict[str, float]:
        """As all of them, with the weights that are used."""
        with self._used():
            return super().evaluate(split)

    def encode_images(self, images: Any) -> Tensor:
        """As all of them, with the weights that are used."""
        with self._used():
            return super().encode_images(images)

    def encode_texts(self, texts: Sequence[str], *, knowledge: bool = True) -> Tensor:
        """As all of them, with the weights that are used."""
        with self._used():
            return super().encode_texts(texts, knowledge=knowledge)

    def trained_encoder(self) -> ImageEncoder:
        """As all of them, with the weights that are used."""
        with self._used():
            return super().trained_encoder()

    def knowledge(self) -> Knowledge | None:
        """As all of them, with the weights that are used."""
        with self._used():
            return super().knowledge()

    @contextmanager
    def kept(self, share: float) -> Iterator[None]:
        """Inside, the weights are (1 - share) * trained + share * start."""
        trained = {name: tensor.clone() for name, tensor in self.net.state_dict().items()}
        mixed = {name: _mixed(tensor, self._start[name], share) for name, tensor in trained.items()}
        self.net.load_state_dict(mixed)
        try:
            yield
        finally:
            self.net.load_state_dict(trained)

    def interpolation(self, shares: Sequence[float], split: str = "valid") -> list[dict[str, float]]:
        """What every share of the starting model gives on a split: the curve."""
        curve = []
        for share in shares:
            with self.kept(share), torch.no_grad():
                curve.append({"keep": share, **super().evaluate(split)})
        return curve

    def _used(self) -> AbstractContextManager[None]:
        return self.kept(self.config.keep) if self.config.keep else nullcontext()


def _mixed(trained: Tensor, start: Tensor, share: float) -> Tensor:
    return torch.lerp(trained, start, share) if trained.is_floating_point() else trained
