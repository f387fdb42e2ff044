"""Augmentation `diffaugment`: for training on little data."""

from __future__ import annotations

from typing import Literal

import torch
from attrs import field, frozen
from torch import Tensor

Policy = tuple[Literal["color", "translation", "cutout"], ...]

# the ranges of Zhao et al. 2020
_BRIGHTNESS = (-0.5, 0.5)
_SATURATION = (0.0, 2.0)
_CONTRAST = (0.5, 1.5)
_TRANSLATION = 1 / 8
_CUTOUT = 1 / 2


@frozen
class DiffAugment:
    """Random changes of every image, real and generated, that let gradients through.

    Zhao et al. 2020, "Differentiable augmentation for data-efficient GAN training".
    Each image of a batch (B, C, H, W) draws its own changes, all from the given rng,
    which lies on the images' device:

    - ``color``: brightness is shifted by up to ±0.5, then saturation (distance from
      the mean over the channels) is scaled by 0 to 2, then contrast (distance from
      the image's mean) by 0.5 to 1.5; of four channels the last is transparency, and
      stays;
    - ``translation``: a shift by whole pixels, up to 1/8 of the size either way, with
      zeros moving in;
    - ``cutout``: zeros in a square of half the size, its centre anywhere in the image.

    The shift of brightness, and zero as the neutral value, are made for samples in
    [-1, 1]. Nothing is clipped.

    Args:
        policy: the changes, in the order in which they are made.
    """

    policy: Policy = field(default=("color", "translation", "cutout"))

    def __attrs_post_init__(self) -> None:
        if not self.policy:
            raise ValueError(
                "diffaugment has an empty policy, so that it would change nothing; "
                "name 'color', 'translation' or 'cutout', or leave it out"
            )

    def __call__(self, samples: Tensor, rng: torch.Generator) -> Tensor:
        """Return the images changed, of the same shape and type."""
        if samples.ndim != 4:
            raise ValueError(
                f"diffaugment changes images (C, H, W), but a sample here has the "
                f"shape {tuple(samples.shape[1:])}; leave the augmentation out"
            )
        for change in self.policy:
            samples = _CHANGES[change](samples, rng)
        return samples


def _color(images: Tensor, rng: torch.Generator) -> Tensor:
    if images.shape[1] == 4:  # the last is how opaque they are
        return torch.cat([_color(images[:, :3], rng), images[:, 3:]], 1)
    images = images + _uniform(images, rng, *_BRIGHTNESS)
    for dims, limits in (((1,), _SATURATION), ((1, 2, 3), _CONTRAST)):
        mean = images.mean(dims, keepdim=True)
        images = mean + (images - mean) * _uniform(images, rng, *limits)
    return images


def _translation(images: Tensor, rng: torch.Generator) -> Tensor:
    """Shift cyclically and clear what wrapped around.

    A cyclic shift is a permutation: the gradient of its gather has no collisions, and
    is therefore the same on every run.
    """
    for dim in (2, 3):
        size = images.shape[dim]
        most = int(size * _TRANSLATION + 0.5)
        shift = _integers(images, rng, -most, most + 1)  # (B, 1, 1, 1)
        origin = _places(images, dim) - shift
        index = (origin % size).expand_as(images)
        inside = (origin >= 0) & (origin < size)
        images = images.gather(dim, index) * inside
    return images


def _cutout(images: Tensor, rng: torch.Generator) -> Tensor:
    cut = torch.ones((), dtype=torch.bool, device=images.device)
    for dim in (2, 3):
        size = images.shape[dim]
        side = int(size * _CUTOUT + 0.5)
        # an even square's centre lies between pixels, or on either border
        start = _integers(images, rng, 0, size + 1 - side % 2) - side // 2
        places = _places(images, dim)
        cut = cut & (places >= start) & (places < start + side)
    return images * ~cut


def _uniform(images: Tensor, rng: torch.Generator, low: float, high: float) -> Tensor:
    """Draw one number for each image, (B, 1, 1, 1)."""
    drawn = torch.rand(
        (len(images), 1, 1, 1), generator=rng, dtype=images.dtype, device=images.device
    )
    return low + (high - low) * drawn


def _integers(images: Tensor, rng: torch.Generator, low: int, high: int) -> Tensor:
    """Draw one whole number in [low, high) for each image, (B, 1, 1, 1)."""
    return torch.randint(
        low, high, (len(images), 1, 1, 1), generator=rng, device=images.device
    )


def _places(images: Tensor, dim: int) -> Tensor:
    """Number the rows (dim 2) or columns (dim 3), shaped to broadcast over images."""
    shape = [1, 1, 1, 1]
    shape[dim] = images.shape[dim]
    return torch.arange(images.shape[dim], device=images.device).view(shape)


_CHANGES = {"color": _color, "translation": _translation, "cutout": _cutout}
