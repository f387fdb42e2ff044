"""Pictures as they stand in a page: data URIs, no file beside it."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import torch
from attrs import frozen
from PIL import Image
from torch import Tensor

from gankit import Samples

_PIXELS = 64  # a side up to which pixels are shown as they are, to the last bit
_LARGEST = 320  # px of a side; larger ones are scaled down
_QUALITY = 88  # of WebP


@frozen
class Cell:
    """A picture in a page."""

    uri: str
    caption: str = ""
    alt: str = ""
    pixelated: bool = False  # is shown larger than it is, pixel by pixel


def are_pictures(samples: Tensor) -> bool:
    """Tell whether samples (N, *sample) are grey, RGB or RGBA images."""
    return samples.ndim == 4 and samples.shape[1] in (1, 3, 4)


def cell(picture: Image.Image, caption: str = "", alt: str = "") -> Cell:
    """Put a picture into a data URI: exactly where it is small, else well enough."""
    small = max(picture.size) <= _PIXELS
    if not small:
        picture.thumbnail((_LARGEST, _LARGEST), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.save(file, "webp", lossless=small, quality=_QUALITY, method=6)
    data = base64.b64encode(file.getvalue()).decode()
    return Cell(f"data:image/webp;base64,{data}", caption, alt or caption, small)


def cells(samples: Tensor, captions: Sequence[str] = (), alt: str = "") -> list[Cell]:
    """Put images (N, C, H, W) in [0, 1] into a data URI each."""
    texts = captions or [""] * len(samples)
    return [
        cell(image(sample), text, alt or text)
        for sample, text in zip(samples, texts, strict=True)
    ]


def image(sample: Tensor) -> Image.Image:
    """Turn an image (C, H, W) in [0, 1] into a picture of as many pixels."""
    pixels = (sample.clamp(0, 1) * 255).round().to(torch.uint8).cpu()
    if len(pixels) == 1:
        return Image.fromarray(pixels[0].numpy())
    return Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy())


def whole(samples: Samples, alt: str) -> Cell:
    """Draw samples of any shape as gankit does, all in one picture."""
    return _large(samples.picture(), alt)


def read_whole(path: Path, alt: str) -> Cell:
    """Read a picture that a run has drawn, at most as large as a page needs it."""
    with Image.open(path) as picture:
        return _large(picture.convert("RGB"), alt)


def cut(
    path: Path, boxes: Sequence[tuple[int, int, int, int]], size: tuple[int, int]
) -> list[Cell]:
    """Cut cells out of a grid that a run has drawn, at the size of its samples.

    Args:
        path: of the picture.
        boxes: left, top, right and bottom of each.
        size: width and height of a sample, of which a cell is a multiple.
    """
    with Image.open(path) as picture:
        grid = picture.convert("RGB")
    parts = [grid.crop(box).resize(size, Image.Resampling.NEAREST) for box in boxes]
    return [cell(_grey(part)) for part in parts]


def _grey(picture: Image.Image) -> Image.Image:
    """Drop colours that are not there, which halves a picture of digits."""
    red, green, blue = picture.split()
    return red if red.tobytes() == green.tobytes() == blue.tobytes() else picture


def _large(picture: Image.Image, alt: str) -> Cell:
    file = io.BytesIO()
    picture.thumbnail((800, 800), Image.Resampling.LANCZOS)
    picture.save(file, "webp", quality=_QUALITY, method=6)
    data = base64.b64encode(file.getvalue()).decode()
    return Cell(f"data:image/webp;base64,{data}", alt=alt)
