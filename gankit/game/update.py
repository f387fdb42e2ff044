"""What a round of the game tells: who has moved, and what was measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from attrs import frozen
from torch import Tensor


class Measured(Mapping[str, Tensor]):
    """Scalars by name, still on the device.

    Most steps are looked at by nobody, so that what follows from tensors that are there
    anyway is computed when it is read.
    """

    def __init__(self, values: Mapping[str, Tensor] | None = None) -> None:
        self._values: dict[str, Tensor | None] = dict(values or {})
        self._late: dict[str, Callable[[], Mapping[str, Tensor]]] = {}

    def __getitem__(self, name: str) -> Tensor:
        value = self._values[name]
        if value is None:
            self._values |= self._late[name]()
            value = self._values[name]
            assert value is not None, f"{name} was promised"
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __setitem__(self, name: str, value: Tensor) -> None:
        self._values[name] = value

    def promise(
        self, names: Sequence[str], compute: Callable[[], Mapping[str, Tensor]]
    ) -> None:
        """Add scalars that are computed together, when one of them is read."""
        self._values |= dict.fromkeys(names)
        self._late |= dict.fromkeys(names, compute)

    def add(self, other: Measured) -> None:
        """Add what was measured elsewhere, computed or not."""
        self._values |= other._values
        self._late |= other._late


@frozen(eq=False)
class Update:
    """Players have moved, all from one look at the game.

    Attributes:
        step: steps done before this one.
        round: number of the round in its step, from 0.
        players: names of those that have moved.
        measurements: of this round, scalars still on the device.
    """

    step: int
    round: int
    players: tuple[str, ...]
    measurements: Mapping[str, Tensor]


Updated = Callable[[Update], None]
