"""How far does the image tower get by itself, when its last block learns under a linear head?

Cross-entropy on the training images alone, no graph. The blocks before the last are frozen, so what enters it is
computed once; the pass over the images that is best on valid is kept.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.features import Features
from training.labelled_images import LabelledImages

__all__ = ["fine_tuned_scores"]

_EPOCHS, _BATCH = 12, 64
_HEAD_RATE, _DECAY = 1e-3, 0.05
_AT_ONCE = 256


def fine_tuned_scores(
    features: Features, snapshot: Any, examples: LabelledImages, *, rng_seed: int, tower_rate: float = 1e-4
) -> Callable[[np.ndarray], np.ndarray]:
    """Log-probabilities as a function of image rows; classes without a training image get -inf.

    Shapes: the function (m,) -> (m, classes). Raises: EncoderError for a tower that cannot be cut.
    """
    entering = features.entering(snapshot, 1)
    train, valid = examples.of("train"), examples.of("valid")
    seen = np.unique(examples.class_row[train])
    net = _Net(features.tail(1), features.image_width(), len(examples.class_keys), rng_seed=rng_seed)
    optimizer = torch.optim.AdamW(
        [{"params": net.tail.parameters(), "lr": tower_rate}, {"params": net.head.parameters(), "lr": _HEAD_RATE}],
        weight_decay=_DECAY,
    )
    steps = _EPOCHS * -(-len(train) // _BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    order = torch.Generator().manual_seed(rng_seed)
    best, kept = -1.0, copy.deepcopy(net.state_dict())

    def scores(images: np.ndarray) -> np.ndarray:
        net.eval()
        with torch.no_grad():
            parts = [net(entering.rows(images[at : at + _AT_ONCE])) for at in range(0, len(images), _AT_ONCE)]
        logits = torch.cat(parts) if parts else torch.zeros(0, len(examples.class_keys))
        found = np.full(logits.shape, -np.inf)
        found[:, seen] = F.log_softmax(logits[:, seen], dim=1).numpy()
        return found

    for _ in range(_EPOCHS):
        net.train()
        for chosen in torch.as_tensor(train)[torch.randperm(len(train), generator=order)].split(_BATCH):
            if len(chosen) > 1:  # a batch of one has no spread to normalise by
                logits = net(entering.rows(examples.image_row[chosen.numpy()]))
                optimizer.zero_grad()
                F.cross_entropy(logits, torch.as_tensor(examples.class_row[chosen.numpy()])).backward()
                optimizer.step()
            schedule.step()
        right = scores(examples.image_row[valid]).argmax(1) == examples.class_row[valid]
        if right.mean() > best:
            best, kept = float(right.mean()), copy.deepcopy(net.state_dict())
    net.load_state_dict(kept)
    return scores


class _Net(nn.Module):
    """The tower's last block, its features standardised, a linear head."""

    def __init__(self, tail: Any, width: int, classes: int, *, rng_seed: int) -> None:
        super().__init__()
        self.tail = tail
        self.tail.unlock(1)
        self.standard = nn.BatchNorm1d(width, affine=False)
        with torch.random.fork_rng():
            torch.manual_seed(rng_seed)
            self.head = nn.Linear(width, classes)

    def forward(self, entering: Tensor) -> Tensor:
        return self.head(self.standard(self.tail(entering, blocks=1)))
