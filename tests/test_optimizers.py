"""Every optimiser that a recipe may name: written, read again, trained and resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from jsonschema import Draft202012Validator

import gankit
from games import make_assembly
from gankit.cli import run
from gankit.errors import RecipeError
from gankit.plugins.discovery import discover
from gankit.recipe.blocks import optimizer_names
from gankit.recipe.recipe import read_recipe
from gankit.recipe.schema import recipe_schema
from sites import Site
from tiny import LABELLED, tree

_UNFIT = {"Muon"}  # takes matrices alone, and networks have biases


@pytest.mark.parametrize("name", sorted({*optimizer_names()} - _UNFIT))
def test_an_optimiser_is_written_and_goes_on_where_it_stopped(
    name: str, recipe: str
) -> None:
    """Its defaults too that TOML lacks; and a resumed run is one that never stopped."""
    used = ["train", recipe, f"optimizer.use={name}"]
    assert run([*used, "train.steps=4", "--out", "whole"]) == 0
    there = Path("whole/recipe.toml")
    assert read_recipe(there) == read_recipe(recipe, [*used[2:], "train.steps=4"])
    assert run([*used, "train.steps=2", "--out", "parted"]) == 0
    assert run(["resume", "parted", "train.steps=4"]) == 0
    last = tree(Path("whole/checkpoints/00000004"))
    assert tree(Path("parted/checkpoints/00000004")) == last
    before = tree(Path("parted/checkpoints/00000002"))
    assert before["weights.safetensors"] != last["weights.safetensors"]


@pytest.mark.parametrize("name", sorted(_UNFIT))
def test_an_optimiser_that_cannot_train_these_networks_is_refused(
    name: str, recipe: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what it lacks, before anything is written."""
    assert run(["train", recipe, f"optimizer.use={name}"]) == 2
    said = capsys.readouterr().err
    assert f"torch.optim.{name} cannot train the generator: " in said
    assert "choose another with optimizer.use" in said
    assert not Path("runs").exists()


# of another package: Chen et al. 2023, algorithm 2, and what no game can use
LION = """
import torch
from torch.optim import Optimizer


class Lion(Optimizer):
    def __init__(self, params, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0,
                 cautious=False):
        if lr < 0:
            raise ValueError(f"lr of {lr} leads nowhere")
        super().__init__(params, dict(lr=lr, betas=betas, weight_decay=weight_decay))
        self.cautious = cautious

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            early, late = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                mean = state.setdefault("mean", torch.zeros_like(p))
                way = (early * mean + (1 - early) * p.grad).sign()
                if self.cautious:
                    way = way * (way * p.grad > 0)
                p.add_(way + group["weight_decay"] * p, alpha=-group["lr"])
                mean.lerp_(p.grad, 1 - late)


class Loose(Lion):
    def __init__(self, params, lr: float = 1e-3, **more):
        super().__init__(params, lr)


class Closure(Lion):
    def step(self, closure):
        loss = closure()
        super().step()
        return loss


class Asks(Lion):
    def step(self, closure=None):
        if closure is None:
            raise RuntimeError("where is the closure?")
        super().step()


class Sparse(Lion):
    def step(self, closure=None):
        for group in self.param_groups:
            if not all(p.grad.is_sparse for p in group["params"]):
                raise RuntimeError("only sparse ones")


class Elsewhere(Lion):
    def step(self, closure=None):
        raise RuntimeError("this machine lacks a chip")


not_a_class = Lion.step
"""


@pytest.fixture
def lion(site: Site) -> None:
    """Put the module on the path, as an installed package is."""
    (site.folder / "pride.py").write_text(LION, "utf-8")


@pytest.mark.usefixtures("lion")
def test_an_optimiser_of_another_package_goes_on_to_the_bit(recipe: str) -> None:
    """Its state is resumed, its options are those of its class, one with a schedule."""
    used = ["optimizer.use=pride:Lion", "optimizer.lr=0.01", "optimizer.cautious=true"]
    used += ["optimizer.schedule.lr={use='cosine', end=9}"]
    for out, steps in (("whole", 4), ("parted", 2)):
        more = [f"train.steps={steps}", "--out", out]
        assert run(["train", recipe, *used, *more]) == 0
    assert run(["resume", "parted", "train.steps=4"]) == 0
    last = "checkpoints/00000004"
    assert tree(Path("parted") / last) == tree(Path("whole") / last)
    there = read_recipe(Path("whole/recipe.toml"))
    assert there == read_recipe(recipe, [*used, "train.steps=4"])
    assert there.optimizers["generator"].options == {
        "lr": 0.01,
        "betas": (0.9, 0.99),
        "weight_decay": 0.0,
        "cautious": True,
    }


