"""Which pictures can be halved so many times, and what is said of others."""

from __future__ import annotations


def deepest(name: str, sample: tuple[int, ...], halvings: int) -> tuple[int, int]:
    """Return height and width of a picture (C, H, W) after so many halvings.

    The rule of all networks here: each side is a multiple of 2^halvings. No side has
    to be a power of two, and the two need not be equal.

    Args:
        name: of the network, for errors.
        sample: shape of one sample.
        halvings: how often both sides are halved, or doubled.

    Raises:
        ValueError: a sample is no picture, or a side cannot be halved so often.
    """
    if len(sample) != 3:
        raise ValueError(
            f"{name} works on pictures (C, H, W), but a sample here has the shape "
            f"{sample}; take a network for vectors, such as mlp"
        )
    _, height, width = sample
    unit = 2**halvings
    if height % unit or width % unit:
        able = " x ".join(str(max(round(side / unit), 1) * unit) for side in sample[1:])
        most = min((side & -side).bit_length() - 1 for side in sample[1:])
        raise ValueError(
            f"{name} halves both sides {halvings} times, so that they have to be "
            f"multiples of {unit}, and these pictures are {height} x {width}; have "
            f"the data set resize them, as to {able}, or set its options for "
            f"{most} halvings at most"
        )
    return height // unit, width // unit
