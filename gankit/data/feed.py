"""Feeding: the batches of a run, each a function of its number."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import torch
from attrs import frozen
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from gankit.compute.shards import Shards
from gankit.data.columns import annotation_at
from gankit.data.items import Data
from gankit.data.order import Order
from gankit.data.samples import Read, Readable, collated, give_way, undisturbed
from gankit.data.store import Store
from gankit.errors import DataError
from gankit.randomness import generator


@frozen(eq=False)
class Batch:
    """Real samples, (B, *sample), and where in the data they come from."""

    samples: Tensor
    positions: Tensor  # (B,), on the CPU
    data: Data

    @property
    def size(self) -> int:
        """Samples in the batch, B."""
        return len(self.positions)

    @property
    def tokens(self) -> Tensor | None:
        """The tokens of the samples' own conditions, (B, ...)."""
        return self.data.tokens_at(self.positions)

    def annotation(self, name: str) -> Any:
        """What is known of the samples by that name, (B, ...) or a list of B."""
        data = self.data
        return annotation_at(data.annotations, name, self.positions, data.device)

    def mismatched_tokens(self, rng: torch.Generator) -> Tensor | None:
        """Tokens of items whose conditions are wrong for the samples, (B, ...)."""
        return self.data.tokens_at(self.data.strangers(self.positions, rng))


class Feed:
    """The batches of a run, by their number: each a function of (seed, number).

    A process reads the samples of its own shards alone.
    """

    def __init__(
        self,
        data: Data,
        *,
        shards: Shards,
        seed: int,
        workers: int,
        plugin_files: Sequence[Path] = (),
    ) -> None:
        self.data = data
        self.shards = shards
        self.batch_size = shards.count * shards.size
        self.seed = seed
        self._workers = workers
        self._plugin_files = plugin_files
        self._order = Order(len(data), self.batch_size, seed, shards.own_samples)
        self._stream: Iterator[Read] | None = None
        self._asked: deque[Tensor] = deque()  # of the stream, what was not given yet
        self._next = 0

    def batch(self, number: int) -> list[Batch]:
        """Return a batch, as this process's shards of it.

        Reading is fast where numbers are asked for in turn.

        Raises:
            DataError: no item can be read any more, or the workers die.
        """
        stored, positions = None, self._order.batch(number)
        store = self.data.store
        if store is None:
            stored, positions = self.data.take(*self._streamed(number))
        else:
            if not store.whole:
                asked, read = self._streamed(number)
                if len(asked):
                    store.put(asked, *self.data.take(asked, read))
            if store.whole:
                self.close()
            positions = store.origin[positions]
        batches = []
        for i, shard in enumerate(self.shards.own):
            piece = slice(i * self.shards.size, (i + 1) * self.shards.size)
            rng = None
            if hasattr(self.data.dataset, "transform"):
                at = ("transform", number, shard)
                rng = generator(self.data.device, self.seed, *at)
            if stored is None:
                samples = self.data.samples(positions[piece], rng)
            else:
                placed = stored[piece].to(self.data.device, non_blocking=True)
                samples = self.data.prepared(placed, rng)
            batches.append(Batch(samples, positions[piece], self.data))
        return batches

    def begin(self, number: int) -> None:
        """Let workers start to read what a batch and those after it need."""
        if self.data.store is None or not self.data.store.whole:
            self._start(number)

    def close(self) -> None:
        """Stop the workers that read."""
        self._stream = None
        self._asked.clear()

    def _streamed(self, number: int) -> tuple[Tensor, Read]:
        """Return what was read for a batch; workers that die are replaced, once."""
        for attempt in range(2):
            if self._stream is None or number != self._next:
                self._start(number)
            assert self._stream is not None
            self._next = number + 1
            try:
                read = next(self._stream)
                return self._asked.popleft(), read
            except RuntimeError as error:
                self.close()
                if "DataLoader worker" not in str(error):
                    raise
                if attempt:
                    raise DataError(
                        "the processes that read the data died twice in a row: "
                        f"{str(error).partition(chr(10))[0]} This happens when memory "
                        "runs out; lower train.workers, or set it to 0"
                    ) from error
        raise AssertionError("unreachable")

    def _start(self, number: int) -> None:
        self.close()
        with undisturbed():
            self._stream = iter(self._loader(number))
        self._next = number

    def _loader(self, start: int) -> DataLoader[Read]:
        data = self.data
        return DataLoader(
            Readable(data.dataset, data.indices, data.form, self._plugin_files),  # type: ignore[arg-type] # map-style by duck type
            batch_sampler=_Lacking(self._order, start, data.store, self._asked),
            num_workers=self._workers,
            collate_fn=collated,
            worker_init_fn=give_way,
            pin_memory=data.device.type == "cuda",
        )


class _Lacking(Sampler[list[int]]):
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
