"""Where are the files of a published version, and how do they get there whole?

`models/<version>/tower` (encodes images, needs no training code) and `models/<version>/model` (encodes classes again).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kg.errors import StaleToken, StoreError
from kg.store import Store, disk_guard

__all__ = ["folder_hash", "keep", "relative", "tower_folder", "tower_manifest"]


def keep(store: Store, version: str, parts: Mapping[str, Path | None], *, label: str, token: int) -> Path:
    """Copy folders into models/<version>/, which appears only when it is complete; one that is there stays.

    `label` and `token` name the unfinished copy; those of the same label with lower tokens are removed.
    Raises: StoreError when the store is full or read-only, or a folder is missing, StaleToken when a newer publisher
    of the label removed the unfinished copy.
    """
    target = store.models / version
    with disk_guard(target):
        store.models.mkdir(parents=True, exist_ok=True)
        _remove_unfinished(store.models, label, token)
        if target.is_dir():
            return target
        partial = store.models / f".{label}-{token}.part"
        try:
            _copy(parts, partial)
            _rename(partial, target)
        except FileNotFoundError as error:
            if not str(error.filename).startswith(str(partial)):
                raise
            raise StaleToken(
                f"publishing {version}: another publisher took over while files were copied; publish again to have it"
            ) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return target


def tower_folder(store: Store, version: str) -> Path:
    """Where the version's image tower is.

    Raises: StoreError when it is not there.
    """
    folder = store.models / version / "tower"
    if not folder.is_dir():
        raise StoreError(
            f"version {version}: no image tower under {folder}; set KORVAI_STORE to the store it was published from, "
            "or publish again"
        )
    return folder


def tower_manifest(folder: Path | None) -> dict[str, Any]:
    """What a saved tower says of itself (`dim`, `has_text` …); nothing where it is none."""
    try:
        return {} if folder is None else dict(json.loads((folder / "manifest.json").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def folder_hash(folder: Path) -> str:
    """A hash of names and contents of all files under a folder.

    Raises: StoreError when the folder is missing.
    """
    _require(folder)
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def relative(store: Store, path: Path) -> str:
    """A path as the graph holds it: relative to the store where it is inside."""
    path = path.absolute()
    return (
        path.relative_to(store.folder.absolute()).as_posix()
        if path.is_relative_to(store.folder.absolute())
        else path.name
    )


def _require(folder: Path) -> None:
    if not folder.is_dir():
        raise StoreError(f"publishing: the folder {folder} is missing; train the run again, or name the right one")


def _copy(parts: Mapping[str, Path | None], target: Path) -> None:
    """Folder by folder, none of which is made twice: once a newer publisher has taken `target` away, the next file
    fails, and what is left cannot look whole."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    for name, source in parts.items():
        if source is None:
            continue
        _require(source)
        (target / name).mkdir()
        for path in sorted(source.rglob("*")):
            to = target / name / path.relative_to(source)
            if path.is_dir():
                to.mkdir()
            else:
                shutil.copyfile(path, to)
                _sync(to)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _rename(partial: Path, target: Path) -> None:
    try:
        partial.rename(target)
    except OSError:
        if not target.is_dir():  # another publisher of the same version was faster: its copy is as good
            raise


def _remove_unfinished(folder: Path, label: str, token: int) -> None:
    """Taken away in one step before anything of it is removed: its publisher may still be copying."""
    for path in folder.glob(f".{label}-*.part"):
        with contextlib.suppress(ValueError, OSError):
            if int(path.name.removeprefix(f".{label}-").removesuffix(".part")) < token:
                path.rename(path.with_name(f"{path.name}.{token}.gone"))
    for path in folder.glob(f".{label}-*.part.*.gone"):
        shutil.rmtree(path, ignore_errors=True)
