"""Loss `wasserstein`: the difference of mean logits."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from attrs import frozen

if TYPE_CHECKING:
    from torch import Tensor

    from gankit import Step


@frozen
class Wasserstein:
    """D estimates the earth mover's distance, G shortens it.

    Arjovsky et al. 2017, equation 2. It means something only for a discriminator whose
    slope is bounded, which it declares as ``needs_lipschitz``: add the penalty
    `gradient-penalty` (Gulrajani et al. 2017) and a discriminator without batch norm.
    Only differences between logits matter (``relative``), and their signs say nothing.
    """

    needs_lipschitz: ClassVar[bool] = True
    relative: ClassVar[bool] = True

    def discriminator(self, step: Step) -> Tensor:
        """Return E[D(G(z))] − E[D(x)], minus the estimated distance."""
        return step.fake_logits.mean() - step.real_logits.mean()

    def generator(self, step: Step) -> Tensor:
        """Return −E[D(G(z))]."""
        return -step.fake_logits.mean()
