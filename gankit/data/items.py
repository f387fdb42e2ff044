"""A data set that has been read: its samples, what is known of them, and draws."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import torch
from attrs import define, field
from torch import Tensor

from gankit.errors import BrokenItem, DataError
from gankit.parts import Dataset, Facts
from gankit.randomness import generator

Progress = Callable[[int, int, str], None]

_CHUNK = 256  # items that are looked at together
_TRIES = 16  # draws of a stranger before all items are gone through


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
    reads: str = ""  # what of the items the conditioner reads
    tokens: Tensor | None = field(default=None, repr=False)
    _groups: tuple[Tensor, Tensor, Tensor] | None = field(default=None, repr=False)
    _captions_of: Tensor | None = field(default=None, repr=False)
    _wrong: dict[tuple[int, ...], Tensor] = field(factory=dict, repr=False)

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
        """For each position draw one whose condition is wrong there, (B,).

        Uniform over all items of other classes, or without classes over all other
        items; of these, where captions are read, over those that share no caption with
        the item: what is said of both cannot be wrong for one.

        Raises:
            DataError: no item has a condition that is wrong for one of these.
        """
        order, first, count = self._grouped()
        first, count = first[positions], count[positions]
        if bool((count == len(self)).any()):
            raise DataError(
                "all items that can be read are of one class, so that none has a "
                "condition that is wrong for another; add other classes, or choose a "
                "loss that needs no wrong conditions"
            )
        drawn = torch.empty_like(positions)
        left = torch.arange(len(positions))
        for _ in range(_TRIES):
            draw = torch.rand(len(left), generator=rng, device=rng.device).cpu()
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

    def _wrong_for(self, position: int, rng: torch.Generator) -> Tensor:
        """Draw from all that are wrong for one item, where they are few."""
        own = self._repeated()[position]
        label = int(self.labels[position]) if self.labels is not None else position
        # what is wrong follows from the class and from captions that others have too
        known = (label if self.labels is not None else -1, *own.tolist())
        if known not in self._wrong:
            same = self.labels if self.labels is not None else torch.arange(len(self))
            self._wrong[known] = (~((same == label) | self._shared(own))).nonzero()[
                :, 0
            ]
        wrong = self._wrong[known]
        if not len(wrong):
            raise DataError(
                f"item {int(self.indices[position])}: every other item "
                f"{'is of its class or ' if self.labels is not None else ''}shares a "
                "caption with it, so that no caption is wrong for it; give the items "
                "captions of their own, or choose a loss that needs no wrong conditions"
            )
        draw = torch.rand((), generator=rng, device=rng.device).cpu()
        return wrong[(draw * len(wrong)).long()]

    def _shared(self, captions: Tensor) -> Tensor:
        """Tell which items have one of some repeated captions, (K,): (N,)."""
        return torch.isin(self._repeated(), captions[captions >= 0]).any(1)

    def _share(self, some: Tensor, others: Tensor) -> Tensor:
        """Tell which pairs of positions have a caption in common, (B,)."""
        mine, theirs = self._repeated()[some], self._repeated()[others]  # (B, K)
        equal = mine[:, :, None] == theirs[:, None, :]
        return (equal & (mine >= 0)[:, :, None]).flatten(1).any(1)

    def _repeated(self) -> Tensor:
        """Number the captions that several items have, (N, K); -1 for none.

        Upper and lower case are one, as they are to a text encoder.
        """
        if self._captions_of is None:
            told = self.captions if self.reads == "captions" else None
            texts = [
                {" ".join(text.split()).casefold() for text in some}
                for some in (told or [()] * len(self))
            ]
            counts = Counter(text for some in texts for text in some)
            several = [text for text, count in counts.items() if count > 1]
            number = {text: i for i, text in enumerate(several)}
            rows = [sorted(number[t] for t in some if t in number) for some in texts]
            widest = max(map(len, rows), default=0)
            padded = [row + [-1] * (widest - len(row)) for row in rows]
            self._captions_of = torch.tensor(padded, dtype=torch.long)
        return self._captions_of


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
