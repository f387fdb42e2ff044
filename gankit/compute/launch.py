"""Several processes on one machine: start them, pass signals on, leave none behind.

torchrun does this too, on many machines, and starts failed processes again. This is for
``--processes N``: no other command, and nothing on the screen but gankit's own words.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from types import FrameType

import click
import torch.distributed as dist

from gankit.compute.environment import ALIVE

_POLL = 0.1  # seconds
# what the others get to notice that one has failed, and then to end
_GRACE = 30.0


def launch(arguments: Sequence[str], count: int) -> int:
    """Run ``gankit`` with these arguments in so many processes.

    Returns:
        the exit code: 0, 2 where a process says so, else 1.
    """
    # the processes meet at a store of ours, which outlives each of them
    store = dist.TCPStore(  # type: ignore[attr-defined] # torch exports it indirectly
        "127.0.0.1", 0, is_master=True, wait_for_workers=False
    )
    with ExitStack() as stack:
        read_end, write_end = os.pipe()
        stack.callback(os.close, write_end)  # tells them that the launcher is gone
        children = [
            subprocess.Popen(
                [sys.executable, "-m", "gankit", *arguments],
                env=_environment(rank, count, store.port, read_end),
                pass_fds=[read_end],
                start_new_session=True,  # each signal comes once, from here
            )
            for rank in range(count)
        ]
        os.close(read_end)

        def pass_on(number: int, _: FrameType | None) -> None:
            _tell(children, number)

        for number in (signal.SIGINT, signal.SIGTERM):
            before = signal.signal(number, pass_on)
            stack.callback(signal.signal, number, before)
        stack.callback(_end, children)
        return _wait(children)


def _environment(rank: int, count: int, port: int, alive: int) -> dict[str, str]:
    threads = max(1, (os.cpu_count() or 1) // count)
    return {
        "OMP_NUM_THREADS": str(threads),
        **os.environ,
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        ALIVE: str(alive),
    }


def _wait(children: list[subprocess.Popen[bytes]]) -> int:
    """Wait for all; when one has failed, give the others a while to notice."""
    limit = float("inf")
    told = False
    while any(child.poll() is None for child in children):
        failed = [child for child in children if child.poll() not in (None, 0)]
        if failed and not told:
            told = True
            limit = time.monotonic() + _GRACE
            _name_killed(children)
        if time.monotonic() > limit:
            return 1  # whoever still runs hangs, and is ended
        time.sleep(_POLL)
    codes = {child.returncode for child in children}
    if not told:
        _name_killed(children)
    return 0 if codes == {0} else 2 if 2 in codes else 1


def _name_killed(children: list[subprocess.Popen[bytes]]) -> None:
    for rank, child in enumerate(children):
        if (child.returncode or 0) < 0:
            name = signal.Signals(-child.returncode).name
            click.echo(
                f"error: process {rank} of {len(children)} was killed by {name}, which "
                "the system does when memory runs out",
                err=True,
            )


def _tell(children: list[subprocess.Popen[bytes]], number: int) -> None:
    for child in children:
        if child.poll() is None:
            child.send_signal(number)


def _end(children: list[subprocess.Popen[bytes]]) -> None:
    """Leave no process behind."""
    _tell(children, signal.SIGTERM)
    limit = time.monotonic() + _GRACE
    for child in children:
        try:
            child.wait(max(0.0, limit - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
