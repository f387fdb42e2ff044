"""The few items of a data set that parts are tried with."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gankit.data.columns import Columns
from gankit.errors import BrokenItem, GankitError, told
from gankit.game.findings import Findings
from gankit.parts import Conditioner
from gankit.parts.facts import Item

_ITEMS = 4  # in a trial batch, at most
_LOOKED_AT = 64  # items until one is whole, at most


def first_items(findings: Findings) -> dict[int, Item]:
    """Read the first items that are whole, by their index."""
    assembly = findings.assembly
    dataset, items = assembly.dataset, dict[int, Item]()
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
        if len(items) == min(_ITEMS, assembly.train.batch_size):
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
    return items


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
