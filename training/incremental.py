"""How are class vectors brought up to date at a cost that follows the change, not the graph?

The state of every node after every layer but the last is kept in a folder beside the published model. After a change
only what `kg.changes.stale` finds is computed again, from kept states of neighbours; the rest is taken as it is. The
network and its formulas are the recipe's own, on blocks of the stale nodes alone.

The folder is written in place and its manifest removed meanwhile: after a crash there are no states, and the next
refresh computes all of them again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from kg import failpoints
from kg.changes.adjacency import Adjacency, live_layers
from kg.changes.compare import Changes, rows_in
from kg.changes.stale import Stale, stale_sets
from kg.schema import EdgeType
from kg.store import disk_guard
from training.message_passing import Block
from training.models.class_encoder import ClassEncoder, ClassInputs

__all__ = ["Refreshed", "States", "can_be_incremental", "compute_states", "part_of_images", "refresh_incrementally"]

_MANIFEST = "manifest.json"
_FORMAT = 1
_VISUAL, _CLASSES = "visual", "classes"
_ROWS_A_BLOCK = 8_192
"""Destinations at a time: bounds the messages in memory, whatever the graph's size."""


@dataclass(frozen=True)
class Refreshed:
    """What a refresh did. Seconds of: finding the stale set, computing states, computing class vectors, writing."""

    stale: Stale
    seconds: dict[str, float]

    def summary(self) -> str:
        """One line for people."""
        stale, took = self.stale, sum(self.seconds.values())
        share = f"{len(stale.classes)} of {stale.counts[stale.target]} classes stale ({stale.share_of_classes:.0%})"
        return f"{share}, brought up to date in {took:.2f} s"


class States:
    """States by name in a folder: `visual`, `<layer>/<label>`, `classes`; memory-mapped, in the snapshot's rows."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open: dict[str, np.ndarray] = {}

    @property
    def snapshot_hash(self) -> str | None:
        """Of the graph that the states are of; None where they are missing or were left half-written."""
        try:
            said = json.loads((self.folder / _MANIFEST).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        whole = all(self._path(name).is_file() for name in said["names"])
        return said["snapshot"] if whole and said["format"] == _FORMAT else None

    def begin(self) -> None:
        """From here to `finish` the folder holds nothing that can be used."""
        with disk_guard(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / _MANIFEST).unlink(missing_ok=True)

    def finish(self, snapshot_hash: str, names: Iterable[str]) -> None:
        """Write everything out and say what the states are of and what they are called."""
        with disk_guard(self.folder):
            for array in self._open.values():
                if isinstance(array, np.memmap):
                    array.flush()
            partial = self.folder / f".{_MANIFEST}.tmp"
            said = {"format": _FORMAT, "snapshot": snapshot_hash, "names": sorted(names)}
            partial.write_text(json.dumps(said), encoding="utf-8")
            failpoints.reach("states.before_rename")
            partial.replace(self.folder / _MANIFEST)
            failpoints.reach("states.after_rename")

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._open:
            self._open[name] = np.load(self._path(name), mmap_mode="r+", allow_pickle=False)
        return self._open[name]

    def create(self, name: str, shape: tuple[int, int]) -> np.ndarray:
        """A new array on disk. Its old file, which may still be mapped, stays what it was until nobody holds it."""
        path = self._path(name)
        with disk_guard(path):
            path.unlink(missing_ok=True)
            if not shape[0] or not shape[1]:
                np.save(path, np.zeros(shape, np.float32))
                self._open[name] = np.zeros(shape, np.float32)
            else:
                self._open[name] = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
        return self._open[name]

    def move(self, name: str, place: np.ndarray, count: int) -> None:
        """Put each old row where it is now; rows of new nodes are zero."""
        if len(place) == count and (place == np.arange(count)).all():
            return
        before, stays = np.array(self[name]), place >= 0
        self.create(name, (count, before.shape[1]))[place[stays]] = before[stays]

    def _path(self, name: str) -> Path:
        return self.folder / f"{quote(name, safe=' ')}.npy"


def can_be_incremental(recipe: Any) -> bool:
    """Whether the recipe's class vectors come from the network whose layers are kept here, on the usual features."""
    classes = getattr(recipe.network(), "classes", None)
    return isinstance(classes, ClassEncoder) and classes.sage is not None and not classes.sources


