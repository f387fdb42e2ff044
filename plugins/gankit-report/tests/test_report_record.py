"""What a run has written down is read as it is, whatever ended the run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gankit.errors import RunError
from gankit_report.grouping import grouped
from gankit_report.record import Record, Series, read_record
from gankit_report.scores import Score


def _written(folder: Path, *lines: dict[str, Any] | str) -> Record:
    folder.mkdir(exist_ok=True)
    (folder / "recipe.toml").write_text("[train]\nsteps = 9\nseed = 0\n", "utf-8")
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    (folder / "metrics.jsonl").write_text("\n".join(texts), "utf-8")
    return read_record(folder)


def test_a_measurement_has_the_steps_at_which_it_was_made(tmp_path: Path) -> None:
    """Not all are made at each; those that are not finite are counted, not drawn."""
    record = _written(
        tmp_path,
        {"seconds": 1.0, "step": 1, "a": 0.5},
        {"seconds": 2.0, "step": 2, "a": None, "fid": 3},
        {"step": 2, "warning": "collapse", "text": "alike"},
        {"seconds": 3.0, "step": 3, "a": 0.25},
    )
    assert record.series == {
        "a": Series((1, 3), (0.5, 0.25), 1),
        "fid": Series((2,), (3.0,)),
    }
    assert [(w.step, w.kind, w.text) for w in record.warnings] == [
        (2, "collapse", "alike")
    ]
    assert (record.step, record.total) == (3, 9)


def test_seconds_begin_anew_where_a_run_goes_on(tmp_path: Path) -> None:
    """5 of the first start and 3 of the second are 8."""
    seconds = [2.0, 5.0, 1.0, 3.0]
    lines = [{"seconds": s, "step": i + 1} for i, s in enumerate(seconds)]
    record = _written(tmp_path, *lines)
    assert (record.seconds, record.starts) == (8.0, 2)


def test_a_torn_last_line_is_passed_over(tmp_path: Path) -> None:
    """As a run that was cut off leaves it."""
    record = _written(
        tmp_path, {"seconds": 1.0, "step": 1, "a": 2}, '{"seconds": 2.0, '
    )
    assert record.series == {"a": Series((1,), (2.0,))}


def test_a_run_that_has_measured_nothing_is_a_run(tmp_path: Path) -> None:
    """It has a recipe."""
    (tmp_path / "recipe.toml").write_text("[train]\nepochs = 3\n", "utf-8")
    record = read_record(tmp_path)
    assert (record.step, record.total, record.seconds) == (0, None, 0.0)


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    """A folder without a recipe, and no folder at all."""
    with pytest.raises(RunError, match="is not a run folder: it has no recipe"):
        read_record(tmp_path)
    with pytest.raises(RunError, match="does not exist: it has no recipe"):
        read_record(tmp_path / "gone")


def test_scores_are_read_as_evaluate_writes_them(tmp_path: Path) -> None:
    """What a later version adds is passed over."""
    record = _written(tmp_path)
    told = {
        "name": "kid",
        "title": "kid[net@1]",
        "value": 0.5,
        "spread": 0.1,
        "values": [0.4, 0.6],
        "better": "lower",
        "step": 9,
        "samples": 100,
        "split": "test",
        "news": 1,
    }
    (tmp_path / "scores.json").write_text(json.dumps({"scores": [told]}), "utf-8")
    assert record.scores == (
        Score(
            name="kid",
            title="kid[net@1]",
            value=0.5,
            spread=0.1,
            values=(0.4, 0.6),
            better="lower",
            step=9,
            samples=100,
            split="test",
        ),
    )


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"scores": [{"title": "x"}]}', '{"scores": [3]}']
)
def test_scores_that_are_none_are_refused(tmp_path: Path, text: str) -> None:
    """With the file, and what to do."""
    record = _written(tmp_path)
    (tmp_path / "scores.json").write_text(text, "utf-8")
    with pytest.raises(RunError, match=r"is not what `gankit evaluate` writes.*again"):
        _ = record.scores


def test_measurements_are_grouped_by_what_they_mean() -> None:
    """Those of the core first; a stranger's by what stands before the slash."""
    names = ["fid", "gradient/generator", "my/b", "loss/generator", "my/a", "AUC"]
    series = {name: Series((1,), (1.0,)) for name in names}
    series["empty"] = Series((), (), 1)
    assert [(g.title, g.names) for g in grouped(series)] == [
        ("Losses", ("loss/generator",)),
        ("AUC", ("AUC",)),
        ("Gradient norms", ("gradient/generator",)),
        ("fid", ("fid",)),
        ("my", ("my/b", "my/a")),
    ]
