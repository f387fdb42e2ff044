"""Truths about the penalties, each derived by hand."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from gankit_losses.gradient_penalty import GradientPenalty
from gankit_losses.r1 import R1
from gankit_losses.r2 import R2

PENALTIES = [R1, R2, GradientPenalty]
W = torch.tensor([3.0, -4.0, 12.0], dtype=torch.double)  # of norm 13


def step(discriminate, real=None, fake=None, condition=None):
    """Return what a penalty looks at, in float64."""
    real = torch.randn(5, 3).double() if real is None else real
    fake = torch.randn(5, 3).double() if fake is None else fake
    return SimpleNamespace(
        real=real, fake=fake, condition=condition, discriminate=discriminate
    )


@pytest.fixture(autouse=True)
def seeded():
    """Draw the same numbers in every run."""
    torch.manual_seed(0)


@pytest.mark.parametrize("kind", [R1, R2])
def test_r1_and_r2_of_a_linear_discriminator_are_half_the_squared_norm(kind):
    """∇(w·x + b) = w: ‖w‖²/2 everywhere; the game applies the weight."""
    for penalty in (kind(), kind(weight=3.0, every=16)):
        assert penalty(step(lambda x, _: x @ W + 7)).item() == 169 / 2


def test_gradient_penalty_of_a_linear_discriminator_is_its_norms_distance_from_one():
    """(‖w‖ - 1)²."""
    assert GradientPenalty()(step(lambda x, _: x @ W + 7)).item() == 12**2


def test_r1_looks_at_real_samples_and_r2_at_fakes():
    """D(x) = ‖x‖²/2 has the gradient x: half the mean squared norm of either."""
    at = step(lambda x, _: x.square().sum(1) / 2)
    torch.testing.assert_close(R1()(at), at.real.square().sum(1).mean() / 2)
    torch.testing.assert_close(R2()(at), at.fake.square().sum(1).mean() / 2)


def test_gradient_penalty_looks_evenly_between_real_and_fake():
    """D(x) = x²/2 on the line has the slope x, uniform from 2 (real) to 6 (fake).

    The mean of (x - 1)² is (5³ - 1³)/(3 · 4) = 31/3; its spread is below 8.
    """
    count = 40_000
    real = torch.full((count, 1), 2.0).double()
    fake = torch.full((count, 1), 6.0).double()
    at = step(lambda x, _: x.square().sum(1) / 2, real, fake)
    assert abs(GradientPenalty()(at).item() - 31 / 3) < 4 * 8 / count**0.5


def test_gradient_penalty_mixes_whole_samples():
    """One ε for each sample: x̂ lies on the line through its two ends."""
    seen = []

    def discriminate(x, _):
        seen.append(x.detach())
        return x.flatten(1).sum(1)

    real, fake = torch.zeros(50, 3, 4, 4), torch.rand(50, 3, 4, 4) + 1
    GradientPenalty()(step(discriminate, real, fake))
    shares = (seen[0] / fake).flatten(1)
    torch.testing.assert_close(shares, shares[:, :1].expand(50, 48))
    assert shares[:, 0].unique().numel() == 50


@pytest.mark.parametrize("kind", PENALTIES)
def test_samples_are_judged_with_the_real_samples_conditions(kind):
    """With D(x, y) = y·x the gradient is y."""
    condition = torch.randn(5, 3).double()
    at = step(lambda x, y: (x * y).sum(1), condition=condition)
    norms = condition.norm(dim=1)
    expected = (norms - 1).square() if kind is GradientPenalty else norms.square() / 2
    torch.testing.assert_close(kind()(at), expected.mean())


@pytest.mark.parametrize("kind", PENALTIES)
def test_images_are_penalised_by_the_norm_over_all_their_elements(kind):
    """A sum over 2 × 4 × 4 elements has a gradient of 32 ones."""
    images = torch.rand(3, 2, 4, 4).double()
    at = step(lambda x, _: x.flatten(1).sum(1), images, images)
    expected = (32**0.5 - 1) ** 2 if kind is GradientPenalty else 16
    assert kind()(at).item() == pytest.approx(expected)


@pytest.mark.parametrize("kind", PENALTIES)
def test_its_gradient_by_the_discriminators_parameters_is_right(kind):
    """Second derivatives against finite differences, in float64."""
    real, fake = torch.randn(4, 3).double(), torch.randn(4, 3).double()
    parameters = [
        torch.randn(shape, dtype=torch.double, requires_grad=True)
        for shape in [(6, 3), (6,), (1, 6)]
    ]

    def penalty(hidden, bias, last):
        torch.manual_seed(1)  # the same points between real and fake
        return kind()(
            step(lambda x, _: ((x @ hidden.T + bias).tanh() @ last.T)[:, 0], real, fake)
        )

    assert torch.autograd.gradcheck(penalty, parameters)


@pytest.mark.parametrize("kind", PENALTIES)
def test_the_generator_and_the_data_get_no_gradient(kind):
    """Samples that carry one are cut off; the discriminator's weights are reached."""
    real = torch.randn(5, 3, requires_grad=True)
    fake = torch.randn(5, 3, requires_grad=True)
    network = nn.Sequential(nn.Linear(3, 4), nn.Softplus(), nn.Linear(4, 1))
    kind()(step(lambda x, _: network(x)[:, 0], real, fake)).backward()
    assert real.grad is None
    assert fake.grad is None
    assert network[0].weight.grad.abs().sum() > 0


def test_gradient_penalty_has_a_gradient_where_the_norm_is_zero():
    """A discriminator that is flat at the start must not get NaN."""
    w = torch.zeros(3, requires_grad=True)
    real, fake = torch.randn(5, 3), torch.randn(5, 3)
    penalty = GradientPenalty()(step(lambda x, _: x @ w, real, fake))
    penalty.backward()
    assert penalty.item() == 1
    assert w.grad.isfinite().all()


@pytest.mark.parametrize("kind", PENALTIES)
def test_weight_and_laziness_are_the_games_to_read(kind):
    """Ten at every step, unless a recipe says otherwise."""
    assert (kind().weight, kind().every) == (10.0, 1)
    assert (kind(weight=1.0, every=16).weight, kind(every=16).every) == (1.0, 16)
