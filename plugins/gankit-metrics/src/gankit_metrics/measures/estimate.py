"""A value that was measured on a sample, with its standard error."""

from __future__ import annotations

from attrs import frozen
from torch import Tensor


@frozen
class Estimate:
    """A mean over items, and how far it may be off.

    Attributes:
        value: the measured value.
        standard_error: the estimated standard deviation of ``value`` over samples of
            this size. That of a share is nought at 0 and 1, where the sample says no
            more than that the share is within about 3/N of it.
    """

    value: float
    standard_error: float


def share(hits: Tensor) -> Estimate:
    """Return the mean p of ``hits`` (N,) in [0, 1] with √(p(1 − p)/N), the binomial's.

    For hits between 0 and 1, as of a tie that counts half, that is an upper bound.
    """
    value = hits.double().mean().item()
    return Estimate(value, (value * (1 - value) / len(hits)) ** 0.5)
