"""Where does a recipe get the vectors of nodes, phrases and images, without encoding anything twice?

An encoder is opened when something new has to be encoded, and not before: a refresh that finds all it needs in the
cache loads no weights at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from kg.encoders.cache import FeatureCache
from kg.progress import Reporter, SilentReporter
from kg.store import Store

__all__ = ["CLIP", "Features", "StoredFeatures"]

CLIP = "clip"
"""Name of the text tower that belongs to the image encoder; other names are text encoders' specs."""


class Features(Protocol):
    """What a recipe may ask; tests give the answers themselves."""

    def images(self, snapshot: Any) -> tuple[np.ndarray, np.ndarray]:
        """Unit vectors of all images and which of them are readable. Shapes: (images, width), (images,) bool."""

    def patches(self, snapshot: Any) -> tuple[np.ndarray, np.ndarray]:
        """Unit vectors of all images' patches in the images' space, and which images are readable.

        Shapes: (images, tokens, width), (images,) bool.
        """

    def entering(self, snapshot: Any, blocks: int) -> Any:
        """What enters the image tower's last blocks (`training.unlocking.Entering`), for recipes that train those."""

    def tail(self, blocks: int) -> Any:
        """A copy of the image tower's last blocks with what follows (`kg.encoders.blocks.Tail`), to be trained."""

    def image_width(self) -> int:
        """Length of an image's vector."""

    def texts(self, snapshot: Any, name: str) -> Mapping[str, np.ndarray]:
        """Unit vectors of all nodes' texts by one text encoder. Shapes: label -> (nodes, width)."""

    def text_width(self, name: str) -> int:
        """Length of that encoder's vectors."""

    def phrases(self, relation: str, texts: Sequence[str]) -> np.ndarray:
        """What a relation says, by the image encoder's text tower: unit vectors in that encoder's space.

        Shapes: (texts, width).
        """

    def record(self) -> dict[str, dict[str, Any]]:
        """Spec, fingerprint and width of every encoder used so far."""


class StoredFeatures:
    """Features through the store's cache.

    With `keep_encoder` the image encoder stays loaded in this process for the next who asks so: for those who encode
    and nothing else, since a recipe may train the encoder that it is handed.
    """

    def __init__(
        self,
        store: Store,
        *,
        image_spec: str,
        reporter: Reporter | None = None,
        known: Mapping[str, Mapping[str, Any]] | None = None,
        keep_encoder: bool = False,
    ) -> None:
        self._load_image = _kept_image_encoder if keep_encoder else _load_image
        self.store, self.image_spec, self.reporter = store, image_spec, reporter or SilentReporter()
        self._known = {name: dict(entry) for name, entry in (known or {}).items()}
        self._encoders: dict[str, _LazyEncoder] = {}

    def images(self, snapshot: Any) -> tuple[np.ndarray, np.ndarray]:
        """Unit vectors of all images and which of them are readable."""
        from kg.encoders.features import encode_images

        encoder = self._encoder("image")
        with self._cache(encoder) as cache:
            return encode_images(snapshot, encoder, cache, self.store, self.reporter)

    def fill_images(self, snapshot: Any, start: int = 0, stop: int | None = None) -> int:
        """Bring the vectors of some of the images, by their rows, into the cache; how many of them can be read."""
        from kg.encoders.features import fill_images

        encoder, images = self._encoder("image"), snapshot.images
        hashes, uris = images.sha256[start:stop], images.uri[start:stop]
        with self._cache(encoder) as cache:
            return fill_images(hashes, uris, encoder, cache, store=self.store, reporter=self.reporter)

    def missing_images(self, snapshot: Any) -> list[bool]:
        """Of each image whether it has no vector yet."""
        encoder, hashes = self._encoder("image"), snapshot.images.sha256
        with self._cache(encoder) as cache:
            missing = set(cache.missing(hashes))
        return [key in missing for key in hashes]

    def patches(self, snapshot: Any) -> tuple[np.ndarray, np.ndarray]:
        """Unit vectors of all images' patches in the images' space, and which images are readable."""
        from kg.encoders.features import encode_patches

        encoder = self._encoder("image")
        opened = encoder.opened()
        tokens = self._patch_tokens(opened)
        folder = self.store.features / f"{encoder.fingerprint}-patches"
        with FeatureCache(folder, shape=(tokens, encoder.dim), dtype="float16") as cache:
            return encode_patches(snapshot, opened, cache, self.store, self.reporter)

    def states(self, snapshot: Any, name: str, encode: Callable[[Any], Any]) -> tuple[np.ndarray, np.ndarray]:
        """What `encode` makes of the pixels of all images, kept under `name`. Shapes: (images, tokens, width)."""
        import torch

        from kg.encoders.features import encode_patches

        encoder = self._encoder("image")
        opened = encoder.opened()
        shape = tuple(encode(torch.zeros(1, 3, opened.input_px, opened.input_px)).shape[1:])
        with FeatureCache(self.store.features / f"{encoder.fingerprint}-{name}", shape=shape, dtype="float16") as cache:
            return encode_patches(
                snapshot, opened, cache, self.store, self.reporter, encode=lambda pixels: encode(pixels).numpy()
            )

    def tail(self, blocks: int) -> Any:
        """A copy of the image tower's last blocks, all where there are fewer, with what follows, to be trained."""
        from kg.encoders.tail import count_blocks, cut

        encoder = self.image_encoder()
        return cut(encoder, min(blocks, count_blocks(encoder)))

    def entering(self, snapshot: Any, blocks: int) -> CachedEntering:
        """What enters the image tower's last blocks, through the cache."""
        from kg.encoders.features import encode_entering

        cache, encoder = self._entering_cache(blocks), self.image_encoder()
        encode_entering(snapshot, encoder, cache, self.store, self.reporter, blocks=blocks)
        return CachedEntering(cache, list(snapshot.images.sha256))

    def _entering_cache(self, blocks: int) -> FeatureCache:
        from kg.encoders.tail import entering_shape

        encoder = self._encoder("image")
        folder = self.store.features / f"{encoder.fingerprint}-last-{blocks}"
        return FeatureCache(folder, shape=entering_shape(encoder.opened(), blocks=blocks))

    def check_room(self, snapshot: Any, blocks: int) -> None:
        """Say what unlocking so many blocks, one after the other, will add on disk. Raises: RecipeConfigError."""
        from training.unlocking import check_room

        stages = []
        for stage in range(1, blocks + 1):
            with self._entering_cache(stage) as cache:
                stages.append((len(cache.missing(snapshot.images.sha256)), cache.shape))
        if needed := check_room(self.store.folder, stages=stages):
            taken = f"{needed / 2**20:,.0f} MiB on disk"
            self.reporter.note(f"unlocking {blocks} blocks: what enters them will take {taken}")

    def image_width(self) -> int:
        """Length of an image's vector."""
        return self._encoder("image").dim

    def texts(self, snapshot: Any, name: str) -> Mapping[str, np.ndarray]:
        """Unit vectors of all nodes' texts by one text encoder."""
        from kg.encoders.features import encode_texts

        encoder = self._encoder(name)
        with self._cache(encoder) as cache:
            return encode_texts(snapshot, encoder, cache, self.reporter)

    def text_width(self, name: str) -> int:
        """Length of that encoder's vectors."""
        return self._encoder(name).dim

    def phrases(self, relation: str, texts: Sequence[str]) -> np.ndarray:  # noqa: ARG002
        """What any relation says, by the image encoder's text tower."""
        from kg.encoders.features import vectors_of_texts

        encoder = self._encoder(CLIP)
        with self._cache(encoder) as cache:
            return vectors_of_texts(texts, encoder, cache, self.reporter)

    def has_text_tower(self) -> bool:
        """Whether the image encoder understands texts too."""
        return CLIP in self._known or self.image_encoder().clip is not None

    def image_encoder(self) -> Any:
        """The opened image encoder."""
        return self._encoder("image").opened()

    def record(self) -> dict[str, dict[str, Any]]:
        """Spec, fingerprint and width of every encoder used; given back as `known`, it spares opening them."""
        return {
            name: {"spec": encoder.spec, "fingerprint": encoder.fingerprint, "dim": encoder.dim, "name": encoder.name}
            for name, encoder in self._encoders.items()
        }

    @staticmethod
    def _patch_tokens(encoder: Any) -> int:
        import torch

        return encoder.joint_patches(torch.zeros(1, 3, encoder.input_px, encoder.input_px)).shape[1]

    def _cache(self, encoder: _LazyEncoder) -> FeatureCache:
        return FeatureCache(self.store.features / encoder.fingerprint, shape=encoder.dim)

    def _encoder(self, name: str) -> _LazyEncoder:
        if name not in self._encoders:
            spec = self.image_spec if name == "image" else f"clip:{self.image_spec}" if name == CLIP else name
            load = self._load_image if name == "image" else _load_text
            self._encoders[name] = _LazyEncoder(spec, load, self._known.get(name, {}))
        return self._encoders[name]


