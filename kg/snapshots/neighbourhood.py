"""What lies around some nodes: a small graph of its own, the same from the database and from a snapshot of it?

    around = neighbourhood(graph_neighbours, "Style", ["baroque"], Plan((10, 10)), rng_seed=1)
    around.to_dgl(); around.save(folder); around.keys("Artwork")[row]

Rows count from 0 in key order, as in a snapshot. Same seed and same content: same neighbourhood, whatever the internal
ids are and whichever of the two sources is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kg.errors import GraphError, NodeNotFound, SettingsError
from kg.progress import Reporter, SilentReporter
from kg.schema import Domain, EdgeType
from kg.snapshots.columns import joined
from kg.snapshots.content import TABLE_COLUMNS, Content, NodeTable, images_of
from kg.snapshots.folder import MANIFEST, write_content
from kg.snapshots.graph_neighbours import GraphNeighbours
from kg.snapshots.heterograph import heterograph
from kg.snapshots.ordering import distinct, ranges
from kg.snapshots.sampling import Caps, Plan, Sample, sample
from kg.snapshots.snapshot import Snapshot, rows_of_keys

if TYPE_CHECKING:
    import dgl

__all__ = ["Neighbourhood", "neighbourhood"]

_TRIES = 5
_BYTES_A_NODE = _BYTES_AN_EDGE = 16


@dataclass(frozen=True)
class Neighbourhood:
    """A part of a graph. Shapes: seeds rows of `label`, hops a label's (nodes,) int8: how far each is from a seed.

    `cut` names each cap that was hit (nodes, edges, bytes) and says how much there was and how much stays.
    """

    content: Content
    label: str
    seeds: np.ndarray
    hops: dict[str, np.ndarray]
    rng_seed: int
    cut: dict[str, str]

    @property
    def domain(self) -> Domain:
        """Of the graph that this is a part of."""
        return self.content.domain

    def count(self, label: str) -> int:
        """Nodes of a label."""
        return len(self.key_column(label))

    def key_column(self, label: str) -> pa.Array:
        """Keys by row: from local rows to the graph's nodes. Raises: SchemaViolation for an unknown label."""
        self.domain.node_type(label)
        return self.content.nodes[label].keys

    def keys(self, label: str) -> np.ndarray:
        """Keys by row. Shapes: (nodes,) of str."""
        return self.key_column(label).to_numpy(zero_copy_only=False)

    def texts(self, label: str) -> list[str]:
        """Texts by row."""
        self.domain.node_type(label)
        return self.content.nodes[label].texts.to_pylist()

    def rows(self, label: str, keys: Sequence[str]) -> np.ndarray:
        """Rows of keys, -1 where a key is not here. Shapes: (n,) -> (n,) int64."""
        return rows_of_keys(self.key_column(label), keys)

    def edges(self, edge_type: EdgeType) -> tuple[np.ndarray, np.ndarray]:
        """Source and target rows, ordered by both. Shapes: (edges,), (edges,) int32."""
        pairs = self.content.edges[tuple(edge_type)]
        return pairs[0], pairs[1]

    def to_dgl(self, *, reverse: bool = True, drop: Mapping[EdgeType, np.ndarray] | None = None) -> dgl.DGLHeteroGraph:
        """The heterograph; see `kg.snapshots.heterograph`."""
        counts = {label: self.count(label) for label in self.content.nodes}
        return heterograph(self.domain, counts, self.edges, reverse=reverse, drop=drop)

    def save(self, folder: Path | str) -> Snapshot:
        """Write it as a snapshot's folder: nodes, relations, images; without hierarchy, scenes, captions and shares.

        Raises: StoreError when the disk is full, SettingsError when the folder holds something else.
        """
        folder = Path(folder)
        if (folder / MANIFEST).is_file() and Snapshot.open(folder).content_hash == self.content.hash:
            return Snapshot.open(folder)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise SettingsError(f"neighbourhood: {folder} exists and is not an empty folder; choose another")
        write_content(self.content, folder, server="a neighbourhood")
        return Snapshot.open(folder)


