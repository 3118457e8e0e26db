"""What do the frozen blocks make of pictures, and how do drawn pictures with captions become examples to learn from?"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image

from kg.encoders.image import ImageEncoder
from kg.encoders.tail import front
from kg.progress import Reporter
from kg.scenes.plausible import Plausible
from kg.scenes.scene import Scene
from kg.scenes.telling import Words
from kg.store import Store, atomic_write
from training.structure.captioned import Captioned, CaptionedImages

__all__ = ["Told", "drawn_images", "tokens_of"]

_AT_ONCE = 64


class Told(Protocol):
    """Pictures that somebody captioned: exact scenes, several true sentences each."""

    @property
    def pictures(self) -> np.ndarray: ...
    @property
    def scenes(self) -> Sequence[Scene]: ...
    @property
    def captions(self) -> Sequence[Sequence[str]]: ...


def tokens_of(
    pictures: np.ndarray | Sequence[np.ndarray], encoder: ImageEncoder, store: Store, *, blocks: int, reporter: Reporter
) -> np.ndarray:
    """Tokens before the last `blocks` blocks, computed once for these very pixels and kept in the store.

    Shapes: (n, height, width, 3) uint8 -> (n, tokens, width) float16.
    Raises: EncoderError, StoreError.
    """
    place = store.features / f"{encoder.fingerprint}-before-{blocks}" / f"{_digest(pictures)}.npy"
    if not place.is_file():
        with reporter.stage("pictures to tokens", len(pictures), "pictures") as advance:
            starts = range(0, len(pictures), _AT_ONCE)
            made = np.concatenate([_encoded(pictures[at : at + _AT_ONCE], encoder, blocks, advance) for at in starts])
        with atomic_write(place) as file:
            np.save(file, made, allow_pickle=False)
    return np.load(place, mmap_mode="r")


def drawn_images(
    told: Mapping[str, Told], tokens: Mapping[str, np.ndarray], *, may_say: Callable[[str], bool]
) -> CaptionedImages:
    """Split -> drawn pictures and their tokens, as what a recipe is built from; words and plausibility are train's."""
    captions: list[Captioned] = []
    rows: dict[str, np.ndarray] = {}
    for split, part in told.items():
        first = sum(len(found) for found in rows.values())
        rows[split] = np.arange(first, first + len(part.scenes))
        captions += [
            Captioned(first + n, text, scene, scene, whole=True)
            for n, (scene, texts) in enumerate(zip(part.scenes, part.captions, strict=True))
            for text in texts
        ]
    scenes = told["train"].scenes
    stacked = np.concatenate([tokens[split] for split in told])
    known = Words.of_scenes(scenes), Plausible.of_scenes(scenes)
    return CaptionedImages(stacked, captions, rows, *known, may_say, exact=True)


def _encoded(pictures: Any, encoder: ImageEncoder, blocks: int, advance: Callable[[int], None]) -> np.ndarray:
    pixels = torch.stack([encoder.preprocess(Image.fromarray(np.asarray(picture))) for picture in pictures])
    made = front(encoder, pixels, blocks=blocks).astype(np.float16)
    advance(len(pictures))
    return made


def _digest(pictures: Any) -> str:
    digest = hashlib.sha256(str(len(pictures)).encode())
    for picture in pictures:
        digest.update(np.ascontiguousarray(picture))
    return digest.hexdigest()[:24]
