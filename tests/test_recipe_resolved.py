"""Resolved recipes: written, read again, and checked by their schema."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

import gankit
from gankit.errors import RecipeError
from gankit.game.schedules import Linear
from gankit.game.settings import Optimizer
from gankit.plugins.discovery import discover
from gankit.plugins.registry import Registry
from gankit.recipe.blocks import optimizer_table
from gankit.recipe.files import load_table
from gankit.recipe.recipe import Recipe, read_recipe, structure_recipe
from gankit.recipe.schema import recipe_schema
from sites import Site, yields
from tables import MINIMAL, problems_of, write_text


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
    table = structure_recipe("mine", MINIMAL, discover([parts])).as_table()
    path = tmp_path / "recipe.toml"
    path.write_text(tomli_w.dumps(table), "utf-8")
    assert read_recipe(path).name == "mine"


def test_the_name_of_a_recipe_leads_out_of_no_folder(
    tmp_path: Path, parts: Path
) -> None:
    """Run folders bear it, and a recipe may come from anybody."""
    table = {**MINIMAL, "provenance": {"recipe": "../../evil"}}
    recipe = read_recipe(write_text(tmp_path, tomli_w.dumps(table)), plugins=[parts])
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


@pytest.fixture(scope="module")
def schema(registry: Registry) -> Draft202012Validator:
    """Give what checks a recipe against the schema of these parts."""
    made = recipe_schema(registry)
    Draft202012Validator.check_schema(made)
    return Draft202012Validator(made)


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


RECIPES = [entry.name for entry in discover().entries("recipe")]


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


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_s_parts_by_their_other_names_are_the_recipe(
    name: str, registry: Registry
) -> None:
    """Short or long, the name drops no option."""
    _, recipe = _recipe(name, registry)
    overrides = {"dataset.root": "data"} if "root" in recipe.dataset.options else {}
    entries = {f"{place}.use": use.entry for place, use in recipe.uses.items()}
    for names in (
        {place: entry.name for place, entry in entries.items()},
        {place: entry.part.name for place, entry in entries.items()},
    ):
        assert read_recipe(name, overrides | names).uses == recipe.uses


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
        assert problems_of(table, registry)


@pytest.mark.parametrize("block", ["dataset", "generator", "loss", "train"])
def test_a_block_that_is_missing_is_refused_by_both(
    block: str, registry: Registry, schema: Draft202012Validator
) -> None:
    """The schema lists what a recipe needs."""
    table = {key: value for key, value in MINIMAL.items() if key != block}
    assert not schema.is_valid(table)
    assert len(problems_of(table, registry)) == 1


def test_a_part_that_cannot_be_imported_is_not_in_the_schema(site: Site) -> None:
    """The others are; one bad plugin does not cost the editor its help."""
    site.install("bad-gan", yields("Part('loss', 'bad', 'no_such_module:x')"))
    site.install("good-gan", yields("Part('loss', 'good', 'gankit:Noise')"))
    choices = recipe_schema(discover())["properties"]["loss"]["oneOf"]
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
    table = optimizer_table(optimizer)
    assert table["schedule"]["lr"] == {
        "use": "linear",
        "to": 0.0,
        "start": 0.0,
        "end": 9.0,
        "unit": "steps",
    }
    assert "clip" not in table
    clipped = Optimizer(use="SGD", options={"lr": 0.5}, clip=1.0)
    assert optimizer_table(clipped)["clip"] == 1.0


UNWRITTEN = """
import enum
from typing import Any
from attrs import frozen
from gankit import Part, hookimpl


class Mode(enum.Enum):
    SOFT = "soft"
    HARD = "hard"


class Made:
    pass


def game(*, scale: float = 1.0, form: Any = Made, mode: Mode = Mode.SOFT,
         eps: tuple[float | None, float] = (None, 0.5), limit: float = float("inf"),
         names: dict[str, Any] = {"a": None}, count: int | None = 3,
         about: Any = None, pair: Any = (1, 2)):
    return form, mode, eps, limit, names


@hookimpl
def gankit_parts():
    yield Part("loss", "strange", game)
"""


@pytest.fixture
def strange(plugin_file: Callable[[str, str], Path]) -> list[Path]:
    """Give a loss whose defaults are much that TOML cannot hold."""
    return [plugin_file("strange_parts.py", UNWRITTEN)]


def test_a_default_that_toml_cannot_hold_is_left_out(
    strange: list[Path], parts: Path, tmp_path: Path
) -> None:
    """A class, an enum, infinity, None in a list or table: read again, it is there."""
    table = {**MINIMAL, "loss": {"use": "strange", "scale": 2.0}}
    recipe = read_recipe(table, plugins=[parts, *strange])
    written = recipe.as_table()["loss"]
    assert written == {
        "use": "strange_parts/strange",
        "scale": 2.0,
        "count": 3,
        "pair": [1, 2],
    }
    again = read_recipe(write_text(tmp_path, tomli_w.dumps(recipe.as_table())))
    assert again.loss == recipe.loss
    form, mode, eps, limit, names = again.loss.build()
    assert (form.__name__, mode.value) == ("Made", "soft")
    assert (eps, limit, names) == ((None, 0.5), float("inf"), {"a": None})


@pytest.mark.parametrize(
    ("option", "value", "problem"),
    [
        ("form", dict, "<class 'dict'> is nothing that a recipe can hold"),
        ("form", [1, None], "[1, None] is nothing that a recipe can hold"),
        ("form", {3: 1}, "{3: 1} is nothing that a recipe can hold"),
        ("form", "\udcff", "'\\udcff' is nothing that a recipe can hold"),
        ("count", None, "None is nothing that a recipe can hold"),
        ("names", {"a": object}, "is nothing that a recipe can hold"),
        ("mode", "hard", "is nothing that a recipe can hold"),
        ("eps", (None, 0.5), "None"),
    ],
)
def test_a_value_that_toml_cannot_hold_is_refused(
    option: str, value: Any, problem: str, strange: list[Path], parts: Path
) -> None:
    """When the recipe is read, not when its run folder is made."""
    table = {**MINIMAL, "loss": {"use": "strange", option: value}}
    with pytest.raises(RecipeError) as caught:
        read_recipe(table, plugins=[parts, *strange])
    (said,) = caught.value.problems
    assert said.startswith(f"loss.{option}: ")
    assert problem in said


@pytest.mark.parametrize(
    ("option", "value"), [("about", None), ("pair", (3, 4)), ("form", Path("a/b"))]
)
def test_a_value_of_python_is_what_its_file_would_say(
    option: str, value: Any, strange: list[Path], parts: Path, tmp_path: Path
) -> None:
    """A tuple is a list, a path its text, and None what is left out."""
    table = {**MINIMAL, "loss": {"use": "strange", option: value}}
    recipe = read_recipe(table, plugins=[parts, *strange])
    again = read_recipe(write_text(tmp_path, tomli_w.dumps(recipe.as_table())))
    assert again.loss == recipe.loss
