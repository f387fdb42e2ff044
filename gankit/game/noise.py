"""The generator's random input where a recipe names no part for it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from attrs import frozen

from gankit.contracts.limits import Count

if TYPE_CHECKING:  # reading a recipe must not import torch
    import torch
    from torch import Tensor


@frozen(kw_only=True)
class Noise:
    """Independent numbers, all of one distribution.

    Args:
        size: numbers in one noise vector.
        distribution: standard normal, or uniform on (low, high).
        low: lower end of the uniform distribution.
        high: upper end of the uniform distribution.
    """

    size: Count = 100
    distribution: Literal["normal", "uniform"] = "normal"
    low: float = -1.0
    high: float = 1.0

    def __call__(self, count: int, rng: torch.Generator) -> Tensor:
        """Draw vectors, (count, size), on the device of ``rng``."""
        import torch

        shape = (count, self.size)
        if self.distribution == "normal":
            return torch.randn(shape, generator=rng, device=rng.device)
        uniform = torch.rand(shape, generator=rng, device=rng.device)
        return uniform * (self.high - self.low) + self.low

    def truncated(self, count: int, rng: torch.Generator, limit: float) -> Tensor:
        """Draw vectors of the normal distribution within ±limit (Brock et al. 2019).

        Raises:
            ValueError: the distribution has ends of its own.
        """
        import torch

        if self.distribution != "normal":
            raise ValueError("uniform noise has ends of its own")
        # the inverse of the distribution function, between those of the limits
        share = math.erf(limit / math.sqrt(2))
        uniform = torch.rand((count, self.size), generator=rng, device=rng.device)
        drawn = torch.erfinv((2 * uniform - 1) * share) * math.sqrt(2)
        return drawn.clamp(-limit, limit)  # what rounding has made of the ends


def contradictions(noise: Noise | None) -> list[str]:
    """Say which settings of noise, each right by itself, cannot be together."""
    if noise and noise.low >= noise.high:
        return [f"noise.low: {noise.low:g} is not below noise.high {noise.high:g}"]
    return []
