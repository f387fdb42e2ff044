"""Noise as parts: a mixture that learns, truncation, and several vectors."""

import torch
from torch import nn

from gankit import Count, Fraction, Part, Positive, hookimpl


class Mixture(nn.Module):
    """One of some normal distributions (Gurumurthy et al. 2017), which learn."""

    learns_with = "generator"

    def __init__(self, *, size: Count = 2, parts: Count = 3):
        super().__init__()
        self.size = size
        self.mean = nn.Parameter(torch.randn(parts, size))
        self.deviation = nn.Parameter(torch.ones(parts, size))

    def forward(self, count, rng):
        drawn = torch.randint(
            len(self.mean), (count,), generator=rng, device=rng.device
        )
        z = torch.randn(count, self.size, generator=rng, device=rng.device)
        return self.mean[drawn] + self.deviation[drawn] * z


class Truncated:
    """Normal numbers, those beyond a limit drawn anew (Brock et al. 2019)."""

    def __init__(self, *, size: Count = 2, limit: Positive = 2.0):
        self.size, self.limit = size, limit

    def __call__(self, count, rng):
        return self.truncated(count, rng, self.limit)

    def truncated(self, count, rng, limit):
        z = torch.randn(count, self.size, generator=rng, device=rng.device)
        while (far := z.abs() > limit).any():
            again = torch.randn(z.shape, generator=rng, device=rng.device)
            z = torch.where(far, again, z)
        return z


class Mixed:
    """Two vectors a sample, equal but for a share of samples (Karras et al. 2019)."""

    def __init__(self, *, each: Count = 2, share: Fraction = 0.9):
        self.each, self.share, self.size = each, share, 2 * each

    def __call__(self, count, rng):
        z = torch.randn(count, 2, self.each, generator=rng, device=rng.device)
        same = torch.rand(count, generator=rng, device=rng.device) >= self.share
        z[same, 1] = z[same, 0]
        return z.flatten(1)


@hookimpl
def gankit_parts():
    yield Part("noise", "mixture", Mixture)
    yield Part("noise", "truncated", Truncated)
    yield Part("noise", "mixed", Mixed)
