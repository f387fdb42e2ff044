"""Strict conversion: nothing is guessed, everything is explained."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from gankit import Count, Fraction, NonNegative, Positive, Whole
from gankit.contracts.limits import Range
from gankit.plugins.options import REQUIRED, Option
from gankit.recipe.schema import json_schema
from gankit.recipe.values import structure, structure_options, unstructure
from gankit.recipe.words import describe

Side = Annotated[int, Range(at_least=16, at_most=128)]
Colour = Literal["red", "blue", "green"]


def _structure(value: Any, kind: Any) -> tuple[Any, list[str]]:
    problems: list[str] = []
    return structure(value, kind, "here", problems), problems


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (3, int, 3),
        (3, float, 3.0),
        (1.5, float, 1.5),
        (False, bool, False),
        ("3", str, "3"),
        ("a/b", Path, Path("a/b")),
        ("~/b", Path, Path.home() / "b"),
        (1, Count, 1),
        (1, Fraction, 1.0),
        (128, Side, 128),
        ("red", Colour, "red"),
        (3, Literal[1, 3], 3),
        (None, Count | None, None),
        (5, Count | None, 5),
        (5, Path | int, 5),
        ([0, 0.9], tuple[float, float], (0.0, 0.9)),
        ([1, 2, 3], tuple[Count, ...], (1, 2, 3)),
        ([], tuple[Count, ...], ()),
        ([[1], []], list[list[int]], [[1], []]),
        ({"a": 1}, dict[str, float], {"a": 1.0}),
        ({"a": [1]}, dict, {"a": [1]}),
        ("anything", Any, "anything"),
    ],
)
def test_right_values_are_converted(value: Any, kind: Any, expected: Any) -> None:
    """Only a whole number becomes another type: a number."""
    converted, problems = _structure(value, kind)
    assert problems == []
    assert converted == expected
    assert type(converted) is type(expected)
    if isinstance(expected, tuple):
        assert [type(part) for part in converted] == [type(part) for part in expected]


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        (3.7, int, "3.7 is not a whole number"),
        (3.0, int, "3.0 is not a whole number"),
        (True, int, "true is not a whole number"),
        ("3", int, "'3' is not a whole number"),
        (None, int, "None is not a whole number"),
        ("1.5", float, "'1.5' is not a number"),
        (True, float, "true is not a number"),
        (float("nan"), float, "nan is not a number"),
        (float("inf"), float, "inf is not a number"),
        ("false", bool, "'false' is not true or false"),
        (0, bool, "0 is not true or false"),
        (3, str, "3 is not a string"),
        ("", Path, "'' is not a path"),
        (3, Path, "3 is not a path"),
        (0, Count, "0 is not a whole number at least 1"),
        (0.5, Count, "0.5 is not a whole number at least 1"),
        (0, Positive, "0 is not a number above 0"),
        (1.5, Fraction, "1.5 is not a number at least 0 and at most 1"),
        (float("-inf"), Fraction, "-inf is not a number at least 0 and at most 1"),
        (
            "blu",
            Colour,
            "'blu' is not one of 'red', 'blue', 'green'; did you mean 'blue'?",
        ),
        (2, Literal[1, 3], "2 is not one of 1, 3"),
        (True, Literal[1, 3], "true is not one of 1, 3"),
        (1.0, Literal[1, 3], "1.0 is not one of 1, 3"),
        ("x", Literal["only"], "'x' is not 'only'"),
        (0, Count | None, "0 is not a whole number at least 1"),
        (0.5, str | int, "0.5 is not a string or a whole number"),
        ("ab", tuple[str, ...], "'ab' is not a list, each a string"),
        ([1], tuple[float, float], "[1] is not a list of 2: a number, a number"),
        ([1], dict[str, int], "[1] is not a table"),
    ],
)
def test_wrong_values_are_refused_in_the_user_s_words(
    value: Any, kind: Any, message: str
) -> None:
    """Path, value, what was expected, and the nearest right word."""
    converted, problems = _structure(value, kind)
    assert problems == [f"here: {message}"]
    assert converted is None


def test_every_wrong_entry_of_a_list_or_table_is_told_by_its_place() -> None:
    """Not the first alone, nor the list as a whole."""
    _, problems = _structure([1, 0, 2, "x"], tuple[Count, ...])
    assert problems == [
        "here.1: 0 is not a whole number at least 1",
        "here.3: 'x' is not a whole number at least 1",
    ]
    _, problems = _structure({"a": {"b": True}}, dict[str, dict[str, int]])
    assert problems == ["here.a.b: true is not a whole number"]


OPTIONS = (
    Option("width", Count, 64, ""),
    Option("root", Path, REQUIRED, ""),
    Option("size", Count | None, None, ""),
)


def test_options_are_filled_with_their_defaults() -> None:
    """What is converted can be handed to the factory as it is."""
    problems: list[str] = []
    values = structure_options({"root": "a"}, OPTIONS, "dataset", problems)
    assert problems == []
    assert values == {"width": 64, "root": Path("a"), "size": None}


def test_every_wrong_option_is_told_at_once() -> None:
    """Unknown, missing and wrong ones, each with its path."""
    problems: list[str] = []
    table = {"widht": 3, "zzzzzz": 1, "size": 0}
    structure_options(table, OPTIONS, "dataset", problems)
    assert problems == [
        "dataset.widht: no such option; did you mean 'width'?",
        "dataset.zzzzzz: no such option; its options are 'width', 'root', 'size'",
        "dataset.root: is missing; it takes a path",
        "dataset.size: 0 is not a whole number at least 1",
    ]


# TOML's integers have 64 bits
integers = st.integers(-(2**63), 2**63 - 1)
fractional = st.floats(allow_nan=False, allow_infinity=False).filter(
    lambda value: not value.is_integer()
)
strings = st.text("ab1.-~/\\'\"=[]# \n\t\x00\x7f\u00e9\u65e5\U0001f600", max_size=5)
# near the limits and words of the types below
TELLING = [0, 1, 2, 3, 15, 16, 128, 129, -1, 0.5, 1.5, -0.5, "red", "rde", "only", ""]
scalars = st.sampled_from(TELLING) | st.booleans() | integers | fractional | strings
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(strings, inner, max_size=2)
    ),
    max_leaves=5,
)

VALID: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (bool, st.booleans()),
    (int, integers),
    (float, fractional | integers),
    (str, strings),
    (Path, strings.filter(lambda text: text not in ("", ".") and text[0] != "~")),
    (Count, st.integers(1, 2**62)),
    (Whole, st.integers(0, 2**62)),
    (Positive, st.floats(1e-300, 1e300)),
    (NonNegative, st.floats(0, 1e300)),
    (Fraction, st.floats(0, 1)),
    (Side, st.integers(16, 128)),
    (Colour, st.sampled_from(["red", "blue", "green"])),
    (Literal["only"], st.just("only")),
    (Literal[1, 3, "1", True], st.sampled_from([1, 3, "1", True])),
    (Count | None, st.integers(1, 9)),
    (Path | str, strings),
    (bool | float, st.booleans() | fractional),
    (int | Colour, st.integers(0, 9) | st.just("red")),
    (tuple[float, float], st.lists(fractional, min_size=2, max_size=2)),
    (tuple[int, str], st.tuples(integers, strings).map(list)),
    (tuple[Count, ...], st.lists(st.integers(1, 9))),
    (tuple[Colour, ...], st.lists(st.sampled_from(["red", "blue"]))),
    (list[str], st.lists(strings)),
    (list[tuple[int, ...]], st.lists(st.lists(integers))),
    (dict[str, Fraction], st.dictionaries(strings, st.floats(0, 1))),
    (list, st.lists(values, max_size=3)),
    (tuple, st.lists(values, max_size=3)),
    (dict, st.dictionaries(strings, values)),
    (Any, values),
]
_IDS = [describe(kind) for kind, _ in VALID]


@pytest.mark.parametrize(("kind", "right"), VALID, ids=_IDS)
def test_a_value_is_the_same_again_after_toml(
    kind: Any, right: st.SearchStrategy[Any]
) -> None:
    """What a run folder records gives the options that it was trained with."""

    @given(right)
    @settings(max_examples=20)
    def check(value: Any) -> None:
        converted, problems = _structure(value, kind)
        assert problems == []
        text = tomli_w.dumps({"value": unstructure(converted)})
        again, problems = _structure(tomllib.loads(text)["value"], kind)
        assert problems == []
        assert again == converted
        assert type(again) is type(converted)

    check()


@pytest.mark.parametrize(("kind", "right"), VALID, ids=_IDS)
def test_the_schema_accepts_what_is_accepted(
    kind: Any, right: st.SearchStrategy[Any]
) -> None:
    """An editor that checks a recipe by its schema says what gankit will say.

    The values leave out null, which TOML lacks, and numbers such as 1.0, which JSON
    schema takes for whole ones.
    """
    schema = json_schema(kind)
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)

    def check(value: Any) -> None:
        _, problems = _structure(value, kind)
        assert validator.is_valid(value) == (not problems), (value, problems)

    for value in [*TELLING, True, [], {}, [0.5] * 3, [1] * 3, ["red"] * 3]:
        check(value)
    given(values | right | right.map(lambda value: [value]))(
        settings(max_examples=50)(check)
    )()


def test_a_description_never_promises_more_than_is_taken() -> None:
    """Words for nested types, as ``gankit show`` prints them."""
    assert describe(tuple[Count, ...]) == "a list, each a whole number at least 1"
    assert describe(Path | str) == "a path or a string"
    assert describe(Count | None) == "a whole number at least 1"
    assert describe(tuple[float, float]) == "a list of 2: a number, a number"
    assert describe(Any) == "any value"


@pytest.mark.parametrize("kind", [type, object, type[int], tuple[type, ...]])
def test_a_type_that_toml_lacks_is_told_as_one(kind: Any) -> None:
    """In words, in the schema, and to whoever sets such an option all the same."""
    value = ["x"] if kind == tuple[type, ...] else "x"
    assert describe(kind).endswith("what no recipe can hold")
    assert not Draft202012Validator(json_schema(kind)).is_valid(value)
    _, (problem,) = _structure(value, kind)
    assert problem.endswith(": no recipe can hold what this takes; leave it out")
