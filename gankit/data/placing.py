"""Where the samples of a data set are: on the device, or read again for each batch."""

from __future__ import annotations

import torch
from torch import Tensor

from gankit.compute.memory import free_memory
from gankit.compute.processes import ALONE, Processes
from gankit.contracts import Dataset
from gankit.data.samples import mostly_broken
from gankit.errors import BrokenItem, DataError

# A data set stays on the device while it takes at most this part of what is free.
_RESIDENT_PART = 0.4


def first_whole(dataset: Dataset) -> Tensor:
    """Read the first sample that can be read."""
    broken = dict[int, str]()
    for index in range(len(dataset)):
        try:
            return dataset[index].sample
        except BrokenItem as error:
            broken[index] = str(error)
    raise DataError(mostly_broken(broken, len(dataset)))


def all_samples(dataset: Dataset) -> Tensor | None:
    """Return all samples as they are stored, (N, *stored), of a set that holds them.

    Raises:
        DataError: what it gives cannot be that.
    """
    every = getattr(dataset, "all_samples", None)
    if every is None:
        return None
    shape = () if hasattr(dataset, "transform") else dataset.facts.sample_shape
    if (
        isinstance(every, Tensor)
        and len(every) == len(dataset)
        and tuple(every.shape[1:]) == (shape or tuple(every.shape[1:]))
    ):
        return every
    given = tuple(every.shape) if isinstance(every, Tensor) else type(every).__name__
    wanted = ", ".join(map(str, (len(dataset), *(shape or ("…",)))))
    raise DataError(
        f"all_samples of the data set is {given}, and not a tensor ({wanted}) of all "
        "its samples; its author has to mend it"
    )


def placed(dataset: Dataset, device: torch.device, mode: str) -> str:
    """Say where the samples of a data set would be, and why, without reading them.

    Raises:
        DataError: none can be read.
    """
    return where(first_whole(dataset), len(dataset), device, mode, ALONE)[1]


def where(
    sample: Tensor, total: int, device: torch.device, mode: str, processes: Processes
) -> tuple[bool, str]:
    """Tell whether samples stay on the device, and why."""
    sharing = processes.local_size if device.type == "cpu" else 1
    size, free = sample.numel() * sample.element_size() * total, free_memory(device)
    fits = size <= _RESIDENT_PART * free / sharing
    resident = mode == "resident" or (mode == "auto" and not processes.any(not fits))
    how = "resident on" if resident else "streamed to"
    return resident, (
        f"{how} {device}: samples take {_bytes(size)}, {_bytes(free)} are free"
        + ("" if mode == "auto" else f", and train.data is {mode!r}")
    )


def _bytes(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.1f} MiB"
