"""Sharing the work of an evaluation among processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from gankit import Processes
from gankit.errors import UsageError, listed

T = TypeVar("T")
W = TypeVar("W")


def in_shares(
    processes: Processes,
    work: Sequence[W],
    make: Callable[[W], T],
    told: Callable[[int, int], None],
) -> list[T]:
    """Make something of each piece of work, a share of them in each process.

    Args:
        processes: those that share the work.
        work: pieces, the same in all.
        make: what is done with one.
        told: how many are done, of how many in this process.

    Returns:
        what each gives, in their order, in all processes.

    Raises:
        UsageError: they have not the same number of pieces.
    """
    mine = work[processes.rank :: processes.size]
    made: list[T] = []
    for piece in mine:
        told(len(made), len(mine))
        made.append(make(piece))
    told(len(mine), len(mine))
    shares = processes.gather((len(work), made))
    if len(lengths := {length for length, _ in shares}) > 1:
        raise UsageError(
            f"the processes are to share {listed(sorted(lengths))} pieces of the same "
            "work, so they read different data; give each the same files"
        )
    return [
        shares[i % processes.size][1][i // processes.size] for i in range(len(work))
    ]
