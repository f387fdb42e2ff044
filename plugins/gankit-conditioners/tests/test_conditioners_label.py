"""The conditioner `label`."""

from __future__ import annotations

import pytest
import torch

from gankit import Classes, Facts, Texts
from gankit_conditioners.label import Label

ANIMALS = ("cat", "dog", "Sea horse")


def label(*classes: str) -> Label:
    """Build the conditioner of a data set with these classes."""
    return Label(Facts((1, 8, 8), label=Classes(classes)))


def test_vectors_are_one_hot() -> None:
    """Classes 2, 0, 2 of three are 001, 100, 001."""
    conditioner = label(*ANIMALS)
    tokens = conditioner.tokens([2, 0, 2])
    assert tokens.dtype == torch.int64
    assert conditioner(tokens).tolist() == [[0, 0, 1], [1, 0, 0], [0, 0, 1]]
    assert conditioner(tokens).dtype == torch.float32


def test_size_is_the_number_of_classes() -> None:
    """The vector is as long as there are classes, also on the meta device."""
    with torch.device("meta"):
        conditioner = label("a", "b", "c", "d")
        vectors = conditioner(torch.empty(5, dtype=torch.int64))
    assert vectors.shape == (5, conditioner.size) == (5, 4)


def test_there_is_nothing_to_learn_or_save() -> None:
    """A one-hot vector has no parameters, and a checkpoint nothing to keep of it."""
    assert not label(*ANIMALS).state_dict()


@pytest.mark.parametrize("declared", [{}, {"label": Texts()}])
def test_a_data_set_without_classes_is_refused(declared: dict[str, Texts]) -> None:
    """The error says what is missing and what to do."""
    with pytest.raises(ValueError, match=r"no annotation 'label' of Classes.*choose a"):
        Label(Facts((1, 8, 8), **declared))


@pytest.mark.parametrize(
    ("text", "index"),
    [("dog", 1), (" dog ", 1), ("DOG", 1), ("sea HORSE", 2), ("0", 0), ("2", 2)],
)
def test_names_and_indices_are_understood(text: str, index: int) -> None:
    """A class goes by its name in any case, or by its index."""
    assert label(*ANIMALS).parse(text) == index


def test_an_exact_name_wins_over_another_case() -> None:
    """Classes that differ by case alone are told apart by it."""
    conditioner = label("ab", "AB")
    assert [conditioner.parse("ab"), conditioner.parse("AB")] == [0, 1]
    with pytest.raises(ValueError, match="no class 'Ab'"):
        conditioner.parse("Ab")


def test_numbers_that_are_names_are_never_indices() -> None:
    """With classes 3, 5 and 8 the text "5" is the second, and "0" is none."""
    conditioner = label("3", "5", "8")
    assert conditioner.parse("5") == 1
    with pytest.raises(ValueError, match=r"no class '0'.*'3', '5', '8'$"):
        conditioner.parse("0")


@pytest.mark.parametrize("text", ["dgo", "Dgo"])
def test_an_unknown_name_is_answered_with_the_nearest(text: str) -> None:
    """The error suggests a name and gives the range of indices."""
    with pytest.raises(ValueError, match=r"did you mean 'dog'.*from 0 to 2"):
        label(*ANIMALS).parse(text)


@pytest.mark.parametrize("text", ["3", "-1", ""])
def test_an_index_out_of_range_is_refused(text: str) -> None:
    """Indices run from 0 to one less than the number of classes."""
    with pytest.raises(ValueError, match="from 0 to 2"):
        label(*ANIMALS).parse(text)


def test_an_error_lists_no_more_classes_than_can_be_read() -> None:
    """Of 100 classes 20 are named and 80 counted."""
    with pytest.raises(ValueError, match="and 80 more"):
        label(*(f"class {n}" for n in range(100))).parse("x")
