"""What is known of the items of a data set, a column for each annotation."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from gankit.compute.device import sent
from gankit.data.annotations import Annotation, Picture
from gankit.errors import DataError, UsageError, listed

_CHUNK = 256  # rows that are moved at a time


class Columns:
    """Room for the annotations of all items; each is checked when it is put there.

    Args:
        declared: the annotations of the data set, by name.
        total: how many items there are.
    """

    def __init__(self, declared: Mapping[str, Annotation], total: int) -> None:
        self._declared = declared
        self._columns = {name: kind.column(total) for name, kind in declared.items()}

    @property
    def small(self) -> bool:
        """Whether processes can tell each other what they have read."""
        return not any(isinstance(kind, Picture) for kind in self._declared.values())

    def put(self, index: int, given: Mapping[str, Any]) -> None:
        """Put the annotations of one item into its row.

        Raises:
            DataError: they are not what is declared.
        """
        if not isinstance(given, Mapping):
            raise DataError(
                f"the annotations of item {index} are a {type(given).__name__}; the "
                "author of the data set has to give them by name, as {'label': 3}"
            )
        if given.keys() != self._declared.keys():
            raise DataError(
                f"item {index} of the data set has the annotations {listed(given)}, "
                f"but the set declares {listed(self._declared)}; its author has to "
                "give each item what its facts declare"
            )
        for name, kind in self._declared.items():
            try:
                self._columns[name][index] = kind.checked(given[name])
            except ValueError as error:
                raise DataError(
                    f"item {index} of the data set, {name}: {error}; its author has to "
                    f"mend the item, or what the set declares of {name!r}"
                ) from error

    def rows(self, indices: Tensor) -> dict[str, Any]:
        """Return the values of some items, by name, in copies."""
        return {
            name: rows_of(column, indices) for name, column in self._columns.items()
        }

    def kept(self, indices: Tensor) -> dict[str, Any]:
        """Return the values of the items that are kept, by name; the rest is lost."""
        return {
            name: compacted(column, indices)
            if isinstance(column, Tensor)
            else rows_of(column, indices)
            for name, column in self._columns.items()
        }

    def put_rows(self, indices: Tensor, told: Mapping[str, Any]) -> None:
        """Put what another process has read into its rows."""
        for name, column in self._columns.items():
            if isinstance(column, Tensor):
                column[indices] = told[name]
                continue
            for index, value in zip(indices.tolist(), told[name], strict=True):
                column[index] = value


def compacted(store: Tensor, kept: Tensor) -> Tensor:
    """Move the rows that are kept to the front, without a second store beside it."""
    if len(kept) < len(store):
        for start in range(0, len(kept), _CHUNK):
            rows = kept[start : start + _CHUNK]  # never above the rows written before
            store[start : start + len(rows)] = store[rows]
    return store[: len(kept)]


def annotation_at(
    annotations: Mapping[str, Any], name: str, positions: Tensor, device: torch.device
) -> Any:
    """Return an annotation at positions: a tensor on the device, or a list.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in annotations:
        raise UsageError(
            f"the data set has no annotation {name!r}, it has {listed(annotations)}; a "
            f"loss that cannot do without it says so, by needs = ({name!r},)"
        )
    rows = rows_of(annotations[name], positions)
    return sent(rows, device) if isinstance(rows, Tensor) else rows


def as_read(column: Any) -> Any:
    """Return values as a conditioner's ``tokens`` is given them."""
    indices = isinstance(column, Tensor) and column.ndim == 1
    return column.tolist() if indices else column


def rows_of(column: Any, indices: Tensor) -> Any:
    """Return the values at some indices, of a tensor or of a list."""
    if isinstance(column, Tensor):
        return column[indices]
    return [column[index] for index in indices.tolist()]


def numbered(rows: Tensor) -> Tensor:
    """Number rows (N, ...), equal ones alike: int64 (N,), from 0 in their order."""
    flat = rows.flatten(1)
    plain = (flat + 0.0 if flat.is_floating_point() else flat).numpy()  # -0 is 0
    seen: dict[bytes, int] = {}
    return torch.tensor([seen.setdefault(_digest(row), len(seen)) for row in plain])


def _digest(row: Any) -> bytes:
    return hashlib.blake2b(row.tobytes(), digest_size=16).digest()
