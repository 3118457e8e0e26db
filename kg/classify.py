"""Which class does an image belong to, and what looks like it, according to the published model?

Nothing here needs training code: the active version's image tower is loaded from the store, the classes are ranked by
the saved statements that curators paste into Neo4j Browser.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kg.errors import DimensionMismatch, GraphUnavailable, KorvaiError, MediaError, NodeNotFound, SchemaViolation
from kg.graph import Graph
from kg.publishing.activation import ActiveSet, active_set
from kg.publishing.artefacts import tower_folder
from kg.schema import TEXT_TASK, Domain, load_domain
from kg.settings import Settings
from kg.statements import statement_for
from kg.store import Store, open_image

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from kg.encoders.tower import ImageTower

__all__ = [
    "Score",
    "Similar",
    "class_list",
    "classify_and_compare",
    "classify_files",
    "classify_image",
    "classify_image_bytes",
    "classify_item",
    "classify_stored",
    "nearest_items",
    "similar_items",
    "similar_to_image_bytes",
    "similar_to_text",
    "statement_for",
]

_TOWERS_KEPT = 2
_TRIES = 3
_towers: OrderedDict[str, ImageTower] = OrderedDict()
_towers_lock = threading.Lock()


@dataclass(frozen=True)
class Score:
    """One class of an answer; `probability` is the softmax over all classes, `score` the cosine."""

    class_key: str
    probability: float
    score: float
    version: str
    embedding_set: str


@dataclass(frozen=True)
class Similar:
    """One item of an answer, with its image that comes nearest and that image's cosine."""

    item: str
    image_id: str
    score: float
    version: str


def classify_image(
    graph: Graph, settings: Settings, image_path: Path, *, domain: Domain | str, task: str | None = None, k: int = 5
) -> list[Score]:
    """The k likeliest classes of an image file.

    Raises: UnreadableMedia, NodeNotFound (nothing published), StoreError (no tower), SchemaViolation (unknown task).
    """
    return _classify(graph, settings, _Picture(open_image(image_path)), domain=domain, task=task, k=k)


def classify_image_bytes(
    graph: Graph, settings: Settings, data: bytes, *, domain: Domain | str, task: str | None = None, k: int = 5
) -> list[Score]:
    """The k likeliest classes of an image file's bytes; raises what `classify_image` raises."""
    return _classify(graph, settings, _Picture(open_image(data)), domain=domain, task=task, k=k)


def similar_to_image_bytes(
    graph: Graph, settings: Settings, data: bytes, *, domain: Domain | str, task: str | None = None, k: int = 5
) -> list[Similar]:
    """The k items of the graph whose images look most like an image file's bytes; none where no item has a vector.

    Raises: what `classify_image` raises.
    """
    return _compare(graph, settings, _Picture(open_image(data)), domain=domain, task=task, k=k)


def similar_to_text(graph: Graph, settings: Settings, text: str, *, domain: Domain | str, k: int = 5) -> list[Similar]:
    """The k items of the graph whose images come nearest to what a text says, by the active set of task `text`.

    What is longer than the tower's context is cut off.
    Raises: NodeNotFound (nothing published), StoreError (no tower), SchemaViolation (an empty text).
    """
    if not text.strip():
        raise SchemaViolation("search: the text is empty; say what is to be seen, such as 'red body, green border'")
    return _compare(graph, settings, _Text(text), domain=domain, task=TEXT_TASK, k=k)


def classify_and_compare(
    graph: Graph,
    settings: Settings,
    data: bytes,
    *,
    domain: Domain | str,
    task: str | None = None,
    k: int = 5,
    similar: int = 5,
) -> tuple[list[Score], list[Similar]]:
    """`classify_image_bytes` and `similar_to_image_bytes` of one picture, which is decoded and encoded once."""
    picture = _Picture(open_image(data))
    scores = _classify(graph, settings, picture, domain=domain, task=task, k=k)
    found = _compare(graph, settings, picture, domain=domain, task=task, k=similar) if similar else []
    return scores, found


