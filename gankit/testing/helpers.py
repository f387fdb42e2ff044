"""Processes that help: started anew, as spawned ones are, and asked again and again.

Each has imported torch once, which takes seconds, and serves until whoever started it
ends. They know nothing but what they are told: paths to import from, the environment,
the folder to work in.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection, wait
from typing import Any

from gankit.errors import UsageError, told

_LEAVING = 5.0  # seconds in which one that waits ends by itself, and clears up
_STOPPING = 0.2  # and one that is in the middle of something


class DiedError(Exception):
    """A helper is gone, in the middle of what it was asked."""


class SlowError(Exception):
    """A helper has not answered in time, and was ended."""


class ToldError(Exception):
    """What a helper was asked has raised; the message says what, and where."""


class Helper:
    """A spawned process that calls functions; it starts when it is first asked.

    Args:
        environment: variables that it has besides those of this process.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = environment or {}
        self._process: Any = None
        self._line: Any = None
        self._asked = False

    @property
    def alive(self) -> bool:
        """Whether it has started, and not ended."""
        return self._process is not None and bool(self._process.is_alive())

    def call(
        self, function: Callable[..., Any], *args: Any, limit: float | None
    ) -> Any:
        """Call a function of a module there, and return what it returns."""
        self.ask(function, *args)
        return self.answer(limit)

    def ask(self, function: Callable[..., Any], *args: Any) -> None:
        """Begin a call; :meth:`answer` gives its result."""
        if not self.alive:
            self._start()
        environment = {**os.environ, **self._environment}
        here = sys.path, environment, str(os.getcwd())  # noqa: PTH109 # as chdir takes it
        self._asked = True
        try:
            self._line.send_bytes(pickle.dumps((*here, pickle.dumps((function, args)))))
        except OSError as error:
            raise DiedError(self._end()) from error

    def answer(self, limit: float | None) -> Any:
        """Return the result of what was asked last.

        Args:
            limit: seconds that it may take; None where the caller is broken off.

        Raises:
            ToldError: it has raised.
            UsageError: it has raised that.
            SlowError: it has taken longer than ``limit`` seconds.
            DiedError: the process is gone.
        """
        try:
            if not self._line.poll(limit):
                raise SlowError(f"it has not answered within {limit:g} seconds")
            how, result = pickle.loads(self._line.recv_bytes())  # what `serve` sent
            self._asked = False
        except (EOFError, OSError) as error:
            raise DiedError(self._end()) from error
        except BaseException:
            self._end()  # whatever it does now, nobody waits for it
            raise
        if how == "usage":
            raise UsageError(result)
        if how == "raised":
            raise ToldError(result)
        return result

    def close(self) -> None:
        """Let it end."""
        if self._process is not None:
            self._end()

    def _start(self) -> None:
        # nothing of this process is shared, as on systems that cannot fork
        context = multiprocessing.get_context("spawn")
        self._line, there = context.Pipe()
        # it starts processes of its own, which a daemon may not
        self._process = context.Process(target=serve, args=(there,), daemon=False)
        self._process.start()
        there.close()
        _running.append(self)

    def _end(self) -> str:
        """End it, and say how it has ended."""
        _running.remove(self)
        process, self._process = self._process, None
        self._line.close()
        process.join(_STOPPING if self._asked else _LEAVING)
        self._asked = False
        alone = process.exitcode
        if alone is None:
            process.terminate()
            process.join(_LEAVING)
        if process.exitcode is None:
            process.kill()
            process.join()
        code = alone if alone is not None else process.exitcode
        process.close()
        return f"exit code {code}" if code >= 0 else f"signal {-code}"


_running: list[Helper] = []


def close_all() -> None:
    """End all helpers of this process, which would wait for them else."""
    for helper in list(_running):
        helper.close()


atexit.register(close_all)


def serve(line: Connection) -> None:
    """Call what is asked for, until nobody asks any more."""
    threading.Thread(target=_outlive_nobody, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who has started it
    try:
        _serve(line)
    finally:
        close_all()


def _serve(line: Connection) -> None:
    sys.stdout = sys.stderr  # what a part prints is no result
    while True:
        try:
            path, environment, folder, call = pickle.loads(line.recv_bytes())
        except (EOFError, OSError):
            return
        sys.path[:] = path
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        try:
            function, args = pickle.loads(call)
            answer = pickle.dumps(("done", function(*args)))
        except UsageError as error:
            answer = pickle.dumps(("usage", str(error)))
        except Exception as error:  # of a stranger's code
            answer = pickle.dumps(("raised", told(error)))
        try:
            line.send_bytes(answer)
        except OSError:
            return


def _outlive_nobody() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "a helper is spawned"
    wait([parent.sentinel])
    os._exit(1)
