"""Reading a data set: whole onto the device, or only what is known of its items.

Every process reads the samples that it will hold. What they tell each other is small:
which items are broken, and of streamed sets, whose items they share out among them,
annotations. Where there are pictures among these, every process reads them itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from gankit.compute.device import free_memory
from gankit.compute.processes import ALONE, Processes
from gankit.contracts import UNBOUNDED, Dataset
from gankit.data.columns import Columns, compacted
from gankit.data.items import Data, Progress
from gankit.errors import BrokenItem, DataError

_CHUNK = 256  # items that one thread reads at a time
# A data set stays on the device while it takes at most this part of what is free.
_RESIDENT_PART = 0.4
_LISTED = 5


def read_data(
    dataset: Dataset,
    *,
    device: torch.device,
    mode: str = "auto",
    output_range: tuple[float, float] = (-1.0, 1.0),
    processes: Processes = ALONE,
    progress: Progress = lambda done, total, text: None,
) -> Data:
    """Read a data set: whole onto the device, or only what is known of its items.

    Args:
        dataset: where the items come from.
        device: where the samples go.
        mode: ``resident``, ``streamed``, or ``auto``: resident when it fits.
        output_range: what uint8 pixels are scaled to; unbounded means (-1, 1).
        processes: those that share the run.
        progress: told how many items have been read.

    Raises:
        DataError: most items are broken, or too few are left to train on.
    """
    total = len(dataset)
    if total == 0:
        raise DataError("the data set is empty; give it at least one batch of items")
    first = None if mode == "streamed" else _first_whole(dataset)
    resident = mode == "resident" or (
        mode == "auto" and not processes.any(not _fits(first, total, device, processes))
    )
    store = None
    if resident and first is not None:
        store = first.new_empty((total, *first.shape))  # a row for each item
    facts = dataset.facts
    columns = Columns(facts.annotations, total)
    shared = processes if store is None and columns.small else ALONE
    read = _reader(dataset, store, columns)
    broken = _read(read, columns, total, shared, progress)
    for told in processes.gather(broken):
        broken = told | broken
    if len(broken) * 2 >= total:
        raise DataError(
            f"{len(broken)} of {total} items cannot be read, as "
            f"{_some(_in_order(broken))}; mend or remove them: gankit skips single "
            "broken items, not most of a set"
        )
    kept = [index for index in range(total) if index not in broken]
    indices = torch.tensor(kept)
    return Data(
        dataset=dataset,
        facts=facts,
        annotations=columns.kept(indices),
        skipped=(*getattr(dataset, "skipped", ()), *_in_order(broken)),
        device=device,
        pixel_range=(-1.0, 1.0) if output_range == UNBOUNDED else output_range,
        indices=indices,
        store=None if store is None else compacted(store, indices).to(device),
    )


def _read(
    read: Callable[[int], BrokenItem | None],
    columns: Columns,
    total: int,
    processes: Processes,
    progress: Progress,
) -> dict[int, str]:
    """Read all items in many threads; return why some are broken.

    Processes that share this read a part each, and tell each other what they know.
    """
    broken: dict[int, str] = {}
    chunks = [range(i, min(i + _CHUNK, total)) for i in range(0, total, _CHUNK)]
    own = chunks[processes.rank :: processes.size]
    with ThreadPoolExecutor() as pool:
        answers = pool.map(lambda chunk: [read(i) for i in chunk], own)
        for chunk, told in zip(own, answers, strict=True):
            progress(chunk.start, total, "reading the data")
            broken |= {i: str(e) for i, e in zip(chunk, told, strict=True) if e}
    progress(total, total, "reading the data")
    if processes.size > 1:
        chunk_of = torch.arange(total) // _CHUNK
        parts = [chunk_of % processes.size == r for r in range(processes.size)]
        rows = [part.nonzero()[:, 0] for part in parts]
        known = processes.gather(columns.rows(rows[processes.rank]))
        for indices, annotations in zip(rows, known, strict=True):
            columns.put_rows(indices, annotations)
    return broken


def _first_whole(dataset: Dataset) -> Tensor | None:
    """Read the first sample that can be read."""
    for index in range(len(dataset)):
        try:
            return dataset[index].sample
        except BrokenItem:
            continue
    return None


def _reader(
    dataset: Dataset, store: Tensor | None, columns: Columns
) -> Callable[[int], BrokenItem | None]:
    """Return what reads one item, and puts what it is to keep into its row."""
    annotations = getattr(dataset, "annotations", None)
    shape = None if hasattr(dataset, "transform") else dataset.facts.sample_shape

    def read(index: int) -> BrokenItem | None:
        if annotations is not None and store is None:
            columns.put(index, annotations(index))
            return None
        try:
            item = dataset[index]
        except BrokenItem as error:
            return error
        made = tuple(item.sample.shape)
        if shape is not None and made != shape:
            raise DataError(
                f"item {index} of the data set has the shape {made}, but the set says "
                f"{shape}; its author has to mend it"
            )
        if store is not None:
            if made != store.shape[1:] or item.sample.dtype != store.dtype:
                raise DataError(
                    f"item {index} of the data set has the shape {made} and the type "
                    f"{item.sample.dtype}, but the first has {tuple(store.shape[1:])} "
                    f"and {store.dtype}; its author has to mend it"
                )
            store[index] = item.sample
        columns.put(index, item.annotations)
        return None

    return read


def _fits(
    first: Tensor | None, total: int, device: torch.device, processes: Processes
) -> bool:
    if first is None:
        return True
    sharing = processes.local_size if device.type == "cpu" else 1
    size = first.numel() * first.element_size() * total
    return size <= _RESIDENT_PART * free_memory(device) / sharing


def _in_order(broken: Mapping[int, str]) -> list[str]:
    return [broken[index] for index in sorted(broken)]


def _some(lines: Sequence[str]) -> str:
    more = f" and {len(lines) - _LISTED} more" if len(lines) > _LISTED else ""
    return "; ".join(lines[:_LISTED]) + more
