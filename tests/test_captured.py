"""Rounds that are recorded are the rounds that are played, to the bit.

What a GPU records is a function on memory that stays. Here it is called again instead,
with the step's number of when it was recorded: whatever depends on that would show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import gankit
from games import Judge, Labels, Logistic, make_run
from gankit.contracts import Shapes
from gankit.game.captured import Captured, why_not_captured
from gankit.game.schedules import Exponential
from gankit.game.settings import PLAYERS, Optimizer
from gankit.game.unseen import Unseen
from gankit.randomness import Draws, HeldDraws, generator
from gankit.runs.run import Run
from gankit.runs.troubles import troubles
from gankit_losses.gradient_penalty import GradientPenalty
from gankit_losses.matching_aware import MatchingAware
from gankit_losses.r1 import R1

SHAPES = Shapes((2,), 3)


class Calls:
    """A recorder for a CPU: to play is to call once more."""

    def __init__(self, waits: str = "", fails: str = "") -> None:
        self.recorded, self.replayed = 0, 0
        self._waits, self._fails = waits, fails

    def warm(self, work: Callable[[], Any]) -> Any:
        """Do it."""
        return work()

    def waits(self, work: Callable[[], Any]) -> tuple[Any, str]:
        """Do it, and say what the test says."""
        return work(), self._waits

    def record(
        self, work: Callable[[], Any], generators: Iterable[torch.Generator]
    ) -> Callable[[], Any]:
        """Do nothing but count; the generators are those that a round draws from."""
        if self._fails:
            raise RuntimeError(self._fails)
        assert all(isinstance(one, torch.Generator) for one in generators)
        self.recorded += 1

        results: list[Tensor] = []  # as a graph's, they are written over

        def replay() -> Tensor:
            self.replayed += 1
            result: Tensor = work()
            results[:] = [results[0].copy_(result) if results else result.clone()]
            return results[0]

        return replay


class Augment:
    """Shifts samples by numbers that it draws."""

    def __call__(self, samples: Tensor, rng: torch.Generator) -> Tensor:
        """Shift each."""
        return samples + torch.randn(len(samples), 1, generator=rng)


def _recorded(run: Run, recorder: Calls) -> Captured:
    """Let a run on a CPU be recorded."""
    unseen = Unseen(run.game)
    run.game.guard.unseen = unseen
    unseen.captured = Captured(unseen, recorder)
    return unseen.captured


def _pair(**parts: Any) -> list[Run]:
    runs = []
    for _ in range(2):
        torch.manual_seed(0)
        given = {k: v() if isinstance(v, type) else v for k, v in parts.items()}
        runs.append(make_run(**{"augmentations": [Augment()], **given}))
    return runs


def _state(run: Run) -> dict[str, Any]:
    """Return all that a checkpoint holds."""
    networks = {
        f"{name}/{key}": tensor.clone()
        for name, network in run.game.networks().items()
        for key, tensor in network.state_dict().items()
    }
    leaves = {
        f"{name} {i}": leaf.clone() if isinstance(leaf, Tensor) else leaf
        for name, thing in run.game.stateful().items()
        for i, leaf in enumerate(torch.utils._pytree.tree_leaves(thing.state_dict()))
    }
    return networks | leaves


def _assert_same(one: Run, other: Run) -> None:
    here, there = _state(one), _state(other)
    assert here.keys() == there.keys()
    for key, value in here.items():
        if isinstance(value, Tensor):
            assert torch.equal(value, there[key]), key
        else:
            assert value == there[key], key


@pytest.mark.parametrize(
    ("parts", "kinds"),
    [
        ({"penalties": [R1(weight=0.5, every=3)], "train": {"ema": 60}}, 3),
        ({"penalties": [GradientPenalty(every=2)], "dropout": 0.5}, 3),
        ({"train": {"discriminator_updates": 2, "ema": 9}}, 2),
        ({"train": {"order": "simultaneous", "ema": 60}}, 1),
        ({"conditioner": Labels, "loss": MatchingAware()}, 2),
    ],
    ids=str,
)
def test_a_recorded_game_is_the_plain_game(parts: dict[str, Any], kinds: int) -> None:
    """Weights, moments, running statistics, average, draws, and what is measured."""
    quick, plain = _pair(**parts)
    recorder = Calls()
    captured = _recorded(quick, recorder)
    reported = []
    for step in range(14):
        told = [dict(run.game.play(step)) for run in (quick, plain)]
        assert told[0].keys() == told[1].keys()
        reported.append(told)
    for here, there in reported:  # also those of steps that were played long ago
        for name, value in there.items():
            assert float(here[name]) == pytest.approx(float(value), rel=1e-5), name
    assert captured.failure == ""
    assert recorder.recorded == kinds
    assert recorder.replayed > 5
    quick.game.guard.look()
    _assert_same(quick, plain)


class Told(Logistic):
    """A loss that asks for an annotation, and poisons itself when a test says so."""

    needs = ("label",)
    poison = torch.ones(())

    def discriminator(self, step: Any) -> Tensor:
        """Weigh samples by their class."""
        weights = step.annotation("label").float() * self.poison
        return (weights * nn.functional.softplus(-step.real_logits)).mean() + (
            nn.functional.softplus(step.fake_logits).mean()
        )


def test_what_is_not_finite_moves_nobody_in_a_recording() -> None:
    """To the bit; annotations are those of the round, and the origin is told."""
    quick, plain = _pair(loss=Told, train={"ema": 60})
    recorder = Calls()
    _recorded(quick, recorder)
    trouble = ""
    for step in range(9):
        Told.poison.fill_(float("nan") if step in (6, 7) else 1.0)
        for run in (quick, plain):
            run.game.play(step)
        trouble = trouble or plain.game.guard.trouble
    quick.game.guard.look()
    assert recorder.replayed > 0
    assert trouble == "the loss Told of the discriminator is NaN"
    assert (quick.game.guard.trouble, quick.game.guard.at) == (trouble, 7)
    _assert_same(quick, plain)


def test_a_change_of_the_players_is_recorded_anew() -> None:
    """Options that a hook holds, weights that it freezes, and a checkpoint's state."""
    quick, plain = _pair()
    recorder = Calls()
    captured = _recorded(quick, recorder)
    saved: list[Any] = [None, None]
    for step in range(24):
        for i, run in enumerate((quick, plain)):
            player = run.game.generator
            if step == 6:
                player.hold(lr=0.001)
                saved[i] = {k: v.state_dict() for k, v in run.game.stateful().items()}
                saved[i] = torch.utils._pytree.tree_map(
                    lambda x: x.clone() if isinstance(x, Tensor) else x, saved[i]
                )
            if step == 12:
                player.parameters[0].requires_grad_(False)
            if step == 18:
                for name, thing in run.game.stateful().items():
                    thing.load_state_dict(saved[i][name])
                player.take_up()
            run.game.play(step)
    assert captured.failure == ""
    assert recorder.recorded == 8
    _assert_same(quick, plain)


