"""In which respects are two items alike: image, text, years, neighbours, what their neighbours have in common?

Each respect is a kernel: a matrix of the likeness of every item with every other, 0 where nothing is known. Which
respects there are follows from the domain's schema. Relations with classes of the task are none of them, so a label
cannot be in what is computed here.

A first-order respect is `Author`: the same artist, `Author*image`: the same artist and a like image. A second-order one
is `Author/Movement`: artists of the same movement; it holds for an artist whom nobody has classified a work of.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer

from kg.errors import SchemaViolation
from kg.schema import EdgeType
from training.baselines import unit

__all__ = ["Kinship", "describe_items", "neighbour_facts", "only_neighbour"]

IMAGE, TEXT, TIME = "image", "text", "time"
_YEAR = re.compile(r"(?<!\d)1[0-9]\d\d(?!\d)|(?<!\d)20\d\d(?!\d)")
_SPAN_YEARS = 8.0
"""Works of a few years are alike; the likeness falls to 1/e over so many."""
_LIFE_YEARS = 25.0
"""The same for the years in a neighbour's text, such as an artist's birth and death."""


@dataclass(frozen=True)
class Kinship:
    """Likenesses of all items, by respect. Shapes: each (items, items) float32."""

    kernels: dict[str, np.ndarray]

    def facts(self) -> list[str]:
        """What can be known of an item beside its image: its text, its relations, what its neighbours relate to."""
        return list(dict.fromkeys(fact for name in self.kernels for fact in _needs(name)))

    @staticmethod
    def about(name: str) -> str:
        """The fact that a respect is about: `Author*image` is about the author, `image` about the image itself."""
        path = name.partition("*")[0].split("/")
        return "/".join(path[:-1] if len(path) > 1 and path[-1] in (TEXT, TIME) else path)

    def revealed(self, facts: Collection[str] | None, rows: np.ndarray, columns: np.ndarray) -> dict[str, np.ndarray]:
        """Kernels between two groups of items that need no other facts than these; None: all."""
        names = [name for name in self.kernels if facts is None or _needs(name) <= set(facts)]
        return {name: self.kernels[name][np.ix_(rows, columns)] for name in names}


def describe_items(
    snapshot: Any,
    task: str,
    *,
    item_row: np.ndarray,
    image_feat: np.ndarray,
    texts: Mapping[str, np.ndarray],
    without: tuple[str, ...] = (),
) -> Kinship:
    """The kernels of these items.

    `without` leaves out respects whose path has one of these relation types. `texts` are vectors of all nodes' texts.
    Shapes: item_row (n,) rows of the item label, image_feat (n, width), texts label -> (nodes, width).
    """
    item, relation, target = snapshot.domain.task_edge_type(task)
    own = {IMAGE: _cosines(_standardised(image_feat))}
    own[TEXT] = _cosines(_centred(texts[item][item_row]))
    years = _years(snapshot.texts(item))
    if np.isfinite(years).any():
        own[TIME] = _near(years[item_row, :1], _SPAN_YEARS)
    kernels = dict(own)
    for name, label, incidence in _paths(snapshot, item, (relation, target), item_row):
        if set(name.split("/")) & set(without):
            continue
        shared = _shared(incidence)
        if not np.triu(shared, 1).any():
            continue
        kernels[name] = shared
        if "/" not in name:
            kernels |= {f"{name}*{what}": shared * kernel for what, kernel in own.items()}
        kernels |= {f"{name}/{what}": kernel for what, kernel in _of_neighbours(snapshot, label, incidence, texts)}
    return Kinship({name: kernel.astype(np.float32) for name, kernel in kernels.items()})


def _needs(name: str) -> frozenset[str]:
    """Facts that a respect rests on. A neighbour's own text and years come with the relation that leads to it."""
    path, _, factor = name.partition("*")
    steps = path.split("/")
    if steps[-1] in (TEXT, TIME):
        steps = steps[:-1] or [TEXT]
    facts = {"/".join(steps)} | ({TEXT} if factor in (TEXT, TIME) else set())
    return frozenset(facts - {IMAGE, ""})


def only_neighbour(snapshot: Any, item: str, relation: str, item_row: np.ndarray) -> np.ndarray:
    """Each item's neighbour by a relation, the first of several. Items without one share an own number each.

    Shapes: (n,) -> (n,) rows of the neighbours' label, or numbers behind them.
    Raises: SchemaViolation for a relation that items do not have.
    """
    edge_type = _edge_type(snapshot, item, relation)
    source, target = (np.asarray(rows, np.int64) for rows in snapshot.edges(edge_type))
    first = snapshot.count(edge_type[2]) + np.arange(snapshot.count(item))
    first[source[::-1]] = target[::-1]
    return first[item_row]


