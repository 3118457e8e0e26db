"""How is an open_clip model opened, from a name with a tag or a file, or from a folder, and how is it kept?

A folder holds open_clip's own `open_clip_config.json` and `open_clip_model.safetensors`, with the tokenizer's files
where the model has its own; open_clip opens it as `local-dir:` too.
"""

from __future__ import annotations

import difflib
import json
import shutil
from copy import deepcopy
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kg.encoders.hub import fetching
from kg.encoders.weights import fitting, save_weights
from kg.errors import EncoderError
from kg.store import atomic_write

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from PIL import Image
    from torch import Tensor, nn

__all__ = ["CONFIG_FILE", "ClipModel", "open_clip_folder", "open_clip_name"]

CONFIG_FILE = "open_clip_config.json"
_WEIGHTS_FILE = "open_clip_model.safetensors"
_FOREIGN_TOWERS = ("hf_model_name",)


class ClipModel:
    """An open_clip model in eval mode: its image tower, its text tower, and what both take in."""

    def __init__(
        self, name: str, model: nn.Module, *, config: dict[str, Any], preprocess: dict[str, Any], folder: Path | None
    ):
        self.name = name
        self.model = model.eval()
        self.config = config
        self.preprocess_config = preprocess
        self._folder = folder

    @property
    def module(self) -> nn.Module:
        """The image tower, for those who train it further."""
        return self.model.visual

    @property
    def dim(self) -> int:
        """Length of image and text vectors."""
        return int(self.config["embed_dim"])

    @property
    def input_px(self) -> int:
        """Side of the square that goes in."""
        size = self.preprocess_config["size"]
        return int(size if isinstance(size, int) else size[0])

    @property
    def description(self) -> str:
        """What is done to a picture, for the fingerprint."""
        return json.dumps({"open_clip": self.preprocess_config}, sort_keys=True)

    @cached_property
    def transform(self) -> Callable[[Image.Image], Tensor]:
        """PIL image to tensor."""
        from open_clip.transform import PreprocessCfg, image_transform_v2

        return image_transform_v2(PreprocessCfg(**self.preprocess_config), is_train=False)

    def features(self, batch: Tensor) -> Tensor:
        """Image vectors, not normalised. Shapes: (n, 3, px, px) -> (n, dim)."""
        return self.model.encode_image(batch)

    def patches(self, batch: Tensor) -> Tensor:
        """The last block's tokens after the final norm, unprojected. Shapes: (n, 3, px, px) -> (n, tokens, width)."""
        output = self.module.forward_intermediates(
            batch, indices=1, normalize_intermediates=True, intermediates_only=True, output_fmt="NLC"
        )
        return output["image_intermediates"][-1]

    def joint_patches(self, batch: Tensor) -> Tensor:
        """Patch tokens through the head that the pooled token takes. Shapes: (n, 3, px, px) -> (n, tokens, dim)."""
        tokens, module = self.patches(batch), self.module
        if hasattr(module, "trunk"):  # timm: a norm after pooling where it pools by a mean, then open_clip's projection
            after_pooling = getattr(module.trunk, "fc_norm", None)
            return module.head(tokens if after_pooling is None else after_pooling(tokens))
        projection = getattr(module, "proj", None)
        return tokens if projection is None else tokens @ projection

    def image_state(self) -> Mapping[str, Tensor]:
        """The image tower's tensors."""
        return self.module.state_dict()

    def text_state(self) -> Mapping[str, Tensor]:
        """All tensors but the image tower's."""
        return {key: value for key, value in self.model.state_dict().items() if not key.startswith("visual.")}

    @cached_property
    def tokenizer(self) -> Callable[[Sequence[str]], Tensor]:
        """Texts to token ids.

        Raises: EncoderError where the tokenizer's files are neither here nor to be had.
        """
        import open_clip

        source = f"local-dir:{self._folder}" if self._folder else self.name.removeprefix("open_clip:")
        options = {"bpe_path": str(self._folder / own)} if self._folder and (own := self._merges) else {}
        with fetching(self.name, instead="use another text encoder (KORVAI_TEXT_ENCODER)"):
            return open_clip.get_tokenizer(source, **options)

    @property
    def tokenizer_description(self) -> str:
        """What is done to a text, for the fingerprint."""
        return json.dumps(self.config["text_cfg"], sort_keys=True, default=str)

    def encode_tokens(self, tokens: Tensor) -> Tensor:
        """Text vectors, not normalised. Shapes: (n, context) -> (n, dim)."""
        return self.model.encode_text(tokens)

    def save(self, folder: Path) -> None:
        """Write config, weights and the tokenizer's own files: all that `open_clip_folder` needs.

        Raises: StoreError; EncoderError for a text tower whose architecture only its hub knows.
        """
        if foreign := [key for key in _FOREIGN_TOWERS if key in self.config["text_cfg"]]:
            raise EncoderError(
                f"encoder {self.name}: its text tower comes from another library ({foreign[0]}) and cannot be kept in "
                "a folder; use an open_clip model with its own text tower"
            )
        folder.mkdir(parents=True, exist_ok=True)
        config = {"model_cfg": self.config, "preprocess_cfg": self.preprocess_config}
        with atomic_write(folder / CONFIG_FILE) as file:
            file.write(json.dumps(config, indent=2).encode())
        save_weights(self.model.state_dict(), folder / _WEIGHTS_FILE)
        self._save_tokenizer(folder)

    @property
    def _merges(self) -> str | None:
        return self.config["text_cfg"].get("tokenizer_kwargs", {}).get("bpe_path")

    def _save_tokenizer(self, folder: Path) -> None:
        if self._merges and self._folder:
            with atomic_write(folder / self._merges) as file, (self._folder / self._merges).open("rb") as source:
                shutil.copyfileobj(source, file)
        elif "hf_tokenizer_name" in self.config["text_cfg"]:
            self.tokenizer.tokenizer.save_pretrained(folder)


