"""A game for which nobody waits is the game that is looked at in each round.

What a GPU does is done here by the CPU: the numbers on which players move are tensors,
and nobody looks at them before a step is shown.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from attrs import define
from torch import Tensor

import gankit
from games import Labels, Linear, Logistic, make_run
from gankit.contracts import Shapes
from gankit.data.items import Data
from gankit.errors import DivergedError
from gankit.game import players, unseen
from gankit.game.optimizers import fastest
from gankit.game.settings import PLAYERS, Optimizer
from gankit.game.unseen import why_the_guard_waits
from gankit.runs.run import Run
from gankit_losses.matching_aware import MatchingAware
from tiny import LABELLED, without


@pytest.fixture
def _forced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a CPU be played on as a GPU is."""
    monkeypatch.setattr(unseen, "why_the_guard_waits", lambda *given: "")


def _state(run: Run) -> dict[str, Any]:
    """Return all that a checkpoint holds."""
    return {
        f"{name}/{key}": tensor.clone()
        for name, network in run.game.networks().items()
        for key, tensor in network.state_dict().items()
    } | {
        f"{name} {i}": leaf
        for name, thing in run.game.stateful().items()
        for i, leaf in enumerate(
            torch.utils._pytree.tree_leaves(
                torch.utils._pytree.tree_map(
                    lambda x: x.clone() if isinstance(x, Tensor) else x,
                    thing.state_dict(),
                )
            )
        )
    }


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    assert one.keys() == other.keys()
    return all(
        torch.equal(one[k], other[k])
        if isinstance(one[k], Tensor)
        else one[k] == other[k]
        for k in one
    )


class Slope:
    """A lazy penalty on the discriminator's gradient at real samples."""

    weight, every = 0.5, 2

    def __call__(self, step: Any) -> Tensor:
        """Differentiate by samples, so that it can be done again."""
        real = step.real.detach().requires_grad_()
        logits = step.discriminate(real, step.condition)
        (slope,) = torch.autograd.grad(logits.sum(), real, create_graph=True)
        return slope.square().sum(1).mean()


@define
class Poisoned:
    """The logistic loss of a player, times a number that a test sets."""

    factor: float = 1.0
    of: str = "discriminator"

    def discriminator(self, step: Any) -> Tensor:
        """Score real up, fake down."""
        return self._poisoned("discriminator", Logistic().discriminator(step))

    def generator(self, step: Any) -> Tensor:
        """Score fake up."""
        return self._poisoned("generator", Logistic().generator(step))

    def _poisoned(self, player: str, loss: Tensor) -> Tensor:
        return loss * self.factor if player == self.of else loss


OPTIMIZERS = {
    "Adam": {"lr": 0.01, "betas": (0.5, 0.9)},
    "AdamW": {"lr": 0.01, "amsgrad": True},
    "SGD": {"lr": 0.05, "momentum": 0.9, "dampening": 0.5},
    "Adagrad": {"lr": 0.01},
}


def _runs(optimizer: str = "Adam", **parts: Any) -> tuple[Run, Run]:
    """Prepare a game for which nobody waits, and the same one that is looked at."""
    made = []
    for waits in (False, True):
        torch.manual_seed(0)
        options = {"use": optimizer, "options": OPTIMIZERS[optimizer], "clip": 0.5}
        shapes = Shapes((2,), 3, Labels.size if "conditioner" in parts else 0)
        given = {k: v() if callable(v) else v for k, v in parts.items()}
        run = make_run(
            **{
                "penalties": [Slope()],
                "generator": Linear(shapes, dropout=0.3),
                "optimizers": {name: Optimizer(**options) for name in PLAYERS},
                **given,
            }
        )
        if waits:
            run.game.guard.unseen = None
        made.append(run)
    return made[0], made[1]


