"""How is evidence said in words: what one neighbour says of a class, and one sentence for a whole explanation?

Words come from the graph and from the phrases of the recipe's configuration; no language model is asked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from training.explain.neighbourhood import Neighbourhood, Unit

__all__ = ["Finding", "sentence", "wordings"]

_REASONS, _COUNTER_REASONS = 3, 2


@dataclass(frozen=True)
class Finding:
    """One neighbour of the class with what it says and how much that weighs; above 0 speaks for the class."""

    unit: Unit
    says: str
    weight: float
    mask: float | None = None
    visible: bool = True
    """Whether it is about what a picture shows: a relation that the recipe has a phrase for."""

    @property
    def source(self) -> str:
        """Relation and node, as a curator finds them in the graph."""
        return self.unit.relation + (f" {self.unit.keys[0]}" if len(self.unit.keys) == 1 else "")


def wordings(around: Neighbourhood) -> list[str]:
    """What each unit around a class says of it, in words."""
    templates = [template.split() for template in around.gatherer.phrases.values()]
    alike = [len(set(words)) == 1 for words in zip(*templates, strict=False)] if len(templates) > 1 else []
    common = [*alike, False].index(False)
    return [_wording(around, unit, common) for unit in around.units]


def sentence(
    class_key: str,
    probability: float,
    findings: Sequence[Finding],
    *,
    best: tuple[str, float],
    rival: tuple[str, float] | None = None,
    against_rival: Sequence[Finding] = (),
) -> str:
    """The explanation in one sentence: what the class is called for, and what speaks against the next likely one.

    `findings` are of the class, `against_rival` of its rival; both in any order.
    """
    called = f"Called {class_key} ({probability:.2f}) because"
    if best[0] != class_key:
        called = f"Not called {class_key} ({probability:.2f}) but {best[0]} ({best[1]:.2f}); for {class_key} speaks"
    reasons = [f for f in sorted(findings, key=lambda f: -f.weight) if f.weight > 0][:_REASONS]
    parts = [f"{called}: {_list(reasons) or 'nothing that the graph says of it by itself'}"]
    if counter := [f for f in sorted(findings, key=lambda f: f.weight) if f.weight < 0 and f.visible][:1]:
        parts.append(f"what does not fit: {_list(counter)}")
    if rival:
        missing = [f for f in sorted(against_rival, key=lambda f: f.weight) if f.weight < 0 and f.visible]
        against = f"against {rival[0]} ({rival[1]:.2f})"
        parts.append(f"{against}: no {_list(missing[:_COUNTER_REASONS], joint=', no ')}" if missing else against)
    return "; ".join(parts) + "."


def _wording(around: Neighbourhood, unit: Unit, common: int) -> str:
    if unit.is_items:
        item = unit.label.lower()
        like = f"the {len(unit.keys)} {item}s" if len(unit.keys) > 1 else f"{unit.keys[0]}, {_article(item)} {item}"
        return f"it looks like {like} already called {around.class_key}"
    if unit.edge_type in around.phrases:
        words = around.phrases[unit.edge_type][0][unit.places[0]].split()[common:]
        return " ".join(words[1:] if len(words) > 1 and words[0] in ("with", "in") else words)
    relation = unit.relation.replace("_", " ").lower()
    if unit.edge_type[1].startswith("rev_"):
        return f"{relation} {unit.keys[0]}"
    return f"{unit.label} {unit.keys[0]} ({relation})"


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def _list(findings: Sequence[Finding], *, joint: str = ", ") -> str:
    return joint.join(f"{_told(f, joint)} ({f.source}, {f.weight:+.3f})" for f in findings)


def _told(finding: Finding, joint: str) -> str:
    """Without its article after a no."""
    return re.sub("^(an?|no) ", "", finding.says) if "no" in joint else finding.says
