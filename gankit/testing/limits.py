"""What a check may not do: take for ever, and reach the network."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gankit.testing.verdicts import Failed

_AGAIN = 30.0  # seconds until who has swallowed it is told again; enough to clear up


class _OverError(BaseException):
    """The time is over; no part's own `except Exception` is to catch it."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Fail a check that takes longer.

    It can be broken off in the main thread alone, on systems that have SIGALRM; and if
    nobody else has set its clock.
    """
    ours = (
        hasattr(signal, "setitimer")
        and threading.current_thread() is threading.main_thread()
        and signal.getitimer(signal.ITIMER_REAL)[0] == 0
    )
    if not ours:
        yield
        return

    def over(*_: object) -> None:
        raise _OverError

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN)
    try:
        yield
    except _OverError:
        raise Failed(hanging(seconds)) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def hanging(seconds: float) -> str:
    """Say that a check hangs, and what to do."""
    return (
        f"it took more than {seconds:g} seconds and was broken off; mend what waits, "
        "give the part options that make it small, or allow more by timeout"
    )


@contextmanager
def offline() -> Iterator[list[str]]:
    """Let nobody reach another machine; give a list of whom was asked for."""
    asked: list[str] = []
    connect = socket.socket.connect

    def refuse(whom: object) -> None:
        asked.append(str(whom))
        raise OSError("gankit's tests allow no network here")

    def connecting(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            refuse(address[0])
        connect(self, address)

    def looking_up(host: Any, *args: Any, **kwargs: Any) -> Any:
        return refuse(host)

    with (
        _patched(socket.socket, connect=connecting),
        _patched(socket, getaddrinfo=looking_up),
    ):
        yield asked


@contextmanager
def _patched(thing: Any, **others: Any) -> Iterator[None]:
    """Let a class or module have other members for a while."""
    before = {name: getattr(thing, name) for name in others}
    for name, other in others.items():
        setattr(thing, name, other)
    try:
        yield
    finally:
        for name, member in before.items():
            setattr(thing, name, member)
