"""Structure-CLIP: does a model tell sentences of the same words apart, when it has seen false ones made from scene
graphs, and reads the triples of every sentence?

Two forms, because paper and published code differ:

|                    | paper                                   | code (zjukg/Structure-CLIP)                         |
|--------------------|-----------------------------------------|-----------------------------------------------------|
| pictures and texts | InfoNCE                                 | triplets with the hardest of the batch, margin 0.2  |
| false texts        | hinge, margin 0.2, with their knowledge | 5 x ranking, margin 0.1, without any knowledge      |
| knowledge          | text + 0.2 * knowledge                  | text + 0.2 * unit(knowledge), not renormalised      |

In both every sentence, true or false, is read by the same reader when it is scored. Ablations: `knowledge_weight: 0`,
`negatives_per_text: 0`; both give the plain fine-tuned model. `false_texts: choices` with `knowledge_weight: 0` is
NegCLIP: false texts as further choices of InfoNCE.

`scene_facts` is ours: beside its caption a picture learns from single triples of its scene, each against a false form,
L = mean softplus(s (<u, k_false> - <u, k_true>)), k the knowledge of one triple, s the scale.

Reference: Huang et al. 2024, "Structure-CLIP: Towards Scene Graph Knowledge to Enhance Multi-modal Structured
Representations"; Yuksekgonul et al. 2023 (NegCLIP).
"""

from __future__ import annotations

from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from training.losses.structure import hardest_in_batch_loss, hinge_loss, image_text_graph_loss
from training.registry import Batch, recipe
from training.structure.batches import Plan
from training.structure.recipe import CaptionRecipe, StructureConfig

__all__ = ["Config", "StructureClip"]


class Config(StructureConfig):
    """What a Structure-CLIP run can set."""

    form: Literal["paper", "code"] = Field("paper", description="Losses as in the paper or as in its code.")
    false_texts: Literal["hinge", "choices"] = Field(
        "hinge", description="False texts as a margin beside InfoNCE, or as further choices in it (NegCLIP)."
    )
    knowledge_weight: float = Field(0.2, ge=0, description="Of the triples' vector beside the text's; 0: without it.")
    knowledge_layers: int = Field(2, ge=1, le=12, description="Transformer layers over the triples.")
    margin: float = Field(0.2, ge=0, description="Between true and false texts, in cosines.")
    hinge_weight: float = Field(1.0, ge=0, description="Of the margin beside InfoNCE.")
    scene_facts: int = Field(
        0,
        ge=0,
        le=32,
        description="Triples of each picture's scene a step, each beside a false form; only where scenes are exact.",
    )
    facts_weight: float = Field(1.0, ge=0, description="Of those triples.")


@recipe("structureclip", Config)
class StructureClip(CaptionRecipe):
    """The recipe."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.knowledge_weight, self.knowledge_layers = config.knowledge_weight, config.knowledge_layers
        self._first_epoch = True

    def start_epoch(self, epoch: int) -> None:
        """The published code begins with a mean in the place of the hardest of a batch: its first 100 steps, here the
        first epoch."""
        self._first_epoch = epoch == 0

    def plan(self) -> Plan:
        """One caption a picture with its false forms, and the triples of all."""
        config = self.config
        ignore = config.true_elsewhere == "ignored"
        triples = config.knowledge_weight > 0
        facts = config.scene_facts if triples else 0
        return Plan(0, config.negatives_per_text, config.negative_kinds, triples=triples, ignore=ignore, facts=facts)

    def losses(self, batch: Batch, image: Tensor, text: Tensor, false: Tensor) -> dict[str, Tensor]:
        """Pictures against texts, true against false texts, and facts of scenes against false ones."""
        losses = (self._as_in_code if self.config.form == "code" else self._as_in_paper)(batch, image, text, false)
        return losses | ({"facts_loss": self._of_facts(batch, image)} if len(batch["fact"]) else {})

    def _of_facts(self, batch: Batch, image: Tensor) -> Tensor:
        """Ours: a picture is nearer to a triple of its scene than to a false form of it."""
        both = self.net.knowledge(torch.cat([batch["fact"], batch["turned"]]))
        true, false = (image[batch["fact_image"]] * part for part in both.split(len(batch["fact"])))
        return self.config.facts_weight * F.softplus(self.net.scale() * (false - true).sum(1)).mean()

    def _as_in_paper(self, batch: Batch, image: Tensor, text: Tensor, false: Tensor) -> dict[str, Tensor]:
        config, ignored = self.config, batch["ignored"]
        text, false = self.known(batch, text, false)
        contrast = partial(image_text_graph_loss, image, text, batch["belongs"], scale=self.net.scale())
        if config.false_texts == "choices":
            return {"choice_loss": contrast(false=false, ignored=ignored)}
        losses = {"contrast_loss": contrast(ignored=ignored[:, : len(text)])}
        if len(false):
            losses["hinge_loss"] = config.hinge_weight * self._margin(batch, image, text, false)
        return losses

    def _as_in_code(self, batch: Batch, image: Tensor, text: Tensor, false: Tensor) -> dict[str, Tensor]:
        margin, merged = self.config.margin, text
        if self.net.knowledge is not None:
            merged = self.net.with_knowledge(text, batch["triples"][: len(text)], unit=False)
        losses = {"triplet_loss": hardest_in_batch_loss(image, merged, margin=0.2, mean_over_images=self._first_epoch)}
        if len(false):
            losses["hinge_loss"] = self.config.hinge_weight * self._margin(batch, image, text, false, margin=margin / 2)
        return losses

    def _margin(
        self, batch: Batch, image: Tensor, text: Tensor, false: Tensor, *, margin: float | None = None
    ) -> Tensor:
        of_false = image[batch["false_image"]]
        true = (of_false * text[batch["false_of"]]).sum(1)
        return hinge_loss(true, (of_false * false).sum(1), margin=self.config.margin if margin is None else margin)
