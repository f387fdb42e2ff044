"""The alphabet, spelling, and the table of captions."""

from __future__ import annotations

import string

import pytest
import torch

from gankit_conditioners.alphabet import ALPHABET, fold, is_legible, remarks, spell
from gankit_conditioners.captions import CaptionTable


def test_the_alphabet_has_70_different_letters() -> None:
    """26 letters, 10 digits, 32 marks, space and line break, each once."""
    assert len(ALPHABET) == len(set(ALPHABET)) == 26 + 10 + 32 + 2 == 70


def test_the_alphabet_has_every_letter_of_the_authors() -> None:
    """Reed et al. list these 70, of which the hyphen occurs twice."""
    theirs = string.ascii_lowercase + string.digits
    theirs += "-,;.!?:'\"/\\|_@#$%^&*~`+-=<>()[]{} "
    assert len(theirs) == 70
    assert set(ALPHABET) - set(theirs) == {"\n"}
    assert set(theirs) <= set(ALPHABET)


def test_texts_are_spelled_by_place_in_the_alphabet() -> None:
    """The a is 1, the z is 26, the 0 is 27; 0 is a blank."""
    assert spell(["aZ0"], 5).tolist() == [[1, 26, 27, 0, 0]]
    assert spell(["aZ0"], 5).dtype == torch.uint8


def test_unknown_characters_are_blanks_in_their_place() -> None:
    """A character outside the alphabet leaves those after it where they are."""
    assert spell(["a中b"], 4).tolist() == [[1, 0, 2, 0]]


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("  A Café ", "a cafe"),
        ("\u201cDon\u2019t\u201d \u2013 no…", '"don\'t" - no...'),
        ("İstanbul ﬁsh", "istanbul fish"),
    ],
)
def test_folding_keeps_what_ascii_can_say(text: str, plain: str) -> None:
    """Case, accents, curly quotes, dashes and ligatures become plain letters."""
    assert fold(text) == plain


def test_letters_beyond_the_length_are_cut() -> None:
    """Two texts with the same first letters are spelled the same."""
    assert spell(["abcd", "abc"], 3).tolist() == [[1, 2, 3], [1, 2, 3]]


@pytest.mark.parametrize(
    ("text", "legible"),
    [("", False), (" \n", False), ("мир мир", False), ("мир 1", True)],
)
def test_white_space_alone_is_not_legible(text: str, legible: bool) -> None:
    """A text needs one letter, digit or mark of the alphabet."""
    assert is_legible(text) is legible


def test_losses_are_counted() -> None:
    """Cut texts and texts with strange characters are counted apart."""
    cut, strange = remarks(["abcd", "ab", "a中", "abc中", "abcde"], 3)
    assert (cut[-1], strange[-1]) == ("3", "2")
    assert remarks(["ab", "Café"], 4) == []


def test_equal_captions_are_held_once() -> None:
    """Each item's captions are places in the list of distinct ones."""
    table = CaptionTable.of([("b", "a"), ("a",), ("c", "b")])
    assert table.distinct == ["b", "a", "c"]
    assert table.ids.tolist() == [[0, 1], [1, -1], [2, 0]]
    assert table.counts.tolist() == [2, 1, 2]


def test_illegible_captions_count_as_missing() -> None:
    """They are left out, the rest moves up, and both losses are reported."""
    table = CaptionTable.of([("", "a", " "), ("中",), ("a", "b")])
    assert table.ids.tolist() == [[0, -1], [-1, -1], [0, 1]]
    illegible, bare = table.notes(length=10)
    assert (illegible[-1], bare[-1]) == ("3", "1")


@pytest.mark.parametrize("raw", [[], [()], [("",)]])
def test_a_table_without_captions_keeps_its_shape(raw: list[tuple[str, ...]]) -> None:
    """There is one column of missing captions even where there is none."""
    table = CaptionTable.of(raw)
    assert table.ids.shape == (len(raw), 1)
    assert table.counts.sum() == 0
