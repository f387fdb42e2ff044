"""Loss `relativistic`: real and fake are judged against each other, in pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from attrs import frozen
from torch.nn.functional import softplus

if TYPE_CHECKING:
    from torch import Tensor

    from gankit import Step


@frozen
class Relativistic:
    """D says which of a real and a generated sample is real; G makes it err.

    RpGAN with the logistic loss: Jolicoeur-Martineau 2019 (there RSGAN); with the
    penalties `r1` and `r2` it is the loss of R3GAN (Huang et al. 2024). The i-th real
    sample of a batch is paired with the i-th generated one, which has its condition.
    Only differences between logits matter (``relative``), and their signs say nothing.
    """

    relative: ClassVar[bool] = True

    def discriminator(self, step: Step) -> Tensor:
        """Return E[softplus(D(G(z)) − D(x))]."""
        return softplus(step.fake_logits - step.real_logits).mean()

    def generator(self, step: Step) -> Tensor:
        """Return E[softplus(D(x) − D(G(z)))]."""
        return softplus(step.real_logits - step.fake_logits).mean()
