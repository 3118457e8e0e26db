"""What do parser and negatives know of English words?"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

__all__ = ["Vocabulary", "article", "parsing_words", "plural", "searching_words", "vocabulary"]

_FILE = Path(__file__).parents[2] / "data" / "scenes" / "words.yaml"


@dataclass(frozen=True)
class Vocabulary:
    """Groups of words that exclude each other, and what softens that."""

    attributes: dict[str, tuple[str, ...]]
    predicates: dict[str, tuple[str, ...]]
    objects: dict[str, tuple[str, ...]]
    symmetric: frozenset[str]
    alike: tuple[frozenset[str], ...]
    wider: dict[str, frozenset[str]]

    @staticmethod
    def groups_of(word: str, groups: dict[str, tuple[str, ...]]) -> list[str]:
        """The groups that a word stands in."""
        return [name for name, words in groups.items() if word in words]

    def may_agree(self, one: str, other: str) -> bool:
        """May both words be true of the same thing?"""
        return one == other or any(one in words and other in words for words in self.alike)


@cache
def vocabulary() -> Vocabulary:
    """What negatives know."""
    raw = _raw()["negatives"]
    groups = {
        kind: {name: tuple(words) for name, words in raw[f"exclusive_{kind}"].items()}
        for kind in ("attributes", "predicates", "objects")
    }
    return Vocabulary(
        **groups,
        symmetric=frozenset(raw["symmetric"]),
        alike=tuple(map(frozenset, raw["alike"])),
        wider={name: frozenset(words) for name, words in raw["wider"].items()},
    )


@cache
def parsing_words() -> dict[str, frozenset[str]]:
    """Word lists of the caption parser."""
    return {name: frozenset(words) for name, words in _raw()["parsing"].items()}


@cache
def searching_words() -> tuple[dict[str, str], frozenset[str]]:
    """Other wordings of what scenes say, and words that say nothing."""
    raw = _raw()["searching"]
    return raw["same"], frozenset(raw["ignored"])


def plural(name: str) -> str:
    """`peacocks`, `buses`, `women`, `horse riders`."""
    irregular = _raw()["negatives"]["irregular_plurals"]
    if name in irregular:
        return irregular[name]
    first, _, last = name.rpartition(" ")
    if first and last in irregular:
        return f"{first} {irregular[last]}"
    if name.endswith(("s", "x", "z", "ch", "sh")):
        return f"{name}es"
    if name.endswith("y") and name[-2:-1] not in "aeiou":
        return f"{name[:-1]}ies"
    return f"{name}s"


def article(word: str) -> str:
    """`a` or `an`, by the sound at the word's start as far as spelling tells."""
    lower = word.lower()
    if lower.startswith(("uni", "use", "eu", "one", "ubi")) and not lower.startswith("unin"):
        return "a"
    return "an" if lower.startswith(("a", "e", "i", "o", "u", "hour", "honest")) else "a"


@cache
def _raw() -> dict[str, Any]:
    return yaml.safe_load(_FILE.read_text(encoding="utf-8"))
