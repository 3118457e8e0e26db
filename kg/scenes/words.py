"""What do parser and negatives know of English words?"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
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

    @cached_property
    def groups(self) -> dict[str, dict[str, frozenset[str]]]:
        """Kind -> word -> the groups it stands in."""
        return {kind: _inverted(getattr(self, kind)) for kind in ("attributes", "predicates", "objects")}

    def exclude(self, kind: str, one: str, other: str) -> bool:
        """Do the words stand in one group, and cannot both be true of the same thing?"""
        groups, none = self.groups[kind], frozenset()
        return bool(groups.get(one, none) & groups.get(other, none)) and not self.may_agree(one, other)

    def rivals(self, kind: str, word: str) -> tuple[str, ...]:
        """The words that exclude this one."""
        found = self._rivals.get((kind, word))
        if found is None:
            groups = getattr(self, kind)
            near = {other for name in self.groups[kind].get(word, ()) for other in groups[name]}
            found = tuple(sorted(other for other in near if not self.may_agree(word, other)))
            self._rivals[kind, word] = found
        return found

    @cached_property
    def _rivals(self) -> dict[tuple[str, str], tuple[str, ...]]:
        return {}

    def may_agree(self, one: str, other: str) -> bool:
        """May both words be true of the same thing?"""
        return one == other or other in self._companions.get(one, ())

    @cached_property
    def _companions(self) -> dict[str, frozenset[str]]:
        words = {word for group in self.alike for word in group}
        return {word: frozenset().union(*(group for group in self.alike if word in group)) for word in words}


def _inverted(groups: dict[str, tuple[str, ...]]) -> dict[str, frozenset[str]]:
    words = {word for group in groups.values() for word in group}
    return {word: frozenset(name for name, group in groups.items() if word in group) for word in words}


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


@cache
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


@cache
def article(word: str) -> str:
    """`a` or `an`, by the sound at the word's start as far as spelling tells."""
    lower = word.lower()
    if lower.startswith(("uni", "use", "eu", "one", "ubi")) and not lower.startswith("unin"):
        return "a"
    return "an" if lower.startswith(("a", "e", "i", "o", "u", "hour", "honest")) else "a"


@cache
def _raw() -> dict[str, Any]:
    return yaml.safe_load(_FILE.read_text(encoding="utf-8"))
