"""What of each batch is still to be read."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import count

import torch
from torch import Tensor
from torch.utils.data import Sampler

from gankit.data.order import Order
from gankit.data.store import Store


class Lacking(Sampler[list[int]]):
    """What is to be read for each batch from one number on, without end.

    All of a batch or, where there is a store, what of it was neither there nor asked
    for. What is asked for is noted, in order.
    """

    def __init__(
        self, order: Order, start: int, store: Store | None, asked: deque[Tensor]
    ) -> None:
        self._order, self._start, self._asked = order, start, asked
        self._lacking = None if store is None else ~store.there

    def __iter__(self) -> Iterator[list[int]]:
        for number in count(self._start):
            positions = self._order.batch(number)
            if self._lacking is not None:
                positions = torch.unique(positions[self._lacking[positions]])
                self._lacking[positions] = False
            self._asked.append(positions)
            yield positions.tolist()
