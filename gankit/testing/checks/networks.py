"""What the checks of both players' networks share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from attrs import evolve
from torch import Tensor, nn

from gankit.game.given import unpacked
from gankit.testing.probing import HERE, Where, conditions
from gankit.testing.settings import Parts
from gankit.testing.subject import Subject
from gankit.testing.verdicts import Failed

DOUBLE = Where(dtype=torch.float64)
_COUNTS = {True: (2, 7), False: (1, 2, 7)}  # batch norms need two to be trained


def forms(subject: Subject) -> Iterator[tuple[Parts, bool]]:
    """Give a game as it is, and one without conditions, unless it refuses that."""
    parts = subject.parts()
    yield parts, bool(parts.shapes.condition)
    if not parts.shapes.condition:
        return
    bare = subject.parts()
    shapes = evolve(bare.shapes, condition=0)
    try:
        bare.named[bare.place] = subject.setting.use.build(shapes)
    except ValueError:
        return  # it says that it needs one
    yield bare, False


def counts(network: nn.Module) -> Iterator[int]:
    """Put a network in both modes, and give the sizes of batches for each."""
    for training, sizes in _COUNTS.items():
        network.train(training)
        yield from sizes


def check_given(given: Any, wanted: tuple[int, ...], when: str) -> Tensor:
    """Return what a network gives, if it is of a shape, and its extras are tensors."""
    if isinstance(given, tuple) and (
        len(given) != 2 or not isinstance(given[1], Mapping)
    ):
        raise Failed(
            f"{when} it gives a tuple of {len(given)}; return a tensor, or a tensor "
            "and a dictionary of extras"
        )
    tensor, extras = unpacked(given)
    if not isinstance(tensor, Tensor):
        raise Failed(f"{when} it gives a {type(tensor).__name__}; return a tensor")
    if tuple(tensor.shape) != wanted:
        raise Failed(
            f"{when} it gives the shape {tuple(tensor.shape)}; return {wanted}"
        )
    if not tensor.is_floating_point():
        raise Failed(f"{when} it gives {tensor.dtype}; return floating-point numbers")
    for name, extra in extras.items():
        if not isinstance(extra, Tensor) or extra.shape[:1] != wanted[:1]:
            raise Failed(
                f"{when} the extra {name!r} is no tensor of {wanted[0]} rows; give one "
                "row for each sample"
            )
    return tensor


def told(parts: Parts, count: int, *, conditional: bool, where: Where = HERE) -> Any:
    """Return conditions for so many samples, or None."""
    return conditions(parts, where, count) if conditional else None


def jittered(network: nn.Module) -> nn.Module:
    """Move all weights a little, so that what starts at nought has an effect."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return network
