"""What a training step sees of stored pictures: random crops and mirror images."""

from __future__ import annotations

import torch
from attrs import frozen
from torch import Tensor


@frozen
class RandomView:
    """A random square of each picture, mirrored half of the time if ``mirror``.

    Reed et al. 2016 train on 64 x 64 squares of 76 x 76 pictures, mirrored.
    """

    size: int
    mirror: bool = False

    def __call__(self, samples: Tensor, rng: torch.Generator) -> Tensor:
        """Cut (B, C, H, W) to (B, C, size, size), each picture at a place of its own.

        ``rng`` lives on the device of the samples, whose dtype is kept.
        """
        batch, _, height, width = samples.shape
        row = self._start(batch, height, rng)
        column = self._start(batch, width, rng)
        windows = samples.unfold(2, self.size, 1).unfold(3, self.size, 1)
        picture = torch.arange(batch, device=rng.device)
        views = windows[picture, :, row, column]  # (B, C, size, size)
        if not self.mirror:
            return views
        turned = torch.rand(batch, 1, 1, 1, generator=rng, device=rng.device) < 0.5
        return torch.where(turned, views.flip(-1), views)

    def _start(self, batch: int, length: int, rng: torch.Generator) -> Tensor:
        places = length - self.size + 1
        return torch.randint(places, (batch,), generator=rng, device=rng.device)
