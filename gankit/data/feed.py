"""Feeding: the batches of a run, each a function of its number."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from attrs import frozen
from torch import Tensor
from torch.utils.data import DataLoader

from gankit.compute.shards import Shards
from gankit.data.columns import annotation_at
from gankit.data.items import Data
from gankit.data.lacking import Lacking
from gankit.data.order import Order
from gankit.data.samples import Read, Readable, collated, give_way, undisturbed
from gankit.errors import DataError
from gankit.randomness import generator


@frozen(eq=False)
class Batch:
    """Real samples, (B, *sample), and where in the data they come from."""

    samples: Tensor
    positions: Tensor  # (B,), on the CPU
    data: Data
    whole: tuple[Batch, slice] | None = None  # what it was cut from, and where

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
        if self.whole is not None:
            batch, rows = self.whole
            tokens = batch.mismatched_tokens(rng)
            return None if tokens is None else tokens[rows]
        return self.data.tokens_at(self.data.strangers(self.positions, rng))

    def pieces(self, count: int) -> list[Batch]:
        """Cut it into equal pieces; itself where there is one."""
        if count == 1:
            return [self]
        rows = [
            slice(i, i + self.size // count)
            for i in range(0, self.size, self.size // count)
        ]
        return [
            Batch(self.samples[r], self.positions[r], self.data, (self, r))
            for r in rows
        ]


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
        batches, cuts = [], self.shards.pieces
        for i, shard in enumerate(self.shards.own[::cuts]):
            size = self.shards.size * cuts
            piece = slice(i * size, (i + 1) * size)
            rng = None
            if hasattr(self.data.dataset, "transform"):
                at = (number, *self.shards.place(shard))
                rng = generator(self.data.device, self.seed, "transform", *at)
            if stored is None:
                samples = self.data.samples(positions[piece], rng)
            else:
                placed = stored[piece].to(self.data.device, non_blocking=True)
                samples = self.data.prepared(placed, rng)
            batches += Batch(samples, positions[piece], self.data).pieces(cuts)
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
            except (RuntimeError, ConnectionError, EOFError) as error:
                self.close()
                # one that dies while it hands over a tensor breaks the connection
                cut = not isinstance(error, RuntimeError)
                if not cut and "DataLoader worker" not in str(error):
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
            batch_sampler=Lacking(self._order, start, data.store, self._asked),
            num_workers=self._workers,
            collate_fn=collated,
            worker_init_fn=give_way,
            pin_memory=data.device.type == "cuda",
        )
