"""Truths about the loss and the penalty of DF-GAN, derived by hand."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from gankit_losses.matching_aware_hinge import MatchingAwareHinge
from gankit_losses.matching_aware_penalty import MatchingAwarePenalty

W = torch.tensor([3.0, -4.0, 12.0], dtype=torch.double)  # of norm 13
V = torch.tensor([0.6, -0.8], dtype=torch.double)  # of norm 1


def step(discriminate, real=None, condition=None):
    """Return what the penalty looks at, in float64."""
    real = torch.randn(5, 3).double() if real is None else real
    condition = torch.randn(len(real), 2).double() if condition is None else condition
    return SimpleNamespace(real=real, condition=condition, discriminate=discriminate)


@pytest.fixture(autouse=True)
def seeded():
    """Draw the same numbers in every run."""
    torch.manual_seed(0)


def test_it_says_what_it_cannot_do_without():
    """The assembly refuses it without a conditioner and mismatched conditions."""
    assert MatchingAwareHinge.needs_condition
    assert MatchingAwareHinge.needs_mismatch


def test_the_discriminator_weighs_both_kinds_of_fakes_by_half():
    """Real (1 - 2)⁺, (1 - ½)⁺; wrong (1 + 1)⁺, (1 - 3)⁺; fake (1 + 3)⁺, (1 + 0)⁺.

    Means 0.25, 1 and 2.5: 0.25 + ½ (1 + 2.5) = 2.
    """
    at = SimpleNamespace(
        real_logits=torch.tensor([2.0, 0.5]),
        mismatched_logits=torch.tensor([1.0, -3.0]),
        fake_logits=torch.tensor([3.0, 0.0]),
    )
    assert MatchingAwareHinge().discriminator(at).item() == 2.0


def test_what_is_beyond_its_margin_moves_nobody():
    """A gradient of -1/N, ½/N and ½/N within the margins, of 0 beyond."""
    rows = [
        torch.tensor(pair, requires_grad=True)
        for pair in ([1.5, 0.5], [-2.0, 0.5], [-1.5, -0.5])
    ]
    names = ("real_logits", "mismatched_logits", "fake_logits")
    at = SimpleNamespace(**dict(zip(names, rows, strict=True)))
    MatchingAwareHinge().discriminator(at).backward()
    assert [row.grad.tolist() for row in rows] == [[0, -0.5], [0, 0.25], [0, 0.25]]


def test_the_generator_raises_its_logits():
    """-(1 + 4)/2."""
    at = SimpleNamespace(fake_logits=torch.tensor([1.0, 4.0]))
    assert MatchingAwareHinge().generator(at).item() == -2.5


def test_the_penalty_of_a_linear_discriminator_is_the_sum_of_norms_to_the_sixth():
    """D = w·x + v·t has the slopes 13 and 1 everywhere: 14⁶, before the weight."""
    at = step(lambda x, t: x @ W + t @ V)
    assert MatchingAwarePenalty()(at).item() == pytest.approx(14**6, rel=1e-12)
    weighed = MatchingAwarePenalty(weight=7, power=2, every=16)
    assert weighed(at).item() == pytest.approx(14**2, rel=1e-12)
    assert (MatchingAwarePenalty().weight, MatchingAwarePenalty().every) == (2.0, 1)


def test_the_penalty_is_at_real_samples_with_their_own_conditions():
    """D = ½‖x‖² ‖t‖² has the slopes ‖x‖‖t‖² and ‖x‖²‖t‖; the mean is over samples."""
    at = step(lambda x, t: x.square().sum(1) * t.square().sum(1) / 2)
    x, t = at.real.norm(dim=1), at.condition.norm(dim=1)
    expected = (x * t.square() + x.square() * t).pow(6).mean()
    torch.testing.assert_close(MatchingAwarePenalty()(at), expected, rtol=1e-12, atol=0)


def test_the_penalty_moves_the_discriminator_as_finite_differences_say():
    """Second derivatives of a small network, in float64."""
    real, told = torch.randn(4, 3).double(), torch.randn(4, 2).double()
    parameters = [
        torch.randn(shape, dtype=torch.double, requires_grad=True)
        for shape in [(6, 5), (6,), (1, 6)]
    ]

    def penalty(hidden, bias, last):
        def judged(x, t):
            return ((torch.cat([x, t], 1) @ hidden.T + bias).tanh() @ last.T)[:, 0]

        return MatchingAwarePenalty(power=3)(step(judged, real, told))

    assert torch.autograd.gradcheck(penalty, parameters)


def test_without_a_condition_there_is_one_norm():
    """13⁶; and a discriminator that does not heed its condition has no slope by it."""
    alone = SimpleNamespace(
        real=torch.randn(5, 3).double(), condition=None, discriminate=lambda x, _: x @ W
    )
    assert MatchingAwarePenalty()(alone).item() == pytest.approx(13**6, rel=1e-12)
    heedless = step(lambda x, _: x @ W)
    assert MatchingAwarePenalty()(heedless).item() == pytest.approx(13**6, rel=1e-12)


def test_data_and_conditioner_get_no_gradient():
    """They are cut off; a discriminator that is flat gets a gradient that is finite."""
    w = torch.zeros(3, dtype=torch.double, requires_grad=True)
    real = torch.randn(5, 3, dtype=torch.double, requires_grad=True)
    told = torch.randn(5, 2, dtype=torch.double, requires_grad=True)
    penalty = MatchingAwarePenalty()(step(lambda x, t: x @ w + t @ V, real, told * 2))
    penalty.backward()
    assert penalty.item() == pytest.approx(1.0)
    assert real.grad is None
    assert told.grad is None
    assert w.grad.isfinite().all()
