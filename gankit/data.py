"""A data set that has been read: resident on the device when it fits."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any

import torch
from attrs import define, field
from torch import Tensor

from gankit.device import free_memory
from gankit.errors import BrokenItem, DataError
from gankit.parts import UNBOUNDED, Dataset, Facts
from gankit.processes import ALONE, Processes
from gankit.randomness import generator

Progress = Callable[[int, int, str], None]

_Read = tuple[Tensor | None, int | None, tuple[str, ...]]
_CHUNK = 256  # items that one thread reads at a time
# A data set stays on the device while it takes at most this part of what is free.
_RESIDENT_PART = 0.4
_LISTED = 5


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
        return self.labels.tolist()

    def samples(self, positions: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Return samples as the game sees them, float32 (B, *sample), on the device."""
        return self.prepared(self.stored(positions), rng)

    def stored(self, positions: Tensor) -> Tensor:
        """Return samples as the data set gives them, (B, *stored), on the device.

        Its ``transform`` is not applied, and uint8 pixels are not scaled.
        """
        if self.store is not None:
            return self.store[positions.to(self.store.device)]
        read = [whole_sample(self.dataset, self.indices, int(p))[0] for p in positions]
        return torch.stack(read).to(self.device)

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
        """Return a digest of labels, captions and every sample, however it is stored.

        Also of 64 samples as the game sees them, which tell of ``transform`` and range.
        """
        digest = hashlib.sha256(repr((len(self), self.facts)).encode())
        if self.labels is not None:
            digest.update(self.labels.numpy().tobytes())
        digest.update(json.dumps(self.captions).encode())
        spread = torch.linspace(0, len(self) - 1, min(64, len(self))).long()
        every = torch.arange(len(self))
        starts = range(0, len(self), _CHUNK)
        stored = (self.stored(every[start : start + _CHUNK]) for start in starts)
        for piece in chain([self.samples(spread)], stored):
            digest.update(repr((piece.shape, piece.dtype)).encode())
            digest.update(piece.cpu().contiguous().view(torch.uint8).numpy().data)
        return digest.hexdigest()

    def prepared(self, stored: Tensor, rng: torch.Generator | None) -> Tensor:
        """Turn samples as stored into samples as the game sees them."""
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
    processes: Processes = ALONE,
    progress: Progress = lambda done, total, text: None,
) -> Data:
    """Read a data set: whole onto the device, or only what is known of its items.

    Each process reads its share of the items, and tells the others.

    Args:
        dataset: where the items come from.
        device: where the samples go.
        mode: ``resident``, ``streamed``, or ``auto``: resident when it fits.
        output_range: what uint8 pixels are scaled to; unbounded means (-1, 1).
        processes: those that share the run.
        progress: told how many items have been read.

    Raises:
        DataError: most items are broken, or too few are left to train on.
    """
    total = len(dataset)
    if total == 0:
        raise DataError("the data set is empty; give it at least one batch of items")
    resident = mode == "resident" or (
        mode == "auto" and not processes.any(not _fits(dataset, device, processes))
    )
    read = _reader(dataset, resident)
    broken: list[str] = []
    samples: list[Tensor] = []
    labels, captions, indices = [], [], []
    chunks = [range(i, min(i + _CHUNK, total)) for i in range(0, total, _CHUNK)]
    chunks += [range(0)] * (-len(chunks) % processes.size)  # as many for each process
    shared = [
        chunks[i : i + processes.size] for i in range(0, len(chunks), processes.size)
    ]
    with ThreadPoolExecutor() as pool:
        mine = pool.map(lambda c: [read(i) for i in c[processes.rank]], shared)
        for together, own in zip(shared, mine, strict=True):
            progress(together[0].start, total, "reading the data")
            every = zip(together, processes.gather(own), strict=True)
            for index, item in (
                (i, it) for c, its in every for i, it in zip(c, its, strict=True)
            ):
                if isinstance(item, BrokenItem):
                    broken.append(str(item))
                    continue
                indices.append(index)
                if item[0] is not None:
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


def whole_sample(
    dataset: Dataset, indices: Tensor, position: int
) -> tuple[Tensor, int]:
    """Read the sample at a position, or the next one that is whole, and its position.

    Raises:
        DataError: none is.
    """
    for offset in range(len(indices)):
        place = (position + offset) % len(indices)
        try:
            return dataset[int(indices[place])].sample, place
        except BrokenItem:
            continue
    raise DataError("no item of the data set can be read any more")


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
                f"item {index} of the data set has the shape "
                f"{tuple(item.sample.shape)}, but the set says {shape}; its author has "
                "to mend it"
            )
        return (item.sample if resident else None, item.label, item.captions)

    return read


def _fits(dataset: Dataset, device: torch.device, processes: Processes) -> bool:
    sharing = processes.local_size if device.type == "cpu" else 1
    for index in range(len(dataset)):
        try:
            sample = dataset[index].sample
        except BrokenItem:
            continue
        size = sample.numel() * sample.element_size() * len(dataset)
        return size <= _RESIDENT_PART * free_memory(device) / sharing
    return True


def _some(lines: Sequence[str]) -> str:
    more = f" and {len(lines) - _LISTED} more" if len(lines) > _LISTED else ""
    return "; ".join(lines[:_LISTED]) + more
