"""A comparison as a table of texts, as JSON, and as a picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from math import isfinite
from typing import Any

import matplotlib as mpl
from attrs import frozen
from matplotlib.figure import Figure

from gankit_report.charts import colour, dots
from gankit_report.comparing import Column, Comparison, Group, Spread, score_in
from gankit_report.content import Charts, Titled
from gankit_report.templating import write
from gankit_report.words import number, shortened

_BETTER = {"lower": "↓", "higher": "↑"}


@frozen
class Row:
    """A group as a table shows it."""

    number: int
    group: Group
    options: tuple[str, ...]
    cells: tuple[str, ...]  # one for each column


def heads(comparison: Comparison) -> list[str]:
    """Name the columns: what differs, then what was scored."""
    options = comparison.groups[0].options
    scored = [
        f"{_BETTER.get(comparison.names[column].better, '')} {column.told()}".strip()
        for column in comparison.columns
    ]
    return [*options, *scored]


def rows(comparison: Comparison) -> list[Row]:
    """Write each group."""
    return [
        Row(
            number=place,
            group=group,
            options=tuple(str(value) for value in group.options.values()),
            cells=tuple(
                said(group.spread(column), len(group.runs))
                for column in comparison.columns
            ),
        )
        for place, group in enumerate(comparison.groups, 1)
    ]


def said(spread: Spread | None, runs: int) -> str:
    """Write mean, deviation, range and number of some values, of so many runs.

    >>> said(Spread((1.0, 2.0, 3.0)), 3), said(Spread((0.5,)), 2), said(None, 3)
    ('2 ± 1 (1 to 3, n = 3)', '0.5 (n = 1 of 2)', '')
    """
    if spread is None:
        return ""
    count = len(spread.values)
    of = f"n = {count}" + (f" of {runs}" if count < runs else "")
    if spread.deviation is None:
        return f"{number(spread.mean)} ({of})"
    low, high = (number(end) for end in (min(spread.values), max(spread.values)))
    middle = f"{number(spread.mean)} ± {number(spread.deviation)}"
    return f"{middle} ({low} to {high}, {of})"


def problems(comparison: Comparison) -> list[tuple[str, str, str]]:
    """List what went wrong: the number of the group, whose problem it is, and it."""
    return [
        (str(row.number), whose, problem)
        for row in rows(comparison)
        for problem, whose in row.group.problems.items()
    ]


def text(comparison: Comparison) -> list[str]:
    """Write the comparison as lines for a terminal."""
    table: list[Sequence[str]] = [("", "RUNS", *heads(comparison))]
    for row in rows(comparison):
        names = _runs(row.group)
        table.append((str(row.number), names, *row.options, *row.cells))
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    lines = [
        "  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip()
        for line in table
    ]
    lines += [": ".join(told) for told in problems(comparison)]
    return [*lines, *comparison.refused, *comparison.remarks]


def as_json(comparison: Comparison) -> dict[str, Any]:
    """Write the comparison for scripts."""
    columns = comparison.columns
    return {
        "columns": [
            {
                "name": comparison.names[column].name,
                "title": column.title,
                "samples": column.samples,
                "split": column.split,
                "best": column.best,
                "better": comparison.names[column].better,
            }
            for column in columns
        ],
        "groups": [
            {
                "differs": dict(group.options),
                "scores": [_numbers(group.spread(column)) for column in columns],
                "runs": [
                    {
                        "folder": str(run.folder),
                        "seed": run.seed,
                        "problem": run.problem or None,
                        "scores": [
                            score.value if score and isfinite(score.value) else None
                            for score in (score_in(run, column) for column in columns)
                        ],
                    }
                    for run in group.runs
                ],
            }
            for group in comparison.groups
        ],
        "refused": list(comparison.refused),
        "remarks": list(comparison.remarks),
    }


def _numbers(spread: Spread | None) -> dict[str, Any] | None:
    if spread is None:
        return None
    return {
        "n": len(spread.values),
        "mean": spread.mean,
        "deviation": spread.deviation,
        "lowest": min(spread.values),
        "highest": max(spread.values),
    }


def _runs(group: Group) -> str:
    """Name a group's runs: all of few, else the first and how many more."""
    names = [run.folder.name for run in group.runs]
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{names[0]}{more}"


def page(comparison: Comparison, title: str) -> str:
    """Make a page: a chart for each column, and the table."""
    names = {str(row.number): row.group for row in rows(comparison)}
    drawn = []
    for column in comparison.columns:
        spreads = {name: group.spread(column) for name, group in names.items()}
        values = {name: s.values if s else () for name, s in spreads.items()}
        legend = tuple(
            (colour(i), f"{name} {shortened(names[name].label)}", "")
            for i, name in enumerate(values)
        )
        wish = comparison.names[column].wish
        chart = dots(values, f"{column.told()}, a dot for each seed")
        drawn.append(Titled(column.told(), wish, chart, legend))
    return write(
        "compare.html",
        title=title,
        block=Charts(tuple(drawn)),
        heads=heads(comparison),
        rows=rows(comparison),
        colours=[colour(i) for i in range(len(names))],
        problems=problems(comparison),
        lines=(*comparison.refused, *comparison.remarks),
    )


def picture(comparison: Comparison) -> bytes:
    """Draw every score as a dot, a chart for each column, as PNG.

    Beside each row stands what the table says of it.
    """
    groups, columns = comparison.groups, comparison.columns
    with mpl.rc_context({"font.size": 9, "axes.spines.top": False}):
        height = 0.7 + 0.42 * len(groups)
        size = (9.5, height * max(len(columns), 1) + 0.1 * len(groups))
        figure = Figure(figsize=size, layout="constrained", dpi=160)
        axes = figure.subplots(max(len(columns), 1), squeeze=False)[:, 0]
        for one, column in zip(axes, columns, strict=False):
            _draw(one, comparison, column)
        file = io.BytesIO()
        figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def _draw(axes: Any, comparison: Comparison, column: Column) -> None:
    labels = []
    for place, group in enumerate(comparison.groups):
        labels.append(shortened(group.label, 48))
        spread = group.spread(column)
        if spread is None:
            problem = next(iter(group.problems), "not measured")
            remark = shortened(problem, 44)
        else:
            shade = f"C{place % 10}"
            values = spread.values
            axes.plot(values, [place] * len(values), "o", color=shade, alpha=0.7)
            axes.plot([spread.mean], [place], "|", color=shade, ms=16, mew=2)
            remark = said(spread, len(group.runs))
        axes.annotate(
            remark,
            (1.02, place),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=8,
        )
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.spines["right"].set_visible(False)
    axes.grid(visible=True, axis="x", alpha=0.3)
    wish = _BETTER.get(comparison.names[column].better, "")
    axes.set_title(f"{column.told()} {wish}".strip(), loc="left", fontsize=10)
