"""How do the towers of an image-text model learn prompts while their weights stay as they are?

Text: all texts begin with the same words, and a causal tower computes the same states for them whatever follows. Deep
prompts take the place of these states in each block; kept as offsets they begin at the prompt in words. Images: tokens
of each prompted block's own beside the patches, dropped after it; blocks before the first prompted one give the same
for a picture every time, so `early` may be kept.

Reference: Zhou et al. 2022, "Learning to prompt for vision-language models"; Jia et al. 2022, "Visual prompt tuning"
(deep); both towers as in HGCLIP section 3.2 (Xia et al. 2023).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kg.errors import RecipeConfigError

__all__ = ["PromptedImages", "PromptedTexts"]


class _Frozen:
    """Holds a tower without making it a part of the module that learns."""

    def __init__(self, tower: nn.Module) -> None:
        self.tower = tower.eval().requires_grad_(False)


class PromptedTexts(nn.Module):
    """Texts through a frozen text tower with offsets for the words that all of them begin with, as `like` does.

    Shapes: forward (texts, length) of token ids -> (texts, dim) of unit length.
    Raises: RecipeConfigError for a text tower of another library.
    """

    def __init__(self, clip: Any, like: Sequence[str], *, tokens: int) -> None:
        super().__init__()
        tower = getattr(clip.model, "text", clip.model)
        if not hasattr(tower, "token_embedding"):
            raise RecipeConfigError(f"prompts: {clip.name} has a text tower of another library; set text_prompts=0")
        self._frozen, self._tokenizer = _Frozen(tower), clip.tokenizer
        ids = self.ids(like)
        shared = int((ids == ids[:1]).all(0).int().cumprod(0).sum())
        blocks = len(tower.transformer.resblocks)
        self.offsets = nn.Parameter(torch.zeros(blocks, min(tokens, shared), tower.token_embedding.weight.shape[1]))

    def ids(self, texts: Sequence[str]) -> Tensor:
        """Token ids without the padding that all share. Shapes: -> (texts, length)."""
        ids = self._tokenizer(list(texts))
        return ids[:, : int((ids != 0).sum(1).max())]

    def forward(self, ids: Tensor) -> Tensor:
        tower, length, many = self._frozen.tower, ids.shape[1], self.offsets.shape[1]
        state = tower.token_embedding(ids) + tower.positional_embedding[:length]
        for block, offset in zip(tower.transformer.resblocks, self.offsets, strict=True):
            state = torch.cat([state[:, :many] + offset, state[:, many:]], 1)
            state = _through(tower.transformer, block, state, tower.attn_mask[:length, :length])
        ends = tower.ln_final(state[torch.arange(len(state)), ids.argmax(1)])
        projection = tower.text_projection
        return F.normalize(projection(ends) if callable(projection) else ends @ projection, dim=-1)


class PromptedImages(nn.Module):
    """Pictures through a frozen ViT whose last blocks see learned tokens beside the patches.

    Shapes: early (n, 3, px, px) -> (n, tokens, width); forward (n, tokens, width) -> (n, dim) of unit length.
    Raises: RecipeConfigError for an image tower that is no ViT.
    """

    def __init__(self, clip: Any, *, tokens: int, blocks: int) -> None:
        super().__init__()
        tower = clip.module
        self._frozen, self._timm = _Frozen(tower), hasattr(tower, "trunk")
        every = getattr(getattr(tower, "trunk", None), "blocks", None) if self._timm else _resblocks(tower)
        if every is None:
            raise RecipeConfigError(f"prompts: the image tower of {clip.name} is no ViT; set image_prompts=0")
        self._first = max(0, len(every) - blocks)
        width = next(every[-1].parameters()).shape[0]
        self.prompts = nn.Parameter(0.02 * torch.randn(len(every) - self._first, tokens, width))
        self.name = f"before-block-{self._first}"

    @torch.no_grad()
    def early(self, pixels: Tensor) -> Tensor:
        """States before the first prompted block, the same every time."""
        tower = self._frozen.tower
        if self._timm:
            trunk = tower.trunk
            state = trunk.norm_pre(trunk.patch_drop(trunk._pos_embed(trunk.patch_embed(pixels))))
        else:
            state = tower._embeds(pixels)
        for block in self._blocks()[: self._first]:
            state = self._step(block, state)
        return state

    def forward(self, state: Tensor) -> Tensor:
        tower, many = self._frozen.tower, state.shape[1]
        for block, prompts in zip(self._blocks()[self._first :], self.prompts, strict=True):
            state = self._step(block, torch.cat([state, prompts.expand(len(state), -1, -1)], 1))[:, :many]
        if self._timm:
            found = tower.head(tower.trunk.forward_head(tower.trunk.norm(state)))
        else:
            found = tower._pool(state)[0]
            found = found if tower.proj is None else found @ tower.proj
        return F.normalize(found, dim=-1)

    def _blocks(self) -> Any:
        return self._frozen.tower.trunk.blocks if self._timm else _resblocks(self._frozen.tower)

    def _step(self, block: nn.Module, state: Tensor) -> Tensor:
        return block(state) if self._timm else _through(self._frozen.tower.transformer, block, state, None)


def _resblocks(tower: nn.Module) -> Any:
    return getattr(getattr(tower, "transformer", None), "resblocks", None)


def _through(transformer: nn.Module, block: nn.Module, state: Tensor, mask: Tensor | None) -> Tensor:
    """One block of open_clip's, whichever axis it wants first."""
    if transformer.batch_first:
        return block(state, attn_mask=mask)
    return block(state.transpose(0, 1).contiguous(), attn_mask=mask).transpose(0, 1)
