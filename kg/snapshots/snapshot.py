"""What did the graph hold when we trained?

A snapshot is a folder named by its content: key and text of every node, every relation as two row arrays, the images,
the class hierarchies and the scenes. It is memory-mapped, never changes, and its hash says whether two runs saw the
same graph.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.ipc

from kg.errors import SchemaViolation, StoreError
from kg.graph import Graph
from kg.progress import Reporter
from kg.schema import Domain, EdgeType, load_domain
from kg.snapshots.content import TABLE_COLUMNS, Content, assemble
from kg.snapshots.pull_pages import read_parts
from kg.store import Store, disk_guard

if TYPE_CHECKING:
    import dgl

__all__ = ["Images", "Snapshot", "find_snapshot", "pull"]

_MANIFEST = "manifest.json"
_FORMAT = 1
_HASH_CHARS = 12
_STALE_S = 86_400.0
_HOW_TO_FILL = {"saree": "korvai import saree", "artgraph": "korvai import wikiart DIR"}
_IMAGE_COLUMNS = ("sha256", "uri", "width", "height", "split")


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
    if not (folder / _MANIFEST).is_file():
        _write(content, folder, server=f"{graph.address.uri}/{graph.address.database}")
    return Snapshot.open(folder)


def find_snapshot(store: Store, content_hash: str) -> Snapshot:
    """The snapshot whose hash begins with `content_hash`.

    Raises: StoreError when there is none, or several.
    """
    found = [path.parent for path in store.snapshots.glob(f"{content_hash[:_HASH_CHARS]}*/{_MANIFEST}")]
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
            manifest = json.loads((path / _MANIFEST).read_text(encoding="utf-8"))
            damaged = [name for name, size in manifest["files"].items() if (path / name).stat().st_size != size]
        except (OSError, ValueError, KeyError) as error:
            raise StoreError(
                f"snapshot {path}: it is not whole ({error}); delete the folder and run `korvai pull`"
            ) from error
        if damaged or manifest.get("format") != _FORMAT:
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

    def rows(self, label: str, keys: Sequence[str]) -> np.ndarray:
        """Rows of keys, -1 where a key is not here. Shapes: (n,) -> (n,) int64."""
        known = self.keys(label)
        if not len(known):
            return np.full(len(keys), -1, np.int64)
        place = np.minimum(np.searchsorted(known, np.asarray(keys, object)), len(known) - 1)
        return np.where(known[place] == np.asarray(keys, object), place, -1)

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
        path = self.path / _share_file(self._number(tuple(edge_type)))
        return np.load(path, mmap_mode="r", allow_pickle=False) if path.is_file() else None

    @cached_property
    def images(self) -> Images:
        """All images of the domain's items, each once."""
        return Images(**_read_table(self.path / "images.arrow").to_pydict())

    @cached_property
    def item_images(self) -> tuple[np.ndarray, np.ndarray]:
        """Which item has which image: item rows and image rows, ordered by both."""
        pairs = np.load(self.path / "item_image.npy", mmap_mode="r", allow_pickle=False)
        return pairs[0], pairs[1]

    def table(self, name: str) -> pa.Table:
        """An overlay table: concepts, hierarchy, scenes, scene_relations, captions (columns: `TABLE_COLUMNS`)."""
        return _read_table(self.path / f"{name}.arrow")

    def to_dgl(self, *, reverse: bool = True, drop: Mapping[EdgeType, np.ndarray] | None = None) -> dgl.DGLHeteroGraph:
        """The heterograph, on int64 ids; node i of a type is row i here.

        `drop` holds a mask per edge type, True where an edge stays out, its reverse too. Symmetric relations hold both
        directions in place, each once; every other type (s, name, t) gets (t, "rev_name", s) with `reverse`.
        Raises: SchemaViolation for an unknown edge type, or a mask of another length.
        """
        os.environ.setdefault("DGLBACKEND", "pytorch")  # else DGL says so on every start and writes into the home
        import dgl
        import torch

        drop = self._checked_masks(drop or {})
        symmetric = {relation.edge_type for relation in self.domain.relations if relation.symmetric}
        data: dict[EdgeType, tuple[Any, Any]] = {}
        for edge_type in self.edge_types:
            source, target = self._kept(edge_type, drop.get(edge_type), both_ways=edge_type in symmetric)
            ends = torch.from_numpy(source), torch.from_numpy(target)
            data[edge_type] = ends
            if reverse and edge_type not in symmetric:
                data[edge_type[2], f"rev_{edge_type[1]}", edge_type[0]] = ends[::-1]
        return dgl.heterograph(data, num_nodes_dict={label: self.count(label) for label in self.node_types})

    def _kept(self, edge_type: EdgeType, mask: np.ndarray | None, *, both_ways: bool) -> tuple[np.ndarray, np.ndarray]:
        source, target = (np.array(rows, np.int64) for rows in self.edges(edge_type))
        if mask is not None:
            source, target = source[~mask], target[~mask]
        if both_ways:
            pairs = np.unique(np.stack([np.concatenate([source, target]), np.concatenate([target, source])]), axis=1)
            source, target = np.ascontiguousarray(pairs[0]), np.ascontiguousarray(pairs[1])
        return source, target

    def _checked_masks(self, drop: Mapping[EdgeType, np.ndarray]) -> dict[EdgeType, np.ndarray]:
        masks = {}
        for edge_type, mask in drop.items():
            masks[tuple(edge_type)] = mask = np.asarray(mask, bool)
            count = len(self.edges(edge_type)[0])
            if mask.shape != (count,):
                raise SchemaViolation(
                    f"drop {edge_type}: a mask of shape {mask.shape} for {count} edges; give one bool an edge"
                )
        return masks

    def _table(self, label: str) -> pa.Table:
        if label not in self._nodes:
            self.domain.node_type(label)
            self._nodes[label] = _read_table(self.path / _node_file(label))
        return self._nodes[label]

    def _pairs(self, edge_type: EdgeType) -> np.ndarray:
        if edge_type not in self._edges:
            path = self.path / _edge_file(self._number(edge_type))
            self._edges[edge_type] = np.load(path, mmap_mode="r", allow_pickle=False)
        return self._edges[edge_type]

    def _number(self, edge_type: EdgeType) -> int:
        if edge_type not in self.edge_types:
            raise SchemaViolation(f"{self.domain.domain}: no edge type {edge_type}; known: {self.edge_types[:5]} …")
        return self.edge_types.index(edge_type)


