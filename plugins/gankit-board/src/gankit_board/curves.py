"""Measurements over steps, kept in a bounded number of buckets, however many there are.

Lines are counted, and so many that follow each other share a bucket, of which each
series keeps the lowest, the highest and the mean value. Where there would be too many
buckets, two become one. What is left out that way can be read again: each bucket knows
where in the file its lines are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy
from attrs import define, field, frozen
from numpy.typing import NDArray

from gankit_board.lines import Follower, lines_between, parsed

BUCKETS = 2048  # of a series; half as many at least, once there were more lines
_READ_AGAIN = 24 << 20  # bytes of a file that a closer look may read
_SERIES = 256  # at most; each takes 64 KiB
_NO_SERIES = frozenset({"step", "seconds", "warning", "text"})
_SPLIT = 4096  # lines that are taken in at a time

Floats = NDArray[numpy.float64]
Ints = NDArray[numpy.int64]


@frozen(eq=False)
class Drawn:
    """Series as they are to be drawn, all over the same steps.

    Attributes:
        steps: the last of each point, (P,).
        series: by name mean, lowest and highest at each, (P,), NaN where there is none.
        lines: how many are behind a point, at most.
        lost: how many values of a series were not finite.
    """

    steps: Ints
    series: Mapping[str, tuple[Floats, Floats, Floats]]
    lines: int
    lost: Mapping[str, int]


@define(eq=False)
class _Series:
    low: Floats
    high: Floats
    total: Floats
    count: Ints
    lost: int = 0

    @classmethod
    def empty(cls, size: int) -> _Series:
        return cls(
            numpy.full(size, numpy.inf),
            numpy.full(size, -numpy.inf),
            numpy.zeros(size),
            numpy.zeros(size, numpy.int64),
        )


@define(eq=False)
class Buckets:
    """Series over the lines of a run, in at most ``size`` buckets."""

    size: int = BUCKETS
    each: int = 1  # lines of different steps in a bucket
    rows: int = 0  # such lines in all
    last: int = -1  # the step of the last
    steps: Ints = field(init=False)  # the last of each bucket
    starts: Ints = field(init=False)  # where in the file it begins
    series: dict[str, _Series] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.steps = numpy.zeros(self.size, numpy.int64)
        self.starts = numpy.zeros(self.size, numpy.int64)

    @property
    def used(self) -> int:
        """Buckets with something in them."""
        return -(-self.rows // self.each)

    def add(self, lines: Sequence[Mapping[str, Any]], places: Sequence[int]) -> None:
        """Take in lines, which were found at these places of the file."""
        for start in range(0, len(lines), _SPLIT):
            part = slice(start, start + _SPLIT)
            self._add(lines[part], numpy.array(places[part], numpy.int64))

    def _add(self, lines: Sequence[Mapping[str, Any]], places: Ints) -> None:
        steps = numpy.array([line["step"] for line in lines], numpy.int64)
        new = numpy.diff(steps, prepend=self.last) != 0  # a step may have two lines
        rows = self.rows + numpy.cumsum(new) - 1
        self.rows, self.last = int(rows[-1]) + 1, int(steps[-1])
        while self.used > self.size:
            self._halve()
        buckets = numpy.maximum(rows, 0) // self.each
        self.steps[buckets] = steps  # of equal ones the last stays
        begin = new & (rows % self.each == 0)
        self.starts[buckets[begin]] = places[begin]
        names: dict[str, None] = {}
        for line in lines:
            names |= dict.fromkeys(line)
        for name in names:
            known = name in self.series or len(self.series) < _SERIES
            if known and name not in _NO_SERIES:
                self._take(name, lines, buckets)

    def _take(
        self, name: str, lines: Sequence[Mapping[str, Any]], buckets: Ints
    ) -> None:
        there = [i for i, line in enumerate(lines) if name in line]
        values = numpy.array([_number(lines[i][name]) for i in there])
        into = buckets[there]
        one = self.series.setdefault(name, _Series.empty(self.size))
        finite = numpy.isfinite(values)
        one.lost += int((~finite).sum())
        values, into = values[finite], into[finite]
        numpy.minimum.at(one.low, into, values)
        numpy.maximum.at(one.high, into, values)
        numpy.add.at(one.total, into, values)
        numpy.add.at(one.count, into, 1)

    def _halve(self) -> None:
        self.each *= 2
        self.steps = _halved(numpy.maximum, self.steps, 0)
        firsts = self.starts[::2].copy()
        self.starts = numpy.zeros_like(self.starts)
        self.starts[: len(firsts)] = firsts
        for one in self.series.values():
            one.low = _halved(numpy.minimum, one.low, numpy.inf)
            one.high = _halved(numpy.maximum, one.high, -numpy.inf)
            one.total = _halved(numpy.add, one.total, 0)
            one.count = _halved(numpy.add, one.count, 0)

    def drawn(self, points: int, first: int = 0, end: int | None = None) -> Drawn:
        """Join buckets, from one to before another, to at most so many points."""
        end = self.used if end is None else end
        joined = max(1, -(-(end - first) // points))
        at = numpy.arange(first, end, joined)
        lasts = numpy.minimum(at + joined, end) - 1
        series = {}
        for name, one in self.series.items():
            if not len(at):
                continue
            count = numpy.add.reduceat(one.count[:end], at)
            some = count > 0
            total = numpy.add.reduceat(one.total[:end], at)
            mean = numpy.divide(
                total, count, out=numpy.full(len(at), numpy.nan), where=some
            )
            low = numpy.minimum.reduceat(one.low[:end], at)
            high = numpy.maximum.reduceat(one.high[:end], at)
            if some.any() or one.lost:
                series[name] = (
                    mean,
                    numpy.where(some, low, numpy.nan),
                    numpy.where(some, high, numpy.nan),
                )
        return Drawn(
            steps=self.steps[lasts],
            series=series,
            lines=joined * self.each,
            lost={name: one.lost for name, one in self.series.items() if one.lost},
        )


@define(eq=False)
class Curves:
    """All that the metrics of one run hold, followed as they grow.

    Args:
        path: of ``metrics.jsonl``.
    """

    path: Path
    version: int = 0  # grows with what is known
    broken: int = 0  # lines that cannot be read
    _buckets: Buckets = field(factory=Buckets)
    _follower: Follower = field(init=False)
    _lock: Lock = field(factory=Lock)

    def __attrs_post_init__(self) -> None:
        self._follower = Follower(self.path)

    def renew(self) -> bool:
        """Read on, a chunk; tell whether there is more to read."""
        with self._lock:
            if self._follower.renew():
                self._buckets, self.broken = Buckets(), 0
                self.version += 1
            start = self._follower.offset
            data = self._follower.chunk()
            if data:
                self._take(data, start)
                self.version += 1
            return bool(data) and self._follower.behind > 0

    @property
    def share(self) -> float:
        """How much of the file is read, from 0 to 1."""
        size = self._follower.size
        return 1.0 if not size else min(1.0, self._follower.offset / size)

    def drawn(
        self, points: int, first: int | None = None, last: int | None = None
    ) -> Drawn:
        """Draw a range of steps, or all, by at most so many points.

        A range of which the buckets keep too little is read again, if it is not long.
        """
        with self._lock:
            buckets = self._buckets
            if first is None or last is None:
                return buckets.drawn(points)
            steps = buckets.steps[: buckets.used]
            begin = int(numpy.searchsorted(steps, first))
            end = int(numpy.searchsorted(steps, last)) + 1
            begin, end = max(0, begin - 1), min(buckets.used, end + 1)
            if buckets.each == 1 or end - begin >= points:
                return buckets.drawn(points, begin, end)
            start = int(buckets.starts[begin])
            stop = (
                int(buckets.starts[end])
                if end < buckets.used
                else self._follower.offset
            )
        if stop - start > _READ_AGAIN:
            return buckets.drawn(points, begin, end)
        closer = Buckets()
        lines = [
            line
            for line in lines_between(self.path, start, stop)
            if "warning" not in line and first <= line["step"] <= last
        ]
        closer.add(lines, [0] * len(lines))
        return closer.drawn(points)

    def _take(self, data: bytes, start: int) -> None:
        lines, places = [], []
        for text in data.splitlines(keepends=True):
            place, start = start, start + len(text)
            line = parsed(text)
            if line is None:
                self.broken += bool(text.strip())
            elif "warning" not in line:
                lines.append(line)
                places.append(place)
        self._buckets.add(lines, places)


def rounded(values: Iterable[float]) -> list[float | None]:
    """Write numbers with six digits that count; None where there is none."""
    return [float(f"{v:.6g}") if math.isfinite(v) else None for v in values]


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def _halved(join: numpy.ufunc, values: Any, empty: float) -> Any:
    """Join each two neighbours; the second half is empty then."""
    halved = numpy.full_like(values, empty)
    pairs = values.reshape(-1, 2)
    halved[: len(pairs)] = join(pairs[:, 0], pairs[:, 1])
    return halved
