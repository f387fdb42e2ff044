"""Which items make up each batch: every epoch its own permutation."""

from __future__ import annotations

import torch
from torch import Tensor

from gankit.randomness import generator


class Order:
    """The positions of each batch, by its number.

    Args:
        size: how many items there are.
        batch_size: of them in a batch.
        seed: of all permutations.
        own: the place of this process's samples in a batch.
    """

    def __init__(self, size: int, batch_size: int, seed: int, own: slice) -> None:
        self._size, self._batch_size, self._seed = size, batch_size, seed
        self._own = own
        self._epochs: dict[int, Tensor] = {}

    def batch(self, number: int) -> Tensor:
        """Return the positions of this process's part of a batch, (B,)."""
        place = number * self._batch_size
        left = self._batch_size
        picked = []
        while left:
            epoch, offset = divmod(place, self._size)
            picked.append(self._epoch(epoch)[offset : offset + left])
            place, left = place + len(picked[-1]), left - len(picked[-1])
        return torch.cat(picked)[self._own]

    def _epoch(self, epoch: int) -> Tensor:
        if epoch not in self._epochs:
            for old in [e for e in self._epochs if e < epoch - 1]:
                del self._epochs[old]
            rng = generator("cpu", self._seed, "order", epoch)
            self._epochs[epoch] = torch.randperm(self._size, generator=rng)
        return self._epochs[epoch]
