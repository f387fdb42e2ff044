"""Truths about the losses, each derived by hand."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.special import expit
from scipy.stats import wasserstein_distance

from gankit_losses.hinge import Hinge
from gankit_losses.least_squares import LeastSquares
from gankit_losses.minimax import Minimax
from gankit_losses.non_saturating import NonSaturating
from gankit_losses.relativistic import Relativistic
from gankit_losses.wasserstein import Wasserstein

CROSS_ENTROPIES = [Minimax, NonSaturating]

# Two distributions over three outcomes, and samples that have exactly these frequencies
P_REAL = torch.tensor([1 / 2, 1 / 4, 1 / 4], dtype=torch.double)
P_FAKE = torch.tensor([1 / 8, 1 / 8, 3 / 4], dtype=torch.double)
REAL = torch.tensor([0, 0, 0, 0, 1, 1, 2, 2])
FAKE = torch.tensor([0, 1, 2, 2, 2, 2, 2, 2])


def step(real, fake):
    """Return what a loss looks at, for given logits."""
    return SimpleNamespace(
        real_logits=torch.as_tensor(real, dtype=torch.double),
        fake_logits=torch.as_tensor(fake, dtype=torch.double),
    )


def judged(logits):
    """Return the step in which a discriminator gives each outcome these logits."""
    return step(logits[REAL], logits[FAKE])


def slope(loss, logits):
    """Return the derivative of a discriminator's loss by the logit of each outcome."""
    logits = logits.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss.discriminator(judged(logits)), logits)
    return gradient


@pytest.mark.parametrize("kind", CROSS_ENTROPIES)
def test_cross_entropy_is_least_at_the_ratio_of_densities(kind):
    """D* = p/(p + q), that is the logit log p/q (Goodfellow et al., proposition 1)."""
    optimum = (P_REAL / P_FAKE).log()
    torch.testing.assert_close(slope(kind(), optimum), torch.zeros(3).double())


@pytest.mark.parametrize("kind", CROSS_ENTROPIES)
def test_cross_entropys_least_value_is_the_jensen_shannon_divergence(kind):
    """Its negative is -log 4 + 2 JSD (Goodfellow et al., theorem 1)."""
    value = -kind().discriminator(judged((P_REAL / P_FAKE).log()))
    expected = -math.log(4) + 2 * jensenshannon(P_REAL, P_FAKE) ** 2
    assert value.item() == pytest.approx(expected, abs=1e-12)


def test_minimax_is_a_zero_sum_game():
    """What the generator gains in its term of the value, the discriminator loses."""
    at = step([0.3, -1.0], [2.0, -0.5])
    value_of_fakes = np.log(1 - expit([2.0, -0.5])).mean()
    assert Minimax().generator(at).item() == pytest.approx(value_of_fakes)
    without_fakes = step([0.3, -1.0], [-1e3])  # log(1 - D) = 0 for such a fake
    loss = Minimax().discriminator
    assert (loss(at) - loss(without_fakes)).item() == pytest.approx(-value_of_fakes)


def test_minimax_generator_raises_logits_by_d_of_its_samples():
    """The derivative of mean log(1 - D) is -D/B: it vanishes where D is sure."""
    fake = torch.tensor([-8.0, 0.0, 8.0], dtype=torch.double, requires_grad=True)
    (gradient,) = torch.autograd.grad(Minimax().generator(step([0], fake)), fake)
    np.testing.assert_allclose(gradient, -expit([-8.0, 0.0, 8.0]) / 3)


def test_non_saturating_generator_raises_logits_by_one_minus_d():
    """The derivative of mean -log D is -(1 - D)/B: it is largest where D is sure."""
    fake = torch.tensor([-8.0, 0.0, 8.0], dtype=torch.double, requires_grad=True)
    loss = NonSaturating().generator(step([0], fake))
    (gradient,) = torch.autograd.grad(loss, fake)
    np.testing.assert_allclose(gradient, -(1 - expit([-8.0, 0.0, 8.0])) / 3)
    assert loss.item() == pytest.approx(-np.log(expit([-8.0, 0.0, 8.0])).mean())


@pytest.mark.parametrize("kind", CROSS_ENTROPIES)
def test_scale_is_of_the_discriminators_loss_alone(kind):
    """Goodfellow's code: ½ (BCE(real, 1) + BCE(fake, 0)), the generator's whole."""
    at = step([0.3, -1.0], [2.0, -0.5])
    real, fake = expit([0.3, -1.0]), expit([2.0, -0.5])
    expected = (-np.log(real).mean() - np.log(1 - fake).mean()) / 2
    halved = kind(scale=0.5)
    assert halved.discriminator(at).item() == pytest.approx(expected)
    assert halved.generator(at) == kind().generator(at)


@pytest.mark.parametrize("kind", CROSS_ENTROPIES)
def test_label_smoothing_moves_the_optimum_of_real_samples_alone(kind):
    """With real targets 1 - s the best D is (1 - s) p / (p + q), as Salimans says."""
    best = 0.9 * P_REAL / (P_REAL + P_FAKE)
    gradient = slope(kind(label_smoothing=0.1), best.logit())
    torch.testing.assert_close(gradient, torch.zeros(3).double())


