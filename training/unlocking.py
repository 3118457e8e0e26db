"""Which blocks of the image tower learn in which epoch, and what do they run on?

Frozen, a picture is its cached feature. From epoch `first_epoch` on the last block learns, `every` epochs later the
last two, up to `blocks`. Of each stage what enters its first unlocked block is computed once and cached, so a step runs
the unlocked part alone. The class side keeps the frozen tower's features: what a class is made of stays.

Reference: the paper's schedule, ten frozen epochs and then one more block every two.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kg.encoders.image import ImageEncoder
from kg.encoders.tail import with_tail
from kg.errors import RecipeConfigError

__all__ = ["Entering", "Schedule", "Seen", "UnlockedTower", "check_room"]

_IMAGES_AT_ONCE = 256
_SHARE_OF_DISK = 0.8


class Entering(Protocol):
    """What enters the last blocks, of every image of a snapshot."""

    def rows(self, images: np.ndarray) -> Tensor:
        """Of some images. Shapes: (n,) of image rows -> (n, *entering)."""


@dataclass(frozen=True)
class Schedule:
    """When how many blocks learn."""

    blocks: int
    first_epoch: int
    every: int

    def unlocked(self, epoch: int) -> int:
        """How many of the last blocks learn in an epoch, counted from 0."""
        if epoch < self.first_epoch:
            return 0
        return min(self.blocks, 1 + (epoch - self.first_epoch) // self.every)


class UnlockedTower(nn.Module):
    """The last blocks of the tower while they learn. Weights say how far they were unlocked when they were saved."""

    def __init__(self, tail: nn.Module, schedule: Schedule, *, rate_share: float) -> None:
        super().__init__()
        self.tail, self.schedule = tail, schedule
        self.register_buffer("unlocked", torch.zeros((), dtype=torch.int64))
        for parameter in tail.parameters():
            parameter.rate_share = rate_share

    def start_epoch(self, epoch: int) -> None:
        """Unlock what is to learn in this epoch."""
        self.unlocked.fill_(self.schedule.unlocked(epoch))
        self.tail.unlock(self.stage)

    @property
    def stage(self) -> int:
        """How many blocks have learned something."""
        return int(self.unlocked)

    def forward(self, entering: Tensor) -> Tensor:
        """Unit features, with gradients. Shapes: (n, *entering) -> (n, image width)."""
        return F.normalize(self.tail(entering, blocks=self.stage), dim=-1)

    @torch.no_grad()
    def features(self, entering: Entering, images: np.ndarray) -> Tensor:
        """Unit features of images, some at a time. Shapes: (n,) of image rows -> (n, image width)."""
        parts = [
            self(entering.rows(images[start : start + _IMAGES_AT_ONCE]))
            for start in range(0, len(images), _IMAGES_AT_ONCE)
        ]
        return torch.cat(parts) if parts else torch.zeros(0, 0)


@dataclass(frozen=True)
class Seen:
    """Images as the trained tower sees them; all else is that of the frozen features below."""

    frozen: Any
    tower: UnlockedTower

    def images(self, snapshot: Any) -> tuple[np.ndarray, np.ndarray]:
        """Unit features of all images, read where there are readings, and which are readable."""
        feat, readable = self.frozen.images(snapshot)
        if not self.tower.stage:
            return feat, readable
        rows, found = np.flatnonzero(readable), np.array(feat)
        entering = self.frozen.entering(snapshot, self.tower.stage)
        found[rows] = self.read(self.tower.features(entering, rows)).numpy()
        return found, readable

    def read(self, feat: Tensor) -> Tensor:
        """Encoder features as the recipe takes them. Shapes: (n, image width) -> (n, width)."""
        readings = getattr(self.frozen, "readings", None)
        return feat if readings is None or not len(feat) else readings.vectors(feat)

    def image_encoder(self) -> ImageEncoder:
        """The encoder that is published."""
        encoder = self.frozen.image_encoder()
        return with_tail(encoder, self.tower.tail) if self.tower.stage else encoder


def check_room(
    folder: Path,
    *,
    stages: list[tuple[int, tuple[int, ...]]],
    free: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free,
) -> int:
    """Bytes that the unlocked stages will add to what is on disk, 4 a number; a stage is how many images are not kept
    yet, and the shape of what is kept of one.

    Raises: RecipeConfigError where they do not fit.
    """
    needed = sum(images * int(np.prod(shape)) * 4 for images, shape in stages)
    if needed > _SHARE_OF_DISK * (left := free(folder)):
        most = max(images for images, _ in stages)
        raise RecipeConfigError(
            f"unlock_blocks={len(stages)}: what enters the unlocked blocks of {most:,} images takes "
            f"{needed / 2**30:.1f} GiB in {folder}, {left / 2**30:.1f} GiB are free; unlock fewer blocks, or make room"
        )
    return needed
