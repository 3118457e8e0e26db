"""What is a scene graph outside the database?"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Scene", "Thing"]


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing of a scene; the box is x, y, w, h in image pixels, None where nobody has measured it."""

    id: str
    name: str
    attributes: tuple[str, ...] = ()
    """`value`, or `slot=value`."""
    x: float | None = None
    y: float | None = None
    w: float | None = None
    h: float | None = None


@dataclass(frozen=True, slots=True)
class Scene:
    """Things, and relations (subject id, predicate, object id)."""

    objects: tuple[Thing, ...] = ()
    relations: tuple[tuple[str, str, str], ...] = ()

    def triples(self) -> set[tuple[str, str, str]]:
        """Relations by names instead of ids."""
        names = {thing.id: thing.name for thing in self.objects}
        return {(names[s], p, names[o]) for s, p, o in self.relations}

    def attributed(self) -> set[tuple[str, str]]:
        """(name, attribute) of all things, attributes without their slot."""
        return {(thing.name, key.rpartition("=")[2]) for thing in self.objects for key in thing.attributes}
