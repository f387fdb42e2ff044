"""Networks that torch compiles: which may be, what stays the same, what if it fails."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import gankit
from games import Judge, Linear, Logistic, make_assembly, make_run
from gankit.contracts import Shapes
from gankit.runs.choices import choose_compiled
from tiny import LABELLED, metrics, tree, without

# torch's own, where it looks at what it is to compile
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")
SHAPES = Shapes((2,), 3)
COMPILED: dict[str, Any] = {
    **without(LABELLED, "penalties"),
    "train": {**LABELLED["train"], "compile": "networks"},
}


@pytest.fixture(autouse=True)
def _traced(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Trace and differentiate as torch does, and spare the C++ compiler its minute."""
    whole = torch.compile

    def quick(network: Any, **how: Any) -> Any:
        return whole(network, backend="aot_eager", **how)

    monkeypatch.setattr(torch, "compile", quick)
    yield
    torch._dynamo.reset()


def _weights(run: gankit.Run) -> dict[str, Tensor]:
    return {
        f"{name}/{key}": tensor.clone()
        for name, network in run.game.networks().items()
        for key, tensor in network.state_dict().items()
    }


class Slope:
    """A penalty on the discriminator's gradient at real samples."""

    weight, every = 0.5, 2

    def __call__(self, step: Any) -> Tensor:
        """Differentiate by samples, so that it can be done again."""
        real = step.real.detach().requires_grad_()
        logits = step.discriminate(real, step.condition)
        (slope,) = torch.autograd.grad(logits.sum(), real, create_graph=True)
        return slope.square().sum(1).mean()


class PathLength:
    """A penalty of the generator on how its samples move with the noise."""

    weight, every, player = 0.5, 1, "generator"

    def __call__(self, step: Any) -> Tensor:
        """Differentiate by noise, so that it can be done again."""
        noise = step.draw_noise(4).requires_grad_()
        made = step.generate(noise, None)
        (slope,) = torch.autograd.grad(made.sum(), noise, create_graph=True)
        return slope.square().sum(1).mean()


@pytest.mark.parametrize(
    ("penalties", "twice"),
    [
        ([], set()),
        ([Slope()], {"discriminator"}),
        ([PathLength()], {"generator"}),
        ([Slope(), PathLength()], {"discriminator", "generator"}),
    ],
)
def test_what_is_differentiated_twice_is_not_compiled(
    penalties: list[Any], twice: set[str]
) -> None:
    """The trial of parts finds it out; the run says so."""
    train = {"compile": "networks"}
    run = make_run(penalties=penalties, train=train)
    assert run.assembly.differentiated_twice == twice
    compiled = [n for n in ("generator", "discriminator") if n not in twice]
    assert list(run.game.compiling.compiled) == compiled
    (line,) = [line for line in run.choices if line.startswith("compiled: ")]
    assert line.startswith(f"compiled: {' and '.join(compiled) or 'nothing'}")
    for name in twice:
        assert f"differentiates the {name} twice" in line


def test_nothing_is_compiled_unless_it_is_asked_for() -> None:
    """Neither network, and the choices say so."""
    run = make_run()
    assert run.game.compiling.compiled == ()
    assert run.game.compiling["generator"] is run.assembly.generator
    assert "compiled: nothing" in run.choices


@pytest.mark.parametrize(
    "changed",
    [
        {"discriminator_updates": 2, "fakes": "shared", "ema": 40},
        {"order": "simultaneous", "reduce": "exact", "shards": 2},
    ],
    ids=str,
)
def test_compiled_networks_play_the_same_game(changed: dict[str, Any]) -> None:
    """To rounding; with a lazy penalty, dropout and the same names of weights."""
    runs = [
        make_run(
            generator=Linear(SHAPES, dropout=0.5),
            discriminator=Judge(SHAPES),
            penalties=[Slope()],
            train={**changed, "compile": compile_},
            seed=3,
        )
        for compile_ in ("networks", "off")
    ]
    for run in runs:
        torch.manual_seed(1)
        for name in ("generator", "discriminator"):
            for weight in getattr(run.assembly, name).parameters():
                nn.init.normal_(weight, std=0.1)
    for step in range(4):
        told = [dict(run.game.play(step)) for run in runs]
        assert told[0].keys() == told[1].keys()
    quick, plain = map(_weights, runs)
    assert runs[0].game.compiling.compiled == ("generator",)
    assert runs[0].game.compiling.failure == ""
    assert quick.keys() == plain.keys()
    for key, weight in plain.items():
        assert torch.allclose(quick[key], weight, atol=1e-5), key


