"""Are settings read from the environment, refused when unsafe, and all told in the README?"""

from pathlib import Path

import pytest

from kg.errors import SettingsError
from kg.settings import Settings, load_settings

README = Path(__file__).parents[2] / "README.md"
CUSTOMARY = {
    "neo4j_uri": "NEO4J_URI",
    "neo4j_user": "NEO4J_USER",
    "neo4j_password": "NEO4J_PASSWORD",
    "neo4j_database": "NEO4J_DATABASE",
    "redis_url": "REDIS_URL",
}


def test_store_is_under_home_unless_set(tmp_path: Path) -> None:
    assert load_settings(home=tmp_path).store_dir == tmp_path / "store"
    assert load_settings(home=tmp_path, store=tmp_path / "elsewhere").store_dir == tmp_path / "elsewhere"


def test_customary_names_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEO4J_URI", "bolt://localhost:1")
    monkeypatch.setenv("NEO4J_PASSWORD", "x" * 12)
    settings = load_settings()
    assert settings.neo4j_uri == "bolt://localhost:1"
    assert "x" * 12 not in repr(settings)


def test_a_uri_without_a_password_is_refused() -> None:
    with pytest.raises(SettingsError, match="NEO4J_PASSWORD is not"):
        load_settings(neo4j_uri="bolt://localhost:1")


def test_a_placeholder_password_is_refused_in_production() -> None:
    with pytest.raises(SettingsError, match="placeholder"):
        load_settings(environment="production", neo4j_uri="bolt://localhost:1", neo4j_password="changeme")


def test_a_value_of_the_wrong_type_names_the_field() -> None:
    with pytest.raises(SettingsError, match="KORVAI_NEO4J_HEAP_MIB: Input should be a valid integer"):
        load_settings(neo4j_heap_mib="much")


def test_every_setting_is_in_the_readme() -> None:
    told = README.read_text(encoding="utf-8")
    missing = [
        name for name in Settings.model_fields if f"`{CUSTOMARY.get(name, 'KORVAI_' + name.upper())}`" not in told
    ]
    assert not missing
