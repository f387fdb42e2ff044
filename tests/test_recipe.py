"""Recipes: read, checked as a whole, resolved, and written back."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

import gankit
from gankit.errors import PartError, PluginError, RecipeError
from gankit.plugins import discover
from gankit.recipe import Recipe, load_table, read_recipe, structure_recipe
from gankit.registry import Registry
from gankit.schedules import Cosine, Linear
from gankit.schema import recipe_schema
from gankit.settings import Noise, Optimizer, Train
from sites import Site, forget_modules_of, yields

WriteFile = Callable[[str, str], Path]

CODE = """
from pathlib import Path
from typing import Literal

from gankit import Count, Fraction


def points(*, root: Path | str = "data", size: Count | None = None,
           classes: tuple[str, ...] = ("a", "b"), mirror: bool = False): ...

def network(shapes, *, width: Count = 64, shape: tuple[Count, float] = (1, 0.5)): ...

def game(*, share: Fraction = 0.5, kind: Literal["soft", "hard"] = "soft"): ...

def smooth(*, weight: float, every: Count = 1): ...

def labels(facts): ...

""" + yields(
    "Part('dataset', 'points', points)",
    "Part('generator', 'net', network)",
    "Part('discriminator', 'net', network)",
    "Part('loss', 'game', game)",
    "Part('penalty', 'smooth', smooth)",
    "Part('conditioner', 'labels', labels)",
)

MINIMAL: dict[str, Any] = {
    "dataset": {"use": "points"},
    "generator": {"use": "net"},
    "discriminator": {"use": "net"},
    "loss": {"use": "game"},
    "train": {"steps": 10},
}


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give a local plugin file with a part of each kind."""
    folder = tmp_path_factory.mktemp("parts")
    path = folder / "recipe_parts.py"
    path.write_text(CODE, "utf-8")
    yield path
    forget_modules_of(folder)


@pytest.fixture(scope="module")
def registry(parts: Path) -> Registry:
    """Give a registry with these parts."""
    return Registry(discover([parts]))


@pytest.fixture(scope="module")
def schema(registry: Registry) -> Draft202012Validator:
    """Give what checks a recipe against the schema of these parts."""
    made = recipe_schema(registry)
    Draft202012Validator.check_schema(made)
    return Draft202012Validator(made)


def _problems(table: dict[str, Any], registry: Registry) -> tuple[str, ...]:
    with pytest.raises(RecipeError, match="'mine' cannot be followed") as caught:
        structure_recipe("mine", table, registry)
    return caught.value.problems


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
    found = _problems(table, registry)
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
        "train.precision: 'fp8' is not one of 'fp32', 'bf16', 'fp16'; did you mean 'fp",
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
    (found,) = _problems({**MINIMAL, block: value}, registry)
    assert found.startswith(problem)


def test_simultaneous_players_move_once_each(registry: Registry) -> None:
    """The contradiction is told with both ways out of it."""
    train = {"steps": 1, "order": "simultaneous", "discriminator_updates": 2}
    (problem,) = _problems({**MINIMAL, "train": train}, registry)
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


def _write(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, "utf-8")
    return path


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
    path = _write(tmp_path, text)
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
    recipe = read_recipe(_write(tmp_path, table), plugins=[parts])
    assert recipe.dataset.options["root"] == Path("2014-06-10")


