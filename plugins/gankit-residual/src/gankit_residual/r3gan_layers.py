"""The building blocks of Huang et al. 2024: grouped blocks, fix-up, resampling."""

from __future__ import annotations

import math
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, leaky_relu

Layer = TypeVar("Layer", nn.Conv2d, nn.Linear)

_SLOPE = 0.2
_GAIN = math.sqrt(2 / (1 + _SLOPE**2))  # He et al. 2015, for leaky ReLU


class Grouped(nn.Module):
    """A residual block: 1 × 1 up, grouped 3 × 3, 1 × 1 down; no norm, and fix-up.

    Huang et al. 2024, section 4 (their configuration E); fix-up initialisation is Zhang
    et al. 2019: the last convolution starts at 0, so that the block is the identity,
    and the two before it are scaled by L^(−1 / (2m − 2)), L blocks of m = 3 layers in
    the network. Only what passes a leaky ReLU has biases.

    Args:
        width: channels.
        inner: channels between the two 1 × 1 convolutions.
        group: inner channels that a 3 × 3 convolution joins.
        depth: blocks in the network, L.
    """

    def __init__(self, width: int, inner: int, group: int, depth: int) -> None:
        super().__init__()
        gain = _GAIN * depth ** (-1 / (2 * 3 - 2))
        self.up = drawn(nn.Conv2d(width, inner, 1), gain)
        self.within = drawn(
            nn.Conv2d(inner, inner, 3, padding=1, groups=inner // group), gain
        )
        self.down = nn.Conv2d(inner, width, 1, bias=False)
        nn.init.zeros_(self.down.weight)

    def forward(self, features: Tensor) -> Tensor:
        """Change (B, width, h, w) by a residue."""
        residue = leaky_relu(self.up(features), _SLOPE)
        residue = leaky_relu(self.within(residue), _SLOPE)
        changed: Tensor = features + self.down(residue)
        return changed


class Doubled(nn.Module):
    """A 1 × 1 convolution where widths differ, then twice the size, bilinear."""

    kernel: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.mix = mixing(inputs, outputs)
        self.register_buffer("kernel", _bilinear(total=4.0), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Turn (B, inputs, h, w) to (B, outputs, 2h, 2w)."""
        mixed: Tensor = self.mix(features)
        kernel = _each(self.kernel, mixed)
        return conv_transpose2d(mixed, kernel, stride=2, padding=1, groups=len(kernel))


class Halved(nn.Module):
    """Half the size, bilinear, then a 1 × 1 convolution where widths differ."""

    kernel: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.mix = mixing(inputs, outputs)
        self.register_buffer("kernel", _bilinear(total=1.0), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Turn (B, inputs, h, w) to (B, outputs, h/2, w/2)."""
        kernel = _each(self.kernel, features)
        half = conv2d(features, kernel, stride=2, padding=1, groups=len(kernel))
        mixed: Tensor = self.mix(half)
        return mixed


def mixing(inputs: int, outputs: int) -> nn.Module:
    """Return a 1 × 1 convolution, or nothing where widths are equal."""
    if inputs == outputs:
        return nn.Identity()
    return drawn(nn.Conv2d(inputs, outputs, 1, bias=False))


def drawn(layer: Layer, gain: float = 1.0) -> Layer:
    """Draw a layer's weights from N(0, gain² / fan-in), He et al. 2015; biases 0."""
    nn.init.normal_(layer.weight, 0.0, gain / math.sqrt(layer.weight[0].numel()))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def _bilinear(total: float) -> Tensor:
    """Return the kernel that is a tent of width 2 between the new places, (4, 4).

    Beyond a border all is 0, as in the authors' code.
    """
    tent = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    return total * torch.outer(tent, tent)


def _each(kernel: Tensor, features: Tensor) -> Tensor:
    """Repeat a kernel for each channel, (C, 1, 4, 4)."""
    return kernel.expand(features.shape[1], 1, *kernel.shape)
