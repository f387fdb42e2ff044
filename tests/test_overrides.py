"""Overrides: how ``key=value`` is read, and how it merges with a recipe."""

from __future__ import annotations

from copy import deepcopy
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gankit.errors import RecipeError
from gankit.recipe.overrides import override, parse_overrides

BLOCKS = ("dataset", "generator", "discriminator", "loss", "conditioner", "penalties")
BLOCKS += ("augmentations", "noise", "optimizer", "train")
TABLE: dict[str, Any] = {
    "dataset": {"use": "a", "size": 32, "root": "x"},
    "generator": {"use": "b", "width": 64},
    "penalties": [{"use": "r", "weight": 1.0, "every": 4}, {"use": "s"}],
    "optimizer": {"use": "Adam", "lr": 1e-4},
    "train": {"steps": 100, "seed": 1},
}


def _changed(*overrides: str, table: dict[str, Any] = TABLE) -> dict[str, Any]:
    return override(table, parse_overrides(overrides), BLOCKS)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a.b=1", 1),
        ("a.b=20_000", 20_000),
        ("a.b=1e-3", 0.001),
        ("a.b=true", True),
        ("a.b='x y'", "x y"),
        ('a.b="x=y"', "x=y"),
        ("a.b=bare", "bare"),
        ("a.b=a=b", "a=b"),
        ("a.b=", ""),
        ("a.b=True", "True"),
        ("a.b=cuda:1", "cuda:1"),
        ("a.b=../shared/data", "../shared/data"),
        ("a.b=[1, 2]", [1, 2]),
        ("a.b={c = 1}", {"c": 1}),
        ("a.b=2014-06-10", "2014-06-10"),
        ("a.b=07:30:00", "07:30:00"),
        ("a.b=3\nc=4", "3\nc=4"),
        (" a . b =1", 1),
    ],
)
def test_a_value_is_toml_or_else_a_string(text: str, value: Any) -> None:
    """As one would write it in a recipe, but that bare words need no quotes."""
    ((path, read),) = parse_overrides([text])
    assert path == ("a", "b")
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize("text", ["hinge", "=3", "a..b=3", ".=3", ""])
def test_what_is_no_override_is_shown_how_it_is_written(text: str) -> None:
    """Every one that cannot be read is listed."""
    with pytest.raises(RecipeError) as caught:
        parse_overrides([text, "loss.use=x", "also wrong"])
    assert caught.value.problems == (
        f"{text!r} is not of the form key=value, as loss.use=hinge",
        "'also wrong' is not of the form key=value, as loss.use=hinge",
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"generator.width": 128, "train.seed": 2},
        {"generator": {"width": 128}, "train": {"seed": 2}},
        {"generator": {"width": 128}, "train.seed": 2},
    ],
)
def test_in_python_paths_and_tables_say_the_same(changes: dict[str, Any]) -> None:
    """As the command line does, with values that are of their types already."""
    expected = _changed("generator.width=128", "train.seed=2")
    assert override(TABLE, parse_overrides(changes), BLOCKS) == expected


def test_the_table_itself_stays_as_it_was() -> None:
    """A recipe can be overridden again and again."""
    before = deepcopy(TABLE)
    _changed("dataset.use=z", "penalties.0.weight=9", "train.epochs=3")
    assert before == TABLE


def test_a_block_merges_while_its_use_stays_the_same() -> None:
    """Also when the same name is said again."""
    assert _changed("dataset.size=64")["dataset"] == {**TABLE["dataset"], "size": 64}
    again = _changed("dataset.use=a", "dataset.size=64")
    assert again["dataset"] == {**TABLE["dataset"], "size": 64}


def test_another_use_drops_the_old_part_s_options() -> None:
    """They are of another part; only what is said with the new one stays."""
    assert _changed("dataset.use=z")["dataset"] == {"use": "z"}
    assert _changed("dataset={use='z', n=1}")["dataset"] == {"use": "z", "n": 1}


def test_the_same_part_by_another_name_keeps_its_options() -> None:
    """Whoever knows the parts says which names are of one; each block has its own."""
    asked = []

    def same(path: tuple[str, ...], block: Any, other: Any) -> bool:
        asked.append((path[0], block["use"], other))
        return path[0] == "penalties" and {block["use"], other} == {"r", "acme/r"}

    said = {"penalties.0.use": "acme/r", "dataset.use": "acme/a"}
    changed = override(TABLE, parse_overrides(said), BLOCKS, same)
    assert changed["penalties"][0] == {**TABLE["penalties"][0], "use": "acme/r"}
    assert changed["dataset"] == {"use": "acme/a"}
    assert sorted(asked) == [("dataset", "a", "acme/a"), ("penalties", "r", "acme/r")]


