"""Moving the pixels of pictures by an affine map, as adaptive augmentation does.

Karras et al. 2020, "Training generative adversarial networks with limited data",
appendix B. A map is a matrix (B, 3, 3) on places (x, y, 1) in pixels, x to the right
and y down, from the middle of the picture.
"""

from __future__ import annotations

from math import pi, sqrt

import torch
from torch import Tensor

from gankit_losses.chances import Chances

# the low-pass filter of the wavelet Symlet 6: the least asymmetric of Daubechies 1992,
# "Ten lectures on wavelets", with six vanishing moments
SYM6 = (
    0.015404109327027373,
    0.0034907120842174702,
    -0.11799011114819057,
    -0.048311742585633,
    0.4910559419267466,
    0.787641141030194,
    0.3379294217276218,
    -0.07263752278646252,
    -0.021060292512300564,
    0.04472490177066578,
    0.0017677118642428036,
    -0.007800708325034148,
)
_TAPS = len(SYM6)
# where its weight lies: a ramp that is made finer is the same ramp, moved by this
_MIDDLE = sum(k * weight for k, weight in enumerate(SYM6)) / sqrt(2)


def scaling(x: Tensor, y: Tensor) -> Tensor:
    """Return what scales by x and y, (B,) each; -1 mirrors."""
    return _matrices([[x, 0, 0], [0, y, 0], [0, 0, 1]])


def rotation(angle: Tensor) -> Tensor:
    """Return what turns the x axis towards the y axis by radians, (B,)."""
    cos, sin = angle.cos(), angle.sin()
    return _matrices([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])


def shift(x: Tensor, y: Tensor) -> Tensor:
    """Return what moves by x and y pixels, (B,) each."""
    return _matrices([[1, 0, x], [0, 1, y], [0, 0, 1]])


def blitting(chances: Chances, height: int, width: int) -> Tensor:
    """Draw what moves whole pixels, (B, 3, 3): mirrors, quarter turns, shifts."""
    one = chances.constant(1)
    flip = chances.applied(chances.whole(2), 0)
    quarters = chances.applied(chances.whole(4), 0)
    x, y = (chances.uniform(-1 / 8, 1 / 8) for _ in range(2))
    moved = chances.gate()
    x, y = (torch.where(moved, z, 0) for z in (x, y))
    return (
        shift((x * width).round(), (y * height).round())
        @ rotation(-pi / 2 * quarters)
        @ scaling(1 - 2 * flip, one)
    )


def geometry(chances: Chances, height: int, width: int) -> Tensor:
    """Draw what scales, turns, stretches and shifts, (B, 3, 3).

    Both turns together are made with the probability p: one alone with 1 - √(1 - p).
    """
    scale = chances.applied(chances.lognormal(0.2), 1)
    before, after = (
        chances.applied(chances.uniform(-pi, pi), 0, halved=True) for _ in range(2)
    )
    stretch = chances.applied(chances.lognormal(0.2), 1)
    x, y = (chances.normal(1 / 8) for _ in range(2))
    moved = chances.gate()
    x, y = (torch.where(moved, z, 0) for z in (x, y))
    return (
        shift(x * width, y * height)
        @ rotation(-after)
        @ scaling(stretch, 1 / stretch)
        @ rotation(-before)
        @ scaling(scale, scale)
    )


def blitted(images: Tensor, moves: Tensor) -> Tensor:
    """Copy the pixels of images (B, C, H, W) to where maps (B, 3, 3) move them.

    No two are blended: where a pixel is not moved onto the grid, as by a quarter turn
    of an image of odd height and even width, its nearest place is taken.

    Args:
        images: of any type.
        moves: from where a pixel is to where it goes.
    """
    height, width = images.shape[2:]
    grid = (_counted(n, moves) - (n - 1) / 2 for n in (height, width))
    places = _origins(moves, *grid)
    row, column = (
        _mirrored((place + (n - 1) / 2).round().long(), n)
        for place, n in zip(places, (height, width), strict=True)
    )
    index = (row * width + column).flatten(1)[:, None]
    flat = images.flatten(2)
    return flat.gather(2, index.expand_as(flat)).view_as(images)


def warped(images: Tensor, moves: Tensor, lowpass: Tensor) -> Tensor:
    """Move the pixels of images (B, C, H, W) by maps (B, 3, 3).

    An image is made twice as fine by an orthogonal wavelet, looked up there by bilinear
    interpolation, and made as coarse again by the same wavelet; of what lies on the
    grid already, nothing is lost. One that is not moved stays as it is, to the bit.

    Args:
        images: float.
        moves: from where a pixel is to where it goes.
        lowpass: the filter `SYM6`, (12,), on the device.
    """
    size = images.shape[2:]
    fine = _along_both(images, *(_finer(n, lowpass) for n in size))  # (B, C, 2P, 2Q)
    looked_at = (
        (_counted(2 * n + _TAPS - 2, images) - _MIDDLE) / 2 - (n - 1) / 2 for n in size
    )
    places = _origins(moves, *looked_at)
    index = (
        2 * place + (n - 1) + _MIDDLE for place, n in zip(places, size, strict=True)
    )
    moved = _along_both(_looked_up(fine, *index), *(_coarser(n, lowpass) for n in size))
    still = torch.eye(3, dtype=moves.dtype, device=moves.device)
    same = (moves == still).flatten(1).all(1)
    return torch.where(same[:, None, None, None], images, moved)


