"""Pictures as extractors take them: of three channels and of one size."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import interpolate

from gankit.errors import UsageError

_SLACK = 1e-3  # how far outside [0, 1] arithmetic may have put a pixel


def as_rgb(samples: Tensor, name: str) -> Tensor:
    """Return pictures (B, C, H, W) in [0, 1] as (B, 3, H, W).

    Grey ones are repeated, and transparent ones, C = 4, laid on white.

    Raises:
        UsageError: they are none of these nor RGB, or go outside [0, 1].
    """
    if samples.ndim != 4 or samples.shape[1] not in (1, 3, 4):
        raise UsageError(
            f"the features {name!r} look at grey, RGB or RGBA pictures, (B, C, H, W) "
            f"with C = 1, 3 or 4, but were given {tuple(samples.shape)}; choose "
            "'pixels', or 'classifier' where there are labels"
        )
    check_range(samples, name)
    if samples.shape[1] == 4:
        opacity = samples[:, 3:]
        return samples[:, :3] * opacity + (1 - opacity)
    return samples.expand(-1, 3, -1, -1)


def check_range(pictures: Tensor, name: str) -> None:
    """Refuse pictures that are not within [0, 1], or not finite.

    Raises:
        UsageError: names the range that they have.
    """
    if not pictures.numel():
        return
    low, high = (float(limit) for limit in pictures.aminmax())
    if not (low >= -_SLACK and high <= 1 + _SLACK):  # NaN compares with nothing
        raise UsageError(
            f"the features {name!r} look at pictures in [0, 1], but were given numbers "
            f"from {low:g} to {high:g}; scale them by the range of their generator"
        )


def resized(pictures: Tensor, height: int, width: int) -> Tensor:
    """Resize pictures (B, C, H, W) in [0, 1] by antialiased bicubic interpolation.

    Parmar et al. 2022, section 3.1: without antialiasing a smaller picture holds
    patterns of the resampling, which features see, and libraries differ. Both sides of
    a comparison pass this one function, which gives what Pillow's does for floats. The
    result is not rounded to 8 bits; its overshoot is clipped.
    """
    if pictures.shape[-2:] == (height, width):
        return pictures
    return interpolate(
        pictures, (height, width), mode="bicubic", antialias=True
    ).clamp_(0, 1)
