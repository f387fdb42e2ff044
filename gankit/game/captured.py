"""Rounds from memory that stays: a GPU records each kind of round once, and plays it.

What a round does is the body of :class:`gankit.game.unseen.Unseen`. Here it is given a
batch that lies where the last one lay, and generators that are put at the start of the
same streams, so that it can be recorded as a CUDA graph. Rounds are of one kind if the
same players move by the same penalties: a lazy penalty makes a second kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from attrs import define, field
from torch import Tensor

from gankit.compute.graphs import Recorder
from gankit.errors import DeviceError
from gankit.game.assembly import player_of
from gankit.game.update import Measured
from gankit.randomness import Draws, HeldDraws

if TYPE_CHECKING:
    from gankit.data.feed import Batch
    from gankit.game.assembly import Assembly
    from gankit.game.players import Player
    from gankit.game.unseen import Unseen

_WARM = 3  # rounds of a kind before it is recorded; torch's documentation says so
_CHANGES = 8  # of what a recording was made for, until there are no more recordings


def why_not_captured(assembly: Assembly) -> str:
    """Say why the rounds of a game cannot be recorded, or ""."""
    train = assembly.train
    if train.graphs == "off":
        return "train.graphs is 'off'"
    if train.compile != "off":
        return "networks are compiled"
    if train.fakes == "shared":
        return "shared fakes go from one round into the next"
    for player, optimizer in assembly.optimizers.items():
        for option in optimizer.schedule:
            return f"the {player}'s {option} follows a schedule"
    for place in assembly.schedules:
        return f"{place} follows a schedule"
    for place, part in assembly.parts().items():
        if not getattr(part, "capturable", True):
            return f"{place} {type(part).__name__} says that it is not capturable"
    return ""


class _NotATensorError(Exception):
    """Something that a round asks for does not lie on the device."""


class _Place:
    """A batch by its members, in memory that the next one of its kind is written to."""

    def __init__(self) -> None:
        self._batch: Any = None
        self._rng: Any = None
        self._held: dict[str, tuple[Tensor, Callable[[], Tensor]]] = {}

    def fill(self, batch: Batch, rng: Callable[[str], torch.Generator]) -> None:
        """Take up a batch: all of it that rounds of this kind have asked for."""
        self._batch, self._rng = batch, rng
        for place, source in self._held.values():
            place.copy_(source(), non_blocking=True)

    @property
    def size(self) -> int:
        return int(self._batch.size)

    @property
    def samples(self) -> Tensor:
        return self._given("samples", lambda: self._batch.samples)

    @property
    def tokens(self) -> Tensor | None:
        if self._batch.data.tokens is None:
            return None
        return self._given("tokens", lambda: self._batch.tokens)

    def annotation(self, name: str) -> Tensor:
        """Give what is known of the samples by that name."""
        return self._given(f"annotation {name}", lambda: self._batch.annotation(name))

    def mismatched_tokens(self, rng: torch.Generator) -> Tensor | None:
        """Give tokens of wrong conditions, drawn before the round."""
        if self._batch.data.tokens is None:
            return None
        return self._given(
            "mismatched tokens",
            lambda: self._batch.mismatched_tokens(self._rng("mismatch")),
        )

    def _given(self, name: str, source: Callable[[], Any]) -> Tensor:
        if name not in self._held:
            now = source()
            if not isinstance(now, Tensor):
                raise _NotATensorError(f"the {name} is no tensor, but {type(now)}")
            self._held[name] = now.clone(), source
        return self._held[name][0]


@define(eq=False)
class _Kind:
    """Rounds of one kind: where their batches lie, and what plays them."""

    place: _Place = field(factory=_Place)
    played: int = 0
    names: tuple[str, ...] = ()  # of what is measured
    replay: Callable[[], Tensor] | None = None


class Captured:
    """Plays rounds that nobody waits for, from recordings as soon as there are some.

    Args:
        unseen: what plays without waiting.
        recorder: what records.

    Attributes:
        failure: why nothing is recorded any more, or "".
    """

    def __init__(self, unseen: Unseen, recorder: Recorder) -> None:
        self._unseen, self._game = unseen, unseen.game
        self._recorder = recorder
        self._draws = HeldDraws(self._game.seed, self._game.device)
        self._kinds: dict[tuple[Any, ...], _Kind] = {}
        self._made_for: tuple[Any, ...] = ()
        self._changes = 0
        self.failure = ""

    def round(
        self, index: int, turn: int, movers: tuple[Player, ...], batches: list[Batch]
    ) -> Measured:
        """Play a round; in the first ones of its kind, as it would be without this."""
        self._see_changes()
        if self.failure:
            return self._unseen.body(index, turn, movers, batches)
        self._game.asked.clear()
        due = tuple(
            index % penalty.every == 0
            for penalty in self._game.penalties
            if any(player_of(penalty) == player.name for player in movers)
        )
        kind = self._kinds.setdefault((movers, due), _Kind())
        self._draws.start(index, turn, self._game.shards.own.start)
        kind.place.fill(batches[0], self._draws.at())
        body = partial(self._body, kind, index, turn, movers)
        try:
            with self._drawing():
                told = self._play(kind, body)
        except _NotATensorError as error:  # before anything has moved
            self._stop(str(error))
            return self._unseen.body(index, turn, movers, batches)
        return Measured(dict(zip(kind.names, told.unbind(), strict=True)))

    def _play(self, kind: _Kind, body: Callable[[], Tensor]) -> Tensor:
        """Play a round of a kind: warm, to see whether it can be recorded, or again."""
        kind.played += 1
        if kind.replay is None and kind.played > _WARM:
            try:
                with self._capturing():
                    kind.replay = self._recorder.record(body, self._draws.held())
            except DeviceError:
                raise
            except Exception as error:  # of a part that does what cannot be recorded
                self._stop(" ".join(str(error).split()))
        if kind.replay is not None:
            return kind.replay().clone()
        if kind.played == _WARM:
            told, waits = self._recorder.waits(body)
        else:
            told, waits = self._recorder.warm(body), ""
        asks = "index" in self._game.asked and "a part asks for the step's number"
        if waits or asks or self._now() != self._made_for:
            self._stop(waits or asks or "a pass assigns a buffer anew")
        return told

    def _body(
        self, kind: _Kind, index: int, turn: int, movers: tuple[Player, ...]
    ) -> Tensor:
        """Play a round from its place; return what was measured, in one tensor."""
        measured = self._unseen.body(index, turn, movers, [kind.place])  # type: ignore[list-item] # a batch by its members
        values = dict(measured)  # of which some are computed now
        kind.names = tuple(values)
        return torch.stack([value.float() for value in values.values()])

    def _see_changes(self) -> None:
        """Begin anew where something has changed that a recording would not see."""
        if self.failure or (now := self._now()) == self._made_for:
            return
        self._changes += bool(self._kinds)
        self._made_for = now
        self._kinds.clear()
        if self._changes > _CHANGES:
            self._stop("a hook changes the players again and again")

    def _now(self) -> tuple[Any, ...]:
        """Return what of the players a recording is made for."""
        game = self._game
        players = game.generator, game.discriminator
        trained = game.trained().values()
        return (
            [player.restored for player in players],
            [
                [
                    id(value) if isinstance(value, Tensor) else value
                    for name, value in group.items()
                    if name != "params"
                ]
                for player in players
                for group in player.optimizer.param_groups
            ],
            [p.requires_grad for network in trained for p in network.parameters()],
            [m.training for network in trained for m in network.modules()],
            [id(b) for network in trained for b in network.buffers()],
            [(penalty.weight, penalty.every) for penalty in game.penalties],
        )

    def _stop(self, reason: str) -> None:
        self.failure = reason
        for kind in self._kinds.values():
            kind.replay = None

    @contextmanager
    def _drawing(self) -> Iterator[None]:
        """Let parts draw from generators that stay."""
        counted: Draws = self._game.draws
        self._game.draws = self._draws
        try:
            yield
        finally:
            self._game.draws = counted

    @contextmanager
    def _capturing(self) -> Iterator[None]:
        """Tell optimisers that they are being recorded, which some want to know."""
        groups = [
            group
            for player in (self._game.generator, self._game.discriminator)
            for group in player.optimizer.param_groups
            if not group.get("capturable", True)
        ]
        for group in groups:
            group["capturable"] = True
        try:
            yield
        finally:
            for group in groups:
                group["capturable"] = False
