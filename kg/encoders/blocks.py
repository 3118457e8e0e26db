"""Of what do towers consist: what comes before their blocks, the blocks, what comes after?

Imported by `kg.encoders.tail` on first use, because it loads torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from open_clip.timm_model import TimmModel as ClipOverTimm
from open_clip.transformer import VisionTransformer as ClipVit
from timm.models.efficientnet import EfficientNet
from timm.models.mobilenetv3 import MobileNetV3
from timm.models.vision_transformer import VisionTransformer as TimmVit
from torch import Tensor, nn

__all__ = ["Tail", "form_of"]


class Tail(nn.Module):
    """The last blocks of a tower with what follows them, frozen until `unlock`; always in eval mode, as the tower was.

    Shapes: (n, *entering) -> (n, dim), not normalised.
    """

    def __init__(self, form: Any, tower: nn.Module, blocks: int) -> None:
        super().__init__()
        self.form, self.tower, self.blocks = form, tower.eval(), blocks
        self.unlock(0)

    def forward(self, entering: Tensor, *, blocks: int) -> Tensor:
        """`blocks`: how many of the last ones these tokens have yet to pass."""
        every = self.form.blocks(self.tower)
        for block in every[len(every) - blocks :]:
            entering = block(entering)
        return self.form.finish(self.tower, entering)

    def unlock(self, blocks: int) -> None:
        """Let the last blocks learn, and what follows them; 0: nothing."""
        every = self.form.blocks(self.tower)
        self.tower.requires_grad_(bool(blocks))
        for block in every[: len(every) - blocks]:
            block.requires_grad_(False)

    def train(self, mode: bool = True) -> Tail:
        """Batch statistics and dropout stay as the frozen tower has them."""
        super().train(mode)
        self.tower.eval()
        return self


@dataclass(frozen=True)
class _TimmVit:
    """A timm vision transformer, alone or within open_clip."""

    def trunk(self, tower: Any) -> Any:
        return tower.trunk if isinstance(tower, ClipOverTimm) else tower

    def blocks(self, tower: Any) -> nn.Sequential:
        return self.trunk(tower).blocks

    def front(self, tower: Any, batch: Tensor) -> Tensor:
        trunk = self.trunk(tower)
        return trunk.norm_pre(trunk.patch_drop(trunk._pos_embed(trunk.patch_embed(batch))))

    def finish(self, tower: Any, entering: Tensor) -> Tensor:
        trunk = self.trunk(tower)
        if trunk is tower:
            return trunk.forward_head(trunk.norm(entering), pre_logits=True)
        return tower.head(trunk.forward_head(trunk.norm(entering)))

    def without_front(self, tower: Any, blocks: int) -> nn.Module:
        trunk = self.trunk(tower)
        trunk.patch_embed, trunk.norm_pre = nn.Identity(), nn.Identity()
        trunk.pos_embed = trunk.cls_token = trunk.reg_token = None
        return _emptied(tower, trunk.blocks, blocks)


@dataclass(frozen=True)
class _ClipVit:
    """open_clip's own vision transformer."""

    def blocks(self, tower: Any) -> nn.ModuleList:
        return tower.transformer.resblocks

    def front(self, tower: Any, batch: Tensor) -> Tensor:
        return tower._embeds(batch)

    def finish(self, tower: Any, entering: Tensor) -> Tensor:
        pooled, _ = tower._pool(entering)
        return pooled if tower.proj is None else pooled @ tower.proj

    def without_front(self, tower: Any, blocks: int) -> nn.Module:
        tower.conv1, tower.ln_pre = nn.Identity(), nn.Identity()
        tower.class_embedding = tower.positional_embedding = None
        return _emptied(tower, tower.transformer.resblocks, blocks)


@dataclass(frozen=True)
class _Stages:
    """MobileNet and EfficientNet: stages of convolutions."""

    def blocks(self, tower: Any) -> nn.Sequential:
        return tower.blocks

    def front(self, tower: Any, batch: Tensor) -> Tensor:
        return tower.bn1(tower.conv_stem(batch))

    def finish(self, tower: Any, entering: Tensor) -> Tensor:
        if isinstance(tower, EfficientNet):
            entering = tower.bn2(tower.conv_head(entering))
        return tower.forward_head(entering, pre_logits=True)

    def without_front(self, tower: Any, blocks: int) -> nn.Module:
        tower.conv_stem, tower.bn1 = nn.Identity(), nn.Identity()
        return _emptied(tower, tower.blocks, blocks)


def form_of(tower: nn.Module) -> Any:
    """How to take a tower apart; None for one that we cannot."""
    trunk = tower.trunk if isinstance(tower, ClipOverTimm) else tower
    if isinstance(trunk, TimmVit):
        return _TimmVit()
    if isinstance(tower, ClipVit):
        return _ClipVit() if getattr(tower.transformer, "batch_first", True) else None
    return _Stages() if isinstance(tower, EfficientNet | MobileNetV3) else None


@torch.no_grad()
def _emptied(tower: nn.Module, every: nn.Sequential | nn.ModuleList, blocks: int) -> nn.Module:
    """The first blocks out of it; the others keep their numbers and so their weights' names."""
    for number in range(len(every) - blocks):
        every[number] = nn.Identity()
    return tower
