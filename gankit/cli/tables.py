"""Tables and text: on a terminal as wide as it is, elsewhere as they are written."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Collection, Iterable, Sequence
from itertools import zip_longest
from textwrap import fill, wrap

import click

_GAP = "  "
_NARROWEST = 8  # characters; a column on a tiny terminal is no narrower


def show_text(text: str) -> None:
    """Write paragraphs to standard output; one with indented lines is left alone."""
    if (columns := _columns()) is not None:
        paragraphs = [
            part if "\n " in f"\n{part}" else fill(" ".join(part.split()), columns)
            for part in text.split("\n\n")
        ]
        text = "\n\n".join(paragraphs)
    click.echo(text)


def _columns() -> int | None:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def show_table(
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    right: Collection[str] = (),
) -> None:
    """Write a table to standard output; the columns ``right`` are set to the right."""
    for line in drawn(heads, rows, _columns(), right):
        click.echo(line)


def drawn(
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    columns: int | None = None,
    right: Collection[str] = (),
) -> Iterable[str]:
    """Yield the lines of a table.

    Args:
        heads: of the columns.
        rows: with a cell for each head.
        columns: characters in a line. The widest cells are folded until all fit; None
            folds nothing, so that what reads lines finds a row in each.
        right: heads of columns that are set to the right.
    """
    table = [[" ".join(cell.split()) for cell in row] for row in (heads, *rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    if columns is not None:
        widths = _narrowed(widths, columns - len(_GAP) * (len(widths) - 1))
    for row in table:
        folded = [
            [cell] if len(cell) <= width else wrap(cell, width)
            for cell, width in zip(row, widths, strict=True)
        ]
        for line in zip_longest(*folded, fillvalue=""):
            cells = [
                cell.rjust(width) if head in right else cell.ljust(width)
                for cell, width, head in zip(line, widths, heads, strict=True)
            ]
            yield _GAP.join(cells).rstrip()


def _narrowed(widths: Sequence[int], room: int) -> list[int]:
    """Bring the widest columns down to one width with which all of them fit."""
    limit = max(widths)
    while limit > _NARROWEST and sum(min(width, limit) for width in widths) > room:
        limit -= 1
    return [min(width, limit) for width in widths]
