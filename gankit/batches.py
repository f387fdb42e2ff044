"""Feeding: resident on the device when the data fits, streamed when it does not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from attrs import define, field, frozen
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from gankit.device import free_memory
from gankit.errors import BrokenItem, DataError
from gankit.parts import UNBOUNDED, Dataset, Facts
from gankit.plugins import import_file
from gankit.randomness import generator

Progress = Callable[[int, int, str], None]

_Read = tuple[Tensor | None, int | None, tuple[str, ...]]
_CHUNK = 256  # items that one thread reads at a time
# A data set stays on the device while it takes at most this part of what is free.
_RESIDENT_PART = 0.4
_LISTED = 5


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

    def mismatched_tokens(self, rng: torch.Generator) -> Tensor | None:
        """Tokens of items of other classes than the samples', (B, ...)."""
        return self.data.tokens_at(self.data.strangers(self.positions, rng))


@define(eq=False)
class Data:
    """A data set that has been read: what is known of its items, and their samples.

    Positions count the items that can be read, from 0 to ``len(data) - 1``.
    """

    dataset: Dataset
    facts: Facts
    labels: Tensor | None  # (N,), on the CPU
    captions: list[tuple[str, ...]] | None
    skipped: tuple[str, ...]
    device: torch.device
    pixel_range: tuple[float, float]
    indices: Tensor = field(repr=False)  # (N,), position to index in the data set
    store: Tensor | None = field(repr=False)  # (N, *stored) on the device
    tokens: Tensor | None = field(default=None, repr=False)
    _groups: tuple[Tensor, Tensor, Tensor] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.indices)

    def raw_for(self, reads: str) -> Sequence[Any]:
        """Return each item's class index (``label``) or its texts (``captions``)."""
        if reads == "captions":
            assert self.captions is not None, "the assembly refuses such a conditioner"
            return self.captions
        assert self.labels is not None, "the assembly refuses such a conditioner"
        return self.labels.tolist()  # type: ignore[no-any-return] # a list of int

    def samples(self, positions: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Return samples as the game sees them, float32 (B, *sample), on the device."""
        if self.store is not None:
            return self._prepared(self.store[positions.to(self.store.device)], rng)
        items = [self.dataset[int(self.indices[p])].sample for p in positions]
        return self._prepared(torch.stack(items).to(self.device), rng)

    def tokens_at(self, positions: Tensor) -> Tensor | None:
        """Return the tokens at positions, (B, ...), on the device."""
        if self.tokens is None:
            return None
        return self.tokens[positions.to(self.tokens.device)].to(self.device)

    def strangers(self, positions: Tensor, rng: torch.Generator) -> Tensor:
        """For each position draw one of another class, uniform over all of them.

        Without classes, another item.
        """
        order, first, count = self._grouped()
        first, count = first[positions], count[positions]
        draw = torch.rand(len(positions), generator=rng, device=rng.device).cpu()
        place = (draw * (len(self) - count)).long()
        # the places of the own class are one run, which the draw steps over
        return order[place + count * (place >= first)]

    def fingerprint(self) -> str:
        """Return a digest of the labels, the captions and 64 samples spread over all."""
        digest = hashlib.sha256(repr((len(self), self.facts)).encode())
        if self.labels is not None:
            digest.update(self.labels.numpy().tobytes())
        digest.update(json.dumps(self.captions).encode())
        spread = torch.linspace(0, len(self) - 1, min(64, len(self))).long()
        digest.update(self.samples(spread, None).cpu().numpy().tobytes())
        return digest.hexdigest()

    def _prepared(self, stored: Tensor, rng: torch.Generator | None) -> Tensor:
        transform = getattr(self.dataset, "transform", None)
        if transform is not None:
            if rng is None:
                rng = generator(self.device, 0, "transform")
            stored = transform(stored, rng)
        if stored.dtype != torch.uint8:
            return stored.float()
        low, high = self.pixel_range
        return stored.float().mul_((high - low) / 255).add_(low)

    def _grouped(self) -> tuple[Tensor, Tensor, Tensor]:
        """Positions sorted by class; and of each position its class's run in them."""
        if self._groups is None:
            classes = torch.arange(len(self)) if self.labels is None else self.labels
            order = torch.argsort(classes, stable=True)
            count = torch.bincount(classes)
            first = torch.cumsum(count, 0) - count
            self._groups = (order, first[classes], count[classes])
        return self._groups


def read_data(
    dataset: Dataset,
    *,
    device: torch.device,
    mode: str = "auto",
    output_range: tuple[float, float] = (-1.0, 1.0),
    progress: Progress = lambda done, total, text: None,
) -> Data:
    """Read a data set: whole onto the device, or only what is known of its items.

    Args:
        dataset: where the items come from.
        device: where the samples go.
        mode: ``resident``, ``streamed``, or ``auto``: resident when it fits.
        output_range: what uint8 pixels are scaled to; unbounded means (-1, 1).
        progress: told how many items have been read.

    Raises:
        DataError: most items are broken, or too few are left to train on.
    """
    total = len(dataset)
    if total == 0:
        raise DataError("the data set is empty; give it at least one batch of items")
    resident = mode == "resident" or (mode == "auto" and _fits(dataset, device))
    read = _reader(dataset, resident)
    broken: list[str] = []
    samples, labels, captions, indices = [], [], [], []
    chunks = [range(i, min(i + _CHUNK, total)) for i in range(0, total, _CHUNK)]
    with ThreadPoolExecutor() as pool:
        for chunk, items in zip(
            chunks, pool.map(lambda c: [read(i) for i in c], chunks), strict=True
        ):
            progress(chunk.start, total, "reading the data")
            for index, item in zip(chunk, items, strict=True):
                if isinstance(item, BrokenItem):
                    broken.append(str(item))
                    continue
                indices.append(index)
                samples.append(item[0])
                labels.append(item[1])
                captions.append(item[2])
    progress(total, total, "reading the data")
    skipped = (*getattr(dataset, "skipped", ()), *broken)
    if len(broken) * 2 >= total:
        raise DataError(
            f"{len(broken)} of {total} items cannot be read, as {_some(broken)}; "
            "mend or remove them: gankit skips single broken items, not most of a set"
        )
    facts = dataset.facts
    return Data(
        dataset=dataset,
        facts=facts,
        labels=torch.tensor(labels) if facts.classes is not None else None,
        captions=captions if facts.captioned else None,
        skipped=tuple(skipped),
        device=device,
        pixel_range=(-1.0, 1.0) if output_range == UNBOUNDED else output_range,
        indices=torch.tensor(indices),
        store=torch.stack(samples).to(device) if resident else None,
    )


class Feed:
    """The batches of a run, by their number: each a function of (seed, number)."""

    def __init__(
        self,
        data: Data,
        *,
        batch_size: int,
        seed: int,
        workers: int,
        plugin_files: Sequence[Path] = (),
    ) -> None:
        self.data = data
        self.batch_size = batch_size
        self.seed = seed
        self._workers = workers
        self._plugin_files = plugin_files
        self._order = _Order(len(data), batch_size, seed)
        self._stream: Iterator[tuple[Tensor, Tensor]] | None = None
        self._next = 0

    def batch(self, number: int) -> Batch:
        """Return a batch; streaming is fast when numbers are asked for in turn."""
        rng = generator(self.data.device, self.seed, "transform", number)
        if self.data.store is not None:
            positions = self._order.batch(number)
            return Batch(self.data.samples(positions, rng), positions, self.data)
        if self._stream is None or number != self._next:
            self._stream = iter(self._loader(number))
        self._next = number + 1
        stored, positions = next(self._stream)
        stored = stored.to(self.data.device, non_blocking=True)
        return Batch(self.data._prepared(stored, rng), positions, self.data)

    def close(self) -> None:
        """Stop the workers that stream."""
        self._stream = None

    def _loader(self, start: int) -> DataLoader[tuple[Tensor, Tensor]]:
        return DataLoader(
            _Readable(self.data.dataset, self.data.indices, self._plugin_files),  # type: ignore[arg-type] # map-style by duck type
            batch_sampler=_From(self._order, start),
            num_workers=self._workers,
            collate_fn=_collate,
            pin_memory=self.data.device.type == "cuda",
        )


class _Order:
    """Which positions make up each batch: every epoch its own permutation."""

    def __init__(self, size: int, batch_size: int, seed: int) -> None:
        self._size, self._batch_size, self._seed = size, batch_size, seed
        self._epochs: dict[int, Tensor] = {}

    def batch(self, number: int) -> Tensor:
        start = number * self._batch_size
        picked = []
        while sum(map(len, picked)) < self._batch_size:
            epoch, offset = divmod(start + sum(map(len, picked)), self._size)
            left = self._batch_size - sum(map(len, picked))
            picked.append(self._epoch(epoch)[offset : offset + left])
        return torch.cat(picked)

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
        for offset in range(len(self._indices)):
            place = (position + offset) % len(self._indices)
            try:
                return self._dataset[int(self._indices[place])].sample, place
            except BrokenItem:
                continue
        raise DataError("no item of the data set can be read any more")

    def __reduce__(self) -> tuple[Any, ...]:
        # a spawned worker must know a local plugin's module before it unpickles
        inner = (self._dataset, self._indices, self._plugin_files)
        return _recall, (self._plugin_files, _Pickled(inner))


class _Pickled:
    """Arguments that are unpickled only once `_recall` has imported what they need."""

    def __init__(self, inner: tuple[Any, ...]) -> None:
        self.inner = inner

    def __getstate__(self) -> bytes:
        import pickle  # between a run's own processes only

        return pickle.dumps(self.inner)

    def __setstate__(self, state: bytes) -> None:
        self.state = state

    def open(self) -> tuple[Any, ...]:
        import pickle

        return pickle.loads(self.state)  # type: ignore[no-any-return] # what was dumped


def _recall(plugin_files: tuple[Path, ...], pickled: _Pickled) -> _Readable:
    for path in plugin_files:
        import_file(path)
    return _Readable(*pickled.open())


def _collate(items: list[tuple[Tensor, int]]) -> tuple[Tensor, Tensor]:
    samples, places = zip(*items, strict=True)
    return torch.stack(samples), torch.tensor(places)


def _reader(dataset: Dataset, resident: bool) -> Callable[[int], _Read | BrokenItem]:
    """Return what reads one item, without its sample unless that is to be kept."""
    annotation = getattr(dataset, "annotation", None)
    shape = None if hasattr(dataset, "transform") else dataset.facts.sample_shape

    def read(index: int) -> _Read | BrokenItem:
        if annotation is not None and not resident:
            return (None, *annotation(index))
        try:
            item = dataset[index]
        except BrokenItem as error:
            return error
        if shape is not None and tuple(item.sample.shape) != shape:
            raise DataError(
                f"item {index} of the data set has the shape {tuple(item.sample.shape)}, "
                f"but the set says {shape}; its author has to mend it"
            )
        return (item.sample if resident else None, item.label, item.captions)

    return read


def _fits(dataset: Dataset, device: torch.device) -> bool:
    for index in range(len(dataset)):
        try:
            sample = dataset[index].sample
        except BrokenItem:
            continue
        size = sample.numel() * sample.element_size() * len(dataset)
        return size <= _RESIDENT_PART * free_memory(device)
    return True


def _some(lines: Sequence[str]) -> str:
    more = f" and {len(lines) - _LISTED} more" if len(lines) > _LISTED else ""
    return "; ".join(lines[:_LISTED]) + more
