"""Augmentation `instance-noise`: for a discriminator that sees too much."""

from __future__ import annotations

import torch
from attrs import frozen
from torch import Tensor

from gankit import NonNegative


@frozen
class InstanceNoise:
    """Normal noise on every number of every sample, real and generated.

    Sønderby et al. 2017, "Amortised MAP inference for image super-resolution", and
    Arjovsky and Bottou 2017, "Towards principled methods for training generative
    adversarial networks", section 3: two distributions that lie apart, as those of
    drawings and of what a generator makes of them, overlap with noise. Then slight
    deviations of single numbers do not decide, and others have to. Distributions that
    are equal with noise are equal without. Both papers let the noise fade as training
    goes on: a schedule of ``std`` does.

    Args:
        std: standard deviation, in the units in which samples are judged; of images in
            [-1, 1], 0.15 is 19 of 255. It may follow a schedule.
    """

    std: NonNegative = 0.1

    def __call__(
        self, samples: Tensor, rng: torch.Generator, *, std: float | None = None
    ) -> Tensor:
        """Return samples (B, *sample) with noise, of the same type.

        Args:
            samples: (B, *sample).
            rng: on their device.
            std: that of a schedule, in place of the option.
        """
        noise = torch.randn(
            samples.shape, generator=rng, dtype=samples.dtype, device=samples.device
        )
        return samples + (self.std if std is None else std) * noise
