"""Where do images, features, snapshots, runs and models live on disk, and how is none of them ever half-written?

One folder that all machines mount. Images are kept under their own sha256 (`images/ab/ab12….jpg`), the graph holds the
path relative to the folder; every file appears under its name only when it is complete.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from kg import failpoints
from kg.errors import StoreError, UnreadableMedia

__all__ = [
    "IMAGE_FORMATS",
    "MAX_IMAGE_MIB",
    "MAX_IMAGE_PX",
    "Store",
    "StoredImage",
    "atomic_write",
    "disk_guard",
    "open_image",
]

MAX_IMAGE_PX = 200_000_000
"""Images with more pixels are refused before they are decoded."""

MAX_IMAGE_MIB = 512
"""Files larger than this are refused before they are read."""

_SUFFIX = {"JPEG": "jpg", "MPO": "jpg", "PNG": "png", "WEBP": "webp", "TIFF": "tif", "GIF": "gif", "BMP": "bmp"}
IMAGE_FORMATS = tuple(name for name in _SUFFIX if name != "MPO")  # a JPEG of several pictures; the JPEG reader finds it
"""What Pillow may take an image for. Its other readers are not for anybody's files: one of them runs Ghostscript."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_CLOSED = (errno.EROFS, errno.EACCES, errno.EPERM)


@dataclass(frozen=True)
class StoredImage:
    """One image of the store: content hash, path relative to the store, size in pixels as the file has it."""

    sha256: str
    uri: str
    width: int
    height: int


class Store:
    """The folder of files that belong to a graph. Threads and processes may share it."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)

    def __repr__(self) -> str:
        return f"Store({str(self.folder)!r})"

    @property
    def images(self) -> Path:
        """Images by content."""
        return self.folder / "images"

    @property
    def features(self) -> Path:
        """The feature cache."""
        return self.folder / "features"

    @property
    def snapshots(self) -> Path:
        """Snapshots by content hash."""
        return self.folder / "snapshots"

    @property
    def runs(self) -> Path:
        """Training runs."""
        return self.folder / "runs"

    @property
    def models(self) -> Path:
        """Artefacts of published versions."""
        return self.folder / "models"

    @property
    def batches(self) -> Path:
        """What each import changed, and its problems."""
        return self.folder / "batches"

    def check_writable(self) -> None:
        """Make the folder and write a byte into it.

        Raises: StoreError when it is read-only or full; call this before long work.
        """
        probe = self.folder / f".probe-{os.getpid()}-{secrets.token_hex(4)}"
        with disk_guard(probe):
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                probe.write_bytes(b"\0")
            finally:
                probe.unlink(missing_ok=True)

    def path(self, uri: str) -> Path:
        """The file behind a path that the graph holds.

        Raises: StoreError for a path that leads out of the store.
        """
        path = Path(os.path.normpath(self.folder / uri))
        if not uri or not path.is_relative_to(os.path.normpath(self.folder)):
            raise StoreError(
                f"store: {uri!r} leads out of {self.folder}; the graph must hold paths relative to the store"
            )
        return path

    def put_image(self, source: Path | str | bytes) -> StoredImage:
        """Keep one image under the hash of its bytes; one that is there already is not written again.

        Raises: UnreadableMedia (missing, damaged, gigantic, not an image), StoreError (read-only or full store).
        """
        data, name = _bytes_of(source)
        described = _described(data, name)
        path = self.path(described.uri)
        if not _has_size(path, len(data)):
            _decode(data, name)
            with self.atomic_write(path) as file:
                file.write(data)
        return described

    def inspect_image(self, source: Path | str | bytes) -> StoredImage:
        """What `put_image` would return, without writing anything.

        Raises: UnreadableMedia.
        """
        data, name = _bytes_of(source)
        _decode(data, name)
        return _described(data, name)

    @contextmanager
    def atomic_write(self, path: Path | str) -> Iterator[BinaryIO]:
        """A binary file that appears under `path` (absolute, or relative to the store) only when the block ends well.

        Raises: StoreError when the store is read-only or full.
        """
        with atomic_write(self.folder / path) as file:
            yield file


def open_image(source: Path | str | bytes) -> Image.Image:
    """A picture, decoded whole: only that finds a truncated or damaged file.

    Raises: UnreadableMedia when it is missing, truncated, gigantic or no picture.
    """
    return _decode(*_bytes_of(source))


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Write beside `path`, bring it to the disk, then rename: readers see the old file or the whole new one.

    Raises: StoreError when the disk is read-only or full; nothing is left behind.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    with disk_guard(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            failpoints.reach("store.before_rename")
            partial.replace(path)
            failpoints.reach("store.after_rename")
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


@contextmanager
def disk_guard(path: Path) -> Iterator[None]:
    """Turn a full or read-only disk into one line that says what to do; other errors pass.

    Raises: StoreError.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StoreError(
                f"writing {path}: the disk is full; free some space, or set KORVAI_STORE elsewhere"
            ) from error
        if error.errno in (*_CLOSED, errno.ENOTDIR, errno.EEXIST):
            why = error.strerror or "it is read-only"
            raise StoreError(
                f"writing {path}: {why}; make the store writable, or set KORVAI_STORE elsewhere"
            ) from error
        raise


def _bytes_of(source: Path | str | bytes) -> tuple[bytes, str]:
    if isinstance(source, bytes):
        return source, "the image"
    path = Path(source)
    try:
        size = path.stat().st_size
        if size > MAX_IMAGE_MIB * 2**20:
            raise UnreadableMedia(
                f"{path}: {size / 2**20:,.0f} MiB; files over {MAX_IMAGE_MIB} MiB are refused, scale it down"
            )
        return path.read_bytes(), str(path)
    except FileNotFoundError as error:
        raise UnreadableMedia(f"{path}: no such file; check the folder and the spelling") from error
    except OSError as error:
        raise UnreadableMedia(f"{path}: cannot be read ({error.strerror}); check its permissions") from error


def _described(data: bytes, name: str) -> StoredImage:
    with _opened(data, name) as image:
        sha256 = hashlib.sha256(data).hexdigest()
        uri = f"images/{sha256[:2]}/{sha256}.{_SUFFIX[image.format]}"
        return StoredImage(sha256, uri, *image.size)


def _decode(data: bytes, name: str) -> Image.Image:
    image = _opened(data, name)
    try:
        image.load()
    except Exception as error:  # decoders raise whatever they like on damaged bytes
        raise UnreadableMedia(f"{name}: truncated or damaged ({_line(error)}); replace the file") from error
    return image


def _opened(data: bytes, name: str) -> Image.Image:
    if not data:
        raise UnreadableMedia(f"{name}: the file is empty; replace it")
    # Pillow's own guard warns at a number that is not ours; setting the same value again is harmless between threads.
    Image.MAX_IMAGE_PIXELS = MAX_IMAGE_PX
    try:
        image = Image.open(io.BytesIO(data), formats=IMAGE_FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _gigantic(name) from error
    except UnidentifiedImageError as error:  # its words name a buffer in memory
        raise UnreadableMedia(f"{name}: not an image that can be read; use {', '.join(IMAGE_FORMATS)}") from error
    except Exception as error:
        raise UnreadableMedia(
            f"{name}: not an image that can be read ({_line(error)}); use {', '.join(IMAGE_FORMATS)}"
        ) from error
    if image.size[0] * image.size[1] > MAX_IMAGE_PX:
        raise _gigantic(name)
    return image


def _gigantic(name: str) -> UnreadableMedia:
    return UnreadableMedia(f"{name}: more than {MAX_IMAGE_PX / 1e6:.0f} megapixels; scale it down")


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
