"""Truths about the Inception score."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from gankit_metrics.measures.inception_score import inception_score


def probabilities(count, classes, seed=0):
    """Return random rows of probabilities."""
    logits = torch.randn(count, classes, generator=torch.Generator().manual_seed(seed))
    return logits.mul(2).double().softmax(1)


def test_its_ends():
    """All alike give 1, uncertain or not; certain and evenly spread, the classes."""
    for row in ([0.25, 0.25, 0.25, 0.25], [0.0, 1.0, 0.0, 0.0]):
        found = inception_score(torch.tensor([row]).repeat(40, 1))
        assert (found.mean, found.standard_deviation) == pytest.approx((1, 0))
    certain = torch.eye(4).repeat(10, 1)
    assert inception_score(certain).mean == pytest.approx(4, rel=1e-12)


def test_two_rows_by_hand():
    """(1, 0) and (½, ½): KL to (¾, ¼) is log 4/3 and ½ log 2/3 + ½ log 2 = ½ log 4/3.

    The exponential of their mean is (4/3)^(3/4).
    """
    rows = torch.tensor([[1.0, 0], [0.5, 0.5]])
    assert inception_score(rows, splits=1).mean == pytest.approx((4 / 3) ** 0.75)


def test_it_is_the_formula_of_the_paper():
    """The divergence row by row in numpy, in ten splits."""
    rows = probabilities(200, 7)
    scores = []
    for part in np.split(rows.numpy(), 10):
        marginal = part.mean(0)
        divergences = [(p * np.log(p / marginal)).sum() for p in part]
        scores.append(math.exp(np.mean(divergences)))
    found = inception_score(rows)
    assert found.mean == pytest.approx(np.mean(scores))
    assert found.standard_deviation == pytest.approx(np.std(scores))


def test_a_split_sees_its_own_rows_alone():
    """Sorted by class, no split has more than one; in turn, each has all."""
    certain = torch.eye(5).repeat_interleave(6, 0)
    assert inception_score(certain, splits=5).mean == pytest.approx(1)
    assert inception_score(torch.eye(5).repeat(6, 1), splits=6).mean == pytest.approx(5)


def test_neither_the_order_in_a_split_nor_that_of_classes_matters():
    """Both are permuted."""
    rows = probabilities(50, 6)
    found = inception_score(rows, splits=1).mean
    assert inception_score(rows.flip(0, 1), splits=1).mean == pytest.approx(found)


def test_what_is_no_probability_is_refused():
    """The message names the remedy."""
    with pytest.raises(ValueError, match=r"sum 1; apply a softmax"):
        inception_score(torch.randn(20, 5))
    with pytest.raises(ValueError, match=r"3 samples do not go into 10 splits"):
        inception_score(probabilities(3, 5))
