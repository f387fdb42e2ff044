"""Scenes to pixels: smooth edges on a plain dark ground."""

from __future__ import annotations

import math

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from gankit_datasets.scenes import Colour, Shape, Thing

GROUND = (24, 24, 32)
PALETTE: dict[Colour, tuple[int, int, int]] = {
    "red": (228, 32, 40),
    "green": (36, 176, 60),
    "blue": (48, 84, 240),
    "yellow": (252, 224, 36),
    "purple": (160, 52, 200),
    "orange": (255, 136, 16),
    "cyan": (48, 216, 232),
    "white": (248, 248, 248),
}
_FINER = 4  # shapes are drawn this much larger and averaged down: 16 shades of edge


def _star() -> tuple[tuple[float, float], ...]:
    spokes = [(i * math.pi / 5, 1.0 if i % 2 == 0 else 0.45) for i in range(10)]
    return tuple((r * math.sin(a), -r * math.cos(a)) for a, r in spokes)


# outlines in units of the radius, (right, down) from the centre
_ARM = 0.32
_OUTLINES: dict[Shape, tuple[tuple[float, float], ...]] = {
    "square": ((-0.88, -0.88), (0.88, -0.88), (0.88, 0.88), (-0.88, 0.88)),
    "triangle": ((0.0, -0.95), (1.0, 0.85), (-1.0, 0.85)),
    "star": _star(),
    "cross": (
        *((-_ARM, -1.0), (_ARM, -1.0), (_ARM, -_ARM), (1.0, -_ARM)),
        *((1.0, _ARM), (_ARM, _ARM), (_ARM, 1.0), (-_ARM, 1.0)),
        *((-_ARM, _ARM), (-1.0, _ARM), (-1.0, -_ARM), (-_ARM, -_ARM)),
    ),
}


def draw_scene(things: tuple[Thing, ...], size: int) -> Tensor:
    """Draw things as a picture (3, size, size), uint8."""
    picture = Image.new("RGB", (size, size), GROUND)
    for thing in things:
        picture.paste(PALETTE[thing.kind.colour], mask=_coverage(thing, size))
    flat = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
    return flat.view(size, size, 3).permute(2, 0, 1).contiguous()


def _coverage(thing: Thing, size: int) -> Image.Image:
    """Return how much of each pixel a thing covers, mode L."""
    side = size * _FINER
    mask = Image.new("L", (side, side))
    pen = ImageDraw.Draw(mask)
    x, y, radius = thing.x * side, thing.y * side, thing.radius * side
    if thing.kind.shape == "circle":
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    else:
        outline = _OUTLINES[thing.kind.shape]
        pen.polygon(
            [(x + right * radius, y + down * radius) for right, down in outline],
            fill=255,
        )
    return mask.reduce(_FINER)