class CachedEntering:
    """What enters the last blocks of a tower, from the cache, of a snapshot's images by row."""

    def __init__(self, cache: FeatureCache, sha256: list[str]) -> None:
        self._cache, self._sha256 = cache, sha256

    def rows(self, images: np.ndarray) -> Any:
        """Of some images. Shapes: (n,) of image rows -> (n, *entering)."""
        import torch

        return torch.from_numpy(self._cache.get([self._sha256[row] for row in images])[0])


class _LazyEncoder:
    """An encoder that is opened by the first attribute that was not written down."""

    def __init__(self, spec: str, load: Callable[[str], Any], known: Mapping[str, Any]) -> None:
        self.spec, self._load, self._opened = spec, load, None
        self.__dict__.update({key: value for key, value in known.items() if key in ("fingerprint", "dim", "name")})

    def opened(self) -> Any:
        """The encoder itself."""
        if self._opened is None:
            self._opened = self._load(self.spec)
        return self._opened

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        return getattr(self.opened(), attribute)


def _load_image(spec: str) -> Any:
    from kg.encoders.image import load_image_encoder

    return load_image_encoder(spec)


def _kept_image_encoder(spec: str) -> Any:
    return _image_encoder_of(spec, _stamp(spec))


@lru_cache(maxsize=1)
def _image_encoder_of(spec: str, stamp: tuple[tuple[str, int], ...]) -> Any:  # noqa: ARG001
    return _load_image(spec)


def _stamp(spec: str) -> tuple[tuple[str, int], ...]:
    """When the files that a spec names were written: others under the same name are another encoder."""
    place = Path(spec.rpartition(":")[2])
    files = sorted(place.rglob("*")) if place.is_dir() else [place] if place.is_file() else []
    return tuple((path.name, path.stat().st_mtime_ns) for path in files)


def _load_text(spec: str) -> Any:
    from kg.encoders.text import load_text_encoder

    return load_text_encoder(spec) if spec.startswith("clip:") else _kept_text_encoder(spec)


@lru_cache(maxsize=1)
def _kept_text_encoder(spec: str) -> Any:
    """Nobody trains these, so a worker's next refresh need not load it again."""
    from kg.encoders.text import load_text_encoder

    return load_text_encoder(spec)
