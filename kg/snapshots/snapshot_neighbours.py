"""Who are the neighbours of a snapshot's nodes, without looking at all edges?

Beside the edges lies an index: for every relation where each node's edges begin, the same from the other end, and the
chance numbers of the keys. It is derived: made once, when the first neighbourhood is asked for, kept in the snapshot's
folder where that can be written, and memory-mapped from then on.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kg.schema import EdgeType
from kg.snapshots.chance import key_hashes
from kg.snapshots.ordering import ranges
from kg.snapshots.sources import Asked, Direction, Found

if TYPE_CHECKING:
    from kg.snapshots.snapshot import Snapshot

__all__ = ["SnapshotNeighbours"]

_FOLDER = "index-1"
"""Its number rises when what is in it changes."""


class SnapshotNeighbours:
    """A `kg.snapshots.sources.Source`; a node's number is its row."""

    whole = 512

    def __init__(self, snapshot: Snapshot) -> None:
        self.domain = snapshot.domain
        self._snapshot = snapshot
        self._arrays: dict[str, np.ndarray] = {}

    def hashes(self, label: str) -> np.ndarray:
        """`key_hashes` by row. Shapes: (nodes,) uint64"""
        return self._array(f"hash-{self._snapshot.node_types.index(label)}")

    def edge_count(self, edge_type: EdgeType) -> int:
        """Relations of an edge type."""
        return len(self._snapshot.edges(edge_type)[0])

    def look(self, asked: Sequence[Asked]) -> list[Found]:
        """The relations of nodes."""
        return [self._among(a) if a.few is not None else self._listed(a) for a in asked]

    def _listed(self, asked: Asked) -> Found:
        begins, rows = self._lists(asked.direction)
        first = begins[asked.nodes]
        degrees = begins[asked.nodes + 1] - first
        read = degrees if asked.whole is None else np.where(degrees <= asked.whole, degrees, 0)
        return Found(degrees, np.repeat(np.arange(len(read)), read), rows[ranges(first, read)].astype(np.int64))

    def _among(self, asked: Asked) -> Found:
        """From the few to the nodes, which may have far more relations."""
        direction = asked.direction
        found = self._listed(Asked(Direction(direction.edge_type, not direction.back), asked.few))
        place = np.full(self._snapshot.count(direction.near), -1)
        place[asked.nodes] = np.arange(len(asked.nodes))
        near = place[found.far]
        met = near >= 0
        return Found(found.degrees, near[met], asked.few[found.near[met]])

    def _lists(self, direction: Direction) -> tuple[np.ndarray, np.ndarray]:
        """Where each near node's edges begin, one more for the end, and the far rows in that order."""
        number = self._snapshot.edge_types.index(direction.edge_type)
        if not direction.back:
            return self._array(f"out-{number}"), np.asarray(self._snapshot.edges(direction.edge_type)[1])
        return self._array(f"in-{number}"), self._array(f"in-rows-{number}")

    def _array(self, name: str) -> np.ndarray:
        if name not in self._arrays:
            if self._folder is None:
                self._arrays |= self._made
            else:
                mapped = np.load(self._folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
                self._arrays[name] = np.asarray(mapped)  # still mapped, but each slice is cheaper
        return self._arrays[name]

    @cached_property
    def _folder(self) -> Path | None:
        """The index' folder, made where it is missing; None where it cannot be kept."""
        folder = self._snapshot.path / _FOLDER
        if folder.is_dir():
            return folder
        partial = folder.with_name(f".{_FOLDER}.{secrets.token_hex(4)}.tmp")
        try:
            partial.mkdir()
            for name, array in self._made.items():
                np.save(partial / f"{name}.npy", array, allow_pickle=False)
            partial.rename(folder)
        except OSError:
            # Read-only or full, or another process was faster: the folder is there then.
            return folder if folder.is_dir() else None
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return folder

    @property
    def _made(self) -> dict[str, np.ndarray]:
        snapshot, arrays = self._snapshot, {}
        for number, label in enumerate(snapshot.node_types):
            arrays[f"hash-{number}"] = key_hashes(label, snapshot.key_column(label))
        for number, edge_type in enumerate(snapshot.edge_types):
            source, target = snapshot.edges(edge_type)
            arrays[f"out-{number}"] = _begins(source, snapshot.count(edge_type[0]))
            arrays[f"in-{number}"] = _begins(target, snapshot.count(edge_type[2]))
            arrays[f"in-rows-{number}"] = _by_target(source, target)
        return arrays


def _begins(ends: np.ndarray, count: int) -> np.ndarray:
    """Where each node's edges begin. Shapes: (count + 1,) int64"""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(np.bincount(ends, minlength=count), dtype=np.int64)])


def _by_target(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Sources in order of targets, then of themselves: one sort of packed pairs, far faster than sorting places."""
    packed = (target.astype(np.int64) << 32) | source
    packed.sort()
    return (packed & 0xFFFFFFFF).astype(np.int32)
