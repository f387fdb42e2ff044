"""What is to be seen in pictures of drawn scenes: things, and where.

Everything follows from how scenes are drawn; nothing is trained. A pixel is taken for a
mixture of the ground and that colour of the palette which explains it best. The pixels
of one colour, moved to their middle and scaled to one area, are compared with drawings
of each shape that were seen in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from math import pi

import torch
import torch.nn.functional as F
from attrs import frozen
from torch import Tensor

from gankit_datasets.drawing import GROUND, PALETTE, draw_scene
from gankit_datasets.scenes import (
    COLOURS,
    RADIUS_ALONE,
    RADIUS_PAIRED,
    SHAPES,
    Kind,
    Thing,
)

MOST = 2  # things of a scene
_CHUNK = 250  # pictures seen at once

# a pixel's share of a colour: below the first it counts as ground, above the second it
# tells that something of the colour is there
_FAINT, _SOLID = 0.3, 0.6
_SMALLEST = RADIUS_PAIRED["small"] ** 2 * 1.3  # a star's area, in pictures
_PRESENT = 0.25  # of it in clear places of a colour, and a thing of it is there
_BESIDE = 0.2  # of it in clear places beside the things, and something else is there
_REACH = 2.0  # radii of a disc of equal area; a triangle's corner is at 1.7
_GRID = 20  # side of what is compared
_ALIKE = 0.7  # least overlap (intersection over union) with a drawing


@frozen(eq=False)
class Seen:
    """The things in B pictures, by falling area; places beyond ``count`` mean nothing.

    Attributes:
        count: how many, (B,): 0 to 2, or 3 for more, or for one that is of no shape.
        colour: places in `COLOURS`, (B, 2).
        shape: places in `SHAPES`, (B, 2).
        centre: x and y, fractions of the picture, (B, 2, 2).
        radius: likewise, (B, 2).
    """

    count: Tensor
    colour: Tensor
    shape: Tensor
    centre: Tensor
    radius: Tensor


@frozen(eq=False)
class _Blobs:
    """What is of one colour each, in B x 2 blobs; lengths in pixels.

    Attributes:
        colour: (B, 2).
        number: colours that are there, (B,).
        cleared: nothing is beside the blobs, (B,).
        middle: x and y of the centre of mass, (B, 2, 2).
        unit: square root of the area, (B, 2).
        form: moved to the middle and scaled by the unit, (B, 2, grid²).
    """

    colour: Tensor
    number: Tensor
    cleared: Tensor
    middle: Tensor
    unit: Tensor
    form: Tensor


@frozen(eq=False)
class _Drawings:
    """Drawings of all shapes, T of them, as they are seen.

    Attributes:
        form: (T, grid²).
        shape: places in `SHAPES`, (T,).
        radius: of the thing, in units, (T,).
        centre: of the thing from the centre of mass, in units, (T, 2).
    """

    form: Tensor
    shape: Tensor
    radius: Tensor
    centre: Tensor


def see(samples: Tensor) -> Seen:
    """Find the things in pictures of scenes, uint8 (B, 3, S, S)."""
    drawings = _drawings(samples.shape[-1])
    parts = [_recognise(part, drawings) for part in torch.split(samples, _CHUNK)]
    return Seen(
        *(
            torch.cat([getattr(part, name) for part in parts])
            for name in ("count", "colour", "shape", "centre", "radius")
        )
    )


def _recognise(samples: Tensor, drawings: _Drawings) -> Seen:
    blobs = _blobs(samples)
    overlap = _overlap(blobs.form.flatten(0, 1), drawings.form)  # (2B, T)
    best, which = overlap.max(1)
    alike, which = best.view(-1, MOST) > _ALIKE, which.view(-1, MOST)
    there = torch.arange(MOST) < blobs.number[:, None]
    whole = blobs.cleared & (alike | ~there).all(1)
    side = samples.shape[-1]
    return Seen(
        count=blobs.number.clamp(max=MOST + 1).where(whole, MOST + 1),
        colour=blobs.colour,
        shape=drawings.shape[which],
        centre=(blobs.middle + drawings.centre[which] * blobs.unit[..., None]) / side,
        radius=drawings.radius[which] * blobs.unit / side,
    )


def _blobs(samples: Tensor) -> _Blobs:
    """Gather the pixels of the two colours that cover most."""
    share, misfit = _mixtures(samples)  # (B, 8, S, S)
    covered = share.gather(1, misfit.argmin(1, keepdim=True))
    solid = (misfit.argmin(1, keepdim=True) == _numbers(share)) & (covered > _SOLID)
    area = _clear(solid.float()).sum((2, 3))  # (B, 8)
    side = samples.shape[-1]
    smallest = _SMALLEST * side**2
    present = area > _PRESENT * smallest
    colour = area.topk(MOST, dim=1).indices  # (B, 2)

    rows = torch.arange(len(samples))[:, None]
    absent = ~present[rows, colour][..., None, None]
    misfit = misfit[rows, colour].masked_fill(absent, float("inf"))  # (B, 2, S, S)
    own = misfit.argmin(1, keepdim=True) == torch.arange(MOST)[:, None, None]
    cover = share[rows, colour] * own
    cover = cover * (cover > _FAINT) * ~absent
    near, middle, unit = _gathered(cover)
    beside = _clear((cover - near).sum(1))  # (B, S, S)
    return _Blobs(
        colour=colour,
        number=present.sum(1),
        cleared=beside.sum((1, 2)) < _BESIDE * smallest,
        middle=middle,
        unit=unit,
        form=_normalised(near, middle, unit),
    )


def _mixtures(samples: Tensor) -> tuple[Tensor, Tensor]:
    """Explain each pixel as ground and one colour: its share, and what is left over."""
    ground = torch.tensor(GROUND).float()
    axes = torch.tensor([PALETTE[colour] for colour in COLOURS]).float() - ground
    lengths = axes.square().sum(1).view(-1, 1, 1)
    pixels = samples.float() - ground.view(3, 1, 1)
    along = torch.einsum("bchw,kc->bkhw", pixels, axes)
    share = (along / lengths).clamp(0, 1)
    left = pixels.square().sum(1, keepdim=True) - 2 * share * along
    return share, left + share.square() * lengths


def _clear(cover: Tensor) -> Tensor:
    """Tell which places are covered with their neighbours by half: not by speckles."""
    return F.avg_pool2d(cover, 3, 1, 1) > 0.5


def _gathered(cover: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Leave out what is far from the bulk, (B, 2, S, S), and measure the rest.

    Returns:
        what is near, its centre of mass (B, 2, 2) and the root of its area (B, 2).
    """
    places = torch.arange(cover.shape[-1]) + 0.5
    for _ in range(2):
        area = cover.sum((2, 3)).clamp(min=1e-6)
        x = (cover.sum(2) * places).sum(2) / area
        y = (cover.sum(3) * places).sum(2) / area
        across = places - x[..., None]  # (B, 2, S)
        down = places - y[..., None]
        far = across.square()[..., None, :] + down.square()[..., None]
        reach = _REACH**2 * area / pi
        cover = cover * (far < reach[..., None, None])
    area = cover.sum((2, 3)).clamp(min=1e-6)
    x = (cover.sum(2) * places).sum(2) / area
    y = (cover.sum(3) * places).sum(2) / area
    return cover, torch.stack([x, y], 2), area.sqrt()