@pytest.mark.parametrize("kind", CROSS_ENTROPIES)
def test_label_smoothing_is_the_cross_entropy_with_soft_targets(kind):
    """-(1 - s) log D - s log(1 - D) for real samples, -log(1 - D) for fakes."""
    at = step([0.3, -1.0], [2.0, -0.5])
    real, fake = expit([0.3, -1.0]), expit([2.0, -0.5])
    expected = -0.8 * np.log(real) - 0.2 * np.log(1 - real) - np.log(1 - fake)
    actual = kind(label_smoothing=0.2).discriminator(at)
    assert actual.item() == pytest.approx(expected.mean())


@pytest.mark.parametrize("kind", [*CROSS_ENTROPIES, Relativistic])
def test_extreme_logits_stay_finite(kind):
    """At ±1000 the losses are linear in the logits, in float32 too."""
    at = SimpleNamespace(
        real_logits=torch.tensor([-1e3]), fake_logits=torch.tensor([1e3])
    )
    assert kind().discriminator(at).item() == 2000
    swapped = SimpleNamespace(real_logits=at.fake_logits, fake_logits=at.real_logits)
    expected = {Minimax: 0, NonSaturating: 1000, Relativistic: 2000}
    assert kind().generator(swapped).item() == expected[kind]


def test_least_squares_is_least_at_the_weighted_targets():
    """D* = (b p + a q)/(p + q) (Mao et al. 2017, section 3)."""
    loss = LeastSquares(fake_target=-0.3, real_target=1.7)
    best = (1.7 * P_REAL - 0.3 * P_FAKE) / (P_REAL + P_FAKE)
    torch.testing.assert_close(slope(loss, best), torch.zeros(3).double())


def test_least_squares_generator_minimises_a_pearson_divergence():
    """With b - c = 1 and b - a = 2, 2 C(G) = χ²(p + q ‖ 2q).

    Mao et al. 2017, section 3; their C(G) also counts the real samples, which the
    generator cannot change.
    """
    loss = LeastSquares(fake_target=-1, real_target=1, generator_target=0)
    best = (P_REAL - P_FAKE) / (P_REAL + P_FAKE)
    of_fake = loss.generator(step([0], best[FAKE]))
    of_real = loss.generator(step([0], best[REAL]))
    mixture = P_REAL + P_FAKE
    pearson = ((2 * P_FAKE - mixture) ** 2 / mixture).sum()
    torch.testing.assert_close(2 * (of_fake + of_real), pearson)


def test_least_squares_defaults_are_zero_and_one_with_a_half():
    """½ (mean (D(x) - 1)² + mean D(G(z))²), ½ mean (D(G(z)) - 1)²."""
    at = step([3.0, 1.0], [2.0, 0.0])
    assert LeastSquares().discriminator(at) == (4 + 0) / 4 + (4 + 0) / 4
    assert LeastSquares().generator(at) == (1 + 1) / 4


def test_hinge_looks_only_at_what_is_within_the_margin():
    """Real logits below 1 and fake ones above -1 count, by their distance."""
    at = step([-1.0, 0.5, 1.0, 7.0], [-9.0, -1.0, 0.0, 2.0])
    assert Hinge().discriminator(at) == (2 + 0.5) / 4 + (1 + 3) / 4
    assert Hinge().generator(at) == -(-9 - 1 + 0 + 2) / 4


def test_hinge_at_its_optimum_is_one_minus_total_variation_doubled():
    """D* = sign(p - q) gives 2 - 2 TV = 2 Σ min(p, q)."""
    loss = Hinge().discriminator(judged((P_REAL - P_FAKE).sign()))
    torch.testing.assert_close(loss, 2 * torch.minimum(P_REAL, P_FAKE).sum())


def test_wasserstein_of_the_best_critic_is_the_earth_movers_distance():
    """On the line, D(x) = -x is the best 1-Lipschitz critic of a shift to the right."""
    real = np.array([0.0, 1.0, 3.0])
    fake = real + 2.5
    at = step(-real, -fake)
    distance = wasserstein_distance(real, fake)
    assert -Wasserstein().discriminator(at).item() == pytest.approx(distance)
    assert Wasserstein().generator(at).item() == pytest.approx(fake.mean())


def test_relativistic_compares_in_pairs_and_is_symmetric():
    """-log σ(D(x) - D(G(z))) of each pair; the generator has the roles swapped."""
    real, fake = np.array([0.3, -1.0]), np.array([2.0, -0.5])
    expected = -np.log(expit(real - fake)).mean()
    loss = Relativistic()
    assert loss.discriminator(step(real, fake)).item() == pytest.approx(expected)
    assert loss.generator(step(fake, real)).item() == pytest.approx(expected)


def test_relativistic_knows_differences_only():
    """Adding a constant to every logit changes nothing."""
    at, moved = step([0.3, -1.0], [2.0, -0.5]), step([5.3, 4.0], [7.0, 4.5])
    loss = Relativistic()
    torch.testing.assert_close(loss.discriminator(at), loss.discriminator(moved))
    torch.testing.assert_close(loss.generator(at), loss.generator(moved))
