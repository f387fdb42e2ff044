"""fp16 without a GPU: what its scaler and the guard make of a gradient that overflows.

A CPU has no fp16 here, so that the scaler is real and the overflow is made: a function
whose gradient leaves fp16's range when it is scaled.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from attrs import frozen
from torch import Tensor

from games import Logistic, make_run
from gankit.runs.run import Run

LARGEST = 65_504.0  # of fp16
PLAYERS = ("generator", "discriminator")


class _Half(torch.autograd.Function):
    """The identity, whose gradient is rounded to fp16."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient.half().float()


class _Broken(torch.autograd.Function):
    """The identity, whose gradient is NaN, as of a square root at 0."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * float("nan")


@frozen
class _Rounded:
    """A loss whose gradient for one player passes one of the two."""

    of: str
    by: Any
    factor: float = 1.0

    def discriminator(self, step: Any) -> Tensor:
        return self._passed("discriminator", Logistic().discriminator(step))

    def generator(self, step: Any) -> Tensor:
        return self._passed("generator", Logistic().generator(step))

    def _passed(self, player: str, loss: Tensor) -> Tensor:
        passed: Tensor = (
            self.by.apply(loss * self.factor) if player == self.of else loss
        )
        return passed


def _run(loss: Any, order: str, scale: float) -> Run:
    run = make_run(loss=loss, train={"order": order, "ema": 40})
    for player in (run.game.generator, run.game.discriminator):
        player.scaler = torch.amp.GradScaler("cpu", init_scale=scale)
    return run


def _weights(run: Run) -> dict[str, Tensor]:
    return {
        f"{name}/{key}": tensor.clone()
        for name, network in run.game.networks().items()
        for key, tensor in network.state_dict().items()
    }


def _moved(run: Run, before: dict[str, Tensor]) -> set[str]:
    after = _weights(run)
    return {k.split("/")[0] for k in before if not torch.equal(before[k], after[k])}


@pytest.mark.parametrize("other", PLAYERS)
def test_all_who_move_at_once_move_or_none_does(other: str) -> None:
    """An overflow of one leaves both as they were, and lowers one's scale by half."""
    run = _run(_Rounded(other, _Half), "simultaneous", 2 * LARGEST)
    before = _weights(run)
    run.game.play(0)
    assert _moved(run, before) == set()
    assert run.game.guard.trouble == ""
    scales = {n: getattr(run.game, n).scaler.get_scale() for n in PLAYERS}
    assert scales == {n: LARGEST if n == other else 2 * LARGEST for n in PLAYERS}
    run.game.play(1)
    assert _moved(run, before) == {*PLAYERS, "average"}
    assert run.game.guard.in_a_row == 0


def test_who_moves_alone_is_not_held_up_by_the_other() -> None:
    """In alternating order a round is one player's."""
    run = _run(_Rounded("generator", _Half), "alternating", 2 * LARGEST)
    made = [p.clone() for p in run.game.generator.parameters]
    judged = [p.clone() for p in run.game.discriminator.parameters]
    run.game.play(0)
    assert all(map(torch.equal, made, run.game.generator.parameters))
    assert not any(map(torch.equal, judged, run.game.discriminator.parameters))


@pytest.mark.parametrize("order", ["alternating", "simultaneous"])
def test_a_nan_is_told_of_at_once(order: str) -> None:
    """It is there without any scale too: nothing is to be gained by halving it."""
    run = _run(_Rounded("generator", _Broken), order, 2.0**16)
    run.game.play(0)
    assert run.game.guard.trouble.startswith("the gradient of the generator")
    assert "holds NaN" in run.game.guard.trouble
    assert run.game.guard.in_a_row == 1
