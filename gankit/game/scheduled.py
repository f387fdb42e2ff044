"""Numbers of a game that may follow schedules, by their places in a recipe."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from torch import nn

from gankit.errors import listed

if TYPE_CHECKING:
    from gankit.contracts import Augmentation
    from gankit.game.assembly import Assembly

EMA = "train.ema"


def places_for(penalties: int) -> list[str]:
    """Name the numbers of a game with so many penalties that may have a schedule.

    Those of augmentations are besides.
    """
    return [EMA, *(f"penalties.{i}.weight" for i in range(penalties))]


def augmentation_place(number: int, option: str) -> str:
    """Name an option of an augmentation by its place."""
    return f"augmentations.{number}.{option}"


def taken_by_call(augmentation: Any) -> list[str]:
    """Name what an augmentation, or a class of them, takes by keyword as it is called.

    By these a schedule reaches it: ``def __call__(self, samples, rng, *, std=None)``.
    """
    cls = augmentation if inspect.isclass(augmentation) else type(augmentation)
    call: Any = cls.forward if issubclass(cls, nn.Module) else cls.__call__
    try:
        parameters = inspect.signature(call).parameters.values()
    except (TypeError, ValueError):  # of what is not written in Python
        return []
    return [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]


def numbers_of(augmentation: Any) -> dict[str, float]:
    """Name the options of an augmentation that may follow a schedule, as they are."""
    held = {o: getattr(augmentation, o, None) for o in taken_by_call(augmentation)}
    return {
        option: float(value)
        for option, value in held.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


class Scheduled:
    """What of a game has a schedule: where it starts is looked up once, and held."""

    def __init__(self, assembly: Assembly) -> None:
        self.schedules, self.parts = assembly.schedules, assembly.augmentations
        self.initial = _initially(assembly) if assembly.schedules else {}
        self.options = [
            [
                (option, place)
                for option in numbers_of(part)
                if (place := augmentation_place(i, option)) in self.schedules
            ]
            for i, part in enumerate(self.parts)
        ]

    def at(self, steps: float, epochs: float) -> dict[str, float]:
        """Return the values, by their places, after so many steps and passes."""
        time = {"steps": steps, "epochs": epochs}
        return {
            place: schedule(self.initial[place], time[schedule.unit])
            for place, schedule in self.schedules.items()
        }

    def augmenting(self, values: Mapping[str, float]) -> Sequence[Augmentation]:
        """Return the augmentations, each given those of its numbers that change."""
        return [
            partial(part, **{o: values[p] for o, p in options}) if options else part
            for part, options in zip(self.parts, self.options, strict=True)
        ]


def unscheduled(assembly: Assembly) -> Sequence[str]:
    """Say which schedules are of nothing."""
    numbers = _initially(assembly)
    return [
        f"schedule.{path}: {_why_not(assembly, path, numbers)}"
        for path in sorted(assembly.schedules.keys() - numbers.keys())
    ]


def _why_not(assembly: Assembly, path: str, numbers: Mapping[str, float]) -> str:
    block, _, rest = path.partition(".")
    number, _, option = rest.partition(".")
    several = {str(i): part for i, part in enumerate(assembly.augmentations)}
    if block != "augmentations" or number not in several:
        said = "there is no such number above 0 in this game"
        return f"{said}; leave it out, or set {path}"
    name, own = type(several[number]).__name__, f"{block}.{number}."
    if option in taken_by_call(several[number]):
        if not hasattr(several[number], option):
            return f"{name} does not say where it starts; keep {option!r} as attribute"
        return f"{name} has no number {option!r} to start from; set {path}"
    if others := [other for other in numbers if other.startswith(own)]:
        return f"{name} cannot follow it; it can follow {listed(others)}"
    return (
        f"no number of {name} can follow a schedule; leave it out, or let its author "
        "take the number by keyword where samples are changed"
    )


def _initially(assembly: Assembly) -> dict[str, float]:
    numbers = [float(assembly.train.ema), *(p.weight for p in assembly.penalties)]
    named = dict(zip(places_for(len(assembly.penalties)), numbers, strict=True))
    named = named if named[EMA] else {k: v for k, v in named.items() if k != EMA}
    for i, part in enumerate(assembly.augmentations):
        for option, value in numbers_of(part).items():
            named[augmentation_place(i, option)] = value
    return named
