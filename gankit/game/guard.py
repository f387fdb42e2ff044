"""The guard of the game: no update by values that are not finite.

It looks at the losses and at the norm of each gradient, one transfer from the device
for each round, and only searches for the origin when one of them is not finite.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from attrs import define, field
from torch import Tensor, nn

from gankit.compute.processes import Processes
from gankit.data.feed import Batch

if TYPE_CHECKING:
    from gankit.game.players import Player
    from gankit.game.unseen import Unseen

PATIENCE = 3  # steps in a row whose updates are left out before the run goes back


@define(eq=False)
class Look:
    """What one shard has seen in one round, for a search after it has failed."""

    shard: int
    batch: Batch
    terms: list[tuple[str, str, Tensor]] = field(factory=list)  # player, term, value

    def term(self, player: str, name: str, value: Tensor) -> None:
        """Note the value of one term of a player's loss."""
        self.terms.append((player, name, value.detach()))

    def problem(self) -> str:
        """Say what is not finite here, or ""."""
        if not _finite(self.batch.samples):
            return f"the real samples hold {_what(self.batch.samples)}"
        for player, name, value in self.terms:
            if not _finite(value):
                return f"the {name} of the {player} is {_what(value)}"
        return ""


class Guard:
    """Refuses updates that are not finite, counts them, and names their origin.

    Args:
        networks: the modules that play, by name.
        processes: those that share the run.

    Attributes:
        trouble: where values that are not finite came from in this step, or "".
        at: the step of it, from 1.
        failed: the step with which patience was over, from 1; 0 while it is not.
        unseen: what is on the device, if nobody waits for that in each round.
        in_a_row: steps until now whose updates were refused, without one between.
        moved: whether a player has moved in a step that is not over yet.
    """

    def __init__(self, networks: Mapping[str, nn.Module], processes: Processes) -> None:
        self._networks = networks
        self._processes = processes
        self.in_a_row = 0
        self.trouble = ""
        self.at = self.failed = 0
        self.moved = False
        self.unseen: Unseen | None = None

    def begin(self, index: int) -> None:
        """Start to watch a step."""
        self.look()  # at what was played without this guard
        self.trouble, self.at = "", index + 1

    def end(self) -> None:
        """Count the step that was watched."""
        self.moved = False
        self.in_a_row = self.in_a_row + 1 if self.trouble else 0
        if self.in_a_row >= PATIENCE:
            self.failed = self.at

    def without_waiting(self) -> Unseen | None:
        """Return what plays without waiting, where that can be, and can be now."""
        return self.unseen if self.unseen is not None and self.unseen.ready else None

    def look(self) -> None:
        """Learn what was refused since the last look; waits where nobody has."""
        if self.unseen is not None:
            self.unseen.look()

    def whole(
        self, measured: Mapping[str, Tensor], norms: Mapping[Player, Tensor]
    ) -> bool:
        """Tell whether losses and gradients are finite: the same in every process."""
        losses = [measured[f"loss/{player.name}"] for player in norms]
        told = [*losses, *norms.values()]
        if told[0].device.type == "cpu":
            finite = [math.isfinite(value.item()) for value in told]
        else:  # one transfer
            finite = torch.stack(told).isfinite().tolist()
        if all(finite):
            return True
        # a norm can overflow where no gradient does
        return all(finite[: len(losses)]) and all(
            _finite(p.grad) for player in norms for p in player.parameters
        )

    def find_origin(self, players: Iterable[Player], looks: Iterable[Look]) -> None:
        """Note why these players do not move: the same in every process."""
        self.trouble = self.trouble or self._origin(players, looks)

    def weights(self) -> str:
        """Say which weight or running statistic is not finite, or ""."""
        for name, network in self._networks.items():
            for key, tensor in network.state_dict().items():
                if not _finite(tensor):
                    return f"the {name}'s {key} holds {_what(tensor)}"
        return ""

    def state_dict(self) -> dict[str, Any]:
        """Return how many steps in a row were refused."""
        self.look()
        return {"in_a_row": self.in_a_row}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore it."""
        self.in_a_row, self.failed = state["in_a_row"], 0
        if self.unseen is not None:
            self.unseen.forget()

    def _origin(self, players: Iterable[Player], looks: Iterable[Look]) -> str:
        """Find the first cause: weights, then data, then terms, then gradients."""
        mine = [problem for look in looks if (problem := look.problem())]
        said = [problem for one in self._processes.gather(mine) for problem in one]
        if weights := self.weights():
            return weights
        return next(iter(said), "") or _gradient(players, self._networks)


def _gradient(players: Iterable[Player], networks: Mapping[str, nn.Module]) -> str:
    names = {
        parameter: f"{name}'s {key}"
        for name, network in networks.items()
        for key, parameter in network.named_parameters()
    }
    found = (
        f"the gradient of the {names[parameter]} holds {_what(parameter.grad)}"
        for player in players
        for parameter in player.parameters
        if parameter.grad is not None and not _finite(parameter.grad)
    )
    return next(found, "a loss is infinite, though none of its terms is")


def _finite(tensor: Tensor | None) -> bool:
    return tensor is None or bool(tensor.isfinite().all())


def _what(tensor: Tensor) -> str:
    return "NaN" if bool(tensor.isnan().any()) else "infinity"