@torch.no_grad()
def compute_states(recipe: Any, snapshot: Any, folder: Path) -> tuple[Tensor, States]:
    """Class vectors with all states anew. Shapes: (classes, width) of unit length."""
    states, work = States(folder), _Work(recipe, snapshot)
    states.begin()
    for name, label, width in work.names():
        states.create(name, (snapshot.count(label), width))
    everything = {label: np.arange(snapshot.count(label)) for label in snapshot.node_types}
    work.start_states(states, everything)
    for layer in range(1, work.n_layers):
        work.step(states, layer, everything)
    states[_CLASSES][:] = work.class_vectors(states, everything[work.target])
    states.finish(snapshot.content_hash, [name for name, _, _ in work.names()])
    return torch.from_numpy(np.array(states[_CLASSES])), states


@torch.no_grad()
def refresh_incrementally(
    recipe: Any, states: States, *, old: Any, new: Any, changes: Changes, adjacency: Adjacency | None = None
) -> tuple[Tensor, Refreshed]:
    """Class vectors of `new` from states of `old` and what changed between them; the states are those of `new` then.

    Shapes: (classes, width) of unit length.
    """
    clock = _Clock()
    work = _Work(recipe, new, adjacency)
    stale = stale_sets(work.adjacency, changes, work.target, work.n_layers, layers=work.layers)
    clock.lap("stale set")
    states.begin()
    moved = {label: rows_in(new, old, label) for label in _resized(changes)}
    for name, label, _ in work.names():
        if label in moved:
            states.move(name, moved[label], new.count(label))
    work.start_states(states, stale.layers[0])
    for layer in range(1, work.n_layers):
        work.step(states, layer, stale.layers[layer])
    clock.lap("states")
    if len(stale.classes):
        states[_CLASSES][stale.classes] = work.class_vectors(states, stale.classes)
    clock.lap("class vectors")
    states.finish(new.content_hash, [name for name, _, _ in work.names()])
    clock.lap("writing")
    return torch.from_numpy(np.array(states[_CLASSES])), Refreshed(stale, clock.seconds)


def part_of_images(images: Any, rows: np.ndarray) -> _Images:
    """Some rows of a snapshot's images, as far as image encoders look."""
    return _Images(_ImageColumns([images.sha256[row] for row in rows], [images.uri[row] for row in rows]))


def _resized(changes: Changes) -> list[str]:
    return [label for label, nodes in changes.nodes.items() if nodes.added or nodes.deleted]


class _Clock:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name] = now - self._last
        self._last = now


