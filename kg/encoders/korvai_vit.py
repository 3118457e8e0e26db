"""What does the small vision transformer with a convolutional stem look like, and how does timm get to know it?

Imported by `kg.encoders.korvai_small.register` on first use, because it loads torch.
"""

from functools import partial
from typing import Any

from timm.layers import HybridEmbed
from timm.models import build_model_with_cfg, register_model
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

__all__ = ["ConvStem", "korvai_vit_112"]

default_cfgs = {
    "korvai_vit_112": {
        "url": "", "num_classes": 0, "input_size": (3, 112, 112), "pool_size": None, "crop_pct": 1.0,
        "interpolation": "bicubic", "fixed_input_size": True, "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5),
        "first_conv": "patch_embed.backbone.0.conv", "classifier": "head",
    }
}  # fmt: skip


class _Down(nn.Module):
    """A convolution that halves the side, batch norm, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, kernel_px: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_px, stride=2, padding=kernel_px // 2, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.norm(self.conv(x)))


class _Residual(nn.Module):
    """Two 3x3 convolutions beside an identity.

    Reference: He et al. 2016, "Deep residual learning for image recognition", figure 2.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.act = nn.ReLU(inplace=True)
        nn.init.zeros_(self.norm2.weight)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.act(self.norm1(self.conv1(x)))
        return self.act(x + self.norm2(self.conv2(inner)))


class ConvStem(nn.Sequential):
    """Convolutions from 112 px to a 14x14 map; early convolutions are what makes motifs and border edges learnable.

    Reference: Xiao et al. 2021, "Early convolutions help transformers see better".
    Shapes: (n, 3, 112, 112) -> (n, widths[-1], 14, 14).
    """

    def __init__(self, widths: tuple[int, ...] = (32, 64, 128), residuals: tuple[int, ...] = (0, 1, 2)) -> None:
        layers: list[nn.Module] = []
        channels = 3
        for stage, (width, repeats) in enumerate(zip(widths, residuals, strict=True)):
            layers.append(_Down(channels, width, kernel_px=5 if stage == 0 else 3))
            layers.extend(_Residual(width) for _ in range(repeats))
            channels = width
        super().__init__(*layers)


@register_model
def korvai_vit_112(pretrained: bool = False, **kwargs: Any) -> VisionTransformer:
    """ConvStem, 2x2 patches of its 14x14 map = 49 tokens of width 192, four blocks of 3 heads, mean over the tokens."""
    architecture = {
        "img_size": 112, "patch_size": 2, "embed_dim": 192, "depth": 4, "num_heads": 3,
        "class_token": False, "global_pool": "avg", "embed_layer": partial(HybridEmbed, backbone=ConvStem()),
    }  # fmt: skip
    return build_model_with_cfg(
        VisionTransformer,
        "korvai_vit_112",
        pretrained,
        feature_cfg={"out_indices": 3, "feature_cls": "getter"},
        **{**architecture, **kwargs},
    )
