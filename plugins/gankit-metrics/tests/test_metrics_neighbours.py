"""Truths about precision, recall, density and coverage, and the distances below."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gankit_metrics.measures import distances
from gankit_metrics.measures.distances import Space
from gankit_metrics.measures.neighbours import Neighbours, neighbours


def normal(*shape, seed=0):
    """Return float64 vectors of a standard normal."""
    source = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=source, dtype=torch.double)


def column(*numbers):
    """Return numbers on a line as vectors."""
    return torch.tensor(numbers)[:, None]


def apart(x, y):
    """Return all distances, by differences."""
    return np.linalg.norm(x.numpy()[:, None] - y.numpy()[None], axis=2)


def test_a_line_by_hand():
    """Real 0, 1, 3 have the radii 1, 1, 2; generated −1, 1.5, 10 have 2.5, 2.5, 8.5.

    −1 lies on the border of 0's ball, which belongs to the closed one alone; 1.5 lies
    in those of 1 and of 3; 10 in none. Each real one is in the ball of −1 or of 1.5.
    """
    found = neighbours(column(0.0, 1, 3), column(-1.0, 1.5, 10), k=1, density_k=1)
    expected = Neighbours(precision=2 / 3, recall=1.0, density=2 / 3, coverage=2 / 3)
    assert found == expected


@pytest.mark.parametrize(("k", "density_k"), [(3, 5), (4, 2)])
def test_they_are_the_formulas_of_the_papers(k, density_k):
    """All distances by differences in numpy, for sets of two sizes."""
    real, fake = normal(120, 6), 0.8 * normal(90, 6, seed=1) + 0.3
    radii = np.sort(apart(real, real), 1)  # the first is that to itself
    fake_radii = np.sort(apart(fake, fake), 1)
    across = apart(real, fake)
    inside = across < radii[:, density_k, None]
    found = neighbours(real, fake, k=k, density_k=density_k)
    assert found.precision == (across <= radii[:, k, None]).any(0).mean()
    assert found.recall == (across <= fake_radii[:, k]).any(1).mean()
    assert found.density == pytest.approx(inside.sum() / (density_k * 90))
    assert found.coverage == inside.any(1).mean()
    assert 0.2 < found.precision < 1


def test_copies_have_a_density_and_a_coverage_of_one():
    """Though distances to a copy's neighbours are rounded otherwise: ties are found."""
    real = normal(400, 64).float() + 20
    found = neighbours(real, real.flip(0))
    assert found == Neighbours(precision=1, recall=1, density=1, coverage=1)


def test_of_equal_distributions_density_and_coverage_are_known():
    """1, and 1 − 49⋯45/(99⋯95) for fifty of each, on average over 200 draws."""
    found = [
        neighbours(normal(50, 2, seed=2 * i), normal(50, 2, seed=2 * i + 1))
        for i in range(200)
    ]
    hidden = np.prod([(50 - i) / (100 - i) for i in range(1, 6)])
    for name, expected in (("density", 1), ("coverage", 1 - hidden)):
        values = [getattr(one, name) for one in found]
        error = np.std(values) / len(values) ** 0.5
        assert np.mean(values) == pytest.approx(expected, abs=3.5 * error)


def test_real_and_generated_change_places_with_precision_and_recall():
    """What is precision one way is recall the other way."""
    x, y = normal(80, 3), 1.5 * normal(70, 3, seed=1)
    one, other = neighbours(x, y), neighbours(y, x)
    assert (one.precision, one.recall) == (other.recall, other.precision)


def test_a_rigid_motion_and_the_order_change_nothing():
    """Both sets are turned, moved, scaled and reversed."""
    x, y = normal(80, 4), 1.2 * normal(70, 4, seed=1)
    turn = torch.linalg.qr(normal(4, 4, seed=2)).Q
    assert neighbours(3 * (x @ turn + 9).flip(0), 3 * (y @ turn + 9)) == neighbours(
        x, y
    )


def test_blocks_do_not_show(monkeypatch):
    """A few rows at a time, and one."""
    x, y = normal(40, 4), 1.2 * normal(30, 4, seed=1)
    whole = neighbours(x, y)
    for numbers in (100, 1):
        monkeypatch.setattr(distances, "_BLOCK", numbers)
        assert neighbours(x, y) == whole


def test_distances_are_those_of_differences():
    """In float64, far from the origin, with vectors of very different lengths."""
    x, y = normal(50, 30) + 1e3, 100 * normal(40, 30, seed=1) + 1e3
    (_, squares), *more = Space.of(x, y).blocks(0, 1)
    assert not more
    np.testing.assert_allclose(squares.sqrt(), apart(x, y), rtol=1e-12)


def test_equal_vectors_are_at_no_distance():
    """Exactly, though their product is rounded; itself a vector does not count."""
    x = normal(200, 784).float() / 7
    squares, index = Space.of(x, x.flip(0)).nearest(0, 1)
    assert not squares.any()
    assert torch.equal(index, torch.arange(199, -1, -1))
    squares, index = Space.of(torch.cat([x, x])).nearest(0, 0)
    assert not squares.any()
    assert torch.equal(index, torch.cat([torch.arange(200, 400), torch.arange(200)]))
    assert (Space.of(x).nearest(0, 0)[0] > 1).all()


def test_near_vectors_are_told_apart():
    """At a hundred-thousandth of their length, to four digits."""
    x, change = normal(200, 100), 1e-5 * normal(200, 100, seed=1)
    squares, index = Space.of(x, x + change).nearest(0, 1)
    assert torch.equal(index, torch.arange(200))
    np.testing.assert_allclose(squares.sqrt(), change.norm(dim=1), rtol=1e-4)


def test_inputs_stay_as_they_are():
    """Distances are of copies, also if nothing is to be converted."""
    x = normal(20, 3)
    before = x.clone()
    neighbours(x, x)
    assert torch.equal(x, before)


def test_too_few_vectors_are_refused():
    """The message says how many are needed; a ball needs a neighbour."""
    with pytest.raises(ValueError, match=r"fake has 5 of the 6 vectors"):
        neighbours(normal(9, 2), normal(5, 2))
    with pytest.raises(ValueError, match=r"k is 0.*take 3 and 5"):
        neighbours(normal(9, 2), normal(9, 2), k=0)
