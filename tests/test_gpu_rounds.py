"""Rounds on a GPU: none waits, recordings are what they record, precisions are near.

Run `pytest -m gpu` on a machine that has one. What a CPU can show of this is in
``test_unseen.py`` and ``test_captured.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import gankit
from games import Judge, Labels, Linear, Logistic, make_run
from gankit.compute.arithmetic import exact_arithmetic
from gankit.contracts import Shapes
from gankit.game.captured import Captured
from gankit.runs.run import Run
from gankit_losses.gradient_penalty import GradientPenalty
from gankit_losses.matching_aware import MatchingAware
from gankit_losses.r1 import R1
from tiny import CAPTIONED, metrics, without

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
SHAPES = Shapes((2,), 3)
GAMES: list[dict[str, Any]] = [
    {"penalties": [R1(weight=0.5, every=3)], "train": {"ema": 60}},
    {"penalties": [GradientPenalty(every=2)], "dropout": 0.5},
    {"train": {"discriminator_updates": 2, "ema": 9}},
    {"train": {"order": "simultaneous", "ema": 60}},
    {"conditioner": Labels, "loss": MatchingAware()},
]


@pytest.fixture(autouse=True)
def _exactly() -> Iterator[None]:
    """Let the same operations give the same bits."""
    with exact_arithmetic(torch.device("cuda")):
        yield


def _run(how: str, **parts: Any) -> Run:
    """Prepare a game that is looked at, that nobody waits for, or that is recorded."""
    torch.manual_seed(0)
    given = {k: v() if isinstance(v, type) else v for k, v in parts.items()}
    train = {"device": "cuda", **given.pop("train", {})}
    train["graphs"] = "auto" if how == "recorded" else "off"
    run = make_run(**given, train=train)
    assert run.game.guard.unseen is not None
    if how == "looked at":
        run.game.guard.unseen = None
    return run


def _captured(run: Run) -> Captured:
    assert run.game.guard.unseen is not None
    assert run.game.guard.unseen.captured is not None
    return run.game.guard.unseen.captured


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


@contextmanager
def _without_waiting() -> Iterator[None]:
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("how", ["unseen", "recorded"])
@pytest.mark.parametrize("parts", GAMES, ids=str)
def test_nobody_waits_and_the_game_is_the_same(parts: dict[str, Any], how: str) -> None:
    """To the bit, with lazy penalties, dropout, averages and wrong conditions."""
    quick, plain = _run(how, **parts), _run("looked at", **parts)
    reported = []
    for step in range(14):
        told = [dict(run.game.play(step)) for run in (quick, plain)]
        reported.append(told)
    for here, there in reported:
        for name, value in there.items():
            assert float(here[name]) == pytest.approx(float(value), rel=1e-4), name
    if how == "recorded":
        assert _captured(quick).failure == ""
        assert all(kind.replay for kind in _captured(quick)._kinds.values())
    quick.game.guard.look()
    _assert_same(quick, plain)
    with _without_waiting():
        for step in range(14, 20):
            quick.game.play(step)


class Poisoned(Logistic):
    """A loss that is NaN when a test says so, by a number on the device."""

    factor: Any = 1.0

    def discriminator(self, step: Any) -> Tensor:
        """Score real up, fake down."""
        return super().discriminator(step) * self.factor


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("where", ["loss", "gradient"])
@pytest.mark.parametrize("how", ["unseen", "recorded"])
def test_what_is_not_finite_moves_nobody(
    how: str, where: str, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step and the origin are told at the next look."""
    factor = torch.ones((), device="cuda")
    if where == "loss":
        monkeypatch.setattr(Poisoned, "factor", factor)
    quick, plain = (_run(one, loss=Poisoned()) for one in (how, "looked at"))
    for run in (quick, plain):
        if where == "gradient":
            run.game.discriminator.parameters[0].register_hook(lambda g: g * factor)
    trouble = ""
    for step in range(10):
        factor.fill_(value if step in (6, 7) else 1.0)
        for run in (quick, plain):
            run.game.play(step)
        trouble = trouble or plain.game.guard.trouble
    assert quick.game.guard.trouble == ""
    quick.game.guard.look()
    assert quick.game.guard.trouble == trouble
    assert trouble.startswith(f"the {where} ")
    assert quick.game.guard.at == 7
    _assert_same(quick, plain)


