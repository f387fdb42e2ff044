"""Classifier two-sample tests: can real and generated samples be told apart at all?

Lopez-Paz & Oquab 2017, "Revisiting classifier two-sample tests". A classifier that has
not seen the samples which it scores is right half of the time if both are of one
distribution, and more often if they are not.
"""

from __future__ import annotations

import torch
from attrs import frozen
from torch import Tensor

from gankit_metrics.measures.distances import Space
from gankit_metrics.measures.estimate import Estimate
from gankit_metrics.measures.inputs import check_pair
from gankit_metrics.measures.mann_whitney import placements

_REAL, _FAKE = 0, 1


@frozen
class TwoSample:
    """How often a classifier is right, and how often by chance.

    Attributes:
        accuracy: the mean of the next two, in [0, 1].
        accuracy_real: of real samples.
        accuracy_fake: of generated samples.
        standard_error: of ``accuracy``.
        chance: the accuracy to be expected of samples of one distribution.
        chance_error: its standard deviation then: an accuracy more than twice as far
            from ``chance`` is seldom luck.
    """

    accuracy: float
    accuracy_real: float
    accuracy_fake: float
    standard_error: float
    chance: float
    chance_error: float


def two_sample_accuracy(
    real_scores: Tensor, fake_scores: Tensor, threshold: float = 0.0
) -> TwoSample:
    """Return how often scores (N,), (M,) over ``threshold`` are of real samples.

    Section 3 of the paper. 0 is the threshold of logits, ½ that of probabilities; a
    score that equals it counts half. Both kinds weigh the same, whatever N and M, so
    that chance is ½. Scores must be of samples that the classifier was not trained on:
    the held-out half of each kind.

    Raises:
        ValueError: scores that are not (N,), not finite, or none.
    """
    _check_scores(real_scores, fake_scores)
    real = _right(real_scores.double() - threshold)
    fake = _right(threshold - fake_scores.double())
    p, q, n, m = real.mean().item(), fake.mean().item(), len(real), len(fake)
    return TwoSample(
        accuracy=(p + q) / 2,
        accuracy_real=p,
        accuracy_fake=q,
        standard_error=(p * (1 - p) / n + q * (1 - q) / m) ** 0.5 / 2,
        chance=0.5,
        chance_error=(1 / n + 1 / m) ** 0.5 / 4,
    )


def auc(real_scores: Tensor, fake_scores: Tensor) -> Estimate:
    """Return the share of pairs in which the real sample's score is greater, in [0, 1].

    It is the area under the ROC curve, the Mann–Whitney statistic U/(NM) with ties as
    half: ½ by chance. It needs no threshold, and N and M may differ. The standard error
    is that of DeLong et al. 1988.

    Raises:
        ValueError: scores that are not (N,), not finite, or fewer than two of a kind.
    """
    _check_scores(real_scores, fake_scores, at_least=2)
    over = placements(real_scores, fake_scores)  # (N,)
    under = placements(fake_scores, real_scores)  # (M,)
    variance = over.var() / len(over) + under.var() / len(under)
    return Estimate(over.mean().item(), variance.sqrt().item())


def nearest_neighbour_accuracy(real: Tensor, fake: Tensor) -> TwoSample:
    """Return how often a vector's nearest other is of its own kind: (N, d), (N, d).

    The classifier is 1-NN with the vector itself left out (Lopez-Paz & Oquab 2017; Xu
    et al. 2018, "An empirical study on evaluation metrics of GANs"). Well over ½ the
    two can be told apart. Well under, generated vectors lie at real ones more closely
    than real ones at each other: copies. A high ``accuracy_fake`` with a low
    ``accuracy_real`` is a collapse. A tie between the kinds counts half.

    Vectors that are each other's nearest are right or wrong together. If a share c of
    the 2N vectors are, random labels give a variance of (1 + c)/(4 · 2N); both errors
    are widened by 1 + c.

    Raises:
        ValueError: sets of two sizes, for which chance would not be ½.
    """
    check_pair("real", real, "fake", fake, at_least=2)
    if len(real) != len(fake):
        raise ValueError(
            f"there are {len(real)} real and {len(fake)} generated vectors, but the "
            f"nearest is of the larger set more often; give equally many of both"
        )
    space, count = Space.of(real, fake), len(real)
    right, whose = [], []
    for kind, other in ((_REAL, _FAKE), (_FAKE, _REAL)):
        own, own_index = space.nearest(kind, kind)  # (N,), (N,)
        far, far_index = space.nearest(kind, other)
        lead = far - own
        lead[lead.abs() < space.tie(kind, other)] = 0
        right.append(_right(lead))
        # in the joint numbering of both sets
        own_index, far_index = own_index + kind * count, far_index + other * count
        whose.append(torch.where(lead > 0, own_index, far_index))
    nearest = torch.cat(whose)  # (2N,)
    mutual = nearest[nearest] == torch.arange(2 * count, device=nearest.device)
    p, q = right[_REAL].mean().item(), right[_FAKE].mean().item()
    widened = (1 + mutual.double().mean().item()) / count
    return TwoSample(
        accuracy=(p + q) / 2,
        accuracy_real=p,
        accuracy_fake=q,
        standard_error=(widened * (p * (1 - p) + q * (1 - q))) ** 0.5 / 2,
        chance=(count - 1) / (2 * count - 1),
        chance_error=(widened / 2) ** 0.5 / 2,
    )


def _right(leads: Tensor) -> Tensor:
    """Return 1 where a lead is positive, ½ where it is nought, else 0."""
    return (leads.sign() + 1) / 2


def _check_scores(real: Tensor, fake: Tensor, at_least: int = 1) -> None:
    for name, scores in (("real_scores", real), ("fake_scores", fake)):
        if scores.ndim != 1 or len(scores) < at_least:
            raise ValueError(
                f"{name} has the shape {tuple(scores.shape)}, but one number for each "
                f"of at least {at_least} samples is needed; give (N,)"
            )
        if scores.isnan().any():
            raise ValueError(
                f"{name} holds NaN, which is neither over nor under another; leave "
                f"these samples out, or mend the classifier"
            )
