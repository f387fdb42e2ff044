"""How both networks of Huang et al. 2024 are laid out."""

from __future__ import annotations

from torch import nn

from gankit_residual.r3gan_layers import Grouped
from gankit_residual.sizes import deepest


def planned(
    sample: tuple[int, ...], widths: tuple[int, ...], expansion: int, group: int
) -> tuple[int, int]:
    """Return height and width of the smallest map.

    Raises:
        ValueError: widths, groups or the picture's sides do not fit.
    """
    if not widths:
        raise ValueError("r3gan needs widths, at least one number of channels")
    for width in widths:
        if width * expansion % group:
            raise ValueError(
                f"r3gan cannot cut {width} x {expansion} channels into groups of "
                f"{group}; set group to a divisor of {width * expansion}"
            )
    return deepest("r3gan", sample, len(widths) - 1)


def stage(
    width: int, blocks: int, expansion: int, group: int, depth: int
) -> list[nn.Module]:
    """Return the blocks of one size."""
    return [Grouped(width, width * expansion, group, depth) for _ in range(blocks)]
