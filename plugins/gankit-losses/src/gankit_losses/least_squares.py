"""Loss `least-squares`: LSGAN."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from torch import Tensor

    from gankit import Step


@frozen
class LeastSquares:
    """Half the mean squared distance of the logits to a target each.

    Mao et al. 2017, equation 2, with its ½; the defaults are its equation 9 (targets 0
    and 1). Equation 8, under which the generator minimises a Pearson χ² divergence, is
    ``fake_target = -1``, ``real_target = 1``, ``generator_target = 0``.

    Args:
        fake_target: where the discriminator wants generated samples (a).
        real_target: where the discriminator wants real samples (b).
        generator_target: where the generator wants generated samples (c).
    """

    fake_target: float = 0.0
    real_target: float = 1.0
    generator_target: float = 1.0

    def discriminator(self, step: Step) -> Tensor:
        """Return ½ E[(D(x) − b)²] + ½ E[(D(G(z)) − a)²]."""
        real = (step.real_logits - self.real_target).square().mean()
        fake = (step.fake_logits - self.fake_target).square().mean()
        return (real + fake) / 2

    def generator(self, step: Step) -> Tensor:
        """Return ½ E[(D(G(z)) − c)²]."""
        return (step.fake_logits - self.generator_target).square().mean() / 2
