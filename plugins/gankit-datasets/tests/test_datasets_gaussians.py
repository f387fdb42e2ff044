"""Mixtures of Gaussians in the plane."""

from __future__ import annotations

import math
import pickle

import pytest
import torch

from gankit import UNBOUNDED
from gankit_datasets.gaussians import Gaussians


def points(data) -> tuple[torch.Tensor, torch.Tensor]:
    """Return all points (N, 2) and their modes (N,)."""
    items = [data[i] for i in range(len(data))]
    samples = torch.stack([item.sample for item in items])
    return samples, torch.tensor([item.annotations["label"] for item in items])


def test_the_ring_of_eight():
    """Radius 1, standard deviation 0.01, the first mode at (1, 0), then (√½, √½)."""
    data = Gaussians(samples=8000)
    samples, modes = points(data)
    assert data.facts.sample_shape == (2,)
    assert data.facts.sample_range == UNBOUNDED
    assert data.facts.annotations["label"].names == tuple(f"mode {i}" for i in range(8))
    assert samples.dtype == torch.float32
    for mode in range(8):
        own = samples[modes == mode]
        assert len(own) == 1000
        angle = mode * math.pi / 4
        centre = torch.tensor([math.cos(angle), math.sin(angle)])
        # five standard errors of a mean and of a standard deviation of 1000
        assert (own.mean(0) - centre).abs().max() < 5 * 0.01 / math.sqrt(1000)
        assert (own.std(0) - 0.01).abs().max() < 5 * 0.01 / math.sqrt(2000)


def test_the_grid_of_twenty_five():
    """Spacing 2 from -4 to 4, standard deviation 0.05, column by column."""
    samples, modes = points(Gaussians(layout="grid", samples=25_000))
    for mode in range(25):
        own = samples[modes == mode]
        column, row = divmod(mode, 5)
        centre = torch.tensor([2.0 * column - 4, 2.0 * row - 4])
        assert (own.mean(0) - centre).abs().max() < 5 * 0.05 / math.sqrt(1000)
        assert (own.std(0) - 0.05).abs().max() < 5 * 0.05 / math.sqrt(2000)


def test_every_number_can_be_changed():
    """A grid of 2 x 2 with half side 3, almost without noise."""
    data = Gaussians(layout="grid", modes=4, extent=3.0, std=1e-6, samples=4)
    corners = [[-3, -3], [-3, 3], [3, -3], [3, 3]]
    assert torch.allclose(points(data)[0], torch.tensor(corners).float(), atol=1e-4)
    ring = Gaussians(modes=2, extent=0.5, std=1e-6, samples=2)
    ends = torch.tensor([[0.5, 0.0], [-0.5, 0.0]])
    assert torch.allclose(points(ring)[0], ends, atol=1e-4)


@pytest.mark.parametrize("modes", [1, 2, 8, 24])
def test_a_grid_needs_a_square_of_modes(modes):
    """The error names numbers that would do."""
    with pytest.raises(ValueError, match=rf"modes = {modes} .* 25"):
        Gaussians(layout="grid", modes=modes)


def test_a_point_depends_on_the_seed_and_its_index_alone():
    """A longer set begins like a shorter one; pickling changes nothing."""
    short, long = Gaussians(samples=3001, seed=3), Gaussians(samples=9000, seed=3)
    assert torch.equal(points(short)[0], points(long)[0][:3001])
    copy = pickle.loads(pickle.dumps(short))
    assert torch.equal(points(copy)[0], points(short)[0])
    other = points(Gaussians(samples=3001, seed=4))[0]
    assert not torch.equal(points(short)[0], other)


def test_torchs_own_generator_is_left_alone():
    """Making a data set does not move the training's randomness."""
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    Gaussians(samples=10)
    assert torch.equal(torch.rand(1), expected)


def test_held_out_points_are_of_the_same_modes_and_other_draws():
    """They are drawn from streams of their own, which the set's seed decides."""
    data, other = Gaussians(samples=500, seed=3), Gaussians(samples=500, seed=4)
    test, validation = data.splits["test"](), data.splits["validation"]()
    assert torch.equal(test.centres, data.centres)
    assert test.facts == data.facts
    sets = [data, other, test, validation, other.splits["test"]()]
    drawn = {tuple(s.all_samples.flatten().tolist()) for s in sets}
    assert len(drawn) == len(sets)
    assert torch.equal(test.all_samples, data.splits["test"]().all_samples)
