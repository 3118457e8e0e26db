"""Which part of an image-text model learns, when the pictures of an arm must cost seconds?

The image tower's first blocks stay as they are; their tokens are computed once and kept. The last blocks, the
projection and the whole text tower learn. Nothing is added to the towers, so that what comes out is an open_clip model
like the one that went in; the knowledge encoder stands beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kg.errors import RecipeConfigError
from training.models.knowledge_encoder import KnowledgeEncoder
from training.recipes.contrastive import encode_tokens

__all__ = ["StructureNet", "frozen_tokens"]


_TEXTS_TOGETHER = 64


class StructureNet(nn.Module):
    """An image-text model that takes up pictures behind its frozen blocks, and the knowledge encoder where wanted."""

    def __init__(self, clip: nn.Module, *, trained_blocks: int, knowledge_weight: float, layers: int = 2) -> None:
        """Raises: RecipeConfigError where the towers are built otherwise than korvai-small's."""
        super().__init__()
        self.clip = deepcopy(clip).float()
        self.trained_blocks, self.knowledge_weight = trained_blocks, knowledge_weight
        self.knowledge = self._knowledge_encoder(layers) if knowledge_weight else None
        blocks = _blocks(self.clip)
        if not 0 <= trained_blocks <= len(blocks):
            raise RecipeConfigError(f"trained_blocks {trained_blocks}: the image tower has {len(blocks)}; take fewer")
        for parameter in self._frozen():
            parameter.requires_grad_(False)

    def images(self, tokens: Tensor) -> Tensor:
        """Unit vectors from the frozen blocks' tokens. Shapes: (n, tokens, width) -> (n, dim)."""
        visual = self.clip.visual
        for block in self._trained():
            tokens = block(tokens)
        feat = visual.trunk.forward_head(visual.trunk.norm(tokens))
        return F.normalize(visual.head(feat).float(), dim=-1)

    def plain_texts(self, tokens: Tensor) -> Tensor:
        """Unit vectors by the text tower alone; texts of like length go together, so that little padding is computed.

        Shapes: (n, context) -> (n, dim).
        """
        order = (tokens != 0).sum(1).argsort()
        parts = [encode_tokens(self.clip.text, tokens[rows]).float() for rows in order.split(_TEXTS_TOGETHER)]
        return F.normalize(torch.cat(parts)[order.argsort()], dim=-1)

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
        return self.clip.logit_scale.exp().clamp(max=100)

    def _trained(self) -> list[nn.Module]:
        blocks = _blocks(self.clip)
        return list(blocks[len(blocks) - self.trained_blocks :])

    def _frozen(self) -> Iterator[nn.Parameter]:
        """All of the trunk but its last blocks and what comes behind them."""
        trunk = self.clip.visual.trunk
        learning = {id(p) for part in (*self._trained(), trunk.norm, trunk.fc_norm) for p in part.parameters()}
        return (p for p in trunk.parameters() if id(p) not in learning)

    def _knowledge_encoder(self, layers: int) -> KnowledgeEncoder:
        text = self.clip.text
        return KnowledgeEncoder(text.token_embedding.weight, text.text_projection.shape[1], layers=layers)


def frozen_tokens(clip: nn.Module, pixels: Tensor, *, trained_blocks: int) -> Tensor:
    """Tokens before the blocks that learn, in eval mode. Shapes: (n, 3, px, px) -> (n, tokens, width)."""
    trunk = clip.visual.trunk
    blocks = _blocks(clip)
    with torch.no_grad():
        tokens = trunk.norm_pre(trunk.patch_drop(trunk._pos_embed(trunk.patch_embed(pixels))))
        for block in blocks[: len(blocks) - trained_blocks]:
            tokens = block(tokens)
    return tokens


def _blocks(clip: Any) -> nn.Sequential:
    try:
        return clip.visual.trunk.blocks
    except AttributeError as error:
        raise RecipeConfigError(
            "learning from scenes needs an image tower of timm's vision transformers (visual.trunk.blocks), such as "
            "korvai-small's; set KORVAI_VISION_ENCODER to one"
        ) from error
