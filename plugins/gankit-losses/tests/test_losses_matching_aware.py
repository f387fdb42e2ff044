"""Truths about the loss `matching-aware`."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.special import expit

from gankit_losses.matching_aware import MatchingAware

CONDITION = torch.tensor([[1.0], [10.0], [100.0], [1000.0], [5.0]])


def recorded(condition):
    """Return a step that records what it generated and judged.

    A sample is its noise plus 0.001 times its condition, and so is its logit.
    """
    size = len(condition)
    noise = -torch.arange(1.0, size + 1)[:, None] / size
    seen = []

    def generate(noise, condition):
        seen.append((noise, condition))
        return noise + 0.001 * condition

    def discriminate(samples, condition):
        assert condition is seen[-1][1]
        return samples[:, 0]

    fake = noise + 0.001 * condition
    return SimpleNamespace(
        size=size,
        noise=noise,
        condition=condition,
        fake_logits=fake[:, 0],
        generate=generate,
        discriminate=discriminate,
        seen=seen,
    )


def test_it_says_what_it_cannot_do_without():
    """The assembly refuses it without a conditioner and mismatched conditions."""
    assert MatchingAware.needs_condition
    assert MatchingAware.needs_mismatch


def test_discriminator_weighs_the_two_kinds_of_fakes_by_half_each():
    """BCE(real, right; 1) + ½ BCE(real, wrong; 0) + ½ BCE(fake, right; 0)."""
    logits = np.array([[0.3, -1.0], [2.0, -0.5], [1.5, 0.1]])
    at = SimpleNamespace(
        real_logits=torch.tensor(logits[0]),
        mismatched_logits=torch.tensor(logits[1]),
        fake_logits=torch.tensor(logits[2]),
    )
    real, mismatched, fake = expit(logits)
    expected = -np.log(real) - np.log(1 - mismatched) / 2 - np.log(1 - fake) / 2
    actual = MatchingAware().discriminator(at).item()
    assert actual == pytest.approx(expected.mean())


def test_without_interpolation_the_generator_is_non_saturating():
    """GAN-CLS alone: mean -log D(G(z), t) of the step's own fakes."""
    at = recorded(CONDITION)
    expected = -np.log(expit(at.fake_logits.numpy())).mean()
    actual = MatchingAware(interpolation=0).generator(at).item()
    assert actual == pytest.approx(expected)
    assert not at.seen


def test_half_the_batch_is_added_between_items_half_a_batch_apart():
    """Item i with item i + B/2, at β = ½, as in the authors' code."""
    at = recorded(CONDITION[:4])
    MatchingAware().generator(at)
    ((noise, condition),) = at.seen
    assert condition.flatten().tolist() == [1, 10, 100, 1000, 50.5, 505]
    assert noise.tolist() == [*at.noise.tolist(), *at.noise[:2].tolist()]


def test_an_odd_batch_is_rounded_down():
    """Of five, two are added; the partners are i + 2."""
    at = recorded(CONDITION)
    MatchingAware().generator(at)
    assert at.seen[0][1].flatten().tolist() == [1, 10, 100, 1000, 5, 50.5, 505]


def test_the_loss_is_the_mean_over_mixed_and_unmixed():
    """-log D, averaged over B + B/2 samples alike."""
    at = recorded(CONDITION[:4])
    actual = MatchingAware().generator(at).item()
    ((noise, condition),) = at.seen
    logits = (noise + 0.001 * condition).double().flatten()
    assert len(logits) == 6
    assert actual == pytest.approx(-np.log(expit(logits.numpy())).mean(), rel=1e-6)


def test_beta_is_the_share_of_the_first_condition():
    """β t₁ + (1 - β) t₂."""
    at = recorded(CONDITION[:4])
    MatchingAware(beta=0.9).generator(at)
    mixed = at.seen[0][1][4:].flatten()
    torch.testing.assert_close(mixed, torch.tensor([10.9, 109.0]))


def test_no_condition_is_mixed_with_itself():
    """However many are asked for, and whatever the batch, partners differ."""
    for size in range(2, 9):
        at = recorded(10.0 ** torch.arange(size)[:, None])
        MatchingAware(interpolation=1.0).generator(at)
        unmixed, mixed = at.seen[0][1].split(size)
        assert not (mixed == unmixed).any()
        assert len(mixed) == size


def test_a_batch_of_one_has_no_pairs():
    """Then GAN-INT is GAN-CLS."""
    at = recorded(CONDITION[:1])
    loss = MatchingAware(interpolation=1.0).generator(at)
    assert loss == MatchingAware(interpolation=0).generator(at)
    assert not at.seen
