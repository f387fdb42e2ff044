"""Feeding: the batches of a run, each a function of its number."""

from __future__ import annotations

import pickle
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from attrs import frozen
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from gankit.compute.shards import Shards
from gankit.contracts import Dataset
from gankit.data.columns import annotation_at
from gankit.data.items import Data, whole_sample
from gankit.errors import DataError
from gankit.plugins.importing import import_file
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
        self._order = _Order(len(data), self.batch_size, seed, shards.own_samples)
        self._stream: Iterator[tuple[Tensor, Tensor]] | None = None
        self._next = 0

    def batch(self, number: int) -> list[Batch]:
        """Return a batch, as this process's shards of it.

        Streaming is fast when numbers are asked for in turn.

        Raises:
            DataError: no item can be read any more, or the workers die.
        """
        stored = None
        if self.data.store is not None:
            positions = self._order.batch(number)
        else:
            stored, positions = self._streamed(number)
        batches = []
        for i, shard in enumerate(self.shards.own):
            piece = slice(i * self.shards.size, (i + 1) * self.shards.size)
            rng = generator(self.data.device, self.seed, "transform", number, shard)
            if stored is None:
                samples = self.data.samples(positions[piece], rng)
            else:
                placed = stored[piece].to(self.data.device, non_blocking=True)
                samples = self.data.prepared(placed, rng)
            batches.append(Batch(samples, positions[piece], self.data))
        return batches

    def close(self) -> None:
        """Stop the workers that stream."""
        self._stream = None

    def _streamed(self, number: int) -> tuple[Tensor, Tensor]:
        """Read a batch; workers that have died are replaced, once."""
        for attempt in range(2):
            if self._stream is None or number != self._next:
                with _undisturbed():
                    self._stream = iter(self._loader(number))
            self._next = number + 1
            try:
                return next(self._stream)
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

    def _loader(self, start: int) -> DataLoader[tuple[Tensor, Tensor]]:
        return DataLoader(
            _Readable(self.data.dataset, self.data.indices, self._plugin_files),  # type: ignore[arg-type] # map-style by duck type
            batch_sampler=_From(self._order, start),
            num_workers=self._workers,
            collate_fn=_collate,
            pin_memory=self.data.device.type == "cuda",
        )


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Keep torch from raising, when a worker dies, in whatever is going on then.

    Its handler of SIGCHLD would do so in the middle of a step or of a save; whoever
    waits for the worker's next batch learns of its death without.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # torch sets no handler there either
        return
    before = signal.getsignal(signal.SIGCHLD)
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, before or signal.SIG_DFL)


class _Order:
    """Which positions make up each batch: every epoch its own permutation."""

    def __init__(self, size: int, batch_size: int, seed: int, own: slice) -> None:
        self._size, self._batch_size, self._seed = size, batch_size, seed
        self._own = own
        self._epochs: dict[int, Tensor] = {}

    def batch(self, number: int) -> Tensor:
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


class _From(Sampler[list[int]]):
    """Batches of positions from one number on, without end."""

    def __init__(self, order: _Order, start: int) -> None:
        self._order, self._start = order, start

    def __iter__(self) -> Iterator[list[int]]:
        number = self._start
        while True:
            yield self._order.batch(number).tolist()
            number += 1


class _Readable:
    """A data set by position; a broken item is replaced by the next that is whole."""

    def __init__(
        self, dataset: Dataset, indices: Tensor, plugin_files: Sequence[Path]
    ) -> None:
        self._dataset, self._indices = dataset, indices
        self._plugin_files = tuple(plugin_files)

    def __getitem__(self, position: int) -> tuple[Tensor, int]:
        return whole_sample(self._dataset, self._indices, position)

    def __reduce__(self) -> tuple[Any, ...]:
        # a spawned worker must know a local plugin's module before it unpickles
        inner = pickle.dumps((self._dataset, self._indices))
        return _recall, (self._plugin_files, inner)


def _recall(plugin_files: tuple[Path, ...], inner: bytes) -> _Readable:
    for path in plugin_files:
        import_file(path)
    dataset, indices = pickle.loads(inner)  # what this run's own process has dumped
    return _Readable(dataset, indices, plugin_files)


def _collate(items: list[tuple[Tensor, int]]) -> tuple[Tensor, Tensor]:
    samples, places = zip(*items, strict=True)
    return torch.stack(samples), torch.tensor(places)
