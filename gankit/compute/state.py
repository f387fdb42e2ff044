"""What passes change by the way, kept, put back and averaged over shards."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.utils import _pytree as pytree


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