class _Work:
    """The recipe's network on one snapshot, layer by layer, for any rows."""

    def __init__(self, recipe: Any, snapshot: Any, adjacency: Adjacency | None = None) -> None:
        network = recipe.network().eval()
        self.encoder, self.projection = network.classes, network.images
        self.snapshot, self.features = snapshot, recipe.encoders
        self.item, _, self.target = self.item_edge = tuple(recipe.item_edge)
        self.n_layers = recipe.config.layers
        self.gatherer = recipe.gatherer
        self.adjacency = adjacency or Adjacency(snapshot)
        self.weights = self.gatherer.edge_weights(snapshot)
        self.layers = live_layers(self.adjacency.edge_types, self.target, self.n_layers)

    def labels(self, layer: int) -> list[str]:
        """Labels whose states after `layer` layers the next one asks for."""
        return sorted({end for s, _, t in self.layers[layer] for end in (s, t)} | {self.target})

    def names(self) -> Iterator[tuple[str, str, int]]:
        """(name, label, width) of every array that is kept."""
        yield _VISUAL, self.item, self.features.image_width()
        hidden = self.encoder.text_map.out_features
        for layer in range(self.n_layers):
            for label in self.labels(layer):
                yield f"{layer}/{label}", label, hidden
        yield _CLASSES, self.target, self._width()

    def start_states(self, states: States, rows: Mapping[str, np.ndarray]) -> None:
        """Texts and images as the first layer takes them."""
        wanted = {label: rows[label] for label in self.labels(0) if len(rows.get(label, ()))}
        if self.item in rows and len(rows[self.item]):
            at = rows[self.item]
            states[_VISUAL][at] = _item_visual(self.features, self.snapshot, at)
            if self.item in wanted:
                visual = torch.from_numpy(states[_VISUAL][wanted.pop(self.item)])
                states[f"0/{self.item}"][at] = self.encoder.visual_map(visual).numpy()
        part = _Part(self.snapshot, wanted)
        texts = [self.features.texts(part, name) for name in self.gatherer.text_features] if wanted else []
        for label, at in wanted.items():
            feat = torch.as_tensor(np.concatenate([vectors[label] for vectors in texts], 1))
            states[f"0/{label}"][at] = self.encoder.text_map(feat).numpy()

    def step(self, states: States, layer: int, rows: Mapping[str, np.ndarray]) -> None:
        """States after `layer` layers of `rows`, from those before."""
        for label in self.labels(layer):
            for at in _chunks(rows.get(label, np.zeros(0, np.int64))):
                states[f"{layer}/{label}"][at] = self._after(states, layer, label, at).numpy()

    def class_vectors(self, states: States, rows: np.ndarray) -> np.ndarray:
        """Unit vectors of class rows from the last kept states. Shapes: (n,) -> (n, width)."""
        return (
            np.concatenate([self._classes(states, at) for at in _chunks(rows)])
            if len(rows)
            else np.zeros((0, self._width()), np.float32)
        )

    def _classes(self, states: States, rows: np.ndarray) -> np.ndarray:
        total = self._after(states, self.n_layers, self.target, rows)
        near = _StaleBlock(self.adjacency, self.adjacency.edge_types, self.target, rows, self.weights)
        item_mean, linked = self.gatherer.linked(near, lambda at: torch.from_numpy(states[_VISUAL][at.numpy()]))
        inputs = ClassInputs(
            blocks=[],
            texts={},
            visual=torch.zeros(0, self.features.image_width()),
            phrase_means=self.gatherer.said(self.snapshot, near),
            item_mean=item_mean,
            linked=linked,
            own=torch.zeros(len(rows), 0),
        )
        return F.normalize(self.encoder.combined(total, inputs, self.projection), dim=-1).numpy()

    def _after(self, states: States, layer: int, label: str, rows: np.ndarray) -> Tensor:
        """States of one label's rows after a layer. Shapes: (n,) -> (n, width)."""
        block = _StaleBlock(self.adjacency, self.layers[layer - 1], label, rows, self.weights)
        feats = {
            name: torch.from_numpy(states[f"{layer - 1}/{name}"][at.numpy()]) for name, at in block.src_rows.items()
        }
        return self.encoder.sage.step(layer - 1, block, feats)[label]

    def _width(self) -> int:
        return self.encoder.sage.layers[-1].own[self.target].out_features


class _StaleBlock(Block):
    """A `Block` of one label's destinations, with full neighbourhoods, from sorted arrays of edges."""

    def __init__(
        self,
        adjacency: Adjacency,
        edge_types: Sequence[EdgeType],
        label: str,
        rows: np.ndarray,
        weights: Mapping[EdgeType, np.ndarray],
    ) -> None:
        found = {t: adjacency.into(t, rows) for t in edge_types if t[2] == label}
        found = {t: edges for t, edges in found.items() if len(edges[0])}
        self.edge_types = tuple(found)
        self.dst_counts = {label: len(rows)}
        places = _source_places(label, rows, found)
        self.src_rows = {name: torch.from_numpy(at) for name, (at, _) in places.items()}
        self._edges = {
            t: (places[t[0]][1][t], torch.from_numpy(owner), _edge_weights(weights, t, owner, number, len(rows)))
            for t, (_, owner, number) in found.items()
        }

    def mean(self, edge_type: EdgeType, feat: Tensor) -> Tensor:
        """Weighted mean of `feat` over the neighbours by `edge_type`."""
        at, owner, weight = self._edges[edge_type]
        total = feat.new_zeros(self.dst_counts[edge_type[2]], feat.shape[1])
        return total.index_add_(0, owner, feat[at] * weight)

    def has_neighbours(self, edge_type: EdgeType) -> Tensor:
        """1 where a destination has a neighbour by `edge_type`, else 0."""
        has = torch.zeros(self.dst_counts[edge_type[2]], 1)
        has[self._edges[edge_type][1]] = 1.0
        return has

    def edges(self, edge_type: EdgeType) -> tuple[Tensor, Tensor]:
        """Source and destination of each edge, by destination."""
        return self._edges[edge_type][:2]


