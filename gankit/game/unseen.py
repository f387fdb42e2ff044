"""Rounds for which nobody waits: what is not finite moves nobody, on the device.

A GPU is given work long before it does it. To look at a loss in each round is to wait
until it has caught up. Here whether players move is a number on the device, which each
update reads there; the host looks at what was refused when it looks at the run anyway.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from gankit.compute.graphs import Graphs
from gankit.game.captured import Captured, why_not_captured
from gankit.game.guard import PATIENCE, Look
from gankit.game.optimizers import fastest
from gankit.game.update import Measured

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gankit.data.feed import Batch
    from gankit.game.assembly import Assembly
    from gankit.game.game import Game
    from gankit.game.players import Player

_NONE = -1  # no such round or step


def unseen_of(game: Game) -> Unseen | None:
    """Return what plays a game without waiting, if it can be played so."""
    if why_the_guard_waits(game.assembly, game.device, game.shards.count):
        return None
    unseen = Unseen(game)
    if game.device.type == "cuda" and not why_not_captured(game.assembly):
        unseen.captured = Captured(unseen, Graphs(game.device))
    return unseen


def why_the_guard_waits(assembly: Assembly, device: torch.device, shards: int) -> str:
    """Say why the guard has to wait for the device in each round, or "".

    Args:
        assembly: the parts.
        device: where they play.
        shards: of a batch.
    """
    if device.type != "cuda":
        return "that is for CUDA's devices"
    if assembly.train.precision == "fp16":
        return "the scale of fp16 follows each gradient"
    if shards > 1:
        return "shards of a batch are added up"
    for place, part in assembly.parts().items():
        if hasattr(part, "state_dict") and not isinstance(part, nn.Module):
            return f"the state of {place} is not on the device"
    for player, optimizer in assembly.optimizers.items():
        modules = assembly.learning_with(player)
        options = fastest(optimizer.use, optimizer.options, modules, device)
        if ":" in optimizer.use or not options.get("fused"):
            return f"no kernel of {optimizer.use} can leave an update out"
    return ""


class Unseen:
    """Plays rounds without waiting, and remembers on the device what was refused.

    A round is refused where :meth:`gankit.game.guard.Guard.whole` would refuse it, and
    leaves every weight, state of an optimiser, buffer and average as it was, to the
    bit. Of the first one that is refused since the last look it keeps what tells the
    origin: the largest real sample, each term of the losses, the largest number of each
    gradient.

    Args:
        game: whose rounds are played.

    Attributes:
        captured: what plays them from recordings, where that can be.
    """

    def __init__(self, game: Game) -> None:
        self.game, self._guard = game, game.guard
        whole = partial(torch.full, (), dtype=torch.int64, device=game.device)
        self._number = whole(0)  # of the round that is played, counted through steps
        self._first = whole(_NONE)  # round that was refused since the last look
        self._failed = whole(_NONE)  # step with which patience was over
        self._in_a_row = whole(0)  # steps, as the guard counts them
        self._bad = torch.zeros((), dtype=torch.bool, device=game.device)
        # by what numbers are of: the round that they are kept of, and they themselves
        self._kept: dict[tuple[str, ...], tuple[Tensor, Tensor]] = {}
        self._pending = False
        self.captured: Captured | None = None
        self._gradients = {
            parameter: f"the gradient of the {name}'s {key} holds {{}}"
            for name, network in game.trained().items()
            for key, parameter in network.named_parameters()
        }

    @property
    def ready(self) -> bool:
        """Whether both optimisers have made their states, as they do when they move."""
        return self.game.generator.has_moved and self.game.discriminator.has_moved

    def begin(self, index: int) -> None:
        """Start a step."""
        if not self._guard.failed:  # which the run has not been told of yet
            self._guard.trouble = ""
        if not self._pending:
            self._in_a_row.fill_(self._guard.in_a_row)
            self._pending = True
        self._bad.zero_()

    def end(self) -> None:
        """Count the step that was played."""
        self._guard.moved = False
        self._in_a_row.copy_(torch.where(self._bad, self._in_a_row + 1, 0))
        over = (self._in_a_row >= PATIENCE) & (self._failed == _NONE)
        step = self._number // len(self.game.rounds)
        self._failed.copy_(torch.where(over, step, self._failed))

    def round(
        self, index: int, turn: int, movers: tuple[Player, ...], batches: list[Batch]
    ) -> Measured:
        """Let players move, unless something is not finite, as `Game` does."""
        self._number.fill_(index * len(self.game.rounds) + turn)
        self._guard.moved = True
        if self.game.average is not None:
            self.game.average.count_on(self.game.device)
        play = self.body if self.captured is None else self.captured.round
        return play(index, turn, movers, batches)

    def body(
        self, index: int, turn: int, movers: tuple[Player, ...], batches: list[Batch]
    ) -> Measured:
        """Do on the device what a round is: nothing in it depends on what is there."""
        game = self.game
        put_back = game.state.keep()
        look = partial(game._look, index, turn, movers, batches, put_back)
        try:
            if game.compiling.compiled:
                look = partial(game.compiling.attempt, look, put_back)
            measured, norms, looks = look(scaled=True)
            refused = self._refused(measured, movers, looks)
        except BaseException:  # whatever it is: what was before can still be saved
            for player in movers:
                player.skip()
            put_back()
            raise
        time = {"steps": index, "epochs": game.epochs(index)}
        for player, norm in norms.items():
            measured[f"gradient/{player.name}"] = norm
            player.update(norm=norm, refused=refused, **time)
        put_back(refused)
        if game.average is not None and game.generator in movers:
            samples = game.feed.batch_size
            game.average.update_unless(refused, game.generator.network, samples)
        return measured

    @torch.no_grad()
    def _refused(
        self,
        measured: Mapping[str, Tensor],
        movers: Sequence[Player],
        looks: Sequence[Look],
    ) -> Tensor:
        """Tell whether a loss or gradient is not finite, and remember the first."""
        learning = [p for player in movers for p in player.parameters]
        moved = [p for p in learning if p.grad is not None]
        # the largest number is finite where all are, and a sum of squares need not be
        largest: Sequence[Tensor] = ()
        if moved:
            largest = torch._foreach_norm([p.grad for p in moved], math.inf)  # type: ignore[misc] # all have one
        losses = [measured[f"loss/{player.name}"] for player in movers]
        refused = ~torch.stack([*losses, *largest]).isfinite().all()
        told = {
            "the real samples hold {}": torch.linalg.vector_norm(
                looks[0].batch.samples, math.inf
            )
        }
        for player, term, value in looks[0].terms:
            told[f"the {term} of the {player} is {{}}"] = value
        told |= {self._gradients[p]: n for p, n in zip(moved, largest, strict=True)}
        values = torch.stack([value.float() for value in told.values()])
        if (names := tuple(told)) not in self._kept:
            self._kept[names] = self._first - 1, torch.empty_like(values)
        number, kept = self._kept[names]
        first = refused & (self._first == _NONE)
        kept.copy_(torch.where(first, values, kept))
        for tensor in (number, self._first):
            tensor.copy_(torch.where(first, self._number, tensor))
        self._bad |= refused
        return refused

    def look(self) -> None:
        """Tell the guard what was refused since the last look; wait for the device."""
        if not self._pending:
            return
        told = torch.stack([self._first, self._failed, self._in_a_row]).tolist()
        first, failed, self._guard.in_a_row = told
        self._pending = False
        if first != _NONE:
            self._guard.trouble = self._origin(first)
            self._guard.at = first // len(self.game.rounds) + 1
        if failed != _NONE:
            self._guard.failed = failed + 1
        self.forget()

    def forget(self) -> None:
        """Begin to remember anew."""
        self._pending = False
        for tensor in (self._first, self._failed):
            tensor.fill_(_NONE)
        for number, _ in self._kept.values():
            number.fill_(_NONE)

    def _origin(self, first: int) -> str:
        """Find the first cause: weights, then data, then terms, then gradients."""
        if weights := self._guard.weights():
            return weights
        for names, (number, kept) in self._kept.items():
            if int(number) != first:
                continue
            for name, value in zip(names, kept.tolist(), strict=True):
                if not math.isfinite(value):
                    return name.format("NaN" if math.isnan(value) else "infinity")
        return "a loss is infinite, though none of its terms is"
