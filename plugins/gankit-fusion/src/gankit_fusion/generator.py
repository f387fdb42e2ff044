"""Generator `fusion`: noise to pictures, with the text fused in at every scale."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from gankit import UNBOUNDED, Count, Shapes, full_precision
from gankit_fusion.blocks import SLOPE, UpBlock
from gankit_fusion.shapes import plan_of


class FusionGenerator(nn.Module):
    """Doublings from 4 × 4 up to a picture (B, C, H, W), each fused with the condition.

    Noise (B, n) passes a linear layer to 4 × 4 features. Every block doubles the size,
    and scales and shifts each channel four times by what small networks make of noise
    and condition together; a convolution and tanh give the picture. There is no batch
    norm. Sides are 4 to 15 times a power of two, the same for both, 16 or more: 64, 96,
    128, 256; 64 × 96.

    Tao et al. 2022, "DF-GAN: a simple and effective baseline for text-to-image
    synthesis", sections 3.2 and 3.4; 256 × 256 with ``width = 32``, noise of 100 and
    sentence vectors of 256. From their code, not the paper: widths, leaky rectifiers,
    and noise beside the text in what fuses. Without a condition noise alone does.

    Args:
        width: channels at the size of the picture; they double at each halving, up to
            eight times as many.
        output: tanh keeps pictures within [-1, 1], linear does not. There are no norms:
            on a white ground a short run can drive tanh to where its gradient is 0, and
            everything stays white; a linear output always leads back.
    """

    output_range: tuple[float, float]

    def __init__(
        self,
        shapes: Shapes,
        *,
        width: Count = 32,
        output: Literal["tanh", "linear"] = "tanh",
    ) -> None:
        super().__init__()
        self.output_range = (-1.0, 1.0) if output == "tanh" else UNBOUNDED
        plan = plan_of(shapes.sample, width)
        widths = plan.widths[::-1]
        self._conditional = shapes.condition > 0
        told = shapes.noise + shapes.condition
        self.start = nn.Sequential(
            nn.Linear(shapes.noise, widths[0] * plan.height * plan.width),
            nn.Unflatten(1, (widths[0], plan.height, plan.width)),
        )
        self.blocks = nn.ModuleList(
            UpBlock(told, inputs, outputs) for inputs, outputs in pairwise(widths)
        )
        self.end = nn.Sequential(
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(widths[-1], plan.channels, 3, 1, 1),
        )

    def forward(self, noise: Tensor, condition: Tensor | None) -> Tensor:
        """Generate pictures (B, C, H, W) within ``output_range``."""
        told = noise
        if self._conditional:
            assert condition is not None, "a conditional network needs a condition"
            told = torch.cat([noise, condition], dim=1)
        features = self.start(noise)
        for block in self.blocks:
            features = block(features, told)
        pictures: Tensor = self.end(features)
        if self.output_range == UNBOUNDED:
            return pictures
        return full_precision(pictures).tanh()
