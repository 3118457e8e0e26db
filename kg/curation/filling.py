"""How do new images get a vector of the active version, and their items a proposed class, however many there are?

Page by page: which images a saved statement names, those without a vector decoded ahead of the encoder and written,
then proposals for their items. Stopped anywhere, the same call goes on: what has a vector is not encoded again, and a
proposal is found by its set and item.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from cypher import Statement
from kg import failpoints
from kg.curation.predictions import propose
from kg.errors import StatementError
from kg.graph import Graph
from kg.progress import Reporter
from kg.publishing.activation import ActiveSet, active_set
from kg.publishing.artefacts import tower_folder
from kg.publishing.publish import add_image_vectors
from kg.schema import Domain
from kg.statements import parse_values, statement_for
from kg.store import Store

if TYPE_CHECKING:
    from kg.encoders.tower import ImageTower

__all__ = ["Classified", "classify_new"]

_PAGE = 1000
_NAMED = 5


@dataclass(frozen=True)
class Classified:
    """What `classify_new` did."""

    images: int
    encoded: int
    proposed: int
    skipped: int
    """Items whose proposal of this set was decided before."""
    embedding_set: str
    unreadable: int = 0
    unreadable_images: list[str] = field(default_factory=list)
    """The first of them."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def classify_new(
    graph: Graph,
    store: Store,
    domain: Domain,
    *,
    task: str | None = None,
    statement: str = "images/unclassified",
    limit: int = 1_000_000,
    at_least: float = 0.0,
    values: Mapping[str, Any] | None = None,
    reporter: Reporter,
) -> Classified:
    """Encode the images that `statement` names and that have no vector, and propose classes for their items.

    An image that cannot be read is told and left out.
    Raises: NodeNotFound (nothing is published), StatementError (no such statement), SchemaViolation, StoreError.
    """
    name = domain.task(task)[0]
    active = active_set(graph, domain, name)
    details = statement_for(graph, "images/to_encode", domain, name)
    encode = _Encoder(graph, store, active, reporter)
    items: set[str] = set()
    seen = 0
    for page in _pages(graph, statement_for(graph, statement, domain, name), domain, name, limit, values or {}):
        rows = graph.run(details, image_ids=page, property=active.image_property)
        seen += len(rows)
        encode([row for row in rows if not row["encoded"]])
        items.update(key for row in rows for key in row["items"])
        failpoints.reach("classify.after_page")
    done = propose(graph, domain, task=name, at_least=at_least, items=sorted(items), reporter=reporter)
    bad = encode.unreadable
    counts = {"images": seen, "encoded": encode.done, "proposed": done.proposed, "skipped": done.skipped}
    return Classified(**counts, embedding_set=done.embedding_set, unreadable=len(bad), unreadable_images=bad[:_NAMED])


class _Encoder:
    """Writes the active version's vectors of images; its tower is loaded when the first one needs it."""

    def __init__(self, graph: Graph, store: Store, active: ActiveSet, reporter: Reporter) -> None:
        self._graph, self._store, self._active, self._reporter = graph, store, active, reporter
        self._tower: ImageTower | None = None
        self.done, self.unreadable = 0, list[str]()

    def __call__(self, rows: list[dict[str, Any]]) -> None:
        if not rows:
            return
        from kg.encoders.features import encode_images, open_cache

        tower = self._tower = self._tower or _tower_of(self._store, self._active.version)
        columns = {name: [row[name] for row in rows] for name in ("uri", "width", "height")}
        ids = [row["image_id"] for row in rows]
        page: Any = SimpleNamespace(images=SimpleNamespace(sha256=ids, **columns))
        cache = open_cache(self._store, tower.encoder)
        feat, readable = encode_images(page, tower.encoder, cache, self._store, self._reporter)
        fine = [image_id for image_id, read in zip(ids, readable, strict=True) if read]
        self.unreadable += [image_id for image_id, read in zip(ids, readable, strict=True) if not read]
        if fine:
            vectors = tower.project(feat[readable])
            self.done += add_image_vectors(
                self._graph, self._active.version, fine, vectors, store=self._store, reporter=self._reporter
            )


_kept: dict[str, ImageTower] = {}


def _tower_of(store: Store, version: str) -> ImageTower:
    """The version's tower; the last one stays loaded, since a worker's next job is most likely for it, too."""
    from kg.encoders.tower import load_tower

    key = str(store.models / version)
    if key not in _kept:
        _kept.clear()
        _kept[key] = load_tower(tower_folder(store, version))
    return _kept[key]


def _pages(
    graph: Graph, statement: Statement, domain: Domain, task: str, limit: int, values: Mapping[str, Any]
) -> Iterator[list[str]]:
    """Image ids in pages, of a statement that takes `after` and `limit`; all at once of one that does not."""
    takes = {param.name for param in statement.params}
    if strange := sorted(set(values) - takes):
        raise StatementError(f"{statement.name}: no parameter {strange[0]!r}; it takes {', '.join(sorted(takes))}")
    known = {"domain": domain.domain, "task": task, **values}
    after, seen, paged = "", 0, {"after", "limit"} <= takes
    while seen < limit:
        most = min(_PAGE, limit - seen) if paged else limit
        said = {**known, "after": after, "limit": most} if paged else {**known, "limit": most}
        rows = graph.run(statement, **parse_values(statement, {}, said))
        ids = [row["image_id"] for row in rows[:most]]
        for start in range(0, len(ids), _PAGE):
            yield ids[start : start + _PAGE]
        if not paged or len(ids) < most:
            return
        after, seen = ids[-1], seen + len(ids)
