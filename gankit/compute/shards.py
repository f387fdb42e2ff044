"""Shards of a batch: what each finds is added up in one order, wherever it is found.

Floating-point addition is not associative. So that 1, 2 and 4 processes get the same
bits, a global batch is cut into K logical shards, whatever the processes are, and what
the shards find is summed along one binary tree: neighbours first, then neighbouring
pairs. A process has a run of K/N shards, a whole subtree, because both numbers are
powers of two.

Where only memory is to be saved, the shards of a process are pieces of one batch, as
many as one likes: they draw what that batch would draw, and are added up as they come.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from attrs import frozen
from torch import Tensor
from torch.utils import _pytree as pytree

from gankit.compute.processes import ALONE, Processes
from gankit.errors import UsageError

_BUCKET = 1 << 23  # numbers of each process that are gathered at a time

Draw = Callable[[int, torch.Generator], Tensor]  # so many rows


@frozen
class Shards:
    """How a global batch is cut, and which shards are this process's.

    Attributes:
        count: K, shards in all.
        size: samples in one shard.
        exact: whether they are added up along the tree.
        pieces: shards in a row that are one batch of a process, cut to save memory:
            what does not look at other samples is drawn for all of them together.
    """

    count: int
    size: int
    exact: bool
    processes: Processes
    pieces: int = 1

    @property
    def own(self) -> range:
        """The shards of this process."""
        each = self.count // self.processes.size
        return range(self.processes.rank * each, (self.processes.rank + 1) * each)

    @property
    def own_samples(self) -> slice:
        """The place in a global batch of this process's samples."""
        own = self.own
        return slice(own.start * self.size, own.stop * self.size)

    def place(self, shard: int) -> tuple[int, ...]:
        """Return the number of the batch that a shard is cut from, and of the piece.

        The first piece has no number: it draws what the uncut batch would.
        """
        whole, piece = divmod(shard, self.pieces)
        return (whole, piece) if piece else (whole,)

    def rows(self, shard: int, draw: Draw) -> Draw:
        """Let a shard have its rows of what is drawn for the batch it is cut from."""
        if self.pieces == 1:
            return draw

        def drawn(count: int, rng: torch.Generator) -> Tensor:
            start = shard % self.pieces * count
            return draw(self.pieces * count, rng)[start : start + count]

        return drawn


def cut(
    batch_size: int,
    exactly: int = 0,
    processes: Processes = ALONE,
    pieces: int = 1,
) -> Shards:
    """Cut a batch into shards.

    Args:
        batch_size: samples in it.
        exactly: K, a power of two, for sums along the tree; 0 for a shard for each
            process, added up in any order.
        processes: those that share the batch.
        pieces: into which each process cuts its own part, where ``exactly`` is 0.

    Raises:
        UsageError: it cannot be cut for so many processes.
    """
    size, exact = processes.size, exactly > 0
    count = exactly or size * pieces
    if exact and count % size:
        raise UsageError(
            f"{size} processes cannot share {count} shards evenly, as train.reduce "
            "'exact' needs; start 1, 2, 4, … processes, at most as many as "
            "train.shards, or set train.reduce to 'fast'"
        )
    if batch_size % count:
        raise UsageError(
            f"train.batch_size: {batch_size} cannot be cut into {count} equal "
            f"shards; set it to a multiple of {count}"
        )
    return Shards(count, batch_size // count, exact, processes, pieces)


class Mean:
    """The mean over all shards of a structure of tensors, summed in one order.

    Every shard adds the same nest of dictionaries and lists, with tensors of the same
    shapes and types; integers are not summed up.
    """

    def __init__(self, shards: Shards) -> None:
        self._shards = shards
        self._partial: list[tuple[int, list[Tensor]]] = []  # (shards in it, their sum)
        self._like: Any = None

    def add(self, structure: Any) -> None:
        """Add what one shard has found; shards come in their order."""
        self._like = structure
        if self._shards.count == 1:
            return
        self._partial.append((1, _flat(pytree.tree_leaves(structure))))
        # as in counting: two sums of equally many shards become one; where any order
        # will do, all become one, which takes the least memory
        exact = self._shards.exact
        while len(self._partial) > 1 and (
            not exact or self._partial[-1][0] == self._partial[-2][0]
        ):
            (later, late), (sooner, early) = self._partial.pop(), self._partial.pop()
            for total, more in zip(early, late, strict=True):
                total += more
            self._partial.append((sooner + later, early))

    def take(self) -> Any:
        """Return the mean, in the same structure; of every process the same."""
        if self._shards.count == 1:
            return self._like
        ((_, sums),) = self._partial
        if self._shards.processes.size > 1:
            gathered = self._tree if self._shards.exact else self._shards.processes.sum
            sums = [gathered(vector) for vector in sums]
        means = [vector / self._shards.count for vector in sums]
        like, structure = pytree.tree_flatten(self._like)
        return pytree.tree_unflatten(_apart(means, like), structure)

    def _tree(self, vector: Tensor) -> Tensor:
        """Go on with the tree, from this process's subtree to the root."""
        parts = [
            _tree_sum(list(self._shards.processes.all_of(part)))
            for part in torch.split(vector, _BUCKET)
        ]
        return torch.cat(parts)


def _tree_sum(vectors: list[Tensor]) -> Tensor:
    while len(vectors) > 1:
        pairs = zip(vectors[::2], vectors[1::2], strict=True)
        vectors = [early + late for early, late in pairs]
    return vectors[0]


def _sort(tensor: Tensor) -> tuple[torch.dtype, torch.device]:
    return tensor.dtype, tensor.device


def _flat(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Join tensors to one vector for each type and device."""
    return [
        torch.cat([t.detach().reshape(-1) for t in tensors if _sort(t) == sort])
        for sort in dict.fromkeys(map(_sort, tensors))
    ]


def _apart(vectors: Sequence[Tensor], like: Sequence[Tensor]) -> list[Tensor]:
    """Undo the joining."""
    pieces = {}
    for vector in vectors:
        mine = [t for t in like if _sort(t) == _sort(vector)]
        parts = torch.split(vector, [t.numel() for t in mine])
        pieces[_sort(vector)] = iter(
            part.view_as(t) for part, t in zip(parts, mine, strict=True)
        )
    return [next(pieces[_sort(t)]) for t in like]
