"""Which configuration does a run have, once presets, files, command line, settings and encoders have had their say?

For the text encoder: what --config or --set name stands; else the setting (`KORVAI_TEXT_ENCODER`) replaces the recipe's
default one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kg.progress import Reporter
from kg.schema import Domain
from kg.settings import DEFAULT_TEXT_ENCODER
from training.configuration import PRESETS_DIR, merge_config, preset_path
from training.features import CLIP, StoredFeatures
from training.registry import RecipeConfig, get_recipe

__all__ = ["choose_config", "fit_to_encoders"]

_WIDTH_WITHOUT_TEXT_TOWER = 256


def choose_config(
    recipe_name: str,
    domain: Domain,
    *,
    preset: str | None = None,
    overlay: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    text_encoder: str = DEFAULT_TEXT_ENCODER,
) -> RecipeConfig:
    """Preset < `text_encoder`, a setting < overlay < overrides; without a preset the domain's own, else `best`.

    Raises: UnknownRecipe, RecipeConfigError.
    """
    config_cls = get_recipe(recipe_name).config_cls
    own = (PRESETS_DIR / recipe_name / f"{domain.domain}.yaml").is_file()
    path = preset_path(recipe_name, preset or (domain.domain if own else "best"))
    config = merge_config(config_cls, preset=path, overlay=overlay, overrides=overrides)
    if "text_features" not in config_cls.model_fields:
        return config
    said = merge_config(config_cls, overlay=overlay, overrides=overrides).model_fields_set
    return config if "text_features" in said else _with_text_encoder(config, text_encoder)


def fit_to_encoders(
    config: RecipeConfig, features: StoredFeatures, reporter: Reporter, *, text_encoder: str = DEFAULT_TEXT_ENCODER
) -> RecipeConfig:
    """Without a text tower beside the image encoder there are no phrases in its space: say so and go on without."""
    wanted = getattr(config, "text_features", ())
    sources = getattr(config, "node_features", {})
    speaks = CLIP in wanted or CLIP in sources.values() or getattr(config, "words", "prototypes") != "prototypes"
    if not speaks or features.has_text_tower():
        return config
    described = "their prototypes" if hasattr(config, "words") else "the text encoder"
    reporter.warn(f"{features.image_spec} has no text tower; classes are described by {described} alone")
    names = tuple(name for name in wanted if name != CLIP) or (text_encoder,)
    width = getattr(config, "width", None) or _WIDTH_WITHOUT_TEXT_TOWER
    sources = {label: "sentence" if source == CLIP else source for label, source in sources.items()}
    changes = {"text_features": names, "node_features": sources, "phrases": {}, "readings": "none", "width": width}
    changes |= {"words": "prototypes", "match": "cosine", "context": "words", "text_prompts": 0, "image_prompts": 0}
    return config.model_copy(update={name: value for name, value in changes.items() if hasattr(config, name)})


def _with_text_encoder(config: RecipeConfig, text_encoder: str) -> RecipeConfig:
    names = (text_encoder if name == DEFAULT_TEXT_ENCODER else name for name in config.text_features)
    return config.model_copy(update={"text_features": tuple(dict.fromkeys(names))})
