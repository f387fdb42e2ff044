"""Modes hit: of mixtures of Gaussians, and of stacked digits.

Srivastava et al. 2017, "VEEGAN"; Lin et al. 2018, "PacGAN", section 4.
"""

from __future__ import annotations

import torch
from attrs import frozen
from torch import Tensor

from gankit_metrics.measures.distances import Space
from gankit_metrics.measures.inputs import check_labels, check_pair


@frozen
class Modes:
    """How samples are spread over the modes of the data.

    Attributes:
        hit: how many modes have a sample.
        kl: KL(generated ‖ real) in nats over the modes, which those papers call the
            reverse KL; 0 if samples are spread as the data is, log K at most if that
            is evenly spread over K modes. N samples of the data itself have about
            (K − 1)/2N. Infinite if there are samples where the data has none.
    """

    hit: int
    kl: float


@frozen
class GaussianModes(Modes):
    """The same of a mixture of Gaussians.

    Attributes:
        high_quality: the share of samples near a mode, in [0, 1]. Of a Gaussian in two
            dimensions itself it is 1 − exp(−9/2) = 0.989.
    """

    high_quality: float


def modes(counts: Tensor, real: Tensor | None = None) -> Modes:
    """Return the spread of ``counts`` (K,), the number of samples of each mode.

    ``real`` (K,) are the data's counts or probabilities; without, modes are evenly
    frequent, as the thousand of stacked MNIST nearly are.

    Raises:
        ValueError: counts under 0, all 0, or of two lengths.
    """
    real = torch.ones_like(counts) if real is None else real
    if counts.ndim != 1 or counts.shape != real.shape:
        raise ValueError(
            f"counts have the shape {tuple(counts.shape)} and those of the data "
            f"{tuple(real.shape)}; give one number for each mode, (K,)"
        )
    for name, numbers in (("counts", counts), ("real", real)):
        if not (numbers >= 0).all() or not 0 < numbers.sum() < torch.inf:
            raise ValueError(
                f"{name} are not all of 0 or more with a sum over 0; count at least "
                f"one sample"
            )
    p, q = counts.double() / counts.sum(), real.double() / real.sum()
    kl = (torch.xlogy(p, p) - torch.xlogy(p, q)).sum().item()
    return Modes(hit=int((counts > 0).sum()), kl=max(0.0, kl))


def gaussian_modes(
    samples: Tensor, centres: Tensor, deviation: float, *, within: float = 3.0
) -> GaussianModes:
    """Return the spread of samples (N, d) over Gaussians at ``centres`` (K, d).

    All have the same ``deviation`` in each direction and the same weight. A sample is
    of high quality if it lies nearer than ``within`` deviations to its nearest centre;
    a mode is hit if it has such a sample. ``kl`` is of all samples, each of its nearest
    centre.

    Raises:
        ValueError: a deviation that is not over 0, or vectors that do not go together.
    """
    check_pair("samples", samples, "centres", centres)
    if not deviation > 0:
        raise ValueError(
            f"the deviation of the modes is {deviation}, but a sample needs some room "
            f"around a centre; give that of the data, over 0"
        )
    squares, nearest = Space.of(centres, samples).nearest(1, 0)
    good = squares < (within * deviation) ** 2
    counts = nearest.bincount(minlength=len(centres))
    hit = nearest[good].bincount(minlength=len(centres)) > 0
    return GaussianModes(
        hit=int(hit.sum()),
        kl=modes(counts).kl,
        high_quality=good.double().mean().item(),
    )


def stacked_counts(digits: Tensor, classes: int = 10) -> Tensor:
    """Return how often each combination of labels occurs, (classes^C,).

    ``digits`` (N, C) are the classes of each channel, as a classifier of single digits
    sees them: of stacked MNIST, three of ten, a thousand modes.

    Raises:
        ValueError: labels that are no whole numbers in 0 … classes − 1.
    """
    if digits.ndim != 2:
        raise ValueError(
            f"digits have the shape {tuple(digits.shape)}; give one class for each "
            f"channel, (N, C)"
        )
    check_labels("digits", digits.flatten(), digits.numel())
    if digits.numel() and digits.max() >= classes:
        raise ValueError(
            f"digits holds the class {int(digits.max())}, but there are {classes}; "
            f"give the number of classes"
        )
    channels = digits.shape[1]
    weights = classes ** torch.arange(channels - 1, -1, -1, device=digits.device)
    return (digits * weights).sum(1).bincount(minlength=classes**channels)
