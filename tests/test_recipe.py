"""Recipes: read, overridden, and checked as a whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from gankit import Noise, Train
from gankit.errors import PartError, PluginError, RecipeError
from gankit.game.schedules import Cosine
from gankit.plugins.discovery import discover
from gankit.plugins.registry import Registry
from gankit.recipe.recipe import read_recipe, structure_recipe
from sites import Site, yields
from tables import CODE, MINIMAL, problems_of, write_text

WriteFile = Callable[[str, str], Path]


def test_a_recipe_that_says_little_is_filled_with_defaults(registry: Registry) -> None:
    """Every option of every part, and every setting, has a value."""
    recipe = structure_recipe("mine", MINIMAL, registry)
    assert recipe.dataset.options == {
        "root": Path("data"),
        "size": None,
        "classes": ("a", "b"),
        "mirror": False,
    }
    assert recipe.noise == Noise()
    assert recipe.train == Train(steps=10)
    assert recipe.conditioner is None
    assert (recipe.penalties, recipe.augmentations) == ((), ())
    adam = recipe.optimizers["generator"]
    assert adam == recipe.optimizers["discriminator"]
    assert adam.use == "Adam"
    assert (adam.options["lr"], adam.options["betas"]) == (2e-4, (0.5, 0.999))


def test_every_error_is_told_at_once(registry: Registry) -> None:
    """With its path, the value, what was expected, and the nearest right name."""
    table = {
        "dataset": {"use": "points", "szie": 32, "mirror": "yes"},
        "generator": {"use": "nett"},
        "discriminator": {"use": "net", "width": 0, "shape": [1, "x"]},
        "conditioner": {},
        "penalties": [{"use": "smooth"}, {"use": "smooth", "weight": True}],
        "augmentations": {"use": "x"},
        "optimiser": {"lr": 1.0},
        "optimizer": {"use": "Adamm"},
        "noise": {"size": 2.5, "low": 3},
        "train": {"steps": 10, "precision": "fp8", "seed": -1},
        "description": 3,
    }
    found = problems_of(table, registry)
    expected = (
        "optimiser: no such block; did you mean 'optimizer'",
        "description: 3 is not a string",
        "dataset.szie: no such option; did you mean 'size'",
        "dataset.mirror: 'yes' is not true or false",
        "generator.use: no generator named 'nett'; did you mean 'net'",
        "discriminator.width: 0 is not a whole number at least 1",
        "discriminator.shape.1: 'x' is not a number",
        "loss: is missing; name one with loss.use",
        "conditioner: names no part; set conditioner.use",
        "penalties.0.weight: is missing; it takes a number",
        "penalties.1.weight: true is not a number",
        "augmentations: is not a list of tables; write [[augmentations]]",
        "noise.size: 2.5 is not a whole number",
        "train.seed: -1 is not a whole number at least 0",
        "train.precision: 'fp8' is not one of 'fp32', 'tf32', 'bf16', 'fp16'; did you",
        "optimizer.use: torch.optim has no optimiser 'Adamm'; did you mean 'Adam'",
    )
    assert len(found) == len(expected)
    for problem, beginning in zip(found, expected, strict=True):
        assert problem.startswith(beginning)


@pytest.mark.parametrize(
    ("block", "value", "problem"),
    [
        ("train", {}, "train: set either steps or epochs"),
        ("train", {"steps": 1, "epochs": 1}, "train: set either steps or epochs"),
        ("train", 3, "train: 3 is not a table"),
        ("noise", {"low": 1, "high": 1}, "noise.low: 1 is not below noise.high 1"),
        ("loss", "game", "loss: names no part; set loss.use"),
        ("loss", {"use": 3}, "loss: names no part; set loss.use"),
        ("loss", "none", "loss: is missing; name one with loss.use"),
        ("optimizer", 3, "optimizer: 3 is not a table"),
        ("optimizer", {"generator": 3}, "optimizer.generator: 3 is not a table"),
        ("optimizer", {"schedule": 3}, "optimizer.schedule: 3 is not a table"),
        ("optimizer", {"clip": -1}, "optimizer.clip: -1 is not a number at least 0"),
        ("optimizer", {"lr": "fast"}, "optimizer.lr: 'fast' is not a number"),
        ("optimizer", {"beta": 1}, "optimizer.beta: no such option; did you mean 'b"),
        ("optimizer", {"lr": -1}, "optimizer: torch.optim.Adam refuses this: Invalid"),
        (
            "optimizer",
            {"betas": [0, 2]},
            "optimizer: torch.optim.Adam refuses this: Invalid beta parameter",
        ),
        (
            "optimizer",
            {"use": "SGD", "nesterov": True},
            "optimizer: torch.optim.SGD refuses this: Nesterov momentum requires",
        ),
        (
            "optimizer",
            {"use": "LBFGS"},
            "optimizer.use: torch.optim has no optimiser 'LBFGS'",
        ),
        (
            "optimizer",
            {"discriminator": {"lr": True}},
            "optimizer.discriminator.lr: true is not a number",
        ),
        (
            "optimizer",
            {"schedule": {"lr": {"use": "cosin", "end": 1}}},
            "optimizer.schedule.lr.use: no schedule 'cosin'; did you mean 'cosine'?",
        ),
        (
            "optimizer",
            {"schedule": {"lr": {"use": ["cosine"]}}},
            "optimizer.schedule.lr.use: no schedule ['cosine']",
        ),
        (
            "optimizer",
            {"schedule": {"lr": 3}},
            "optimizer.schedule.lr.use: no schedule None",
        ),
        (
            "optimizer",
            {"schedule": {"lr": {"use": "linear", "to": 1}}},
            "optimizer.schedule.lr.end: is missing; it takes a number above 0",
        ),
        (
            "optimizer",
            {"schedule": {"betas": {"use": "cosine", "end": 1}}},
            "optimizer.schedule.betas: no such option to schedule",
        ),
    ],
)
def test_what_is_wrong_in_the_core_s_own_blocks(
    block: str, value: Any, problem: str, registry: Registry
) -> None:
    """One problem each, told once though it concerns both players."""
    (found,) = problems_of({**MINIMAL, block: value}, registry)
    assert found.startswith(problem)


def test_simultaneous_players_move_once_each(registry: Registry) -> None:
    """The contradiction is told with both ways out of it."""
    train = {"steps": 1, "order": "simultaneous", "discriminator_updates": 2}
    (problem,) = problems_of({**MINIMAL, "train": train}, registry)
    assert problem.startswith("train.discriminator_updates: ")
    assert "set it to 1, or train.order to 'alternating'" in problem


def test_a_player_s_own_optimiser_is_read_under_the_shared_one(
    registry: Registry,
) -> None:
    """It inherits what it does not say, unless it is another optimiser."""
    block = {
        "lr": 1e-3,
        "clip": 5.0,
        "schedule": {"lr": {"use": "cosine", "end": 50}},
        "generator": {"betas": [0, 0.9]},
        "discriminator": {"use": "SGD", "lr": 0.1},
    }
    recipe = structure_recipe("mine", {**MINIMAL, "optimizer": block}, registry)
    mine, theirs = (recipe.optimizers[p] for p in ("generator", "discriminator"))
    assert (mine.use, mine.clip) == ("Adam", 5.0)
    assert mine.schedule == {"lr": Cosine(end=50.0)}
    assert mine.options["lr"] == 1e-3
    assert mine.options["betas"] == (0.0, 0.9)
    assert isinstance(mine.options["betas"][0], float)  # Adam refuses (0, 0.9)
    assert (theirs.use, theirs.clip, theirs.schedule) == ("SGD", 0.0, {})
    assert theirs.options["lr"] == 0.1


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("[dataset\nuse = 'points'\n", "line 1, column 9"),
        ("[dataset]\nuse = points\n", "line 2, column 7"),
        ("[a]\nb = 1\nb = 2\n", "line 3, column 6"),
        ("[a]\n\n[a]\n", "line 3, column 3"),
    ],
)
def test_malformed_toml_is_placed(text: str, where: str, tmp_path: Path) -> None:
    """By file, line and column."""
    path = write_text(tmp_path, text)
    with pytest.raises(RecipeError) as caught:
        read_recipe(path)
    assert f"the recipe {str(path)!r} is not valid TOML: " in str(caught.value)
    assert where in str(caught.value)


def test_a_recipe_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Absent, a folder, or not UTF-8."""
    with pytest.raises(RecipeError, match=r"there is no recipe file '.*gone\.toml'"):
        read_recipe(tmp_path / "gone.toml")
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(RecipeError, match=r"folder\.toml' cannot be read: .*irectory"):
        read_recipe(tmp_path / "folder.toml")
    (tmp_path / "latin.toml").write_bytes("description = 'für'".encode("latin-1"))
    with pytest.raises(RecipeError, match=r"latin\.toml' cannot be read: 'utf-8'"):
        read_recipe(tmp_path / "latin.toml")


