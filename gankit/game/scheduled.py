"""Numbers of a game that may follow schedules, by their places in a recipe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gankit.game.assembly import Assembly

EMA = "train.ema"


def places_for(penalties: int) -> list[str]:
    """Name the numbers of a game with so many penalties that may have a schedule."""
    return [EMA, *(f"penalties.{i}.weight" for i in range(penalties))]


def scheduled_at(assembly: Assembly, steps: float, epochs: float) -> dict[str, float]:
    """Return what has a schedule, by its place, after so many steps and passes."""
    initial, time = _initially(assembly), {"steps": steps, "epochs": epochs}
    return {
        place: schedule(initial[place], time[schedule.unit])
        for place, schedule in assembly.schedules.items()
    }


def unscheduled(assembly: Assembly) -> Sequence[str]:
    """Say which schedules are of nothing."""
    return [
        f"schedule.{place}: there is no such number above 0 in this game; leave it "
        f"out, or set {place}"
        for place in sorted(assembly.schedules.keys() - _initially(assembly).keys())
    ]


def _initially(assembly: Assembly) -> dict[str, float]:
    numbers = [float(assembly.train.ema), *(p.weight for p in assembly.penalties)]
    named = dict(zip(places_for(len(assembly.penalties)), numbers, strict=True))
    return named if named[EMA] else {k: v for k, v in named.items() if k != EMA}
