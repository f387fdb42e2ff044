"""Reading samples one by one: which are broken, and what all have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from gankit.contracts import Dataset
from gankit.errors import BrokenItem, DataError

Form = tuple[tuple[int, ...], torch.dtype]
Read = tuple[Tensor, Tensor, list[str]]  # samples, their positions, reasons

_LISTED = 5


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
