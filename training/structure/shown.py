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
    looks: frozenset[tuple[str, str, str]] = frozenset()
    """(name, kind, value) of attributes with a slot; the slots `body_colour` and `border_colour` are of one kind."""

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

        Only what follows is called false, since a scene does not hold all there is to see, either (of the cloth's zari
        only a motif's is told, of motifs those in sight): an attribute, of a thing that has another one of that kind; a
        place, of what lies at another one, where something else lies; a direction, the other way round.
        """
        found = [
            ((name, IS, value), [(other, IS, value) for other in self._having(kind, name)])
            for name, kind, value in sorted(self.looks)
        ]
        places = {tail for _, relation, tail in self.related if relation == _ON}
        lying = {head for head, relation, _ in self.related if relation == _ON}
        for head, relation, tail in sorted(self.related):
            if relation == _ON:
                forms = [(other, _ON, tail) for other in sorted(lying - {head})]
                forms += [(head, _ON, other) for other in sorted(places - {tail})]
            else:
                forms = [(tail, relation, head)] if {head, tail} <= self.names else []
            found.append(((head, relation, tail), forms))
        false = [(fact, tuple(form for form in forms if not self._shows(form))) for fact, forms in found]
        return [(fact, forms) for fact, forms in false if forms]

    def _having(self, kind: str, name: str) -> list[str]:
        return sorted({other for other, its, _ in self.looks if its == kind} - {name})

    def _shows(self, triple: Triple) -> bool:
        return triple in self.related or (triple[1] == IS and (triple[0], triple[2]) in self.attributed)

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
    related = frozenset(scene.triples()) | frozenset(_measured(scene))
    return Shown(names, frozenset(scene.attributed()), related, frozenset(_looks(scene)))


def _looks(scene: Scene) -> Iterator[tuple[str, str, str]]:
    for thing in scene.objects:
        for key in thing.attributes:
            slot, told, value = key.rpartition("=")
            if told:
                yield thing.name, slot.removeprefix(thing.name), value


def _measured(scene: Scene) -> Iterator[Triple]:
    """Directions between things whose boxes are known."""
    boxed = [thing for thing in scene.objects if thing.x is not None]
    for one in boxed:
        for other in boxed:
            if one is not other and (side := side_of(one, other)):
                yield one.name, side, other.name
                if side in ("left of", "right of"):
                    yield one.name, "beside", other.name
