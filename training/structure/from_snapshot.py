"""How do a graph's images, captions and scenes become something to learn from?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from kg.encoders.tail import front
from kg.errors import EmptySplit
from kg.scenes.plausible import Plausible
from kg.scenes.stored import stored_captions, stored_scenes
from kg.scenes.telling import Words
from kg.splits import SPLITS, assign, members
from training.structure.captioned import Captioned, CaptionedImages

if TYPE_CHECKING:
    from training.features import StoredFeatures
    from training.structure.recipe import StructureConfig

__all__ = ["captioned_images", "image_tokens"]


def captioned_images(snapshot: Any, features: StoredFeatures, config: StructureConfig) -> CaptionedImages:
    """A snapshot's readable images that have captions, in splits by the images' hashes.

    Raises: EmptySplit where no image has a caption, EncoderError (a tower that cannot be cut), StoreError.
    """
    tokens, readable = image_tokens(snapshot, features, blocks=config.trained_blocks)
    sha256 = list(snapshot.images.sha256)
    row = {image: n for n, image in enumerate(sha256) if readable[n]}
    captions = [
        Captioned(row[one.image], one.text, one.scene, one.truth, one.whole)
        for one in stored_captions(snapshot)
        if one.image in row
    ]
    if not captions:
        raise EmptySplit(
            f"snapshot {snapshot.content_hash[:12]} has no caption of a readable image; `korvai import captions` "
            "brings them, and drawn sarees have theirs"
        )
    codes = assign(sha256, seed=config.split_seed)
    scenes = stored_scenes(snapshot)
    rows = {split: members(codes, split) for split in SPLITS}
    seen = {sha256[row] for row in rows["train"]}
    return CaptionedImages(
        tokens,
        captions,
        rows,
        Words.of_scenes(scenes.values()),
        Plausible.of_scenes([scene for image, scene in scenes.items() if image in seen]),
        parser=config.parser,
        readable=readable,
    )


def image_tokens(snapshot: Any, features: StoredFeatures, *, blocks: int) -> tuple[np.ndarray, np.ndarray]:
    """What the frozen blocks make of a snapshot's images, through the store's cache, and which could be read.

    Shapes: (images, tokens, width) float16, (images,) bool, in the snapshot's order.
    """
    encoder = features.image_encoder()

    def entering(pixels: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(front(encoder, pixels, blocks=blocks))

    return features.states(snapshot, f"before-{blocks}", entering)
