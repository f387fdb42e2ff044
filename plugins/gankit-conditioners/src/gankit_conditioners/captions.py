"""The captions of a data set, each distinct one held and embedded once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from attrs import frozen
from torch import Tensor

from gankit_conditioners.alphabet import is_legible, remarks

MISSING = -1
EMBEDDED = 4096  # captions whose vectors are held besides those of all items

Progress = Callable[[int, int, str], None]


@frozen(eq=False)
class CaptionTable:
    """Which item bears which captions.

    Captions in which nothing is legible are left out, as if the item did not have them.

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
    def of(
        cls,
        raw: Sequence[Sequence[str]],
        legible: Callable[[str], bool] = is_legible,
    ) -> CaptionTable:
        """Gather the captions of all items, in their order.

        Args:
            raw: the captions of each item.
            legible: tells what an encoder can read of; by default letters of
                :mod:`gankit_conditioners.alphabet`.
        """
        given = dict.fromkeys(text for texts in raw for text in texts)
        distinct = [text for text in given if legible(text)]
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
        return remarks(self.distinct, length) + self.lost()

    def lost(self) -> list[str]:
        """Say what is lost of these captions, however long they are."""
        bare = int((self.counts == 0).sum())
        found = (
            (self.illegible, "captions with nothing legible in them, left out"),
            (bare, "items without a caption, whose condition is all zeros"),
        )
        return [f"{what}: {count}" for count, what in found if count]

    def vectors(
        self,
        size: int,
        embed: Callable[[Sequence[str]], Tensor],
        progress: Progress,
    ) -> Tensor:
        """Embed each caption once, and lay the vectors out by items, (N, K, size).

        The places of missing captions are NaN.

        Args:
            size: numbers of a vector.
            embed: turns captions into vectors, (D, size).
            progress: told what is done.
        """
        vectors = torch.full((*self.ids.shape, size), float("nan"))
        total = len(self.distinct)
        for start in range(0, total, EMBEDDED):
            progress(start, total, "embedding captions")
            some = self.distinct[start : start + EMBEDDED]
            here = (self.ids >= start) & (self.ids < start + len(some))  # (N, K)
            vectors[here] = embed(some)[self.ids[here] - start]
        progress(total, total, "embedding captions")
        return vectors


def mean_of_some(vectors: Tensor, count: int | None) -> Tensor:
    """Average random captions of each item: (B, K, size) to (B, size).

    Args:
        vectors: of all captions of each item, NaN where there is none.
        count: how many different ones, all equally likely, or all if there are fewer;
            None for all of them. Without any caption, the mean is zeros.
    """
    chosen = ~vectors[..., 0].isnan()  # (B, K)
    if count is not None and vectors.shape[1] > count:
        order = torch.rand(chosen.shape, device=vectors.device)
        highest = order.masked_fill(~chosen, -1.0).topk(count, dim=1)
        picked = torch.zeros_like(chosen).scatter(1, highest.indices, True)
        chosen = chosen & picked
    total = vectors.where(chosen[..., None], 0.0).sum(dim=1)
    return total / chosen.sum(dim=1, keepdim=True).clamp(min=1)
