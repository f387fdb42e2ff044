"""The adversarial training protocol: who moves, how often, towards what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from gankit.compute.compiling import Compiling
from gankit.compute.device import Precision
from gankit.compute.shards import Mean
from gankit.compute.state import State
from gankit.data.feed import Batch, Feed
from gankit.game.assembly import Assembly, player_of
from gankit.game.average import Average
from gankit.game.given import scalar, without_gradient
from gankit.game.guard import Guard, Look
from gankit.game.players import Player
from gankit.game.ranking import RANKED, ranking
from gankit.game.scheduled import Scheduled
from gankit.game.settings import PLAYERS
from gankit.game.step import Step
from gankit.game.unseen import unseen_of
from gankit.game.update import Measured, Update, Updated
from gankit.randomness import Draws


class Game:
    """Two players, what they minimise, and whose turn it is.

    Each step is a sequence of rounds. In alternating order these are k rounds of the
    discriminator, each with new data, and one of the generator (Goodfellow et al. 2014,
    algorithm 1). In simultaneous order one round has both players move from one pass.

    Args:
        assembly: the parts.
        feed: batches of real samples.
        device: where the networks are, already.
        precision: of the networks' passes.
        compiled: the players whose networks torch compiles.
    """

    def __init__(
        self,
        assembly: Assembly,
        feed: Feed,
        device: torch.device,
        precision: Precision,
        compiled: Sequence[str] = (),
    ) -> None:
        settings = assembly.train
        self.assembly = assembly
        self.feed = feed
        self.seed = settings.seed
        self.draws = Draws(settings.seed, device)
        self.device = device
        self.precision = precision
        self.loss, self.penalties = assembly.loss, assembly.penalties
        self.conditioner, self.noise = assembly.conditioner, assembly.noise
        self.generator, self.discriminator = (
            Player(
                name,
                assembly.learning_with(name),
                assembly.optimizers[name],
                precision.scaler(),
            )
            for name in PLAYERS
        )
        networks = {name: getattr(assembly, name) for name in PLAYERS}
        self.compiling = Compiling(networks, compiled)
        self.average = Average.of(assembly)
        self.curves = Scheduled(assembly)
        self.scheduled: dict[str, float] = {}  # their values in this step
        self.rounds: list[tuple[Player, ...]] = []
        if settings.order == "simultaneous":
            self.rounds.append((self.discriminator, self.generator))
        else:
            self.rounds += [(self.discriminator,)] * settings.discriminator_updates
            self.rounds.append((self.generator,))
        self._shares = settings.fakes == "shared"
        self._judged: list[Step] = []  # of each shard, for who plays for it next
        self.asked: set[str] = set()  # by parts of a step: "index", or nothing
        self.batches = sum(self.discriminator in movers for movers in self.rounds)
        self.shards = feed.shards
        self.state = State(self.trained().values(), self.parts().values())
        self.guard = Guard(self.trained(), self.shards.processes)
        self.guard.unseen = unseen_of(self)

    def play(self, index: int, updated: Updated | None = None) -> Measured:
        """Play one step; return its measurements, scalars still on the device.

        Args:
            index: number of the step, from 0.
            updated: called after each round in which players have moved.
        """
        measurements = Measured()
        batches: list[Batch] = []
        self._judged = []  # of a step that was broken off
        number = index * self.batches
        unseen = None if updated else self.guard.without_waiting()
        played = unseen.round if unseen else partial(self._round, updated=updated)
        (unseen or self.guard).begin(index)
        self.scheduled = self.curves.at(index, self.epochs(index))
        if self.average is not None:
            self.average.follow(self.scheduled)
        for turn, movers in enumerate(self.rounds):
            if not batches or self.discriminator in movers:
                batches = self.feed.batch(number)
                number += 1
            measurements.add(played(index, turn, movers, batches))
        (unseen or self.guard).end()
        return measurements

    def _round(
        self,
        index: int,
        turn: int,
        movers: tuple[Player, ...],
        batches: list[Batch],
        updated: Updated | None,
    ) -> Measured:
        """Let players move, by the mean of what the shards of a batch say.

        All of them move or none: one that moved alone would have answered a move that
        the other has not made.
        """
        put_back = self.state.keep()
        look = partial(self._look, index, turn, movers, batches, put_back)
        if self.compiling.compiled:
            look = partial(self.compiling.attempt, look, put_back)
        try:
            measured, norms, looks = look(scaled=True)
            move = whole = self.guard.whole(measured, norms)
            if not whole and any(player.scaler.is_enabled() for player in movers):
                # the scale was too large, or the numbers are at fault without it too
                for player in movers:
                    player.lower_scale()
                    player.skip()
                put_back()
                self._judged = []  # their graphs are gone
                measured, norms, looks = look(scaled=False)
                whole = self.guard.whole(measured, norms)
            if not whole:
                self.guard.find_origin(movers, looks)
        except BaseException:  # whatever it is: what was before can still be saved
            for player in movers:
                player.skip()
            put_back()
            raise
        for player, norm in norms.items():
            measured[f"gradient/{player.name}"] = norm
            if not move:
                player.skip()
                continue
            self.guard.moved = True
            player.update(norm=norm, steps=index, epochs=self.epochs(index))
        if not move:
            put_back()
            self._judged = []
            return measured
        if updated is not None:
            updated(Update(index, turn, tuple(p.name for p in movers), measured))
        if self.average is not None and self.generator in movers:
            self.average.update(self.generator.network, self.feed.batch_size)
        return measured

    def _look(
        self,
        index: int,
        turn: int,
        movers: tuple[Player, ...],
        batches: list[Batch],
        put_back: Callable[[], None],
        *,
        scaled: bool,
    ) -> tuple[Measured, dict[Player, Tensor], list[Look]]:
        """Let every shard say where the players should move, and take the mean."""
        mean, looks = Mean(self.shards), list[Look]()
        before, self._judged = self._judged, []
        ahead = self._shares and turn == len(self.rounds) - 2
        for shard, batch in zip(self.shards.own, batches, strict=True):
            if looks:
                put_back()  # every shard starts from the same state
            looks.append(Look(shard, batch))
            step = self._step(index, turn, shard, batch, movers, ahead, before)
            self.draws.begin(index, turn, *self.shards.place(shard))
            with self.precision.casting_once(), ExitStack() as frozen:
                for idle in {self.generator, self.discriminator} - set(movers):
                    if not (ahead and idle is self.generator):
                        frozen.enter_context(idle.frozen())
                for player in movers:
                    loss = self._objective(player, index, step, looks[-1])
                    torch.autograd.backward(
                        player.scaler.scale(loss) if scaled else loss,
                        inputs=player.learning(),
                        retain_graph=player is not movers[-1],
                    )
                    step.log(f"loss/{player.name}", loss)
            if ahead:
                self._judged.append(step)
            told = {k: v.float().to(self.device) for k, v in step.measurements.items()}
            measured = Measured(told)
            if self.discriminator in movers and step.ranked:
                measured.promise(RANKED, partial(ranking, *step.ranked))
            if self.shards.count > 1:
                mean.add(
                    {
                        "measured": dict(measured),
                        "gradients": {p.name: p.take_gradient() for p in movers},
                        "state": self.state.tensors(),
                    }
                )
        if self.shards.count > 1:
            whole = mean.take()
            measured = Measured(whole["measured"])
            for player in movers:
                player.give_gradient(*whole["gradients"][player.name])
            self.state.put(whole["state"])
        norms = {player: player.norm(scaled=scaled) for player in movers}
        return measured, norms, looks

    def epochs(self, index: int) -> float:
        """Return how often the data has been passed over before a step."""
        return index * self.batches * self.feed.batch_size / len(self.feed.data)

    def trained(self) -> dict[str, nn.Module]:
        """Name the modules that take part in the game."""
        return self.assembly.networks()

    def networks(self) -> dict[str, nn.Module]:
        """Name every module whose weights are saved."""
        average = {"average": self.average.network} if self.average else {}
        return self.trained() | average

    def parts(self) -> dict[str, Any]:
        """Name the parts that are no modules, and have a state of their own."""
        return {
            name: part
            for name, part in self.assembly.parts().items()
            if hasattr(part, "state_dict") and not isinstance(part, nn.Module)
        }

    def stateful(self) -> dict[str, Any]:
        """Name everything else that has a state to save; the one list of it."""
        named: dict[str, Any] = {"guard": self.guard} | self.parts()
        if self.average is not None:
            named["average"] = self.average
        for player in (self.generator, self.discriminator):
            named[f"player.{player.name}"] = player
            named[f"optimizer.{player.name}"] = player.optimizer
            named[f"scaler.{player.name}"] = player.scaler
        return named

    def _step(
        self,
        index: int,
        turn: int,
        shard: int,
        batch: Batch,
        movers: tuple[Player, ...],
        ahead: bool,
        before: list[Step],
    ) -> Step:
        return Step(
            index=index,
            batch=batch,
            generator=self.compiling["generator"],
            discriminator=self.compiling["discriminator"],
            conditioner=self.conditioner,
            augmentations=self.curves.augmenting(self.scheduled),
            draw_noise=self.shards.rows(shard, self.noise),
            rng=self.draws.at(index, turn, *self.shards.place(shard)),
            precision=self.precision,
            generator_moves=self.generator in movers,
            joins=self.assembly.judges_apart and self.discriminator in movers,
            makes_ahead=ahead,
            before=before[shard - self.shards.own.start] if before else None,
            asked=self.asked,
        )

    def _objective(self, player: Player, index: int, step: Step, look: Look) -> Tensor:
        """Add up what a player minimises: its side of the loss, and its penalties."""
        value = getattr(self.loss, player.name)(step)
        loss = scalar(self.loss, value, index)
        if not loss.requires_grad and player.learning():
            raise without_gradient(self.loss, player.name, index)
        look.term(player.name, f"loss {type(self.loss).__name__}", loss)
        for i, penalty in enumerate(self.penalties):
            if player_of(penalty) == player.name and index % penalty.every == 0:
                value = scalar(penalty, penalty(step), index)
                step.log(f"penalty/{type(penalty).__name__}", value)
                look.term(player.name, f"penalty {type(penalty).__name__}", value)
                place = f"penalties.{i}.weight"
                weight = self.scheduled.get(place, penalty.weight)
                loss = loss + weight * penalty.every * value
        return loss
