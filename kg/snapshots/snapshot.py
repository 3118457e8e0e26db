"""What did the graph hold when we trained?

A snapshot is a folder named by its content: key and text of every node, every relation as two row arrays, the images,
the class hierarchies and the scenes. It is memory-mapped, never changes, and its hash says whether two runs saw the
same graph.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kg.errors import SchemaViolation, StoreError
from kg.graph import Graph
from kg.progress import Reporter
from kg.schema import Domain, EdgeType, load_domain
from kg.snapshots.content import Content, assemble
from kg.snapshots.folder import FORMAT, MANIFEST, edge_file, node_file, read_table, share_file, write_content
from kg.snapshots.heterograph import heterograph
from kg.snapshots.pull_pages import read_parts
from kg.snapshots.snapshot_neighbours import SnapshotNeighbours
from kg.store import Store

if TYPE_CHECKING:
    import dgl

__all__ = ["Images", "Snapshot", "find_snapshot", "pull", "rows_of_keys"]

_HASH_CHARS = 12
_FEW_OF = 64
"""Less than one key in so many is looked for by halving, without touching the other pages of the file."""

_HOW_TO_FILL = {"saree": "korvai import saree", "artgraph": "korvai import wikiart DIR"}


def pull(graph: Graph, domain: Domain | str, store: Store, *, reporter: Reporter, task: str | None = None) -> Snapshot:
    """Read the domain's graph into `store/snapshots/<hash>/`; the same content is kept once.

    With `task`, also make sure that there is something to learn for it: classes, items with images, relations between
    them.
    Raises: SchemaViolation (an empty graph, nodes without a key, a key twice, nothing for the task), GraphError (the
    graph keeps changing), GraphUnavailable, StoreError.
    """
    domain = load_domain(domain) if isinstance(domain, str) else domain
    content = assemble(domain, read_parts(graph, domain, reporter=reporter))
    _check_filled(content)
    if task is not None:
        _check_task(content, task)
    folder = store.snapshots / content.hash[:_HASH_CHARS]
    if not (folder / MANIFEST).is_file():
        write_content(content, folder, server=f"{graph.address.uri}/{graph.address.database}")
    return Snapshot.open(folder)


def find_snapshot(store: Store, content_hash: str) -> Snapshot:
    """The snapshot whose hash begins with `content_hash`.

    Raises: StoreError when there is none, or several.
    """
    found = [path.parent for path in store.snapshots.glob(f"{content_hash[:_HASH_CHARS]}*/{MANIFEST}")]
    if len(found) != 1:
        many = f"{len(found)} snapshots begin so" if found else "there is none"
        raise StoreError(
            f"snapshot {content_hash}: {many} in {store.snapshots}; `korvai pull` makes one of the graph as it is"
        )
    return Snapshot.open(found[0])


@dataclass(frozen=True)
class Images:
    """The images of a snapshot, ordered by sha256; all columns are equally long."""

    sha256: list[str]
    uri: list[str]
    width: list[int]
    height: list[int]
    split: list[str | None]

    def __len__(self) -> int:
        return len(self.sha256)


class Snapshot:
    """An opened snapshot. Rows count from 0 in key order; arrays are memory-mapped and read-only."""

    def __init__(self, path: Path, manifest: dict[str, Any]) -> None:
        self.path = path
        self.manifest = manifest
        self.domain = Domain.model_validate(manifest["domain_file"])
        self._nodes: dict[str, pa.Table] = {}
        self._edges: dict[EdgeType, np.ndarray] = {}

    @classmethod
    def open(cls, path: Path | str) -> Snapshot:
        """Open a snapshot's folder.

        Raises: StoreError when it is missing or a file of it is.
        """
        path = Path(path)
        try:
            manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
            damaged = [name for name, size in manifest["files"].items() if (path / name).stat().st_size != size]
        except (OSError, ValueError, KeyError) as error:
            raise StoreError(
                f"snapshot {path}: it is not whole ({error}); delete the folder and run `korvai pull`"
            ) from error
        if damaged or manifest.get("format") != FORMAT:
            what = damaged[0] if damaged else f"format {manifest.get('format')}"
            raise StoreError(f"snapshot {path}: {what} is not as written; delete the folder and run `korvai pull`")
        return cls(path, manifest)

    def __repr__(self) -> str:
        nodes, edges = (sum(self.manifest["counts"][what].values()) for what in ("nodes", "edges"))
        return f"Snapshot({self.domain.domain} {self.content_hash[:_HASH_CHARS]}: {nodes:,} nodes, {edges:,} edges)"

    @property
    def content_hash(self) -> str:
        """sha256 of the content, as hex; its first 12 characters name the folder."""
        return self.manifest["content_hash"]

    @property
    def node_types(self) -> list[str]:
        """All labels of the domain, empty ones too."""
        return list(self.manifest["node_types"])

    @cached_property
    def edge_types(self) -> list[EdgeType]:
        """All (source, type, target) of the domain, empty ones too."""
        return [tuple(edge_type) for edge_type in self.manifest["edge_types"]]

    def count(self, label: str) -> int:
        """Nodes of a label."""
        self.domain.node_type(label)
        return self.manifest["counts"]["nodes"][label]

    def keys(self, label: str) -> np.ndarray:
        """Keys by row. Shapes: (nodes,) of str.

        Raises: SchemaViolation for an unknown label.
        """
        return self._table(label)["key"].to_numpy()

    def texts(self, label: str) -> list[str]:
        """Texts by row.

        Raises: SchemaViolation for an unknown label.
        """
        return self._table(label)["text"].to_pylist()

    def key_column(self, label: str) -> pa.Array:
        """Keys by row as they lie in the file. Shapes: (nodes,) large strings.

        Raises: SchemaViolation for an unknown label.
        """
        return _whole(self._table(label)["key"])

    def text_column(self, label: str) -> pa.Array:
        """Texts by row as they lie in the file. Shapes: (nodes,) large strings.

        Raises: SchemaViolation for an unknown label.
        """
        return _whole(self._table(label)["text"])

    def rows(self, label: str, keys: Sequence[str]) -> np.ndarray:
        """Rows of keys, -1 where a key is not here. Shapes: (n,) -> (n,) int64."""
        return rows_of_keys(self.key_column(label), keys)

    def edges(self, edge_type: EdgeType) -> tuple[np.ndarray, np.ndarray]:
        """Source and target rows, ordered by both. Shapes: (edges,), (edges,) int32.

        Raises: SchemaViolation for an unknown edge type.
        """
        pairs = self._pairs(tuple(edge_type))
        return pairs[0], pairs[1]

    def shares(self, edge_type: EdgeType) -> np.ndarray | None:
        """How often each edge holds, where the relation declares a `share`; None elsewhere. Shapes: (edges,) float32,
        0..1.

        Raises: SchemaViolation for an unknown edge type.
        """
        path = self.path / share_file(self._number(tuple(edge_type)))
        return np.load(path, mmap_mode="r", allow_pickle=False) if path.is_file() else None

    @cached_property
    def images(self) -> Images:
        """All images of the domain's items, each once."""
        return Images(**self.image_table.to_pydict())

    @cached_property
    def image_table(self) -> pa.Table:
        """The same as they lie in the file: sha256, uri, width, height, split."""
        return read_table(self.path / "images.arrow")

    @cached_property
    def neighbours(self) -> SnapshotNeighbours:
        """Who is whose neighbour, for `kg.snapshots.neighbourhood`; the index is made when it is first needed."""
        return SnapshotNeighbours(self)

    @cached_property
    def item_images(self) -> tuple[np.ndarray, np.ndarray]:
        """Which item has which image: item rows and image rows, ordered by both."""
        pairs = np.load(self.path / "item_image.npy", mmap_mode="r", allow_pickle=False)
        return pairs[0], pairs[1]

    def table(self, name: str) -> pa.Table:
        """An overlay table: concepts, hierarchy, scenes, scene_relations, captions (columns: `TABLE_COLUMNS`)."""
        return read_table(self.path / f"{name}.arrow")

    def to_dgl(self, *, reverse: bool = True, drop: Mapping[EdgeType, np.ndarray] | None = None) -> dgl.DGLHeteroGraph:
        """The heterograph, on int64 ids; node i of a type is row i here.

        `drop` holds a mask per edge type, True where an edge stays out, its reverse too. Symmetric relations hold both
        directions in place, each once; every other type (s, name, t) gets (t, "rev_name", s) with `reverse`.
        Raises: SchemaViolation for an unknown edge type, or a mask of another length.
        """
        counts = {label: self.count(label) for label in self.node_types}
        return heterograph(self.domain, counts, self.edges, reverse=reverse, drop=drop)

    def _table(self, label: str) -> pa.Table:
        if label not in self._nodes:
            self.domain.node_type(label)
            self._nodes[label] = read_table(self.path / node_file(label))
        return self._nodes[label]

    def _pairs(self, edge_type: EdgeType) -> np.ndarray:
        if edge_type not in self._edges:
            path = self.path / edge_file(self._number(edge_type))
            self._edges[edge_type] = np.load(path, mmap_mode="r", allow_pickle=False)
        return self._edges[edge_type]

    def _number(self, edge_type: EdgeType) -> int:
        if edge_type not in self.edge_types:
            raise SchemaViolation(f"{self.domain.domain}: no edge type {edge_type}; known: {self.edge_types[:5]} …")
        return self.edge_types.index(edge_type)


