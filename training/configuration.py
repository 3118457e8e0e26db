"""Which values does a run use, when a preset, an overlay file and the command line all have a say?

Preset YAML < overlay YAML < command line. A key that the recipe does not know is an error that names close matches.
"""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from kg.errors import RecipeConfigError
from training.registry import RecipeConfig

__all__ = [
    "PRESETS_DIR",
    "dump_config",
    "merge_config",
    "parse_overrides",
    "preset_differences",
    "preset_names",
    "preset_path",
]

PRESETS_DIR = Path(__file__).resolve().parent / "presets"
"""Presets are `<recipe>/<preset>.yaml` below this folder."""
_Config = TypeVar("_Config", bound=RecipeConfig)


def merge_config(
    config_cls: type[_Config],
    *,
    preset: Path | None = None,
    overlay: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> _Config:
    """The configuration of a run from its layers; a later layer replaces a key of an earlier one.

    Raises: RecipeConfigError for a file that cannot be read, an unknown key or an impossible value.
    """
    merged: dict[str, Any] = {}
    for source, layer in _layers(preset, overlay, overrides):
        for key in layer:
            _refuse_unknown(key, config_cls, source=source)
        merged.update(layer)
    try:
        return config_cls(**merged)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))} = {e['input']!r}: {e['msg']}" for e in error.errors())
        raise RecipeConfigError(f"configuration of {config_cls.__module__}: {problems}") from error


def parse_overrides(pairs: Sequence[str]) -> dict[str, Any]:
    """`["learning_rate=1e-4", "epochs=3"]` as a dict; values are read as YAML.

    Raises: RecipeConfigError for a pair without "=", or a value that is no YAML.
    """
    out: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise RecipeConfigError(f"--set {pair!r} is not KEY=VALUE; write e.g. --set learning_rate=0.0001")
        out[key.strip()] = _number_or(_yaml(pair, text))
    return out


def preset_path(recipe: str, preset: str) -> Path:
    """File of a recipe's preset.

    Raises: RecipeConfigError, listing the presets there are.
    """
    path = PRESETS_DIR / recipe / f"{preset}.yaml"
    if not path.is_file():
        known = preset_names(recipe)
        raise RecipeConfigError(f"recipe {recipe!r} has no preset {preset!r}; there are: {', '.join(known) or 'none'}")
    return path


def preset_names(recipe: str) -> list[str]:
    """Names of a recipe's presets."""
    return sorted(path.stem for path in (PRESETS_DIR / recipe).glob("*.yaml"))


def preset_differences(config_cls: type[RecipeConfig], recipe: str) -> dict[str, list[Any]]:
    """Keys in which a recipe's presets differ -> what each of `preset_names` says of them."""
    found = [merge_config(config_cls, preset=preset_path(recipe, name)).model_dump() for name in preset_names(recipe)]
    values = {key: [each[key] for each in found] for key in (found[0] if found else {})}
    return {key: said for key, said in values.items() if any(value != said[0] for value in said)}


def dump_config(config: RecipeConfig) -> str:
    """The merged configuration as YAML, in field order."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _layers(
    preset: Path | None, overlay: Path | None, overrides: Mapping[str, Any] | None
) -> list[tuple[str, Mapping[str, Any]]]:
    files = [(f"preset {preset}", preset), (f"overlay {overlay}", overlay)]
    layers: list[tuple[str, Mapping[str, Any]]] = [(name, _read(path)) for name, path in files if path]
    return [*layers, ("the command line", overrides or {})]


def _read(path: Path) -> Mapping[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeConfigError(f"reading configuration {path}: {error}; name a readable YAML file") from error
    if not isinstance(content, dict):
        raise RecipeConfigError(f"configuration {path} holds a {type(content).__name__}, not keys with values")
    return content


def _refuse_unknown(key: str, config_cls: type[RecipeConfig], *, source: str) -> None:
    known = list(config_cls.model_fields)
    if key in known:
        return
    close = difflib.get_close_matches(key, known, n=3, cutoff=0.5)
    way_out = f"did you mean {' or '.join(close)}?" if close else f"known keys: {', '.join(known)}"
    raise RecipeConfigError(f"{source} sets unknown key {key!r} of {config_cls.__module__}; {way_out}")


def _yaml(pair: str, text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeConfigError(f"--set {pair!r}: the value is no YAML; quote it, or close its brackets") from error


def _number_or(value: Any) -> Any:
    """YAML 1.1 reads 1e-4 as a string; people mean the number."""
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        return value
