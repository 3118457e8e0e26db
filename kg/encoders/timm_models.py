"""How is a timm model opened with a local weights file, and how is it kept?

Its vector is the pooled feature before the classifier. A folder holds `timm_config.json` and `model.safetensors`.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kg.encoders.hub import fetching
from kg.encoders.weights import load_strictly, read_weights, save_weights
from kg.errors import EncoderError
from kg.store import atomic_write

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor, nn

__all__ = ["CONFIG_FILE", "TimmModel", "open_timm_folder", "open_timm_name"]

CONFIG_FILE = "timm_config.json"
_WEIGHTS_FILE = "model.safetensors"
_SLIM_CLASSES = 1001
_SLIM_OPTIONS = {"pad_type": "same"}
_SLIM_INPUT = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
"""ImageNet weights with a background class come from TensorFlow: its padding, and input (x - 127.5) / 127.5."""


class TimmModel:
    """A timm model in eval mode, without a text side."""

    def __init__(self, name: str, model: nn.Module, *, config: dict[str, Any]) -> None:
        self.name = name
        self.model = model.eval()
        self.config = config

    @property
    def module(self) -> nn.Module:
        """The whole model, for those who train it further."""
        return self.model

    @property
    def dim(self) -> int:
        """Length of the pooled feature."""
        return int(getattr(self.model, "head_hidden_size", None) or self.model.num_features)

    @property
    def input_px(self) -> int:
        """Side of the square that goes in."""
        return int(self.config["input"]["input_size"][-1])

    @property
    def description(self) -> str:
        """What is done to a picture, for the fingerprint."""
        return json.dumps({"timm": self.config["input"]}, sort_keys=True)

    @cached_property
    def transform(self) -> Callable[[Image.Image], Tensor]:
        """PIL image to tensor."""
        from timm.data import create_transform

        options = {
            key: tuple(value) if isinstance(value, list) else value for key, value in self.config["input"].items()
        }
        return create_transform(**options, is_training=False)

    def features(self, batch: Tensor) -> Tensor:
        """Pooled features, not normalised. Shapes: (n, 3, px, px) -> (n, dim)."""
        return self.model.forward_head(self.model.forward_features(batch), pre_logits=True)

    def patches(self, batch: Tensor) -> Tensor:
        """Features before pooling, class tokens left out. Shapes: (n, 3, px, px) -> (n, tokens, width)."""
        features = self.model.forward_features(batch)
        if features.ndim == 4:
            return features.flatten(2).transpose(1, 2)
        return features[:, getattr(self.model, "num_prefix_tokens", 0) :]

    def joint_patches(self, batch: Tensor) -> Tensor:
        """The same: features are pooled patches. Shapes: (n, 3, px, px) -> (n, tokens, width)."""
        return self.patches(batch)

    def image_state(self) -> Mapping[str, Tensor]:
        """All tensors."""
        return self.model.state_dict()

    def save(self, folder: Path) -> None:
        """Write config and weights: all that `open_timm_folder` needs.

        Raises: StoreError.
        """
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(folder / CONFIG_FILE) as file:
            file.write(json.dumps({"name": self.name, **self.config}, indent=2).encode())
        save_weights(self.model.state_dict(), folder / _WEIGHTS_FILE)


def open_timm_name(name: str, source: str) -> TimmModel:
    """Open the timm model `name` with a local weights file, or with its own weights from the hub where `source` is
    empty.

    Raises: EncoderError for an unknown name, a hub that cannot be reached, weights that do not match.
    """
    import timm

    spec = f"timm:{name}"
    _check_known(name)
    if not source:
        with fetching(spec, instead=f"fetch them elsewhere and give the file: {spec}:/path/to/model.safetensors"):
            model = timm.create_model(name, pretrained=True)
        return TimmModel(spec, model, config={"model": name, "options": {}, "input": _input_of(model, {})})
    path = Path(source).expanduser()
    state = read_weights(path, encoder=spec)
    options, overrides = _options_for(name, state)
    model = timm.create_model(name, pretrained=False, **options)
    load_strictly(model, state, encoder=spec, path=path)
    return TimmModel(spec, model, config={"model": name, "options": options, "input": _input_of(model, overrides)})


def open_timm_folder(folder: Path) -> TimmModel:
    """Open a folder that `TimmModel.save` wrote.

    Raises: EncoderError for damaged files.
    """
    import timm

    try:
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        name = config.pop("name")
        model = timm.create_model(config["model"], pretrained=False, **config["options"])
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise EncoderError(f"encoder: cannot read {folder / CONFIG_FILE} ({error}); restore the folder") from error
    path = folder / _WEIGHTS_FILE
    load_strictly(model, read_weights(path, encoder=name), encoder=name, path=path)
    return TimmModel(name, model, config=config)


def _check_known(name: str) -> None:
    import timm

    if timm.is_model(name.split(".")[0]):
        return
    close = difflib.get_close_matches(name, timm.list_models(), n=4, cutoff=0.4)
    raise EncoderError(f"encoder timm:{name}: timm has no model of that name; near: {', '.join(close) or 'none'}")


def _options_for(name: str, state: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Any]]:
    """How to build the model for these weights: with their classifier's classes, by the rules of their family."""
    import timm

    classifier = (timm.get_pretrained_cfg(name) or timm.models.PretrainedCfg()).classifier
    weight = state.get(f"{classifier}.weight") if isinstance(classifier, str) else None
    if weight is None:
        return {"num_classes": 0}, {}
    classes = weight.shape[0]
    if classes != _SLIM_CLASSES:
        return {"num_classes": classes}, {}
    return {"num_classes": classes, **(_SLIM_OPTIONS if _takes_padding(name) else {})}, _SLIM_INPUT


def _takes_padding(name: str) -> bool:
    import timm

    return timm.model_entrypoint(name.split(".")[0]).__module__.endswith((".efficientnet", ".mobilenetv3"))


def _input_of(model: nn.Module, overrides: Mapping[str, Any]) -> dict[str, Any]:
    from timm.data import resolve_data_config

    resolved = {**resolve_data_config({}, model=model), **overrides}
    return {key: list(value) if isinstance(value, tuple) else value for key, value in resolved.items()}
