"""Changing the colours of pictures by an affine map, as adaptive augmentation does.

Karras et al. 2020, "Training generative adversarial networks with limited data",
appendix B. A map is a matrix (B, 4, 4) on colours (r, g, b, 1).
"""

from __future__ import annotations

from math import pi, sqrt

import torch
from torch import Tensor

from gankit_losses.chances import Chances

CHANNELS = (1, 3, 4)  # grey, colour, colour with transparency


def brightness(amount: Tensor) -> Tensor:
    """Return what adds a number, (B,), to all three."""
    moved = _eye(4, amount).repeat(len(amount), 1, 1)
    moved[:, :3, 3] = amount[:, None]
    return moved


def contrast(factor: Tensor) -> Tensor:
    """Return what multiplies all three, (B,)."""
    return _linear(factor, _eye(3, factor))


def luma_flip(flip: Tensor) -> Tensor:
    """Return what mirrors at the plane of no luma, where ``flip``, (B,), is 1."""
    grey = _grey(flip)
    return _linear(torch.ones_like(flip), _eye(3, flip)) - _linear(
        2 * flip, grey, last=0
    )


def hue(angle: Tensor) -> Tensor:
    """Return what turns colours around the grey axis by radians, (B,).

    Rodrigues' formula for the axis (1, 1, 1) / √3.
    """
    grey = _grey(angle)
    turned = _eye(3, angle).roll(1, 0)  # red to green to blue
    crossed = (turned - turned.mT) / sqrt(3)  # the cross product with the axis
    flat = _eye(3, angle) - grey
    return (
        _linear(torch.ones_like(angle), grey)
        + _linear(angle.cos(), flat, last=0)
        + _linear(angle.sin(), crossed, last=0)
    )


def saturation(factor: Tensor) -> Tensor:
    """Return what multiplies the distance from the grey axis, (B,)."""
    grey = _grey(factor)
    flat = _eye(3, factor) - grey
    return _linear(torch.ones_like(factor), grey) + _linear(factor, flat, last=0)


def colours(chances: Chances) -> Tensor:
    """Draw a map of colours for each picture, (B, 4, 4)."""
    first = brightness(chances.applied(chances.normal(0.2), 0))
    second = contrast(chances.applied(chances.lognormal(0.5), 1))
    third = luma_flip(chances.applied(chances.whole(2), 0))
    fourth = hue(chances.applied(chances.uniform(-pi, pi), 0))
    fifth = saturation(chances.applied(chances.lognormal(1), 1))
    return fifth @ fourth @ third @ second @ first


def recoloured(images: Tensor, maps: Tensor) -> Tensor:
    """Change the colours of images (B, C, H, W) by maps (B, 4, 4).

    Grey ones, C = 1, are colours on the grey axis, which all maps leave on it; of four
    channels the last is transparency, and stays. An image whose map is the identity
    stays as it is, to the bit.
    """
    same = (maps == _eye(4, maps)).flatten(1).all(1)
    linear, moved = maps[:, :3, :3], maps[:, :3, 3]
    if images.shape[1] == 1:
        linear = linear.sum(2).mean(1)[:, None, None]  # (B, 1, 1)
        moved = moved.mean(1)[:, None]
    seen = images[:, :3]
    changed = (linear @ seen.flatten(2) + moved[:, :, None]).view_as(seen)
    if images.shape[1] == 4:
        changed = torch.cat([changed, images[:, 3:]], 1)
    return torch.where(same[:, None, None, None], images, changed)


def _grey(like: Tensor) -> Tensor:
    """Return the projection on the grey axis, v vᵀ for v = (1, 1, 1) / √3, (3, 3)."""
    return torch.full((3, 3), 1 / 3, dtype=like.dtype, device=like.device)


def _eye(size: int, like: Tensor) -> Tensor:
    return torch.eye(size, dtype=like.dtype, device=like.device)


def _linear(factor: Tensor, matrix: Tensor, last: float = 1) -> Tensor:
    """Multiply a matrix (3, 3) by numbers (B,), and put it into maps (B, 4, 4)."""
    maps = torch.zeros((len(factor), 4, 4), dtype=factor.dtype, device=factor.device)
    maps[:, :3, :3] = factor[:, None, None] * matrix
    maps[:, 3, 3] = last
    return maps