@pytest.mark.usefixtures("_forced")
@pytest.mark.parametrize(
    "parts",
    [
        {"train": {"ema": 60, "discriminator_updates": 2}},
        {"train": {"ema": 60, "order": "simultaneous"}, "optimizer": "AdamW"},
        {"train": {"fakes": "shared", "ema": 5}, "optimizer": "SGD"},
        {"conditioner": Labels, "loss": MatchingAware(), "optimizer": "Adagrad"},
    ],
    ids=str,
)
def test_it_is_the_same_game_to_the_bit(parts: dict[str, Any]) -> None:
    """Weights, moments, running statistics, average, and what is measured."""
    quick, plain = _runs(**parts)
    for step in range(7):
        told = [dict(run.game.play(step)) for run in (quick, plain)]
        assert told[0].keys() == told[1].keys()
        for name, value in told[1].items():
            assert float(told[0][name]) == pytest.approx(float(value), rel=1e-5), name
    assert quick.game.guard.unseen._pending
    assert _same(_state(quick), _state(plain))


@pytest.mark.usefixtures("_forced")
@pytest.mark.parametrize(
    ("factor", "what"), [(float("nan"), "NaN"), (float("inf"), "infinity")]
)
@pytest.mark.parametrize("order", ["alternating", "simultaneous"])
@pytest.mark.parametrize("of", ["generator", "discriminator"])
@pytest.mark.parametrize("optimizer", ["Adam", "SGD"])
def test_what_is_not_finite_moves_nobody(
    optimizer: str, of: str, order: str, factor: float, what: str
) -> None:
    """To the bit, and the average forgets no faster; the origin is told afterwards."""
    losses = [Poisoned(of=of), Poisoned(of=of)]
    given = iter(losses)
    quick, plain = _runs(
        optimizer,
        loss=lambda: next(given),
        train={"order": order, "ema": 60},
        conditioner=Labels,
    )
    told = ""
    for step in range(7):
        for loss, run in zip(losses, (quick, plain), strict=True):
            loss.factor = factor if step in (3, 4) else 1.0
            run.game.play(step)
        told = told or plain.game.guard.trouble
    assert quick.game.guard.trouble == ""
    quick.game.guard.look()
    assert quick.game.guard.trouble == told
    assert told == f"the loss Poisoned of the {of} is {what}"
    assert (quick.game.guard.at, quick.game.guard.failed) == (4, 0)
    assert _same(_state(quick), _state(plain))


@pytest.mark.usefixtures("_forced")
def test_the_first_of_several_origins_is_told() -> None:
    """Also where a round of another kind is refused later."""
    run, _ = _runs(loss=Poisoned)
    first = run.game.discriminator.parameters[0]
    for step in range(5):
        hook = None
        if step == 2:
            hook = first.register_hook(lambda g: g * float("inf"))
        run.assembly.loss.factor = float("nan") if step == 3 else 1.0
        run.game.play(step)
        if hook is not None:
            hook.remove()
    run.game.guard.look()
    wanted = "the gradient of the discriminator's layer.weight holds"
    assert run.game.guard.trouble.startswith(wanted)
    assert run.game.guard.at == 3
    run.game.play(5)
    run.game.guard.look()
    assert run.game.guard.trouble == ""


@pytest.mark.usefixtures("_forced")
def test_an_overflow_of_the_norm_alone_moves_the_players() -> None:
    """As where the guard waits: no gradient is infinite, but their squares are."""
    runs = _runs(loss=Logistic(), penalties=[])
    for run in runs:
        run.game.play(0)
        hooks = [
            p.register_hook(lambda g: g * 1e25) for p in run.game.generator.parameters
        ]
        before = run.game.generator.parameters[0].clone()
        assert run.game.play(1)["gradient/generator"].isinf()
        assert not torch.equal(run.game.generator.parameters[0], before)
        for hook in hooks:
            hook.remove()
    runs[0].game.guard.look()
    assert runs[0].game.guard.trouble == ""
    assert _same(_state(runs[0]), _state(runs[1]))


