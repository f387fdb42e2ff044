"""What a person is told of a run while it goes on."""

from __future__ import annotations

import pytest

from gankit.cli.progress import Rate


class _Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_rate_is_of_the_last_seconds() -> None:
    """After a minute at 1 step a second, 14 a second are shown 10 seconds later."""
    clock = _Clock()
    rate, step = Rate(10.0, clock), 0
    for steps, seconds in ((1, 60), (14, 11)):
        for _ in range(seconds):
            clock.now += 1.0
            step += steps
            shown = rate(step)
    assert shown == pytest.approx(14.0)


def test_where_nothing_was_told_for_long_the_rate_is_since_then() -> None:
    """Lines a minute apart: each shows what was done in its minute."""
    clock = _Clock()
    rate = Rate(10.0, clock)
    shown = []
    for step in (0, 600, 1800):
        shown.append(rate(step))
        clock.now += 60.0
    assert shown == [0.0, 10.0, 20.0]
