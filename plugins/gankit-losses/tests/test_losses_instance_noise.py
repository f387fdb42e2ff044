"""Truths about the augmentation `instance-noise`."""

from __future__ import annotations

import torch
from scipy.stats import kstest

from gankit_losses.instance_noise import InstanceNoise


def rng(seed: int = 0) -> torch.Generator:
    """Return a fresh source of randomness."""
    return torch.Generator().manual_seed(seed)


def test_everything_is_drawn_from_the_given_rng() -> None:
    """The same seed gives the same noise, another seed other; torch's own is idle."""
    samples = torch.rand(4, 3, 8, 8, generator=rng())
    before = torch.get_rng_state()
    once, again, other = (InstanceNoise()(samples, rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(once, again)
    assert not torch.equal(once, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_noise_is_normal_and_each_numbers_own() -> None:
    """By a Kolmogorov-Smirnov test; neighbours are not correlated."""
    samples = torch.rand(50, 400, generator=rng()).double()
    noise = InstanceNoise(std=0.3)(samples, rng(1)) - samples
    assert kstest(noise.flatten().numpy(), "norm", args=(0, 0.3)).pvalue > 1e-3
    pairs = torch.stack([noise[:, :-1].flatten(), noise[:, 1:].flatten()])
    assert torch.corrcoef(pairs)[0, 1].abs() < 4 / pairs.shape[1] ** 0.5


def test_gradients_pass_as_they_are() -> None:
    """The derivative of a sum is 1 everywhere, and the type is kept."""
    samples = torch.rand(2, 3, requires_grad=True)
    noisy = InstanceNoise()(samples, rng())
    noisy.sum().backward()
    assert torch.equal(samples.grad, torch.ones(2, 3))
    half = samples.detach().half()
    assert InstanceNoise()(half, rng()).dtype == half.dtype
