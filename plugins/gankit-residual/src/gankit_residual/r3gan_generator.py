"""Generator `r3gan`: noise to pictures by grouped residual blocks without norms."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from gankit import UNBOUNDED, Count, Shapes, Whole
from gankit_residual.r3gan_layers import Doubled, drawn
from gankit_residual.r3gan_plan import planned, stage


class R3GANGenerator(nn.Module):
    """Grouped residual blocks at each size, from a learned map up to (B, C, H, W).

    Huang et al. 2024, "The GAN is dead; long live the GAN! A modern GAN baseline". The
    smallest map is one that is learned, of which the noise scales each channel. Then
    come blocks, bilinear doubling, blocks and so on, and a 1 × 1 convolution at the
    end, without a bound. There is no norm, and nothing else of StyleGAN. H and W are
    multiples of 2^(number of widths − 1).

    CIFAR-10 in the authors' code: four widths of 768, two blocks each, expansion 2, 96
    groups of 16, noise of 64 numbers; FFHQ-64: 768 four times, then 384.

    With a condition, a linear map of it joins the noise.

    Args:
        widths: channels at each size, the smallest map first.
        blocks: residual blocks at each size.
        expansion: a block's inner channels are so many times its width.
        group: inner channels that a 3 × 3 convolution joins.
        condition_size: numbers that are made of a condition.
    """

    output_range = UNBOUNDED

    def __init__(
        self,
        shapes: Shapes,
        *,
        widths: tuple[Count, ...] = (128, 128, 128, 128),
        blocks: Whole = 2,
        expansion: Count = 2,
        group: Count = 16,
        condition_size: Count = 64,
    ) -> None:
        super().__init__()
        small = planned(shapes.sample, widths, expansion, group)
        self.embedding: nn.Linear | None = None
        joined = 0
        if shapes.condition:
            joined = condition_size
            self.embedding = drawn(nn.Linear(shapes.condition, joined, bias=False))
        self.basis = nn.Parameter(torch.randn(widths[0], *small))
        self.scales = drawn(nn.Linear(shapes.noise + joined, widths[0], bias=False))
        depth = blocks * len(widths)
        layers = stage(widths[0], blocks, expansion, group, depth)
        for inputs, outputs in pairwise(widths):
            layers.append(Doubled(inputs, outputs))
            layers += stage(outputs, blocks, expansion, group, depth)
        layers.append(drawn(nn.Conv2d(widths[-1], shapes.sample[0], 1, bias=False)))
        self.layers = nn.Sequential(*layers)

    def forward(self, noise: Tensor, condition: Tensor | None) -> Tensor:
        """Generate pictures (B, C, H, W), without bounds."""
        if self.embedding is not None:
            assert condition is not None, "a conditional network needs a condition"
            noise = torch.cat([noise, self.embedding(condition)], dim=1)
        scales = self.scales(noise)[:, :, None, None]
        pictures: Tensor = self.layers(self.basis * scales)
        return pictures
