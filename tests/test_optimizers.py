"""Every optimiser that a recipe may name: written, read again, trained and resumed."""

from __future__ import annotations

from pathlib import Path

import pytest

from gankit.cli import run
from gankit.recipe.blocks import optimizer_names
from gankit.recipe.recipe import read_recipe
from tiny import tree

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