def test_the_plugins_of_a_recipe_are_found_beside_it(
    tmp_path: Path, plugin_file: WriteFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever gankit is called from; and the resolved recipe has their whole path."""
    plugin = plugin_file("recipes/beside.py", CODE)
    text = tomli_w.dumps({"plugins": ["beside.py"], **MINIMAL})
    path = _write(tmp_path / "recipes", text)
    monkeypatch.chdir("/")
    recipe = read_recipe(path)
    assert recipe.loss.entry.name == "beside/game"
    assert recipe.as_table()["plugins"] == [str(plugin)]
    again = _write(tmp_path, tomli_w.dumps(recipe.as_table()))
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
    path = _write(tmp_path, tomli_w.dumps({"plugins": ["gone.py"], **MINIMAL}))
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


def test_the_provenance_of_each_part_is_recorded(
    registry: Registry, parts: Path
) -> None:
    """Long name and version, or the file of a local plugin; and gankit's version."""
    table = {**MINIMAL, "penalties": [{"use": "smooth", "weight": 1.0}]}
    provenance = structure_recipe("mine", table, registry).as_table()["provenance"]
    version = gankit.__version__
    assert (provenance["recipe"], provenance["gankit"]) == ("mine", version)
    assert provenance["parts"] == {
        place: f"recipe_parts/{name} {parts}"
        for place, name in {
            "dataset": "points",
            "generator": "net",
            "discriminator": "net",
            "loss": "game",
            "penalties.0": "smooth",
        }.items()
    }


def test_a_resolved_recipe_bears_the_name_of_its_first(
    tmp_path: Path, parts: Path
) -> None:
    """So that a resumed run is still the run of that recipe."""
    table = structure_recipe("mine", MINIMAL, Registry(discover([parts]))).as_table()
    path = tmp_path / "recipe.toml"
    path.write_text(tomli_w.dumps(table), "utf-8")
    assert read_recipe(path).name == "mine"


def test_the_name_of_a_recipe_leads_out_of_no_folder(
    tmp_path: Path, parts: Path
) -> None:
    """Run folders bear it, and a recipe may come from anybody."""
    table = {**MINIMAL, "provenance": {"recipe": "../../evil"}}
    recipe = read_recipe(_write(tmp_path, tomli_w.dumps(table)), plugins=[parts])
    assert recipe.name == "evil"


numbers = st.floats(-1e6, 1e6)
positive = st.floats(1e-6, 1e6)
counts = st.integers(1, 10**9)
words = st.text("ab -'\"\\\n#=é", max_size=4)


def _optional(
    needed: dict[str, Any], **optional: st.SearchStrategy[Any]
) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {key: st.just(value) for key, value in needed.items()}, optional=optional
    )


schedules = _optional({"use": "cosine", "end": 3}, to=numbers) | _optional(
    {"use": "linear", "to": 0.5, "end": 9}, start=st.floats(0, 8)
)
player_blocks = _optional(
    {"use": "Adam"},
    lr=positive,
    betas=st.tuples(st.floats(0, 0.99), st.just(0)).map(list),
    amsgrad=st.booleans(),
    clip=positive,
    schedule=st.fixed_dictionaries({"lr": schedules}),
) | _optional({"use": "SGD"}, lr=positive, momentum=st.floats(0, 1))
networks = _optional(
    {"use": "net"}, width=counts, shape=st.tuples(counts, numbers).map(list)
)
tables = st.fixed_dictionaries(
    {
        "dataset": _optional(
            {"use": "points"},
            root=words,
            size=counts,
            classes=st.lists(words, max_size=3),
            mirror=st.booleans(),
        ),
        "generator": networks,
        "discriminator": networks,
        "loss": _optional({"use": "game"}, share=st.floats(0, 1), kind=st.just("hard")),
        "train": _optional({"steps": 3}, batch_size=counts, device=words)
        | _optional({"epochs": 0.5}, ema=counts, order=st.just("simultaneous")),
    },
    optional={
        "description": words,
        "conditioner": st.just({"use": "labels"}) | st.just("none"),
        "penalties": st.lists(
            _optional({"use": "smooth", "weight": 1}, every=counts), max_size=2
        ),
        "noise": _optional({}, size=counts, low=st.floats(-9, 0), high=positive),
        "optimizer": player_blocks
        | st.fixed_dictionaries({}, optional={"discriminator": player_blocks}),
    },
)


@given(tables)
@settings(max_examples=60)
def test_a_resolved_recipe_read_again_is_the_same(
    registry: Registry, schema: Draft202012Validator, table: dict[str, Any]
) -> None:
    """Through TOML text, whatever the options; and the schema knows it."""
    recipe = structure_recipe("mine", table, registry)
    resolved = recipe.as_table()
    text = tomli_w.dumps(resolved)
    again = structure_recipe("mine", tomllib.loads(text), registry)
    assert again == recipe
    assert again.as_table() == resolved
    schema.validate(tomllib.loads(text))


RECIPES = [entry.name for entry in Registry().entries("recipe")]


def _recipe(name: str, registry: Registry) -> tuple[dict[str, Any], Recipe]:
    _, table, _ = load_table(name, registry)
    overrides = {"dataset.root": "data"} if "root" in _options(table, registry) else {}
    return table, read_recipe(name, overrides)


