"""Stopping a run by Ctrl-C and SIGTERM."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from gankit.runs.run import Run

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stopped_by_signals(run: Run) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM finish the step and save; a second one stops at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    before = {s: signal.getsignal(s) for s in _SIGNALS}

    def handle(number: int, _: object) -> None:
        run.stop(signal.Signals(number).name)
        for s, handler in before.items():
            signal.signal(s, handler)

    for s in _SIGNALS:
        signal.signal(s, handle)
    try:
        yield
    finally:
        for s, handler in before.items():
            signal.signal(s, handler)
