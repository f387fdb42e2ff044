"""Children that run the command line, forked from one process that has imported it.

A child is a process and a session of its own, with real signals, limits and rights; to
be forked takes it a few milliseconds, where to import torch would take seconds.
"""

from __future__ import annotations

import atexit
import ctypes
import importlib
import json
import multiprocessing
import os
import pkgutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any, NoReturn, Self

from attrs import frozen

_LIMIT = 120.0  # seconds that a child may take
# a data worker looks every 5 s whether the process that reads it is still there
_LEAVING = 20.0
_ENDING = 5.0  # seconds that a thread may take to end after it was asked to


@frozen
class Ended:
    """How a child ended: its exit code, or minus a signal, and what it said."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """Everything that it said."""
        return self.err + self.out


class Child:
    """One run of the command line, in a process and a session of its own."""

    def __init__(self, zygote: Zygote, request: dict[str, Any], pipes: Path) -> None:
        self._zygote = zygote
        self._pipes = [pipes / name for name in ("out", "err", "left")]
        for pipe in self._pipes:
            os.mkfifo(pipe)
        flags = os.O_RDONLY | os.O_NONBLOCK
        self._ends = [os.open(pipe, flags) for pipe in self._pipes]
        ends = {pipe.name: str(pipe) for pipe in self._pipes}
        self.pid = int(zygote.ask(request | ends))

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, unless it is over."""
        os.kill(self.pid, number)

    def wait(self, limit: float = _LIMIT) -> Ended:
        """Wait for its end, after which nothing of it may be left.

        Neither a thread nor a process that it started, nor a traceback.
        """
        code = self._zygote.ask({"wait": self.pid, "limit": limit})
        out, err, left = map(_drained, self._ends)
        for path in self._pipes:
            path.unlink()
        assert code is not None, f"it hung:\n{out}\n{err}"
        assert "Traceback" not in err, err
        assert code < 0 or left == "[]", f"threads or processes are left: {left}"
        assert not _outlast(self.pid), "a process of its session is left"
        return Ended(code, out, err)


class Zygote:
    """The process that has imported everything, and forks the children."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()  # the end of its input is its end
        assert self._process.returncode == 0

    def start(
        self,
        *arguments: str,
        cwd: Path,
        env: dict[str, str] | None = None,
        largest: int = -1,
        bound: bool = False,
    ) -> Child:
        """Start ``gankit`` with these arguments.

        Args:
            arguments: of the command line.
            cwd: the current folder.
            env: changes to the environment.
            largest: bytes that a file may have, as on a disk that is full then.
            bound: by the permissions of files, which root is not.
        """
        self._count += 1
        pipes = self._folder / str(self._count)
        pipes.mkdir()
        request = {
            "arguments": arguments,
            "cwd": str(cwd),
            "env": env or {},
            "largest": largest,
            "bound": bound,
        }
        return Child(self, request, pipes)

    def run(self, *arguments: str, **how: Any) -> Ended:
        """Run ``gankit`` with these arguments, to the end."""
        return self.start(*arguments, **how).wait()

    def ask(self, request: dict[str, Any]) -> Any:
        """Ask the process, and return its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


def _drained(end: int) -> str:
    """Read what is in a pipe: a child says less than a pipe holds."""
    with os.fdopen(end, "rb") as file:
        return (file.read() or b"").decode()


def _outlast(session: int) -> bool:
    """Tell whether processes of a session go on when it should be over."""
    limit = time.monotonic() + _LEAVING
    while _members(session):
        if time.monotonic() > limit:
            return True
        time.sleep(0.05)
    return False


def _members(session: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, its = path.read_text().rpartition(") ")[2].split()[:4]
        except OSError:  # it is over meanwhile
            continue
        if int(its) == session and state != "Z":
            found.append(int(path.parent.name))
    return found


def _serve() -> None:
    """Fork a child for each line of standard input."""
    _import_everything()
    while line := sys.stdin.readline():
        request = json.loads(line)
        if "wait" in request:
            answer = _waited(request["wait"], request["limit"])
        elif (answer := os.fork()) == 0:
            _child(request)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _import_everything() -> None:
    """Import what a run imports: the core, and each plugin's parts."""
    import gankit
    import gankit.cli
    from gankit.plugins.discovery import discover
    from gankit.watchers.recording import TensorBoard

    if TensorBoard.installed():
        importlib.import_module("torch.utils.tensorboard")
    for module in pkgutil.walk_packages(gankit.__path__, "gankit."):
        if module.name != "gankit.__main__":
            importlib.import_module(module.name)
    for entry in discover().entries():
        if entry.kind.name != "recipe":
            assert callable(entry.factory)


def _waited(pid: int, limit: float) -> int | None:
    end = time.monotonic() + limit
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


def _child(request: dict[str, Any]) -> NoReturn:
    """Run the command line as a process that a shell has just started."""
    import resource

    from gankit.cli import run

    os.setsid()
    os.chdir(request["cwd"])
    os.environ.update(request["env"])
    for number, path in enumerate((os.devnull, request["out"], request["err"])):
        os.dup2(os.open(path, os.O_WRONLY if number else os.O_RDONLY), number)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    warnings.simplefilter("error")
    left = os.open(request["left"], os.O_WRONLY)
    if request["largest"] >= 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["largest"], -1))
    if request["bound"]:
        _bind()
    code = run(request["arguments"])
    limit = time.monotonic() + _ENDING
    while (names := _running()) and time.monotonic() < limit:
        time.sleep(0.01)
    os.write(left, json.dumps(names).encode())
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(code)  # to take the interpreter apart would last longer than all the rest


def _bind() -> None:
    """Give up what lets root read and write anything: two capabilities of Linux."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # the version; this process
    rights = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; twice
    assert libc.capget(header, rights) == 0
    for i in range(3):
        rights[i] &= ~(1 << 1 | 1 << 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    assert libc.capset(header, rights) == 0


def _running() -> list[str]:
    """Name the threads and processes of this process, but for the one that asks."""
    threads = [t.name for t in threading.enumerate() if t != threading.main_thread()]
    return threads + [child.name for child in multiprocessing.active_children()]


if __name__ == "__main__":
    _serve()
