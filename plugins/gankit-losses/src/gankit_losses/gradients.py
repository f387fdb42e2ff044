"""The gradient that every penalty of this package measures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from gankit import Step


def sample_gradients(step: Step, samples: Tensor) -> Tensor:
    """Return each logit's gradient by its own sample, (B, number of elements).

    Conditions are those of the step's real samples. The result can be differentiated
    by the discriminator's parameters. Where the discriminator mixes samples (batch
    norm), a row also holds what its sample does to the other logits.
    """
    samples = samples.detach().requires_grad_()
    logits = step.discriminate(samples, step.condition)
    (gradients,) = torch.autograd.grad(logits.sum(), samples, create_graph=True)
    return gradients.flatten(1)
