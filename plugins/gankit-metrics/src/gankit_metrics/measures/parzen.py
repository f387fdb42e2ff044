"""Parzen-window log-likelihood, as the first GAN papers measured it.

Goodfellow et al. 2014, section 5, and Mirza & Osindero 2014, section 4.1. A Gaussian
of width σ around each generated sample gives a density, in which test samples have a
likelihood. Theis et al. 2016 show how little it says of pictures: it is here to stand
beside the published numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from attrs import frozen
from torch import Tensor

from gankit_metrics.measures.distances import Space
from gankit_metrics.measures.inputs import check_pair

# the authors' code: ten values, their logarithms evenly spaced from 0.1 to 1
BANDWIDTHS = tuple(10 ** (i / 9 - 1) for i in range(10))

_VALIDATION = 1000  # the authors' code: of so many of the first points


@frozen
class Parzen:
    """The test set's mean log-likelihood under the Parzen window of samples.

    Attributes:
        log_likelihood: in nats a sample, of a density on [0, 1]ᵈ.
        standard_error: of that mean over the test points. It knows nothing of another
            draw of samples, nor of another σ.
        bandwidth: the σ that was chosen. If it is the first or last of ``BANDWIDTHS``,
            the best may lie beyond.
    """

    log_likelihood: float
    standard_error: float
    bandwidth: float


def parzen(samples: Tensor, validation: Tensor, test: Tensor) -> Parzen:
    """Return the measure of both papers of samples (N, d) in [0, 1], there N = 10,000.

    σ is the one of ``BANDWIDTHS`` that gives the first 1,000 points of ``validation``
    (V, d) the greatest mean log-likelihood; with it all points of ``test`` (T, d) are
    measured. Validation and test points must be none that the samples' generator was
    trained on.

    Raises:
        ValueError: numbers that are not in [0, 1], for which the bandwidths are made.
    """
    for name, points in (
        ("samples", samples),
        ("validation", validation),
        ("test", test),
    ):
        check_pair("samples", samples, name, points, at_least=2)
        low, high = points.min().item(), points.max().item()
        if low < 0 or high > 1:
            raise ValueError(
                f"{name} reaches from {low:.3g} to {high:.3g}, but the measure is of "
                f"pixels in [0, 1]; scale them, [-1, 1] by (x + 1) / 2"
            )
    bandwidth = best_bandwidth(samples, validation[:_VALIDATION])
    found = log_likelihoods(samples, test, [bandwidth])[0]
    error = found.std() / math.sqrt(len(found))
    return Parzen(found.mean().item(), error.item(), bandwidth)


def best_bandwidth(
    samples: Tensor, points: Tensor, bandwidths: Sequence[float] = BANDWIDTHS
) -> float:
    """Return the σ under which ``points`` (P, d) have the greatest mean likelihood."""
    means = log_likelihoods(samples, points, bandwidths).mean(1)  # (S,)
    return bandwidths[int(means.argmax())]


def log_likelihoods(
    samples: Tensor, points: Tensor, bandwidths: Sequence[float]
) -> Tensor:
    """Return log 1/N Σᵢ N(x; sᵢ, σ²I) of points x (P, d) for S values of σ, (S, P).

    Distances are matrix products in float64, off by less than 1e-13 R², where R is
    the greatest distance from the samples' mean, and likelihoods by that over 2σ². For
    784 pixels in [0, 1] and σ = 0.1 it is under 4e-9 nats.

    Raises:
        ValueError: a bandwidth that is not over 0, or vectors that do not go together.
    """
    check_pair("samples", samples, "points", points)
    if not bandwidths or min(bandwidths) <= 0:
        raise ValueError(
            f"bandwidths are {list(bandwidths)}, but a width is over 0; take those of "
            f"the papers, 0.1 to 1"
        )
    count, size = samples.shape
    space = Space.of(samples, points)
    found = torch.empty(
        len(bandwidths), len(points), dtype=torch.float64, device=points.device
    )
    for rows, squares in space.blocks(1, 0):  # (rows, N)
        for row, width in enumerate(bandwidths):
            constant = math.log(count) + size * math.log(width * math.sqrt(2 * math.pi))
            sums = torch.logsumexp(squares * (-1 / (2 * width**2)), 1)
            found[row, rows] = sums - constant
    return found
