"""The part: the exponential loss of boosting, for both players."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from gankit import Positive

if TYPE_CHECKING:
    from torch import Tensor

    from gankit import Step


@frozen
class Exponential:
    """exp(−sl) for what is to be judged real with logit l, exp(sl) for the rest.

    Args:
        steepness: s.
    """

    steepness: Positive = 0.5

    def discriminator(self, step: Step) -> Tensor:
        """Score real samples up and fake ones down."""
        real = (-self.steepness * step.real_logits).exp().mean()
        return real + (self.steepness * step.fake_logits).exp().mean()

    def generator(self, step: Step) -> Tensor:
        """Score fake samples up."""
        return (-self.steepness * step.fake_logits).exp().mean()
