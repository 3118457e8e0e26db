"""Which small graphs can a test change at random, and what are their features, without a server or an encoder?"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from kg.schema import Domain, EdgeType
from kg.snapshots.heterograph import heterograph
from tests.support.memory_snapshot import Images, MemorySnapshot

__all__ = ["HashedFeatures", "World", "changing_domain"]


def changing_domain() -> Domain:
    """Sarees of clusters in places, with a symmetric relation and one that carries shares."""
    return Domain.model_validate(
        {
            "domain": "changing",
            "item": "Saree",
            "node_types": {label: {} for label in ("Cluster", "Motif", "Place", "Saree")},
            "relations": [
                {"source": "Saree", "type": "MADE_IN", "target": "Cluster"},
                {"source": "Saree", "type": "SHOWS", "target": "Motif"},
                {"source": "Cluster", "type": "HAS_MOTIF", "target": "Motif", "properties": {"share": "FLOAT"}},
                {"source": "Cluster", "type": "IN", "target": "Place"},
                {"source": "Place", "type": "NEAR", "target": "Place", "symmetric": True},
                {"source": "Motif", "type": "FROM", "target": "Place"},
            ],
            "tasks": {"cluster": {"relation": "MADE_IN", "target": "Cluster"}},
        }
    )


@dataclass
class TextSnapshot(MemorySnapshot):
    """A snapshot in memory whose texts are not its keys."""

    node_texts: dict[str, list[str]] = field(default_factory=dict)

    def to_dgl(self, *, reverse: bool = True, drop: Any = None) -> Any:
        counts = {label: self.count(label) for label in self.node_types}
        return heterograph(self.domain, counts, self.edges, reverse=reverse, drop=drop)

    def texts(self, label: str) -> list[str]:
        return self.node_texts[label]

    def rows(self, label: str, keys: Sequence[str]) -> np.ndarray:
        row_of = {key: row for row, key in enumerate(self.node_keys[label])}
        return np.array([row_of.get(key, -1) for key in keys], np.int64)

    def table(self, name: str) -> _Table:
        return _Table()


class _Table(list):
    def equals(self, other: Any) -> bool:
        return self == other


@dataclass(frozen=True)
class World:
    """A graph as plain sets: what can be changed by hand and made a snapshot of."""

    texts: dict[str, dict[str, str]]
    """Label -> key -> text."""
    relations: dict[EdgeType, dict[tuple[str, str], float]]
    """Edge type -> pair -> share."""
    images: dict[str, tuple[str, ...]]
    """Item -> its images' hashes."""

    @classmethod
    def random(cls, rng: np.random.Generator, *, nodes: int = 12, edges: int = 30) -> World:
        """Some nodes of each label, some relations of each type, an image for most items."""
        domain = changing_domain()
        texts = {label: {f"{label}-{i:03d}": f"{label} {i}" for i in range(nodes)} for label in domain.node_types}
        world = cls(texts, {t: {} for t in domain.edge_types}, {key: (_sha(key),) for key in list(texts["Saree"])[2:]})
        for edge_type in domain.edge_types:
            for _ in range(edges):
                world.relations[edge_type][world.pair(edge_type, rng)] = float(rng.random())
        return world

    def copy(self) -> World:
        """One that can be changed without the other."""
        return replace(
            self,
            texts={label: dict(nodes) for label, nodes in self.texts.items()},
            relations={edge_type: dict(pairs) for edge_type, pairs in self.relations.items()},
            images=dict(self.images),
        )

    def pair(self, edge_type: EdgeType, rng: np.random.Generator) -> tuple[str, str]:
        """Any two nodes that could be so related."""
        return str(rng.choice(list(self.texts[edge_type[0]]))), str(rng.choice(list(self.texts[edge_type[2]])))

    def add_node(self, label: str, key: str) -> None:
        self.texts[label][key] = f"new {key}"

    def delete_node(self, label: str, key: str) -> None:
        """Detach and delete."""
        del self.texts[label][key]
        self.images.pop(key, None)
        for (source, _, target), pairs in self.relations.items():
            for head, tail in list(pairs):
                if (source, head) == (label, key) or (target, tail) == (label, key):
                    del pairs[head, tail]

    def snapshot(self) -> TextSnapshot:
        """The world in rows."""
        domain = changing_domain()
        keys = {label: sorted(nodes) for label, nodes in self.texts.items()}
        row = {label: {key: i for i, key in enumerate(names)} for label, names in keys.items()}
        edges, shares = {}, {}
        for relation in domain.relations:
            source, _, target = edge_type = relation.edge_type
            found = sorted((row[source][a], row[target][b], s) for (a, b), s in self.relations[edge_type].items())
            edges[edge_type] = (np.array([f[0] for f in found], np.int32), np.array([f[1] for f in found], np.int32))
            if "share" in relation.properties:
                shares[edge_type] = np.array([f[2] for f in found], np.float32)
        shown = sorted({sha for hashes in self.images.values() for sha in hashes})
        pairs = sorted((row["Saree"][item], shown.index(sha)) for item, hashes in self.images.items() for sha in hashes)
        said = repr((sorted(self.texts.items()), sorted(self.relations.items()), sorted(self.images.items())))
        return TextSnapshot(
            domain=domain,
            node_keys=keys,
            edge_arrays=edges,
            images=Images(shown, shown, [None] * len(shown)),
            item_images=tuple(np.array(pairs, np.int32).reshape(-1, 2).T),
            edge_shares=shares,
            content_hash=_sha(said),
            node_texts={label: [self.texts[label][key] for key in names] for label, names in keys.items()},
        )


@dataclass
class HashedFeatures:
    """Vectors that follow from a text or an image's hash alone, whichever part of a graph they are asked for."""

    width: int = 16
    asked: list[int] = field(default_factory=list)
    """How many texts were asked for, call by call."""

    def images(self, snapshot: Any) -> tuple[np.ndarray, np.ndarray]:
        return self._vectors(snapshot.images.sha256), np.ones(len(snapshot.images.sha256), bool)

    def image_width(self) -> int:
        return self.width

    def texts(self, snapshot: Any, name: str) -> dict[str, np.ndarray]:
        self.asked.append(sum(snapshot.count(label) for label in snapshot.node_types))
        return {label: self._vectors([name + text for text in snapshot.texts(label)]) for label in snapshot.node_types}

    def text_width(self, name: str) -> int:
        return self.width

    def phrases(self, relation: str, texts: Sequence[str]) -> np.ndarray:
        return self._vectors(texts)

    def record(self) -> dict[str, dict[str, Any]]:
        return {}

    def _vectors(self, names: Sequence[str]) -> np.ndarray:
        if not len(names):
            return np.zeros((0, self.width), np.float32)
        seeds = [int(_sha(name)[:12], 16) for name in names]
        made = np.stack([np.random.default_rng(seed).normal(size=self.width) for seed in seeds]).astype(np.float32)
        return made / np.linalg.norm(made, axis=1, keepdims=True)


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
