"""Word that a run leaves of itself in ``board.json``: who plays it, how it has ended.

Metrics alone do not tell a run that was killed from one whose steps are slow. A run
that was trained without this plugin has no such file; what is known of it is less.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import asdict, fields, frozen

if TYPE_CHECKING:
    from gankit import Run

NAME = "board.json"
_MOST = 1 << 53  # of a number that a page can hold


@frozen
class Mark:
    """What a run has said of itself last.

    Attributes:
        state: ``playing``, ``finished``, ``stopped`` or ``failed``.
        said: why it has ended.
        total: steps to do, all in all.
        step: steps that were done then.
        device: on which it plays.
        host: the machine that plays it.
        pid: the process that does.
        born: when that process began, in the system's own count, or 0.
    """

    state: str
    said: str = ""
    total: int = 0
    step: int = 0
    device: str = ""
    host: str = ""
    pid: int = 0
    born: int = 0

    @property
    def elsewhere(self) -> bool:
        """Tell whether another machine plays it."""
        return self.host != socket.gethostname()

    @property
    def alive(self) -> bool:
        """Tell whether the process that plays it is there; no other of its number."""
        if self.pid <= 0:  # to a system these are many processes
            return False
        born = _born(self.pid)
        if born is not None:
            return 0 != born == self.born
        try:  # a system without /proc
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except OSError:
            return True
        return not self.born


def playing(run: Run, state: str = "playing", said: str = "") -> Mark:
    """Say how a run of this process is."""
    pid = os.getpid()
    return Mark(
        state=state,
        said=said,
        total=run.total,
        step=run.step,
        device=str(run.game.device),
        host=socket.gethostname(),
        pid=pid,
        born=_born(pid) or 0,
    )


def write(folder: Path, mark: Mark) -> None:
    """Leave word in a run folder; one that cannot be written costs the run nothing."""
    path = folder / NAME
    aside = path.with_name(f".{NAME}.partial")
    with suppress(OSError):
        aside.write_text(json.dumps(asdict(mark)) + "\n", "utf-8")
        aside.replace(path)


def read(folder: Path) -> Mark | None:
    """Read what a run has left; None where it has not, or cannot be understood."""
    path = folder / NAME
    try:
        # a process is stopped on its word: somebody else's is not taken
        if hasattr(os, "getuid") and path.stat().st_uid not in (os.getuid(), 0):
            return None
        told: Any = json.loads(path.read_text("utf-8"))
        mark = Mark(**{f.name: told[f.name] for f in fields(Mark) if f.name in told})
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return None
    right = (type(value).__name__ == f.type for f, value in _values(mark))
    whole = all(right) and all(0 <= n < _MOST for n in (mark.total, mark.step))
    return mark if whole else None


def _values(mark: Mark) -> Iterator[tuple[Any, Any]]:
    yield from ((field, getattr(mark, field.name)) for field in fields(Mark))


def _born(pid: int) -> int | None:
    """Return when a process began, by Linux's count; 0: it is gone; None: unknown."""
    stat = Path("/proc/self/stat")
    if not stat.exists():
        return None
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    words = text.rpartition(")")[2].split()
    return 0 if words[0] == "Z" else int(words[19])
