"""What the three networks share: layers in a row, joined inputs, initial weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

MakeLayer = Callable[[int, int], nn.Module]  # (inputs, units) to a layer


class JoinedInputs(nn.Module):
    """The main input and the condition, side by side: (B, n), (B, c) to (B, width).

    Each is given as (size, units): it passes a layer of that many units, or with 0
    units is joined as it is. A condition of size 0 is ignored.
    """

    def __init__(
        self, make: MakeLayer, main: tuple[int, int], condition: tuple[int, int]
    ) -> None:
        super().__init__()
        self.main, self.width = _path(make, *main)
        self.condition: nn.Module | None = None
        if condition[0]:
            self.condition, width = _path(make, *condition)
            self.width += width

    def forward(self, main: Tensor, condition: Tensor | None) -> Tensor:
        """Join a batch of both inputs."""
        features: Tensor = self.main(main)
        if self.condition is None:
            return features
        assert condition is not None, "a conditional network needs a condition"
        return torch.cat([features, self.condition(condition)], dim=1)


def in_a_row(make: MakeLayer, inputs: int, units: Sequence[int]) -> nn.Sequential:
    """Return layers of so many units, each fed by the one before."""
    return nn.Sequential(*(make(a, b) for a, b in pairwise([inputs, *units])))


def initialise(network: nn.Module, weight_range: float | None) -> None:
    """Draw weights uniformly within ±``weight_range`` and clear the biases.

    ``None`` leaves torch's own initialisation.
    """
    if weight_range is None:
        return
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.uniform_(module.weight, -weight_range, weight_range)
            nn.init.zeros_(module.bias)


def _path(make: MakeLayer, size: int, units: int) -> tuple[nn.Module, int]:
    return (make(size, units), units) if units else (nn.Identity(), size)