def _options(table: dict[str, Any], registry: Registry) -> set[str]:
    options = registry.find("dataset", table["dataset"]["use"]).options
    return {option.name for option in options if option.required}


@pytest.mark.parametrize("name", RECIPES)
def test_the_schema_knows_every_installed_recipe(
    name: str, registry: Registry, schema: Draft202012Validator
) -> None:
    """Resolved, with every option; and as written, where nothing is left to say."""
    table, recipe = _recipe(name, registry)
    schema.validate(tomllib.loads(tomli_w.dumps(recipe.as_table())))
    assert schema.is_valid(table) == (not _options(table, registry))


WRONG: dict[str, dict[str, Any]] = {
    "unknown block": {"lost": {"use": "game"}},
    "unknown part": {"loss": {"use": "lost"}},
    "no part": {"loss": {"share": 0.5}},
    "unknown option": {"loss": {"use": "game", "sahre": 0.5}},
    "another part's option": {"loss": {"use": "game", "width": 3}},
    "wrong type": {"generator": {"use": "net", "width": "64"}},
    "wrong range": {"loss": {"use": "game", "share": 2}},
    "wrong word": {"loss": {"use": "game", "kind": "medium"}},
    "wrong length": {"generator": {"use": "net", "shape": [1]}},
    "missing option": {"penalties": [{"use": "smooth"}]},
    "no list": {"penalties": {"use": "smooth", "weight": 1.0}},
    "wrong setting": {"train": {"steps": 0}},
    "unknown setting": {"train": {"steps": 3, "bacth_size": 3}},
    "wrong optimiser": {"optimizer": {"use": "Adamm"}},
    "wrong noise": {"noise": {"distribution": "gaussian"}},
    "wrong description": {"description": 3},
    "wrong plugins": {"plugins": "mine.py"},
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_refused_the_schema_refuses_too(
    case: str, registry: Registry, schema: Draft202012Validator
) -> None:
    """An editor underlines what gankit would not train."""
    table = {**MINIMAL, **WRONG[case]}
    assert schema.is_valid(MINIMAL)
    assert not schema.is_valid(table)
    if case != "wrong plugins":  # which are read before the rest
        assert _problems(table, registry)


@pytest.mark.parametrize("block", ["dataset", "generator", "loss", "train"])
def test_a_block_that_is_missing_is_refused_by_both(
    block: str, registry: Registry, schema: Draft202012Validator
) -> None:
    """The schema lists what a recipe needs."""
    table = {key: value for key, value in MINIMAL.items() if key != block}
    assert not schema.is_valid(table)
    assert len(_problems(table, registry)) == 1


def test_a_part_that_cannot_be_imported_is_not_in_the_schema(site: Site) -> None:
    """The others are; one bad plugin does not cost the editor its help."""
    site.install("bad-gan", yields("Part('loss', 'bad', 'no_such_module:x')"))
    site.install("good-gan", yields("Part('loss', 'good', 'operator:neg')"))
    choices = recipe_schema(Registry())["properties"]["loss"]["oneOf"]
    known = [choice["properties"]["use"]["enum"] for choice in choices]
    assert ["bad", "bad-gan/bad"] not in known
    assert ["good", "good-gan/good"] in known


def test_an_optimiser_says_what_a_recipe_would(registry: Registry) -> None:
    """Its schedules by their names, its clipping only where there is any."""
    block = {"use": "SGD", "lr": 0.5, "schedule": {"lr": {"use": "linear", "to": 0}}}
    block["schedule"]["lr"]["end"] = 9  # type: ignore[index] # a table within a table
    recipe = structure_recipe("mine", {**MINIMAL, "optimizer": block}, registry)
    optimizer = recipe.optimizers["generator"]
    assert optimizer.schedule == {"lr": Linear(to=0.0, end=9.0)}
    table = optimizer.as_table()
    assert table["schedule"]["lr"] == {
        "use": "linear",
        "to": 0.0,
        "start": 0.0,
        "end": 9.0,
        "unit": "steps",
    }
    assert "clip" not in table
    assert Optimizer(use="SGD", options={}, clip=1.0).as_table()["clip"] == 1.0
