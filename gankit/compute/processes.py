"""The processes that share work: who leads, what they tell each other, how they fail.

There is no wrapper around the players: gradients are added up by
:mod:`gankit.compute.shards`.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from attrs import field, frozen
from torch import Tensor

from gankit.errors import GankitError, PeerError

T = TypeVar("T")

# A peer that died is noticed at once, by its closed connection: this is for one that
# hangs. The first process samples, saves and measures meanwhile.
TIMEOUT = timedelta(minutes=30)
_FAILURE, _LOST = "gankit/failure", "gankit/lost"
_REASON = re.compile(r"^(\[[^]]*\] *)+")  # where in gloo's source it was noticed
_TELLING = 5.0  # seconds in which a process that fails says why


@frozen(eq=False)
class Processes:
    """What one process knows of all those that share its work; by itself, it is alone.

    `gankit.joined` gives it. All of them have to come to the same calls in the same
    order: one that does not come, because it had nothing to do or has caught an error
    of such a call, is waited for in vain.

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
        """Tell whether this is the first process, which writes and speaks."""
        return self.rank == 0

    def once(self, make: Callable[[], T]) -> T:
        """Make something in the first process, and return it in every process.

        ``make`` may not itself wait for the others; what it gives is pickled. Catch
        nothing that it raises: only the first process would know of it.
        """
        if self.size == 1:
            return make()
        told = [make() if self.leads else None]
        with _contact():
            dist.broadcast_object_list(told, src=0, group=self._patient)
        return told[0]  # type: ignore[return-value] # what the first process made

    def gather(self, value: T) -> list[T]:
        """Return every process's value, by rank, in every process; it is pickled."""
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
        if isinstance(error, PeerError):
            return error  # learnt where these processes were joined within
        if isinstance(error, _LostContactError):
            time.sleep(1.0)  # so that the first cause stands above what follows from it
            first = self._first_failure(wait=_TELLING)
            peer = PeerError(self._lost(error) if first is None else _said(first))
            peer.told_elsewhere = self._is_told(first)
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

    def _is_told(self, first: dict[str, Any] | None) -> bool:
        """Tell whether another process of this machine says what there is to say."""
        lowest = self.rank - self.local_rank
        if first is not None:
            here = lowest <= first["rank"] < lowest + self.local_size
            return here or self.local_rank > 0
        mine = str(self.rank)
        try:
            key = f"{_LOST}/{lowest}"
            return bool(self._store.compare_set(key, "", mine).decode() != mine)
        except RuntimeError:
            return False  # the store is gone

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
            f"gone, or it took over {TIMEOUT.total_seconds() / 60:.0f} minutes; start "
            "again, a training with `gankit resume` "
            f"({_REASON.sub('', str(error).partition('. ')[0])})"
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


def _in_words(error: BaseException) -> str:
    if isinstance(error, GankitError):
        return str(error)
    return f"{type(error).__name__}: {error}"


def _said(first: dict[str, Any]) -> str:
    return f"process {first['rank']} of {first['size']} failed: {first['error']}"
