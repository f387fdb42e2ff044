"""Comparisons: seeds are one group, unlike scores no column, every seed is there."""

from __future__ import annotations

import io
import json
import statistics
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from PIL import Image

import gankit
from gankit.cli import run
from gankit_report.comparing import (
    Column,
    Comparison,
    Spread,
    compare,
    compared,
)
from gankit_report.record import read_record
from gankit_report.tables import as_json, page, picture, text
from tiny import LABELLED

Capture = pytest.CaptureFixture[str]


def _score(value: float | None, **told: Any) -> dict[str, Any]:
    usual = {"name": "kid", "title": "kid[net@1]", "samples": 100, "split": "test"}
    return {**usual, "step": 6, "better": "lower", "value": value, **told}


def _run(folder: Path, *scores: dict[str, Any], seed: int = 0, **changes: Any) -> Path:
    """Write a run folder without a run."""
    folder.mkdir(parents=True)
    recipe = gankit.read_recipe(LABELLED, {"train.seed": seed, **changes})
    (folder / "recipe.toml").write_text(tomli_w.dumps(recipe.as_table()), "utf-8")
    if scores:
        told = json.dumps({"scores": scores})
        (folder / "scores.json").write_text(told, "utf-8")
    return folder


def _compared(*folders: Path) -> Comparison:
    return compare(compared(read_record(folder)) for folder in folders)


def test_runs_that_differ_in_the_seed_alone_are_one_group(tmp_path: Path) -> None:
    """Of 1, 2 and 6 the mean is 3, and the standard deviation the root of 7."""
    values = (1.0, 2.0, 6.0)
    alike = [_run(tmp_path / f"a{i}", _score(v), seed=i) for i, v in enumerate(values)]
    other = _run(tmp_path / "b", _score(4.0), **{"loss.use": "minimax"})
    result = _compared(*alike, other)
    (column,) = result.columns
    first, second = result.groups
    assert [len(group.runs) for group in result.groups] == [3, 1]
    spread = first.spread(column)
    assert spread == Spread(values)
    assert spread.mean == 3
    assert spread.deviation == pytest.approx(7**0.5)
    assert spread.deviation == pytest.approx(statistics.stdev(values))
    assert second.spread(column) == Spread((4.0,))
    assert Spread((4.0,)).deviation is None
    line = text(result)[1]
    assert "3 ± 2.646 (1 to 6, n = 3)" in line
    assert "4 (n = 1)" in text(result)[2]