def classify_files(
    graph: Graph,
    settings: Settings,
    paths: Iterable[Path],
    *,
    domain: Domain | str,
    task: str | None = None,
    k: int = 5,
) -> Iterator[tuple[Path, list[Score] | KorvaiError]]:
    """Each file with its answer, or with what is wrong with that file; the others go on.

    Raises: what is wrong with graph or model, as `classify_image`.
    """
    active_set(graph, domain, task)
    for path in paths:
        try:
            picture = _Picture(open_image(path))
        except MediaError as error:
            yield path, error
            continue
        yield path, _classify(graph, settings, picture, domain=domain, task=task, k=k)


def classify_stored(graph: Graph, domain: Domain | str, task: str | None, image_id: str, k: int = 5) -> list[Score]:
    """The k likeliest classes of an image of the graph.

    Raises: NodeNotFound when there is no such image, or no vector of it yet.
    """
    rows = _ask(graph, "images/classify", domain, task, image_id=image_id, k=k)
    if not rows:
        active = active_set(graph, domain, task)
        row = graph.run("publish/check_images", image_ids=[image_id], property=active.image_property)[0]
        if row["unknown"]:
            raise NodeNotFound(f"image {image_id[:16]}: not in the graph; use its sha256, or `korvai classify FILE`")
        _explain_no_answer(active, f"image {image_id[:16]}", has_vector=bool(row["present"]))
    return [_score(row) for row in rows]


def classify_item(graph: Graph, domain: Domain | str, task: str | None, item: str, k: int = 5) -> list[Score]:
    """The k likeliest classes of an item of the graph, by the mean cosine of its images.

    Raises: NodeNotFound when there is no such item, or no vector of its images.
    """
    rows = _ask(graph, "items/classify", domain, task, item=item, k=k)
    if not rows:
        _explain_item(graph, domain, task, item)
    return [_score(row) for row in rows]


def similar_items(graph: Graph, domain: Domain | str, task: str | None, item: str, k: int = 5) -> list[Similar]:
    """The k other items whose images look most like the item's.

    Raises: NodeNotFound when there is no such item, or no vector of its images; an only item has no similar ones: [].
    """
    rows = _ask(graph, "items/similar", domain, task, item=item, k=k)
    if not rows:
        _explain_item(graph, domain, task, item)
    return [Similar(**row) for row in rows]


def nearest_items(graph: Graph, domain: Domain | str, task: str | None, class_key: str, k: int = 5) -> list[Similar]:
    """The k items that look most like a class.

    Raises: NodeNotFound when there is no such class, or no vector of it.
    """
    rows = _ask(graph, "classes/nearest_items", domain, task, k=k, **{"class": class_key})
    if not rows:
        active_set(graph, domain, task)
        known = {row["class"]: row["ranked"] for row in class_list(graph, domain, task)}
        if not known.get(class_key):
            state = "it has no vector yet; run `korvai refresh`" if class_key in known else "no such class"
            raise NodeNotFound(f"class {class_key!r}: {state}")
    return [Similar(**row) for row in rows]


def class_list(graph: Graph, domain: Domain | str, task: str | None = None) -> list[dict[str, Any]]:
    """Every class of the task: `class`, `items`, `ranked` (by the active set)."""
    return _ask(graph, "classes/list", domain, task)


class _Asked:
    """Something that is encoded once by each version's tower."""

    def __init__(self) -> None:
        self._vectors: dict[str, list[float]] = {}

    def _encode(self, tower: ImageTower) -> np.ndarray:
        raise NotImplementedError

    def vector(self, settings: Settings, active: ActiveSet) -> list[float]:
        """Unit vector in the space of the active version. Raises: StoreError, DimensionMismatch."""
        if active.version not in self._vectors:
            vector = self._encode(_tower(settings, active.version))
            if len(vector) != active.dim:
                lengths = f"its tower gives {len(vector)} numbers, its index holds {active.dim}"
                raise DimensionMismatch(f"version {active.version}: {lengths}; publish again")
            self._vectors[active.version] = [float(part) for part in vector]
        return self._vectors[active.version]


