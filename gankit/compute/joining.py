"""How processes that were started together find each other, and end together."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import Any
from uuid import uuid4

import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from gankit.compute.environment import ALIVE, started_by_launcher
from gankit.compute.processes import ALONE, TIMEOUT, Processes
from gankit.errors import RunError

_PATIENT = timedelta(days=7)  # the first process may fit a conditioner for long
_LEAVING = 60.0  # seconds that a process has to save when its launcher is gone


@contextmanager
def joined() -> Iterator[Processes]:
    """Join the processes that `gankit.Context.launch` or torchrun started with this.

    It gives what each knows of them, `gankit.Processes`. An error in one ends all; one
    that all make is said once.

    Raises:
        RunError: they cannot be reached.
        PeerError: another one failed first.
    """
    if not started_by_launcher():
        yield ALONE
        return
    if ALIVE in os.environ:
        _watch_launcher()
    own = not dist.is_initialized()
    try:
        processes = _meet()
    except (RuntimeError, ValueError) as error:
        raise RunError(
            f"the processes cannot reach each other: {error}; start them with "
            "torchrun, or with --processes on one machine"
        ) from error
    try:
        yield processes
    except BaseException as error:
        cause = processes.blame(error)
        if cause is error:
            raise
        raise cause from error
    finally:
        if own:
            dist.destroy_process_group()


def _meet() -> Processes:
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    store, _, _ = next(rendezvous("env://", rank, size, timeout=TIMEOUT))
    store = PrefixStore(_agree_on_start(store, rank, size), store)
    if not dist.is_initialized():
        on_gpus = torch.cuda.is_available() and dist.is_nccl_available()
        backend = "cpu:gloo,cuda:nccl" if on_gpus else "gloo"
        if on_gpus and "LOCAL_RANK" in os.environ:
            index = int(os.environ["LOCAL_RANK"])
            torch.cuda.set_device(index % torch.cuda.device_count())
        dist.init_process_group(
            backend, timeout=TIMEOUT, store=store, rank=rank, world_size=size
        )
    return Processes(
        rank,
        size,
        int(os.environ.get("LOCAL_RANK", rank)),
        int(os.environ.get("LOCAL_WORLD_SIZE", size)),
        store,
        dist.new_group(backend="gloo", timeout=_PATIENT),
    )


def _agree_on_start(store: Any, rank: int, size: int) -> str:
    """Agree on a name for this start of the processes.

    torchrun keeps its store when it starts failed processes again, and with it the
    addresses of those that are gone; and its counts of restarts may differ by node.
    """
    mine = uuid4().hex
    limit = time.monotonic() + TIMEOUT.total_seconds()
    others = range(1, size)
    if rank:
        store.set(f"gankit/hello/{rank}", mine)
    while time.monotonic() < limit:
        if rank == 0:
            here = [r for r in others if store.check([f"gankit/hello/{r}"])]
            hellos = {r: store.get(f"gankit/hello/{r}").decode() for r in here}
            store.set("gankit/go", json.dumps({"start": mine, "hellos": hellos}))
            if all(store.check([f"gankit/{mine}/{r}"]) for r in others):
                return mine
        elif store.check(["gankit/go"]):
            go = json.loads(store.get("gankit/go"))
            if go["hellos"].get(str(rank)) == mine:  # not of an earlier start
                store.set(f"gankit/{go['start']}/{rank}", "")
                return str(go["start"])
        time.sleep(0.05)
    raise RuntimeError("not all of them have started")


@cache
def _watch_launcher() -> None:
    """Begin to, once, however often processes are joined."""
    threading.Thread(target=_outlive_no_launcher, daemon=True).start()


def _outlive_no_launcher() -> None:
    """Stop, as on SIGTERM, when the launcher is gone; nothing else would."""
    os.read(int(os.environ[ALIVE]), 1)  # returns when the other end is closed
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_LEAVING)
    os._exit(1)