@pytest.mark.usefixtures("lion")
def test_it_moves_each_weight_by_the_sign_of_its_gradient(tmp_path: Path) -> None:
    """Lion's first step is lr in size, whatever the gradient: a truth of its own."""
    settings: dict[str, Any] = {"options": {"lr": 0.5}, "use": "pride:Lion"}
    optimizers = dict.fromkeys(
        ("generator", "discriminator"), gankit.Optimizer(**settings)
    )
    made = make_assembly(optimizers=optimizers, train={"steps": 1})
    before = made.discriminator.layer.weight.detach().clone()
    gankit.train(made, out=tmp_path / "run", disable=["*"])
    moved = (made.discriminator.layer.weight.detach() - before).abs()
    torch.testing.assert_close(moved, torch.full_like(moved, 0.5))


REFUSED = {
    "pride:Lino": "optimizer.use: cannot import 'pride:Lino': ",
    "prid:Lion": "optimizer.use: cannot import 'prid:Lion': No module named 'prid'",
    "pride:torch": "optimizer.use: 'pride:torch' is <module 'torch'",
    "pride:not_a_class": "optimizer.use: 'pride:not_a_class' is <function Lion.step",
    "torch.nn:Linear": "optimizer.use: 'torch.nn:Linear' is <class",
    "pride:Closure": "optimizer: pride:Closure needs a closure that evaluates the loss",
    "pride:Asks": "optimizer: pride:Asks needs a closure that evaluates the loss",
    "torch.optim:LBFGS": "optimizer: torch.optim:LBFGS needs a closure",
    "pride:Sparse": "optimizer: pride:Sparse takes sparse gradients only",
    "torch.optim:SparseAdam": "optimizer: torch.optim:SparseAdam takes sparse",
    "Lion": "optimizer.use: torch.optim has no optimiser 'Lion'",
}


@pytest.mark.usefixtures("lion")
@pytest.mark.parametrize("use", REFUSED)
def test_what_is_no_optimiser_of_a_game_is_refused_at_reading(use: str) -> None:
    """It cannot be imported, is none, or asks for what a game has not."""
    with pytest.raises(RecipeError) as caught:
        read_recipe(LABELLED, {"optimizer": {"use": use}})
    (problem,) = caught.value.problems
    assert problem.startswith(REFUSED[use])


@pytest.mark.usefixtures("lion")
def test_an_optimiser_that_needs_another_device_is_left_to_it() -> None:
    """One that fails here whatever it is given is not said to want a closure."""
    made = read_recipe(LABELLED, {"optimizer": {"use": "pride:Elsewhere"}})
    assert made.optimizers["generator"].use == "pride:Elsewhere"


WRONG_OPTIONS = {
    "optimizer.lrr": "optimizer.lrr: no such option; did you mean 'lr'?",
    "optimizer.lr": "optimizer: pride:Lion refuses this: lr of -1.0 leads nowhere",
    "optimizer.betas": "optimizer.betas: -1 is not a list of 2: a number, a number",
}


@pytest.mark.usefixtures("lion")
@pytest.mark.parametrize("option", WRONG_OPTIONS)
def test_its_options_are_checked_as_torch_s_are(option: str) -> None:
    """By the types of its defaults, and by itself on one weight."""
    with pytest.raises(RecipeError) as caught:
        read_recipe(LABELLED, {"optimizer.use": "pride:Lion", option: -1})
    assert caught.value.problems == (WRONG_OPTIONS[option],)


@pytest.mark.usefixtures("lion")
def test_what_cannot_be_named_is_no_option() -> None:
    """A class that takes anything has the options that it names."""
    made = read_recipe(LABELLED, {"optimizer.use": "pride:Loose"})
    assert made.optimizers["generator"].options == {"lr": 1e-3}
    with pytest.raises(RecipeError, match=r"optimizer\.more: no such option"):
        read_recipe(LABELLED, {"optimizer.use": "pride:Loose", "optimizer.more": 1})


@pytest.mark.usefixtures("lion")
def test_a_schedule_that_would_have_no_effect_is_refused(
    site: Site,
) -> None:
    """Of an option that the optimiser keeps outside of its groups."""
    code = LION.replace("cautious=False):", "cautious=0.0):")
    (site.folder / "pride.py").write_text(code, "utf-8")
    schedule = {"optimizer.schedule.cautious": {"use": "cosine", "end": 9}}
    with pytest.raises(RecipeError, match="reads 'cautious' once, when it is made"):
        read_recipe(LABELLED, {"optimizer.use": "pride:Lion", **schedule})


@pytest.mark.usefixtures("lion")
def test_the_schema_allows_it() -> None:
    """And still no misspelled name of torch's."""
    schema = Draft202012Validator(recipe_schema(discover()))
    assert schema.is_valid(LABELLED | {"optimizer": {"use": "pride:Lion"}})
    assert not schema.is_valid(LABELLED | {"optimizer": {"use": "Adamm"}})