def neighbourhood(
    source: GraphNeighbours | Snapshot,
    label: str,
    keys: Sequence[str],
    plan: Plan,
    *,
    caps: Caps | None = None,
    rng_seed: int = 0,
    reporter: Reporter | None = None,
) -> Neighbourhood:
    """What lies around the nodes of `label` that have `keys`, out of a graph or a snapshot.

    Raises: NodeNotFound for a key that is not there, SettingsError for a plan that does not fit the domain, GraphError
    when somebody keeps writing.
    """
    plan.check(source.domain)
    source.domain.node_type(label)
    if not (keys := list(dict.fromkeys(keys))):
        raise SettingsError("neighbourhood: no seeds; name one key at least")
    caps, reporter = caps or Caps(), reporter or SilentReporter()
    take = _from_snapshot if isinstance(source, Snapshot) else _from_graph
    return take(source, label, keys, plan, caps, rng_seed, reporter)


def _from_snapshot(
    snapshot: Snapshot, label: str, keys: list[str], plan: Plan, caps: Caps, rng_seed: int, reporter: Reporter
) -> Neighbourhood:
    seeds = snapshot.rows(label, keys)
    if (seeds < 0).any():
        first = keys[int(np.argmin(seeds))]
        raise NodeNotFound(
            f"neighbourhood: no {label} {first!r} in {snapshot!r} ({int((seeds < 0).sum())} of {len(keys)} seeds are "
            "missing); keys are spelt as in the graph"
        )
    found = sample(snapshot.neighbours, label, seeds, plan, caps=caps, rng_seed=rng_seed, reporter=reporter)
    # Rows are in key order already, so the sample's rows need only be sorted.
    order = {name: np.sort(places) for name, places in found.nodes.items()}
    nodes = {
        name: NodeTable(*(c.take(pa.array(rows)) for c in (snapshot.key_column(name), snapshot.text_column(name))))
        for name, rows in order.items()
    }
    images = _images_in(snapshot, order[snapshot.domain.item])
    return _built(snapshot.domain, label, found, order, nodes, images, caps, rng_seed)


def _images_in(snapshot: Snapshot, rows: np.ndarray) -> tuple[pa.Table, np.ndarray]:
    items, images = snapshot.item_images
    first = np.searchsorted(items, rows)
    pair = ranges(first, np.searchsorted(items, rows, side="right") - first)
    kept = distinct(images[pair])
    places = np.stack([np.searchsorted(rows, items[pair]), np.searchsorted(kept, images[pair])])
    return snapshot.image_table.take(pa.array(kept)), places.astype(np.int32)


def _from_graph(
    graph: GraphNeighbours, label: str, keys: list[str], plan: Plan, caps: Caps, rng_seed: int, reporter: Reporter
) -> Neighbourhood:
    """As `_from_snapshot`, again where somebody wrote meanwhile."""
    for _ in range(_TRIES):
        mark = graph.refresh()
        seeds = graph.find(label, keys)
        found = sample(graph, label, seeds, plan, caps=caps, rng_seed=rng_seed, reporter=reporter)
        with reporter.stage("reading keys and texts", sum(map(len, found.nodes.values())), "nodes") as advance:
            columns = graph.nodes(found.nodes)
            pairs = graph.images(found.nodes[graph.domain.item])
            advance(sum(map(len, found.nodes.values())))
        if graph.refresh() != mark:
            continue
        order, nodes = {}, {}
        for name, column in columns.items():
            key = _strings(column.keys)
            by_key = pc.sort_indices(key)
            order[name] = joined(column.ids)[by_key.to_numpy()]
            nodes[name] = NodeTable(key.take(by_key), _strings(column.texts).take(by_key))
        images = images_of(pairs, _local(order[graph.domain.item])(joined(pairs.items)))
        return _built(graph.domain, label, found, order, nodes, images, caps, rng_seed)
    raise GraphError(
        f"neighbourhood of {len(keys)} {label}: somebody wrote during each of {_TRIES} reads; try again when the "
        "import pauses, or ask a snapshot"
    )


