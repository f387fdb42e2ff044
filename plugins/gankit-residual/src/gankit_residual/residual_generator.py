"""Generator `residual`: noise to pictures by residual blocks that double their size."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import interpolate, relu

from gankit import Count, Shapes, full_precision
from gankit_residual.layers import ROOT_TWO, ConditionalBatchNorm, conv
from gankit_residual.sizes import deepest


class ResidualGenerator(nn.Module):
    """Residual blocks from a small map of features up to pictures (B, C, H, W), tanh.

    A linear layer makes the smallest map, each block doubles it, and batch norm, ReLU
    and a 3 × 3 convolution end it. H and W are multiples of 2^(number of blocks).

    - Miyato et al. 2018, table 4 (CIFAR-10, 32 × 32): ``widths = [256, 256, 256,
      256]``; table 5 (STL-10, 48 × 48): ``[512, 256, 128, 64]``.
    - Miyato & Koyama 2018 (ImageNet, 128 × 128): ``[1024, 1024, 512, 256, 128, 64]``.

    With a condition all batch norms but the last follow it, as in the authors' code.
    The convolution of a block's skip comes before the doubling, which gives the same
    numbers for a quarter of the work.

    Args:
        widths: channels of the smallest map, then of each block.
    """

    output_range = (-1.0, 1.0)

    def __init__(
        self, shapes: Shapes, *, widths: tuple[Count, ...] = (256, 256, 256, 256)
    ) -> None:
        super().__init__()
        if not widths:
            raise ValueError("residual needs widths, at least one number of channels")
        small = deepest("residual", shapes.sample, len(widths) - 1)
        self.start = nn.Linear(shapes.noise, widths[0] * small[0] * small[1])
        self.place = nn.Unflatten(1, (widths[0], *small))
        nn.init.xavier_uniform_(self.start.weight)
        nn.init.zeros_(self.start.bias)
        self.blocks = nn.ModuleList(
            _Doubling(inputs, outputs, shapes.condition)
            for inputs, outputs in pairwise(widths)
        )
        self.norm = nn.BatchNorm2d(widths[-1])
        self.last = conv(widths[-1], shapes.sample[0], 3)

    def forward(self, noise: Tensor, condition: Tensor | None) -> Tensor:
        """Generate pictures (B, C, H, W) within [-1, 1]."""
        features: Tensor = self.place(self.start(noise))
        for block in self.blocks:
            features = block(features, condition)
        picture: Tensor = self.last(relu(self.norm(features)))
        return full_precision(picture).tanh()


class _Doubling(nn.Module):
    """(B, inputs, h, w) to (B, outputs, 2h, 2w): figure 8 of Miyato et al. 2018."""

    def __init__(self, inputs: int, outputs: int, condition: int) -> None:
        super().__init__()
        self.norm1 = ConditionalBatchNorm(inputs, condition)
        self.conv1 = conv(inputs, outputs, 3, ROOT_TWO)
        self.norm2 = ConditionalBatchNorm(outputs, condition)
        self.conv2 = conv(outputs, outputs, 3, ROOT_TWO)
        self.skip = conv(inputs, outputs, 1)

    def forward(self, features: Tensor, condition: Tensor | None) -> Tensor:
        residue = _doubled(relu(self.norm1(features, condition)))
        residue = relu(self.norm2(self.conv1(residue), condition))
        changed: Tensor = _doubled(self.skip(features)) + self.conv2(residue)
        return changed


def _doubled(features: Tensor) -> Tensor:
    """Repeat each place in a square of four."""
    return interpolate(features, scale_factor=2.0, mode="nearest")
