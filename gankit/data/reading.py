"""Reading a data set: what is known of its items, and of some sets all samples.

Samples of a set with ``annotations`` are read when they are played with. Of another,
all items are read at once, and samples kept where they fit.

Every process reads the samples that it will hold. What they tell each other is small:
which items are broken, and of streamed sets, whose items they share out among them,
annotations. Where there are pictures among these, every process reads them itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

from gankit.compute.processes import ALONE, Processes
from gankit.contracts import UNBOUNDED, Dataset
from gankit.data.columns import Columns, compacted
from gankit.data.items import Data, Progress
from gankit.data.placing import all_samples, first_whole, where
from gankit.data.samples import Form, check_form, form_of, mostly_broken
from gankit.data.store import empty, filled
from gankit.errors import BrokenItem, DataError

_CHUNK = 256  # items that one thread reads at a time


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
    every = all_samples(dataset)
    first = first_whole(dataset) if every is None else every[0]
    resident, place = where(first, total, device, mode, processes)
    facts = dataset.facts
    columns = Columns(facts.annotations, total)
    store, broken = None, dict[int, str]()
    if hasattr(dataset, "annotations"):  # samples can wait
        _know(dataset, columns, progress)
        if resident and every is not None:
            store = filled(every.to(device))
        elif resident:
            store = empty(first, total, device)
        indices = torch.arange(total)
    else:
        rows = first.new_empty((total, *first.shape)) if resident else None
        shared = processes if rows is None and columns.small else ALONE
        broken = _read(
            _reader(dataset, rows, columns, form_of(first)),
            columns,
            total,
            shared,
            progress,
        )
        for told in processes.gather(broken):
            broken = told | broken
        if len(broken) * 2 >= total:
            raise DataError(mostly_broken(broken, total))
        indices = torch.tensor([i for i in range(total) if i not in broken])
        if rows is not None:
            store = filled(compacted(rows, indices).to(device))
    return Data(
        dataset=dataset,
        facts=facts,
        annotations=columns.kept(indices),
        skipped=(
            *getattr(dataset, "skipped", ()),
            *(broken[i] for i in sorted(broken)),
        ),
        device=device,
        pixel_range=(-1.0, 1.0) if output_range == UNBOUNDED else output_range,
        indices=indices,
        store=store,
        form=form_of(first),
        place=place,
        progress=progress,
    )


def _know(dataset: Dataset, columns: Columns, progress: Progress) -> None:
    """Ask for what is known of all items, without reading their samples."""
    told: Callable[[int], Mapping[str, Any]] = dataset.annotations  # type: ignore[attr-defined] # an optional member
    total = len(dataset)
    for index in range(total):
        if index % _CHUNK == 0:
            progress(index, total, "reading the data")
        columns.put(index, told(index))
    progress(total, total, "reading the data")


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


def _reader(
    dataset: Dataset, rows: Tensor | None, columns: Columns, form: Form
) -> Callable[[int], BrokenItem | None]:
    """Return what reads one item, and puts what it is to keep into its row."""
    shape = None if hasattr(dataset, "transform") else dataset.facts.sample_shape

    def read(index: int) -> BrokenItem | None:
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
        check_form(index, item.sample, form)
        if rows is not None:
            rows[index] = item.sample
        columns.put(index, item.annotations)
        return None

    return read
