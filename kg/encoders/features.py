"""What are the vectors of all texts and all images of a snapshot, computing only those that nobody computed before?"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from kg.encoders.cache import FeatureCache, text_hash
from kg.encoders.image import ImageEncoder
from kg.encoders.text import TextEncoder
from kg.errors import UnreadableMedia
from kg.progress import Reporter
from kg.store import Store, open_image

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from torch import Tensor

    from kg.snapshots.snapshot import Snapshot

__all__ = [
    "encode_entering",
    "encode_images",
    "encode_patches",
    "encode_texts",
    "fill_images",
    "open_cache",
    "vectors_of_texts",
]

_TEXTS_A_ROUND = 256
_CPU_BATCH_IMAGES = 8
_GPU_BATCH_IMAGES = 128
_BATCHES_AHEAD = 3
_NAMED_AT_MOST = 10


def open_cache(store: Store, encoder: ImageEncoder | TextEncoder) -> FeatureCache:
    """The cache of this very encoder: name, weights and preprocessing are in its folder's name."""
    return FeatureCache(store.features / encoder.fingerprint, shape=encoder.dim)


def encode_texts(
    snapshot: Snapshot, encoder: TextEncoder, cache: FeatureCache, reporter: Reporter
) -> dict[str, np.ndarray]:
    """Unit vectors of all nodes' texts, each different text encoded once.

    Shapes: label -> (nodes, dim) float32, in the snapshot's row order.
    Raises: StoreError.
    """
    texts = {label: snapshot.texts(label) for label in snapshot.node_types}
    vectors = vectors_of_texts([text for rows in texts.values() for text in rows], encoder, cache, reporter)
    ends = np.cumsum([len(rows) for rows in texts.values()])
    return dict(zip(texts, np.split(vectors, ends[:-1]), strict=True))


def vectors_of_texts(texts: Sequence[str], encoder: TextEncoder, cache: FeatureCache, reporter: Reporter) -> np.ndarray:
    """Unit vectors of any texts, through the cache. Shapes: (n,) -> (n, dim) float32."""
    hashes = [text_hash(text) for text in texts]
    by_hash = dict(zip(hashes, texts, strict=True))
    # Like lengths together: a batch is as slow as its longest text.
    missing = sorted(cache.missing(hashes), key=lambda key: len(by_hash[key]))
    if missing:
        with reporter.stage(f"texts to vectors ({encoder.name})", len(missing), "texts") as advance:
            for start in range(0, len(missing), _TEXTS_A_ROUND):
                keys = missing[start : start + _TEXTS_A_ROUND]
                cache.put(keys, encoder.encode([by_hash[key] for key in keys]))
                advance(len(keys))
            cache.flush()
    return cache.get(hashes)[0]


def encode_images(
    snapshot: Snapshot, encoder: ImageEncoder, cache: FeatureCache, store: Store, reporter: Reporter
) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors of all images, and which of them could be read; the others are named to the reporter, their rows
    zero.

    Decoding and resizing run ahead in threads while the encoder works. Killed and started again, it goes on.
    Shapes: (images, dim) float32, (images,) bool, in the snapshot's order.
    Raises: StoreError.
    """
    images = snapshot.images
    fill_images(images.sha256, images.uri, encoder, cache, store=store, reporter=reporter)
    return cache.get(images.sha256)


def fill_images(
    hashes: Sequence[str],
    uris: Sequence[str],
    encoder: ImageEncoder,
    cache: FeatureCache,
    *,
    store: Store,
    reporter: Reporter,
) -> int:
    """Bring the vectors of images into the cache; how many of them can be read. Memory is that of a few batches.

    Raises: StoreError.
    """
    missing = cache.missing(hashes)
    if missing:
        with reporter.stage(f"images to vectors ({encoder.name})", len(missing), "images") as advance:
            places = dict(zip(hashes, uris, strict=True))
            unreadable = _encode_missing(missing, places, encoder, encoder.encode, cache, store, advance)
            cache.flush()
        _name(unreadable, reporter)
    return len(hashes) - len(cache.missing(hashes))


def encode_patches(
    snapshot: Snapshot,
    encoder: ImageEncoder,
    cache: FeatureCache,
    store: Store,
    reporter: Reporter,
    *,
    encode: Callable[[Tensor], Any] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors of all images' patches in the space of image vectors, and which images could be read.

    `encode` gives other states of the patches: pixels to an array.
    Shapes: (images, tokens, dim) of the cache's type, (images,) bool, in the snapshot's order.
    Raises: StoreError, EncoderError for an encoder without patch tokens in that space.
    """
    images = snapshot.images
    uris = dict(zip(images.sha256, images.uri, strict=True))
    missing = cache.missing(images.sha256)
    if missing:
        with reporter.stage(f"patches to vectors ({encoder.name})", len(missing), "images") as advance:
            _name(
                _encode_missing(missing, uris, encoder, encode or encoder.joint_patches, cache, store, advance),
                reporter,
            )
            cache.flush()
    return cache.get(images.sha256)


