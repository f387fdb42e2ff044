"""Shards of a batch: what each finds is added up in one order, wherever it is found.

Floating-point addition is not associative. So that 1, 2 and 4 processes get the same
bits, a global batch is cut into K logical shards, whatever the processes are, and what
the shards find is summed along one binary tree: neighbours first, then neighbouring
pairs. A process has a run of K/N shards, a whole subtree, because both numbers are
powers of two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from operator import add
from typing import Any

import torch
from attrs import frozen
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.utils import _pytree as pytree

from gankit.compute.processes import ALONE, Processes
from gankit.errors import UsageError

_BUCKET = 1 << 23  # numbers of each process that are gathered at a time


@frozen
class Shards:
    """How a global batch is cut, and which shards are this process's.

    Attributes:
        count: K, shards in all.
        size: samples in one shard.
        exact: whether they are added up along the tree.
    """

    count: int
    size: int
    exact: bool
    processes: Processes

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


def cut(batch_size: int, exactly: int = 0, processes: Processes = ALONE) -> Shards:
    """Cut a batch into shards.

    Args:
        batch_size: samples in it.
        exactly: K, a power of two, for sums along the tree; 0 for a shard for each
            process, added up in any order.
        processes: those that share the batch.

    Raises:
        UsageError: it cannot be cut for so many processes.
    """
    size, exact = processes.size, exactly > 0
    count = exactly or size
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
    return Shards(count, batch_size // count, exact, processes)


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
        # as in counting: two sums of equally many shards become one
        while len(self._partial) > 1 and self._partial[-1][0] == self._partial[-2][0]:
            (count, late), (_, early) = self._partial.pop(), self._partial.pop()
            self._partial.append((2 * count, list(map(add, early, late))))

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


class State:
    """What passes change by the way: buffers of modules, and the state of parts.

    Batch statistics, the vectors of a spectral norm, a penalty's running mean. Every
    shard starts from the state before the round, and the state after it is the mean
    over the shards, as gradients are. Integers, as a count of batches, are every
    shard's the same.
    """

    def __init__(self, modules: Iterable[nn.Module], parts: Iterable[Any]) -> None:
        self._modules, self._parts = list(modules), list(parts)
        self._copies: list[Tensor] = []

    def keep(self) -> Callable[..., None]:
        """Remember the state; return what brings it back, until the next is kept.

        That may be given a flag on the device, and then brings it back if that is set.
        It waits for the device only where a buffer is not in its place any more.
        """
        named = [
            (module, name, buffer)
            for module in _every(self._modules)
            for name, buffer in module._buffers.items()  # also those that are None yet
        ]
        there = [buffer for _, _, buffer in named if buffer is not None]
        if [*map(_form, there)] != [*map(_form, self._copies)]:
            self._copies = [torch.empty_like(buffer) for buffer in there]
        if there:
            with torch.no_grad():  # a buffer may have a graph
                torch._foreach_copy_(self._copies, there)
        copies = iter(self._copies)
        buffers = [(m, name, b if b is None else next(copies)) for m, name, b in named]
        states = [deepcopy(part.state_dict()) for part in self._parts]

        def back(if_set: Tensor | None = None) -> None:
            with torch.no_grad():
                for module, name, kept in buffers:
                    now = module._buffers[name]
                    if now is None and kept is None:
                        continue
                    if now is None or kept is None or now.shape != kept.shape:
                        if if_set is not None and not if_set:
                            continue
                        module._buffers[name] = None if kept is None else kept.clone()
                    elif if_set is None:
                        _set(module, now, kept)
                    else:  # equal bits, or those of a pass that will not be used
                        now.data.copy_(torch.where(if_set, kept, now))
            for part, kept in zip(self._parts, states, strict=True):
                part.load_state_dict(deepcopy(kept))

        return back

    def tensors(self) -> list[Tensor]:
        """Return what is averaged over shards."""
        floating = [b.clone() for _, b in self._buffers() if b.is_floating_point()]
        leaves = pytree.tree_leaves([part.state_dict() for part in self._parts])
        return floating + [_as_tensor(leaf) for leaf in leaves if _is_float(leaf)]

    def put(self, tensors: Sequence[Tensor]) -> None:
        """Set what is averaged over shards."""
        values = iter(tensors)
        with torch.no_grad():
            for module, buffer in self._buffers():
                if buffer.is_floating_point():
                    _set(module, buffer, next(values))
        for part in self._parts:
            leaves, spec = pytree.tree_flatten(part.state_dict())
            new = [
                _like(leaf, next(values)) if _is_float(leaf) else leaf
                for leaf in leaves
            ]
            part.load_state_dict(pytree.tree_unflatten(new, spec))

    def _buffers(self) -> list[tuple[nn.Module, Tensor]]:
        """Find them anew each time, because a module may assign another tensor."""
        there = {
            buffer: module  # one that modules share is there once
            for module in _every(self._modules)
            for buffer in module._buffers.values()
            if buffer is not None
        }
        return [(module, buffer) for buffer, module in there.items()]


def _every(modules: Iterable[nn.Module | None]) -> Iterator[nn.Module]:
    """Give all modules within some; in a tenth of the time of ``modules()``."""
    for module in modules:
        if module is not None:
            yield module
            yield from _every(module._modules.values())


def _form(tensor: Tensor) -> tuple[Any, ...]:
    return tensor.shape, tensor.dtype, tensor.device


def _set(module: nn.Module, buffer: Tensor, value: Tensor) -> None:
    """Overwrite a buffer, which a pass that is to be differentiated may have read.

    Autograd refuses that. But what is equal is left alone, and a batch norm in training
    does not differentiate by its running statistics.
    """
    if torch.equal(buffer, value):
        return
    (buffer.data if isinstance(module, _NormBase) else buffer).copy_(value)


def _is_float(leaf: Any) -> bool:
    if isinstance(leaf, Tensor):
        return leaf.is_floating_point()
    return isinstance(leaf, float)


def _as_tensor(leaf: Tensor | float) -> Tensor:
    if isinstance(leaf, Tensor):
        return leaf.clone()
    return torch.tensor(leaf, dtype=torch.float64)


def _like(leaf: Tensor | float, mean: Tensor) -> Tensor | float:
    return mean if isinstance(leaf, Tensor) else float(mean)
