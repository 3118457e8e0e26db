"""What becomes of a page that was read: arrays, at once, so that no long list of Python numbers or texts ever lives?

A Python integer takes five times its slot in an array. Pages hold a list a column and never one a row: Python's garbage
collector walks through everything whenever many small lists were made, which costs more than reading them. Each kind of
column takes pages as the statements `pull/…_page` return them and can say whether it equals another reading of the same
part.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

__all__ = ["Columns", "EdgeColumns", "ImageColumns", "NodeColumns", "Rows", "joined"]

Page = Mapping[str, Any]
_INT32_MAX = 2**31 - 1
_TEXT = pa.large_string()


class Columns:
    """Takes pages; equal digests: equal content."""

    def add(self, page: Page) -> None:
        """Take over one page."""
        raise NotImplementedError

    def digest(self) -> bytes:
        """Of all that was taken over, in the order in which it came."""
        digest = hashlib.blake2b(digest_size=16)
        for part in self._content():
            digest.update(part)
        return digest.digest()

    def _content(self) -> Iterator[Any]:
        raise NotImplementedError


@dataclass
class NodeColumns(Columns):
    """Nodes of one label: internal ids, keys, and the texts that `texts_of` makes of the values' columns.

    The key is the first column.

    Shapes, once joined: ids (n,) integers, keys and texts n strings; a missing key is an empty one.
    """

    texts_of: Callable[[Sequence[Sequence[Any]]], pa.Array]
    ids: list[np.ndarray] = field(default_factory=list)
    keys: list[pa.Array] = field(default_factory=list)
    texts: list[pa.Array] = field(default_factory=list)

    def add(self, page: Page) -> None:
        values = page["values"]
        self.ids.append(_integers(page["ids"]))
        self.keys.append(_strings(values[0]))
        self.texts.append(self.texts_of(values))

    def _content(self) -> Iterator[Any]:
        yield from self.ids
        for page in (*self.keys, *self.texts):
            yield from _buffers(page)


@dataclass
class EdgeColumns(Columns):
    """Pairs of internal ids; weights or facets where the statement returns them. Shapes, once joined: (n,)."""

    sources: list[np.ndarray] = field(default_factory=list)
    targets: list[np.ndarray] = field(default_factory=list)
    weights: list[np.ndarray] = field(default_factory=list)
    facets: list[str] = field(default_factory=list)

    def add(self, page: Page) -> None:
        self.sources.append(_integers(page["sources"]))
        self.targets.append(_integers(page["targets"]))
        if "weights" in page:
            self.weights.append(np.array(page["weights"], np.float32))
        self.facets += page.get("facets", ())

    def _content(self) -> Iterator[Any]:
        yield from (*self.sources, *self.targets, *self.weights)
        yield repr(self.facets).encode()


@dataclass
class ImageColumns(Columns):
    """Pairs of an item's internal id and its image: sha256, uri, width, height, split; all of one length a page."""

    items: list[np.ndarray] = field(default_factory=list)
    images: list[pa.RecordBatch] = field(default_factory=list)

    def add(self, page: Page) -> None:
        sha256, uri, width, height, split = page["images"]
        self.items.append(_integers(page["items"]))
        self.images.append(
            pa.record_batch(
                {
                    "sha256": _strings(sha256),
                    "uri": _strings(uri),
                    "width": pa.array([value or 0 for value in width], pa.int64()),
                    "height": pa.array([value or 0 for value in height], pa.int64()),
                    "split": pa.array([value or None for value in split], _TEXT),
                }
            )
        )

    def table(self) -> pa.Table:
        """All pages' images, one row a pair."""
        empty = pa.table(
            {name: pa.array([], _TEXT) for name in ("sha256", "uri")}
            | {name: pa.array([], pa.int64()) for name in ("width", "height")}
            | {"split": pa.array([], _TEXT)}
        )
        return pa.Table.from_batches(self.images).combine_chunks() if self.images else empty

    def _content(self) -> Iterator[Any]:
        yield from self.items
        for page in self.images:
            for column in page.columns:
                yield from _buffers(column)


@dataclass
class Rows(Columns):
    """Plain rows, for what is small or has no internal ids to join."""

    columns: tuple[str, ...] = ()
    rows: list[Any] = field(default_factory=list)

    def add(self, page: Page) -> None:
        lists = [page[column] for column in self.columns]
        self.rows += lists[0] if len(lists) == 1 else zip(*lists, strict=True)

    def _content(self) -> Iterator[Any]:
        yield repr(self.rows).encode("utf-8", "surrogatepass")


def joined(pages: Sequence[np.ndarray]) -> np.ndarray:
    """The pages one after the other."""
    return np.concatenate(pages) if pages else np.zeros(0, np.int32)


def _integers(values: Sequence[int]) -> np.ndarray:
    """As int32 where they fit, which is half the memory."""
    wide = np.array(values, np.int64)
    return wide.astype(np.int32) if not len(wide) or wide.max() <= _INT32_MAX else wide


def _strings(values: Sequence[Any]) -> pa.Array:
    try:
        return pa.array([value or "" for value in values], _TEXT)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        # Keys that are numbers, as a curator's own domain may have them.
        return pa.array(["" if value is None else str(value) for value in values], _TEXT)


def _buffers(array: pa.Array) -> Iterator[Any]:
    return (buffer for buffer in array.buffers() if buffer is not None)
