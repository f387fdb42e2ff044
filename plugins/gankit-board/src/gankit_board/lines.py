"""``metrics.jsonl``, read on from where it was read before, however long it is.

A run writes to the end of it; one that goes on from a checkpoint, or back to one,
replaces it by a shorter one, which is then read from its start.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import orjson
from attrs import define, frozen

_CHUNK = 1 << 20  # bytes that are read at a time
_LOOK = 16 << 20  # bytes in which warnings are searched for at a time
_END = 1 << 16  # bytes of the end that are enough for its last lines
_RECENT = 20  # lines by which the rate is told
_WARNS = b'"warning"'
_WARNED = 100  # warnings that are kept, of a run that may give one each step
_KIND, _TEXT = 100, 2000  # letters of them
_MOST = 1 << 53  # steps; no run has so many, and a page could not hold more


@frozen
class Warned:
    """A warning that the run gave: what was seen, and what usually helps."""

    step: int
    kind: str
    text: str


@define
class Follower:
    """Reads a file that grows, whole lines at a time.

    Args:
        path: of the file; it may not be there yet.
    """

    path: Path
    offset: int = 0  # bytes that are read
    size: int = 0  # bytes that there were
    changed: float = 0.0  # when it was written last
    _file: tuple[int, int] = (0, 0)  # device and inode

    def renew(self) -> bool:
        """Look at the file; tell whether it has to be read from its start again."""
        try:
            told = self.path.stat()
        except OSError:
            told = None
        if told is None:
            replaced = self._file != (0, 0)
            self._file, self.size, self.changed = (0, 0), 0, 0.0
        else:
            file = (told.st_dev, told.st_ino)
            replaced = self._file not in ((0, 0), file) or told.st_size < self.offset
            self._file, self.size = file, told.st_size
            self.changed = told.st_mtime
        if replaced:
            self.offset = 0
        return replaced

    @property
    def behind(self) -> int:
        """Bytes that are there and not read."""
        return max(0, self.size - self.offset)

    def chunk(self) -> bytes:
        """Read on: some whole lines, or nothing."""
        try:
            with self.path.open("rb") as file:
                return self._chunk(file)
        except OSError:  # it has vanished
            return b""

    def _chunk(self, file: BinaryIO) -> bytes:
        file.seek(self.offset)
        read = file.read(_CHUNK)
        end = read.rfind(b"\n") + 1
        if not end and len(read) == _CHUNK:  # a line so long is none
            end = len(read)
        self.offset += end
        return read[:end]


@define
class Summary:
    """What the list of runs has to know of a file, without reading numbers in it.

    Only its end is parsed, and what is searched for in the rest of it are warnings.
    Others read them while a thread reads on: they are replaced, and never changed.
    """

    follower: Follower
    warnings: tuple[Warned, ...] = ()  # the newest
    warned: int = 0  # how many there were, all in all
    recent: tuple[tuple[int, float], ...] = ()  # step and seconds of the last lines
    _read: int = 0  # bytes up to the last line that was parsed

    @classmethod
    def of(cls, path: Path) -> Summary:
        """Begin to follow a file."""
        return cls(Follower(path))

    @property
    def step(self) -> int:
        """The step of the last line; 0 of none."""
        recent = self.recent
        return recent[-1][0] if recent else 0

    @property
    def rate(self) -> float:
        """Steps a second, of the last lines of this start; 0 where it is not known."""
        recent = self.recent
        if len(recent) < 2:
            return 0.0
        (first, before), (last, now) = recent[0], recent[-1]
        return (last - first) / (now - before) if now > before else 0.0

    @property
    def pause(self) -> float:
        """Seconds from one line to the next, usually."""
        recent = self.recent
        if len(recent) < 2:
            return recent[-1][1] if recent else 0.0
        return (recent[-1][1] - recent[0][1]) / (len(recent) - 1)

    def renew(self) -> None:
        """Read the end, and go on to search for warnings in what is before it."""
        if self.follower.renew():
            self.warnings, self.warned, self.recent = (), 0, ()
            self._read = 0
        self._end()
        limit = self.follower.offset + _LOOK
        while self.follower.offset < limit and (data := self.follower.chunk()):
            if _WARNS in data:
                self._warned(data)

    def _warned(self, data: bytes) -> None:
        kept = deque(self.warnings, _WARNED)
        at = data.find(_WARNS)
        while at >= 0:
            end = data.find(b"\n", at)
            line = parsed(data[data.rfind(b"\n", 0, at) + 1 : end])
            if line and (warned := warning_in(line)):
                kept.append(warned)
                self.warned += 1
            at = data.find(_WARNS, end)
        self.warnings = tuple(kept)

    def _end(self) -> None:
        """Parse the last lines, of those that have not been parsed."""
        size = self.follower.size
        begin = max(self._read, size - _END)
        if begin >= size:
            return
        try:
            with self.follower.path.open("rb") as file:
                file.seek(begin)
                data = file.read(size - begin)
        except OSError:
            return
        data = data[: data.rfind(b"\n") + 1]
        self._read = begin + len(data)
        recent = deque(self.recent, _RECENT)
        for text in data.splitlines()[-2 * _RECENT :]:
            line = parsed(text)
            if not line or "warning" in line:
                continue
            seconds = line.get("seconds")
            if not isinstance(seconds, int | float):
                continue
            if recent and seconds < recent[-1][1]:
                recent.clear()  # another start
            recent.append((line["step"], float(seconds)))
        self.recent = tuple(recent)


def parsed(text: bytes) -> dict[str, Any] | None:
    """Parse a line; None where it is torn, or no line of a run's."""
    try:
        line = orjson.loads(text)
    except ValueError:
        return None
    if not isinstance(line, dict):
        return None
    step = line.get("step")
    return line if type(step) is int and 0 <= step < _MOST else None


def warning_in(line: dict[str, Any]) -> Warned | None:
    """Return the warning that a line is, if it is one."""
    if "warning" not in line:
        return None
    kind, text = str(line["warning"]), str(line.get("text", ""))
    return Warned(line["step"], kind[:_KIND], text[:_TEXT])


def lines_between(path: Path, start: int, end: int) -> Iterator[dict[str, Any]]:
    """Parse a part of a file, from one offset to another."""
    try:
        with path.open("rb") as file:
            file.seek(start)
            data = file.read(max(0, min(end, os.fstat(file.fileno()).st_size) - start))
    except OSError:
        return
    yield from filter(None, map(parsed, data.splitlines()))