def _normalised(cover: Tensor, middle: Tensor, unit: Tensor) -> Tensor:
    """Sample masks (B, 2, S, S) around their middles, as wide as they reach."""
    side = cover.shape[-1]
    ticks = (torch.arange(_GRID) + 0.5) / _GRID * 2 - 1
    ticks = ticks * _REACH / pi**0.5
    offsets = torch.stack(torch.meshgrid(ticks, ticks, indexing="xy"), 2)  # (G, G, 2)
    middle, unit = middle.flatten(0, 1), unit.flatten()
    places = middle[:, None, None] + offsets * unit[:, None, None, None]
    form = F.grid_sample(
        cover.flatten(0, 1)[:, None], places / side * 2 - 1, align_corners=False
    )
    return form.view(*cover.shape[:2], -1)


def _overlap(forms: Tensor, drawings: Tensor) -> Tensor:
    """Return intersection over union of soft masks, (N, grid²) and (T, grid²)."""
    # |a - b| = max - min and a + b = max + min
    apart = torch.cdist(forms, drawings, p=1.0)
    both = forms.sum(1, keepdim=True) + drawings.sum(1)
    return (both - apart) / (both + apart)


@cache
def _drawings(side: int) -> _Drawings:
    """Draw every shape in all sizes, on and between pixels, and look at it."""
    drawn = list(_things(side))
    pictures = torch.stack([draw_scene((thing,), side) for _, thing in drawn])
    blobs = _blobs(pictures)
    middle, unit = blobs.middle[:, 0], blobs.unit[:, 0]
    centre = torch.tensor([(thing.x * side, thing.y * side) for _, thing in drawn])
    radius = torch.tensor([thing.radius * side for _, thing in drawn])
    return _Drawings(
        form=blobs.form[:, 0],
        shape=torch.tensor([shape for shape, _ in drawn]),
        radius=radius / unit,
        centre=(centre - middle) / unit[:, None],
    )


def _things(side: int) -> Iterator[tuple[int, Thing]]:
    radii = {*RADIUS_ALONE.values(), *RADIUS_PAIRED.values()}
    ticks = [0.5 + part / side for part in (0.0, 0.25, 0.5, 0.75)]
    for number, shape in enumerate(SHAPES):
        for radius in sorted(radii):
            for x in ticks:
                for y in ticks:
                    yield number, Thing(Kind("white", shape), "large", x, y, radius)


def _numbers(planes: Tensor) -> Tensor:
    return torch.arange(planes.shape[1])[:, None, None]