def open_clip_name(name: str, source: str) -> ClipModel:
    """Open the architecture `name` with a pretrained tag or a local weights file.

    Raises: EncoderError for an unknown name or tag, a hub that cannot be reached, weights that do not match.
    """
    import open_clip

    spec = f"open_clip:{name}"
    config = open_clip.get_model_config(name)
    if config is None:
        raise EncoderError(_unknown("open_clip", name, open_clip.list_models()))
    tags = open_clip.list_pretrained_tags_by_model(name)
    path = Path(source).expanduser()
    if source in tags:
        instead = f"fetch them elsewhere and give the file: {spec}:/path/to/open_clip_model.safetensors"
        with fetching(f"{spec}:{source}", instead=instead):
            path = Path(open_clip.download_pretrained(open_clip.get_pretrained_cfg(name, source)))
    elif not path.is_file():
        raise EncoderError(
            f"encoder {spec}:{source}: {source!r} is neither a file nor a pretrained tag of {name}; "
            f"tags: {', '.join(tags) or 'none'}"
        )
    preprocess = _preprocess_of(name, [source] if source in tags else tags)
    return _built(spec, config, preprocess, path, folder=None)


def open_clip_folder(folder: Path, *, name: str | None = None) -> ClipModel:
    """Open a folder that `ClipModel.save` or anybody else wrote in open_clip's `local-dir:` form.

    Raises: EncoderError for damaged files or weights that do not match.
    """
    from open_clip.factory import _find_checkpoint_in_dir

    name = name or f"open_clip:{folder.name}"
    try:
        content = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        config, preprocess = content["model_cfg"], content.get("preprocess_cfg", {})
    except (OSError, ValueError, KeyError) as error:
        raise EncoderError(
            f"encoder {name}: cannot read {folder / CONFIG_FILE} ({error}); restore the folder"
        ) from error
    checkpoint = _find_checkpoint_in_dir(folder)
    if checkpoint is None:
        raise EncoderError(f"encoder {name}: {folder} holds no weights file ({_WEIGHTS_FILE}); restore the folder")
    return _built(name, config, preprocess, Path(checkpoint), folder=folder)


def _built(
    name: str, config: dict[str, Any], preprocess: dict[str, Any], path: Path, *, folder: Path | None
) -> ClipModel:
    from open_clip.factory import load_checkpoint

    model = _empty_model(name, config)
    with fitting(name, path):
        load_checkpoint(model, str(path), strict=True)
    size = model.visual.image_size
    return ClipModel(name, model, config=config, preprocess=_complete(preprocess, size), folder=folder)


def _empty_model(name: str, config: Mapping[str, Any]) -> nn.Module:
    """The architecture with random weights; nothing is fetched.

    Raises: EncoderError where the config asks for something that open_clip or timm does not have.
    """
    from open_clip.model import CLIP, CustomTextCLIP

    options = deepcopy(dict(config))
    vision, text = options["vision_cfg"], options["text_cfg"]
    if "timm_model_name" in vision:
        from kg.encoders import korvai_small

        korvai_small.register()
        vision["timm_model_pretrained"] = False
    if "hf_model_name" in text:
        text["hf_model_pretrained"] = False
    if "multimodal_cfg" in options:
        raise EncoderError(
            f"encoder {name}: a captioning model; take one with an image and a text tower, such as ViT-B-16"
        )
    custom = options.pop("custom_text", False) or "hf_model_name" in text
    try:
        return (CustomTextCLIP if custom else CLIP)(**options)
    except Exception as error:
        raise EncoderError(
            f"encoder {name}: cannot be built ({' '.join(str(error).split())[:160]}); check its config"
        ) from error


def _preprocess_of(name: str, tags: Sequence[str]) -> dict[str, Any]:
    """What the tags of a model say; a local file says nothing, so it gets what all of the model's tags agree on."""
    import open_clip

    keys = ("mean", "std", "interpolation", "resize_mode")
    said = [
        {key: tag[key] for key in keys if tag.get(key)} for tag in (open_clip.get_pretrained_cfg(name, t) for t in tags)
    ]
    return said[0] if said and all(other == said[0] for other in said) else {}


def _complete(preprocess: Mapping[str, Any], size: int | Sequence[int]) -> dict[str, Any]:
    from dataclasses import asdict

    from open_clip.transform import PreprocessCfg, merge_preprocess_dict

    merged = merge_preprocess_dict(asdict(PreprocessCfg()), {**preprocess, "size": size})
    return {key: list(value) if isinstance(value, tuple) else value for key, value in merged.items()}


def _unknown(kind: str, name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=4, cutoff=0.4)
    hint = f"near: {', '.join(close)}" if close else f"for example {', '.join(list(known)[:3])}"
    return f"encoder {kind}:{name}: {kind} has no model of that name; {hint}"