def _source_places(
    label: str, rows: np.ndarray, found: Mapping[EdgeType, tuple[np.ndarray, ...]]
) -> dict[str, tuple[np.ndarray, dict[EdgeType, Tensor]]]:
    """By label: the rows of the sources, destinations first, and for each edge type where its sources are in them."""
    places = {}
    for name in {label, *(t[0] for t in found)}:
        first = rows if name == label else rows[:0]
        types = [t for t in found if t[0] == name]
        rest = np.unique(np.concatenate([found[t][0] for t in types])) if types else rows[:0]
        ends = {t: torch.from_numpy(len(first) + np.searchsorted(rest, found[t][0])) for t in types}
        # A destination that is a source too stands twice, with the same state: simpler than once, and as right.
        places[name] = (np.concatenate([first, rest]).astype(np.int64), ends)
    return places


def _edge_weights(
    weights: Mapping[EdgeType, np.ndarray], edge_type: EdgeType, owner: np.ndarray, number: np.ndarray, count: int
) -> Tensor:
    """Each edge's share of its destination's total. Shapes: (edges, 1)."""
    source, relation, target = edge_type
    forward = (target, relation.removeprefix("rev_"), source) if relation.startswith("rev_") else edge_type
    raw = weights[forward][number] if forward in weights else np.ones(len(owner))
    total = np.bincount(owner, weights=raw, minlength=count)
    return torch.from_numpy((raw / np.maximum(total[owner], 1e-12)).astype(np.float32)).unsqueeze(1)


@dataclass(frozen=True)
class _Part:
    """A few rows of a snapshot, as far as text encoders look."""

    snapshot: Any
    rows: Mapping[str, np.ndarray]

    @property
    def node_types(self) -> list[str]:
        return list(self.rows)

    def count(self, label: str) -> int:
        return len(self.rows[label])

    def texts(self, label: str) -> list[str]:
        texts = self.snapshot.texts(label)
        return [texts[row] for row in self.rows[label].tolist()]


@dataclass(frozen=True)
class _Images:
    """A few images of a snapshot, as far as image encoders look."""

    images: Any


@dataclass(frozen=True)
class _ImageColumns:
    sha256: list[str]
    uri: list[str]


def _item_visual(features: Any, snapshot: Any, items: np.ndarray) -> np.ndarray:
    """Mean feature of each item's readable images, zero without one. Shapes: (n,) -> (n, image width)."""
    item_row, image_row = (np.asarray(rows, np.int64) for rows in snapshot.item_images)
    place = np.full(snapshot.count(_item_label(snapshot)), -1, np.int64)
    place[items] = np.arange(len(items))
    mine = place[item_row] >= 0
    owner, images = place[item_row[mine]], image_row[mine]
    total, number = np.zeros((len(items), features.image_width()), np.float32), np.zeros(len(items), np.float32)
    if not len(images):
        return total
    shown, at = np.unique(images, return_inverse=True)
    feat, readable = features.images(part_of_images(snapshot.images, shown))
    np.add.at(total, owner, feat[at] * readable[at, None])
    np.add.at(number, owner, readable[at].astype(np.float32))
    return total / np.maximum(number, 1.0)[:, None]


def _item_label(snapshot: Any) -> str:
    return snapshot.domain.item


def _chunks(rows: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(rows), _ROWS_A_BLOCK):
        yield rows[start : start + _ROWS_A_BLOCK]
