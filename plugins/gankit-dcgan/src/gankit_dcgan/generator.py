"""Generator `dcgan`: noise to square images by transposed convolutions."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from gankit import Count, Shapes, Whole, full_precision
from gankit_dcgan.layers import (
    PADDING,
    SMALLEST,
    initialise,
    join,
    projection,
    stages_of,
    widths_of,
)


class DCGANGenerator(nn.Module):
    """Transposed convolutions of stride 2 from 4 × 4 up to images (B, C, S, S).

    Noise (B, n), joined by the condition where there is one, passes a linear layer to
    4 × 4 features; every stage doubles the size and halves the channels; batch norm
    and ReLU everywhere but at the output, which is tanh. S is a power of two from 16
    up.

    - Radford et al. 2015, figure 1: ``width = 128`` at 64 × 64; ``kernel = 5`` is the
      authors' code's.
    - Their code's conditional form: ``condition_at = "layers"``.
    - Reed et al. 2016, section 4.1: ``width = 128``, ``condition_size = 128``.

    Deviations: the batch norm after the linear layer is per channel, where Radford's
    code has it per channel and place; the output has a bias; Reed's code adds residual
    blocks at 4 × 4 and 8 × 8 that the paper does not have.

    Args:
        width: channels at half the size of the image; they double at each stage
            towards 4 × 4.
        max_width: no stage has more channels; 1024 is Radford's widest.
        kernel: size of the convolutions' kernels.
        condition_size: a condition first passes a linear layer of this size and
            LeakyReLU; 0 joins it as it is, which suits one-hot labels.
        condition_at: the condition joins the noise, or also the input of every
            transposed convolution.
    """

    output_range = (-1.0, 1.0)

    def __init__(
        self,
        shapes: Shapes,
        *,
        width: Count = 64,
        max_width: Count = 1024,
        kernel: Literal[4, 5] = 4,
        condition_size: Whole = 0,
        condition_at: Literal["noise", "layers"] = "noise",
    ) -> None:
        super().__init__()
        widths = widths_of(stages_of(shapes.sample), width, max_width)[::-1]
        self.projection, joined = projection(shapes.condition, condition_size)
        self._conditional = shapes.condition > 0
        self._everywhere = self._conditional and condition_at == "layers"
        self.start = nn.Sequential(
            nn.Linear(shapes.noise + joined, widths[0] * SMALLEST**2, bias=False),
            nn.Unflatten(1, (widths[0], SMALLEST, SMALLEST)),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(),
        )
        planes = joined if self._everywhere else 0
        self.stages = nn.ModuleList(
            nn.Sequential(
                _doubling(inputs + planes, outputs, kernel, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(),
            )
            for inputs, outputs in pairwise(widths)
        )
        self.stages.append(
            nn.Sequential(
                _doubling(widths[-1] + planes, shapes.sample[0], kernel, bias=True)
            )
        )
        initialise(self)

    def forward(self, noise: Tensor, condition: Tensor | None) -> Tensor:
        """Generate images (B, C, S, S) within [-1, 1]."""
        if self._conditional:
            assert condition is not None, "a conditional network needs a condition"
            condition = self.projection(condition)
            noise = torch.cat([noise, condition], dim=1)
        features: Tensor = self.start(noise)  # (B, widths[0], 4, 4)
        for stage in self.stages:
            if condition is not None and self._everywhere:
                features = join(features, condition)
            features = stage(features)
        return full_precision(features).tanh()


def _doubling(
    inputs: int, outputs: int, kernel: Literal[4, 5], *, bias: bool
) -> nn.ConvTranspose2d:
    padding, output_padding = PADDING[kernel]
    return nn.ConvTranspose2d(
        inputs, outputs, kernel, 2, padding, output_padding, bias=bias
    )
