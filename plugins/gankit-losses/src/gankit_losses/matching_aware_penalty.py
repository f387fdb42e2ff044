"""Penalty `matching-aware`: DF-GAN's gradient penalty at real, matching pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from attrs import frozen

from gankit import Count, NonNegative, Positive

if TYPE_CHECKING:
    from torch import Tensor

    from gankit import Step


@frozen
class MatchingAwarePenalty:
    """E[(‖∇ₓD(x, t)‖ + ‖∇ₜD(x, t)‖)ᵖ] at real samples with their own conditions.

    Tao et al. 2022, "DF-GAN", section 3.3 (MA-GP): it flattens the discriminator where
    pictures are real and texts match, so that the generator is led there past pictures
    that are real and do not match. The norms are of one sample's gradient each, t the
    vector that a conditioner gives. Without a conditioner the second one is left out.

    Where paper and code differ, this is the paper: the authors' code takes the norm of
    both gradients joined, between the greater of the two and their sum.

    Args:
        weight: k, by which the discriminator's loss grows.
        power: p.
        every: evaluate it in every so many steps only, that much stronger.
    """

    lipschitz: ClassVar[bool] = True

    weight: NonNegative = 2.0
    power: Positive = 6.0
    every: Count = 1

    def __call__(self, step: Step) -> Tensor:
        """Return the penalty before its weight, a scalar."""
        points = [step.real.detach().requires_grad_()]
        if step.condition is not None:
            points.append(step.condition.detach().requires_grad_())
        logits = step.discriminate(points[0], points[1] if points[1:] else None)
        gradients = torch.autograd.grad(
            logits.sum(), points, create_graph=True, materialize_grads=True
        )
        norms = [torch.linalg.vector_norm(g.flatten(1), dim=1) for g in gradients]
        total: Tensor = torch.stack(norms).sum(0).pow(self.power).mean()
        return total
