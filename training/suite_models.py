"""What does a model, or a file of vectors computed beforehand, say of a suite's pictures and sentences?

A model is anything with `encode_images(pictures) -> (n, d)` and `encode_texts(texts) -> (m, d)`: an encoder by its
spec, the tower of a run, or what a recipe's `suite_model()` gives where its text side is more than its tower's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from kg.encoders.image import load_image_encoder
from kg.encoders.tower import ImageTower, load_tower
from kg.errors import EncoderError, SchemaViolation, UnreadableMedia
from kg.progress import Reporter
from kg.store import open_image
from training.suites import Suite

if TYPE_CHECKING:
    from PIL.Image import Image

    from kg.settings import Settings

__all__ = ["Model", "Vectors", "encode_suite", "model_of_run", "model_of_spec", "similarities"]

_PICTURES_A_BATCH = 64
_TEXTS_A_BATCH = 256
_KINDS = ("image", "text")


class Model(Protocol):
    """Pictures and texts in one space; vectors need not be of unit length."""

    def encode_images(self, images: Sequence[Image]) -> np.ndarray: ...
    def encode_texts(self, texts: Sequence[str]) -> np.ndarray: ...


class Vectors(NamedTuple):
    """Unit vectors by name. Shapes: image and text (d,) each."""

    images: Mapping[str, np.ndarray]
    texts: Mapping[str, np.ndarray]
    source: str

    def text(self, text: str) -> np.ndarray:
        """A text's vector. Raises: SchemaViolation where it has none."""
        if text not in self.texts:
            raise SchemaViolation(
                f"{self.source}: holds no vector of the text {text[:60]!r}; embed all of the suite's texts"
            )
        return self.texts[text]

    def similarity(self, image: str, text: str) -> float:
        """Cosine. Raises: SchemaViolation for a text that has no vector."""
        return float(self.images[image] @ self.text(text))


def model_of_spec(spec: str) -> Model:
    """An image-text encoder (`korvai-small`, `open_clip:NAME:TAG_OR_FILE`, a folder).

    Raises: EncoderError (unknown, or no text side).
    """
    return _with_text(ImageTower(load_image_encoder(spec)), spec)


def model_of_run(settings: Settings, run: str, reporter: Reporter) -> Model:
    """A run's recipe where it offers `suite_model()`, else the tower that the run keeps.

    Raises: what `training.run.open_run` raises, StoreError, EncoderError (no text side).
    """
    from training.run import open_run

    opened = open_run(settings, run, reporter)
    offered = getattr(opened.recipe, "suite_model", None)
    return offered() if offered else _with_text(load_tower(opened.folder.path / "tower"), run)


def encode_suite(suite: Suite, model: Model, reporter: Reporter) -> Vectors:
    """Each picture and each sentence of a suite once; pictures that cannot be read are counted in `left_out`.

    Raises: SchemaViolation where no picture is to be had.
    """
    names = sorted({image for question in suite.questions for image in question.images} & set(suite.pictures or {}))
    if not names:
        raise SchemaViolation(f"{suite.name}: none of its pictures is there; name their folder by --images")
    texts = sorted({text for question in suite.questions for text in question.texts})
    images: dict[str, np.ndarray] = {}
    with reporter.stage("pictures to vectors", len(names), "images") as advance:
        for part in _parts(names, _PICTURES_A_BATCH):
            read = {name: picture for name in part if (picture := _picture(suite, name)) is not None}
            if read:
                images.update(zip(read, _unit(model.encode_images(list(read.values()))), strict=True))
            advance(len(part))
    with reporter.stage("sentences to vectors", len(texts), "texts") as advance:
        vectors = []
        for part in _parts(texts, _TEXTS_A_BATCH):
            vectors.append(_unit(model.encode_texts(part)))
            advance(len(part))
    return Vectors(images, dict(zip(texts, np.concatenate(vectors), strict=True)), suite.name)


def similarities(file: Path, suite: Suite) -> Vectors:
    """Vectors of a suite's pictures and sentences from a file that was computed beforehand.

    An .npz with `images` and `texts` (strings), `image_vectors` and `text_vectors`; or a folder with the same four as
    .npy. A picture called `name#xywh=…` is looked up whole and, where that is missing, by its plain name.
    Shapes: (n,), (m,), (n, d), (m, d). Raises: SchemaViolation (unreadable, or its shapes disagree).
    """
    try:
        held = _arrays(file)
        vectors = {kind: _unit(held[f"{kind}_vectors"]) for kind in _KINDS}
        rows = {kind: dict(zip(map(str, held[f"{kind}s"]), vectors[kind], strict=True)) for kind in _KINDS}
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise SchemaViolation(f"{file}: cannot be read ({error}); see `korvai evaluate-structure --help`") from error
    if vectors["image"].shape[1] != vectors["text"].shape[1]:
        raise SchemaViolation(f"{file}: vectors are {vectors['image'].shape[1]} and {vectors['text'].shape[1]} long")
    wanted = {image for question in suite.questions for image in question.images}
    named = {image: rows["image"].get(image, rows["image"].get(image.partition("#")[0])) for image in wanted}
    return Vectors({image: row for image, row in named.items() if row is not None}, rows["text"], str(file))


def _arrays(file: Path) -> dict[str, np.ndarray]:
    names = [name for kind in _KINDS for name in (f"{kind}s", f"{kind}_vectors")]
    if file.is_dir():
        return {name: np.load(file / f"{name}.npy", allow_pickle=False) for name in names}
    with np.load(file, allow_pickle=False) as held:
        return {name: held[name] for name in names}


def _picture(suite: Suite, name: str) -> Image | None:
    from PIL import Image

    held: Any = (suite.pictures or {})[name]
    if isinstance(held, np.ndarray):
        return Image.fromarray(held)
    try:
        picture = open_image(held)
    except UnreadableMedia:
        suite.left_out["picture that cannot be read"] += 1
        return None
    box = name.partition("#xywh=")[2]
    if not box:
        return picture
    x, y, w, h = map(int, box.split(","))
    return picture.crop((x, y, x + max(w, 1), y + max(h, 1)))


def _with_text(tower: ImageTower, what: str) -> ImageTower:
    if not tower.has_text:
        raise EncoderError(f"evaluate-structure {what}: it has no text side; take an open_clip model, or its run")
    return tower


def _parts(values: Sequence[str], size: int) -> list[Sequence[str]]:
    return [values[start : start + size] for start in range(0, len(values), size)]


def _unit(vectors: Any) -> np.ndarray:
    vectors = np.asarray(vectors)
    if vectors.ndim != 2 or not np.isfinite(vectors).all():
        raise ValueError(f"vectors of shape {vectors.shape}, or with numbers that are none")
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
