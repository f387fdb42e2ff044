"""The discriminator's cross-entropy, which `minimax` and `non-saturating` share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn.functional import softplus

if TYPE_CHECKING:
    from torch import Tensor

    from gankit import Step


def cross_entropy(step: Step, scale: float, label_smoothing: float) -> Tensor:
    """Return scale × (BCE(real, 1 − label_smoothing) + BCE(fake, 0)), a scalar.

    In logits l, −log D = softplus(−l) and −log(1 − D) = softplus(l) = softplus(−l) + l,
    so that a share s of the one instead of the other adds s·l.
    """
    real = softplus(-step.real_logits)
    if label_smoothing:
        real = real + label_smoothing * step.real_logits
    both = real.mean() + softplus(step.fake_logits).mean()
    return both if scale == 1.0 else scale * both
