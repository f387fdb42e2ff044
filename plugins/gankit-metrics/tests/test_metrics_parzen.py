"""Truths about the Parzen-window log-likelihood."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from gankit_metrics.measures import distances
from gankit_metrics.measures.parzen import (
    BANDWIDTHS,
    best_bandwidth,
    log_likelihoods,
    parzen,
)


def pixels(count, size=784, seed=0):
    """Return float32 pictures in [0, 1], most of their pixels at either end."""
    source = torch.Generator().manual_seed(seed)
    return (torch.randn(count, size, generator=source) * 2).sigmoid()


def direct(samples, points, width):
    """Return the logarithm of the mean density in float64, by differences."""
    found = []
    for point in points.double().numpy():
        squares = ((samples.double().numpy() - point) ** 2).sum(1)
        exponents = -squares / (2 * width**2)
        most = exponents.max()
        found.append(most + np.log(np.exp(exponents - most).mean()))
    size = samples.shape[1]
    return np.array(found) - size * np.log(width * np.sqrt(2 * np.pi))


def test_one_sample_by_hand():
    """A Gaussian of σ = ½ in three dimensions, 1 away: −3/2 log (2π/4) − 1/(2/4)."""
    found = log_likelihoods(torch.zeros(1, 3), torch.tensor([[0.0, 0, 1]]), [0.5])
    assert found.item() == pytest.approx(-1.5 * math.log(math.pi / 2) - 2)


def test_a_density_integrates_to_one():
    """Of three samples on a line, with each width."""
    line = torch.arange(-9, 10, 0.01)[:, None]
    samples = torch.tensor([[0.0], [0.1], [1]])
    mass = log_likelihoods(samples, line, BANDWIDTHS).exp().sum(1) * 0.01
    np.testing.assert_allclose(mass, 1, rtol=1e-6)


@pytest.mark.parametrize("offset", [0, 100])
def test_matrix_products_are_as_good_as_differences(offset):
    """Within 4e-9 nats of −10⁴, at the narrowest width, and far from the origin too."""
    samples, points = pixels(60) + offset, pixels(50, seed=1) + offset
    points[:9] = samples[:9]
    found = log_likelihoods(samples, points, [0.1, 1.0])
    for row, width in zip(found, (0.1, 1.0), strict=True):
        np.testing.assert_allclose(row, direct(samples, points, width), 0, 4e-9)


def test_bandwidths_are_the_papers():
    """Ten, with evenly spaced logarithms from 0.1 to 1."""
    np.testing.assert_allclose(BANDWIDTHS, np.logspace(-1, 0, 10), rtol=1e-14)


def test_it_is_the_measure_of_the_papers():
    """σ by the mean over validation, then mean and standard error over test points."""
    samples, validation, test = (
        pixels(80, 9),
        pixels(40, 9, seed=1),
        pixels(50, 9, seed=2),
    )
    means = [direct(samples, validation, width).mean() for width in BANDWIDTHS]
    best = BANDWIDTHS[int(np.argmax(means))]
    assert BANDWIDTHS[0] < best < BANDWIDTHS[-1]
    expected = direct(samples, test, best)
    found = parzen(samples, validation, test)
    assert found.bandwidth == best_bandwidth(samples, validation) == best
    assert found.log_likelihood == pytest.approx(expected.mean())
    error = expected.std(ddof=1) / math.sqrt(50)
    assert found.standard_error == pytest.approx(error)


def test_a_thousand_validation_points_choose():
    """What comes behind them says nothing: there, points that want the widest σ."""
    samples = pixels(50, 4)
    first = samples.repeat(20, 1)
    rest = torch.ones(9000, 4) * torch.tensor([0.0, 1, 0, 1])
    found = parzen(samples, torch.cat([first, rest]), pixels(20, 4, seed=1))
    assert found.bandwidth == BANDWIDTHS[0]
    assert parzen(samples, rest, pixels(20, 4, seed=1)).bandwidth > BANDWIDTHS[0]


def test_orders_and_a_mirror_change_nothing():
    """Samples, points and pixels are reversed, and x becomes 1 − x."""
    sets = pixels(60, 9), pixels(30, 9, seed=1), pixels(40, 9, seed=2)
    once = parzen(*sets)
    again = parzen(*(1 - points.double().flip(0, 1) for points in sets))
    assert again.log_likelihood == pytest.approx(once.log_likelihood)
    assert again.standard_error == pytest.approx(once.standard_error)


def test_blocks_do_not_show(monkeypatch):
    """A few points at a time."""
    samples, points = pixels(30, 5), pixels(20, 5, seed=1)
    whole = log_likelihoods(samples, points, [0.2, 0.5])
    monkeypatch.setattr(distances, "_BLOCK", 70)
    torch.testing.assert_close(log_likelihoods(samples, points, [0.2, 0.5]), whole)


def test_pixels_of_another_range_are_refused():
    """The message names the set, its range and the remedy."""
    good = pixels(20, 4)
    with pytest.raises(ValueError, match=r"test reaches from -1 to .*\(x \+ 1\) / 2"):
        parzen(good, good, good.round() * 2 - 1)
    with pytest.raises(ValueError, match=r"\[0.1, 0\].*over 0"):
        log_likelihoods(good, good, [0.1, 0])
