"""Which graph are training steps measured on: half of ArtGraph's training part, 59,339 nodes and 695,943 edges?

Invented with the published counts (`korvai generate artgraph`), the first 40,767 artworks, and a relation from artworks
to nine emotions, which the published model has beside the published graph's relations: 20 relations and 19 reverses.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kg.generation.artgraph import generate_artgraph
from kg.progress import SilentReporter
from kg.schema import Domain, EdgeType, NodeType, Relation, load_domain
from kg.snapshots.heterograph import edges_both_ways, heterograph

__all__ = ["TARGETS", "WIDTH", "TrainingGraph", "features", "open_training_graph", "weights", "write_training_graph"]

WIDTH = 512
TARGETS = ("Style", "Genre")
_ARTWORKS, _EMOTIONS = 40_767, 9
_EDGES = 695_943
_FEELS: EdgeType = ("Artwork", "Emotion", "Emotion")


@dataclass(frozen=True)
class TrainingGraph:
    """As much of a snapshot as message passing asks for."""

    domain: Domain
    counts: dict[str, int]
    relations: dict[EdgeType, np.ndarray]

    @property
    def node_types(self) -> list[str]:
        return list(self.counts)

    def count(self, label: str) -> int:
        return self.counts[label]

    def edges(self, edge_type: EdgeType) -> tuple[np.ndarray, np.ndarray]:
        return tuple(self.relations[edge_type])

    def both_ways(self) -> dict[EdgeType, tuple[np.ndarray, np.ndarray]]:
        """Edges of all types with their reverses."""
        return edges_both_ways(self.domain, self.edges)

    def to_dgl(self, *, reverse: bool = True, drop: Any = None) -> Any:
        return heterograph(self.domain, self.counts, self.edges, reverse=reverse, drop=drop)


def write_training_graph(path: Path) -> tuple[int, int, int]:
    """Make it and write it as one .npz; returns nodes, edges (with reverses) and edge types."""
    whole = generate_artgraph(scale=1.0, seed=0, reporter=SilentReporter())
    counts = {label: table.num_rows for label, table in whole.nodes.items()} | {"Artwork": _ARTWORKS}
    relations = {}
    for edge_type in whole.edges:
        ends = np.stack(whole.end_rows(edge_type))
        inside = [rows < counts[label] for label, rows in zip(edge_type[::2], ends, strict=True)]
        relations[edge_type] = ends[:, inside[0] & inside[1]]
    counts["Emotion"] = _EMOTIONS
    domain, rng = _domain(), np.random.default_rng(0)
    relations[_FEELS] = np.zeros((2, 0), np.int64)
    missing = _EDGES - sum(len(ends[0]) for ends in TrainingGraph(domain, counts, relations).both_ways().values())
    artworks = rng.choice(_ARTWORKS, missing // 2, replace=False)
    relations[_FEELS] = np.stack([artworks, rng.integers(0, _EMOTIONS, len(artworks))])
    np.savez(path, **{f"n|{k}": v for k, v in counts.items()}, **{f"e|{'|'.join(t)}": v for t, v in relations.items()})
    edges = TrainingGraph(domain, counts, relations).both_ways()
    return sum(counts.values()), sum(len(ends[0]) for ends in edges.values()), len(edges)


def open_training_graph(path: Path) -> TrainingGraph:
    """What `write_training_graph` wrote."""
    with np.load(path) as file:
        counts = {name[2:]: int(file[name]) for name in file.files if name.startswith("n|")}
        relations = {tuple(name[2:].split("|")): file[name] for name in file.files if name.startswith("e|")}
    return TrainingGraph(_domain(), counts, relations)


def features(label: str, count: int) -> np.ndarray:
    """Cached features of one label's nodes, the same in every process. Shapes: (count, WIDTH) float32, unit length."""
    rows = np.random.default_rng(zlib.crc32(label.encode())).standard_normal((count, WIDTH), np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def weights(name: str, shape: tuple[int, ...], *, scale: float) -> np.ndarray:
    """Weights that depend on their name alone, so that two implementations compute the same function."""
    return np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape, np.float32) * np.float32(scale)


def _domain() -> Domain:
    domain = load_domain("artgraph")
    relation = Relation(source=_FEELS[0], type=_FEELS[1], target=_FEELS[2])
    types = {**domain.node_types, "Emotion": NodeType()}
    return domain.model_copy(update={"node_types": types, "relations": (*domain.relations, relation)})
