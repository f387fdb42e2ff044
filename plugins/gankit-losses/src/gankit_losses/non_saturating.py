"""Loss `non-saturating`: what GANs have been trained with since the first."""

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
class NonSaturating:
    """D as in the minimax game; G minimises −E[log D(G(z))].

    Goodfellow et al. 2014, section 3. The authors' code halves the discriminator's
    loss: ``scale = 0.5``.

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
        """Return −E[log D(G(z))]."""
        return softplus(-step.fake_logits).mean()
