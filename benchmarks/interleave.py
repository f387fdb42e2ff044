"""Let whole programs take turns on one machine, and count the steps that each takes.

Every program runs as it is, in a process group of its own. While one has its turn the
others are stopped by a signal, so that what disturbs the machine disturbs all of them.
A rate is taken from within a turn, from the first step in it to the last; the median
over the turns counts.
"""

from __future__ import annotations

import json
import os
import select
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

from attrs import define, field

_WATCHED = Path(__file__).with_name("watched.py")


@define
class Program:
    """A program to be measured.

    Args:
        name: in the table.
        command: what follows ``python``: a script or ``-m module``, and arguments;
            ``{start}`` becomes what no other start has.
        cwd: where it runs.
        env: environment variables to add.
        updates: optimiser steps in one step of the game.
        warm: steps before it is measured, if it takes more than the others.
    """

    name: str
    command: Sequence[str]
    cwd: Path
    env: Mapping[str, str] = field(factory=dict)
    updates: int = 2
    warm: int = 0


_STARTS = count()


class Running:
    """A program that runs, or waits for its turn.

    Attributes:
        optimizers: what each optimiser that has moved was made with.
        times: of the steps of optimisers, on the monotonic clock.
        peak: most memory that its processes had, in bytes, without files' pages.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.optimizers: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.peak = 0
        self._rest = b""
        self._looked = 0.0
        self._read, write = os.pipe()
        self.log = program.cwd / f"{program.name.replace(' ', '-')}.log"
        start = f"{os.getpid()}-{next(_STARTS)}"
        words = [word.replace("{start}", start) for word in program.command]
        self.started = time.monotonic()
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(_WATCHED), str(write), *words],
                cwd=program.cwd,
                env=os.environ | dict(program.env),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                pass_fds=[write],
                start_new_session=True,
            )
        os.close(write)

    def run(self, seconds: float, steps: int = 0) -> None:
        """Let it run for so long, or until it has taken so many steps more.

        Raises:
            RuntimeError: it has ended.
        """
        wanted = len(self.times) + steps * self.program.updates
        self._signal(signal.SIGCONT)
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._listen(min(left, 0.25))
            if steps and len(self.times) >= wanted:
                break
        self._signal(signal.SIGSTOP)
        self._listen(0.0)

    def first_step(self) -> float:
        """Return the seconds from the start to the end of the first step."""
        return self.times[self.program.updates - 1] - self.started

    def end(self) -> None:
        """Kill it, with all its processes."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._read)

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _listen(self, seconds: float) -> None:
        ready, _, _ = select.select([self._read], [], [], seconds)
        while ready:
            told = os.read(self._read, 1 << 16)
            if not told:
                tail = self.log.read_text("utf-8", "replace")[-2000:]
                raise RuntimeError(f"{self.program.name} has ended:\n{tail}")
            *lines, self._rest = (self._rest + told).split(b"\n")
            for line in map(json.loads, lines):
                if "step" in line:
                    self.times.append(line["at"])
                else:
                    self.optimizers.append(line)
            ready, _, _ = select.select([self._read], [], [], 0.0)
        if time.monotonic() - self._looked > 1.0:
            self._looked = time.monotonic()
            self.peak = max(self.peak, self._memory())

    def _memory(self) -> int:
        """Add up the memory of the processes of its session, but for files' pages.

        What a fork shares counts once; the code of libraries, which all programs here
        have in common, does not.
        """
        total = 0
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError, ValueError, IndexError):
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) != self._process.pid:
                    continue
                for line in (folder / "smaps_rollup").read_text().splitlines():
                    if line.startswith(("Pss_Anon:", "Pss_Shmem:")):
                        total += int(line.split()[1]) * 1024
        return total


@define
class Measured:
    """What was measured of one program.

    Attributes:
        seconds: of one step, in each turn.
        first: seconds to the end of the first step, in each start.
        peak: bytes.
        optimizers: what each optimiser was made with.
    """

    seconds: list[float]
    first: list[float]
    peak: int
    optimizers: list[dict[str, Any]]

    @property
    def median(self) -> float:
        """The median of the seconds of a step."""
        return statistics.median(self.seconds)


def measure(
    programs: Sequence[Program],
    *,
    turns: int,
    seconds: float,
    warm: int,
    starts: int = 0,
    patience: float = 600.0,
) -> dict[str, Measured]:
    """Measure programs that take turns.

    Args:
        programs: that do the same.
        turns: of each.
        seconds: of one turn.
        warm: steps that each takes before it is measured.
        starts: further starts of each, up to the first step; they take turns too.
        patience: seconds until a program that takes no step is given up.
    """
    running: dict[str, Running] = {}
    firsts: dict[str, list[float]] = {program.name: [] for program in programs}
    rates: dict[str, list[float]] = {program.name: [] for program in programs}
    try:
        for _ in range(starts):
            for program in programs:
                running[program.name] = one = Running(program)
                one.run(patience, steps=1)
                firsts[program.name].append(one.first_step())
                one.end()
        for program in programs:
            running[program.name] = one = Running(program)
            one.run(patience, steps=max(warm, program.warm))
            firsts[program.name].append(one.first_step())
        for _ in range(turns):
            for name, one in running.items():
                before = len(one.times)
                one.run(seconds)
                # from the end of the update that was cut in two
                mine = one.times[before :: one.program.updates]
                if len(mine) > 1:
                    rates[name].append((mine[-1] - mine[0]) / (len(mine) - 1))
    finally:
        for one in running.values():
            with suppress(OSError):
                one.end()
    return {
        name: Measured(rates[name], firsts[name], one.peak, one.optimizers)
        for name, one in running.items()
    }


def moved_alike(some: Measured, others: Measured) -> str:
    """Say how what two programs move differs, or "": numbers and options."""
    mine, theirs = (
        sorted(
            (sorted(map(_size, told["shapes"])), _settings(told["options"]))
            for told in measured.optimizers
        )
        for measured in (some, others)
    )
    return "" if mine == theirs else f"{mine} and {theirs}"


def _size(shape: Sequence[int]) -> int:
    size = 1
    for length in shape:
        size *= length
    return size


def _settings(options: Mapping[str, Any]) -> list[tuple[str, Any]]:
    told = {k: options[k] for k in ("lr", "betas", "momentum") if k in options}
    return sorted((k, str(v)) for k, v in told.items())
