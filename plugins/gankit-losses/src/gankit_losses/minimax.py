"""Loss `minimax`: the zero-sum game."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen
from torch.nn.functional import softplus

from gankit import Fraction, Positive
from gankit_losses.cross_entropy import cross_entropy

if TYPE_CHECKING:
    from torch import Tensor

    from gankit import Step


@frozen
class Minimax:
    """E[log D(x)] + E[log(1 − D(G(z)))], which D maximises and G minimises.

    Goodfellow et al. 2014, equation 1; with conditions Mirza & Osindero 2014, equation
    2. Where D is sure of itself the generator's gradient vanishes: `non-saturating`
    is what the paper trains with.

    Args:
        scale: factor of the discriminator's loss.
        label_smoothing: real samples count as fake by this share (one-sided;
            Salimans et al. 2016, section 3.4).
    """

    scale: Positive = 1.0
    label_smoothing: Fraction = 0.0

    def discriminator(self, step: Step) -> Tensor:
        """Return −E[log D(x)] − E[log(1 − D(G(z)))]."""
        return cross_entropy(step, self.scale, self.label_smoothing)

    def generator(self, step: Step) -> Tensor:
        """Return E[log(1 − D(G(z)))], which is never positive."""
        return -softplus(step.fake_logits).mean()