@pytest.mark.usefixtures("_forced")
def test_real_samples_and_weights_are_told_of_too() -> None:
    """The first cause of all that follows."""
    run, _ = _runs(penalties=[])
    run.game.play(0)
    batch = run.game.feed.batch

    def holed(number: int) -> Any:
        (some,) = batch(number)
        some.samples[2, 0] = float("nan")
        return [some]

    run.game.feed.batch = holed
    run.game.play(1)
    run.game.guard.look()
    assert run.game.guard.trouble == "the real samples hold NaN"
    run.game.feed.batch = batch
    with torch.no_grad():
        run.game.generator.parameters[0].fill_(float("inf"))
    run.game.play(2)
    run.game.guard.look()
    assert run.game.guard.trouble == "the generator's layer.weight holds infinity"


@pytest.mark.usefixtures("_forced")
def test_a_game_is_looked_at_and_not_looked_at_by_turns() -> None:
    """As where a hook that sees each update comes and goes: the streak goes on."""
    losses = [Poisoned(), Poisoned()]
    given = iter(losses)
    quick, plain = _runs(loss=lambda: next(given), train={"ema": 30})
    for step in range(8):
        for loss, run in zip(losses, (quick, plain), strict=True):
            loss.factor = float("nan") if step in (2, 3, 4) else 1.0
            run.game.play(step, (lambda update: None) if step in (1, 3, 6) else None)
        if step == 4:
            for run in (quick, plain):
                run.game.guard.look()
                assert (run.game.guard.in_a_row, run.game.guard.failed) == (3, 5)
                run.game.guard.load_state_dict({"in_a_row": 0})
    assert _same(_state(quick), _state(plain))


RARE: dict[str, Any] = {
    **without(LABELLED, "penalties"),
    "train": {
        **LABELLED["train"],
        "steps": 20,
        "log_every": 5,
        "sample_every": 0,
        "checkpoint_every": 2,
    },
}


class Fault:
    """Makes the generator's gradient NaN in some steps, once or always."""

    def __init__(self, *steps: int, always: bool = False) -> None:
        self._left, self._always = list(steps), always
        self.warned: dict[str, str] = {}

    @gankit.hookimpl
    def gankit_before_run(self, run: Run) -> None:
        """Watch a weight."""

        def poisoned(gradient: Tensor) -> Tensor:
            if run.step not in self._left:
                return gradient
            if not self._always:
                self._left.remove(run.step)
            return gradient * float("nan")

        next(run.game.generator.network.parameters()).register_hook(poisoned)

    @gankit.hookimpl
    def gankit_on_warning(self, warning: Any) -> None:
        """Note what is told."""
        self.warned[warning.kind] = warning.text


@pytest.mark.usefixtures("_forced")
@pytest.mark.parametrize("every", [1, 7])
def test_a_run_goes_back_though_it_looks_later(every: int, tmp_path: Path) -> None:
    """To the bits of a run that was never hit; warnings name the steps."""
    how = {"train.checkpoint_every": every}
    gankit.train(RARE, how, out=tmp_path / "whole")
    hit = {"fault": Fault(8, 9, 10)}
    gankit.train(RARE, how, out=tmp_path / "hit", watchers=hit)
    whole, found = (
        (tmp_path / name / "checkpoints/00000020/weights.safetensors").read_bytes()
        for name in ("whole", "hit")
    )
    assert found == whole
    warned = hit["fault"].warned
    assert "holds NaN in step 9; the update was left out" in warned["not finite"]
    good = 8 if every == 1 else 7
    assert warned["went back"].startswith(
        f"from step 11 to the checkpoint of step {good}: the gradient of the generator"
    )


@pytest.mark.usefixtures("_forced")
def test_a_fault_that_stays_ends_a_run_that_looks_later(tmp_path: Path) -> None:
    """With the step at which patience was over, though it was seen at step 15."""
    hit = {"fault": Fault(*range(8, 20), always=True)}
    how = {"train.checkpoint_every": 7}
    with pytest.raises(DivergedError, match=r"diverged at step 11 \(again, "):
        gankit.train(RARE, how, out=tmp_path / "run", watchers=hit)
    (path,) = (tmp_path / "run/checkpoints").iterdir()
    assert path.name == "00000007"


