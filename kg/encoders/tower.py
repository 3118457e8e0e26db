"""How does a published version turn a picture, or a text, into its vector, without the code that trained it?

A tower is a folder: the encoder with its weights, what reads its features by phrases, the projections on top, what
reads triples in texts, and a manifest with the hash of every file.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kg.encoders.asking import Questions
from kg.encoders.image import ImageEncoder, load_image_encoder
from kg.encoders.knowledge import Knowledge
from kg.encoders.readings import Readings, read_images
from kg.encoders.text import text_tower_of
from kg.errors import DimensionMismatch, EncoderError, StoreError
from kg.store import atomic_write, disk_guard

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from PIL import Image
    from torch import Tensor

__all__ = ["ImageTower", "is_whole", "load_tower"]

_MANIFEST = "manifest.json"
_PROJECTIONS = ("image", "text")
_PHRASES, _QUESTIONS = "phrases.npy", "questions.npz"
_FORMAT = 1


class ImageTower:
    """An encoder, its readings where it has them, and what is linear on top: unit vectors in a version's class space.

    Shapes: projection (dim, width of the readings, else of the encoder), text_projection (dim, encoder.dim), or None
    where that space itself is meant.
    Raises: DimensionMismatch.
    """

    def __init__(
        self,
        encoder: ImageEncoder,
        *,
        readings: Readings | Questions | None = None,
        projection: np.ndarray | None = None,
        text_projection: np.ndarray | None = None,
        knowledge: Knowledge | None = None,
    ) -> None:
        self.encoder, self.readings, self.knowledge = encoder, readings, knowledge
        self._width = encoder.dim if readings is None else readings.width
        self.projection = _matrix(projection, encoder.name, self._width)
        self.text_projection = _matrix(text_projection, encoder.name, encoder.dim)

    def __repr__(self) -> str:
        return f"ImageTower({self.encoder.name!r}, dim={self.dim})"

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._width if self.projection is None else len(self.projection)

    @property
    def input_px(self) -> int:
        """Side of the square that goes in."""
        return self.encoder.input_px

    @property
    def has_text(self) -> bool:
        """Whether `encode_texts` gives vectors in the same space as the images'."""
        own_space = self.projection is None and self.readings is None
        return self.encoder.clip is not None and (own_space or self.text_projection is not None)

    def preprocess(self, image: Image.Image) -> Tensor:
        """Picture to tensor. Shapes: -> (3, px, px)."""
        return self.encoder.preprocess(image)

    def encode(self, batch: Tensor) -> np.ndarray:
        """Unit vectors of preprocessed pictures. Shapes: (n, 3, px, px) -> (n, dim) float32."""
        return self.project(self.encoder.encode(batch))

    def encode_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        """Unit vectors of pictures. Shapes: images -> (n, dim) float32."""
        return self.project(self.encoder.encode_images(images))

    def project(self, features: np.ndarray) -> np.ndarray:
        """The encoder's (cached) unit features to the tower's unit vectors. Shapes: (n, encoder.dim) -> (n, dim)."""
        return _projected(read_images(self.readings, features), self.projection)

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors of texts in the images' space, with what their triples add. Shapes: texts -> (n, dim) float32.

        Raises: EncoderError where this tower has no text side (see `has_text`).
        """
        if not self.has_text:
            raise EncoderError(
                f"tower {self.encoder.name}: it has no text side; publish a recipe that has one to search by text"
            )
        vectors = text_tower_of(self.encoder).encode(texts)
        if self.knowledge is not None:
            vectors = _unit(vectors + self.knowledge.added(texts, self.encoder.clip.tokenizer))
        return _projected(vectors, self.text_projection)

    def save(self, folder: Path) -> None:
        """Write the tower; the folder appears, or is replaced, when everything is written.

        One that is there and the same stays, for whoever is reading it.
        Raises: StoreError.
        """
        folder = Path(folder)
        partial = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.tmp")
        with disk_guard(folder):
            partial.mkdir(parents=True)
            try:
                self._write(partial)
                _put(partial, folder)
            finally:
                shutil.rmtree(partial, ignore_errors=True)

    def _write(self, folder: Path) -> None:
        import numpy as np

        self.encoder.save(folder / "encoder")
        if self.knowledge is not None:
            self.knowledge.save(folder)
        matrices = {
            f"{name}_projection.npy": matrix
            for name, matrix in zip(_PROJECTIONS, (self.projection, self.text_projection), strict=True)
        }
        read = self.readings
        if isinstance(read, Questions):
            with atomic_write(folder / _QUESTIONS) as file:
                np.savez(file, **vars(read))
            read = None
        for name, matrix in (matrices | {_PHRASES: None if read is None else read.phrases}).items():
            if matrix is not None:
                with atomic_write(folder / name) as file:
                    np.save(file, matrix, allow_pickle=False)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        manifest = {
            "format": _FORMAT,
            "encoder": self.encoder.name,
            "fingerprint": self.encoder.fingerprint,
            "dim": self.dim,
            "input_px": self.input_px,
            "has_text": self.has_text,
            "readings": None if read is None else {"sizes": read.sizes, "scale": read.scale},
            "files": {path.relative_to(folder).as_posix(): _sha256(path) for path in files},
        }
        with atomic_write(folder / _MANIFEST) as file:
            file.write(json.dumps(manifest, indent=2).encode())


def load_tower(folder: Path, *, device: str = "cpu") -> ImageTower:
    """Open what `ImageTower.save` wrote, after checking every file against the manifest.

    Raises: StoreError for a missing or damaged file.
    """
    import numpy as np

    folder = Path(folder)
    said = _check(folder).get("readings")
    matrices = [folder / f"{name}_projection.npy" for name in _PROJECTIONS]
    image, text = (np.load(path, allow_pickle=False) if path.is_file() else None for path in matrices)
    readings = said and Readings(np.load(folder / _PHRASES, allow_pickle=False), tuple(said["sizes"]), said["scale"])
    if (folder / _QUESTIONS).is_file():
        with np.load(folder / _QUESTIONS, allow_pickle=False) as held:
            readings = Questions(**{**held, "sizes": tuple(held["sizes"].tolist())})
    encoder = load_image_encoder(folder / "encoder", device=device)
    known = Knowledge.load(folder, device=device)
    return ImageTower(encoder, readings=readings, projection=image, text_projection=text, knowledge=known)


def is_whole(folder: Path) -> bool:
    """Whether a folder is a tower whose every file is what was saved."""
    try:
        _check(Path(folder))
    except StoreError:
        return False
    return True


def _put(partial: Path, folder: Path) -> None:
    """Bring a written tower under its name."""
    try:
        partial.rename(folder)
    except OSError:  # something is there: the same, perhaps from another process a moment ago, or an older one
        if is_whole(folder) and (folder / _MANIFEST).read_bytes() == (partial / _MANIFEST).read_bytes():
            return
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)


def _check(folder: Path) -> dict[str, Any]:
    """The manifest, every file of which is what was saved."""
    try:
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        damaged = [name for name, sha256 in manifest["files"].items() if _sha256(folder / name) != sha256]
    except (OSError, ValueError, KeyError) as error:
        raise StoreError(f"tower {folder}: it is not whole ({error}); publish the run again") from error
    if damaged:
        raise StoreError(f"tower {folder}: {', '.join(damaged[:3])} is not what was published; publish the run again")
    return manifest


def _matrix(projection: np.ndarray | None, name: str, width: int) -> np.ndarray | None:
    import numpy as np

    if projection is None:
        return None
    matrix = np.ascontiguousarray(projection, np.float32)
    if matrix.ndim != 2 or matrix.shape[1] != width:
        raise DimensionMismatch(
            f"tower {name}: the projection has shape {matrix.shape}, the vectors below it have {width} numbers; "
            f"give a matrix of (dim, {width})"
        )
    return matrix


def _projected(vectors: np.ndarray, matrix: np.ndarray | None) -> np.ndarray:
    if matrix is None:
        return vectors
    return _unit(vectors @ matrix.T)


def _unit(vectors: np.ndarray) -> np.ndarray:
    import numpy as np

    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
