"""Truths about the measures of samples that have a class."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from gankit_metrics.measures import distances
from gankit_metrics.measures.conditional import (
    class_accuracy,
    class_diversity,
    nearest_neighbour_error,
)
from gankit_metrics.measures.estimate import Estimate


def normal(*shape, seed=0):
    """Return float64 vectors of a standard normal."""
    source = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=source, dtype=torch.double)


def test_accuracy_by_hand():
    """Three of five are right: 2 of 3 of class 0, 1 of 2 of class 1, none is of 2."""
    labels, predicted = torch.tensor([0, 0, 0, 1, 1]), torch.tensor([0, 2, 0, 0, 1])
    found = class_accuracy(predicted, labels, 3)
    assert found.overall.value == pytest.approx(0.6)
    assert found.overall.standard_error == pytest.approx(math.sqrt(0.24 / 5))
    first, second, none = found.by_class
    assert (first.value, second.value, none) == pytest.approx((2 / 3, 1 / 2, None))
    assert second.standard_error == pytest.approx(math.sqrt(1 / 8))
    assert found.chance == pytest.approx(3 / 5)


def test_diversity_by_hand():
    """Class 0 has a pair 2 apart, 4 if real: ¼. Class 1 is one point: 0."""
    real, fake = (
        torch.tensor([[0.0], [4], [1], [2]]),
        torch.tensor([[7.0], [5], [3], [3]]),
    )
    labels = torch.tensor([0, 0, 1, 1])
    assert class_diversity(real, labels, fake, labels) == (0.25, 0)


def test_diversity_is_of_all_pairs_of_a_class():
    """Squared distances pair by pair; moving a class as a whole changes nothing."""
    real, fake = normal(60, 4), 0.5 * normal(50, 4, seed=1)
    real_labels, fake_labels = torch.arange(60) % 3, torch.arange(50) % 3

    def spread(vectors):
        x = vectors.numpy()
        squares = ((x[:, None] - x[None]) ** 2).sum(2)
        return squares.sum() / (len(x) * (len(x) - 1))

    expected = [
        spread(fake[fake_labels == i]) / spread(real[real_labels == i])
        for i in range(3)
    ]
    found = class_diversity(real, real_labels, fake, fake_labels)
    assert found == pytest.approx(expected)
    moved = fake + 10 * fake_labels[:, None]
    again = class_diversity(real, real_labels, moved, fake_labels)
    assert again == pytest.approx(expected)


def test_nearest_neighbours_by_hand():
    """Of 1, 4 and 9, whose nearest samples are 0, 5 and 5, one has another class."""
    samples, test = torch.tensor([[0.0], [5]]), torch.tensor([[1.0], [4], [9]])
    labels = torch.tensor([2, 7])
    found = nearest_neighbour_error(samples, labels, test, torch.tensor([2, 7, 2]))
    assert found.value == pytest.approx(1 / 3)
    assert found.standard_error == pytest.approx(math.sqrt(2 / 27))


def test_nearest_neighbours_are_those_of_differences(monkeypatch):
    """All distances in numpy, a few rows at a time and all at once."""
    samples, test = normal(70, 8), normal(50, 8, seed=1)
    sample_labels, test_labels = torch.arange(70) % 4, torch.arange(50) % 4
    apart = np.linalg.norm(test.numpy()[:, None] - samples.numpy()[None], axis=2)
    wrong = sample_labels.numpy()[apart.argmin(1)] != test_labels.numpy()
    for numbers in (distances._BLOCK, 150):
        monkeypatch.setattr(distances, "_BLOCK", numbers)
        found = nearest_neighbour_error(samples, sample_labels, test, test_labels)
        assert found.value == pytest.approx(wrong.mean())


def test_a_set_knows_itself():
    """Pixels of one byte are vectors too."""
    pictures = (normal(40, 6) * 40 + 128).clamp(0, 255).byte()
    labels = torch.arange(40) % 4
    assert nearest_neighbour_error(pictures, labels, pictures, labels) == Estimate(0, 0)


def test_labels_that_do_not_fit_are_refused():
    """The message names them, and the remedy."""
    few, labels = normal(4, 2), torch.tensor([0, 1, 0, 1])
    with pytest.raises(ValueError, match=r"test_labels has the shape \(3,\).*4 items"):
        nearest_neighbour_error(few, labels, few, labels[:3])
    with pytest.raises(ValueError, match=r"labels are not in 0 to 1"):
        class_accuracy(labels, labels * 2, 2)
    with pytest.raises(ValueError, match=r"class 1 has 2 real and 1 generated"):
        class_diversity(few, labels, few[:3], labels[:3])
    with pytest.raises(ValueError, match=r"real vectors of class 0 are equal"):
        class_diversity(few * 0, labels, few, labels)
