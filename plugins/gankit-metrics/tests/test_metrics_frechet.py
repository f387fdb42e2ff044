"""Truths about the Fréchet distance."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from gankit_metrics.measures import distances
from gankit_metrics.measures.frechet import (
    Moments,
    frechet_distance,
    frechet_distance_of_moments,
    moments,
)


def draw(*shape, seed=0, mix=0.3):
    """Return float64 vectors whose coordinates depend on each other."""
    rng = np.random.default_rng(seed)
    across = np.eye(shape[1]) + mix * rng.normal(size=(shape[1], shape[1]))
    return torch.from_numpy(rng.normal(size=shape) @ across + rng.normal(size=shape[1]))


def rotation(size, seed=5):
    """Return a random orthogonal matrix."""
    normal = np.random.default_rng(seed).normal(size=(size, size))
    return torch.from_numpy(np.linalg.qr(normal)[0])


def test_equal_covariances_leave_the_squared_distance_of_the_means():
    """A set and the same set moved by (3, 0, 4) are 25 apart."""
    real = draw(50, 3)
    moved = real + torch.tensor([3.0, 0, 4])
    assert frechet_distance(real, moved) == pytest.approx(25, rel=1e-12)


def test_independent_coordinates_add_squared_differences_of_deviations():
    """Deviations (1, 2) and (3, 4), means 5 apart: 25 + (1 − 3)² + (2 − 4)² = 33."""
    first = Moments(torch.zeros(2), torch.diag(torch.tensor([1.0, 4])))
    second = Moments(torch.tensor([3.0, 4]), torch.diag(torch.tensor([9.0, 16])))
    assert frechet_distance_of_moments(first, second) == pytest.approx(33, rel=1e-12)


def test_covariances_that_do_not_commute():
    """In two dimensions Tr √M = √(Tr M + 2√det M).

    diag(4, 1) and itself turned by 45°: M has the trace 4·2.5 + 1·2.5 and the
    determinant 4·4, so the distance is 5 + 5 − 2√(12.5 + 2·4).
    """
    turned = torch.tensor([[2.5, 1.5], [1.5, 2.5]])
    first = Moments(torch.zeros(2), torch.diag(torch.tensor([4.0, 1])))
    expected = 10 - 2 * math.sqrt(20.5)
    distance = frechet_distance_of_moments(first, Moments(torch.zeros(2), turned))
    assert distance == pytest.approx(expected, rel=1e-12)


def test_it_is_the_formula_of_the_paper():
    """Against Tr (Σ₁Σ₂)^½ by the eigenvalues of that product, in numpy."""
    real, fake = draw(300, 12), draw(200, 12, seed=1)
    x, y = real.numpy(), fake.numpy()
    first, second = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = np.sqrt(np.linalg.eigvals(first @ second).real).sum()
    shift = ((x.mean(0) - y.mean(0)) ** 2).sum()
    expected = shift + np.trace(first) + np.trace(second) - 2 * root
    assert frechet_distance(real, fake) == pytest.approx(expected, rel=1e-10)


def test_fewer_samples_than_features():
    """Without covariances: Tr (Σ₁Σ₂)^½ is the nuclear norm of the centred sets' XYᵀ."""
    real, fake = draw(10, 80), draw(15, 80, seed=1)
    x, y = real.numpy() - real.numpy().mean(0), fake.numpy() - fake.numpy().mean(0)
    root = np.linalg.norm(x @ y.T, "nuc") / math.sqrt(9 * 14)
    shift = ((real.mean(0) - fake.mean(0)) ** 2).sum().item()
    expected = shift + (x**2).sum() / 9 + (y**2).sum() / 14 - 2 * root
    assert frechet_distance(real, fake) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("count", [7, 500])
def test_a_set_is_at_no_distance_from_itself(count):
    """In any order, and with fewer samples than features too."""
    real = draw(count, 40)
    scale = real.var(0).sum().item()
    shuffled = real[torch.randperm(count, generator=torch.Generator().manual_seed(0))]
    assert frechet_distance(real, shuffled) < 1e-11 * scale


def test_symmetry_and_what_leaves_it_as_it_is():
    """Turning and moving both sets changes nothing; doubling both makes it fourfold."""
    real, fake = draw(60, 9), draw(50, 9, seed=1)
    distance, turn = frechet_distance(real, fake), rotation(9)
    assert frechet_distance(fake, real) == pytest.approx(distance, rel=1e-11)
    moved = frechet_distance(real @ turn + 7, fake @ turn + 7)
    assert moved == pytest.approx(distance, rel=1e-10)
    assert frechet_distance(2 * real, 2 * fake) == pytest.approx(4 * distance)


def test_float32_far_from_the_origin_is_computed_in_float64():
    """Features about 4000 with a deviation of 1, against numpy's float64."""
    features = (draw(400, 5) + 4000).float()
    exact = features.double().numpy()
    found = moments(features)
    np.testing.assert_allclose(found.mean, exact.mean(0), rtol=1e-13)
    np.testing.assert_allclose(found.covariance, np.cov(exact, rowvar=False), rtol=1e-9)


def test_blocks_do_not_show(monkeypatch):
    """Three rows at a time give the same moments."""
    features = draw(50, 4)
    whole = moments(features)
    monkeypatch.setattr(distances, "_BLOCK", 12)
    torch.testing.assert_close(moments(features).covariance, whole.covariance)


def test_what_cannot_be_compared_is_refused():
    """The message names the set and the remedy."""
    with pytest.raises(ValueError, match=r"fake has 1 of the 2 vectors.*more"):
        frechet_distance(draw(5, 3), draw(1, 3))
    with pytest.raises(ValueError, match=r"real have 3 numbers.*fake 4; compute"):
        frechet_distance(draw(5, 3), draw(5, 4))
    with pytest.raises(ValueError, match=r"real has the shape \(5, 1, 3\).*flatten"):
        frechet_distance(draw(5, 3)[:, None], draw(5, 3))
    with pytest.raises(ValueError, match=r"fake holds NaN or infinite.*mend"):
        frechet_distance(draw(5, 3), draw(5, 3) / 0)
    with pytest.raises(ValueError, match=r"real holds torch.bool.*real numbers"):
        frechet_distance(draw(5, 3) > 0, draw(5, 3))
    with pytest.raises(ValueError, match=r"mean \(2,\).*\(3, 3\)"):
        Moments(torch.zeros(2), torch.eye(3))
    plain, skew = torch.eye(2), torch.tensor([[1.0, 1], [0, 1]])
    for matrix, words in ((skew, "symmetric"), (-plain, "negative variance")):
        with pytest.raises(ValueError, match=words):
            frechet_distance_of_moments(
                Moments(torch.zeros(2), plain), Moments(torch.zeros(2), matrix)
            )
    with pytest.raises(ValueError, match=r"of 2 and of 3 features"):
        frechet_distance_of_moments(
            Moments(torch.zeros(2), plain), Moments(torch.zeros(3), torch.eye(3))
        )
