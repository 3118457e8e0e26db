"""Structure-CLIP: does a model tell sentences of the same words apart, when it has seen false ones made from scene
graphs, and reads the triples of every sentence?

Two forms, because paper and published code differ:

|                    | paper                                   | code (zjukg/Structure-CLIP)                         |
|--------------------|-----------------------------------------|-----------------------------------------------------|
| pictures and texts | InfoNCE                                 | triplets with the hardest of the batch, margin 0.2  |
| false texts        | hinge, margin 0.2, with their knowledge | ranking, margin 0.1, without any knowledge          |
| knowledge          | text + 0.2 * knowledge                  | text + 0.2 * unit(knowledge), not renormalised      |

The preset `code` has the code's weight and margin of the ranking, 5 and 0.1. In both forms every sentence, true or
false, is read by the same reader when it is scored, and what is added is renormalised then. Ablations:
`knowledge_weight: 0`, `negatives_per_text: 0`; both give the plain fine-tuned model. `false_texts: choices` with
`knowledge_weight: 0` is NegCLIP: false texts as further choices of InfoNCE.

Reference: Huang et al. 2024, "Structure-CLIP: Towards Scene Graph Knowledge to Enhance Multi-modal Structured
Representations"; Yuksekgonul et al. 2023 (NegCLIP).
"""

from __future__ import annotations

from functools import partial
from typing import Literal, Self

from pydantic import Field, model_validator
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
    margin: float = Field(0.2, ge=0, description="Between true and false texts, in cosines.")
    hinge_weight: float = Field(1.0, ge=0, description="Of the margin beside InfoNCE.")

    @model_validator(mode="after")
    def _code_has_one_form(self) -> Self:
        if self.form == "code" and (self.true_elsewhere == "ignored" or self.false_texts == "choices"):
            raise ValueError(
                "form: code has no InfoNCE, so true_elsewhere: ignored and false_texts: choices say nothing there; "
                "leave them out, or take form: paper"
            )
        return self


@recipe("structureclip", Config)
class StructureClip(CaptionRecipe):
    """The recipe."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._first_epoch = True

    def start_epoch(self, epoch: int) -> None:
        """The published code begins with a mean in the place of the hardest of a batch: its first 100 steps, here the
        first epoch."""
        self._first_epoch = epoch == 0

    def plan(self) -> Plan:
        """One caption a picture with its false forms, and the triples of all."""
        return self.planned(subgraphs=0)

    def losses(self, batch: Batch, image: Tensor, text: Tensor, false: Tensor) -> dict[str, Tensor]:
        """Pictures against texts, and true against false texts."""
        return (self._as_in_code if self.config.form == "code" else self._as_in_paper)(batch, image, text, false)

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
        merged = text
        if self.net.knowledge is not None:
            merged = self.net.with_knowledge(text, batch["triples"][: len(text)], unit=False)
        losses = {"triplet_loss": hardest_in_batch_loss(image, merged, margin=0.2, mean_over_images=self._first_epoch)}
        if len(false):
            losses["hinge_loss"] = self.config.hinge_weight * self._margin(batch, image, text, false)
        return losses

    def _margin(self, batch: Batch, image: Tensor, text: Tensor, false: Tensor) -> Tensor:
        of_false = image[batch["false_image"]]
        true = (of_false * text[batch["false_of"]]).sum(1)
        return hinge_loss(true, (of_false * false).sum(1), margin=self.config.margin)
