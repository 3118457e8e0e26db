"""How is a snapshot kept on disk: written beside and then renamed, so that a folder with a manifest is whole?"""

from __future__ import annotations

import json
import secrets
import shutil
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.ipc

from kg.snapshots.content import TABLE_COLUMNS, Content
from kg.store import disk_guard

__all__ = ["FORMAT", "MANIFEST", "edge_file", "node_file", "read_table", "share_file", "write_content"]

MANIFEST = "manifest.json"
FORMAT = 1
_STALE_S = 86_400.0


def write_content(content: Content, folder: Path, *, server: str) -> None:
    """Write beside, then rename: a folder with this name is whole, or absent."""
    partial = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.tmp")
    with disk_guard(folder):
        partial.mkdir(parents=True)
        _remove_leftovers(folder.parent)
        try:
            _write_files(content, partial)
            (partial / MANIFEST).write_text(json.dumps(_manifest(content, partial, server), indent=1), encoding="utf-8")
            _put_in_place(partial, folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _remove_leftovers(folder: Path) -> None:
    """What killed pulls left; a living one may be at work in a young folder."""
    for leftover in folder.glob(".*.tmp"):
        if time.time() - leftover.stat().st_mtime > _STALE_S:
            shutil.rmtree(leftover, ignore_errors=True)


def _put_in_place(partial: Path, folder: Path) -> None:
    if folder.is_dir() and not (folder / MANIFEST).is_file():
        shutil.rmtree(folder)
    try:
        partial.rename(folder)
    except OSError:
        # Another process pulled the same content meanwhile.
        if not (folder / MANIFEST).is_file():
            raise


def _write_files(content: Content, folder: Path) -> None:
    (folder / "nodes").mkdir()
    (folder / "edges").mkdir()
    for label, nodes in content.nodes.items():
        _write_table(pa.table({"key": nodes.keys, "text": nodes.texts}), folder / node_file(label))
    for number, (edge_type, pairs) in enumerate(content.edges.items()):
        np.save(folder / edge_file(number), pairs, allow_pickle=False)
        if edge_type in content.shares:
            np.save(folder / share_file(number), content.shares[edge_type], allow_pickle=False)
    _write_table(content.images, folder / "images.arrow")
    np.save(folder / "item_image.npy", content.item_image, allow_pickle=False)
    for name, rows in content.tables.items():
        _write_table(_as_table(rows, TABLE_COLUMNS[name]), folder / f"{name}.arrow")


def _manifest(content: Content, folder: Path, server: str) -> dict[str, Any]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {
        "format": FORMAT,
        "domain": content.domain.domain,
        "content_hash": content.hash,
        "counts": {
            "nodes": {label: len(nodes.keys) for label, nodes in content.nodes.items()},
            "edges": {"-".join(edge_type): pairs.shape[1] for edge_type, pairs in content.edges.items()},
            "images": content.images.num_rows,
            **{name: len(rows) for name, rows in content.tables.items()},
        },
        "node_types": list(content.nodes),
        "edge_types": [list(edge_type) for edge_type in content.edges],
        "pulled_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "server": server,
        "files": {path.relative_to(folder).as_posix(): path.stat().st_size for path in files},
        "domain_file": content.domain.model_dump(mode="json"),
    }


def node_file(label: str) -> str:
    """Of a label's keys and texts."""
    return f"nodes/{quote(label, safe=' ')}.arrow"


def edge_file(number: int) -> str:
    """Of the pairs of the edge type with that number."""
    return f"edges/{number}.npy"


def share_file(number: int) -> str:
    """Of its shares, where it has some."""
    return f"edges/{number}_share.npy"


def _as_table(rows: Sequence[tuple], columns: Sequence[str]) -> pa.Table:
    return pa.table({column: [row[place] for row in rows] for place, column in enumerate(columns)})


def _write_table(table: pa.Table, path: Path) -> None:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


def read_table(path: Path) -> pa.Table:
    """Memory-mapped."""
    with pa.memory_map(str(path)) as file:
        return pa.ipc.open_file(file).read_all()
