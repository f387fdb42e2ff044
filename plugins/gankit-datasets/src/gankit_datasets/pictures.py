"""One picture file, of any mode and size, to one square of uint8 pixels.

Transparency is laid on white or kept, and the camera's orientation (EXIF) is followed;
of an animation the first frame is taken. Grey of more than 8 bits is scaled down.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Literal

import torch
from attrs import field, frozen
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from gankit.errors import BrokenItem
from gankit_datasets.packed import File, Packed, Place

Fit = Literal["crop", "pad", "squash"]
Channels = Literal[1, 3, 4]

SUFFIXES = (
    ".bmp",
    ".gif",
    ".jpeg",
    ".jpg",
    ".pgm",
    ".png",
    ".ppm",
    ".tif",
    ".tiff",
    ".webp",
)
# by content, whatever the suffix says: never Pillow's formats that run other programs
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")

# how files of these formats begin: JPEG, PNG, GIF, TIFF; WebP is told from two places
_MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8", b"II*\0", b"MM\0*")
_LONGEST = 12

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # by the number of channels
_DEEP_GREY = ("I", "I;16", "I;16B", "I;16L", "I;16N")
_MANY_PIXELS = 90_000_000  # decoded they would fill 270 MB: Pillow's limit for bombs
_CHUNK = 64  # files that one thread looks at in a row
_READERS = 8  # headers that are waited for at once: what a network drive takes


class _Hush:
    """Keeps Pillow's warnings quiet while any thread is inside.

    ``warnings.catch_warnings`` alone would not do: pictures are read by many threads,
    and the filters that it saves and restores belong to all of them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._caught: warnings.catch_warnings[None] | None = None

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._caught is None:
                self._caught = warnings.catch_warnings()
                self._caught.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.")

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0 and self._caught is not None:
                self._caught.__exit__(None, None, None)
                self._caught = None


_HUSH = _Hush()


@frozen
class Look:
    """How a picture becomes a square of ``side`` pixels.

    ``crop`` cuts the largest centred square and resizes it, ``pad`` resizes the whole
    and centres it on white, ``squash`` resizes the whole and disregards its shape.

    One channel is grey, three are colours; the fourth is how opaque a pixel is, 0 to
    255. Then ``pad`` adds what is not seen, and what is not seen is white.
    """

    side: int = field(kw_only=True)
    fit: Fit = field(default="crop", kw_only=True)
    channels: Channels = field(default=3, kw_only=True)

    def read(self, path: File) -> Tensor:
        """Read one file: (channels, side, side), uint8.

        Raises:
            BrokenItem: it cannot be read; names the file and the reason.
        """
        try:
            with _HUSH, _opened(path) as image:
                # a JPEG can be decoded at half, a quarter or an eighth of its size;
                # twice the size wanted leaves the resizing something to average
                image.draft(None, (2 * self.side, 2 * self.side))
                image.load()
                upright = ImageOps.exif_transpose(image)
                plain = _plain(upright, keep_alpha=self.channels == 4)
                return self._pixels(self._square(plain))
        except Exception as error:  # a damaged file may raise whatever it trips over
            raise BrokenItem(f"{path}: {_reason(error)}") from None

    def _square(self, image: Image.Image) -> Image.Image:
        whole = (self.side, self.side)
        if self.fit == "crop":
            return ImageOps.fit(image, whole, Image.Resampling.BICUBIC)
        if self.fit == "squash":
            return image.resize(whole, Image.Resampling.BICUBIC)
        scale = self.side / max(image.size)
        width, height = (max(1, round(scale * length)) for length in image.size)
        inner = image.resize((width, height), Image.Resampling.BICUBIC)
        ground = (255, 255, 255, 0) if image.mode == "RGBA" else "white"
        result = Image.new(image.mode, whole, ground)
        result.paste(inner, ((self.side - width) // 2, (self.side - height) // 2))
        return result

    def _pixels(self, image: Image.Image) -> Tensor:
        pixels = image.convert(_MODES[self.channels])
        flat = torch.frombuffer(bytearray(pixels.tobytes()), dtype=torch.uint8)
        grid = flat.view(self.side, self.side, self.channels)
        if self.channels == 4:
            # what files have there is arbitrary
            grid[..., :3].masked_fill_(grid[..., 3:] == 0, 255)
        return grid.permute(2, 0, 1).contiguous()  # (C, side, side)


def faults(root: Place, names: Sequence[str]) -> list[str | None]:
    """Say of each picture what `fault` says, waiting for many files at once."""
    chunks = [names[i : i + _CHUNK] for i in range(0, len(names), _CHUNK)]
    with _HUSH, ThreadPoolExecutor(_READERS) as pool:
        some = pool.map(lambda chunk: [fault(root, name) for name in chunk], chunks)
        return [said for chunk in some for said in chunk]


def fault(root: Place, name: str) -> str | None:
    """Say what is wrong with a picture as far as its first bytes tell, or None."""
    with suppress(OSError, ValueError):
        begin = _begin(root, name)
        if begin.startswith(_MAGIC) or (begin[:4], begin[8:]) == (b"RIFF", b"WEBP"):
            return None
    path = root / name
    try:
        if not path.is_file():
            return "not a file, or a broken link"
        if not _begin(root, name):
            return "empty file"
        with _HUSH, _opened(path):
            return None
    except Exception as error:  # a damaged header may raise whatever it trips over
        return _reason(error)


def _begin(root: Place, name: str) -> bytes:
    if isinstance(root, Packed):
        return root.begin(name, _LONGEST)
    with open(f"{root}/{name}", "rb", 0) as file:  # noqa: PTH123 # no Path for each of many
        return file.read(_LONGEST)


def _opened(path: File) -> Image.Image:
    file = path if isinstance(path, Path) else path.open()
    image = Image.open(file, formats=_FORMATS)
    if image.width * image.height > _MANY_PIXELS:
        image.close()
        raise ValueError(
            f"{image.width} x {image.height} is more than "
            f"{_MANY_PIXELS // 1_000_000} million pixels; shrink it first"
        )
    return image


def _plain(image: Image.Image, *, keep_alpha: bool) -> Image.Image:
    """Return 8 bits a channel: mode L, RGB or, if transparency is kept, RGBA."""
    if image.mode in _DEEP_GREY:
        image = image.convert("I").point(lambda value: value / 257).convert("L")
    if image.mode == "F":
        raise ValueError("pixels are floats of unknown range; save it with 8 bits")
    if keep_alpha:
        return image.convert("RGBA")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        result = Image.new("RGB", layer.size, "white")
        result.paste(layer, mask=layer)
        return result
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not a picture that Pillow can read"
    if isinstance(error, Image.DecompressionBombError):
        return "far too many pixels; shrink it first"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
