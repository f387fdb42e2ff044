"""The samples of a data set on the device, put there as they are read."""

from __future__ import annotations

import torch
from attrs import define, field
from torch import Tensor

from gankit.compute.device import sent


@define(eq=False)
class Store:
    """A row for the sample of each item, and which rows are there.

    Attributes:
        rows: (N, *stored) on the device; what was not read yet is not there.
        there: (N,), which rows are.
        origin: (N,), the item whose sample a row has: its own, or of the next item that
            is whole.
    """

    rows: Tensor = field(repr=False)
    there: Tensor = field(repr=False)
    origin: Tensor = field(repr=False)
    _left: int = field(init=False)

    @_left.default
    def _(self) -> int:
        return int((~self.there).sum())

    @property
    def whole(self) -> bool:
        """Whether every row is there."""
        return self._left == 0

    def missing(self, positions: Tensor) -> Tensor:
        """Return those of the positions, (B,), whose rows are not there, once each."""
        return (
            positions[:0]
            if self.whole
            else torch.unique(positions[~self.there[positions]])
        )

    def put(self, positions: Tensor, samples: Tensor, origin: Tensor) -> None:
        """Put samples (B, *stored) into the rows of some positions, (B,)."""
        new = len(self.missing(positions))
        device = self.rows.device
        self.rows[sent(positions, device)] = sent(samples, device)
        self.origin[positions] = origin
        self.there[positions] = True
        self._left -= new

    def at(self, positions: Tensor) -> Tensor:
        """Return the samples at positions whose rows are there, (B, *stored)."""
        return self.rows[sent(positions, self.rows.device)]


def filled(rows: Tensor) -> Store:
    """Return a store all of whose rows are there."""
    return Store(rows, torch.ones(len(rows), dtype=torch.bool), torch.arange(len(rows)))


def empty(like: Tensor, count: int, device: torch.device) -> Store:
    """Return a store with no row yet; a system gives it memory as rows are put there.

    Args:
        like: a sample as it is stored.
        count: N.
        device: where rows lie.
    """
    rows = torch.empty((count, *like.shape), dtype=like.dtype, device=device)
    return Store(rows, torch.zeros(count, dtype=torch.bool), torch.arange(count))
