"""What both networks share: sizes, widths, conditions, initial weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

SMALLEST = 4  # height and width of the deepest features; Radford et al. 2015, figure 1

# (padding, output padding) by which stride 2 halves and doubles a size exactly
PADDING = {4: (1, 0), 5: (2, 1)}


def stages_of(sample: tuple[int, ...]) -> int:
    """Return how many doublings lead from 4 × 4 to the size of a sample (C, H, W).

    Raises:
        ValueError: a sample is no image, not square, or its size is not a power of
            two from 16 up.
    """
    if len(sample) != 3:
        raise ValueError(
            f"dcgan works on images (C, H, W), but a sample here has the shape "
            f"{sample}; take a network for vectors, such as mlp"
        )
    _, height, width = sample
    if height != width:
        raise ValueError(
            f"dcgan works on square images, but these are {height}x{width}; have "
            "the data set crop or resize them to a square"
        )
    stages = height.bit_length() - SMALLEST.bit_length()
    if height < 16:
        raise ValueError(_wrong_size(height, "16"))
    if height != SMALLEST << stages:
        lower = SMALLEST << stages
        raise ValueError(_wrong_size(height, f"{lower} or {2 * lower}"))
    return stages


def widths_of(stages: int, width: int, max_width: int) -> list[int]:
    """Return the channels after each halving: ``width`` first, then doubled.

    Raises:
        ValueError: ``width`` is above ``max_width``.
    """
    if width > max_width:
        raise ValueError(
            f"width = {width} is above max_width = {max_width}; lower the one or "
            "raise the other"
        )
    return [min(width << stage, max_width) for stage in range(stages)]


def projection(condition: int, size: int) -> tuple[nn.Module, int]:
    """Return what a condition (B, c) passes before it is joined, and its size then.

    With a ``size`` it is a linear layer and LeakyReLU: Reed et al. 2016, section 4.1.
    """
    if condition and size:
        return nn.Sequential(nn.Linear(condition, size), nn.LeakyReLU(0.2)), size
    return nn.Identity(), condition


def join(features: Tensor, condition: Tensor) -> Tensor:
    """Repeat a condition (B, c) over all places of (B, C, H, W), join it in depth."""
    planes = condition[:, :, None, None].expand(-1, -1, *features.shape[2:])
    return torch.cat([features, planes], dim=1)  # (B, C + c, H, W)


def initialise(network: nn.Module) -> None:
    """Draw weights from N(0, 0.02) and batch-norm gains from N(1, 0.02).

    Biases start at 0. Radford et al. 2015, section 4; the gains are from the authors'
    code.
    """
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _wrong_size(size: int, able: str) -> str:
    return (
        f"dcgan works on sizes that are powers of two from 16 up, but these images "
        f"are {size}x{size}; have the data set resize them to {able}"
    )