def _built(
    domain: Domain,
    label: str,
    found: Sample,
    order: Mapping[str, np.ndarray],
    nodes: dict[str, NodeTable],
    images: tuple[pa.Table, np.ndarray],
    caps: Caps,
    rng_seed: int,
) -> Neighbourhood:
    """From the source's numbers to rows in key order. `order` has a label's numbers by row."""
    rows_of = {name: _local(numbers) for name, numbers in order.items()}
    edges = {}
    for edge_type, (source, target) in found.edges.items():
        pairs = np.sort((rows_of[edge_type[0]](source) << 32) | rows_of[edge_type[2]](target))
        edges[edge_type] = np.stack([pairs >> 32, pairs & 0xFFFFFFFF]).astype(np.int32)
    reached = {name: np.argsort(rows_of[name](numbers)) for name, numbers in found.nodes.items()}
    hops = {name: found.hops[name][place] for name, place in reached.items()}
    ranks = {name: found.ranks[name][place] for name, place in reached.items()}
    content = Content(domain, nodes, edges, {}, *images, {name: [] for name in TABLE_COLUMNS})
    kept = _rows_within(content, ranks, caps.bytes)
    if kept is None:
        seeds = rows_of[label](found.nodes[label][found.hops[label] == 0])
        return Neighbourhood(content, label, seeds, hops, rng_seed, found.cut)
    count = sum(map(len, hops.values()))
    cut = found.cut | {"bytes": f"{count:,} nodes, {sum(map(len, kept.values())):,} stay in {caps.bytes:,} bytes"}
    hops = {name: hops[name][rows] for name, rows in kept.items()}
    return Neighbourhood(_part(content, kept), label, np.flatnonzero(hops[label] == 0), hops, rng_seed, cut)


def _rows_within(content: Content, ranks: Mapping[str, np.ndarray], limit: int) -> dict[str, np.ndarray] | None:
    """The rows that were reached first and fit into so many bytes; None when all do."""
    last = 1 + max((int(rank.max(initial=0)) for rank in ranks.values()), default=0)
    held = np.zeros(last, np.int64)
    for name, table in content.nodes.items():
        sizes = (pc.binary_length(column).to_numpy(zero_copy_only=False) for column in (table.keys, table.texts))
        np.add.at(held, ranks[name], _BYTES_A_NODE + sum(sizes))
    for edge_type, (source, target) in content.edges.items():
        reached = np.maximum(ranks[edge_type[0]][source], ranks[edge_type[2]][target])
        held += np.bincount(reached, minlength=last) * _BYTES_AN_EDGE
    until = int(np.searchsorted(np.cumsum(held), limit, side="right"))
    if until >= last:
        return None
    return {name: np.flatnonzero(rank < until) for name, rank in ranks.items()}


def _part(content: Content, kept: Mapping[str, np.ndarray]) -> Content:
    """The content with some rows of each label only."""
    nodes = {
        name: NodeTable(*(column.take(pa.array(kept[name])) for column in (table.keys, table.texts)))
        for name, table in content.nodes.items()
    }
    edges = {}
    for edge_type, pairs in content.edges.items():
        ends = [_place(kept[name], rows) for name, rows in zip(edge_type[::2], pairs, strict=True)]
        edges[edge_type] = np.stack(ends)[:, (ends[0] >= 0) & (ends[1] >= 0)].astype(np.int32)
    items, image = _place(kept[content.domain.item], content.item_image[0]), content.item_image[1]
    items, image = items[items >= 0], image[items >= 0]
    images = distinct(image)
    pairs = np.stack([items, np.searchsorted(images, image)]).astype(np.int32)
    return Content(content.domain, nodes, edges, {}, content.images.take(pa.array(images)), pairs, content.tables)


def _place(kept: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Places of rows among those that are kept, -1 elsewhere."""
    if not len(kept):
        return np.full(len(rows), -1)
    place = np.minimum(np.searchsorted(kept, rows), len(kept) - 1)
    return np.where(kept[place] == rows, place, -1)


def _local(numbers: np.ndarray):
    """From the source's numbers to rows, through a list as long as the highest number."""
    rows = np.empty(int(numbers.max(initial=-1)) + 1, np.int64)
    rows[numbers] = np.arange(len(numbers))
    return rows.__getitem__


def _strings(pages: Sequence[pa.Array]) -> pa.Array:
    return pa.concat_arrays(pages) if pages else pa.array([], pa.large_string())
