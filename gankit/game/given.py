"""What networks give, a tensor and extras beside it; and losses, a scalar."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen
from torch import Tensor

from gankit.errors import UsageError


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


def scalar(part: object, value: Any, index: int) -> Tensor:
    """Return what a loss or penalty gave, if it can be added up."""
    if isinstance(value, Tensor) and value.ndim == 0:
        return value
    given = repr(value)
    if isinstance(value, Tensor):
        given = f"a tensor of shape {tuple(value.shape)}"
    raise UsageError(
        f"{type(part).__name__} gave {given} in step {index + 1:,}, not a scalar "
        "tensor; reduce it, as with .mean()"
    )


def without_gradient(part: object, player: str, index: int) -> UsageError:
    """Return the error of a loss from which a player cannot learn."""
    return UsageError(
        f"the loss {type(part).__name__} gave the {player} a number without a gradient "
        f"in step {index + 1:,}; its author has to compute it without .detach(), "
        ".item() and torch.no_grad()"
    )
