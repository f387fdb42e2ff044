"""Truths about two-sample tests by a classifier."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from gankit_metrics.measures import distances
from gankit_metrics.measures.two_sample import (
    auc,
    nearest_neighbour_accuracy,
    two_sample_accuracy,
)


def column(*numbers):
    """Return numbers on a line as vectors."""
    return torch.tensor(numbers, dtype=torch.double)[:, None]


def normal(*shape, seed=0):
    """Return float64 numbers of a standard normal."""
    source = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=source, dtype=torch.double)


def test_accuracy_by_hand():
    """2½ of 4 real ones and 2 of 3 generated ones are right; 0 is half a hit."""
    real, fake = torch.tensor([1.0, 2, -1, 0]), torch.tensor([-1.0, -2, 3])
    found = two_sample_accuracy(real, fake)
    p, q = 5 / 8, 2 / 3
    assert (found.accuracy_real, found.accuracy_fake) == pytest.approx((p, q))
    assert found.accuracy == pytest.approx((p + q) / 2)
    variance = p * (1 - p) / 4 + q * (1 - q) / 3
    assert found.standard_error == pytest.approx(math.sqrt(variance) / 2)
    moved = two_sample_accuracy(real.sigmoid(), fake.sigmoid(), threshold=0.5)
    assert moved == found


@pytest.mark.parametrize("size", [30, 90])
def test_by_chance_accuracy_varies_as_its_error_says(size):
    """Scores that say nothing, of 30 real samples and of 30 or 90 generated ones."""
    found = [
        two_sample_accuracy(normal(30, seed=2 * i), normal(size, seed=2 * i + 1))
        for i in range(1500)
    ]
    values = [one.accuracy for one in found]
    assert np.mean(values) == pytest.approx(0.5, abs=3.5 * np.std(values) / 1500**0.5)
    assert np.std(values) == pytest.approx(found[0].chance_error, rel=0.07)
    errors = [one.standard_error for one in found]
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.07)


def test_auc_by_hand():
    """1 beats 0; each 2 beats 0 and ties with 2: (1 + 1½ + 1½)/6."""
    found = auc(torch.tensor([1.0, 2, 2]), torch.tensor([0.0, 2]))
    assert found.value == pytest.approx(4 / 6)
    # shares beaten by real ones: ½, ¾, ¾; that beat generated ones: 1, ⅓ (two halves)
    variance = (
        np.var([1 / 2, 3 / 4, 3 / 4], ddof=1) / 3 + np.var([1, 1 / 3], ddof=1) / 2
    )
    assert found.standard_error == pytest.approx(math.sqrt(variance))


def test_auc_needs_the_order_alone():
    """A rising function of all scores changes nothing; minus turns it about ½."""
    real, fake = normal(40) + 0.5, normal(30, seed=1)
    found = auc(real, fake)
    assert auc(real.exp(), fake.exp()) == found
    assert auc(-real, -fake).value == pytest.approx(1 - found.value)
    assert auc(fake, real).value == pytest.approx(1 - found.value)


def test_auc_varies_as_its_error_says():
    """Of N(1, 1) and N(0, 1) it is Φ(1/√2) on average, over 600 draws."""
    found = [
        auc(normal(50, seed=2 * i) + 1, normal(70, seed=2 * i + 1)) for i in range(600)
    ]
    values = [one.value for one in found]
    expected = (1 + math.erf(1 / 2)) / 2
    assert np.mean(values) == pytest.approx(
        expected, abs=3.5 * np.std(values) / 600**0.5
    )
    errors = np.mean([one.standard_error for one in found])
    assert errors == pytest.approx(np.std(values), rel=0.12)


def test_nearest_neighbours_on_a_line_by_hand():
    """Real 0, 1, 10 and generated 1.4, 11, 30: only 0 and 30 are nearest to their own.

    1 and 1.4 are each other's nearest, and 10 and 11: four of six.
    """
    found = nearest_neighbour_accuracy(column(0, 1, 10), column(1.4, 11, 30))
    assert (found.accuracy_real, found.accuracy_fake) == pytest.approx((1 / 3, 1 / 3))
    assert found.chance == pytest.approx(2 / 5)
    assert found.chance_error == pytest.approx(math.sqrt((1 + 2 / 3) / 24))
    expected = math.sqrt((1 + 2 / 3) * (1 / 3) * (2 / 3) / 6)
    assert found.standard_error == pytest.approx(expected)


def test_a_tie_between_the_kinds_is_half_a_hit():
    """0 lies in the middle of real −1 and generated 1, whose nearest is 0."""
    found = nearest_neighbour_accuracy(column(0, -1), column(1, 5))
    assert (found.accuracy_real, found.accuracy_fake) == (0.75, 0.5)


def test_a_tie_is_one_though_it_is_rounded():
    """In 40 groups far apart, real c and c + v, generated c − v and c − 3v.

    c is as far from c + v as from c − v; c + v and c − 3v are nearest to their own, and
    c − v is nearest to c.
    """
    places, change = 100 * normal(40, 64).round(), normal(40, 64, seed=1).round()
    real = torch.cat([places, places + change])
    fake = torch.cat([places - change, places - 3 * change])
    found = nearest_neighbour_accuracy(real, fake)
    assert (found.accuracy_real, found.accuracy_fake) == (0.75, 0.5)


def test_nearest_neighbours_are_those_of_differences():
    """All distances in numpy, with each vector's own left out."""
    real, fake = normal(60, 5), 0.7 * normal(60, 5, seed=1)
    pooled = torch.cat([real, fake]).numpy()
    apart = np.linalg.norm(pooled[:, None] - pooled[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    nearest = apart.argmin(1)
    right = (nearest < 60) == (np.arange(120) < 60)
    mutual = (nearest[nearest] == np.arange(120)).mean()
    found = nearest_neighbour_accuracy(real, fake)
    assert found.accuracy_real == pytest.approx(right[:60].mean())
    assert found.accuracy_fake == pytest.approx(right[60:].mean())
    assert found.chance_error == pytest.approx(math.sqrt((1 + mutual) / 480))


def test_by_chance_nearest_neighbours_vary_as_the_error_says():
    """Forty of each of one distribution: the mean is 39/79, over 600 draws."""
    found = [nearest_neighbour_accuracy(*normal(2, 40, 2, seed=i)) for i in range(600)]
    values = [one.accuracy for one in found]
    error = np.std(values) / len(values) ** 0.5
    assert np.mean(values) == pytest.approx(39 / 79, abs=3.5 * error)
    errors = [one.chance_error for one in found]
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.08)


def test_exact_copies_are_always_taken_for_real():
    """Each has its copy at no distance: accuracy 0. Far apart: 1."""
    real = normal(50, 200).float()
    assert nearest_neighbour_accuracy(real, real.flip(0)).accuracy == 0
    assert nearest_neighbour_accuracy(real, real + 99).accuracy == 1


def test_blocks_do_not_show(monkeypatch):
    """A few rows at a time."""
    real, fake = normal(30, 5), normal(30, 5, seed=1)
    whole = nearest_neighbour_accuracy(real, fake)
    monkeypatch.setattr(distances, "_BLOCK", 70)
    assert nearest_neighbour_accuracy(real, fake) == whole


def test_what_has_no_answer_is_refused():
    """The message names the numbers and the remedy."""
    with pytest.raises(ValueError, match=r"5 real and 4 generated.*equally many"):
        nearest_neighbour_accuracy(normal(5, 2), normal(4, 2))
    with pytest.raises(ValueError, match=r"fake_scores has the shape \(5, 1\)"):
        two_sample_accuracy(normal(5), normal(5, 1))
    with pytest.raises(ValueError, match=r"real_scores holds NaN"):
        auc(normal(5).sub(9).log(), normal(5))
