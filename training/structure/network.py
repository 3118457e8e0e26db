"""Which part of an image-text model learns, when an arm must cost minutes on one core?

The image tower's first blocks stay as they are; what enters the last ones is computed once and kept (kg/encoders/tail).
The last blocks, the projection and the whole text tower learn. Nothing is added to the towers, so that what comes
out is an open_clip model like the one that went in; the knowledge encoder stands beside it.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from kg.encoders.image import ImageEncoder
from kg.encoders.knowledge_encoder import KnowledgeEncoder
from kg.encoders.tail import cut, with_tail
from kg.errors import RecipeConfigError
from training.recipes.contrastive import encode_tokens

__all__ = ["StructureNet", "quick_attention"]

_TEXTS_TOGETHER = 64


def quick_attention(device: torch.device) -> AbstractContextManager[None]:
    """The form of attention that learns soonest: on a CPU the plain one, since the backward pass of the fused one
    is slow with sequences as short as these. Decided in the forward pass.
    """
    return sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext()


class StructureNet(nn.Module):
    """An image-text model that takes up pictures behind its frozen blocks, and the knowledge encoder where wanted."""

    def __init__(self, encoder: ImageEncoder, *, blocks: int, knowledge_weight: float, layers: int = 2) -> None:
        """Raises: RecipeConfigError (no text tower of its own), EncoderError (a tower that cannot be cut there)."""
        super().__init__()
        model = None if encoder.clip is None else encoder.clip.model
        if not hasattr(model, "text"):
            raise RecipeConfigError(
                f"{encoder.name} has no text tower of its own; set KORVAI_VISION_ENCODER to an image-text model that "
                "has (open_clip's with custom_text, such as korvai-small)"
            )
        self.tail, self.text = cut(encoder, blocks), deepcopy(model.text).float()
        self.tail.unlock(blocks)
        self.text.requires_grad_(True)
        self.logit_scale = nn.Parameter(model.logit_scale.detach().clone().float())
        self.blocks, self.knowledge_weight = blocks, knowledge_weight
        self.knowledge = None
        if knowledge_weight:
            vectors = self.text.token_embedding.weight
            self.knowledge = KnowledgeEncoder(vectors, self.dim, layers=layers)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self.text.text_projection.shape[1]

    def images(self, tokens: Tensor) -> Tensor:
        """Unit vectors from what the frozen blocks give. Shapes: (n, tokens, width) -> (n, dim)."""
        return F.normalize(self.tail(tokens, blocks=self.blocks).float(), dim=-1)

    def plain_texts(self, tokens: Tensor) -> Tensor:
        """Unit vectors by the text tower alone; texts of like length go together, so that little padding is computed,
        and equal ones are computed once.

        Shapes: (n, context) -> (n, dim).
        """
        tokens, at = tokens.unique(dim=0, return_inverse=True)
        order = (tokens != 0).sum(1).argsort()
        parts = [encode_tokens(self.text, tokens[rows]).float() for rows in order.split(_TEXTS_TOGETHER)]
        return F.normalize(torch.cat(parts)[order.argsort()], dim=-1)[at]

    def texts(self, tokens: Tensor, triples: Tensor | None = None) -> Tensor:
        """unit(text + weight * knowledge): unit vectors. Shapes: (n, context), (n, triples, 3, tokens) -> (n, dim)."""
        plain = self.plain_texts(tokens)
        return plain if self.knowledge is None or triples is None else self.with_knowledge(plain, triples)

    def with_knowledge(self, plain: Tensor, triples: Tensor, *, unit: bool = True) -> Tensor:
        """Text vectors with what their triples add, renormalised or (as in the published code) not."""
        summed = plain + self.knowledge_weight * self.knowledge(triples)
        return F.normalize(summed, dim=-1) if unit else summed

    def scale(self) -> Tensor:
        """1/temperature, at most 100."""
        return self.logit_scale.exp().clamp(max=100)

    def trained(self, encoder: ImageEncoder) -> ImageEncoder:
        """The encoder with these towers in the place of its own, which stay as they are; without knowledge."""
        tuned = with_tail(encoder, self.tail)
        model = tuned.clip.model
        model.text.load_state_dict(self.text.state_dict())
        model.logit_scale.data.copy_(self.logit_scale.detach())
        return tuned
