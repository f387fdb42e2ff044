"""A data set that has been read: its samples, what is known of them, and draws."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any

import torch
from attrs import define, field
from torch import Tensor

from gankit.compute.device import sent
from gankit.contracts import Dataset
from gankit.data.annotations import Texts
from gankit.data.columns import numbered
from gankit.data.facts import Facts, told_apart_by
from gankit.data.samples import Form, Read, Reader, collated, mostly_broken
from gankit.data.store import Store
from gankit.errors import DataError
from gankit.randomness import generator

Progress = Callable[[int, int, str], None]

_CHUNK = 256  # items that are looked at together
_ENOUGH = 64  # items of which it is said that most are broken, if there are so many
_TRIES = 16  # draws of a stranger before all items are gone through


@define(eq=False)
class Data:
    """A data set that has been read: what is known of its items, and their samples.

    Positions count the items that can be read, from 0 to ``len(data) - 1``.
    """

    dataset: Dataset
    facts: Facts
    annotations: Mapping[str, Any]  # of all items, by name, on the CPU
    skipped: tuple[str, ...]
    device: torch.device
    pixel_range: tuple[float, float]
    indices: Tensor = field(repr=False)  # (N,), position to index in the data set
    store: Store | None = field(repr=False)  # on the device
    form: Form  # of a sample as it is stored
    place: str = ""  # where samples are, and why
    progress: Progress = field(default=lambda done, total, text: None, repr=False)
    broken: dict[int, str] = field(factory=dict)  # found since, and why
    reads: str = ""  # what of the items the conditioner reads
    tokens: Tensor | None = field(default=None, repr=False)
    _read: int = 0  # items, since
    _groups: tuple[Tensor, Tensor, Tensor, Tensor] | None = field(
        default=None, repr=False
    )
    _texts_of: Tensor | None = field(default=None, repr=False)
    _wrong: dict[tuple[int, ...], Tensor] = field(factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.indices)

    def samples(self, positions: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Return samples as the game sees them, float32 (B, *sample), on the device."""
        return self.prepared(self.stored(positions), rng)

    def stored(self, positions: Tensor) -> Tensor:
        """Return samples as the data set gives them, (B, *stored), on the device.

        Its ``transform`` is not applied, and uint8 pixels are not scaled.
        """
        if self.store is None:
            return sent(self.read(positions)[0], self.device)
        missing = self.store.missing(positions)
        if len(missing):
            self.store.put(missing, *self.read(missing))
        return self.store.at(positions)

    def read(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Read samples (B, *stored) anew; of those that are broken, the next ones.

        Returns:
            the samples, on the CPU; and at which positions they are, (B,).
        """
        reader = Reader(self.dataset, self.indices, self.form)
        return self.take(positions, collated([reader[int(p)] for p in positions]))

    def take(self, positions: Tensor, read: Read) -> tuple[Tensor, Tensor]:
        """Take what was read for some positions, and note what of it is broken.

        Raises:
            DataError: most of what has been read is broken.
        """
        samples, places, reasons = read
        self._read += len(places)
        for position, reason in zip(positions.tolist(), reasons, strict=True):
            if reason:
                self.broken[position] = reason
        if 2 * len(self.broken) >= max(self._read, min(_ENOUGH, len(self))):
            raise DataError(mostly_broken(self.broken, self._read))
        return samples, places

    def tokens_at(self, positions: Tensor) -> Tensor | None:
        """Return the tokens at positions, (B, ...), on the device."""
        if self.tokens is None:
            return None
        return self.tokens[sent(positions, self.tokens.device)].to(self.device)

    def strangers(self, positions: Tensor, rng: torch.Generator) -> Tensor:
        """For each position draw one whose condition is wrong there, (B,).

        Uniform over all items whose value of what the conditioner reads is another.
        Where it reads texts, over all that share none with the item, because what is
        said of both cannot be wrong for one; and of these, where ``label`` is declared
        as classes, over those of another class. The host draws: ``rng`` is a CPU's.

        Raises:
            DataError: no item has a condition that is wrong for one of these.
        """
        order, first, count, _ = self._grouped()
        first, count = first[positions], count[positions]
        if bool((count == len(self)).any()):
            raise DataError(
                f"all items that can be read have the same {self._told_apart_by!r}, so "
                "that none has a condition that is wrong for another; add others, or "
                "choose a loss that needs no wrong conditions"
            )
        drawn = torch.empty_like(positions)
        left = torch.arange(len(positions))
        for _ in range(_TRIES):
            draw = torch.rand(len(left), generator=rng)
            place = (draw * (len(self) - count[left])).long()
            # the places of the own class are one run, which the draw steps over
            drawn[left] = order[place + count[left] * (place >= first[left])]
            left = left[self._share(positions[left], drawn[left])]
            if not len(left):
                return drawn
        for i in left.tolist():
            drawn[i] = self._wrong_for(int(positions[i]), rng)
        return drawn

    def fingerprint(self) -> str:
        """Return a digest of annotations and every sample, however it is stored.

        Also of 64 samples as the game sees them, which tell of ``transform`` and range.
        """
        digest = hashlib.sha256(repr((len(self), self.facts)).encode())
        for column in self.annotations.values():
            plain = isinstance(column, Tensor)
            digest.update(column.numpy().data if plain else json.dumps(column).encode())
        spread = torch.linspace(0, len(self) - 1, min(64, len(self))).long()
        every = torch.arange(len(self))
        starts = range(0, len(self), _CHUNK)
        stored = (self.stored(every[start : start + _CHUNK]) for start in starts)
        for start, piece in enumerate(chain([self.samples(spread)], stored)):
            if self.store is None or not self.store.whole:
                done = min(start * _CHUNK, len(self))
                self.progress(done, len(self), "reading the data")
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

    @property
    def _told_apart_by(self) -> str:
        return told_apart_by(self.facts, self.reads)

    @property
    def _reads_texts(self) -> bool:
        return isinstance(self.facts.annotations.get(self.reads), Texts)

    def _alike(self) -> Tensor:
        """Number the items, those alike whose condition is the same, (N,)."""
        values = self.annotations.get(self._told_apart_by)
        if not isinstance(values, Tensor):
            return torch.arange(len(self))  # of texts, which are compared one by one
        return values if values.ndim == 1 else numbered(values)

    def _grouped(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Positions sorted by group; each one's run in them; and its group."""
        if self._groups is None:
            group = self._alike()
            order = torch.argsort(group, stable=True)
            count = torch.bincount(group)
            first = torch.cumsum(count, 0) - count
            self._groups = (order, first[group], count[group], group)
        return self._groups

    def _wrong_for(self, position: int, rng: torch.Generator) -> Tensor:
        """Draw from all that are wrong for one item, where they are few."""
        own, group = self._repeated()[position], self._grouped()[3]
        classed = self._told_apart_by != self.reads
        # what is wrong follows from the class and from texts that others have too
        known = (int(group[position]) if classed else -1, *own.tolist())
        if known not in self._wrong:
            same = (group == group[position]) | self._shared(own)
            self._wrong[known] = (~same).nonzero()[:, 0]
        wrong = self._wrong[known]
        if not len(wrong):
            raise DataError(
                f"item {int(self.indices[position])}: every other item "
                f"{'is of its class or ' if classed else ''}shares one of its "
                f"{self.reads} with it, so that none is wrong for it; give the items "
                "texts of their own, or choose a loss that needs no wrong conditions"
            )
        draw = torch.rand((), generator=rng)
        return wrong[(draw * len(wrong)).long()]

    def _shared(self, texts: Tensor) -> Tensor:
        """Tell which items have one of some repeated texts, (K,): (N,)."""
        return torch.isin(self._repeated(), texts[texts >= 0]).any(1)

    def _share(self, some: Tensor, others: Tensor) -> Tensor:
        """Tell which pairs of positions have a text in common, (B,)."""
        mine, theirs = self._repeated()[some], self._repeated()[others]  # (B, K)
        equal = mine[:, :, None] == theirs[:, None, :]
        return (equal & (mine >= 0)[:, :, None]).flatten(1).any(1)

    def _repeated(self) -> Tensor:
        """Number the texts that are read of several items, (N, K); -1 for none.

        Upper and lower case are one, as they are to a text encoder.
        """
        if self._texts_of is None:
            none: list[tuple[str, ...]] = [()] * len(self)
            texts = [
                {" ".join(text.split()).casefold() for text in some}
                for some in (
                    self.annotations[self.reads] if self._reads_texts else none
                )
            ]
            counts = Counter(text for some in texts for text in some)
            several = [text for text, count in counts.items() if count > 1]
            number = {text: i for i, text in enumerate(several)}
            rows = [sorted(number[t] for t in some if t in number) for some in texts]
            widest = max(map(len, rows), default=0)
            padded = [row + [-1] * (widest - len(row)) for row in rows]
            self._texts_of = torch.tensor(padded, dtype=torch.long)
        return self._texts_of
