"""Options of a part, read from a signature."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pytest
from attrs import field, frozen
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from gankit import Count, Fraction, NonNegative, Positive, Shapes, Whole
from gankit.contracts.limits import Range
from gankit.errors import PluginError
from gankit.plugins.options import REQUIRED, Option, options_of, own_doc
from gankit.testing import partners

if TYPE_CHECKING:
    from decimal import Decimal

numbers = st.floats(-3, 3)


def network(shapes: Shapes, *, width: Count = 64, output: Literal["a", "b"]) -> None:
    """Make a network.

    A paragraph that mentions width: it is no help.

    Args:
        shapes: what it fits.
        width: channels at half the size of the image; they double
            at each stage.
        output (str): the last function: a or b.

    Raises:
        ValueError: width: never.
    """


@frozen
class Penalty:
    """A penalty.

    Args:
        weight: its factor.
    """

    weight: NonNegative = 10.0
    every: Count = 1
    names: tuple[str, ...] = field(factory=tuple)


class Encoder:
    """Options documented where the constructor is."""

    def __init__(self, facts: Any, length: Whole | None = None) -> None:
        """Set up.

        Args:
            facts: given.
            length: characters read.
        """


def test_the_parameters_after_the_given_ones_are_options() -> None:
    """Names, types with their ranges, defaults, and help on one line."""
    assert options_of(network, given=1) == (
        Option(
            "width",
            Count,
            64,
            "channels at half the size of the image; they double at each stage.",
        ),
        Option("output", Literal["a", "b"], REQUIRED, "the last function: a or b."),
    )
    assert [o.required for o in options_of(network, given=1)] == [False, True]


def test_the_fields_of_an_attrs_class_are_options() -> None:
    """Their help is in the class's docstring."""
    weight, every, names = options_of(Penalty)
    assert weight == Option("weight", NonNegative, 10.0, "its factor.")
    assert every == Option("every", Count, 1, "")
    assert names == Option("names", tuple[str, ...], (), "")  # made, not a marker


def test_a_constructor_may_document_its_options_itself() -> None:
    """Both places are read."""
    assert options_of(Encoder, given=1) == (
        Option("length", Whole | None, None, "characters read."),
    )


class Plain(nn.Linear):  # noqa: D101 # it is to have none
    def __init__(self, shapes: Shapes, *, bias: bool = True) -> None: ...


class Quiet(Encoder): ...  # noqa: D101 # it is to have none


class Documented(Encoder):
    """An encoder.

    Args:
        length: letters read.
    """


def test_a_docstring_is_of_the_part_itself() -> None:
    """What torch says of its own module is no description of the part."""
    assert own_doc(Plain) == ""
    assert own_doc(partial(network, None)).startswith("Make a network.")
    assert own_doc(Encoder) == "Options documented where the constructor is."
    assert options_of(Plain, given=1) == (Option("bias", bool, True, ""),)


def test_an_inherited_constructor_is_documented_where_it_is_written() -> None:
    """Its options are the part's; what the part says of them itself comes first."""
    assert options_of(Quiet, given=1)[0].help == "characters read."
    assert options_of(Documented, given=1)[0].help == "letters read."


def test_an_option_without_a_type_is_refused_with_the_line_to_write() -> None:
    """Nothing given to it could be checked; a docstring it need not have."""

    def loss(scale=2.0): ...  # type: ignore[no-untyped-def]
    def typed(scale: float = 2.0) -> None: ...

    assert options_of(typed) == (Option("scale", float, 2.0, ""),)
    with pytest.raises(PluginError, match=r"'scale' of .*loss has no type; .*: float$"):
        options_of(loss)


@pytest.mark.parametrize("kind", ["positional", "keyword"])
def test_hidden_options_are_refused(kind: str) -> None:
    """What takes anything cannot be checked, shown or written to a schema."""

    def positional(*sizes: int) -> None: ...
    def keyword(**settings: int) -> None: ...

    with pytest.raises(PluginError, match=r"takes \*args or \*\*kwargs.*author"):
        options_of({"positional": positional, "keyword": keyword}[kind])


def test_what_has_no_signature_is_refused() -> None:
    """As some built-in functions."""
    with pytest.raises(PluginError, match="has no signature to read its options from"):
        options_of(max)


def test_a_callable_object_has_options() -> None:
    """Those of its call."""

    class Made:
        def __call__(self, shapes: Shapes, *, width: Count = 64) -> None: ...

    assert options_of(Made(), given=1) == (Option("width", Count, 64, ""),)


def test_a_type_that_cannot_be_evaluated_is_refused_with_the_remedy() -> None:
    """As one that only the type checker imports."""

    def part(share: Decimal) -> None: ...

    with pytest.raises(PluginError, match=r"'Decimal' of option 'share'.*outside TYPE"):
        options_of(part)


def test_a_given_parameter_may_have_any_annotation() -> None:
    """Only options need a type at run time."""

    def part(data: Decimal, share: Path = Path()) -> None: ...

    assert [option.name for option in options_of(part, given=1)] == ["share"]


@pytest.mark.parametrize(
    ("kind", "inside", "outside"),
    [
        (Count, [1, 2, 10**12], [0, -1]),
        (Whole, [0, 1], [-1]),
        (Positive, [1e-300, 5], [0, -1e-300]),
        (NonNegative, [0, 5], [-1e-300]),
        (Fraction, [0, 0.5, 1], [-1e-300, 1.0000001]),
    ],
)
def test_the_ready_made_ranges(
    kind: Any, inside: list[float], outside: list[float]
) -> None:
    """Their ends belong to them, but for that of Positive."""
    (limits,) = kind.__metadata__
    assert all(limits.holds(value) for value in inside)
    assert not any(limits.holds(value) for value in [*outside, float("nan")])


@given(st.none() | numbers, st.none() | numbers, st.none() | numbers, numbers)
def test_a_range_holds_what_all_of_its_limits_allow(
    least: float | None, most: float | None, above: float | None, value: float
) -> None:
    """A limit alone excludes half a line; together they exclude the union."""
    alone = [Range(at_least=least), Range(at_most=most), Range(above=above)]
    together = Range(at_least=least, at_most=most, above=above)
    assert together.holds(value) == all(limit.holds(value) for limit in alone)


def test_types_of_an_inherited_constructor_are_those_of_where_it_was_written() -> None:
    """Its module may import what the module of the part does not."""

    class Own(partners.Items):
        """A data set of one's own."""

    kinds = {option.name: option.type for option in options_of(Own)}
    assert kinds["shape"] == tuple[Count, ...]
    assert kinds["extra_kind"] is partners.Extra
    assert "Extra" not in globals()


def test_a_range_reads_as_a_phrase() -> None:
    """It stands in errors, after the word for the type."""
    assert str(Range(at_least=0, at_most=1)) == "at least 0 and at most 1"
    assert str(Range(above=0.5)) == "above 0.5"
    assert str(Range()) == ""


def test_nan_is_within_no_range() -> None:
    """Not even within one without limits."""
    assert Range().holds(float("inf"))
    assert not Range().holds(float("nan"))


def test_an_annotated_type_keeps_its_limits() -> None:
    """A part may have limits of its own."""

    def part(side: Annotated[int, Range(at_least=16)] = 32) -> None: ...

    (option,) = options_of(part)
    assert option.type.__metadata__ == (Range(at_least=16),)