TABLED: dict[str, Any] = {
    "loss": {"use": "a", "weights": {"a": 1, "b": {"c": 2, "d": 3}}},
    "penalties": [{"use": "r", "weights": {"a": 1, "b": 2}}],
}
FORMS: dict[str, tuple[list[Any], Any]] = {
    "an entry": (
        [
            ["loss.weights.a=9"],
            {"loss.weights.a": 9},
            {"loss": {"weights.a": 9}},
        ],
        {"a": 9, "b": {"c": 2, "d": 3}},
    ),
    "an entry of an entry": (
        [["loss.weights.b.c=9"], {"loss.weights.b.c": 9}],
        {"a": 1, "b": {"c": 9, "d": 3}},
    ),
    "a new entry": (
        [["loss.weights.e=9"], {"loss.weights.e": 9}],
        {"a": 1, "b": {"c": 2, "d": 3}, "e": 9},
    ),
    "the table": (
        [
            ["loss.weights={a=9}"],
            {"loss.weights": {"a": 9}},
            {"loss": {"weights": {"a": 9}}},
            {"loss": {"weights": MappingProxyType({"a": 9})}},
        ],
        {"a": 9},
    ),
    "an inner table": (
        [["loss.weights.b={c=9}"], {"loss.weights.b": {"c": 9}}],
        {"a": 1, "b": {"c": 9}},
    ),
    "nothing": (
        [["loss.weights={}"], {"loss.weights": {}}, {"loss": {"weights": {}}}],
        {},
    ),
    "the table, then an entry": (
        [
            ["loss.weights={a=9}", "loss.weights.f=8"],
            {"loss.weights": {"a": 9}, "loss.weights.f": 8},
        ],
        {"a": 9, "f": 8},
    ),
    "a key with a dot": (
        [["loss.weights={'x.y'=9}"], {"loss.weights": {"x.y": 9}}],
        {"x.y": 9},
    ),
}


@pytest.mark.parametrize("case", FORMS)
def test_the_value_of_an_option_is_replaced_whole_and_a_path_changes_one_entry(
    case: str,
) -> None:
    """A table too, on the command line and in Python, however it is written."""
    forms, expected = FORMS[case]
    for form in forms:
        before = deepcopy(TABLED)
        changed = override(TABLED, parse_overrides(form), BLOCKS)
        assert changed["loss"] == {"use": "a", "weights": expected}
        assert before == TABLED


def test_a_table_of_an_entry_of_a_list_is_replaced_whole() -> None:
    """An option is an option wherever its part stands; the other options stay."""
    changed = _changed("penalties.0={weights={a=9}}", table=TABLED)["penalties"]
    assert changed == [{"use": "r", "weights": {"a": 9}}]
    assert _changed("penalties.0.weights.a=9", table=TABLED)["penalties"] == [
        {"use": "r", "weights": {"a": 9, "b": 2}}
    ]


def test_the_blocks_of_an_optimiser_merge() -> None:
    """Players and schedules are blocks with a use of their own, and can be emptied."""
    schedule = {"lr": {"use": "cosine", "end": 9, "to": 1.0}}
    table = {"optimizer": {"use": "Adam", "lr": 1.0, "schedule": schedule}}
    for form in (
        ["optimizer.schedule.lr.end=5"],
        ["optimizer={schedule={lr={end=5}}}"],
        {"optimizer": {"schedule": {"lr": {"end": 5}}}},
    ):
        changed = override(table, parse_overrides(form), BLOCKS)["optimizer"]
        assert changed["schedule"] == {"lr": {"use": "cosine", "end": 5, "to": 1.0}}
        assert changed["lr"] == 1.0
    assert _changed("optimizer.schedule={}", table=table)["optimizer"] == {
        "use": "Adam",
        "lr": 1.0,
        "schedule": {},
    }


def test_what_is_said_stays_as_it_was() -> None:
    """A second override of one setting changes the recipe, not the caller's table."""
    said = {"loss.weights": {"a": 1}, "loss.weights.b": 2, "penalties": [{"use": "z"}]}
    before = deepcopy(said)
    override(TABLE, parse_overrides({**said, "penalties.0.weight": 3}), BLOCKS)
    assert said == before


def test_an_option_said_before_the_new_use_is_kept() -> None:
    """Nobody can be expected to know an order of words."""
    assert _changed("generator.width=9", "generator.use=z") == _changed(
        "generator.use=z", "generator.width=9"
    )


@given(
    st.permutations(
        [
            "dataset.use=z",
            "dataset.n=3",
            "dataset.size=64",
            "generator.width=9",
            "loss.use=y",
            "loss.scale=0.5",
            "penalties.0.use=q",
            "penalties.0.weight=7",
            "penalties.1.weight=8",
            "optimizer.use=SGD",
            "optimizer.momentum=0.9",
            "optimizer.schedule.lr.use=cosine",
            "optimizer.schedule.lr.end=100",
            "train.seed=4",
        ]
    )
)
def test_overrides_of_different_settings_may_come_in_any_order(
    order: list[str],
) -> None:
    """An invariant of every permutation."""
    assert _changed(*order) == _changed(*sorted(order))


def test_of_two_overrides_of_one_setting_the_last_counts() -> None:
    """As on every command line."""
    assert _changed("train.seed=3", "train.seed=4")["train"]["seed"] == 4