def _check_filled(content: Content) -> None:
    if not any(table.keys for table in content.nodes.values()):
        name = content.domain.domain
        how = _HOW_TO_FILL.get(name, f"korvai import csv --graph {name} DIR")
        raise SchemaViolation(f"pull {name}: the graph holds no {name} node; import something first: `{how}`")


def _check_task(content: Content, task: str) -> None:
    domain = content.domain
    name, _ = domain.task(task)
    item, relation, target = edge_type = domain.task_edge_type(name)
    problems = (
        (not content.nodes[target].keys, f"there is no {target} node, so no class to learn"),
        (not content.images, f"no {item} has an image"),
        (not content.edges[edge_type].shape[1], f"no {item} has a {relation} relation to a {target}"),
    )
    for wrong, what in problems:
        if wrong:
            raise SchemaViolation(f"pull {domain.domain}, task {name}: {what}; import or create some first")


def _write(content: Content, folder: Path, *, server: str) -> None:
    """Write beside, then rename: a folder with this name is whole, or absent."""
    partial = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.tmp")
    with disk_guard(folder):
        partial.mkdir(parents=True)
        _remove_leftovers(folder.parent)
        try:
            _write_files(content, partial)
            (partial / _MANIFEST).write_text(
                json.dumps(_manifest(content, partial, server), indent=1), encoding="utf-8"
            )
            _put_in_place(partial, folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _remove_leftovers(folder: Path) -> None:
    """What killed pulls left; a living one may be at work in a young folder."""
    for leftover in folder.glob(".*.tmp"):
        if time.time() - leftover.stat().st_mtime > _STALE_S:
            shutil.rmtree(leftover, ignore_errors=True)


def _put_in_place(partial: Path, folder: Path) -> None:
    if folder.is_dir() and not (folder / _MANIFEST).is_file():
        shutil.rmtree(folder)
    try:
        partial.rename(folder)
    except OSError:
        # Another process pulled the same content meanwhile.
        if not (folder / _MANIFEST).is_file():
            raise


def _write_files(content: Content, folder: Path) -> None:
    (folder / "nodes").mkdir()
    (folder / "edges").mkdir()
    for label, nodes in content.nodes.items():
        columns = {"key": pa.array(nodes.keys, pa.large_string()), "text": pa.array(nodes.texts, pa.large_string())}
        _write_table(pa.table(columns), folder / _node_file(label))
    for number, (edge_type, pairs) in enumerate(content.edges.items()):
        np.save(folder / _edge_file(number), pairs, allow_pickle=False)
        if edge_type in content.shares:
            np.save(folder / _share_file(number), content.shares[edge_type], allow_pickle=False)
    _write_table(_as_table(content.images, _IMAGE_COLUMNS), folder / "images.arrow")
    np.save(folder / "item_image.npy", content.item_image, allow_pickle=False)
    for name, rows in content.tables.items():
        _write_table(_as_table(rows, TABLE_COLUMNS[name]), folder / f"{name}.arrow")


def _manifest(content: Content, folder: Path, server: str) -> dict[str, Any]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {
        "format": _FORMAT,
        "domain": content.domain.domain,
        "content_hash": content.hash,
        "counts": {
            "nodes": {label: len(nodes.keys) for label, nodes in content.nodes.items()},
            "edges": {"-".join(edge_type): pairs.shape[1] for edge_type, pairs in content.edges.items()},
            "images": len(content.images),
            **{name: len(rows) for name, rows in content.tables.items()},
        },
        "node_types": list(content.nodes),
        "edge_types": [list(edge_type) for edge_type in content.edges],
        "pulled_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "server": server,
        "files": {path.relative_to(folder).as_posix(): path.stat().st_size for path in files},
        "domain_file": content.domain.model_dump(mode="json"),
    }


def _node_file(label: str) -> str:
    return f"nodes/{quote(label, safe=' ')}.arrow"


def _edge_file(number: int) -> str:
    return f"edges/{number}.npy"


def _share_file(number: int) -> str:
    return f"edges/{number}_share.npy"


def _as_table(rows: Sequence[tuple], columns: Sequence[str]) -> pa.Table:
    return pa.table({column: [row[place] for row in rows] for place, column in enumerate(columns)})


def _write_table(table: pa.Table, path: Path) -> None:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


def _read_table(path: Path) -> pa.Table:
    with pa.memory_map(str(path)) as file:
        return pa.ipc.open_file(file).read_all()
