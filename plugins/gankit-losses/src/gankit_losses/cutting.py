"""Cutting a square out of pictures, as adaptive augmentation does.

Karras et al. 2020, "Training generative adversarial networks with limited data",
appendix B: cutout, of DeVries & Taylor 2017, with half the size and a centre anywhere.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gankit_losses.chances import Chances

_SIZE = 1 / 2  # of a side; the authors' code


def cutout(images: Tensor, chances: Chances) -> Tensor:
    """Set a rectangle of images (B, C, H, W) to 0, half as high and wide as they are.

    Its centre is anywhere, so that some of it may lie outside.
    """
    height, width = images.shape[2:]
    down, across = (chances.uniform(0, 1) for _ in range(2))
    cut = chances.gate()
    return torch.where(hole(down, across, cut, height, width), 0, images)


def hole(down: Tensor, across: Tensor, cut: Tensor, height: int, width: int) -> Tensor:
    """Say which pixels are cut out, (B, 1, H, W).

    Args:
        down: the centre, as a share of the height, (B,).
        across: likewise, of the width.
        cut: of which images, (B,).
        height: in pixels, whose middles decide.
        width: likewise.
    """
    rows, columns = (
        (_middles(n, centre) - centre[:, None]).abs() < _SIZE / 2
        for n, centre in ((height, down), (width, across))
    )
    return (cut[:, None, None] & rows[:, :, None] & columns[:, None])[:, None]


def _middles(length: int, like: Tensor) -> Tensor:
    count = torch.arange(length, dtype=like.dtype, device=like.device)
    return (count + 0.5) / length
