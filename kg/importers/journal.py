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
from kg.schema import EdgeType
from kg.store import disk_guard

__all__ = ["EdgeSpec", "Entry", "Journal", "NodeSpec", "read_journal"]

_SCHEMA = pa.schema([(name, pa.string()) for name in ("source", "target", "identity", "action", "old", "new")])


@dataclass(frozen=True)
class NodeSpec:
    """A label and the property that is its key."""

    label: str
    key: str


@dataclass(frozen=True)
class EdgeSpec:
    """A relation type between two labels; `identity` names properties that tell parallel relations apart."""

    source: NodeSpec
    type: str
    target: NodeSpec
    identity: tuple[str, ...] = ()

    @property
    def edge_type(self) -> EdgeType:
        """(source label, type, target label)"""
        return (self.source.label, self.type, self.target.label)

    def __str__(self) -> str:
        return f"{self.source.label}-{self.type}->{self.target.label}"


@dataclass(frozen=True)
class Entry:
    """One node (`target` is empty, `source` its key) or relation that a batch created or updated."""

    source: str
    target: str = ""
    identity: str = "{}"
    action: str = "created"
    old: str = "{}"
    new: str = "{}"


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
        if not entries:
            return
        with disk_guard(self.folder):
            sink, writer = self._writers.get(spec) or self._open(spec)
            columns = [[getattr(entry, name) for entry in entries] for name in _SCHEMA.names]
            writer.write_batch(pa.record_batch([pa.array(column, pa.string()) for column in columns], schema=_SCHEMA))
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
            yield from reversed(list(_read(file)))


def _read(file: Any) -> Iterator[tuple[NodeSpec | EdgeSpec, list[Entry]]]:
    try:
        stream = pa.ipc.open_stream(file)
    except (pa.ArrowInvalid, OSError):
        return
    spec = _spec(json.loads(stream.schema.metadata[b"spec"]))
    while True:
        try:
            batch = stream.read_next_batch()
        except (StopIteration, pa.ArrowInvalid, OSError):
            return
        yield spec, [Entry(**row) for row in batch.to_pylist()]


def _spec(raw: dict[str, Any]) -> NodeSpec | EdgeSpec:
    if "label" in raw:
        return NodeSpec(**raw)
    return EdgeSpec(NodeSpec(**raw["source"]), raw["type"], NodeSpec(**raw["target"]), tuple(raw["identity"]))
