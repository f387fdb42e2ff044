"""Runs of a folder: how each is, and what of them can be seen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import orjson
import pytest
import tomli_w

import gankit
from gankit.cli import run as command
from gankit_board import marks
from gankit_board.found import Found, Library
from gankit_board.groups import grouped
from gankit_board.recipes import differences, missing
from tiny import CAPTIONED, LABELLED, write


def _run(folder: Path, steps: int = 10, done: int = 4, old: float = 0.0) -> Found:
    folder.mkdir(parents=True)
    table = {"train": {"steps": steps}, "provenance": {"recipe": "tiny"}}
    (folder / "recipe.toml").write_text(tomli_w.dumps(table))
    lines = [{"seconds": i / 2, "step": i} for i in range(1, done + 1)]
    (folder / "metrics.jsonl").write_text("".join(f"{json.dumps(x)}\n" for x in lines))
    then = time.time() - old
    for path in folder.iterdir():
        os.utime(path, (then, then))
    return Found(folder.name, folder)


def _state(run: Found) -> str:
    run.renew()
    return run.state()[0]


def _gone() -> marks.Mark:
    ended = subprocess.Popen([sys.executable, "-c", "pass"])
    ended.wait()
    here = marks.Mark("playing", host=os.uname().nodename, pid=ended.pid, born=1)
    assert not here.alive
    return here


def test_states_of_runs_without_a_mark(tmp_path: Path) -> None:
    """What metrics alone tell: finished, written to lately, or not."""
    assert _state(_run(tmp_path / "a", done=10, old=9999)) == "finished"
    assert _state(_run(tmp_path / "b", old=5)) == "running"
    assert _state(_run(tmp_path / "c", old=9999)) == "stopped"


def test_states_of_runs_with_a_mark(tmp_path: Path) -> None:
    """What the run has said, and whether its process is there and writes."""
    alive = marks.Mark(
        "playing", host=os.uname().nodename, pid=os.getpid(), born=_born(), total=10
    )
    assert alive.alive
    for name, mark, old, state in (
        ("a", alive, 1, "running"),
        ("b", alive, 9999, "stalled"),
        ("c", _gone(), 1, "stopped"),
        ("d", marks.Mark("failed", "ValueError: no"), 1, "failed"),
        ("e", marks.Mark("stopped", "SIGINT"), 1, "stopped"),
        ("f", marks.Mark("finished"), 9999, "finished"),
        ("g", marks.Mark("playing", host="another machine", pid=1), 5, "running"),
    ):
        run = _run(tmp_path / name, old=old)
        marks.write(run.folder, mark)
        assert _state(run) == state, name


def _born() -> int:
    words = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    return int(words[19])


@pytest.mark.parametrize(
    "text", ["", "[]", '{"state": 3}', '{"state": "x", "pid": "1"}']
)
def test_a_mark_that_is_none_is_passed_over(tmp_path: Path, text: str) -> None:
    """Somebody else's file of that name, or half of one."""
    (tmp_path / marks.NAME).write_text(text)
    assert marks.read(tmp_path) is None


def test_a_run_says_how_it_is(tmp_path: Path) -> None:
    """While it plays, when it is stopped, when it has finished, and when it fails."""
    out = tmp_path / "run"
    with gankit.starting(LABELLED, out=out) as run:
        for report in run.steps():
            mark = marks.read(out)
            assert mark is not None
            assert (mark.state, mark.alive, mark.total) == ("playing", True, 6)
            if report.step == 2:
                run.stop("enough")
    mark = marks.read(out)
    assert mark is not None
    assert (mark.state, mark.said, mark.step) == ("stopped", "enough", 2)
    gankit.resume(out)
    mark = marks.read(out)
    assert mark is not None
    assert (mark.state, mark.step) == ("finished", 6)

    class Failing:
        @gankit.hookimpl
        def gankit_after_step(self) -> None:
            raise ValueError("not today")

    with pytest.raises(Exception, match="not today"):
        gankit.train(LABELLED, out=tmp_path / "b", watchers={"failing": Failing()})
    mark = marks.read(tmp_path / "b")
    assert mark is not None
    assert mark.state == "failed"
    assert "not today" in mark.said


