"""The block `schedule` of a recipe: which of the game's numbers change in time."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from gankit.errors import listed, nearest
from gankit.game.scheduled import augmentation_place, places_for, taken_by_call
from gankit.game.schedules import LATE, Cosine, Linear, Schedule
from gankit.plugins.options import Option
from gankit.recipe.blocks import structure_planned
from gankit.recipe.using import Use
from gankit.recipe.values import structure


@frozen
class _Scheduled:
    """An option of a part that may have a schedule, and what the recipe has there."""

    option: Option
    initial: Any


def structure_schedules(
    recipe: Mapping[str, Any], built: Mapping[str, Any], problems: list[str]
) -> dict[str, Schedule]:
    """Convert the schedules of a game's own numbers, by the places of these.

    Args:
        recipe: whose ``schedule`` is tables within tables, as ``{"penalties": {"0":
            {"weight": {…}}}}``.
        built: the recipe's other blocks, converted.
        problems: told what is wrong.
    """
    table = recipe.get("schedule", {})
    if not isinstance(table, Mapping):
        problems.append(f"schedule: {table!r} is not a table")
        return {}
    found = dict(_gathered(table))
    options = _of_augmentations(built["augmentations"])
    scheduled = [*places_for(len(built["penalties"])), *options]
    for place in sorted(found.keys() - {*scheduled}):
        problems.append(
            f"schedule.{place}: has no number to schedule{nearest(place, scheduled)}; "
            f"in this recipe there are {listed(scheduled)}"
        )
    structured = {
        place: structure_planned(found[place], f"schedule.{place}", problems)
        for place in scheduled
        if place in found
    }
    for place, planned in structured.items():
        if planned is not None and place in options:
            problems += _beyond(place, planned, options[place])
        elif isinstance(planned, Linear | Cosine) and planned.to < 0:
            problems.append(f"schedule.{place}.to: {planned.to:g} is below 0")
    return structured


def _gathered(here: Any, path: str = "") -> list[tuple[str, Any]]:
    """Name the tables within tables that are schedules by what they are of."""
    if path and (not isinstance(here, Mapping) or not here or "use" in here):
        return [(path, here)]
    return [
        named
        for key, inner in here.items()
        for named in _gathered(inner, f"{path}.{key}" if path else str(key))
    ]


def _of_augmentations(uses: tuple[Use | None, ...]) -> dict[str, _Scheduled]:
    """Name the options of augmentations that a schedule may be of.

    Of a class it is seen what its objects take as they are called. What a function will
    give is not: there, numbers are let pass, and tried when the part is built.
    """
    named = {}
    for i, use in enumerate(uses):
        if use is None:
            continue
        factory = use.entry.factory
        taken = taken_by_call(factory) if inspect.isclass(factory) else None
        for option in use.entry.options:
            initial = use.options.get(option.name)
            if taken is None:
                follows = isinstance(initial, float)
            else:  # of whole numbers there is none between two
                follows = option.name in taken and not isinstance(initial, int)
            if follows:
                place = augmentation_place(i, option.name)
                named[place] = _Scheduled(option, initial)
    return named


def _beyond(place: str, planned: Schedule, scheduled: _Scheduled) -> list[str]:
    """Say that a schedule has nowhere to start from, or leads where it may not."""
    initial = scheduled.initial
    if isinstance(initial, bool) or not isinstance(initial, int | float):
        return [f"schedule.{place}: there is no number to start from; set {place}"]
    problems: list[str] = []
    last = planned(float(initial), LATE)
    structure(
        last, scheduled.option.type, f"schedule.{place}: its last value", problems
    )
    return problems
