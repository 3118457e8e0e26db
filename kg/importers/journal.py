"""Which nodes and relations did a batch make or change? Kept beside the store, so that it can be taken back.

`store/batches/<id>/` holds `batch.json` and one Arrow stream per label and relation type, in the order in which they
were written. A row reaches the disk before the database is asked to write it: after a crash the journal may name
something that was never made, which undo passes over, and never the other way round.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from kg.errors import StoreError
from kg.loading.specs import EdgeSpec, NodeSpec
from kg.store import disk_guard

__all__ = ["Entry", "Journal", "read_journal"]

_SCHEMA = pa.schema([(name, pa.string()) for name in ("source", "target", "identity", "action", "old", "new")])
_NOTHING = "{}"
_ENTRIES_A_PORTION = 50_000


@dataclass(frozen=True)
class Entry:
    """One node (`target` is empty, `source` its key) or relation that a batch created or updated."""

    source: str
    target: str = ""
    identity: str = _NOTHING
    action: str = "created"
    old: str = _NOTHING
    new: str = _NOTHING


class Journal:
    """The files of one batch, open for writing. A context manager."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writers: dict[NodeSpec | EdgeSpec, tuple[Any, pa.ipc.RecordBatchStreamWriter]] = {}

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        for sink, writer in self._writers.values():
            with disk_guard(self.folder):
                writer.close()
                sink.close()

    def write(self, spec: NodeSpec | EdgeSpec, entries: Sequence[Entry]) -> None:
        """Append entries of one label or relation type and bring them to the disk.

        Raises: StoreError.
        """
        if entries:
            self._append(spec, [pa.array([getattr(e, name) for e in entries], pa.string()) for name in _SCHEMA.names])

    def write_created(
        self, spec: NodeSpec | EdgeSpec, sources: Sequence[str] | pa.Array, targets: Sequence[str] | pa.Array = ()
    ) -> None:
        """Append what is about to be created, as columns: keys of nodes, or of both ends of plain relations.

        Raises: StoreError.
        """
        for start in range(0, len(sources), _ENTRIES_A_PORTION):
            part = slice(start, start + _ENTRIES_A_PORTION)
            keys = _strings(sources[part])
            ends = _strings(targets[part]) if len(targets) else _constant("", len(keys))
            self._append(
                spec, [keys, ends, *(_constant(text, len(keys)) for text in (_NOTHING, "created", "{}", "{}"))]
            )

    def _append(self, spec: NodeSpec | EdgeSpec, columns: list[pa.Array]) -> None:
        with disk_guard(self.folder):
            sink, writer = self._writers.get(spec) or self._open(spec)
            writer.write_batch(pa.record_batch(columns, schema=_SCHEMA))
            sink.flush()
            os.fsync(sink.fileno())

    def _open(self, spec: NodeSpec | EdgeSpec) -> tuple[Any, pa.ipc.RecordBatchStreamWriter]:
        self.folder.mkdir(parents=True, exist_ok=True)
        sink = (self.folder / f"{len(self._writers):03d}.arrows").open("wb")
        schema = _SCHEMA.with_metadata({"spec": json.dumps(asdict(spec))})
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        self._writers[spec] = (sink, pa.ipc.new_stream(sink, schema, options=options))
        return self._writers[spec]


def read_journal(folder: Path) -> Iterator[tuple[NodeSpec | EdgeSpec, list[Entry]]]:
    """The entries of a batch, last written first, in portions; a torn end (a crash while writing) is left out.

    Raises: StoreError when there is no such folder.
    """
    if not folder.is_dir():
        raise StoreError(f"batch {folder.name}: no key files under {folder}; was the store moved? (KORVAI_STORE)")
    for path in sorted(folder.glob("*.arrows"), reverse=True):
        with path.open("rb") as file:
            spec, batches = _read(file)
        for batch in reversed(batches):
            yield spec, [Entry(**row) for row in reversed(batch.to_pylist())]


def _read(file: Any) -> tuple[Any, list[pa.RecordBatch]]:
    """What one file tells of, and its entries as columns: a large batch's entries as objects would fill the memory."""
    batches: list[pa.RecordBatch] = []
    try:
        stream = pa.ipc.open_stream(file)
    except (pa.ArrowInvalid, OSError):
        return None, batches
    while True:
        try:
            batches.append(stream.read_next_batch())
        except (StopIteration, pa.ArrowInvalid, OSError):
            return _spec(json.loads(stream.schema.metadata[b"spec"])), batches


def _strings(keys: Sequence[str] | pa.Array) -> pa.Array:
    return keys if isinstance(keys, pa.Array) else pa.array(keys, pa.string())


def _constant(text: str, length: int) -> pa.Array:
    return pa.repeat(pa.scalar(text, pa.string()), length)


def _spec(raw: dict[str, Any]) -> NodeSpec | EdgeSpec:
    if "label" in raw:
        return NodeSpec(**raw)
    return EdgeSpec(NodeSpec(**raw["source"]), raw["type"], NodeSpec(**raw["target"]), tuple(raw["identity"]))