class _Picture(_Asked):
    def __init__(self, image: Image.Image) -> None:
        super().__init__()
        self._image = image

    def _encode(self, tower: ImageTower) -> np.ndarray:
        return tower.encode_images([self._image])[0]


class _Text(_Asked):
    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def _encode(self, tower: ImageTower) -> np.ndarray:
        return tower.encode_texts([self._text])[0]


def _classify(
    graph: Graph, settings: Settings, picture: _Picture, *, domain: Domain | str, task: str | None, k: int
) -> list[Score]:
    rows, active = _ask_by_vector(graph, settings, "images/classify_vector", picture, domain=domain, task=task, k=k)
    if not rows:
        _explain_no_answer(active, "the image", has_vector=True)
    return [_score(row) for row in rows]


def _compare(
    graph: Graph, settings: Settings, picture: _Asked, *, domain: Domain | str, task: str | None, k: int
) -> list[Similar]:
    rows, _ = _ask_by_vector(graph, settings, "images/nearest_by_vector", picture, domain=domain, task=task, k=k)
    return [Similar(**row) for row in rows]


def _ask_by_vector(
    graph: Graph, settings: Settings, name: str, picture: _Asked, *, domain: Domain | str, task: str | None, k: int
) -> tuple[list[dict[str, Any]], ActiveSet]:
    """Rows of a statement about a picture's vector, and the set that was asked."""
    for _ in range(_TRIES):
        active = active_set(graph, domain, task)
        vector = picture.vector(settings, active)
        rows = _ask(graph, name, domain, task, vector=vector, version=active.version, k=k)
        if rows or active_set(graph, domain, task).version == active.version:
            return rows, active
        # Another version became active between tower and question: ask its tower.
    raise GraphUnavailable(f"classifying: the active version changed {_TRIES} times meanwhile; try again")


def _tower(settings: Settings, version: str) -> ImageTower:
    """The version's tower; a version's weights never change, so it is loaded once a process."""
    from kg.encoders.tower import load_tower

    folder = str(settings.store_dir / version)
    with _towers_lock:
        if folder not in _towers:
            _towers[folder] = load_tower(tower_folder(Store(settings.store_dir), version))
        _towers.move_to_end(folder)
        while len(_towers) > _TOWERS_KEPT:
            _towers.popitem(last=False)
        return _towers[folder]


def _ask(graph: Graph, name: str, domain: Domain | str, task: str | None, **values: Any) -> list[dict[str, Any]]:
    """Rows of a statement about the active set; asked again where it has none.

    A set that is replaced twice while the statement runs loses its vectors under it, and the statement has no rows.
    """
    domain = load_domain(domain) if isinstance(domain, str) else domain
    task = domain.task_name(task)
    statement = statement_for(graph, name, domain, task)
    for _ in range(_TRIES):
        if rows := graph.run(statement, domain=domain.domain, task=task, **values):
            break
    return rows


def _score(row: dict[str, Any]) -> Score:
    return Score(row["class"], row["probability"], row["score"], row["version"], row["embedding_set"])


def _explain_item(graph: Graph, domain: Domain | str, task: str | None, item: str) -> None:
    """Raise why there is no answer about an item; return when there is nothing wrong."""
    domain = load_domain(domain) if isinstance(domain, str) else domain
    active = active_set(graph, domain, task)
    row = graph.one(statement_for(graph, "items/describe", domain), item=item, property=active.image_property)
    if row is None:
        key = domain.node_type(domain.item).key
        raise NodeNotFound(f"{domain.item} {item!r}: not in the graph; an item's id is its {key}")
    if not row["images"]:
        raise NodeNotFound(f"{domain.item} {item!r}: has no image")
    if not row["vectors"]:
        _explain_no_answer(active, f"{domain.item} {item!r}", has_vector=False)


def _explain_no_answer(active: ActiveSet, what: str, *, has_vector: bool) -> None:
    if not has_vector:
        raise NodeNotFound(f"{what}: version {active.version} has no vector of it yet; run `korvai refresh`")
    raise NodeNotFound(f"{what}: no class node carries a vector of set {active.set}; run `korvai refresh`")