class Waiting(Logistic):
    """A loss that looks at a number."""

    def generator(self, step: Any) -> Tensor:
        """Look at it."""
        loss = super().generator(step)
        return loss if loss.item() < 100 else loss * 0


class Moving(Logistic):
    """A loss that brings numbers from the host while it is recorded."""

    played = 0

    def generator(self, step: Any) -> Tensor:
        """Bring one, but not in the first rounds."""
        self.played += 1
        host = torch.tensor(1.0)
        late = self.played > 4
        return super().generator(step) * (host.to(step.fake.device) if late else 1.0)


@pytest.mark.parametrize("loss", [Waiting, Moving])
def test_what_cannot_be_recorded_is_played_on_the_same_device(loss: type) -> None:
    """After a failure the generators draw again, and the game is the same."""
    quick, plain = (_run(how, loss=loss()) for how in ("recorded", "looked at"))
    for step in range(10):
        for run in (quick, plain):
            run.game.play(step)
    assert _captured(quick).failure
    _assert_same(quick, plain)
    assert torch.rand(2, device="cuda").shape == (2,)


def test_a_resumed_run_is_the_recorded_run_that_never_stopped(tmp_path: Path) -> None:
    """Bit for bit, though it is recorded anew."""
    recipe = {**CAPTIONED, "train": without(CAPTIONED["train"], "order")}
    recipe["train"] |= {"device": "cuda", "steps": 16, "ema": 20}
    whole = gankit.train(recipe, out=tmp_path / "whole")
    gankit.train(recipe, {"train.steps": 9}, out=tmp_path / "parted")
    parted = gankit.resume(tmp_path / "parted", {"train.steps": 16})
    assert _captured(whole).failure == ""
    _assert_same(whole, parted)


@pytest.mark.parametrize(
    ("precision", "near"), [("tf32", 2e-2), ("bf16", 1e-1), ("fp16", 2e-2)]
)
def test_a_precision_is_near_to_fp32(
    precision: str, near: float, tmp_path: Path
) -> None:
    """The losses of the first steps; TF32 is left behind, and is told of."""
    told = {}
    recipe = {**CAPTIONED, "train": without(CAPTIONED["train"], "order")}
    recipe["train"] |= {"device": "cuda", "steps": 3, "log_every": 1}
    for name in ("fp32", precision):
        run = gankit.train(recipe, {"train.precision": name}, out=tmp_path / name)
        assert run.choices[0].endswith(f", {name}")
        told[name] = [
            line["loss/discriminator"]
            for line in metrics(tmp_path / name)
            if "loss/discriminator" in line
        ]
    assert torch.get_float32_matmul_precision() == "highest"
    assert told[precision] == pytest.approx(told["fp32"], rel=near)


def test_compiled_networks_are_near_to_others(tmp_path: Path) -> None:
    """By inductor on a GPU, or uncompiled where it has no compiler."""
    runs = []
    for compile_ in ("off", "networks"):
        torch.manual_seed(0)
        train = {"device": "cuda", "compile": compile_}
        runs.append(
            make_run(generator=Linear(SHAPES), discriminator=Judge(SHAPES), train=train)
        )
    for step in range(4):
        for run in runs:
            run.game.play(step)
    for name, network in runs[0].game.networks().items():
        for key, weight in network.state_dict().items():
            other = runs[1].game.networks()[name].state_dict()[key]
            assert torch.allclose(weight, other, atol=1e-4), key