def test_players_that_change_again_and_again_are_not_recorded() -> None:
    """There is an end to it, and the game is the same."""
    quick, plain = _pair()
    recorder = Calls()
    captured = _recorded(quick, recorder)
    for step in range(14):
        for run in (quick, plain):
            run.game.generator.hold(lr=0.01 / (step + 1))
            run.game.play(step)
    assert captured.failure == "a hook changes the players again and again"
    assert recorder.recorded == 0
    assert list(troubles(quick.game)) == [
        ("not captured", f"{captured.failure}; nothing is recorded any more")
    ]
    _assert_same(quick, plain)


class Annealed(Logistic):
    """A loss whose weight follows the number of the step."""

    def generator(self, step: Any) -> Tensor:
        """Weigh it."""
        return super().generator(step) * 0.9**step.index


class Assigns(Judge):
    """A discriminator with a buffer that each pass assigns anew."""

    def __init__(self) -> None:
        super().__init__(SHAPES)
        self.register_buffer("mean", torch.zeros(2))

    def forward(self, samples: Tensor, condition: Tensor | None) -> Tensor:
        """Move the mean on."""
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * samples.detach().mean(0)
        return super().forward(samples - self.mean, condition)


@pytest.mark.parametrize(
    ("parts", "recorder", "why"),
    [
        ({"loss": Annealed}, Calls(), "a part asks for the step's number"),
        ({"discriminator": Assigns}, Calls(), "a pass assigns a buffer anew"),
        ({}, Calls(waits="line 7 waits"), "line 7 waits"),
        ({}, Calls(fails="not in a\ncapture"), "not in a capture"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_cannot_be_recorded_is_played(
    parts: dict[str, Any], recorder: Calls, why: str
) -> None:
    """As it would have been; the run says why."""
    quick, plain = _pair(**parts)
    captured = _recorded(quick, recorder)
    for step in range(8):
        for run in (quick, plain):
            run.game.play(step)
    assert captured.failure == why
    assert recorder.recorded == 0
    _assert_same(quick, plain)


class Texts(Told):
    """A loss that asks for what is no tensor."""

    def discriminator(self, step: Any) -> Tensor:
        """Look at names, and use none."""
        assert isinstance(step.annotation("name"), list)
        return Logistic().discriminator(step)


class Named:
    """Points that have names."""

    facts = gankit.Facts((2,), sample_range=gankit.UNBOUNDED, name=gankit.Texts())

    def __len__(self) -> int:
        return 20

    def __getitem__(self, index: int) -> gankit.Item:
        return gankit.Item(torch.tensor([float(index), 1.0]), name=(f"point {index}",))


def test_a_round_that_asks_for_texts_is_played() -> None:
    """They are not on the device."""
    Texts.needs = ("name",)
    quick, plain = _pair(loss=Texts, dataset=Named())
    captured = _recorded(quick, Calls())
    for step in range(5):
        for run in (quick, plain):
            run.game.play(step)
    assert captured.failure.startswith("the annotation name is no tensor")
    _assert_same(quick, plain)


class Uncapturable(Logistic):
    """A loss that says that it cannot be recorded."""

    capturable = False


def _optimizers(**schedule: Any) -> dict[str, Optimizer]:
    options = {"lr": 0.01, "betas": (0.5, 0.9)}
    made = Optimizer(use="Adam", options=options, schedule=schedule)
    return dict.fromkeys(PLAYERS, made)


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ({}, ""),
        ({"train": {"graphs": "off"}}, "train.graphs is 'off'"),
        ({"train": {"compile": "networks"}}, "networks are compiled"),
        (
            {"train": {"fakes": "shared"}},
            "shared fakes go from one round into the next",
        ),
        (
            {"optimizers": _optimizers(lr=Exponential(factor=0.9))},
            "the generator's lr follows a schedule",
        ),
        (
            {"loss": Uncapturable()},
            "loss Uncapturable says that it is not capturable",
        ),
    ],
    ids=str,
)
def test_what_is_not_tried_says_why(parts: dict[str, Any], why: str) -> None:
    """Before the first step."""
    assert why_not_captured(make_run(**parts).assembly) == why


def test_held_generators_draw_what_new_ones_draw() -> None:
    """For each purpose and round, also in another order; wrong conditions too."""
    cpu = torch.device("cpu")
    held, counted = HeldDraws(5, cpu), Draws(5, cpu)
    for at in ((0, 0, 0), (0, 1, 0), (7, 0, 0)):
        held.start(*at)
        here = [torch.randn(3), torch.rand(2)]
        held.begin(9, 9, 9)  # which the body says, and which changes nothing
        for purpose in ("noise", "mismatch", "augment 1"):
            wanted = torch.randn(7, generator=generator(cpu, 5, purpose, *at))
            assert torch.equal(torch.randn(7, generator=held.at()(purpose)), wanted)
        counted.begin(*at)
        assert all(map(torch.equal, here, [torch.randn(3), torch.rand(2)]))
    assert len(held.held()) == 2  # wrong conditions are drawn before a round