def test_training_says_how_to_watch_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one line, for people and for scripts."""
    monkeypatch.chdir(tmp_path)
    recipe = write(tmp_path, LABELLED)
    assert command(["train", recipe, "train.steps=1"]) == 0
    said = capsys.readouterr().err
    assert said.count("gankit board") == 1
    assert "watch it with `gankit board runs`" in said
    assert command(["train", recipe, "train.steps=1", "--json"]) == 0
    first = json.loads(capsys.readouterr().out.splitlines()[0])
    assert "watch it with `gankit board runs`" in first["notes"]


def test_a_folder_that_cannot_be_written_costs_a_run_nothing(tmp_path: Path) -> None:
    """Its mark is left out."""
    marks.write(tmp_path / "vanished", marks.Mark("playing"))
    assert not (tmp_path / "vanished").exists()


def test_runs_are_found_below_and_forgotten(tmp_path: Path) -> None:
    """In folders of grids too; hidden ones are not, nor what lies elsewhere."""
    root = tmp_path / "runs"
    for name in ("a", "grid/b", "grid/deep/c", ".hidden", "a/inside"):
        _run(root / name)
    _run(tmp_path / "elsewhere")
    (root / "link").symlink_to(tmp_path / "elsewhere")
    (root / "own").symlink_to(root / "a")
    library = Library(root)
    library.find()
    library.renew()
    assert {run.name for run in library} == {"a", "grid/b", "grid/deep/c", "own"}
    (root / "a" / "recipe.toml").unlink()
    assert library.get("a") is None
    library.find()
    library.renew()
    assert {run.name for run in library} == {"grid/b", "grid/deep/c", "a/inside"}


def test_a_run_whose_recipe_is_broken_is_shown(tmp_path: Path) -> None:
    """With what is wrong."""
    run = _run(tmp_path / "runs" / "a")
    (run.folder / "recipe.toml").write_text("[train")
    run.renew()
    assert "recipe.toml cannot be read" in run.told()["why"]


def test_a_picture_that_is_half_written_is_not_there_yet(tmp_path: Path) -> None:
    """Only the last one can be."""
    gankit.train(CAPTIONED, out=tmp_path / "run")
    run = Found("run", tmp_path / "run")
    assert list(run.grids()) == [3, 6]
    whole = (run.folder / "samples" / "00000006.png").read_bytes()
    (run.folder / "samples" / "00000009.png").write_bytes(whole[:-40])
    assert list(run.grids()) == [3, 6]
    (run.folder / "samples" / "00000009.png").write_bytes(whole)
    assert list(run.grids()) == [3, 6, 9]


@pytest.mark.parametrize("text", ["", "[]", '{"scores": 3}', '{"scores": [1]}'])
def test_scores_are_told(tmp_path: Path, text: str) -> None:
    """As they were measured; of what is none, nothing."""
    run = _run(tmp_path / "a")
    assert run.scores() == []
    score = {"title": "kid", "value": 0.01, "better": "lower", "step": 3}
    (run.folder / "scores.json").write_text(json.dumps({"scores": [score]}))
    assert run.scores() == [
        score | dict.fromkeys(("spread", "error", "samples", "split"))
    ]
    (run.folder / "scores.json").write_text(text)
    assert run.scores() == []


def test_differences_are_told_by_their_options() -> None:
    """Options of a part that is another one follow from that."""

    def table(loss: dict[str, Any], lr: float) -> dict[str, Any]:
        return {"loss": loss, "optimizer": {"lr": lr}, "provenance": {"recipe": "x"}}

    mine = table({"use": "hinge", "margin": 1.0}, 0.1)
    named = table({"use": "minimax"}, 0.2)
    assert differences(mine, named) == [
        {"option": "loss.use", "run": "hinge", "named": "minimax"},
        {"option": "optimizer.lr", "run": 0.1, "named": 0.2},
    ]
    assert differences(mine, mine) == []


def test_plugins_that_are_not_here_are_named() -> None:
    """Those of parts; not local files, which stand in the recipe."""
    parts = {
        "loss": "gankit-losses/hinge 0.1.0",
        "generator": "acme-networks/big 2.0",
        "dataset": "my_data.py/mine /home/me/my_data.py",
    }
    table = {"provenance": {"parts": parts}, "plugins": ["/home/me/my_data.py"]}
    assert missing(table) == ["acme-networks"]


def test_measurements_are_grouped() -> None:
    """Each stands in one group; what nobody knows, by its prefix."""
    names = ["loss/generator", "AUC", "mine/a", "mine/b", "loss/discriminator", "kid"]
    groups = grouped(names)
    assert [(g.title, g.names) for g in groups] == [
        ("Losses", ("loss/discriminator", "loss/generator")),
        ("AUC", ("AUC",)),
        ("mine", ("mine/a", "mine/b")),
        ("kid", ("kid",)),
    ]


@pytest.mark.parametrize("pid", [-1, 0, 999_999_999])
def test_a_mark_of_no_process_is_not_alive(pid: int) -> None:
    """A signal to some numbers would reach many processes, or our own."""
    assert not marks.Mark("playing", host=os.uname().nodename, pid=pid).alive


def test_one_odd_run_hides_no_other(tmp_path: Path) -> None:
    """Whatever stands in its files, or however deep: all are told, as JSON."""
    _run(tmp_path / "good")
    deep = "[" * 100_000
    harms: dict[str, tuple[str, str]] = {
        "deep": ("board.json", deep),
        "far": ("metrics.jsonl", '{"seconds": 1, "step": 9223372036854775808}\n'),
        "long": ("recipe.toml", f"[train]\nsteps = {10**20}\n"),
        "nested": ("recipe.toml", f"a = {deep}"),
        "much": ("board.json", json.dumps({"state": "finished", "total": 10**30})),
    }
    for name, (file, text) in harms.items():
        run = _run(tmp_path / name)
        (run.folder / file).write_text(text)
    circle = _run(tmp_path / "circle").folder / "metrics.jsonl"
    circle.unlink()
    circle.symlink_to(circle)
    grids = _run(tmp_path / "grids").folder / "samples"
    grids.mkdir()
    (grids / f"{'9' * 25}.png").write_bytes(b"")
    (tmp_path / "caf\udce9").mkdir()
    library = Library(tmp_path)
    library.find()
    library.renew()
    told = {run.name: run.told() for run in library}
    orjson.dumps(list(told.values()))
    assert told["good"]["step"] == 4
    assert {*harms, "grids"} <= told.keys()
    assert told["long"]["total"] == 0
