"""The few items of a data set that parts are tried with."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gankit.contracts import Conditioner, Dataset
from gankit.data.columns import Columns
from gankit.data.facts import Item
from gankit.errors import BrokenItem, GankitError, told
from gankit.game.findings import Findings

_ITEMS = 4  # in a trial batch, at most: else as many as in a shard
_ROUNDING = 1e-3  # of a range's width, as of half precision
_LOOKED_AT = 64  # items until one is whole, at most


def first_items(findings: Findings) -> dict[int, Item]:
    """Read the first items that are whole, by their index."""
    assembly = findings.assembly
    dataset, items = assembly.dataset, dict[int, Item]()
    train = assembly.train
    shards = train.shards if train.reduce == "exact" else 1
    wanted = max(1, min(_ITEMS, train.batch_size // shards))
    for index in range(min(len(dataset), _LOOKED_AT)):
        try:
            items[index] = dataset[index]
        except BrokenItem:
            continue
        except GankitError:
            raise
        except Exception as error:
            findings.add(f"dataset: item {index} raised {told(error)}")
            return {}
        if len(items) == wanted:
            break
    for item in items.values():
        if not isinstance(item, Item) or not isinstance(item.sample, Tensor):
            given = item.sample if isinstance(item, Item) else item
            findings.add(
                f"dataset {type(dataset).__name__}: an item is a "
                f"{type(given).__name__}; its author has to give "
                "gankit.Item(sample, …) with the sample as a tensor"
            )
            return {}
    for index, item in items.items():
        if problem := _misgiven(dataset, item.sample, next(iter(items.items()))):
            name = type(dataset).__name__
            findings.add(f"dataset {name}: the sample of item {index} {problem}")
            return {}
    return items


def _misgiven(dataset: Dataset, sample: Tensor, first: tuple[int, Item]) -> str:
    """Say what is wrong with a sample, and what would mend it; else nothing.

    With a ``transform``, what is stored may be anything, but of one kind.
    """
    facts, shape = dataset.facts, tuple(sample.shape)
    if hasattr(dataset, "transform"):
        index, alike = first[0], first[1].sample
        if (sample.dtype, sample.shape) == (alike.dtype, alike.shape):
            return ""
        return (
            f"is {sample.dtype} of the shape {shape}, and that of item {index} "
            f"{alike.dtype} of the shape {tuple(alike.shape)}; its author has to make "
            "what is stored alike, as transform takes many at once"
        )
    if shape != facts.sample_shape:
        return (
            f"has the shape {shape}, and its facts declare {facts.sample_shape}; its "
            "author has to mend one of them"
        )
    if facts.sample_range is None:
        if sample.dtype == torch.uint8:
            return ""
        return (
            f"is {sample.dtype}, and its facts declare uint8 pixels (sample_range="
            "None); its author has to give torch.uint8, or to declare the range of "
            "floats, as sample_range=(-1.0, 1.0)"
        )
    declared = f"sample_range={facts.sample_range}"
    if not sample.is_floating_point():
        return (
            f"is {sample.dtype}, and its facts declare floats ({declared}); its author "
            "has to give floats, or to declare no sample_range for uint8 pixels"
        )
    return _beyond(sample, facts.sample_range, declared)


def _beyond(sample: Tensor, limits: tuple[float, float], declared: str) -> str:
    """Say which values are not in the range; rounding may go a little beyond it.

    What is not finite is told of by the run, which leaves out the updates by it.
    """
    if not sample.isfinite().all():
        return ""
    low, high = float(sample.min()), float(sample.max())
    slack = _ROUNDING * (limits[1] - limits[0])
    if limits[0] - slack <= low and high <= limits[1] + slack:
        return ""
    return (
        f"has values from {low:g} to {high:g}, and its facts declare {declared}; its "
        "author has to scale them, or to declare the range that they have"
    )


def known_of(findings: Findings, items: dict[int, Item]) -> dict[str, Any]:
    """Gather what is known of items.

    Raises:
        DataError: it is not what the data set declares.
    """
    dataset = findings.assembly.dataset
    known = Columns(dataset.facts.annotations, _LOOKED_AT)
    for index, item in items.items():
        known.put(index, item.annotations)
        alone = getattr(dataset, "annotations", None)
        if alone is not None:
            said = findings.tried("dataset", "annotations", lambda: alone(index))  # noqa: B023 # called at once
            if said is None:
                return {}
            known.put(index, said)
    return known.rows(torch.tensor(list(items), dtype=torch.long))


def misread(findings: Findings, conditioner: Conditioner, known: Any) -> None:
    """Note where a conditioner takes the text of a value for what is none.

    That it does not understand a text is no fault.
    """
    kind = findings.assembly.dataset.facts.annotations[conditioner.reads]
    for value in known[conditioner.reads]:
        text = kind.text(value)

        def parsed(text: str = text, value: Any = value) -> Any:
            try:
                return conditioner.parse(text)
            except ValueError:
                return value

        meant = findings.tried("conditioner", "parse", parsed) if text else value
        if meant is None:
            return
        try:
            kind.checked(meant)
        except ValueError as error:
            findings.add(
                f"{findings.name('conditioner', 'parse')} gave no value of "
                f"{conditioner.reads!r} for {text!r}: {error}"
            )
            return
