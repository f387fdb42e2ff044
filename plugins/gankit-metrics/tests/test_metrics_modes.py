"""Truths about the modes that samples hit."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from gankit_metrics.measures.modes import gaussian_modes, modes, stacked_counts

GRID = torch.cartesian_prod(torch.arange(-4.0, 5, 2), torch.arange(-4.0, 5, 2))


def test_counts_by_hand():
    """½, ¼, ¼ and 0 of four modes: log 4 less the entropy 3/2 log 2 leaves ½ log 2."""
    found = modes(torch.tensor([2, 1, 1, 0]))
    assert found.hit == 3
    assert found.kl == pytest.approx(math.log(2) / 2)


def test_the_ends_of_the_divergence():
    """Evenly spread 0, all in one of 1,000 log 1000; where the data has none, ∞."""
    assert modes(torch.full((1000,), 26)).kl == pytest.approx(0, abs=1e-12)
    one = torch.zeros(1000)
    one[7] = 26000
    assert (modes(one).hit, modes(one).kl) == (1, pytest.approx(math.log(1000)))
    assert modes(torch.tensor([1, 1]), torch.tensor([0, 5])).kl == math.inf


def test_the_datas_own_frequencies():
    """KL(generated ‖ real) and not the other way: ¾ log 3/2 + ¼ log ½ for ¾, ¼ at ½."""
    spread, real = torch.tensor([3, 1, 0]), torch.tensor([0.5, 0.5, 0])
    expected = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert modes(spread, real).kl == pytest.approx(expected)
    assert modes(spread, spread * 7).kl == pytest.approx(0, abs=1e-12)


def test_gaussians_by_hand():
    """σ = 1 at 0 and at 10: of 0, 2.9, 3 and 13.5, three are of the first, two good.

    The second mode's only sample is 3.5 away, so that it is not hit, and 3 itself is
    not nearer than three deviations. KL is log 2 less the entropy of ¾ and ¼.
    """
    samples = torch.tensor([[0.0, 0], [2.9, 0], [0, 3], [13.5, 0]])
    found = gaussian_modes(samples, torch.tensor([[0.0, 0], [10, 0]]), 1.0)
    assert (found.hit, found.high_quality) == (1, 0.5)
    entropy = -0.75 * math.log(0.75) - 0.25 * math.log(0.25)
    assert found.kl == pytest.approx(math.log(2) - entropy)
    wider = gaussian_modes(samples, torch.tensor([[0.0, 0], [10, 0]]), 1.0, within=4)
    assert (wider.hit, wider.high_quality) == (2, 1)


def test_the_mixture_itself():
    """All 25 modes, 1 − e^(−9/2) of high quality, and a KL of about 24/2N."""
    source, count = torch.Generator().manual_seed(0), 20_000
    which = torch.randint(25, (count,), generator=source)
    samples = GRID[which] + 0.05 * torch.randn(count, 2, generator=source)
    found = gaussian_modes(samples, GRID, 0.05)
    quality = 1 - math.exp(-4.5)
    error = math.sqrt(quality * (1 - quality) / count)
    assert found.hit == 25
    assert found.high_quality == pytest.approx(quality, abs=3.5 * error)
    # 2N KL is about χ² with 24 degrees of freedom
    assert 2 * count * found.kl == pytest.approx(24, abs=3.5 * math.sqrt(48))


def test_moving_all_and_renumbering_modes_change_nothing():
    """Samples and centres are moved together, and centres reversed."""
    samples = torch.randn(300, 2, generator=torch.Generator().manual_seed(1)) * 3
    found = gaussian_modes(samples, GRID, 0.3)
    moved = gaussian_modes(samples + 5, GRID.flip(0) + 5, 0.3)
    assert (moved.hit, moved.high_quality) == (found.hit, found.high_quality)
    assert moved.kl == pytest.approx(found.kl)


def test_stacked_digits_are_numbers():
    """1, 2, 3 is mode 123; other numbers of classes and channels go likewise."""
    counts = stacked_counts(torch.tensor([[1, 2, 3], [9, 9, 9], [1, 2, 3]]))
    assert len(counts) == 1000
    assert {i: n for i, n in enumerate(counts.tolist()) if n} == {123: 2, 999: 1}
    assert (
        stacked_counts(torch.tensor([[1, 0]]), classes=3).tolist()
        == np.eye(9)[3].astype(int).tolist()
    )


def test_what_cannot_be_counted_is_refused():
    """The message names the value and the remedy."""
    with pytest.raises(
        ValueError, match=r"counts are not all of 0 or more.*one sample"
    ):
        modes(torch.zeros(5))
    with pytest.raises(ValueError, match=r"\(3,\) and those of the data \(4,\)"):
        modes(torch.ones(3), torch.ones(4))
    with pytest.raises(ValueError, match=r"deviation of the modes is 0"):
        gaussian_modes(GRID, GRID, 0)
    with pytest.raises(ValueError, match=r"the class 10, but there are 10"):
        stacked_counts(torch.tensor([[1, 10]]))
    with pytest.raises(ValueError, match=r"torch.float32.*long"):
        stacked_counts(torch.ones(2, 3))
    with pytest.raises(ValueError, match=r"holds -1.*unlabelled"):
        stacked_counts(torch.tensor([[1, -1]]))
