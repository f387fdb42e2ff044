"""Charts: what is drawn is what was measured, in the page's own colours."""

from __future__ import annotations

import re

import numpy
import pytest

from gankit_report.charts import curves, dots, plane, thin
from gankit_report.record import Series


def _series(*values: float, lost: int = 0) -> Series:
    return Series(tuple(range(1, len(values) + 1)), values, lost)


def test_a_long_series_is_cut_into_pieces() -> None:
    """Seven values in at most three pieces: of three, three and one."""
    steps, mean, low, high = thin(_series(1, 2, 6, 4, 4, 4, 9), 3)
    assert steps.tolist() == [2, 5, 7]
    assert mean.tolist() == [3, 4, 9]
    assert low.tolist() == [1, 4, 9]
    assert high.tolist() == [6, 4, 9]


def test_a_short_series_is_drawn_as_it_is() -> None:
    """And nothing is said of thinning."""
    steps, mean, low, high = thin(_series(1, 5, 2), 3)
    assert steps.tolist() == [1, 2, 3]
    assert mean.tolist() == low.tolist() == high.tolist() == [1, 5, 2]
    assert curves([_series(1, 5, 2)], "a").notes == ()


@pytest.mark.parametrize(
    ("values", "notes"),
    [
        ([10.0**i for i in range(6)], ("logarithmic",)),
        ([0.0, *[10.0**i for i in range(5)]], ()),
        ([1.0] * 50 + [90.0], ()),
        ([1.0, 2.0] * 100 + [90.0], ("1 value lies outside",)),
        ([3.0] * 20, ()),
        (list(range(1, 701)), ("line: means, band: lowest to highest",)),
    ],
)
def test_a_scale_suits_its_values(values: list[float], notes: tuple[str, ...]) -> None:
    """Logarithmic over decades of positive ones; rare ones far out are cut off."""
    assert curves([_series(*values)], "a").notes == notes


def test_what_is_not_finite_is_told_of() -> None:
    """It cannot be drawn."""
    chart = curves([_series(1, 2, lost=2), _series(2, 3, lost=1)], "a")
    assert chart.notes == ("3 values were not finite",)


@pytest.mark.parametrize(
    "svg",
    [
        curves([_series(1, 5, 2), _series(2, 2, 3)], 'a "label" & <more>').svg,
        plane([(numpy.eye(2), "grey"), (numpy.eye(2), "1")], [numpy.eye(2)], "b").svg,
        dots({"a": [1, 2], "b": [3]}, "c").svg,
    ],
    ids=["curves", "plane", "dots"],
)
def test_a_chart_takes_the_colours_of_its_page(svg: str) -> None:
    """Besides grey, which suits light and dark; it names no file and no other id."""
    assert svg.startswith("<svg ")
    colours = set(re.findall(r"#[0-9a-f]{6}\b", svg)) - {"#808080"}
    assert colours == set()
    assert "var(--s0)" in svg
    ids = re.findall(r' id="([^"]+)"', svg)
    assert len(ids) == len(set(ids))
    assert {*re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', svg)} <= {
        pair for name in ids for pair in ((name, ""), ("", name))
    }
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]+"', "", svg)


def test_the_label_of_a_chart_is_escaped() -> None:
    """It may hold the name of anybody's metric."""
    svg = curves([_series(1, 2)], 'a "b" <c>').svg
    assert 'aria-label="a &quot;b&quot; &lt;c&gt;"' in svg
