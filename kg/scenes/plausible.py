"""Which other word would be plausible here, by what the scenes of the graph hold together?"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from kg.graph import Graph
from kg.scenes.scene import Scene

__all__ = ["Plausible"]

_ALL = 100_000


def _counters() -> defaultdict:
    return defaultdict(Counter)


@dataclass
class Plausible:
    """How often scenes hold what together, each key with its companions in images."""

    attributes: defaultdict[str, Counter[str]] = field(default_factory=_counters)
    """Name -> its attributes."""
    objects: defaultdict[tuple[str, str], Counter[str]] = field(default_factory=_counters)
    """(subject, predicate) -> objects."""
    subjects: defaultdict[tuple[str, str], Counter[str]] = field(default_factory=_counters)
    """(predicate, object) -> subjects."""
    predicates: defaultdict[tuple[str, str], Counter[str]] = field(default_factory=_counters)
    """(subject, object) -> predicates."""

    @classmethod
    def of_graph(cls, graph: Graph) -> Plausible:
        """From the counts of all stored scenes. Raises: GraphUnavailable."""
        made = cls()
        for row in graph.run("scenes/count", limit=_ALL):
            made._relation(row["subject"], row["predicate"], row["object"], row["images"])
        for row in graph.run("scenes/count_attributes", limit=_ALL):
            made.attributes[row["name"]][row["attribute"]] += row["images"]
        return made

    @classmethod
    def of_scenes(cls, scenes: Iterable[Scene]) -> Plausible:
        """The same from scenes in memory, each one an image."""
        made = cls()
        for scene in scenes:
            for triple in scene.triples():
                made._relation(*triple, 1)
            for name, attribute in scene.attributed():
                made.attributes[name][attribute] += 1
        return made

    def _relation(self, subject: str, predicate: str, target: str, images: int) -> None:
        self.objects[subject, predicate][target] += images
        self.subjects[predicate, target][subject] += images
        self.predicates[subject, target][predicate] += images
