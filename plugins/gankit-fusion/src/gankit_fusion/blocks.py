"""The blocks of DF-GAN. Tao et al. 2022, sections 3.3 and 3.4; sizes of their code."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, leaky_relu

SLOPE = 0.2  # of the leaky rectifiers, from the code; the paper's figure has plain ones


class Affine(nn.Module):
    """Scale and shift each channel by what two small networks make of the condition.

    AFF(x | c) = γ(c) x + β(c), the same at all places. It starts as the identity.

    Args:
        condition: numbers of the condition.
        channels: of the features; also the width of both networks.
    """

    def __init__(self, condition: int, channels: int) -> None:
        super().__init__()
        self.scale = _perceptron(condition, channels, bias=1.0)
        self.shift = _perceptron(condition, channels, bias=0.0)

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """Change features (B, C, H, W) by conditions (B, c)."""
        scale = self.scale(condition)[:, :, None, None]  # (B, C, 1, 1)
        shift = self.shift(condition)[:, :, None, None]
        return torch.addcmul(shift, scale, features)


class Fusion(nn.Module):
    """Two affine changes, each followed by a leaky rectifier (DFBlock, section 3.4).

    Args:
        condition: numbers of the condition.
        channels: of the features.
    """

    def __init__(self, condition: int, channels: int) -> None:
        super().__init__()
        self.first = Affine(condition, channels)
        self.second = Affine(condition, channels)

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """Fuse conditions (B, c) into features (B, C, H, W)."""
        features = leaky_relu(self.first(features, condition), SLOPE)
        return leaky_relu(self.second(features, condition), SLOPE)


class UpBlock(nn.Module):
    """Double the size, then add two convolutions, each after a fusion.

    Args:
        condition: numbers of the condition.
        inputs: channels before.
        outputs: channels after.
    """

    def __init__(self, condition: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.fusions = nn.ModuleList(
            [Fusion(condition, inputs), Fusion(condition, outputs)]
        )
        self.convolutions = nn.ModuleList(
            [nn.Conv2d(inputs, outputs, 3, 1, 1), nn.Conv2d(outputs, outputs, 3, 1, 1)]
        )
        self.shortcut = _shortcut(inputs, outputs)

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """Turn features (B, inputs, H, W) into (B, outputs, 2 H, 2 W)."""
        features = interpolate(features, scale_factor=2.0)  # of the nearest
        residual = features
        for fuse, convolve in zip(self.fusions, self.convolutions, strict=True):
            residual = convolve(fuse(residual, condition))
        shortcut: Tensor = self.shortcut(features)
        return shortcut + residual


class DownBlock(nn.Module):
    """Halve the size, and add what convolutions make of it, by a weight that is learnt.

    Args:
        inputs: channels before.
        outputs: channels after.
        weight: of the convolutions' part at the start.
    """

    def __init__(self, inputs: int, outputs: int, weight: float) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.LeakyReLU(SLOPE),
        )
        self.shortcut = _shortcut(inputs, outputs)
        self.weight = nn.Parameter(torch.tensor([weight]))

    def forward(self, features: Tensor) -> Tensor:
        """Turn features (B, inputs, H, W) into (B, outputs, H / 2, W / 2)."""
        # pooled before the 1 × 1 convolution, which gives the same for a quarter of it
        shortcut: Tensor = self.shortcut(avg_pool2d(features, 2))
        return torch.addcmul(shortcut, self.weight, self.residual(features))


def _shortcut(inputs: int, outputs: int) -> nn.Module:
    return nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)


def _perceptron(inputs: int, outputs: int, *, bias: float) -> nn.Sequential:
    """Build two layers whose last starts with weights of 0 and this bias."""
    last = nn.Linear(outputs, outputs)
    nn.init.zeros_(last.weight)
    nn.init.constant_(last.bias, bias)
    return nn.Sequential(nn.Linear(inputs, outputs), nn.ReLU(), last)