def test_what_differs_is_named_and_nothing_else(tmp_path: Path) -> None:
    """Options that only one of two losses has follow from which it is."""
    result = _compared(
        _run(tmp_path / "a", _score(1.0)),
        _run(tmp_path / "b", _score(1.0), seed=1, **{"loss.use": "minimax"}),
        _run(tmp_path / "c", _score(1.0), **{"noise.size": 3}),
    )
    assert [dict(group.options) for group in result.groups] == [
        {"loss.use": "gankit-losses/hinge", "noise.size": 2},
        {"loss.use": "gankit-losses/minimax", "noise.size": 2},
        {"loss.use": "gankit-losses/hinge", "noise.size": 3},
    ]
    # a block that is not there is a difference too
    none = _run(tmp_path / "d", _score(1.0), penalties=[])
    result = _compared(tmp_path / "a", none)
    assert [dict(group.options) for group in result.groups] == [
        {"penalties.0.use": "gankit-losses/r1"},
        {"penalties.0.use": ""},
    ]


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"title": "kid[net@2]"}, "what they were measured with: kid[net@1] / kid[net"),
        ({"samples": 50}, "how many samples were drawn: 100 / 50"),
        ({"split": "train"}, "the split of the data: test / train"),
        ({"checkpoint": "best"}, "whether the checkpoint was chosen as the best"),
    ],
)
def test_unlike_scores_stand_in_no_column(
    other: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    """And it is said in what they differ."""
    result = _compared(
        _run(tmp_path / "a", _score(1.0)),
        _run(tmp_path / "b", _score(2.0, **other), seed=1),
    )
    assert len(result.columns) == 2
    (group,) = result.groups
    values = [group.spread(column) for column in result.columns]
    assert sorted(s.values for s in values if s) == [(1.0,), (2.0,)]
    (refused,) = result.refused
    assert refused.startswith("kid: scores that were measured otherwise")
    assert reason in refused
    assert refused in text(result)


def test_metrics_of_other_names_are_no_refusal(tmp_path: Path) -> None:
    """They were never to be one column."""
    scores = _score(1.0), _score(2.0, name="auc", title="auc")
    result = _compared(_run(tmp_path / "a", *scores))
    assert [column.title for column in result.columns] == ["auc", "kid[net@1]"]
    assert result.refused == ()


def test_of_many_steps_the_latest_counts(tmp_path: Path) -> None:
    """Runs of other numbers of steps are compared, and that is said."""
    a = _run(tmp_path / "a", _score(1.0, step=3), _score(2.0, step=6))
    b = _run(tmp_path / "b", _score(5.0, step=9), seed=1)
    result = _compared(a, b)
    spread = result.groups[0].spread(Column("kid[net@1]", 100, "test", best=False))
    assert spread == Spread((2.0, 5.0))
    assert result.remarks == ("kid[net@1]: measured at steps 6 (a); 9 (b)",)


def test_a_run_that_is_there_twice_is_told_of(tmp_path: Path) -> None:
    """One seed of one recipe is one run, whatever its folder is called."""
    result = _compared(
        _run(tmp_path / "a", _score(1.0)), _run(tmp_path / "b", _score(1.0))
    )
    (remark,) = result.remarks
    assert remark.startswith("a, b: some have one seed")


def test_a_score_that_is_not_finite_is_a_problem(tmp_path: Path) -> None:
    """It is in no mean, and in no JSON as a number."""
    result = _compared(
        _run(tmp_path / "a", _score(None)), _run(tmp_path / "b", _score(2.0), seed=1)
    )
    (group,) = result.groups
    assert group.spread(result.columns[0]) == Spread((2.0,))
    assert group.problems == {"not finite: kid[net@1]": "seed 0"}
    assert "2 (n = 1 of 2)" in text(result)[1]
    told = json.loads(json.dumps(as_json(result), allow_nan=False))
    assert [r["scores"] for r in told["groups"][0]["runs"]] == [[None], [2.0]]


def test_json_has_every_number(tmp_path: Path) -> None:
    """With what tells groups apart, and every seed."""
    result = _compared(
        _run(tmp_path / "a", _score(1.0)), _run(tmp_path / "b", _score(3.0), seed=1)
    )
    told = as_json(result)
    assert told["columns"] == [
        {
            "name": "kid",
            "title": "kid[net@1]",
            "samples": 100,
            "split": "test",
            "best": False,
            "better": "lower",
        }
    ]
    (group,) = told["groups"]
    assert group["scores"] == [
        {
            "n": 2,
            "mean": 2.0,
            "deviation": pytest.approx(2**0.5),
            "lowest": 1.0,
            "highest": 3.0,
        }
    ]
    assert [(r["seed"], r["scores"]) for r in group["runs"]] == [(0, [1.0]), (1, [3.0])]


def test_a_page_shows_each_seed_as_a_dot(tmp_path: Path) -> None:
    """Two dots and a bar in one row; nothing that a stranger wrote is markup."""
    result = _compared(
        _run(tmp_path / "a", _score(1.0, title="<i>")),
        _run(tmp_path / "b", _score(3.0, title="<i>"), seed=1),
    )
    made = page(result, "two & more")
    assert made.count("<use ") >= 3
    assert "<i>" not in made.replace('<i style="', "")
    assert "two &amp; more" in made
    assert "2 ± 1.414 (1 to 3, n = 2)" in made


def test_a_picture_is_a_png(tmp_path: Path) -> None:
    """Higher with more groups; the same each time."""
    one = _run(tmp_path / "a", _score(1.0))
    two = _run(tmp_path / "b", _score(2.0), **{"loss.use": "minimax"})
    low, high = picture(_compared(one)), picture(_compared(one, two))
    sizes = [Image.open(io.BytesIO(made)).size for made in (low, high)]
    assert sizes[0][0] == sizes[1][0]
    assert sizes[0][1] < sizes[1][1]
    assert picture(_compared(one)) == low


def test_the_command_writes_what_is_asked_for(tmp_path: Path, capsys: Capture) -> None:
    """A table, JSON, and a file of either kind."""
    folders = [
        str(_run(tmp_path / "a", _score(1.0))),
        str(_run(tmp_path / "b", _score(3.0), **{"noise.size": 3})),
    ]
    assert run(["compare", *folders]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["RUNS", "noise.size", "↓"]
    assert lines[1].split()[:3] == ["1", "a", "2"]
    for name in ("made.html", "made.png"):
        path = str(tmp_path / name)
        assert run(["compare", *folders, "-o", path, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["file"] == path
        assert (tmp_path / name).stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["gone"], "'gone' does not exist: it has no recipe.toml"),
        (["bare"], "bare: no checkpoint yet; train it first"),
        (["saved"], "saved: no scores; run `gankit evaluate saved` first"),
        (["good", "good"], "'good' is there twice; name each run once"),
        (["good", "-o", "x.pdf"], "'x.pdf' is neither .html nor .png"),
        (["good", "-o", "there.html"], "the file 'there.html' exists; name another"),
        (["good", "--out", "x"], "--out is for a grid of recipes; name one with --gr"),
        (["good", "--metric", "kid"], "--metric is for a grid of recipes"),
        (["broken"], "is not what `gankit evaluate` writes"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    arguments: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    """With exit code 2, one reason, and the next move."""
    monkeypatch.chdir(tmp_path)
    _run(Path("good"), _score(1.0))
    _run(Path("bare"))
    (_run(Path("saved")) / "checkpoints" / "00000006").mkdir(parents=True)
    (_run(Path("broken")) / "scores.json").write_text("{", "utf-8")
    Path("there.html").touch()
    assert run(["compare", *arguments]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""


def test_a_run_without_scores_is_a_row_beside_one_that_has_them(
    tmp_path: Path, capsys: Capture
) -> None:
    """With what is to be done."""
    good = _run(tmp_path / "good", _score(1.0))
    bare = _run(tmp_path / "bare", **{"noise.size": 3})
    assert run(["compare", str(good), str(bare)]) == 0
    assert "2: bare: no checkpoint yet; train it first" in capsys.readouterr().out
