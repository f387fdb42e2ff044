"""Loss `hinge`: the margin loss of SAGAN and BigGAN."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen
from torch.nn.functional import relu

if TYPE_CHECKING:
    from torch import Tensor

    from gankit import Step


@frozen
class Hinge:
    """D keeps real logits above 1 and fake ones below −1; G raises the fake ones.

    Lim & Ye 2017, "Geometric GAN"; Miyato et al. 2018, equations 16 and 17.
    """

    def discriminator(self, step: Step) -> Tensor:
        """Return E[max(0, 1 − D(x))] + E[max(0, 1 + D(G(z)))]."""
        return relu(1 - step.real_logits).mean() + relu(1 + step.fake_logits).mean()

    def generator(self, step: Step) -> Tensor:
        """Return −E[D(G(z))]."""
        return -step.fake_logits.mean()
