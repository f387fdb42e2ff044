"""Samples, and drawing them: a grid of images, or a plot of points."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy
import torch
from attrs import frozen
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from gankit.errors import UsageError
from gankit.runs.folder import cannot_write

_CELL, _CAPTIONED_CELL = 56, 112  # smallest side of one picture in a grid, in px
_GAP = 4  # between two cells, in px
_LINES = 4  # of a caption, at most
_LINE = 13  # height of one, in px
_LETTER = 7  # width of most letters, in px
_PLOT = 480  # side of a plot of points, in px
_SQUARE = 7  # side of a square of the ground that transparency shows, in px

Box = tuple[int, int, int, int]


@frozen(eq=False)
class Samples:
    """Generated samples, on the CPU, and the condition of each as text."""

    samples: Tensor  # (N, *sample), in [0, 1] for pictures
    captions: tuple[str, ...]  # N texts; none where conditions cannot be written
    columns: int = 0  # of the grid; 0 for as many as rows

    def picture(self) -> Image.Image:
        """Draw them.

        Images are drawn as a grid with their captions, over a checkered ground where
        they are transparent, points of the plane as a plot, anything else as curves of
        its numbers in their order.
        """
        if tuple(self.samples.shape[1:]) == (2,):
            return plot(self.samples)
        if self._are_images:
            return grid(self.samples, self.captions, self.columns)
        return curves(self.samples.flatten(1))

    def cells(self) -> tuple[Box, ...]:
        """Say where each image lies in the picture, its caption aside.

        Two grids of as many images with the same captions are laid out alike, as those
        of a run's steps are.

        Returns:
            left, top, right and bottom, in px; nothing where samples are no images.
        """
        if not self._are_images:
            return ()
        layout = _Layout.of(self.samples, self.captions, self.columns)
        return tuple(layout.box(i) for i in range(len(self.samples)))

    @property
    def _are_images(self) -> bool:
        shape = self.samples.shape[1:]
        return len(shape) == 3 and shape[0] in (1, 3, 4)

    def save(self, path: str | Path) -> None:
        """Write the picture; or, into an ``.npy`` file, the numbers, (N, *sample).

        Raises:
            RunError: the file cannot be written.
            UsageError: there is no such format.
        """
        path = Path(path)
        try:
            if path.suffix == ".npy":
                numpy.save(path, self.samples.numpy())
                return
            self.picture().save(path)
        except ValueError as error:
            raise UsageError(
                f"cannot write {str(path)!r}: {error}; try .png"
            ) from error
        except OSError as error:
            raise cannot_write(path, error) from error


@frozen
class _Layout:
    """Where the cells of a grid are, in px, and what is written below them."""

    columns: int
    width: int
    height: int
    texts: tuple[list[str], ...]  # the lines of each caption

    @classmethod
    def of(cls, samples: Tensor, captions: Sequence[str], columns: int) -> Self:
        """Lay out images (N, C, H, W), large enough for their captions."""
        count, _, height, width = samples.shape
        smallest = _CAPTIONED_CELL if captions else _CELL
        zoom = max(1, math.ceil(smallest / min(height, width)))
        letters = max(4, width * zoom // _LETTER)
        texts = tuple(textwrap.wrap(text, letters)[:_LINES] for text in captions)
        columns = columns or math.ceil(math.sqrt(count))
        return cls(columns, width * zoom, height * zoom, texts)

    @property
    def pitch(self) -> tuple[int, int]:
        """From one cell to the next, across and down."""
        strip = _LINE * max(map(len, self.texts), default=0)
        return self.width + _GAP, self.height + strip + _GAP

    def box(self, place: int) -> Box:
        """Return left, top, right and bottom of one cell."""
        across, down = self.pitch
        left = _GAP + place % self.columns * across
        top = _GAP + place // self.columns * down
        return left, top, left + self.width, top + self.height


def grid(samples: Tensor, captions: Sequence[str], columns: int = 0) -> Image.Image:
    """Draw pictures (N, C, H, W) in [0, 1], each over its caption.

    They are grey, RGB, or RGB with opacity.
    """
    layout = _Layout.of(samples, captions, columns)
    across, down = layout.pitch
    rows = math.ceil(len(samples) / layout.columns)
    size = (layout.columns * across + _GAP, rows * down + _GAP)
    picture = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=11)
    for i, sample in enumerate(samples):
        left, top, right, bottom = layout.box(i)
        cell = _image(sample).resize(
            (right - left, bottom - top), Image.Resampling.NEAREST
        )
        if cell.mode == "RGBA":
            cell = Image.alpha_composite(_checkered(cell.size), cell)
        picture.paste(cell, (left, top))
        if captions:
            text = "\n".join(layout.texts[i])
            draw.multiline_text((left, bottom), text, "black", font, spacing=1)
    return picture


def _image(sample: Tensor) -> Image.Image:
    pixels = (sample * 255).round().to(torch.uint8).permute(1, 2, 0)
    channels = max(3, pixels.shape[2])
    return Image.fromarray(pixels.expand(-1, -1, channels).contiguous().numpy())


def on_white(samples: Tensor) -> Tensor:
    """Lay pictures (N, C, H, W) in [0, 1] on white, if they have opacity, C = 4."""
    if samples.shape[1] != 4:
        return samples
    colours, opacity = samples[:, :3], samples[:, 3:]
    return colours * opacity + (1 - opacity)


def _checkered(size: tuple[int, int]) -> Image.Image:
    """Draw a ground of white and grey squares, on which opaque pictures stand out."""
    across, down = (torch.arange(length) // _SQUARE for length in size)
    grey = (across + down[:, None]) % 2 == 1
    levels = torch.where(grey, 204, 255).to(torch.uint8)
    return Image.fromarray(levels.numpy()).convert("RGBA")


def curves(samples: Tensor) -> Image.Image:
    """Draw samples (N, n), each as a curve in a cell, all on one scale."""
    if samples.shape[1] == 1:  # numbers: one curve of all of them, in order
        samples = samples.sort(0).values.T
    count, length = samples.shape
    columns = math.ceil(math.sqrt(count))
    width, height, gap = 2 * _CELL, _CELL, _GAP
    low = float(samples.min())
    span = max(float(samples.max()) - low, 1e-6)
    rows = math.ceil(count / columns)
    size = (columns * (width + gap) + gap, rows * (height + gap) + gap)
    picture = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(picture)
    for i, sample in enumerate(((samples - low) / span).tolist()):
        left = gap + (i % columns) * (width + gap)
        bottom = gap + (i // columns) * (height + gap) + height
        draw.rectangle((left, bottom - height, left + width, bottom), "whitesmoke")
        step = width / max(length - 1, 1)
        points = [(left + j * step, bottom - v * height) for j, v in enumerate(sample)]
        draw.line(points, "steelblue")
    return picture


def plot(points: Tensor) -> Image.Image:
    """Plot 2-D points (N, 2), the plane scaled so that all of them are seen."""
    limit = max(float(points.abs().max()), 1e-6) * 1.1
    places = ((points / limit * torch.tensor([1.0, -1.0]) + 1) / 2 * _PLOT).tolist()
    picture = Image.new("RGB", (_PLOT, _PLOT), "white")
    draw = ImageDraw.Draw(picture)
    draw.line((0, _PLOT / 2, _PLOT, _PLOT / 2), "lightgrey")
    draw.line((_PLOT / 2, 0, _PLOT / 2, _PLOT), "lightgrey")
    for x, y in places:
        draw.ellipse((x - 2, y - 2, x + 2, y + 2), "steelblue")
    return picture


def in_rows(columns: Sequence[Samples]) -> Samples:
    """Lay columns of samples side by side, and read them row by row."""
    texts = [column.captions or ("",) * len(column.samples) for column in columns]
    captions = tuple(text for row in zip(*texts, strict=True) for text in row)
    samples = torch.stack([column.samples for column in columns], 1).flatten(0, 1)
    return Samples(samples, captions if any(captions) else (), len(columns))
