"""What networks give: a tensor, and extras beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen
from torch import Tensor


@frozen(eq=False)
class Made:
    """What a generator gave: float32 samples, (B, *sample), and extras by name."""

    samples: Tensor
    extras: Mapping[str, Tensor]


@frozen(eq=False)
class Judged:
    """What a discriminator gave: float32 logits, (B,) or (B, …), and extras by name."""

    logits: Tensor
    extras: Mapping[str, Tensor]


def unpacked(given: Any) -> tuple[Tensor, Mapping[str, Tensor]]:
    """Take apart what a network gives: its tensor, and its extras if there are any."""
    tensor, extras = given if isinstance(given, tuple) else (given, {})
    return tensor, extras


def floats(extras: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Leave the precision of the networks' passes."""
    return {k: t.float() if t.is_floating_point() else t for k, t in extras.items()}
