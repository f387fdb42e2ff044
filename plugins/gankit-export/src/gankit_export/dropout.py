"""Dropout whose draws are given: what a network draws itself becomes an input."""

from __future__ import annotations

import math
from copy import deepcopy

import torch
from torch import Tensor, nn

from gankit.errors import UsageError

_BY_ELEMENT = (nn.Dropout,)
_BY_CHANNEL = (nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)


class Supply:
    """Uniform numbers (B, k), handed out to the dropouts of a network in their order.

    Attributes:
        size: k, counted in a pass for which there are none.
    """

    def __init__(self) -> None:
        self.size = 0
        self._given: Tensor | None = None
        self._batch: int = 0
        self._used = 0

    def begin(self, batch: int, given: Tensor | None) -> None:
        """Begin a pass of so many samples; count what is needed if none are given."""
        self._batch, self._given, self._used = batch, given, 0

    def take(self, shape: tuple[int, ...]) -> Tensor:
        """Return numbers of a shape (B, …)."""
        count = math.prod(shape[1:])
        start, self._used = self._used, self._used + count
        if self._given is None:
            if shape[0] != self._batch:
                raise UsageError(
                    f"a dropout of the generator is given {tuple(shape)} for a batch "
                    f"of {self._batch}: which sample its draws are for cannot be told, "
                    "so that the generator cannot be exported"
                )
            self.size = self._used
            return torch.rand(shape)
        return self._given[:, start : start + count].reshape(shape)


class GivenDropout(nn.Module):
    """Drops what the given numbers say: those of them below the probability.

    Args:
        probability: of being dropped; what is kept is scaled by 1 / (1 - it).
        by_channel: whole channels are dropped.
        supply: of uniform numbers.
    """

    def __init__(self, probability: float, by_channel: bool, supply: Supply) -> None:
        super().__init__()
        self._probability, self._by_channel = probability, by_channel
        self._supply = supply

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, …) to the same shape."""
        shape = tuple(features.shape)
        if self._by_channel:
            shape = (*shape[:2], *(1 for _ in shape[2:]))
        kept = self._supply.take(shape) >= self._probability
        scale = 1 / max(1 - self._probability, 1e-12)  # of nothing, where it is 1
        return torch.where(kept, features * scale, torch.zeros_like(features))


def with_given_dropout(network: nn.Module, supply: Supply) -> nn.Module:
    """Copy a network, its dropouts that play replaced by such as are given draws."""
    network = deepcopy(network)
    for owner in list(network.modules()):
        for name, module in owner.named_children():
            if not isinstance(module, (*_BY_ELEMENT, *_BY_CHANNEL)):
                continue
            if module.training and module.p > 0:
                by_channel = isinstance(module, _BY_CHANNEL)
                setattr(owner, name, GivenDropout(module.p, by_channel, supply))
    return network