def neighbour_facts(
    snapshot: Any, task: str, relation: str, item_row: np.ndarray, *, without: tuple[str, ...] = ()
) -> np.ndarray:
    """What is known of each item's neighbour in ones and zeros: relations, words and quarter-centuries of its text.

    Shapes: (n,) -> (n, facts). Raises: SchemaViolation for a relation that items do not have.
    """
    item, _, classes = snapshot.domain.task_edge_type(task)
    label = _edge_type(snapshot, item, relation)[2]
    related = [
        matrix.toarray()
        for source, name, end, matrix in _steps(snapshot)
        if source == label and end not in (item, classes) and name not in without and matrix.nnz
    ]
    texts = snapshot.texts(label)
    words = CountVectorizer(binary=True, token_pattern=r"[^\W\d]{3,}", min_df=2).fit_transform(texts).toarray()
    quarters = _years(texts) // 25
    spans = [(quarters[:, place, None] == np.unique(quarters[np.isfinite(quarters)])).astype(float) for place in (0, 1)]
    facts = np.hstack([*related, words, *spans])
    known = np.vstack([facts, np.zeros((snapshot.count(item), facts.shape[1]))])
    return known[only_neighbour(snapshot, item, relation, item_row)]


def _edge_type(snapshot: Any, item: str, relation: str) -> EdgeType:
    found = [each for each in snapshot.edge_types if each[0] == item and each[1] == relation]
    if not found:
        names = ", ".join(sorted({each[1] for each in snapshot.edge_types if each[0] == item}))
        raise SchemaViolation(f"{snapshot.domain.domain}: {item} has no relation {relation!r}; choose one of {names}")
    return found[0]


def _paths(
    snapshot: Any, item: str, task: tuple[str, str], item_row: np.ndarray
) -> Iterator[tuple[str, str, sparse.csr_matrix]]:
    """(name, label at the end, incidence of items and nodes there) of paths of one step and of two."""
    steps = [step for step in _steps(snapshot) if step[0] == item and step[2] != task[1] and step[2] != item]
    for _, name, label, matrix in steps:
        first = matrix[item_row]
        if not first.nnz:
            continue
        yield name, label, first
        for source, further, end, beyond in _steps(snapshot):
            if source == label and end not in (item, task[1]) and beyond.nnz:
                yield f"{name}/{further}", end, (first @ beyond).tocsr()


def _steps(snapshot: Any) -> Iterator[tuple[str, str, str, sparse.csr_matrix]]:
    """(from, name, to, matrix) of every relation, along it and against it."""
    for edge_type in snapshot.edge_types:
        source, name, target = edge_type
        ends = [np.asarray(rows, np.int64) for rows in snapshot.edges(edge_type)]
        shape = (snapshot.count(source), snapshot.count(target))
        matrix = sparse.csr_matrix((np.ones(len(ends[0])), ends), shape)
        if source == target:
            yield source, name, target, ((matrix + matrix.T) > 0).astype(float).tocsr()
            continue
        yield source, name, target, matrix
        yield target, f"of {name}", source, matrix.T.tocsr()


def _shared(incidence: sparse.csr_matrix) -> np.ndarray:
    """Cosines of the items' sets of nodes, a node that many have weighing less."""
    present = (incidence > 0).astype(float)
    holders = np.asarray(present.sum(0)).ravel()
    weighted = present.multiply(np.log1p(present.shape[0] / np.maximum(holders, 1.0))[None, :]).tocsr()
    lengths = np.sqrt(np.asarray(weighted.multiply(weighted).sum(1)).ravel())
    scaled = sparse.diags(1 / np.maximum(lengths, 1e-12)) @ weighted
    return (scaled @ scaled.T).toarray()


def _of_neighbours(
    snapshot: Any, label: str, incidence: sparse.csr_matrix, texts: Mapping[str, np.ndarray]
) -> Iterator[tuple[str, np.ndarray]]:
    """Likeness of the neighbours' texts and of the years in them."""
    weights = sparse.diags(1 / np.maximum(np.asarray(incidence.sum(1)).ravel(), 1.0)) @ incidence
    yield TEXT, _cosines(weights @ _centred(texts[label]))
    years = _years(snapshot.texts(label))
    known = np.isfinite(years).all(1)
    if not known.any():
        return
    of_items = np.full((incidence.shape[0], years.shape[1]), np.nan)
    have = np.asarray(incidence[:, known].sum(1)).ravel()
    of_items[have > 0] = (incidence[:, known] @ years[known])[have > 0] / have[have > 0, None]
    yield TIME, _near(of_items, _LIFE_YEARS)


def _years(texts: list[str]) -> np.ndarray:
    """First and last year named in each text; NaN where there is none. Shapes: (nodes, 2)."""
    found = [[float(year) for year in _YEAR.findall(text)] for text in texts]
    return np.array([[years[-1], years[0]] if years else [np.nan, np.nan] for years in found]).reshape(-1, 2)


def _near(years: np.ndarray, span: float) -> np.ndarray:
    """exp(-distance / span); 0 for an item without a year. Shapes: (n, k) -> (n, n)."""
    distance = np.abs(years[:, None, :] - years[None, :, :]).sum(2)
    return np.nan_to_num(np.exp(-distance / span), nan=0.0)


def _cosines(vectors: np.ndarray) -> np.ndarray:
    scaled = unit(np.asarray(vectors, np.float64))
    return scaled @ scaled.T


def _centred(vectors: np.ndarray) -> np.ndarray:
    return vectors - vectors.mean(0)


def _standardised(vectors: np.ndarray) -> np.ndarray:
    return _centred(vectors) / np.maximum(vectors.std(0), 1e-12)
