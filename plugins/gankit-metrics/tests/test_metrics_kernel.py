"""Truths about KID, CMMD and the kernel distance behind them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from gankit_metrics.measures import distances
from gankit_metrics.measures import kernel as kernels
from gankit_metrics.measures.estimate import Estimate
from gankit_metrics.measures.kernel import (
    Gaussian,
    Polynomial,
    cmmd,
    kid,
    kid_by_subsets,
    squared_mmd,
    squared_mmd_biased,
)

KERNELS = [Polynomial(), Gaussian(2.0)]


def rng(seed=0):
    """Return a fresh source of randomness."""
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    """Return float64 vectors of a standard normal."""
    return torch.randn(*shape, generator=rng(seed), dtype=torch.double)


def cubic(x, y):
    """Return (x·y/d + 1)³ of one pair."""
    return (np.dot(x, y) / len(x) + 1) ** 3


def gaussian(x, y):
    """Return exp(−‖x − y‖²/2σ²) of one pair, σ = 2."""
    return math.exp(-((x - y) ** 2).sum() / 8)


PAIRS = list(zip(KERNELS, [cubic, gaussian], strict=True))


def unbiased(x, y, kernel):
    """Return equation 3 of Gretton et al. 2012, pair by pair."""
    x, y = x.numpy(), y.numpy()
    xx = [kernel(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j]
    yy = [kernel(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j]
    xy = [kernel(a, b) for a in x for b in y]
    return np.mean(xx) + np.mean(yy) - 2 * np.mean(xy)


def test_two_points_by_hand():
    """All at 0 and all at (1, 1): 1³ + (2/2 + 1)³ − 2 · 1³ = 7, without any doubt."""
    found = kid(torch.zeros(4, 2), torch.ones(3, 2))
    assert (found.value, found.standard_error) == pytest.approx((7, 0), abs=1e-12)


def test_the_gaussian_kernel_by_hand():
    """Two directions at a right angle are √2 apart: 1000 · 2 (1 − e^(−2/200))."""
    real, fake = torch.tensor([[3.0, 0]]).repeat(5, 1), torch.tensor([[0, 0.1]])
    assert cmmd(real, fake) == pytest.approx(2000 * (1 - math.exp(-0.01)), rel=1e-10)


@pytest.mark.parametrize(("kernel", "pair"), PAIRS)
def test_it_is_the_unbiased_estimate_of_the_paper(kernel, pair):
    """Pair by pair in numpy, for sets of two sizes."""
    x, y = normal(9, 4), 1.3 * normal(7, 4, seed=1) + 0.2
    assert squared_mmd(x, y, kernel).value == pytest.approx(unbiased(x, y, pair))


@pytest.mark.parametrize(("kernel", "pair"), PAIRS)
def test_the_biased_estimate_counts_pairs_with_oneself(kernel, pair):
    """Equation 5, the squared distance of two means: that of a set to itself is 0."""
    x, y = normal(9, 4), 1.3 * normal(7, 4, seed=1)
    xs, ys = x.numpy(), y.numpy()
    means = [
        np.mean([pair(a, b) for a in s for b in t])
        for s, t in ((xs, xs), (ys, ys), (xs, ys))
    ]
    expected = means[0] + means[1] - 2 * means[2]
    assert squared_mmd_biased(x, y, kernel) == pytest.approx(expected)
    assert squared_mmd_biased(x, x.flip(0), kernel) < 1e-12


def test_the_standard_error_is_the_jackknifes():
    """Leaving out each vector in turn, and computing all anew."""
    x, y = normal(8, 3), normal(6, 3, seed=1) + 0.5
    variance = 0.0
    for first, leave in ((x, lambda z: (z, y)), (y, lambda z: (x, z))):
        n = len(first)
        without = [torch.cat([first[:i], first[i + 1 :]]) for i in range(n)]
        values = np.array([unbiased(*leave(z), cubic) for z in without])
        variance += (n - 1) / n * ((values - values.mean()) ** 2).sum()
    assert kid(x, y).standard_error == pytest.approx(math.sqrt(variance))


def test_kid_is_unbiased():
    """Its mean over 800 draws is the distance of the distributions.

    In one dimension (xy + 1)³ compares moments: 3 (Δm₁)² + 3 (Δm₂)² + (Δm₃)². Of
    N(0, 1) they are 0, 1, 0 and of N(1, 1) 1, 2, 4: the distance is 3 + 3 + 16 = 22.
    """
    source = rng(3)
    for shift, expected in ((0, 0), (1, 22)):
        values = []
        for _ in range(800):
            x, y = torch.randn(2, 12, 1, generator=source, dtype=torch.double)
            values.append(kid(x, y + shift).value)
        error = np.std(values) / math.sqrt(len(values))
        assert np.mean(values) == pytest.approx(expected, abs=3.5 * error)


@pytest.mark.parametrize("shift", [0.0, 0.6])
def test_the_standard_error_is_the_deviation_over_draws(shift):
    """Or up to √2 more where the distributions are equal."""
    source, values, errors = rng(4), [], []
    for _ in range(300):
        x, y = torch.randn(2, 40, 4, generator=source, dtype=torch.double)
        found = squared_mmd(x, y + shift, Gaussian(2.0))
        values.append(found.value)
        errors.append(found.standard_error)
    ratio = np.sqrt(np.mean(np.square(errors))) / np.std(values)
    low, high = (1.2, 1.6) if shift == 0 else (0.9, 1.2)
    assert low < ratio < high


def test_subsets_have_the_same_mean():
    """About that of all pairs; where subsets are all vectors, it is that one."""
    x, y = normal(90, 3), normal(80, 3, seed=1) + 0.5
    whole = kid(x, y)
    drawn = kid_by_subsets(x, y, rng(), subsets=300, subset_size=20)
    error = drawn.standard_deviation / math.sqrt(300)
    assert drawn.mean == pytest.approx(whole.value, abs=4 * error)
    assert drawn.standard_deviation > 1.5 * whole.standard_error
    everything = kid_by_subsets(x, y, rng(), subsets=2)
    assert everything.mean == pytest.approx(whole.value)
    assert everything.standard_deviation < 1e-12


def test_subsets_are_drawn_from_the_given_rng():
    """A seed gives the same subsets, another seed others; torch's own is idle."""
    x, y, before = normal(50, 3), normal(50, 3, seed=1), torch.get_rng_state()
    once, again, other = (
        kid_by_subsets(x, y, rng(seed), subsets=3, subset_size=9) for seed in (1, 1, 2)
    )
    assert once == again
    assert once != other
    assert torch.equal(torch.get_rng_state(), before)