def encode_entering(
    snapshot: Snapshot, encoder: ImageEncoder, cache: FeatureCache, store: Store, reporter: Reporter, *, blocks: int
) -> None:
    """Bring what enters the tower's last `blocks` blocks into the cache, for all images that can be read.

    Raises: StoreError, EncoderError for a tower that cannot be cut there.
    """
    from kg.encoders.tail import front

    images = snapshot.images
    uris = dict(zip(images.sha256, images.uri, strict=True))
    missing = cache.missing(images.sha256)
    if missing:
        encode = partial(front, encoder, blocks=blocks)
        with reporter.stage(f"images up to the last {blocks} blocks ({encoder.name})", len(missing)) as advance:
            _encode_missing(missing, uris, encoder, encode, cache, store, advance)
            cache.flush()


def _encode_missing(missing, uris, encoder, encode, cache, store, advance) -> list[str]:
    import torch

    size = _CPU_BATCH_IMAGES if encoder.device == "cpu" else _GPU_BATCH_IMAGES
    unreadable: list[str] = []
    started, done = time.monotonic(), 0
    for keys, tensors in _decoded_ahead(missing, uris, encoder, store, size):
        read = [
            (key, tensor) for key, tensor in zip(keys, tensors, strict=True) if not isinstance(tensor, UnreadableMedia)
        ]
        unreadable += [str(problem) for problem in tensors if isinstance(problem, UnreadableMedia)]
        if read:
            cache.put([key for key, _ in read], encode(torch.stack([tensor for _, tensor in read])))
        done += len(keys)
        advance(len(keys), images_per_s=done / max(time.monotonic() - started, 1e-6))
    return unreadable


def _decoded_ahead(
    keys: Sequence[str], uris: dict[str, str], encoder: ImageEncoder, store: Store, size: int
) -> Iterator[tuple[Sequence[str], list[Tensor | UnreadableMedia]]]:
    """Batches in order, a few of them in work while the caller is busy; memory stays that of a few batches."""

    def read(key: str) -> Tensor | UnreadableMedia:
        try:
            return encoder.preprocess(open_image(store.path(uris[key])))
        except UnreadableMedia as problem:
            return problem

    batches = iter([keys[start : start + size] for start in range(0, len(keys), size)])
    ahead: deque[tuple[Sequence[str], list[Future]]] = deque()
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1), thread_name_prefix="korvai-decode") as pool:
        try:
            while True:
                while len(ahead) < _BATCHES_AHEAD and (batch := next(batches, None)) is not None:
                    ahead.append((batch, [pool.submit(read, key) for key in batch]))
                if not ahead:
                    return
                batch, futures = ahead.popleft()
                yield batch, [future.result() for future in futures]
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _name(unreadable: list[str], reporter: Reporter) -> None:
    for problem in unreadable[:_NAMED_AT_MOST]:
        reporter.warn(problem)
    if len(unreadable) > _NAMED_AT_MOST:
        reporter.warn(f"{len(unreadable) - _NAMED_AT_MOST} more images cannot be read; they take no part")
