"""Does the store keep whole images only, under their own hash, and say what is wrong with the others?"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from kg.errors import StoreError, UnreadableMedia
from kg.store import Store, disk_guard, open_image


def _jpeg(colour: str = "red", size: tuple[int, int] = (40, 30)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "JPEG")
    return out.getvalue()


def _png_that_claims(width: int, height: int) -> bytes:
    """A PNG whose header promises a size that its data does not have."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_an_image_lies_under_its_hash(store: Store, tmp_path: Path) -> None:
    data = _jpeg()
    (tmp_path / "a.jpeg").write_bytes(data)
    stored = store.put_image(tmp_path / "a.jpeg")
    sha256 = hashlib.sha256(data).hexdigest()
    assert (stored.sha256, stored.uri) == (sha256, f"images/{sha256[:2]}/{sha256}.jpg")
    assert (stored.width, stored.height) == (40, 30)
    assert store.path(stored.uri).read_bytes() == data


def test_the_same_image_is_written_once(store: Store) -> None:
    first = store.put_image(_jpeg())
    before = store.path(first.uri).stat().st_mtime_ns
    assert store.put_image(_jpeg()) == first
    assert store.path(first.uri).stat().st_mtime_ns == before
    assert len(list(store.images.rglob("*.jpg"))) == 1


def test_a_torn_file_in_the_store_is_replaced(store: Store) -> None:
    stored = store.put_image(_jpeg())
    store.path(stored.uri).write_bytes(b"torn")
    store.put_image(_jpeg())
    assert store.path(stored.uri).read_bytes() == _jpeg()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (_jpeg(size=(300, 300))[:-40], "truncated"),
        (b"", "empty"),
        (b"<html>not found</html>", "not an image"),
        (_png_that_claims(40_000, 40_000), "megapixels"),
        (_png_that_claims(15_000, 14_000), "megapixels"),
        (_png_that_claims(300, 300), "truncated"),
    ],
)
def test_bad_images_are_refused_and_leave_nothing(store: Store, tmp_path: Path, data: bytes, says: str) -> None:
    path = tmp_path / "bad.png"
    path.write_bytes(data)
    with pytest.raises(UnreadableMedia, match=says) as caught:
        store.put_image(path)
    assert str(path) in str(caught.value)
    assert not store.images.exists()


@pytest.mark.parametrize("as_bytes", [True, False])
def test_what_is_no_picture_is_told_without_a_buffers_address(tmp_path: Path, as_bytes: bool) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"<html>not found</html>")
    with pytest.raises(UnreadableMedia) as caught:
        open_image(b"<html>not found</html>" if as_bytes else tmp_path / "bad.jpg")
    name = "the image" if as_bytes else str(tmp_path / "bad.jpg")
    assert str(caught.value).startswith(f"{name}: not an image that can be read; use JPEG, ")
    assert "0x" not in str(caught.value)


def test_a_missing_file_is_named(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UnreadableMedia, match=r"gone\.jpg: no such file"):
        store.put_image(tmp_path / "gone.jpg")


def test_paths_stay_inside_the_store(store: Store) -> None:
    for uri in ("../secret", "/etc/passwd", "images/../../secret", ""):
        with pytest.raises(StoreError, match="leads out"):
            store.path(uri)


def test_a_write_that_fails_leaves_the_old_file(store: Store) -> None:
    with store.atomic_write("runs/a.json") as file:
        file.write(b"old")
    with pytest.raises(RuntimeError), store.atomic_write("runs/a.json") as file:
        file.write(b"half of the n")
        raise RuntimeError
    assert (store.runs / "a.json").read_bytes() == b"old"
    assert [path.name for path in store.runs.iterdir()] == ["a.json"]


@pytest.mark.parametrize(("number", "says"), [(errno.ENOSPC, "disk is full"), (errno.EROFS, "Read-only")])
def test_a_full_or_read_only_disk_is_one_line_with_a_way_out(tmp_path: Path, number: int, says: str) -> None:
    with pytest.raises(StoreError, match=says) as caught, disk_guard(tmp_path / "x"):
        raise OSError(number, os.strerror(number))
    assert "KORVAI_STORE" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_store_where_a_file_stands_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file")
    with pytest.raises(StoreError, match="KORVAI_STORE"):
        Store(tmp_path / "store").check_writable()


def test_inspecting_writes_nothing(store: Store) -> None:
    assert store.inspect_image(_jpeg()).width == 40
    assert not store.folder.exists()
