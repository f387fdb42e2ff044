"""Penalty `gradient-penalty`: WGAN-GP's."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from attrs import frozen

from gankit import Count, NonNegative
from gankit_losses.gradients import sample_gradients

if TYPE_CHECKING:
    from torch import Tensor

    from gankit import Step


@frozen
class GradientPenalty:
    """E[(‖∇D(x̂)‖ − 1)²] at points x̂ between a real and a generated sample.

    Gulrajani et al. 2017, equation 3: x̂ = ε x + (1 − ε) G(z) with ε uniform on [0, 1),
    one for each sample, from torch's global generator. x̂ is judged with the condition
    that its two ends share. It is meant for a discriminator without batch norm, whose
    slope it draws to 1 and so keeps bounded (``lipschitz``).

    Args:
        weight: λ; the discriminator's loss grows by λ E[(‖∇D(x̂)‖ − 1)²].
        every: evaluate it in every so many steps only, that much stronger.
    """

    lipschitz: ClassVar[bool] = True

    weight: NonNegative = 10.0
    every: Count = 1

    def __call__(self, step: Step) -> Tensor:
        """Return the penalty before its weight, a scalar."""
        real, fake = step.real, step.fake.detach()
        ones = (1,) * (real.ndim - 1)
        between = torch.rand(len(real), *ones, dtype=real.dtype, device=real.device)
        gradients = sample_gradients(step, torch.lerp(fake, real, between))
        norms: Tensor = torch.linalg.vector_norm(gradients, dim=1)  # (B,)
        return (norms - 1).square().mean()
