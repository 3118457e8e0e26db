"""How is an image tower cut before its last blocks, so that only those need to be run, and trained, again?

    front(encoder, batch, blocks=2)        what enters the last two blocks: frozen, so worth keeping
    tail = cut(encoder, blocks=2)          a copy of those blocks and of what follows them, to be trained
    tail(entering, blocks=2)               features, as `encoder.features` gives them
    with_tail(encoder, tail)               a whole encoder again, with the trained blocks

Blocks are a transformer's, or the stages of a convolutional tower that has a list of them (MobileNet, EfficientNet).
torch is imported on first use; see `kg.encoders`.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from kg.encoders.image import ImageEncoder
from kg.errors import EncoderError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from kg.encoders.blocks import Tail

__all__ = ["count_blocks", "cut", "entering_shape", "front", "with_tail"]


def cut(encoder: ImageEncoder, blocks: int) -> Tail:
    """The last blocks and all that follows, copied: training them leaves the encoder as it is.

    Raises: EncoderError for a tower that cannot be cut, or has fewer blocks.
    """
    from kg.encoders.blocks import Tail

    form = _form(encoder, blocks)
    return Tail(form, form.without_front(copy.deepcopy(encoder.module), blocks), blocks)


def count_blocks(encoder: ImageEncoder) -> int:
    """How many blocks a tower has. Raises: EncoderError for one that cannot be cut."""
    return len(_form(encoder, 1).blocks(encoder.module))


def front(encoder: ImageEncoder, batch: Tensor, *, blocks: int) -> np.ndarray:
    """What enters the last `blocks` blocks. Shapes: (n, 3, px, px) -> (n, *entering_shape) float32."""
    import torch

    form = _form(encoder, blocks)
    with torch.inference_mode():
        tower = encoder.module
        entering = form.front(tower, batch.to(encoder.device))
        for block in form.blocks(tower)[: len(form.blocks(tower)) - blocks]:
            entering = block(entering)
        return entering.float().cpu().numpy()


def entering_shape(encoder: ImageEncoder, *, blocks: int) -> tuple[int, ...]:
    """Of what enters the last `blocks` blocks for one picture."""
    import torch

    return front(encoder, torch.zeros(1, 3, encoder.input_px, encoder.input_px), blocks=blocks).shape[1:]


def with_tail(encoder: ImageEncoder, tail: Tail) -> ImageEncoder:
    """The encoder with the tail's weights instead of its own, which stay as they are."""
    tuned = copy.deepcopy(encoder)
    tuned.module.load_state_dict(tail.tower.state_dict(), strict=False)
    tuned.weights_changed()
    return tuned


def _form(encoder: ImageEncoder, blocks: int) -> Any:
    from kg.encoders.blocks import form_of

    form = form_of(encoder.module)
    if form is None:
        raise EncoderError(
            f"encoder {encoder.name}: its tower has no list of blocks to unlock; take a vision transformer, MobileNet "
            "or EfficientNet, or unlock_blocks=0"
        )
    if not 1 <= blocks <= (count := len(form.blocks(encoder.module))):
        raise EncoderError(f"encoder {encoder.name}: cannot unlock {blocks} blocks, it has {count}")
    return form
