"""Mixtures of Gaussians in the plane, on which the modes of a GAN can be counted.

The ring is from Metz et al. 2017 (unrolled GANs), the grid from Srivastava et al. 2017
(VEEGAN). Papers differ in the radius and the widths; the defaults are those of Lin et
al. 2018 (PacGAN), section 4.1: a ring of 8 with radius 1 and variance 1e-4, a grid of
5 x 5 on -4, -2, ... 4 with variance 0.0025.
"""

from __future__ import annotations

import math
from functools import partial
from hashlib import blake2b
from typing import Any, Literal

import torch
from torch import Tensor

from gankit import UNBOUNDED, Classes, Count, Facts, Item, Positive, Whole

_HELD_OUT = 10_000  # points of a split, at most
_BLOCK = 4096  # points drawn by one call, so that a longer set begins like a shorter


class Gaussians:
    """Points (2,) of equally likely round Gaussians; the label is the mode.

    Mode i of the ring is at angle 2πi/modes; mode i of the grid is in column
    ``i // side`` and row ``i % side``, counted from the lower left. Item n is of mode
    ``n % modes``, so that the modes are exactly balanced.

    Args:
        layout: modes on a circle, or on a square lattice
        modes: how many; by default 8 on a ring, 25 on a grid, where it is a square
        extent: the ring's radius (default 1), or half the grid's side (default 4)
        std: standard deviation of each mode; by default 0.01 on a ring, 0.05 on a grid
        samples: number of points
        seed: of the points

    Raises:
        ValueError: a grid of modes that is not a square number of at least 4.
    """

    def __init__(
        self,
        *,
        layout: Literal["ring", "grid"] = "ring",
        modes: Count | None = None,
        extent: Positive | None = None,
        std: Positive | None = None,
        samples: Count = 100_000,
        seed: Whole = 0,
    ) -> None:
        if layout == "ring":
            self.centres = _ring(modes or 8, extent or 1.0)
            self.std = std or 0.01
        else:
            self.centres = _grid(modes or 25, extent or 4.0)
            self.std = std or 0.05
        self._labels = torch.arange(samples) % len(self.centres)
        noise = _standard_normal(samples, seed)
        self.all_samples = self.centres[self._labels] + self.std * noise
        again: dict[str, Any] = {
            "layout": layout,
            "modes": modes,
            "extent": extent,
            "std": std,
        }
        others = dict.fromkeys(("validation", "test"), min(samples, _HELD_OUT))
        self.splits = {
            name: partial(Gaussians, **again, samples=count, seed=apart(seed, name))
            for name, count in others.items()
        }
        names = tuple(f"mode {number}" for number in range(len(self.centres)))
        self.facts = Facts((2,), sample_range=UNBOUNDED, label=Classes(names))

    def __len__(self) -> int:
        return len(self.all_samples)

    def __getitem__(self, index: int) -> Item:
        return Item(self.all_samples[index], **self.annotations(index))

    def annotations(self, index: int) -> dict[str, int]:
        """Return the mode that a sample is of."""
        return {"label": int(self._labels[index])}


def _ring(modes: int, radius: float) -> Tensor:
    angles = torch.arange(modes) * (2 * math.pi / modes)
    return radius * torch.stack([angles.cos(), angles.sin()], dim=1)  # (modes, 2)


def _grid(modes: int, half_side: float) -> Tensor:
    side = math.isqrt(modes)
    if side < 2 or side * side != modes:
        raise ValueError(
            f"modes = {modes} do not fill a square grid; choose 4, 9, 16, 25, 36 ..."
        )
    ticks = torch.linspace(-half_side, half_side, side)
    return torch.cartesian_prod(ticks, ticks)  # (modes, 2)


def apart(seed: int, split: str) -> int:
    """Return the seed of a split: one that nobody sets."""
    return int.from_bytes(blake2b(f"{seed}/{split}".encode(), digest_size=7).digest())


def _standard_normal(count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    blocks = range(0, count, _BLOCK)
    drawn = [torch.randn(_BLOCK, 2, generator=generator) for _ in blocks]
    return torch.cat(drawn)[:count]  # (count, 2)
