"""What does an image of the store look like? Thumbnails by content hash."""

from __future__ import annotations

import io
from pathlib import Path as FilePath
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Query, Response
from PIL import Image, ImageOps

from api.deps import StoreDep
from kg.errors import UnreadableMedia
from kg.store import Store

__all__ = ["router", "thumbnail"]

router = APIRouter(tags=["images"])

_JPEG_QUALITY = 88
# The content under a hash never changes, so nobody needs to ask twice.
_FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}


@router.get("/images/{sha256}", response_class=Response, responses={200: {"content": {"image/jpeg": {}}}})
def image(
    store: StoreDep,
    sha256: Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="Content hash of the image.")],
    px: Annotated[int, Query(ge=16, le=1024, description="Longest side of the thumbnail.")] = 256,
) -> Response:
    """A JPEG of the image, at most `px` pixels wide and high."""
    return Response(thumbnail(_find(store, sha256), px), media_type="image/jpeg", headers=_FOR_EVER)


def thumbnail(path: FilePath, px: int) -> bytes:
    """The picture at `path` as JPEG, upright, at most `px` pixels wide and high.

    Raises: UnreadableMedia.
    """
    try:
        with Image.open(path) as picture:
            picture.draft("RGB", (px, px))
            small = ImageOps.exif_transpose(picture).convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise UnreadableMedia(f"{path.name}: cannot be read ({error}); import it again") from error
    small.thumbnail((px, px))
    out = io.BytesIO()
    small.save(out, "JPEG", quality=_JPEG_QUALITY)
    return out.getvalue()


def _find(store: Store, sha256: str) -> FilePath:
    for path in (store.images / sha256[:2]).glob(f"{sha256}.*"):
        return path
    raise HTTPException(404, f"image {sha256[:12]}…: not in the store")
