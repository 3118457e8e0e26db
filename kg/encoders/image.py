"""Which image encoder is meant, and how do pictures become unit vectors?

korvai-small                     the small model that ships
korvai-small-objects             the same, trained without attribute captions: where the structure suite starts
open_clip:NAME:TAG_OR_FILE       any open_clip architecture with a pretrained tag or a local weights file
timm:NAME:FILE                   any timm architecture with a local weights file (timm:NAME fetches timm's own)
a folder                         what `save` wrote, or any folder in open_clip's `local-dir:` form
"""

from __future__ import annotations

import difflib
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from kg.encoders import clip_models, timm_models
from kg.encoders.weights import weights_hash
from kg.errors import EncoderError
from kg.store import atomic_write

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from PIL import Image
    from torch import Tensor, nn

__all__ = ["ImageEncoder", "load_image_encoder"]

_ENCODER_FILE = "korvai_encoder.json"
_SMALL = ("korvai-small", "korvai-small-objects")
_KINDS = (*_SMALL, "open_clip:NAME:TAG_OR_FILE", "timm:NAME:FILE")
_PICTURE_RULES = "exif turned, alpha on white, 1"


class _Model(Protocol):
    name: str

    @property
    def module(self) -> nn.Module: ...
    @property
    def dim(self) -> int: ...
    @property
    def input_px(self) -> int: ...
    @property
    def description(self) -> str: ...
    @property
    def transform(self) -> Callable[[Image.Image], Tensor]: ...
    def features(self, batch: Tensor) -> Tensor: ...
    def patches(self, batch: Tensor) -> Tensor: ...
    def joint_patches(self, batch: Tensor) -> Tensor: ...
    def image_state(self) -> Mapping[str, Tensor]: ...
    def save(self, folder: Path) -> None: ...


def load_image_encoder(spec: str | Path, *, device: str = "cpu") -> ImageEncoder:
    """Open the encoder that `spec` names (see the module's first lines).

    Raises: EncoderError for an unknown one, weights that do not match, a hub that cannot be reached.
    """
    return ImageEncoder(_open_model(str(spec)), device=device)


