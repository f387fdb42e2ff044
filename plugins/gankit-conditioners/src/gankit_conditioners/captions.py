"""The captions of a data set, each distinct one held and embedded once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from attrs import frozen
from torch import Tensor

from gankit_conditioners.alphabet import is_legible, remarks

MISSING = -1


@frozen(eq=False)
class CaptionTable:
    """Which item bears which captions.

    Captions in which nothing is legible (see :mod:`gankit_conditioners.alphabet`) are
    left out, as if the item did not have them.

    Attributes:
        distinct: every caption, once.
        ids: their places in ``distinct``, int64 (N, K), packed to the left and filled
            up with -1; K is the largest number of captions of one item, at least 1.
        illegible: how many captions were left out.
    """

    distinct: list[str]
    ids: Tensor
    illegible: int

    @classmethod
    def of(cls, raw: Sequence[Sequence[str]]) -> CaptionTable:
        """Gather the captions of all items, in their order."""
        given = dict.fromkeys(text for texts in raw for text in texts)
        distinct = [text for text in given if is_legible(text)]
        places = {text: place for place, text in enumerate(distinct)}
        rows = [[places[text] for text in texts if text in places] for texts in raw]
        widest = max(map(len, rows), default=0) or 1
        padded = [row + [MISSING] * (widest - len(row)) for row in rows]
        ids = torch.tensor(padded, dtype=torch.int64).view(-1, widest)
        illegible = sum(map(len, raw)) - sum(map(len, rows))
        return cls(distinct, ids, illegible)

    @property
    def counts(self) -> Tensor:
        """How many captions each item has, (N,)."""
        return (self.ids != MISSING).sum(dim=1)

    def notes(self, length: int) -> list[str]:
        """Say what is lost when these captions are read ``length`` characters long."""
        bare = int((self.counts == 0).sum())
        found = (
            (self.illegible, "captions with nothing legible in them, left out"),
            (bare, "items without a caption, whose condition is all zeros"),
        )
        lost = [f"{what}: {count}" for count, what in found if count]
        return remarks(self.distinct, length) + lost