def test_an_entry_of_a_list_is_named_by_its_number() -> None:
    """From 0; its own use drops its own options, and no other's."""
    assert _changed("penalties.0.weight=9")["penalties"] == [
        {"use": "r", "weight": 9, "every": 4},
        {"use": "s"},
    ]
    assert _changed("penalties.1.use=r")["penalties"][1] == {"use": "r"}
    assert _changed("penalties.0.use=t")["penalties"] == [{"use": "t"}, {"use": "s"}]


def test_a_list_that_is_replaced_can_be_changed_in_any_order() -> None:
    """Its entries are there before any of them is changed."""
    for changes in (
        ["penalties=[{use='r1'}]", "penalties.0.weight=2"],
        ["penalties.0.weight=2", "penalties=[{use='r1'}]"],
    ):
        changed = override({}, parse_overrides(changes), ["penalties"])
        assert changed == {"penalties": [{"use": "r1", "weight": 2}]}
    again = ["penalties.0.use=r2", "penalties=[{use='r1', weight=3}]"]
    changed = override({}, parse_overrides(again), ["penalties"])
    assert changed == {"penalties": [{"use": "r2"}]}


def test_a_list_can_be_replaced_or_emptied_whole() -> None:
    """By a list of tables."""
    assert _changed("penalties=[]")["penalties"] == []
    assert _changed("penalties=[{use='z'}]")["penalties"] == [{"use": "z"}]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "penalties.2.weight=1",
            "penalties.2.weight: penalties has 2 entries, numbered from 0, and no "
            "entry '2'",
        ),
        (
            "penalties.first.weight=1",
            "penalties.first.weight: penalties has 2 entries, numbered from 0, and no "
            "entry 'first'",
        ),
        (
            "penalties.weight=1",
            "penalties.weight: name an entry by its number and an option",
        ),
        (
            "los.use=x",
            "los.use: a recipe has no block 'los'; did you mean 'loss' or 'noise'?",
        ),
        (
            "zzzz.use=x",
            f"zzzz.use: a recipe has no block 'zzzz'; there are {', '.join(BLOCKS)}",
        ),
    ],
)
def test_a_path_that_leads_nowhere_is_refused(text: str, problem: str) -> None:
    """With the ways that there are; every one is listed."""
    with pytest.raises(RecipeError) as caught:
        _changed("train.seed=3", text, "zzzzz.y=3")
    assert caught.value.problems[0] == problem
    assert len(caught.value.problems) == 2


def test_a_block_that_the_recipe_lacks_is_made() -> None:
    """As a conditioner for a recipe without one."""
    changed = _changed("conditioner.use=z", "conditioner.size=3")
    assert changed["conditioner"] == {"use": "z", "size": 3}
    assert _changed("conditioner=none")["conditioner"] == "none"


def test_none_is_undone_by_naming_a_part() -> None:
    """A recipe that says none can still be given one."""
    table = {**TABLE, "conditioner": "none"}
    assert _changed("conditioner.use=z", table=table)["conditioner"] == {"use": "z"}


@pytest.mark.parametrize("key", ["steps", "epochs"])
def test_steps_and_epochs_exclude_each_other(key: str) -> None:
    """To ask for one unsets the other, so that a recipe's own need not be undone."""
    other = {"steps": "epochs", "epochs": "steps"}[key]
    table = {"train": {other: 9, "seed": 1}}
    assert _changed(f"train.{key}=3", table=table)["train"] == {key: 3, "seed": 1}
    assert override(table, parse_overrides({"train": {key: 3}}), BLOCKS)["train"] == {
        key: 3,
        "seed": 1,
    }


BOTH: dict[str, Any] = {
    "optimizer": {
        "use": "Adam",
        "lr": 1.0,
        "generator": {"use": "Adam", "lr": 2.0, "clip": 1.0},
        "discriminator": {"use": "SGD", "lr": 3.0},
    }
}


def test_a_change_of_the_shared_optimiser_reaches_players_with_their_own() -> None:
    """Else a resolved recipe, which has both, could not be overridden."""
    changed = _changed("optimizer.lr=9", table=BOTH)["optimizer"]
    assert changed == {
        "use": "Adam",
        "lr": 9,
        "generator": {"use": "Adam", "lr": 9, "clip": 1.0},
        "discriminator": {"use": "SGD", "lr": 9},
    }


def test_another_shared_optimiser_replaces_the_players_own() -> None:
    """With all of their options."""
    changed = _changed("optimizer.use=RMSprop", "optimizer.alpha=0.9", table=BOTH)
    own = {"use": "RMSprop", "alpha": 0.9}
    assert changed["optimizer"] == {**own, "generator": own, "discriminator": own}


def test_a_change_of_one_player_s_optimiser_leaves_the_other_alone() -> None:
    """Two time scales, for instance."""
    changed = _changed("optimizer.discriminator.lr=9", table=BOTH)["optimizer"]
    assert changed["discriminator"] == {"use": "SGD", "lr": 9}
    assert changed["generator"] == BOTH["optimizer"]["generator"]
    assert changed["lr"] == 1.0
    assert _changed("optimizer.lr=9")["optimizer"] == {"use": "Adam", "lr": 9}
