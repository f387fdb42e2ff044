"""States that are saved: copying them, and writing them so that all may read them."""

from __future__ import annotations

import pickle
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Mapping
from copy import copy
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from gankit.errors import PluginError, listed

_TABLES = (dict, OrderedDict, defaultdict, Counter)


def copied(state: Any, within: frozenset[int] = frozenset()) -> Any:
    """Copy a state onto the CPU, as far as a checkpoint can hold it.

    What it cannot hold is left as it is, and refused when it is written: also what lies
    ``within`` itself, by the ids of what it lies in.
    """
    if isinstance(state, Tensor):
        return state.detach().to("cpu", copy=True)
    if id(state) in within:
        return state
    inner = within | {id(state)}
    if type(state) in _TABLES:
        own = copy(state)
        own.update({key: copied(value, inner) for key, value in state.items()})
        return own
    if type(state) in (list, tuple):
        return type(state)(copied(value, inner) for value in state)
    return copy(state) if type(state) in (set, bytearray) else state


def write_state(state: Any, file: Path | BytesIO) -> list[str]:
    """Write a state; say what of it could not be written, or not read again."""
    try:
        torch.save(state, file, pickle_module=PLAIN)
        if isinstance(file, BytesIO):
            file.seek(0)
        return torch.serialization.get_unsafe_globals_in_checkpoint(file)
    except (pickle.PicklingError, AttributeError, TypeError, ValueError) as error:
        return [str(error)]


def check_states(states: Mapping[str, Any]) -> None:
    """Refuse what could not be read again without running code, as numpy's numbers.

    Args:
        states: by the names of the parts or hooks that they are of.

    Raises:
        PluginError: names the part or hook, and what its state holds.
    """
    for name, state in states.items():
        if unfit := write_state(state, BytesIO()):
            raise PluginError(
                f"the state of {name} holds {listed(unfit)}, which a checkpoint "
                "cannot hold; its author has to return numbers, strings, tensors, "
                "lists and dictionaries"
            )


class _PlainPickler(pickle.Pickler):
    """Writes equal contents as equal bytes, however they came about.

    Nothing is written as a reference to what was written before, and each tensor has a
    storage of its own: which strings are one object, and of what a tensor is a view,
    differs between a state that was loaded and the one that was saved.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fast = True  # without a memo

    def reducer_override(self, thing: Any) -> Any:
        """Give a tensor its own storage; a dense one keeps its strides."""
        if not isinstance(thing, Tensor):
            return NotImplemented
        own: Any = thing.detach()
        if not _has_its_own(own):
            own = own.to("cpu", copy=True)
        # sums may follow strides, but a side of one may have any
        if own.layout is torch.strided and own.is_contiguous():
            own = own.view(-1).view(own.shape)
        return own.__reduce_ex__(2)


def _has_its_own(tensor: Tensor) -> bool:
    """Tell whether a tensor has a storage on the CPU, and all of it."""
    if tensor.layout is not torch.strided or tensor.device.type != "cpu":
        return False
    size = tensor.numel() * tensor.element_size()
    return bool(tensor.untyped_storage().nbytes() == size)


PLAIN = SimpleNamespace(__name__=__name__, Pickler=_PlainPickler)
