"""The data set: where pendulums end."""

from __future__ import annotations

import math

import torch

from gankit import UNBOUNDED, Count, Facts, Item, NonNegative, Vector, Whole


class Pendulum:
    """Ends of pendulums (2,), with angle in radians and length as ``numbers``.

    Args:
        items: how many.
        wind: standard deviation of where the end is.
        seed: of the items.
    """

    def __init__(
        self, *, items: Count = 5000, wind: NonNegative = 0.02, seed: Whole = 0
    ) -> None:
        rng = torch.Generator().manual_seed(seed)
        angle = (torch.rand(items, generator=rng) - 0.5) * math.pi
        length = 0.5 + 0.5 * torch.rand(items, generator=rng)
        self.numbers = torch.stack([angle, length], 1)
        ends = length[:, None] * torch.stack([angle.sin(), -angle.cos()], 1)
        self.ends = ends + wind * torch.randn(items, 2, generator=rng)
        self.facts = Facts(
            (2,), sample_range=UNBOUNDED, numbers=Vector(("angle", "length"))
        )

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, index: int, /) -> Item:
        return Item(self.ends[index], numbers=self.numbers[index])
