"""Sizes and widths of both networks."""

from __future__ import annotations

from attrs import frozen

SMALLEST, LARGEST = 4, 15  # sides of the deepest features
_DEEPEST = 8  # times the width at the picture's own size; the authors' code


@frozen
class Plan:
    """How a picture is halved.

    Attributes:
        channels: of the picture.
        height: of the deepest features.
        width: likewise.
        widths: channels at the picture's size and after each halving.
    """

    channels: int
    height: int
    width: int
    widths: tuple[int, ...]


def plan_of(sample: tuple[int, ...], width: int) -> Plan:
    """Say how pictures (C, H, W) are halved, as often as leaves 4 places a side.

    Raises:
        ValueError: a sample is no picture, or its sides cannot be halved twice or more
            to between 4 and 15.
    """
    if len(sample) != 3:
        raise ValueError(
            f"fusion works on pictures (C, H, W), but a sample here has the shape "
            f"{sample}; take a network for vectors, such as mlp"
        )
    channels, height, wide = sample
    halvings = 0
    while all(
        side % 2 ** (halvings + 1) == 0 and side >> (halvings + 1) >= SMALLEST
        for side in (height, wide)
    ):
        halvings += 1
    deepest = height >> halvings, wide >> halvings
    if halvings < 2 or max(deepest) > LARGEST:
        raise ValueError(
            f"fusion halves both sides of a picture equally often, twice or more, to "
            f"between {SMALLEST} and {LARGEST}, and {height}x{wide} leads to "
            f"{deepest[0]}x{deepest[1]}; have the data set resize pictures to 64x64, "
            "128x128 or 256x256"
        )
    widths = [width * min(2**i, _DEEPEST) for i in range(halvings + 1)]
    return Plan(channels, *deepest, tuple(widths))
