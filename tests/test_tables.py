"""Tables of the command line: as wide as the terminal, or a row a line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from gankit.cli import run
from gankit.cli.tables import drawn, show_text
from sites import Site, yields

HEADS = ("NAME", "MS", "WHAT")
ROWS = [("a", "10", "one two three"), ("long-name", "2", "")]


def test_without_a_width_a_row_is_a_line() -> None:
    """Columns are as wide as their widest cell; nothing trails."""
    assert list(drawn(HEADS, ROWS)) == [
        "NAME       MS  WHAT",
        "a          10  one two three",
        "long-name  2",
    ]


def test_a_column_may_be_set_to_the_right() -> None:
    """As numbers are."""
    assert list(drawn(HEADS, ROWS, right=("MS",)))[1:] == [
        "a          10  one two three",
        "long-name   2",
    ]


def test_what_is_too_wide_is_folded_below_its_own_column() -> None:
    """The widest column gives way, and the others stay as they are."""
    assert list(drawn(HEADS, ROWS, 24)) == [
        "NAME       MS  WHAT",
        "a          10  one two",
        "               three",
        "long-name  2",
    ]


@given(
    some.lists(
        some.tuples(*[some.text("ab é-/", max_size=30)] * 3), min_size=1, max_size=5
    ),
    some.integers(28, 60),
)
def test_no_line_is_wider_than_the_terminal_and_nothing_is_lost(
    rows: list[tuple[str, str, str]], columns: int
) -> None:
    """Whatever is in the cells: three columns of eight fit into 28."""
    lines = list(drawn(HEADS, rows, columns))
    assert max(map(len, lines)) <= columns
    shown = sorted("".join(lines).replace(" ", ""))
    assert shown == sorted(
        "".join(["".join(HEADS), *map("".join, rows)]).replace(" ", "")
    )


def test_a_text_of_several_lines_is_one_cell() -> None:
    """What an error says must not break the table."""
    assert list(drawn(("A", "B"), [("x\ny", "  z\t")])) == ["A    B", "x y  z"]


def test_plugins_fit_into_a_terminal(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In 80 columns; elsewhere each is one line."""
    reason = "no chip of the kind that this needs, and no other that would do as well"
    site.install("bad-gan", f"raise RuntimeError('{reason}')")
    site.install("good-gan", yields("Part('loss', 'kept', 'math:floor')"))
    assert run(["plugins"]) == 0
    plain = capsys.readouterr().out.splitlines()
    (bad,) = [line for line in plain if line.startswith("bad-gan ")]
    assert bad.endswith(f"FAILED at import: RuntimeError: {reason}")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    assert run(["plugins"]) == 0
    folded = capsys.readouterr().out.splitlines()
    assert max(map(len, folded)) <= 80
    assert [line for line in folded if line.startswith("bad-gan ")] != [bad]


TOLD = "One paragraph, broken\nsomewhere.\n\nAs in\n\n    code = 1  # here"


def test_text_is_as_wide_as_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Paragraphs are filled anew, what is indented is not; in a pipe nothing is."""
    show_text(TOLD)
    assert capsys.readouterr().out == TOLD + "\n"
    monkeypatch.setattr("gankit.cli.tables._columns", lambda: 20)
    show_text(TOLD)
    assert capsys.readouterr().out == (
        "One paragraph,\nbroken somewhere.\n\nAs in\n\n    code = 1  # here\n"
    )