@pytest.mark.usefixtures("_forced")
@pytest.mark.parametrize("way", ["break", "stop", "save"])
def test_who_leaves_between_looks_is_told_what_was_refused(
    way: str, tmp_path: Path
) -> None:
    """Also whoever saves: nothing is looked at without a word."""
    hit = {"fault": Fault(8)}
    how = {"train.checkpoint_every": 0, "train.log_every": 1000}
    with gankit.starting(RARE, how, out=tmp_path / "run", watchers=hit) as run:
        for report in run.steps():
            if report.step == 15 and way == "break":
                break
            if report.step == 15:
                run.stop("enough") if way == "stop" else run.save()
    assert "in step 9; the update was left out" in hit["fault"].warned["not finite"]


@pytest.mark.usefixtures("_forced")
def test_a_run_that_has_diverged_is_not_saved_where_it_is_left(tmp_path: Path) -> None:
    """Its steps are not looked at before; leaving it is an error."""
    hit = {"fault": Fault(*range(8, 20), always=True)}
    how = {"train.checkpoint_every": 0, "train.log_every": 1000}

    def leave_early() -> None:
        with gankit.starting(RARE, how, out=tmp_path / "run", watchers=hit) as run:
            next(report for report in run.steps() if report.step == 15)

    with pytest.raises(DivergedError, match="holds NaN"):
        leave_early()
    assert not [*(tmp_path / "run" / "checkpoints").iterdir()]


@pytest.mark.usefixtures("_forced")
def test_nobody_waits_between_steps_that_are_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No number is read on the host, by whichever method of a tensor."""
    run, _ = _runs(train={"ema": 60}, conditioner=Labels, loss=MatchingAware())
    run.game.play(0)
    batches = run.game.feed.batch(1)
    run.game.guard.unseen.begin(1)
    # a CPU sums its squares up by other means than a GPU
    monkeypatch.setattr(players, "is_plain", lambda tensor: False)
    monkeypatch.setattr(Data, "strangers", lambda self, some, rng: some.roll(1))

    def waiting(*given: Any, **how: Any) -> Any:
        raise AssertionError("the host waits for the device")

    for name in ("item", "tolist", "__bool__", "__float__", "__int__", "numpy"):
        monkeypatch.setattr(Tensor, name, waiting)
    monkeypatch.setattr(torch, "equal", waiting)
    for turn, movers in enumerate(run.game.rounds):
        run.game.guard.unseen.round(1, turn, movers, batches)
    run.game.guard.unseen.end()


class Counting(Logistic):
    """A loss with a state that is no tensor on a device."""

    def state_dict(self) -> dict[str, Any]:
        """Return it."""
        return {"seen": 1}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore it."""


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ({}, ""),
        ({"train": {"reduce": "exact", "shards": 2}}, "shards of a batch are added up"),
        ({"loss": Counting()}, "the state of loss is not on the device"),
        (
            {
                "optimizers": {
                    name: Optimizer(use="RMSprop", options={"lr": 0.01})
                    for name in PLAYERS
                }
            },
            "no kernel of RMSprop can leave an update out",
        ),
    ],
    ids=str,
)
def test_who_has_to_wait_says_why(
    parts: dict[str, Any], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a GPU; on a CPU there is nothing to wait for."""
    run = make_run(**parts)
    assert run.game.guard.unseen is None
    given = run.assembly, run.game.device, run.game.shards.count
    assert why_the_guard_waits(*given) == "that is for CUDA's devices"
    monkeypatch.setattr(unseen, "fastest", lambda *given: fastest(*given[:3]))
    gpu = torch.device("cuda")
    assert why_the_guard_waits(run.assembly, gpu, run.game.shards.count) == why
