"""Curves that are read on, decimated, and looked at more closely."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gankit_board import lines
from gankit_board.curves import BUCKETS, Buckets, Curves
from gankit_board.lines import Follower, Summary


def _write(path: Path, lines: list[dict[str, Any]], how: str = "w") -> None:
    with path.open(how) as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)


def _lines(count: int, start: int = 1) -> list[dict[str, Any]]:
    rng = numpy.random.default_rng(start)
    return [
        {"seconds": float(i), "step": i, "loss": float(v)}
        for i, v in enumerate(rng.normal(size=count), start)
    ]


def _all(curves: Curves) -> Curves:
    while curves.renew():
        pass
    return curves


@given(st.lists(st.integers(1, 40), max_size=12), st.integers(1, 60))
def test_what_is_decimated_keeps_lowest_highest_and_mean(
    parts: list[int], points: int
) -> None:
    """In whatever parts it comes: each point is of lines that follow each other."""
    buckets = Buckets(size=16)
    values = numpy.random.default_rng(0).normal(size=sum(parts))
    done = 0
    for part in parts:
        some = [{"step": i + 1, "a": values[i]} for i in range(done, done + part)]
        buckets.add(some, [0] * part)
        done += part
    drawn = buckets.drawn(points)
    assert len(drawn.steps) <= min(points, 16)
    begin = 0
    for i, step in enumerate(drawn.steps):
        own = values[begin:step]
        assert len(own) <= drawn.lines
        mean, low, high = (series[i] for series in drawn.series["a"])
        assert (low, high) == (own.min(), own.max())
        assert mean == pytest.approx(own.mean())
        begin = step
    assert begin == done


def test_few_lines_are_drawn_as_they_are(tmp_path: Path) -> None:
    """Also two of one step, as what is measured of a checkpoint; null is counted."""
    path = tmp_path / "metrics.jsonl"
    some = [
        {"step": 5, "loss": 1.0},
        {"step": 5, "kid": 0.5},
        {"step": 9, "loss": None},
        {"step": 12, "loss": -2.0},
    ]
    _write(path, some)
    drawn = _all(Curves(path)).drawn(100)
    assert drawn.steps.tolist() == [5, 9, 12]
    assert drawn.lines == 1
    numpy.testing.assert_equal(drawn.series["loss"][0], [1.0, numpy.nan, -2.0])
    numpy.testing.assert_equal(drawn.series["kid"][0], [0.5, numpy.nan, numpy.nan])
    assert drawn.lost == {"loss": 1}


def test_what_grows_is_read_on(tmp_path: Path) -> None:
    """To what reading all of it at once gives; a torn line is read when it is whole."""
    path = tmp_path / "metrics.jsonl"
    some = _lines(60)
    curves = Curves(path)
    _all(curves)
    assert curves.drawn(9).steps.size == 0
    for i, line in enumerate(some):
        text = json.dumps(line) + "\n"
        with path.open("a") as file:
            file.write(text[:20])
            file.flush()
            _all(curves)
            assert curves.drawn(100).steps.size == i
            file.write(text[20:])
        _all(curves)
    at_once = _all(Curves(path)).drawn(100)
    drawn = curves.drawn(100)
    numpy.testing.assert_equal(drawn.steps, at_once.steps)
    numpy.testing.assert_equal(drawn.series["loss"], at_once.series["loss"])


def test_a_run_that_goes_back_is_read_again(tmp_path: Path) -> None:
    """Its file is replaced by one without the steps that are taken again."""
    path = tmp_path / "metrics.jsonl"
    _write(path, _lines(30))
    curves, summary = _all(Curves(path)), Summary.of(path)
    summary.renew()
    assert summary.step == 30
    aside = tmp_path / "aside"
    _write(aside, _lines(10))
    aside.replace(path)
    summary.renew()
    assert _all(curves).drawn(100).steps.tolist() == list(range(1, 11))
    assert summary.step == 10


def test_a_broken_line_is_counted_and_passed_over(tmp_path: Path) -> None:
    """As one that a disk has mangled, or that is no object."""
    path = tmp_path / "metrics.jsonl"
    path.write_text(
        '{"step": 1, "a": 1}\n\x00\x00{"st\n[3]\n{"step": "x"}\n{"step": 2, "a": 3}\n'
    )
    curves = _all(Curves(path))
    assert curves.broken == 3
    assert curves.drawn(10).steps.tolist() == [1, 2]
    summary = Summary.of(path)
    summary.renew()
    assert summary.follower.behind == 0


def test_a_closer_look_finds_every_line(tmp_path: Path) -> None:
    """Of a file of which much is left out; and memory is bounded by the buckets."""
    path, count = tmp_path / "metrics.jsonl", 5 * BUCKETS
    some = _lines(count)
    _write(path, some)
    curves = _all(Curves(path))
    whole = curves.drawn(500)
    assert whole.lines > 1
    assert len(whole.steps) <= 500
    assert whole.series["loss"][1].min() == min(line["loss"] for line in some)
    closer = curves.drawn(500, 4000, 4100)
    assert closer.steps.tolist() == list(range(4000, 4101))
    expected = [line["loss"] for line in some[3999:4100]]
    numpy.testing.assert_equal(closer.series["loss"][0], expected)


def test_warnings_are_found_in_a_long_file(tmp_path: Path) -> None:
    """By the list of runs too, which parses only the end, and by both once."""
    path = tmp_path / "metrics.jsonl"
    early = {"step": 3, "warning": "collapse", "text": "samples are alike"}
    late = {"step": 90_000, "warning": "broken items", "text": "3"}
    _write(path, [*_lines(3), early, *_lines(40_000, 4), late])
    curves, summary = _all(Curves(path)), Summary.of(path)
    summary.renew()
    summary.renew()
    assert [w.kind for w in summary.warnings] == ["collapse", "broken items"]
    assert curves.broken == 0
    assert summary.step == 40_003
    assert summary.rate == pytest.approx(1.0)


def test_warnings_are_counted_and_the_newest_kept(tmp_path: Path) -> None:
    """Of a run that gives one each step; and none of them is longer than a page."""
    path = tmp_path / "metrics.jsonl"
    _write(
        path,
        [
            {"step": i, "warning": "collapse" * 99, "text": "x" * 9999}
            for i in range(1, 5001)
        ],
    )
    summary = Summary.of(path)
    while summary.renew() or summary.follower.behind:
        pass
    assert summary.warned == 5000
    assert [w.step for w in summary.warnings] == [*range(4901, 5001)]
    assert max(len(w.kind + w.text) for w in summary.warnings) == 2100
    _write(path, [{"step": 1, "warning": "collapse", "text": ""}])
    summary.renew()
    assert (summary.warned, len(summary.warnings)) == (1, 1)


def test_a_very_long_file_is_searched_a_part_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its end is known at once, and warnings are found in the order of the file."""
    monkeypatch.setattr(lines, "_LOOK", 1)
    path, size = tmp_path / "metrics.jsonl", 30_000
    warning = {"step": size, "warning": "collapse", "text": ""}
    _write(path, [*_lines(size), warning, *_lines(size, size + 1)])
    summary = Summary.of(path)
    summary.renew()
    assert (summary.step, summary.warned) == (2 * size, 0)
    while summary.follower.behind:
        summary.renew()
    assert [w.step for w in summary.warnings] == [size]
    assert summary.rate == pytest.approx(1.0)


def test_a_rate_is_of_the_last_start(tmp_path: Path) -> None:
    """Seconds begin anew where a run goes on."""
    path = tmp_path / "metrics.jsonl"
    first = [{"seconds": 10.0 * i, "step": i} for i in range(1, 6)]
    again = [{"seconds": 0.5 * i, "step": 5 + i} for i in range(1, 6)]
    _write(path, first + again)
    summary = Summary.of(path)
    summary.renew()
    assert summary.rate == pytest.approx(2.0)
    assert summary.pause == pytest.approx(0.5)


def test_a_line_without_an_end_stops_nothing(tmp_path: Path) -> None:
    """A megabyte without a line's end is passed over."""
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b"x" * (3 << 20) + b'\n{"step": 1, "a": 2}\n')
    follower = Follower(path)
    follower.renew()
    while follower.chunk():
        pass
    assert follower.behind == 0
    assert _all(Curves(path)).drawn(10).steps.tolist() == [1]
