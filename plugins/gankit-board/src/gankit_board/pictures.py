"""Pictures that a run has drawn: whole ones, and small ones for lists."""

from __future__ import annotations

import io
import os
from functools import lru_cache
from pathlib import Path

from PIL import Image

_END = b"IEND\xaeB`\x82"  # ends a PNG file, with its check sum
_SMALL = 512  # of them are remembered
_LARGEST = 40_000_000  # pixels of a picture that is read
_UPLOADED = ("PNG", "JPEG", "WEBP", "GIF", "BMP")  # that browsers have, all of them


def whole(path: Path) -> bool:
    """Tell whether a PNG file is written to its end."""
    try:
        with path.open("rb") as file:
            file.seek(-len(_END), os.SEEK_END)
            return file.read() == _END
    except OSError:
        return False


def check_picture(data: bytes) -> None:
    """Check that a file that was uploaded is a picture, by its first bytes alone.

    Raises:
        ValueError: it is none, or so large that it would take much memory.
    """
    try:
        with Image.open(io.BytesIO(data), formats=_UPLOADED) as picture:
            width, height = picture.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        kinds = ", ".join(_UPLOADED[:-1])
        raise ValueError(f"picture: give one as {kinds} or {_UPLOADED[-1]}") from error
    if width * height > _LARGEST:
        raise ValueError(
            f"picture: it has {width}x{height} pixels; give one of at most "
            f"{_LARGEST // 1_000_000} million"
        )


def small(path: Path, side: int) -> bytes | None:
    """Return a picture as WebP, at most so many pixels wide and high; None if broken.

    Of a grid that is far larger its upper left part is shown, where more can be seen.
    """
    try:
        return _small(path, side, path.stat().st_mtime)
    except (OSError, ValueError, Image.DecompressionBombError):
        return None


@lru_cache(maxsize=_SMALL)
def _small(path: Path, side: int, changed: float) -> bytes:
    with Image.open(path, formats=["PNG"]) as picture:
        if picture.width * picture.height > _LARGEST:
            raise ValueError("too large")
        shown = picture.convert("RGB")
    part = min(shown.width, shown.height, 3 * side)
    shown = shown.crop((0, 0, part, part))
    shown.thumbnail((side, side), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    shown.save(file, "webp", quality=86, method=4)
    return file.getvalue()