def test_a_subset_is_of_the_given_size_without_repetition(monkeypatch):
    """Of both sets, and over many subsets everything gets its turn."""
    seen = []

    def kept(x, y):
        seen.append((x, y))
        return Estimate(0.0, 0.0)

    monkeypatch.setattr(kernels, "kid", kept)
    x, y = torch.arange(50.0)[:, None], torch.arange(40.0)[:, None]
    kid_by_subsets(x, y, rng(), subsets=60, subset_size=7)
    assert len(seen) == 60
    for drawn, whole in zip(zip(*seen, strict=True), (x, y), strict=True):
        assert {len(subset) for subset in drawn} == {7}
        assert {len(subset.unique()) for subset in drawn} == {7}
        assert torch.equal(torch.cat(drawn).unique(), whole[:, 0])


def test_cmmd_is_too_large_by_what_its_docstring_says():
    """Two axes by a coin: E k = (1 + e^(−1/100))/2, for N = 10 and M = 20."""
    axes, source = torch.eye(2, dtype=torch.double), rng(5)
    values = []
    for _ in range(500):
        coins = torch.randint(2, (30,), generator=source)
        values.append(cmmd(axes[coins[:10]], axes[coins[10:]]))
    expected = 1000 * (1 - (1 + math.exp(-0.01)) / 2) * (1 / 10 + 1 / 20)
    error = np.std(values) / math.sqrt(len(values))
    assert np.mean(values) == pytest.approx(expected, abs=3.5 * error)


def test_cmmd_sees_directions_alone_and_takes_another_kernel():
    """Each embedding's length is nothing to it; a narrower kernel sees more."""
    real, fake = normal(30, 5), normal(40, 5, seed=1) + 1
    lengths = torch.rand(40, 1, generator=rng(), dtype=torch.double) + 0.1
    assert cmmd(real, fake * lengths) == pytest.approx(cmmd(real, fake))
    unit = [v / v.norm(dim=1, keepdim=True) for v in (real, fake)]
    narrow = cmmd(real, fake, Gaussian(1.0))
    assert narrow == pytest.approx(1000 * squared_mmd_biased(*unit, Gaussian(1.0)))
    assert narrow > 10 * cmmd(real, fake)


@pytest.mark.parametrize("kernel", KERNELS)
def test_turning_both_sets_and_their_order_change_nothing(kernel):
    """Both kernels are of lengths and angles, the Gaussian of differences alone."""
    x, y = normal(20, 4), normal(25, 4, seed=1) + 0.5
    turn = torch.linalg.qr(normal(4, 4, seed=2)).Q
    value = squared_mmd(x, y, kernel).value
    assert squared_mmd(x @ turn, y.flip(0) @ turn, kernel).value == pytest.approx(value)
    assert squared_mmd(y, x, kernel).value == pytest.approx(value)
    moved = squared_mmd(x + 3, y + 3, Gaussian(2.0)).value
    assert moved == pytest.approx(squared_mmd(x, y, Gaussian(2.0)).value)


@pytest.mark.parametrize("kernel", KERNELS)
def test_blocks_do_not_show(monkeypatch, kernel):
    """Rows by threes and by ones give what all at once give."""
    x, y = normal(20, 4), normal(25, 4, seed=1)
    whole = squared_mmd(x, y, kernel), squared_mmd_biased(x, y, kernel)
    for numbers in (75, 1):
        monkeypatch.setattr(distances, "_BLOCK", numbers)
        found = squared_mmd(x, y, kernel)
        assert found.value == pytest.approx(whole[0].value)
        assert found.standard_error == pytest.approx(whole[0].standard_error)
        assert squared_mmd_biased(x, y, kernel) == pytest.approx(whole[1])


def test_what_cannot_be_compared_is_refused():
    """The message names the value and the remedy."""
    with pytest.raises(ValueError, match=r"real has 2 of the 3 vectors"):
        kid(normal(2, 3), normal(5, 3))
    with pytest.raises(ValueError, match=r"1 subsets of 1000.*at least 2"):
        kid_by_subsets(normal(5, 3), normal(5, 3), rng(), subsets=1)
    with pytest.raises(ValueError, match=r"bandwidth is 0.0.*over 0"):
        Gaussian(0.0)
    with pytest.raises(ValueError, match=r"nought everywhere.*leave"):
        cmmd(normal(5, 3), torch.zeros(5, 3))
