"""Reading samples one by one: which are broken, and what all have in common."""

from __future__ import annotations

import os
import pickle
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gankit.contracts import Dataset
from gankit.errors import BrokenItem, DataError
from gankit.plugins.importing import import_file

Form = tuple[tuple[int, ...], torch.dtype]
Read = tuple[Tensor, Tensor, list[str]]  # samples, their positions, reasons

_LISTED = 5
_LATER = 19  # steps of rank below the training process: the last


def mostly_broken(broken: Mapping[int, str], total: int) -> str:
    """Say why a set is refused most of whose items cannot be read."""
    lines = [broken[index] for index in sorted(broken)]
    more = f" and {len(lines) - _LISTED} more" if len(lines) > _LISTED else ""
    return (
        f"{len(broken)} of {total} items cannot be read, as "
        f"{'; '.join(lines[:_LISTED])}{more}; mend or remove them: gankit skips single "
        "broken items, not most of a set"
    )


def form_of(sample: Tensor) -> Form:
    """Return what all samples as stored have in common: their shape and type."""
    return tuple(sample.shape), sample.dtype


class Reader:
    """Reads the sample at a position or, if it is broken, the next that is whole.

    Gives the sample, its position, and why the one that was asked for is broken, or "".
    """

    def __init__(self, dataset: Dataset, indices: Tensor, form: Form) -> None:
        self._dataset, self._indices, self._form = dataset, indices, form

    def __getitem__(self, position: int) -> tuple[Tensor, int, str]:
        reason = ""
        for offset in range(len(self._indices)):
            place = (position + offset) % len(self._indices)
            index = int(self._indices[place])
            try:
                sample = self._dataset[index].sample
            except BrokenItem as error:
                reason = reason or str(error)
                continue
            check_form(index, sample, self._form)
            return sample, place, reason
        raise DataError("no item of the data set can be read any more")


def check_form(index: int, sample: Tensor, form: Form) -> None:
    """Refuse a sample of another form than the first.

    Raises:
        DataError: names both.
    """
    shape, dtype = tuple(sample.shape), sample.dtype
    if (shape, dtype) != form:
        raise DataError(
            f"item {index} of the data set has the shape {shape} and the type {dtype}, "
            f"but the first has {form[0]} and {form[1]}; its author has to mend it"
        )


def collated(read: Sequence[tuple[Tensor, int, str]]) -> Read:
    """Join what was read of several items; there may be none."""
    if not read:
        return torch.empty(0), torch.empty(0, dtype=torch.long), []
    samples, places, reasons = zip(*read, strict=True)
    return torch.stack(samples), torch.tensor(places), list(reasons)


class Readable(Reader):
    """A reader that a worker can have, however it is started."""

    def __init__(
        self,
        dataset: Dataset,
        indices: Tensor,
        form: Form,
        plugin_files: Sequence[Path],
    ) -> None:
        super().__init__(dataset, indices, form)
        self._plugin_files = tuple(plugin_files)

    def __reduce__(self) -> tuple[Any, ...]:
        # a spawned worker must know a local plugin's module before it unpickles
        inner = pickle.dumps((self._dataset, self._indices, self._form))
        return _recall, (self._plugin_files, inner)


def _recall(plugin_files: tuple[Path, ...], inner: bytes) -> Readable:
    for path in plugin_files:
        import_file(path)
    # what this run's own process has dumped
    dataset, indices, form = pickle.loads(inner)
    return Readable(dataset, indices, form, plugin_files)


def give_way(worker: int) -> None:
    """Let a process that reads ahead run where those that compute leave room.

    Threads that share a step wait for the slowest of them: on two cores, two readers of
    equal rank cost a step of a DCGAN an eighth of its time.
    """
    if hasattr(os, "nice"):
        os.nice(_LATER)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Keep torch from raising, when a worker dies, in whatever is going on then.

    Its handler of SIGCHLD would do so in the middle of a step or of a save; whoever
    waits for the worker's next batch learns of its death without.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # torch sets no handler there either
        return
    before = signal.getsignal(signal.SIGCHLD)
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, before or signal.SIG_DFL)