def test_an_unknown_recipe_is_answered_with_the_nearest() -> None:
    """A name without .toml is looked for among the registered ones."""
    with pytest.raises(PartError, match="no recipe named 'quikstart'; did you mean 'q"):
        read_recipe("quikstart")


def test_a_recipe_whose_file_is_missing_names_the_plugin(site: Site) -> None:
    """A packaging error of its author."""
    site.install("acme-gan", yields("Part('recipe', 'lost', 'acme_gan:lost.toml')"))
    with pytest.raises(PluginError, match="recipe 'acme-gan/lost' cannot be read"):
        read_recipe("lost")


def test_dates_are_text(tmp_path: Path, parts: Path) -> None:
    """TOML's dates are nothing that an option or JSON takes."""
    table = tomli_w.dumps(MINIMAL).replace('"points"', '"points"\nroot = 2014-06-10')
    recipe = read_recipe(write_text(tmp_path, table), plugins=[parts])
    assert recipe.dataset.options["root"] == Path("2014-06-10")


def test_the_plugins_of_a_recipe_are_found_beside_it(
    tmp_path: Path, plugin_file: WriteFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever gankit is called from; and the resolved recipe has their whole path."""
    plugin = plugin_file("recipes/beside.py", CODE)
    text = tomli_w.dumps({"plugins": ["beside.py"], **MINIMAL})
    path = write_text(tmp_path / "recipes", text)
    monkeypatch.chdir("/")
    recipe = read_recipe(path)
    assert recipe.loss.entry.name == "beside/game"
    assert recipe.as_table()["plugins"] == [str(plugin)]
    again = write_text(tmp_path, tomli_w.dumps(recipe.as_table()))
    assert read_recipe(again) == recipe


@pytest.mark.parametrize("plugins", ["beside.py", [3], 3, {"a": 1}])
def test_plugins_of_a_recipe_are_a_list_of_paths(plugins: Any) -> None:
    """Anything else is told as every other wrong value."""
    with pytest.raises(RecipeError) as caught:
        read_recipe({"plugins": plugins, **MINIMAL})
    assert caught.value.problems == (
        f"plugins: {plugins!r} is not a list of paths of plugin files",
    )


def test_a_missing_plugin_of_a_recipe_is_named(tmp_path: Path) -> None:
    """With the path where it was looked for."""
    path = write_text(tmp_path, tomli_w.dumps({"plugins": ["gone.py"], **MINIMAL}))
    with pytest.raises(PluginError, match=f"no plugin file '{tmp_path / 'gone.py'}'"):
        read_recipe(path)


def test_a_table_is_overridden_as_a_file_is(parts: Path) -> None:
    """And stays as it was."""
    recipe = read_recipe(
        MINIMAL,
        {"generator.width": 3, "loss": {"share": 0.25}, "conditioner.use": "labels"},
        plugins=[parts],
    )
    assert recipe.generator.options["width"] == 3
    assert recipe.loss.options["share"] == 0.25
    assert recipe.conditioner is not None
    none = read_recipe(MINIMAL, ["conditioner=none"], plugins=[parts])
    assert none.conditioner is None
    assert MINIMAL["generator"] == {"use": "net"}


def _twins(*names: str) -> list[tuple[str, str]]:
    code = "def ring(*, a: int = 1, b: int = 2): ...\n" + yields(
        "Part('loss', 'ring', ring)"
    )
    return [(name, code) for name in names]


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        ("game", "recipe_parts/game", True),
        ("recipe_parts/game", "game", True),
        ("recipe_parts/game", "recipe_parts/game", True),
        ("one_gan/ring", "two_gan/ring", False),
        ("ring", "one_gan/ring", True),  # "ring" alone could be either
        ("game", "one_gan/ring", False),
        ("net", "recipe_parts/net", False),  # names of other kinds
    ],
)
def test_the_long_name_of_a_part_is_the_part(
    first: str, second: str, kept: bool, parts: Path, plugin_file: WriteFile
) -> None:
    """A block merges whichever of its names it is called by; no other part is it."""
    twins = [plugin_file(f"{n}.py", code) for n, code in _twins("one_gan", "two_gan")]
    registry = discover([parts, *twins])
    assert registry.same("loss", first, second) == kept


def test_a_stranger_with_a_taken_name_is_not_the_recipe_s_part(
    parts: Path, plugin_file: WriteFile
) -> None:
    """Where two have the name, the one that takes the recipe's options is meant."""
    code = "def other(*, share: float = 0.5): ...\n"
    code += yields("Part('loss', 'game', other)")
    registry = discover([parts, plugin_file("acme.py", code)])
    assert registry.same("loss", "game", "recipe_parts/game", ["share", "kind"])
    assert not registry.same("loss", "game", "acme/game", ["share", "kind"])


def test_a_long_name_keeps_a_recipe_s_options(tmp_path: Path, parts: Path) -> None:
    """Also of a part whose plugin file only the recipe names, and of a list's entry."""
    table = {
        **MINIMAL,
        "generator": {"use": "net", "width": 5},
        "penalties": [{"use": "smooth", "weight": 3.0}],
        "plugins": [str(parts)],
    }
    path = write_text(tmp_path, tomli_w.dumps(table))
    overrides = {
        "generator.use": "recipe_parts/net",
        "penalties.0.use": "recipe_parts/smooth",
    }
    recipe = read_recipe(path, overrides)
    assert recipe.generator.options["width"] == 5
    assert recipe.penalties[0].options["weight"] == 3.0
    assert recipe == read_recipe(path)


def test_a_conditioner_of_no_part_is_answered_with_how_to_leave_it_out(
    registry: Registry,
) -> None:
    """`none` is no part; it stands in place of the whole block."""
    table = {**MINIMAL, "conditioner": {"use": "none"}}
    (problem,) = problems_of(table, registry)
    assert problem.startswith("conditioner.use: no conditioner named 'none'")
    assert problem.endswith("; conditioner=none leaves it out")
    (other,) = problems_of({**MINIMAL, "loss": {"use": "none"}}, registry)
    assert "leaves it out" not in other
