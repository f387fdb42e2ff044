"""Values that change along a run, as functions of time: nothing to save or restore."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Protocol

from attrs import frozen

from gankit.contracts.limits import NonNegative, Positive, Range

Unit = Literal["steps", "epochs"]
Factor = Annotated[float, Range(above=0, at_most=1)]


class Schedule(Protocol):
    """The value of an optimiser's option at a time, in ``unit`` since the start."""

    unit: Unit

    def __call__(self, initial: float, time: float, /) -> float:
        """Return the value at ``time``."""


@frozen(kw_only=True)
class Exponential:
    """``initial * factor ** time``, never below ``floor``.

    Args:
        factor: what the value is multiplied by in every unit of time.
        floor: the lowest value.
        unit: what time is counted in.
    """

    factor: Factor
    floor: NonNegative = 0.0
    unit: Unit = "steps"

    def __call__(self, initial: float, time: float) -> float:
        """Return the value at ``time``."""
        return max(initial * math.pow(self.factor, time), self.floor)


@frozen(kw_only=True)
class Linear:
    """A straight line from the initial value at ``start`` to ``to`` at ``end``.

    Args:
        to: the value at ``end`` and ever after.
        start: until then the initial value holds.
        end: when ``to`` is reached.
        unit: what time is counted in.
    """

    to: float
    start: NonNegative = 0.0
    end: Positive
    unit: Unit = "steps"

    def __call__(self, initial: float, time: float) -> float:
        """Return the value at ``time``."""
        length = max(self.end - self.start, 1e-12)
        done = min(max((time - self.start) / length, 0.0), 1.0)
        return initial + (self.to - initial) * done


@frozen(kw_only=True)
class Stepwise:
    """``initial`` times ``factor`` once after every ``every``.

    Args:
        factor: what the value is multiplied by.
        every: how long it stays.
        unit: what time is counted in.
    """

    factor: Factor
    every: Positive
    unit: Unit = "steps"

    def __call__(self, initial: float, time: float) -> float:
        """Return the value at ``time``."""
        return initial * self.factor ** math.floor(time / self.every)


@frozen(kw_only=True)
class Cosine:
    """Half a cosine from the initial value to ``to`` at ``end`` (SGDR, eq. 5).

    Loshchilov & Hutter 2017, without restarts.

    Args:
        to: the value at ``end`` and ever after.
        end: when ``to`` is reached.
        unit: what time is counted in.
    """

    to: float = 0.0
    end: Positive
    unit: Unit = "steps"

    def __call__(self, initial: float, time: float) -> float:
        """Return the value at ``time``."""
        done = min(time / self.end, 1.0)
        return self.to + (initial - self.to) * (1 + math.cos(math.pi * done)) / 2


LATE = float(1 << 62)  # a time at which every schedule has its last value

SCHEDULES: dict[str, type] = {
    "exponential": Exponential,
    "linear": Linear,
    "stepwise": Stepwise,
    "cosine": Cosine,
}


def option_at(options: Mapping[str, Any], name: str) -> float:
    """Return an option that is a number: ``lr``, or ``betas.1`` of several."""
    whole, _, place = name.partition(".")
    value: float = options[whole][int(place)] if place else options[whole]
    return value


def option_changed(
    options: Mapping[str, Any], name: str, value: float
) -> dict[str, Any]:
    """Return the option that such a name is of, with that number changed."""
    whole, _, place = name.partition(".")
    if not place:
        return {whole: value}
    numbers = list(options[whole])
    numbers[int(place)] = value
    return {whole: tuple(numbers)}
