"""What adaptive augmentation draws for each picture, all from one rng."""

from __future__ import annotations

import torch
from attrs import frozen
from torch import Tensor


@frozen(eq=False)
class Chances:
    """Draws a number for each of ``count`` pictures, (B,), and whether it is used.

    Attributes:
        p: the probability with which a change is made, a scalar on the rng's device.
        dtype: of what is drawn.
    """

    count: int
    p: Tensor
    rng: torch.Generator
    dtype: torch.dtype

    def gate(self, *, halved: bool = False) -> Tensor:
        """Draw for which pictures a change is made.

        ``halved`` is with 1 - √(1 - p): one of two changes that together are made with
        p.
        """
        p = 1 - (1 - self.p).sqrt() if halved else self.p
        return self.uniform(0, 1) < p

    def applied(self, drawn: Tensor, neutral: float, *, halved: bool = False) -> Tensor:
        """Give what was drawn where the change is made, and else what changes nothing.

        Args:
            drawn: (B,).
            neutral: the number that changes nothing.
            halved: as for :meth:`gate`.
        """
        return torch.where(self.gate(halved=halved), drawn, neutral)

    def constant(self, value: float) -> Tensor:
        """Return the same number for all."""
        return torch.full(
            (self.count,), value, dtype=self.dtype, device=self.rng.device
        )

    def uniform(self, low: float, high: float) -> Tensor:
        """Draw uniformly from [low, high)."""
        drawn = torch.rand(
            self.count, generator=self.rng, dtype=self.dtype, device=self.rng.device
        )
        return low + (high - low) * drawn

    def whole(self, count: int) -> Tensor:
        """Draw a whole number below ``count``."""
        return self.uniform(0, count).floor()

    def normal(self, std: float) -> Tensor:
        """Draw from a normal distribution around 0."""
        return std * torch.randn(
            self.count, generator=self.rng, dtype=self.dtype, device=self.rng.device
        )

    def lognormal(self, octaves: float) -> Tensor:
        """Draw factors whose logarithm to the base of 2 is normal, with this std."""
        return torch.exp2(self.normal(octaves))
