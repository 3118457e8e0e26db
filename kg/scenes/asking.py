"""Which items does a text mean, by the facts of their scenes, by their images' vectors, and where do the two differ?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from kg.classify import Similar, similar_to_text
from kg.errors import NodeNotFound, SchemaViolation
from kg.graph import Graph
from kg.scenes.composing import Composition, find_scenes
from kg.schema import Domain, load_domain
from kg.settings import Settings

__all__ = ["WAYS", "Answer", "Way", "ask"]

Way = Literal["scenes", "embeddings", "both"]
WAYS: tuple[Way, ...] = ("scenes", "embeddings", "both")


@dataclass(frozen=True)
class Answer:
    """What each way found; None for a way that was not asked, or could not answer (`notes` say why)."""

    scenes: Composition | None
    nearest: list[Similar] | None
    notes: tuple[str, ...] = ()

    @property
    def found_by_both(self) -> list[str]:
        """Items of both answers, in the order of the scenes'."""
        nearest = {row.item for row in self.nearest or ()}
        return [row.item for row in self._shown if row.item in nearest]

    @property
    def only_by_scenes(self) -> list[str]:
        """Items that the vectors' answer lacks."""
        nearest = {row.item for row in self.nearest or ()}
        return [row.item for row in self._shown if row.item not in nearest]

    @property
    def only_by_embeddings(self) -> list[str]:
        """Items that the scenes' answer lacks."""
        shown = {row.item for row in self._shown}
        return [row.item for row in self.nearest or () if row.item not in shown]

    @property
    def _shown(self) -> list:
        return self.scenes.found if self.scenes else []


def ask(
    graph: Graph, settings: Settings, domain: Domain | str, text: str, *, by: Way = "scenes", k: int = 10
) -> Answer:
    """The k items that a text means. With `both`, one way may fail without the other, and says why.

    Raises: NodeNotFound (no scene speaks of it, no set of task `text` is active), SchemaViolation (an empty text, an
    unknown way), StoreError (no tower).
    """
    if by not in WAYS:
        raise SchemaViolation(f"search by {by!r}: choose one of {', '.join(WAYS)}")
    if not text.strip():
        raise SchemaViolation("search: the text is empty; say what is to be seen, such as 'red body, green border'")
    domain = load_domain(domain) if isinstance(domain, str) else domain
    asked: dict[Way, Callable[[], Composition | list[Similar]]] = {
        "scenes": lambda: find_scenes(graph, domain, text, k=k),
        "embeddings": lambda: similar_to_text(graph, settings, text, domain=domain, k=k),
    }
    if by != "both":
        asked = {by: asked[by]}
    found, notes = {}, []
    for way, answer in asked.items():
        try:
            found[way] = answer()
        except NodeNotFound as error:
            if len(notes) + 1 == len(asked):
                raise
            notes.append(str(error))
    return Answer(found.get("scenes"), found.get("embeddings"), tuple(notes))
