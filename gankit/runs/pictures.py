"""Samples, and drawing them: a grid of images, or a plot of points."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy
import torch
from attrs import frozen
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from gankit.errors import UsageError
from gankit.runs.folder import cannot_write

_CELL, _CAPTIONED_CELL = 56, 112  # smallest side of one picture in a grid, in px
_PLOT = 480  # side of a plot of points, in px


@frozen(eq=False)
class Samples:
    """Generated samples, on the CPU, and the condition of each as text."""

    samples: Tensor  # (N, *sample), in [0, 1] for pictures
    captions: tuple[str, ...]  # N texts; none where conditions cannot be written

    def picture(self) -> Image.Image:
        """Draw them.

        Images are drawn as a grid with their captions, points of the plane as a plot,
        anything else as curves of its numbers in their order.
        """
        shape = tuple(self.samples.shape[1:])
        if shape == (2,):
            return plot(self.samples)
        if len(shape) == 3 and shape[0] in (1, 3):
            return grid(self.samples, self.captions)
        return curves(self.samples.flatten(1))

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


def grid(samples: Tensor, captions: Sequence[str]) -> Image.Image:
    """Draw pictures (N, C, H, W) in [0, 1], grey or RGB, each over its caption."""
    n, _, height, width = samples.shape
    columns = math.ceil(math.sqrt(n))
    smallest = _CAPTIONED_CELL if captions else _CELL
    zoom = max(1, math.ceil(smallest / min(height, width)))
    cell_width, cell_height, gap = width * zoom, height * zoom, 4
    font = ImageFont.load_default(size=11)
    letters = max(4, cell_width // 6)
    wrapped = [textwrap.wrap(text, letters)[:4] for text in captions]
    strip = 13 * max(map(len, wrapped), default=0)
    picture = Image.new(
        "RGB",
        (
            columns * (cell_width + gap) + gap,
            math.ceil(n / columns) * (cell_height + strip + gap) + gap,
        ),
        "white",
    )
    draw = ImageDraw.Draw(picture)
    for i, sample in enumerate(samples):
        left = gap + (i % columns) * (cell_width + gap)
        top = gap + (i // columns) * (cell_height + strip + gap)
        cell = _image(sample).resize(
            (cell_width, cell_height), Image.Resampling.NEAREST
        )
        picture.paste(cell, (left, top))
        if captions:
            text = "\n".join(wrapped[i])
            draw.multiline_text(
                (left, top + cell_height), text, "black", font, spacing=1
            )
    return picture


def _image(sample: Tensor) -> Image.Image:
    pixels = (sample * 255).round().to(torch.uint8).permute(1, 2, 0)
    array = pixels.expand(-1, -1, 3).contiguous().numpy()
    return Image.fromarray(array)


def curves(samples: Tensor) -> Image.Image:
    """Draw samples (N, n), each as a curve in a cell, all on one scale."""
    if samples.shape[1] == 1:  # numbers: one curve of all of them, in order
        samples = samples.sort(0).values.T
    count, length = samples.shape
    columns = math.ceil(math.sqrt(count))
    width, height, gap = 2 * _CELL, _CELL, 4
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
