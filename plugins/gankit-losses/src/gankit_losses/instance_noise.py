"""Augmentation `instance-noise`: for a discriminator that sees too much."""

from __future__ import annotations

import torch
from attrs import frozen
from torch import Tensor

from gankit import Positive


@frozen
class InstanceNoise:
    """Normal noise on every number of every sample, real and generated.

    Sønderby et al. 2017, "Amortised MAP inference for image super-resolution", and
    Arjovsky and Bottou 2017, "Towards principled methods for training generative
    adversarial networks", section 3: two distributions that lie apart, as those of
    drawings and of what a generator makes of them, overlap with noise. Then slight
    deviations of single numbers do not decide, and others have to. Distributions that
    are equal with noise are equal without. Deviation: the noise does not decay.

    Args:
        std: standard deviation, in the units in which samples are judged; of images in
            [-1, 1], 0.15 is 19 of 255.
    """

    std: Positive = 0.1

    def __call__(self, samples: Tensor, rng: torch.Generator) -> Tensor:
        """Return samples (B, *sample) with noise, of the same type."""
        noise = torch.randn(
            samples.shape, generator=rng, dtype=samples.dtype, device=samples.device
        )
        return samples + self.std * noise
