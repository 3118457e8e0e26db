"""Of what does GraphCLIP consist: class encoders, what maps images, the blocks of the tower that learn, a scale."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from training.models.class_encoder import ClassEncoder, ImageProjection
from training.unlocking import UnlockedTower

__all__ = ["GraphClipNetwork"]


class GraphClipNetwork(nn.Module):
    """All that is trained; `sides` are the class encoders of further tasks."""

    def __init__(self, classes: ClassEncoder, images: ImageProjection, *, scale: float, normalise: bool) -> None:
        super().__init__()
        self.classes, self.images, self.normalise = classes, images, normalise
        self.sides = nn.ModuleDict()
        self.tower: UnlockedTower | None = None
        self.logit_scale = nn.Parameter(torch.tensor(float(np.log(scale) if normalise else 1.0)))

    def scale(self) -> Tensor:
        """exp(logit_scale), at most 100; the raw value where vectors are not normalised."""
        return self.logit_scale.exp().clamp(max=100.0) if self.normalise else self.logit_scale
