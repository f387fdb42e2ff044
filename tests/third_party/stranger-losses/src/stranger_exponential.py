"""The part: the exponential loss of boosting, for both players."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from gankit import Positive

if TYPE_CHECKING:
    from torch import Tensor

    from gankit import Step

_STEEPEST = 20.0  # beyond it the exponential goes on as its tangent, and stays finite


@frozen
class Exponential:
    """exp(−sl) for what is to be judged real with logit l, exp(sl) for the rest.

    Args:
        steepness: s.
    """

    steepness: Positive = 0.5

    def discriminator(self, step: Step) -> Tensor:
        """Score real samples up and fake ones down."""
        return self._score(-step.real_logits) + self._score(step.fake_logits)

    def generator(self, step: Step) -> Tensor:
        """Score fake samples up."""
        return self._score(-step.fake_logits)

    def _score(self, logits: Tensor) -> Tensor:
        steep = self.steepness * logits
        beyond = (steep - _STEEPEST).clamp(min=0.0)
        return (steep.clamp(max=_STEEPEST).exp() * (1.0 + beyond)).mean()
