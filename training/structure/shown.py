"""Of which pictures is a sentence true, going by what their scenes are known to show?

A sentence of a batch that is true of another picture of it, too, says nothing against that picture. Half of all
pictures have a border above the body; whoever takes all but one of them for wrong cannot learn what "above" means.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from kg.rendering.scene import side_of
from kg.scenes.scene import Scene
from kg.scenes.telling import IS, IS_NOT, NUMBERS, WITHOUT, Told, Triple

__all__ = ["Facts", "Shown", "facts_of", "shown_by"]

_ON = "on"
"""Its reverse nobody would believe."""
_WHOLE = "saree"
"""What a scene is of; it is no thing in it."""


class Facts(NamedTuple):
    """What a sentence tells, by names; `sure`: all of it can be looked up in a scene."""

    names: frozenset[str]
    attributed: frozenset[tuple[str, str]]
    related: frozenset[Triple]
    denied: tuple[Triple, ...]
    sure: bool


class Shown(NamedTuple):
    """What can be seen in a picture: things, their attributes, and relations, the measured ones among them."""

    names: frozenset[str]
    attributed: frozenset[tuple[str, str]]
    related: frozenset[Triple]

    def shows(self, facts: Facts) -> bool:
        """Is all of it so? Never where a number is told: how many are whole and in sight is in no scene."""
        return (
            facts.sure
            and facts.names <= self.names
            and facts.attributed <= self.attributed
            and facts.related <= self.related
            and all(self._lacks(*triple) for triple in facts.denied)
        )

    def turned(self) -> list[tuple[Triple, tuple[Triple, ...]]]:
        """Each attribute and relation with its false forms; facts without one are left out.

        For scenes that hold all there is to see: what they do not show is false. Made of what is there: the ends
        swapped where two things stand to each other; else another thing in the place of the first; of what lies on
        something another such thing, or another place.
        """
        lying = {head for head, relation, _ in self.related if relation == _ON}
        so = sorted({(name, IS, value) for name, value in self.attributed} | self.related)
        found = []
        for head, relation, tail in so:
            if relation == _ON:
                false = [(other, _ON, tail) for other in sorted(lying - {head} or self.names - {head, tail})]
                false += [(head, _ON, other) for other in sorted(self.names - lying - {tail})]
            elif tail in self.names:
                false = [(tail, relation, head)]
            else:
                false = [(other, relation, tail) for other in sorted(self.names - {head})]
            forms = tuple(form for form in false if form not in self.related and self._denies(form))
            found += [((head, relation, tail), forms)] if forms else []
        return found

    def _denies(self, triple: Triple) -> bool:
        return triple[1] != IS or (triple[0], triple[2]) not in self.attributed

    def _lacks(self, name: str, how: str, what: str) -> bool:
        if how == WITHOUT:
            return what not in self.names
        return how == IS_NOT and name in self.names and (name, what) not in self.attributed


def facts_of(told: Told) -> Facts:
    """What a sentence tells."""
    scene = told.scene
    attributed = frozenset(scene.attributed())
    names = frozenset(thing.name for thing in scene.objects) - {_WHOLE}
    counted = any(value in NUMBERS for _, value in attributed)
    says = bool(attributed or scene.relations or told.denied or names)
    return Facts(names, attributed, frozenset(scene.triples()), told.denied, says and not counted)


def shown_by(scene: Scene) -> Shown:
    """What is known of a picture."""
    names = frozenset(thing.name for thing in scene.objects)
    return Shown(names, frozenset(scene.attributed()), frozenset(scene.triples()) | frozenset(_measured(scene)))


def _measured(scene: Scene) -> Iterator[Triple]:
    """Directions between things whose boxes are known."""
    boxed = [thing for thing in scene.objects if thing.x is not None]
    for one in boxed:
        for other in boxed:
            if one is not other and (side := side_of(one, other)):
                yield one.name, side, other.name
                if side in ("left of", "right of"):
                    yield one.name, "beside", other.name
