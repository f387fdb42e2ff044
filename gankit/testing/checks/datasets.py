"""Checks of data sets."""

from __future__ import annotations

import pickle
from contextlib import suppress
from typing import Any

import torch
from attrs import evolve
from torch import Tensor

from gankit.compute.shards import cut
from gankit.data.facts import Item
from gankit.data.feed import Feed
from gankit.data.reading import read_data
from gankit.errors import told as in_words
from gankit.testing import together
from gankit.testing.limits import offline
from gankit.testing.probing import digest, indices_of, told_of, whole_items
from gankit.testing.settings import CPU
from gankit.testing.subject import Subject
from gankit.testing.verdicts import Failed

_LOOKED_AT = 16  # items
_BATCH = 4
_ROUNDING = 1e-3  # of a range's width


def items_formed(subject: Subject) -> None:
    """Items are gankit.Item of the declared shape and type, the same at each call."""
    dataset = subject.parts().part
    if len(dataset) < 1:
        raise Failed("it is empty; raise DataError in the constructor, and say why")
    form = None
    for index, item in whole_items(dataset, _LOOKED_AT):
        if not isinstance(item, Item) or not isinstance(item.sample, Tensor):
            given = item.sample if isinstance(item, Item) else item
            raise Failed(
                f"item {index} is a {type(given).__name__}; return gankit.Item(sample, "
                "…) with the sample as a tensor"
            )
        form = form or (item.sample.dtype, item.sample.shape)
        _check_form(dataset, index, item, form)
        if (every := getattr(dataset, "all_samples", None)) is not None:
            _check_same(every[index], item.sample, index)
        again = dataset[index]
        if _all_of(item) != _all_of(again):
            raise Failed(
                f"item {index} is another at each call; an item is a function of its "
                "index alone, and random changes are made by transform(samples, rng)"
            )
    if form is None:
        raise Failed(
            f"of {_LOOKED_AT} items that were looked at none can be read: each raises "
            "BrokenItem; mend what reads them, or give options that name whole files"
        )


def _all_of(item: Item) -> str:
    return digest([item.sample, *told_of(item.annotations)])


def _check_same(held: Any, sample: Tensor, index: int) -> None:
    if not isinstance(held, Tensor) or digest([held]) != digest([sample]):
        raise Failed(
            f"all_samples[{index}] is not the sample of item {index}; both are the "
            "samples as they are stored"
        )


def _check_form(dataset: Any, index: int, item: Item, form: Any) -> None:
    sample, facts = item.sample, dataset.facts
    if (sample.dtype, sample.shape) != form:
        raise Failed(
            f"item {index} has the type {sample.dtype} and the shape "
            f"{tuple(sample.shape)}, and the first {form[0]} and {tuple(form[1])}; "
            "make them alike"
        )
    if hasattr(dataset, "transform"):
        return  # what is stored may be anything
    if tuple(sample.shape) != facts.sample_shape:
        raise Failed(
            f"item {index} has the shape {tuple(sample.shape)}, and facts declare "
            f"{facts.sample_shape}; mend one of them"
        )
    pixels = facts.sample_range is None
    if pixels != (sample.dtype == torch.uint8):
        raise Failed(
            f"item {index} is {sample.dtype}, and facts declare sample_range = "
            f"{facts.sample_range}; declare None for uint8 pixels, and the lowest and "
            "highest value of floats"
        )


def range_declared(subject: Subject) -> None:
    """Values are finite, and within the declared range."""
    dataset = subject.parts().part
    limits = dataset.facts.sample_range
    if limits is None or hasattr(dataset, "transform"):
        return  # every value of a byte is a pixel's
    for index, item in whole_items(dataset, _LOOKED_AT):
        if not bool(item.sample.isfinite().all()):
            raise Failed(
                f"item {index} has values that are not finite; raise BrokenItem for it"
            )
        low, high = float(item.sample.min()), float(item.sample.max())
        slack = _ROUNDING * (limits[1] - limits[0])
        if not (limits[0] - slack <= low and high <= limits[1] + slack):
            raise Failed(
                f"item {index} has values from {low:g} to {high:g}, and facts declare "
                f"sample_range = {limits}; scale them, or declare what they have"
            )


def annotations_true(subject: Subject) -> None:
    """Each item has a value of every annotation, and labels are of the classes."""
    dataset = subject.parts().part
    declared = dataset.facts.annotations
    alone = getattr(dataset, "annotations", None)
    for index, item in whole_items(dataset, _LOOKED_AT):
        said = [("", item.annotations)]
        said += [("annotations() of ", alone(index))] if alone is not None else []
        kept = []
        for where, known in said:
            if set(known) != set(declared):
                raise Failed(
                    f"{where}item {index} has {sorted(known)}, and facts declare "
                    f"{sorted(declared)}; give each item what is declared"
                )
            try:
                kept.append([declared[name].checked(known[name]) for name in declared])
            except ValueError as error:
                raise Failed(f"{where}item {index}: {error}") from None
        if len({digest(values) for values in kept}) > 1:
            raise Failed(
                f"annotations({index}) are others than those of item {index}; both say "
                "the same of an item"
            )


def sent_to_workers(subject: Subject) -> None:
    """It can be sent to a process that was spawned, which reads the same samples."""
    dataset = subject.parts().part
    indices = indices_of(dataset)
    try:
        there = together.read_there(dataset, indices, subject.files)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise Failed(
            f"it cannot be sent to another process: {in_words(error)}; hold no open "
            "file, lambda or class of a function, and open files where they are read"
        ) from None
    if there != together.read_here(dataset, indices):
        raise Failed(
            "a process to which it was sent reads other samples; hold all that items "
            "depend on in attributes"
        )


def read_by_workers(subject: Subject) -> None:
    """Two workers read the same samples as one process does."""
    dataset = subject.parts().part
    drawn = []
    for workers in (0, 2):
        data = read_data(dataset, device=CPU, mode="streamed")
        feed = Feed(
            data,
            shards=cut(min(_BATCH, len(data))),
            seed=0,
            workers=workers,
            plugin_files=subject.files,
        )
        failed = ""
        try:
            batches = [feed.batch(number)[0].samples for number in range(2)]
            drawn.append(digest(batches))
        except Exception as error:  # of a stranger's code, in a worker
            failed = _last(error)  # the error itself would keep the workers
        finally:
            feed.close()
        if failed:
            raise Failed(
                f"with {workers} workers reading fails: {failed}; open files where "
                "they are read, and not in the constructor"
            )
    if drawn[0] != drawn[1]:
        raise Failed(
            "two workers read other samples than one process; an item is a function "
            "of its index alone, and files are opened where they are read"
        )


def _last(error: Exception) -> str:
    """Return the last line of an error, which is the worker's own."""
    return str(error).strip().splitlines()[-1] if str(error) else type(error).__name__


def downloads_nothing(subject: Subject) -> None:
    """It reaches no other machine, unless ``download`` is set."""
    use = subject.use
    if "download" in use.options:
        use = evolve(use, options={**use.options, "download": False})
    # before it is built anywhere else, which might leave it what it asks for;
    # what else it raises is for the check that builds it
    with offline() as asked, suppress(Exception):
        list(whole_items(use.build(), _LOOKED_AT))
    if asked:
        raise Failed(
            f"it asks for {asked[0]} over the network; fetch nothing unless an option "
            "`download` says so, and raise DataError that says how to get the files"
        )
