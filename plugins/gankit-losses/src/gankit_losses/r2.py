"""Penalty `r2`: the squared gradient at generated samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from attrs import frozen

from gankit import Count, NonNegative
from gankit_losses.gradients import sample_gradients

if TYPE_CHECKING:
    from torch import Tensor

    from gankit import Step


@frozen
class R2:
    """½ E[‖∇D(G(z))‖²] over generated samples, with the gradient of the logit.

    Mescheder et al. 2018, equation 10: the weight is its γ, and the ½ is in the
    penalty. The generator gets no gradient from it. It keeps the slope of the
    discriminator bounded there (``lipschitz``).

    Args:
        weight: γ; the discriminator's loss grows by γ/2 E[‖∇D(G(z))‖²].
        every: evaluate it in every so many steps only, that much stronger.
    """

    lipschitz: ClassVar[bool] = True

    weight: NonNegative = 10.0
    every: Count = 1

    def __call__(self, step: Step) -> Tensor:
        """Return the penalty before its weight, a scalar."""
        squares = sample_gradients(step, step.fake).square().sum(1)  # (B,)
        return squares.mean() / 2
