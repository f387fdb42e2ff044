"""Numbers with limits, as the types of options."""

from __future__ import annotations

from typing import Annotated

from attrs import frozen


@frozen
class Range:
    """Limits of a number; ``None`` is no limit."""

    at_least: float | None = None
    at_most: float | None = None
    above: float | None = None

    def __str__(self) -> str:
        limits = (
            ("at least", self.at_least),
            ("above", self.above),
            ("at most", self.at_most),
        )
        return " and ".join(
            f"{word} {limit:g}" for word, limit in limits if limit is not None
        )

    def holds(self, value: float) -> bool:
        """Tell whether ``value`` is within the limits; NaN never is."""
        return (
            (self.at_least is None or value >= self.at_least)
            and (self.at_most is None or value <= self.at_most)
            and (self.above is None or value > self.above)
            and value == value
        )


Count = Annotated[int, Range(at_least=1)]
Whole = Annotated[int, Range(at_least=0)]
Positive = Annotated[float, Range(above=0)]
NonNegative = Annotated[float, Range(at_least=0)]
Fraction = Annotated[float, Range(at_least=0, at_most=1)]