class ImageEncoder:
    """An image tower in eval mode. `encode` is without gradients; `features` has them, for those who train on."""

    def __init__(self, model: _Model, *, device: str = "cpu") -> None:
        self._model = model
        self.device = device
        self.module.to(device)
        self._fingerprint: str | None = None

    def __repr__(self) -> str:
        return f"ImageEncoder({self.name!r}, dim={self.dim}, input_px={self.input_px})"

    @property
    def name(self) -> str:
        """korvai-small, open_clip:NAME or timm:NAME, without paths."""
        return self._model.name

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._model.dim

    @property
    def input_px(self) -> int:
        """Side of the square that goes in."""
        return self._model.input_px

    @property
    def module(self) -> nn.Module:
        """The image tower. Whoever changes its weights calls `weights_changed`."""
        return self._model.module

    @property
    def clip(self) -> clip_models.ClipModel | None:
        """The whole image-text model, where this is one."""
        return self._model if isinstance(self._model, clip_models.ClipModel) else None

    @property
    def fingerprint(self) -> str:
        """Hash of name, weights and preprocessing; the feature cache's key."""
        if self._fingerprint is None:
            parts = [self.name, self._model.description, _PICTURE_RULES, weights_hash(self._model.image_state())]
            self._fingerprint = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
        return self._fingerprint

    def weights_changed(self) -> None:
        """Forget the fingerprint: the module was trained on, or got other weights."""
        self._fingerprint = None

    def preprocess(self, image: Image.Image) -> Tensor:
        """Turn as the camera says, put transparent parts on white, resize, crop, scale. Shapes: -> (3, px, px)."""
        return self._model.transform(_upright_rgb(image))

    def features(self, batch: Tensor) -> Tensor:
        """Vectors with gradients, not normalised. Shapes: (n, 3, px, px) -> (n, dim)."""
        return self._model.features(batch)

    def encode(self, batch: Tensor) -> np.ndarray:
        """Unit vectors. Shapes: (n, 3, px, px) -> (n, dim) float32."""
        import torch

        with torch.inference_mode():
            features = self.features(batch.to(self.device)).float()
            return torch.nn.functional.normalize(features, dim=-1).cpu().numpy()

    def patches(self, batch: Tensor) -> np.ndarray:
        """The last layer's tokens without the class token, not normalised.

        Shapes: (n, 3, px, px) -> (n, tokens, width) float32.
        """
        import torch

        with torch.inference_mode():
            return self._model.patches(batch.to(self.device)).float().cpu().numpy()

    def joint_patches(self, batch: Tensor) -> np.ndarray:
        """Unit vectors of the patch tokens in the space of image vectors, by the same head as the pooled one.

        Shapes: (n, 3, px, px) -> (n, tokens, dim) float32.
        Raises: EncoderError where patches cannot be had in that space.
        """
        import torch

        with torch.inference_mode():
            patches = self._model.joint_patches(batch.to(self.device)).float()
        if patches.ndim != 3 or patches.shape[-1] != self.dim:
            raise EncoderError(
                f"encoder {self.name}: patches have shape {tuple(patches.shape[1:])}, its vectors {self.dim} numbers; "
                "take an image-text model, or do without patches"
            )
        return torch.nn.functional.normalize(patches, dim=-1).cpu().numpy()

    def encode_images(self, images: Sequence[Image.Image], *, batch_size: int = 32) -> np.ndarray:
        """Unit vectors of pictures. Shapes: images -> (n, dim) float32."""
        import numpy as np
        import torch

        batches = (images[start : start + batch_size] for start in range(0, len(images), batch_size))
        parts = [self.encode(torch.stack([self.preprocess(image) for image in batch])) for batch in batches]
        return np.concatenate(parts) if parts else np.zeros((0, self.dim), np.float32)

    def save(self, folder: Path) -> None:
        """Keep the encoder, its text tower included, in a folder that `load_image_encoder` opens anywhere.

        Raises: StoreError, EncoderError.
        """
        self._model.save(Path(folder))
        with atomic_write(Path(folder) / _ENCODER_FILE) as file:
            file.write(json.dumps({"name": self.name, "fingerprint": self.fingerprint}, indent=2).encode())


def _open_model(spec: str) -> Any:
    if spec in _SMALL:
        from kg.encoders import korvai_small

        return clip_models.open_clip_folder(korvai_small.checkpoint_dir(spec), name=spec)
    if Path(spec).is_dir():
        return _open_folder(Path(spec))
    kind, _, rest = spec.partition(":")
    name, _, source = rest.partition(":")
    if kind == "open_clip" and name:
        return clip_models.open_clip_name(name, source)
    if kind == "timm" and name:
        return timm_models.open_timm_name(name, source)
    raise EncoderError(_unknown(spec))


def _open_folder(folder: Path) -> Any:
    name = None
    if (folder / _ENCODER_FILE).is_file():
        name = json.loads((folder / _ENCODER_FILE).read_text(encoding="utf-8"))["name"]
    if (folder / clip_models.CONFIG_FILE).is_file():
        return clip_models.open_clip_folder(folder, name=name)
    if (folder / timm_models.CONFIG_FILE).is_file():
        return timm_models.open_timm_folder(folder)
    raise EncoderError(
        f"encoder {folder}: the folder holds neither {clip_models.CONFIG_FILE} nor {timm_models.CONFIG_FILE}; "
        "give a folder that an encoder was saved into"
    )


def _unknown(spec: str) -> str:
    import open_clip
    import timm

    known = [
        *_SMALL,
        *(f"open_clip:{name}" for name in open_clip.list_models()),
        *(f"timm:{name}" for name in timm.list_models()),
    ]
    wanted = spec.partition(":")[2] or spec
    named = {name.partition(":")[2] or name: name for name in known}
    close = [named[found] for found in difflib.get_close_matches(wanted, named, n=3, cutoff=0.5)]
    near = f"near: {', '.join(close)}; " if close else ""
    return f"encoder {spec!r} is unknown; {near}write {', '.join(_KINDS)}, or a folder of a saved encoder"


def _upright_rgb(image: Image.Image) -> Image.Image:
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode == "RGB":
        return image
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")
