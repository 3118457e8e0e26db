"""Do other spellings find ArtGraph's names, and do file names say what they say?"""

from __future__ import annotations

import pytest

from kg.importers.art_names import class_facts, class_key, plain, read_file_name, slug
from kg.importers.values import clean_key, clean_properties
from kg.schema import load_domain


@pytest.mark.parametrize(
    ("label", "spelling", "key"),
    [
        ("Style", "Art Nouveau (Modern)", "art nouveau (modern)"),
        ("Style", "Art_Nouveau_Modern", "art nouveau (modern)"),
        ("Style", "Art_Nouveau", "art nouveau (modern)"),
        ("Style", "Post_Impressionism", "post-impressionism"),
        ("Style", "Naive_Art_Primitivism", "naïve art (primitivism)"),
        ("Style", "Mannerism_Late_Renaissance", "mannerism (late renaissance)"),
        ("Style", "Ukiyo_e", "ukiyo-e"),
        ("Style", "Pointillism", None),
        ("Genre", "nude_painting", "nude painting (nu)"),
        ("Genre", "genre_painting", "genre painting"),
        ("Genre", "abstract_painting", "abstract"),
        ("Genre", "sketch_and_study", "sketch and study"),
        ("Genre", "tv", None),
    ],
)
def test_spellings(label: str, spelling: str, key: str | None) -> None:
    assert class_key(load_domain("artgraph"), label, spelling) == key


def test_every_alias_leads_to_a_class_and_no_class_is_an_alias() -> None:
    domain = load_domain("artgraph")
    for label, aliases in domain.aliases.items():
        known = class_facts(label)
        assert set(aliases.values()) <= set(known)
        assert not set(aliases) & set(known)


def test_class_facts_are_artgraphs_in_label_order() -> None:
    styles, genres = class_facts("Style"), class_facts("Genre")
    assert (len(styles), len(genres)) == (32, 18)
    assert [facts["label_index"] for facts in styles.values()] == list(range(32))
    assert [facts["label_index"] for facts in genres.values()] == list(range(18))
    assert list(styles)[:2] == ["art deco", "art nouveau (modern)"]
    assert all("general knowledge" in facts["description_source"] for facts in styles.values())


@pytest.mark.parametrize(
    ("name", "artist", "title", "year"),
    [
        ("claude-monet_water-lilies-1906.jpg", "claude-monet", "water lilies", 1906),
        ("carl-larsson_fishing-1905(1).jpg", "carl-larsson", "fishing", 1905),
        ("a-b_studies-1902-1.jpg", "a-b", "studies 1", 1902),
        ("utagawa-kunisada_not_detected_240343.jpg", "utagawa-kunisada", "not detected 240343", None),
        ("grã©goire-michonze_in-the-village.jpg", "grã©goire-michonze", "in the village", None),
        ("x-y_1894.jpg", "x-y", "1894", None),
    ],
)
def test_file_names(name: str, artist: str, title: str, year: int | None) -> None:
    found = read_file_name(name)
    assert found is not None
    assert (found.key, found.artist, found.title, found.year) == (name, artist, title, year)


def test_a_name_without_artist_is_none() -> None:
    assert read_file_name("IMG0001.jpg") is None
    assert read_file_name("_title.jpg") is None


def test_slugs() -> None:
    assert slug("Édouard Manet") == "edouard-manet"
    assert slug("frans-hals") == "frans-hals"
    assert slug("歌川広重") == "歌川広重"
    assert plain("(1)") == "(1)" or plain("(1)") == ""


def test_keys_and_properties() -> None:
    assert clean_key("  a ") == ("a", "")
    assert clean_key(7) == ("7", "")
    for bad in (None, "", "   ", "x" * 5000, "\udc80"):
        assert clean_key(bad)[1]
    types = {"year": "INTEGER", "share": "FLOAT", "rendered": "BOOLEAN", "names": "LIST<STRING>", "text": "STRING"}
    row = {
        "year": "1895",
        "share": "0.5",
        "rendered": "yes",
        "names": ["a"],
        "text": 3,
        "free": 2,
        "empty": "",
        "no": None,
    }
    good, complaints = clean_properties(row, types)
    assert good == {"year": 1895, "share": 0.5, "rendered": True, "names": ["a"], "text": "3", "free": 2}
    assert complaints == []
    good, complaints = clean_properties({"year": "c.1590", "big": 2**70, "mixed": [1, "a"], "odd": {"a": 1}}, types)
    assert good == {}
    assert len(complaints) == 4
    assert "c.1590" in complaints[0]