class Late(Slope):
    """A penalty that begins after the trial has been made."""

    weight, every = 0.5, 1
    begun = False

    def __call__(self, step: Any) -> Tensor:
        """Add nothing at first."""
        return super().__call__(step) if self.begun else torch.zeros(())


def test_a_second_derivative_that_comes_late_ends_the_compiling() -> None:
    """From that round on the networks run as they are, to the bits of such a run."""
    penalties = [Late(), Late()]
    runs = [
        make_run(penalties=[penalty], train={"compile": "networks", "ema": 40})
        for penalty in penalties
    ]
    assert runs[0].game.compiling.compiled == ("generator", "discriminator")
    runs[1].game.compiling.__init__(runs[1].game.compiling._networks, ())
    for penalty, run in zip(penalties, runs, strict=True):
        penalty.begun = True
        for step in range(3):
            run.game.play(step)
    assert "does not currently support double backward" in (
        runs[0].game.compiling.failure
    )
    assert runs[0].game.compiling.compiled == ()
    ended, plain = map(_weights, runs)
    for key, weight in plain.items():
        assert torch.equal(ended[key], weight), key


def test_a_machine_without_a_compiler_trains_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The warning says why, once, and a run that goes on tries again."""

    def without_a_compiler(network: Any, **how: Any) -> Callable[..., Any]:
        def called(*inputs: Any, **named: Any) -> Any:
            raise RuntimeError("no C++ compiler\n" + "here, and\tmuch more " * 50)

        return called

    monkeypatch.setattr(torch, "compile", without_a_compiler)
    out = tmp_path / "run"
    run = gankit.train(COMPILED, out=out)
    (told,) = [line for line in metrics(out) if line.get("warning") == "not compiled"]
    assert told["step"] == 1
    assert told["text"].startswith("RuntimeError: no C++ compiler here, and much more")
    assert told["text"].endswith("; the networks run uncompiled")
    plain = gankit.train(COMPILED, {"train.compile": "off"}, out=tmp_path / "plain")
    ended, expected = _weights(run), _weights(plain)
    assert all(torch.equal(ended[key], expected[key]) for key in expected)
    manifest = (out / "checkpoints/00000006/manifest.json").read_text("utf-8")
    assert json.loads(manifest)["compiled"] == []


def test_a_part_that_fails_is_not_taken_for_the_compiler() -> None:
    """Its own error is raised, and nothing has moved."""

    class Failing(Logistic):
        failing = False

        def generator(self, step: Any) -> Tensor:
            if self.failing:
                raise KeyError("mine")
            return super().generator(step)

    loss = Failing()
    run = make_run(loss=loss, train={"compile": "networks"})
    Failing.failing = True
    with pytest.raises(KeyError, match="mine"):
        run.game.play(0)
    assert run.game.compiling.failure == ""


class Growing(Judge):
    """A discriminator of which no two steps have the same code."""

    grown = 0

    def forward(self, samples: Tensor, condition: Tensor | None) -> Tensor:
        """Add a number that Python counts."""
        self.grown += 1
        return super().forward(samples, condition) + self.grown / 1000


def test_code_that_is_never_the_same_is_not_compiled_for_ever() -> None:
    """After torch's limit the networks run as they are, and the reason is told."""
    run = make_run(discriminator=Growing(SHAPES), train={"compile": "networks"})
    for step in range(8):
        run.game.play(step)
    assert "recompile_limit" in run.game.compiling.failure
    assert run.game.compiling.compiled == ()


def test_a_resumed_run_keeps_what_was_compiled(tmp_path: Path) -> None:
    """Bit for bit, also where less was left than might be."""
    whole = gankit.train(COMPILED, out=tmp_path / "whole")
    parted = gankit.train(COMPILED, {"train.steps": 3}, out=tmp_path / "parted")
    assert parted.game.compiling.compiled == ("generator", "discriminator")
    resumed = gankit.resume(tmp_path / "parted", {"train.steps": 6})
    assert resumed.game.compiling.compiled == ("generator", "discriminator")
    last = "checkpoints/00000006"
    assert tree(tmp_path / "parted" / last) == tree(tmp_path / "whole" / last)
    loaded = gankit.load(tmp_path / "whole").sample(5, seed=2).samples
    assert torch.equal(loaded, whole.sampler.sample(5, seed=2).samples)
    assembly = make_assembly(train={"compile": "networks"})

    class Saved:
        compiled = ("generator",)

    assert choose_compiled(assembly, Saved()) == ("generator",)  # type: ignore[arg-type] # by its member