def _counted(length: int, like: Tensor) -> Tensor:
    """Count from 0, (length,), in the type and on the device of ``like``."""
    return torch.arange(length, dtype=like.dtype, device=like.device)


def _mirrored(index: Tensor, length: int) -> Tensor:
    """Return where on a line a place is seen, if there is a mirror at either end."""
    period = max(2 * length - 2, 1)
    index = index % period
    return torch.minimum(index, period - index) if length > 1 else index


def _origins(moves: Tensor, down: Tensor, across: Tensor) -> tuple[Tensor, Tensor]:
    """Say from where each pixel of a grid comes, down and across, (B, M, N) each.

    Places are from the middle of the picture.

    Args:
        moves: (B, 3, 3).
        down: the rows of the grid, (M,).
        across: its columns, (N,).
    """
    back = _inverse(moves)[..., None, None]  # (B, 3, 3, 1, 1)
    y, x = down[:, None], across
    return (
        back[:, 1, 0] * x + back[:, 1, 1] * y + back[:, 1, 2],
        back[:, 0, 0] * x + back[:, 0, 1] * y + back[:, 0, 2],
    )


def _looked_up(fine: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """Interpolate an endless image between its numbers, (B, C, M, N).

    Args:
        fine: one period of it, (B, C, H, W).
        down: the places, as fractions of an index, (B, M, N).
        across: likewise.
    """
    height, width = fine.shape[2:]
    top, left = down.floor(), across.floor()
    lower, right = down - top, across - left
    rows = [(top.long() + i) % height for i in (0, 1)]
    columns = [(left.long() + i) % width for i in (0, 1)]
    flat = fine.flatten(2)
    result = torch.zeros((), dtype=fine.dtype, device=fine.device)
    for row, high in zip(rows, (1 - lower, lower), strict=True):
        for column, wide in zip(columns, (1 - right, right), strict=True):
            index = (row * width + column).flatten(1)[:, None]
            seen = flat.gather(2, index.expand(-1, flat.shape[1], -1))
            weight = (high * wide).flatten(1)[:, None]
            result = result + seen * weight
    return result.view(*fine.shape[:2], *down.shape[1:])


def _along_both(images: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """Multiply the columns of images by one matrix, and the rows by another."""
    return ((images @ across.mT).mT @ down.mT).mT


def _finer(length: int, lowpass: Tensor) -> Tensor:
    """Return what makes a line twice as fine, endlessly mirrored, (2P, length).

    P = 2 (length - 1) is the period of the mirror images, which share their edges.
    """
    period = max(2 * length - 2, 1)
    spill = -_TAPS % (2 * period)  # of the filter, where it is longer than a period
    table = torch.nn.functional.pad(lowpass, (0, spill)).view(-1, 2 * period).sum(0)
    fine = torch.arange(2 * period, device=lowpass.device)[:, None]
    coarse = torch.arange(period, device=lowpass.device)
    endless = sqrt(2) * table[(fine - 2 * coarse) % (2 * period)]  # (2P, P)
    mirrored = endless[:, length:].flip(1)
    edges = (1, length - 1 - mirrored.shape[1])
    return endless[:, :length] + torch.nn.functional.pad(mirrored, edges)


def _coarser(length: int, lowpass: Tensor) -> Tensor:
    """Return what makes a line half as fine, (length, 2 length + 10)."""
    coarse = torch.arange(length, device=lowpass.device)[:, None]
    fine = torch.arange(2 * length + _TAPS - 2, device=lowpass.device)
    tap = fine - 2 * coarse
    weight = lowpass[tap.clamp(0, _TAPS - 1)] / sqrt(2)
    return torch.where((tap >= 0) & (tap < _TAPS), weight, 0)


def _inverse(maps: Tensor) -> Tensor:
    """Invert affine maps, (B, 3, 3); by hand, because nobody waits for the device."""
    (a, b, x), (c, d, y) = (maps[:, i].unbind(1) for i in (0, 1))
    scale = 1 / (a * d - b * c)
    a, b, c, d = d * scale, -b * scale, -c * scale, a * scale
    return _matrices([[a, b, -(a * x + b * y)], [c, d, -(c * x + d * y)], [0, 0, 1]])


def _matrices(rows: list[list[Tensor | int]]) -> Tensor:
    """Stack 3 × 3 entries, each a number or (B,), to matrices (B, 3, 3)."""
    like = next(entry for row in rows for entry in row if isinstance(entry, Tensor))
    entries = [torch.zeros_like(like) + entry for row in rows for entry in row]
    return torch.stack(entries, 1).view(-1, 3, 3)