def _check_filled(content: Content) -> None:
    if not any(len(table.keys) for table in content.nodes.values()):
        name = content.domain.domain
        how = _HOW_TO_FILL.get(name, f"korvai import csv --graph {name} DIR")
        raise SchemaViolation(f"pull {name}: the graph holds no {name} node; import something first: `{how}`")


def _check_task(content: Content, task: str) -> None:
    domain = content.domain
    name, _ = domain.task(task)
    item, relation, target = edge_type = domain.task_edge_type(name)
    problems = (
        (not len(content.nodes[target].keys), f"there is no {target} node, so no class to learn"),
        (not content.images.num_rows, f"no {item} has an image"),
        (not content.edges[edge_type].shape[1], f"no {item} has a {relation} relation to a {target}"),
    )
    for wrong, what in problems:
        if wrong:
            raise SchemaViolation(f"pull {domain.domain}, task {name}: {what}; import or create some first")


def rows_of_keys(known: pa.Array, keys: Sequence[str]) -> np.ndarray:
    """Rows of keys in an ordered column, -1 where one is not there. Shapes: (n,) -> (n,) int64"""
    if len(keys) * _FEW_OF < len(known):
        return _rows_by_halving(known, pa.array(list(keys), pa.large_string()))
    rows = pc.index_in(pa.array(list(keys), pa.large_string()), value_set=known)
    return pc.fill_null(rows, -1).to_numpy(zero_copy_only=False).astype(np.int64)


def _rows_by_halving(known: pa.Array, keys: pa.Array) -> np.ndarray:
    """All keys at a time: between `low` and `high` each one's row lies."""
    low, high = np.zeros(len(keys), np.int64), np.full(len(keys), len(known) - 1)
    while (low < high).any():
        middle = (low + high) // 2
        below = pc.less(known.take(pa.array(middle)), keys).to_numpy(zero_copy_only=False)
        low, high = np.where(below, middle + 1, low), np.where(below, high, middle)
    found = pc.equal(known.take(pa.array(low)), keys).to_numpy(zero_copy_only=False)
    return np.where(found, low, -1)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
