"""The processes that share a run: who leads, what they tell each other, how they fail.

torchrun, or ``gankit train --processes N``, starts them and sets the environment
variables that torch.distributed knows (RANK, WORLD_SIZE, …). There is no wrapper around
the players: gradients are added up by :mod:`gankit.compute.shards`.
"""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar
from uuid import uuid4

import torch
import torch.distributed as dist
from attrs import field, frozen
from torch import Tensor
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from gankit.errors import GankitError, PeerError, RunError

T = TypeVar("T")

ALIVE = "GANKIT_ALIVE_FD"  # a pipe that ends when the launcher does

# A peer that died is noticed at once, by its closed connection: this is for one that
# hangs. The first process samples, saves and measures meanwhile.
_TIMEOUT = timedelta(minutes=30)
_PATIENT = timedelta(days=7)  # the first process may fit a conditioner for long
_FAILURE = "gankit/failure"
_REASON = re.compile(r"^(\[[^]]*\] *)+")  # where in gloo's source it was noticed
_TELLING = 5.0  # seconds in which a process that fails says why
_LEAVING = 60.0  # seconds that a process has to save when its launcher is gone


@frozen(eq=False)
class Processes:
    """What one process knows of all those that share a run.

    Attributes:
        rank: this process, from 0; the first alone writes.
        size: how many there are, on all machines.
        local_rank: this process among those of its machine, from 0.
        local_size: how many this machine has.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    _store: Any = field(default=None, repr=False)
    _patient: Any = field(default=None, repr=False)

    @property
    def leads(self) -> bool:
        """Tell whether this is the process that writes."""
        return self.rank == 0

    def broadcast(self, value: T) -> T:
        """Return the first process's value, in every process."""
        if self.size == 1:
            return value
        told = [value if self.leads else None]
        with _contact():
            dist.broadcast_object_list(told, src=0, group=self._patient)
        return told[0]  # type: ignore[return-value] # what the first process gave

    def gather(self, value: T) -> list[T]:
        """Return every process's value, by rank, in every process."""
        if self.size == 1:
            return [value]
        told: list[Any] = [None] * self.size
        with _contact():
            dist.all_gather_object(told, value, group=self._patient)
        return told

    def any(self, asked: bool) -> bool:
        """Tell whether any process says yes."""
        if self.size == 1:
            return asked
        count = torch.tensor(int(asked))
        with _contact():
            dist.all_reduce(count, op=dist.ReduceOp.MAX, group=self._patient)
        return bool(count)

    def broadcast_tensor(self, tensor: Tensor) -> None:
        """Overwrite a tensor with the first process's."""
        if self.size > 1:
            told = tensor.contiguous()  # itself, if it is
            with _contact():
                dist.broadcast(told, src=0)
            tensor.copy_(told)

    def sum(self, vector: Tensor) -> Tensor:
        """Add up the vectors of all processes, in an order of the library's choice."""
        with _contact():
            dist.all_reduce(vector)
        return vector

    def all_of(self, vector: Tensor) -> Tensor:
        """Return the vectors (n,) of all processes, by rank, (size, n)."""
        every = vector.new_empty(self.size, len(vector))
        with _contact():
            dist.all_gather(list(every), vector)
        return every

    def blame(self, error: BaseException) -> BaseException:
        """Tell the others why this process fails, or learn which one failed first."""
        if isinstance(error, _LostContactError):
            time.sleep(1.0)  # so that the first cause stands above what follows from it
            first = self._first_failure(wait=_TELLING)
            peer = PeerError(self._lost(error) if first is None else _said(first))
            peer.told_elsewhere = first is not None and self.local_rank > 0
            for note in getattr(error, "__notes__", ()):
                peer.add_note(note)
            return peer
        mine = {"rank": self.rank, "size": self.size, "error": _in_words(error)}
        try:
            told = self._store.compare_set(_FAILURE, "", json.dumps(mine))
        except RuntimeError:
            return error  # the store was the first process's, and is gone with it
        if isinstance(error, GankitError):
            first = json.loads(told)
            same = first["rank"] != self.rank and first["error"] == mine["error"]
            error.told_elsewhere = same
        return error

    def _first_failure(self, wait: float) -> dict[str, Any] | None:
        limit = time.monotonic() + wait
        while time.monotonic() < limit:
            try:
                if self._store.check([_FAILURE]):
                    return dict(json.loads(self._store.get(_FAILURE)))
            except RuntimeError:
                return None  # the store is gone
            time.sleep(0.2)
        return None

    def _lost(self, error: BaseException) -> str:
        return (
            f"process {self.rank} of {self.size} lost contact with another, which said "
            "nothing: it was killed, as happens when memory runs out, its machine is "
            f"gone, or it took over {_TIMEOUT.total_seconds() / 60:.0f} minutes; go on "
            f"with `gankit resume` ({_REASON.sub('', str(error).partition('. ')[0])})"
        )


ALONE = Processes()


class _LostContactError(GankitError):
    """A collective operation failed: another process is gone, or hangs."""


@contextmanager
def _contact() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, OSError) as error:  # gloo's and nccl's are RuntimeErrors
        raise _LostContactError(str(error)) from error


def started_by_launcher() -> bool:
    """Tell whether torchrun or ``--processes`` has started this process."""
    return "RANK" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


def leads() -> bool:
    """Tell, before any contact, whether this process is to write and to speak."""
    return not started_by_launcher() or os.environ["RANK"] == "0"


def restartable() -> bool:
    """Tell whether torchrun starts this again after a failure, or has done so."""
    return int(os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0")) > 0


@contextmanager
def joined() -> Iterator[Processes]:
    """Join those that were started with this process; alone, there is nothing to join.

    Raises:
        RunError: they cannot be reached.
        PeerError: another one failed first.
    """
    if not started_by_launcher():
        yield ALONE
        return
    if ALIVE in os.environ:
        threading.Thread(target=_outlive_no_launcher, daemon=True).start()
    own = not dist.is_initialized()
    try:
        processes = _meet()
    except (RuntimeError, ValueError) as error:
        raise RunError(
            f"the processes of this run cannot reach each other: {error}; start them "
            "with torchrun, or with --processes on one machine"
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
    store, _, _ = next(rendezvous("env://", rank, size, timeout=_TIMEOUT))
    store = PrefixStore(_agree_on_start(store, rank, size), store)
    if not dist.is_initialized():
        on_gpus = torch.cuda.is_available() and dist.is_nccl_available()
        backend = "cpu:gloo,cuda:nccl" if on_gpus else "gloo"
        if on_gpus and "LOCAL_RANK" in os.environ:
            index = int(os.environ["LOCAL_RANK"])
            torch.cuda.set_device(index % torch.cuda.device_count())
        dist.init_process_group(
            backend, timeout=_TIMEOUT, store=store, rank=rank, world_size=size
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
    limit = time.monotonic() + _TIMEOUT.total_seconds()
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


def _outlive_no_launcher() -> None:
    """Stop, as on SIGTERM, when the launcher is gone; nothing else would."""
    os.read(int(os.environ[ALIVE]), 1)  # returns when the other end is closed
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_LEAVING)
    os._exit(1)


def _in_words(error: BaseException) -> str:
    if isinstance(error, GankitError):
        return str(error)
    return f"{type(error).__name__}: {error}"


def _said(first: dict[str, Any]) -> str:
    return f"process {first['rank']} of {first['size']} failed: {first['error']}"
