"""Schedules: by hand, and against torch's own in float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

from gankit.game.schedules import SCHEDULES, Cosine, Exponential, Linear, Stepwise


@pytest.mark.parametrize(
    ("schedule", "initial", "expected"),
    [
        (Exponential(factor=0.5), 8.0, {0: 8, 1: 4, 3: 1, 0.5: 8 / math.sqrt(2)}),
        (Exponential(factor=0.5, floor=3.0), 8.0, {0: 8, 1: 4, 2: 3, 100: 3}),
        (Linear(to=0.7, start=1, end=5), 0.5, {0: 0.5, 1: 0.5, 3: 0.6, 5: 0.7, 9: 0.7}),
        (Linear(to=0.0, end=4), 1.0, {0: 1, 1: 0.75, 4: 0, 5: 0}),
        (Linear(to=2.0, start=3, end=3), 1.0, {2: 1, 3: 1, 4: 2}),
        (Stepwise(factor=0.1, every=10), 1.0, {0: 1, 9.9: 1, 10: 0.1, 25: 0.01}),
        (Cosine(end=8), 2.0, {0: 2, 4: 1, 8: 0, 20: 0, 8 / 3: 1.5}),
        (Cosine(to=1.0, end=2), 3.0, {0: 3, 1: 2, 2: 1}),
    ],
    ids=repr,
)
def test_values_derived_by_hand(
    schedule: Callable[[float, float], float],
    initial: float,
    expected: dict[float, float],
) -> None:
    """At the start, in between, at the end, and long after it."""
    values = {time: schedule(initial, time) for time in expected}
    assert values == pytest.approx(expected, abs=1e-12)


def _of_torch(make: Callable[[Any], Any], initial: float, steps: int) -> list[float]:
    weight = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=initial)
    schedule = make(optimizer)
    values = []
    for _ in range(steps):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return values


@pytest.mark.parametrize(
    ("ours", "theirs", "steps"),
    [
        (
            Exponential(factor=0.97),
            lambda o: lr_scheduler.ExponentialLR(o, 0.97),
            40,
        ),
        (
            Linear(to=0.01, end=25),
            lambda o: lr_scheduler.LinearLR(o, 1.0, 0.01 / 0.3, total_iters=25),
            40,
        ),
        (
            Stepwise(factor=0.5, every=7),
            lambda o: lr_scheduler.StepLR(o, 7, 0.5),
            40,
        ),
        (
            Cosine(to=0.02, end=30),
            lambda o: lr_scheduler.CosineAnnealingLR(o, 30, 0.02),
            31,  # torch's goes up again afterwards, ours has arrived
        ),
    ],
    ids=["exponential", "linear", "stepwise", "cosine"],
)
def test_each_is_its_counterpart_of_torch(
    ours: Callable[[float, float], float],
    theirs: Callable[[Any], Any],
    steps: int,
) -> None:
    """Torch computes step by step, ours at once: the same to rounding."""
    reference = _of_torch(theirs, 0.3, steps)
    assert [ours(0.3, t) for t in range(steps)] == pytest.approx(reference, rel=1e-9)


@pytest.mark.parametrize("name", SCHEDULES)
def test_time_is_counted_in_steps_unless_told_otherwise(name: str) -> None:
    """The unit is the schedule's; the game passes the time in it."""
    needed = {"factor": 0.5} if name in ("exponential", "stepwise") else {}
    needed |= {"to": 0.0, "end": 3} if name == "linear" else {}
    needed |= {"end": 3} if name == "cosine" else {}
    needed |= {"every": 3} if name == "stepwise" else {}
    assert SCHEDULES[name](**needed).unit == "steps"
    assert SCHEDULES[name](**needed, unit="epochs").unit == "epochs"
