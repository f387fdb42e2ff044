"""Truths about the test for copies of training data."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from gankit_metrics.measures.copying import data_copying
from gankit_metrics.measures.mann_whitney import placements, z_score


def column(*numbers):
    """Return numbers on a line as vectors."""
    return torch.tensor(numbers, dtype=torch.double)[:, None]


def normal(*shape, seed=0):
    """Return float64 vectors of a standard normal."""
    source = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=source, dtype=torch.double)


def test_a_line_by_hand():
    """Test items are 1 and 2 from 0 or 10, generated ones ½ and 3: 2 pairs of 4."""
    found = data_copying(column(0, 10), column(1, 12), column(10.5, 3))
    assert (found.z, found.nearer) == (0, 0.5)
    assert found.median_ratio == pytest.approx(0.5)  # the lower of two is the median


def test_the_statistic_by_hand():
    """U = 0 of 2 · 2 pairs: (0 − 2)/√(2 · 2 · 5/12); two ties take a tenth of that.

    With a group of t equal ones the variance falls by (t³ − t)/(4³ − 4) = 6/60.
    """
    train, test = column(0, 10), column(1, 12)
    near = data_copying(train, test, column(0.25, 10.5))
    assert near.z == pytest.approx(-2 / math.sqrt(5 / 3))
    assert near.nearer == 1
    copies = data_copying(train, test, column(0, 10))
    assert copies.z == pytest.approx(-2 / math.sqrt(5 / 3 * 0.9))
    assert copies.median_ratio == 0


def test_the_statistic_is_that_of_all_pairs():
    """U pair by pair, with many ties; its variance from that of mean ranks."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 6, 30).astype(float), rng.integers(1, 7, 20).astype(float)
    pairs = [(a > b) + (a == b) / 2 for a in x for b in y]
    found = placements(torch.from_numpy(x), torch.from_numpy(y))
    assert found.mean().item() == pytest.approx(np.mean(pairs))
    pooled = np.concatenate([x, y])
    ranks = np.array([(pooled < v).sum() + (pooled == v).sum() / 2 for v in pooled])
    # a sum of 30 of 50 ranks drawn without repetition
    variance = 30 * 20 / 50 * ranks.var(ddof=1)
    expected = (np.sum(pairs) - 300) / math.sqrt(variance)
    score = z_score(torch.from_numpy(x), torch.from_numpy(y))
    assert score == pytest.approx(expected)
    assert z_score(torch.ones(5), torch.ones(4)) == 0


def test_new_samples_of_the_same_distribution_are_as_far_as_test_items():
    """Their z has the mean 0 and the deviation 1 over 300 draws."""
    scores = [data_copying(*normal(3, 40, 2, seed=i).unbind()).z for i in range(300)]
    assert np.mean(scores) == pytest.approx(0, abs=3.5 / math.sqrt(300))
    assert np.std(scores) == pytest.approx(1, abs=0.15)


def test_a_rigid_motion_and_the_order_change_nothing():
    """All three sets are turned, moved, scaled and reversed."""
    train, test, fake = normal(3, 60, 4).unbind()
    turn = 3 * torch.linalg.qr(normal(4, 4, seed=2)).Q
    once = data_copying(train, test, fake)
    again = data_copying(*((z @ turn + 9).flip(0) for z in (train, test, fake)))
    assert again.z == pytest.approx(once.z)
    assert again.median_ratio == pytest.approx(once.median_ratio)


def test_test_items_that_were_trained_on_are_refused():
    """The message asks for others."""
    train = normal(20, 3)
    with pytest.raises(ValueError, match=r"half of the test items.*held out"):
        data_copying(train, train[:5], normal(8, 3, seed=1))
