"""What is followed in the background, so that an answer never waits for a long file."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path

from attrs import define, field

from gankit_board.curves import Curves
from gankit_board.found import METRICS, Found, Library

_EVERY = 0.5  # seconds from one look at the runs to the next
_SHARE = 5  # times as long as a look takes is waited, where there are many runs
_IDLE = 30.0  # seconds after which nobody is taken to look, and nothing is done
_KEPT = 8  # curves that are remembered, of the runs that were looked at last
_WANTED = 30.0  # seconds that curves are followed after somebody has looked
_AT_MOST = 0.5  # seconds that an answer waits for a look at all runs
_AT_FIRST = 0.1  # and for the first of all, of which some runs are known sooner
_AT_ONCE = 0.25  # seconds of reading that an answer waits for


@define(eq=False)
class Following:
    """Follows the runs of a folder, and the curves of those that are looked at.

    Args:
        library: the runs.
    """

    library: Library
    _curves: OrderedDict[Path, Curves] = field(factory=OrderedDict)
    _wanted: dict[Path, float] = field(factory=dict)
    _asked: float = field(factory=time.monotonic)
    _somebody: asyncio.Event = field(factory=asyncio.Event)
    _looked: asyncio.Event = field(factory=asyncio.Event)

    async def seen(self) -> None:
        """Take note that somebody looks; where nobody has, wait for what is new."""
        self._note()
        patience = _AT_MOST if self.library.looked else _AT_FIRST
        with suppress(TimeoutError):
            await asyncio.wait_for(self._looked.wait(), patience)

    def _note(self) -> None:
        self._asked = time.monotonic()
        if not self._somebody.is_set():
            self._looked.clear()
            self._somebody.set()

    async def curves(self, run: Found) -> Curves:
        """Return the curves of a run, as far as they are read."""
        self._note()  # some pages ask for curves alone
        path = run.folder / METRICS
        curves = self._curves.get(path)
        new = curves is None
        if curves is None:
            curves = self._curves[path] = Curves(path)
        self._curves.move_to_end(path)
        self._wanted[path] = time.monotonic()
        while len(self._curves) > _KEPT:
            self._wanted.pop(self._curves.popitem(last=False)[0], None)
        if new:
            await asyncio.to_thread(_read, curves, _AT_ONCE)
        return curves

    async def go_on(self) -> None:
        """Follow, until it is cancelled, while somebody looks."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._look())
            tasks.create_task(self._read_on())

    async def _read_on(self) -> None:
        """Follow the curves, which wait for no look at thousands of runs."""
        while True:
            await self._somebody.wait()
            more = False
            for path, curves in list(self._curves.items()):
                if time.monotonic() - self._wanted.get(path, 0) < _WANTED:
                    more |= await asyncio.to_thread(_read, curves, _EVERY)
            await asyncio.sleep(0 if more else _EVERY)

    async def _look(self) -> None:
        """Look at the runs."""
        while True:
            if time.monotonic() - self._asked > _IDLE:
                self._somebody.clear()
                await self._somebody.wait()
            began = time.monotonic()
            with suppress(OSError):  # the folder itself may be gone for a while
                await asyncio.to_thread(self.library.find)
            await asyncio.to_thread(self.library.renew)
            self._looked.set()
            spent = time.monotonic() - began
            await asyncio.sleep(max(_EVERY - spent, _SHARE * spent))


def _read(curves: Curves, seconds: float) -> bool:
    """Read on for so long; tell whether there is more."""
    limit = time.monotonic() + seconds
    more = True
    with suppress(OSError, RuntimeError):  # RuntimeError: a circle of links
        while (more := curves.renew()) and time.monotonic() < limit:
            time.sleep(0)  # others may answer meanwhile
    return more
