"""Which class has an item of the graph, by its image and what the museum already knows of it, and which facts counted?

    answers = answer_items(snapshot, features, "style", ["a-painting.jpg"])
    answers[0].ranking, answers[0].counted, answers[0].neighbours, answers[0].alike

Nothing is trained beforehand: weights of the likenesses are learned on items of known class within seconds, and an item
that came a minute ago is asked like any other. The asked items' own classes are never looked at. The score is a sum
over likenesses, so how much each fact counted is exact.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kg.errors import NodeNotFound, SettingsError
from kg.progress import Reporter, SilentReporter
from kg.settings import DEFAULT_TEXT_ENCODER
from training.features import Features
from training.fusion.fusing import Fusion
from training.fusion.kinship import describe_items
from training.labelled_images import first_classes

__all__ = ["Alike", "Answer", "Counted", "Neighbour", "answer_items", "unclassified_items"]

_KNOWN_AT_MOST = 3_000
"""Items of known class that are compared with: every likeness is a matrix of them."""
_ASKED_AT_ONCE = 500
_ALIKE = 3


@dataclass(frozen=True)
class Counted:
    """A fact, and by how much it raised the answer over the runner-up, in points of the logit."""

    fact: str
    points: float


@dataclass(frozen=True)
class Neighbour:
    """A node that the item is linked with by a relation that counted."""

    label: str
    key: str
    relation: str
    points: float


@dataclass(frozen=True)
class Alike:
    """An item of known class that spoke for the answer."""

    item: str
    class_key: str
    points: float


@dataclass(frozen=True)
class Answer:
    """What is said of one item, and why."""

    item: str
    ranking: tuple[tuple[str, float], ...]
    """Every class with its probability, likeliest first."""
    counted: tuple[Counted, ...]
    """What counted most first; the image is one of them."""
    neighbours: tuple[Neighbour, ...]
    alike: tuple[Alike, ...]


def answer_items(
    snapshot: Any,
    features: Features,
    task: str,
    keys: Sequence[str],
    *,
    facts: Collection[str] | None = None,
    text_encoder: str = DEFAULT_TEXT_ENCODER,
    rng_seed: int = 0,
    reporter: Reporter | None = None,
) -> list[Answer]:
    """Answers for items with a readable image, in the order of `keys`. `facts`: what may be known; None: everything.

    Raises: NodeNotFound for an item that is not there or has no readable image, SettingsError for an unknown fact,
    EmptySplit where fewer than two classes have items.
    """
    reporter, asked = reporter or SilentReporter(), _Items.of(snapshot, features, task)
    rows, texts = asked.find(keys), features.texts(snapshot, text_encoder)
    known = np.setdiff1d(np.flatnonzero(asked.class_row >= 0), rows)
    if len(known) > _KNOWN_AT_MOST:
        reporter.note(f"compared with {_KNOWN_AT_MOST:,} of {len(known):,} items of known class, chosen at random")
        known = np.sort(np.random.default_rng(rng_seed).choice(known, _KNOWN_AT_MOST, replace=False))
    answers: list[Answer] = []
    with reporter.stage("classifying with known facts", len(rows), "items") as advance:
        for start in range(0, len(rows), _ASKED_AT_ONCE):
            part = rows[start : start + _ASKED_AT_ONCE]
            answers += _Panel(snapshot, asked, task, part, known, texts, facts).answers()
            advance(len(part))
    return answers


def unclassified_items(snapshot: Any, features: Features, task: str) -> list[str]:
    """Keys of the items that have a readable image and no class of the task."""
    items = _Items.of(snapshot, features, task)
    return [items.keys[row] for row in np.flatnonzero((items.class_row < 0) & (items.image_row >= 0))]


@dataclass(frozen=True)
class _Items:
    """Every item with its first readable image, -1 without one, and its class, -1 without one."""

    keys: list[str]
    class_keys: list[str]
    class_row: np.ndarray
    image_row: np.ndarray
    feat: np.ndarray

    @classmethod
    def of(cls, snapshot: Any, features: Features, task: str) -> _Items:
        feat, readable = features.images(snapshot)
        edge_type = tuple(snapshot.domain.task_edge_type(task))
        item, image = (np.asarray(rows, np.int64) for rows in snapshot.item_images)
        fine = np.asarray(readable, bool)[image]
        image_row = np.full(snapshot.count(edge_type[0]), -1, np.int64)
        image_row[item[fine][::-1]] = image[fine][::-1]
        class_row = np.where(image_row >= 0, first_classes(snapshot, edge_type), -1)
        keys, classes = ([str(key) for key in snapshot.keys(label)] for label in (edge_type[0], edge_type[2]))
        return cls(keys, classes, class_row, image_row, np.asarray(feat))

    def find(self, keys: Sequence[str]) -> np.ndarray:
        rows = {key: row for row, key in enumerate(self.keys)}
        for key in keys:
            if key not in rows:
                raise NodeNotFound(f"classifying {key!r} with facts: no such item; keys are spelt as in the graph")
            if self.image_row[rows[key]] < 0:
                raise NodeNotFound(f"classifying {key!r} with facts: it has no image that can be read; give it one")
        return np.array([rows[key] for key in keys], np.int64)


class _Panel:
    """Some asked items among the known ones."""

    def __init__(
        self,
        snapshot: Any,
        items: _Items,
        task: str,
        asked: np.ndarray,
        known: np.ndarray,
        texts: Mapping[str, np.ndarray],
        facts: Collection[str] | None,
    ) -> None:
        self.snapshot, self.items, self.task = snapshot, items, task
        rows, places = np.unique(np.concatenate([asked, known]), return_inverse=True)
        self.rows, self.asked, self.known = rows, places[: len(asked)], places[len(asked) :]
        feat = items.feat[items.image_row[rows]]
        self.kinship = describe_items(snapshot, task, item_row=rows, image_feat=feat, texts=texts)
        self.facts = self._checked(facts)
        targets, count = items.class_row[rows[self.known]], len(items.class_keys)
        self.fusion = Fusion(self.kinship, self.known, targets, n_classes=count)

    def answers(self) -> list[Answer]:
        blend, parts = self.fusion.blend(self.facts), self.fusion.parts(self.asked, facts=self.facts)
        held = np.flatnonzero(np.bincount(self.fusion.targets, minlength=self.fusion.n_classes))
        found = []
        for place, row in enumerate(self.rows[self.asked]):
            own = {name: said[place] for name, said in parts.scores.items()}
            total = sum(own.values())[held]
            order = held[np.argsort(-total, kind="stable")]
            chances = dict(zip(held, _softmax(total), strict=True))
            best, rival = order[0], order[1]
            points = {name: float(said[best] - said[rival]) for name, said in own.items() if name in blend.weights}
            votes = parts.votes[place] * (parts.dual[:, best] - parts.dual[:, rival])
            votes = np.where(self.fusion.targets == best, votes, 0.0)  # unlike items of other classes speak for it too
            ranking = [(self.items.class_keys[c], float(chances[c])) for c in order]
            found.append(self._answer(row, ranking, points, votes))
        return found

    def _answer(
        self, row: int, ranking: list[tuple[str, float]], points: Mapping[str, float], votes: np.ndarray
    ) -> Answer:
        by_fact: dict[str, float] = {}
        for name, value in points.items():
            fact = self.kinship.about(name)
            by_fact[fact] = by_fact.get(fact, 0.0) + value
        counted = sorted((Counted(fact, value) for fact, value in by_fact.items()), key=lambda c: -abs(c.points))
        spoke = [at for at in np.argsort(-votes, kind="stable")[:_ALIKE] if votes[at] > 0]
        return Answer(
            self.items.keys[row],
            tuple(ranking),
            tuple(counted),
            tuple(self._neighbours(row, by_fact)),
            tuple(self._alike(at, float(votes[at])) for at in spoke),
        )

    def _alike(self, at: int, points: float) -> Alike:
        row = self.rows[self.known[at]]
        return Alike(self.items.keys[row], self.items.class_keys[self.items.class_row[row]], points)

    def _neighbours(self, row: int, by_fact: Mapping[str, float]) -> Iterator[Neighbour]:
        """The nodes next to the item, with all that was counted along the relation that leads to them."""
        item, _, target = self.snapshot.domain.task_edge_type(self.task)
        for source, relation, end in self.snapshot.edge_types:
            if item not in (source, end) or target in (source, end) or source == end:
                continue
            name, label = (relation, end) if source == item else (f"of {relation}", source)
            points = sum(value for fact, value in by_fact.items() if fact.split("/")[0] == name)
            if not points:
                continue
            ends = [np.asarray(rows, np.int64) for rows in self.snapshot.edges((source, relation, end))]
            mine, theirs = ends if source == item else ends[::-1]
            for other in np.unique(theirs[mine == row]):
                yield Neighbour(label, str(self.snapshot.keys(label)[other]), relation, points)

    def _checked(self, facts: Collection[str] | None) -> list[str] | None:
        known = self.kinship.facts()
        if facts is not None and (strange := [fact for fact in facts if fact not in known]):
            raise SettingsError(f"facts: {strange[0]!r} is not known of these items; known are {', '.join(known)}")
        return None if facts is None else list(facts)


def _softmax(scores: np.ndarray) -> np.ndarray:
    grown = np.exp(scores - scores.max())
    return grown / grown.sum()
