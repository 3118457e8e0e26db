"""Which texts and images has an encoder seen already, and what did it say?

One folder an encoder (its fingerprint covers name, weights and preprocessing), in it append-only shards that never
change once they have their name. So any number of processes, on any number of machines that mount the store, may read
and add at once; a killed one loses what it had not flushed, two seconds' work at most. SQLite was not taken: its
write-ahead log does not work on network mounts, which a shared store is.
"""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np

from kg.errors import DimensionMismatch, StoreError
from kg.store import atomic_write, disk_guard

__all__ = ["FeatureCache", "text_hash"]

_FLUSH_EVERY_S = 2.0
_FLUSH_ROWS = 8192
_MERGE_ABOVE_SHARDS = 64
_STALE_TMP_S = 86_400.0
_NAME_CHARS = 32
"""Of a shard's SHA-256, in its name."""


def text_hash(text: str) -> str:
    """The content hash of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


class FeatureCache:
    """Vectors by content hash, in one folder. Not for several threads of one process; close it, or use `with`.

    Shapes: one entry has `shape`, e.g. (512,) for a vector or (49, 192) for patches.
    """

    def __init__(self, folder: Path, *, shape: tuple[int, ...] | int, dtype: str = "float32") -> None:
        self.folder = Path(folder)
        self.shape = (shape,) if isinstance(shape, int) else tuple(shape)
        self._record = np.dtype([("hash", "S64"), ("vector", np.dtype(dtype).newbyteorder("<"), self.shape)])
        self._shards: dict[str, np.ndarray] = {}
        self._place: dict[str, tuple[str, int]] = {}
        self._waiting: dict[str, np.ndarray] = {}
        self._flushed_at = time.monotonic()

    def __enter__(self) -> FeatureCache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def missing(self, hashes: Sequence[str]) -> list[str]:
        """Those of `hashes` that are not here yet, each once, in order; other processes' work counts.

        Raises: StoreError for a damaged shard.
        """
        self._look()
        return [key for key in dict.fromkeys(hashes) if key not in self._place and key not in self._waiting]

    def get(self, hashes: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """The vectors of `hashes`, and which of them were found; the others' rows are zero.

        Shapes: (n,) -> (n, *shape) of the cache's type, (n,) bool.
        Raises: StoreError for a damaged shard.
        """
        self._look()
        vectors = np.zeros((len(hashes), *self.shape), self._record["vector"].base)
        found = np.zeros(len(hashes), bool)
        asked: dict[str, tuple[list[int], list[int]]] = {}
        for row, key in enumerate(hashes):
            if key in self._waiting:
                vectors[row], found[row] = self._waiting[key], True
            elif (place := self._place.get(key)) is not None:
                rows, places = asked.setdefault(place[0], ([], []))
                rows.append(row)
                places.append(place[1])
        for name, (rows, places) in asked.items():
            vectors[rows], found[rows] = self._shards[name]["vector"][places], True
        return vectors, found

    def put(self, hashes: Sequence[str], vectors: np.ndarray) -> None:
        """Add vectors; they are on the disk after `flush`, which happens by itself every two seconds.

        Raises: DimensionMismatch, StoreError (read-only or full disk).
        """
        vectors = np.asarray(vectors)
        if vectors.shape != (len(hashes), *self.shape):
            raise DimensionMismatch(
                f"feature cache {self.folder.name}: {len(hashes)} hashes with vectors of shape {vectors.shape}, "
                f"entries have {self.shape}; open the cache of the encoder that made them"
            )
        self._waiting |= dict(zip(hashes, vectors, strict=True))
        if len(self._waiting) >= _FLUSH_ROWS or time.monotonic() - self._flushed_at > _FLUSH_EVERY_S:
            self.flush()

    def flush(self) -> None:
        """Bring what was put to the disk as a shard of its own.

        Raises: StoreError.
        """
        self._flushed_at = time.monotonic()
        if not self._waiting:
            return
        records = np.empty(len(self._waiting), self._record)
        records["hash"] = list(self._waiting)
        records["vector"] = np.stack(list(self._waiting.values()))
        self._write(records)
        self._waiting.clear()

    def close(self) -> None:
        """Flush, and merge many small shards into one."""
        self.flush()
        if len(self._shards) > _MERGE_ABOVE_SHARDS:
            self._merge()
        self._shards.clear()
        self._place.clear()

    def __len__(self) -> int:
        self._look()
        return len(self._place.keys() | self._waiting.keys())

    def _look(self) -> None:
        """Open the shards that came since the last look; one that vanishes was merged into another: look again."""
        for _ in range(10):
            try:
                for path in sorted(self.folder.glob("*.npy")):
                    if path.name not in self._shards:
                        self._open(path)
                return
            except FileNotFoundError:
                continue
        raise StoreError(f"feature cache {self.folder}: its shards keep vanishing; is something deleting them?")

    def _open(self, path: Path) -> None:
        try:
            with path.open("rb") as file:  # by pieces: a shard may be hundreds of megabytes
                sound = hashlib.file_digest(file, "sha256").hexdigest()[:_NAME_CHARS] == path.stem
            records = np.load(path, mmap_mode="r", allow_pickle=False) if sound else None
        except FileNotFoundError:
            raise
        except (OSError, ValueError) as error:
            raise _damaged(path) from error
        if records is None or records.dtype != self._record:
            raise _damaged(path)
        self._shards[path.name] = records
        for row, key in enumerate(records["hash"].astype("U64").tolist()):
            self._place.setdefault(key, (path.name, row))

    def _write(self, records: np.ndarray) -> Path:
        data = io.BytesIO()
        np.save(data, records, allow_pickle=False)
        path = self.folder / f"{_digest(data.getbuffer())}.npy"
        with atomic_write(path) as file:
            file.write(data.getbuffer())
        self._open(path)
        return path

    def _merge(self) -> None:
        """One shard instead of many, then the many go. Killed between the two, some vectors are there twice."""
        small = [name for name, records in self._shards.items() if len(records) < _FLUSH_ROWS]
        rows = [self._shards[name] for name in small]
        merged = self._write(np.concatenate(rows))
        with disk_guard(self.folder):
            for name in small:
                if name != merged.name:
                    (self.folder / name).unlink(missing_ok=True)
            for leftover in self.folder.glob(".*.tmp"):
                if time.time() - leftover.stat().st_mtime > _STALE_TMP_S:
                    leftover.unlink(missing_ok=True)


def _digest(data: bytes | memoryview) -> str:
    return hashlib.sha256(data).hexdigest()[:_NAME_CHARS]


def _damaged(path: Path) -> StoreError:
    return StoreError(f"feature cache: {path} is damaged; delete this file, and only its vectors are computed again")
