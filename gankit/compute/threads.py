"""How many threads compute on a CPU, and how they wait for each other.

Two threads that share a step wait for each other thousands of times in it. Where
another program has one of their cores, each of these waits lasts until the scheduler's
next turn: on two cores beside one busy program, steps with two threads took seven times
as long as with both cores free, and five times as long as with one thread.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LOOK, _LONG = 0.2, 10.0  # seconds in which others' work is measured
_STAT = Path("/proc/stat")
_CORE = re.compile(r"cpu(\d+) ")
_Ticks = dict[int, tuple[int, int]]  # of each core: busy, and in all


def cores() -> set[int]:
    """Return the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def busy_cores() -> int:
    """Return how many of these cores others have kept busy; 0 if nobody says.

    In the time since this module was imported, if that is just over, so that nobody
    waits for it.
    """
    before, own = _BEGUN
    after = _ticks()
    if not _LOOK <= _elapsed(before, after) <= _LONG:
        before, own = _ticks(), sum(os.times()[:4])
        time.sleep(_LOOK)
        after = _ticks()
    elapsed = _elapsed(before, after)
    if not elapsed:
        return 0
    shares = sum(
        (after[core][0] - busy) / (after[core][1] - whole)
        for core, (busy, whole) in before.items()
        if core in after and after[core][1] > whole
    )
    mine = (sum(os.times()[:4]) - own) / elapsed
    return max(0, round(shares - mine))


@contextmanager
def computing(recorded: int | None = None) -> Iterator[tuple[str, ...]]:
    """Compute with as many threads as there are free cores; yield what is to be told.

    ``OMP_NUM_THREADS`` overrules this. How a sum is cut depends on the number of
    threads, and so do its bits.

    Args:
        recorded: the number that a run has had, which it keeps where it goes on.
    """
    import torch

    usual = torch.get_num_threads()
    count, said = _chosen(recorded, usual)
    torch.set_num_threads(count)
    try:
        yield said
    finally:
        torch.set_num_threads(usual)


def suited(usual: int, busy: int) -> int:
    """Return how many threads compute where so many cores are busy, and none was set.

    Args:
        usual: the number that torch takes by itself.
        busy: cores that others keep busy.
    """
    if "OMP_NUM_THREADS" in os.environ:
        return usual
    return max(1, min(usual, len(cores()) - busy))


def _chosen(recorded: int | None, usual: int) -> tuple[int, tuple[str, ...]]:
    if asked := os.environ.get("OMP_NUM_THREADS"):
        if recorded in (None, usual):
            return usual, ()
        return usual, (
            f"OMP_NUM_THREADS is {asked}, and this run has computed with {recorded}: "
            "the run goes on, but not to the same bits",
        )
    if recorded is not None:
        return recorded, () if recorded == usual else (
            f"threads that compute: {recorded}, as before, for the same bits; "
            f"OMP_NUM_THREADS={usual} takes all cores, to other bits",
        )
    busy = busy_cores()
    count = suited(usual, busy)
    if count == usual:
        return usual, ()
    return count, (
        f"cores that are busy with other work: {busy} of {len(cores())}; threads that "
        f"compute: {count}, not {usual}, which would be slower then; the run keeps "
        "that number, and OMP_NUM_THREADS sets another",
    )


def _elapsed(before: _Ticks, after: _Ticks) -> float:
    """Return the seconds between two readings; 0 where there are none."""
    passed = [
        after[core][1] - whole for core, (_, whole) in before.items() if core in after
    ]
    return max(passed, default=0) / os.sysconf("SC_CLK_TCK")


def _ticks() -> _Ticks:
    """Read how long each core has worked, and how long it has been there."""
    found = {}
    try:
        for line in _STAT.read_text("utf-8").splitlines():
            if numbered := _CORE.match(line):
                # user, nice, system, idle, waiting for disks, interrupts, …, guests
                times = [int(number) for number in line.split()[1:9]]
                core, whole = int(numbered[1]), sum(times)
                found[core] = (whole - times[3] - times[4], whole)
    except (OSError, ValueError, IndexError):
        return {}  # a system that does not say, or says it in another way
    return {core: times for core, times in found.items() if core in cores()}


_BEGUN = _ticks(), sum(os.times()[:4])
