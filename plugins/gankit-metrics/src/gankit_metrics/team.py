"""The processes that share an evaluation."""

from __future__ import annotations

from typing import Protocol, TypeVar

from attrs import frozen

T = TypeVar("T")


class Team(Protocol):
    """The processes that share an evaluation, as ``run.processes``."""

    @property
    def rank(self) -> int: ...  # noqa: D102 # told above

    @property
    def size(self) -> int: ...  # noqa: D102

    def gather(self, value: T, /) -> list[T]: ...  # noqa: D102 # told above


@frozen
class Alone:
    """One process."""

    rank: int = 0
    size: int = 1

    def gather(self, value: T) -> list[T]:
        """Give what there is."""
        return [value]
