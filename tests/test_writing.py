"""What is written while the game plays on: nothing of it moves, nothing is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import wait
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch

import gankit
from games import make_assembly
from gankit.errors import HookError, RunError
from gankit.runs import checkpoint
from gankit.runs.states import copied
from gankit.runs.writing import Writer
from tiny import tree

STEPS = {"steps": 6, "checkpoint_every": 2, "sample_every": 3, "keep": 9}


class Gate:
    """Holds back what saves a checkpoint until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened, self.threads = threading.Event(), list[str]()
        self._save: Callable[..., Path] = checkpoint.save
        monkeypatch.setattr(checkpoint, "save", self)

    def __call__(self, *args: Any) -> Path:
        """Save, when the gate is open."""
        self.threads.append(threading.current_thread().name)
        assert self.opened.wait(20)
        return self._save(*args)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    """Give a gate before each checkpoint."""
    return Gate(monkeypatch)


def _saved(folder: Path) -> list[int]:
    return [int(path.name) for path in checkpoint.all_in(folder / "checkpoints")]


def test_the_game_plays_on_while_a_checkpoint_is_written(
    gate: Gate, tmp_path: Path
) -> None:
    """Until the next is due; what is written is of the step that it is of."""
    plain, out = tmp_path / "plain", tmp_path / "out"
    train = STEPS | {"sample_every": 0}
    gate.opened.set()
    gankit.train(make_assembly(train=train), out=plain)
    gate.opened.clear()
    with gankit.starting(make_assembly(train=train), out=out) as run:
        for report in run.steps():
            if report.step == 3:
                assert _saved(out) == []
                gate.opened.set()
    assert {name.partition("-")[0] for name in gate.threads} == {"gankit writes_0"}
    assert _saved(out) == [2, 4, 6]
    for step in (2, 4, 6):
        name = f"checkpoints/{step:08d}"
        assert tree(out / name) == tree(plain / name)


def test_one_thing_is_written_at_a_time() -> None:
    """Who asks for the next waits, so that one copy at most is held."""
    writer, begun, go = Writer(), threading.Event(), threading.Event()
    done: list[int] = []

    def first() -> None:
        begun.set()
        assert go.wait(20)
        done.append(1)

    writer.do(first)
    assert begun.wait(20)
    writer.look()  # does not wait
    assert done == []
    threading.Timer(0.05, go.set).start()
    writer.do(lambda: done.append(2))
    assert done[0] == 1
    writer.wait()
    assert done == [1, 2]


def test_what_could_not_be_written_is_raised_once() -> None:
    """Where the writer is asked next; or noted, where something else has failed."""

    def fail() -> None:
        raise RunError("cannot write")

    for asked in (Writer.wait, lambda w: w.do(lambda: None)):
        writer = Writer()
        writer.do(fail)
        with pytest.raises(RunError, match="cannot write"):
            asked(writer)
        writer.wait()
    writer = Writer()
    writer.do(fail)
    other = ValueError("first")
    writer.finish(other)
    assert other.__notes__ == ["cannot write"]
    writer.look()


def _play_slowly(out: Path, steps: list[int]) -> None:
    """Play, and let everything be written before the next step; note the steps."""
    with gankit.starting(make_assembly(train=STEPS), out=out) as run:
        for report in run.steps():
            steps.append(report.step)
            wait([run.writer._doing] if run.writer._doing else [])


def test_a_disk_that_is_full_ends_the_run_at_the_next_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or at the end, where no step follows; what was saved before is whole."""
    save = checkpoint.save

    def full(folder: Path, held: checkpoint.Content) -> Path:
        if held.step == failing:
            raise RunError("cannot write: the disk is full")
        return save(folder, held)

    monkeypatch.setattr(checkpoint, "save", full)
    for failing in (2, 4, 6):
        out = tmp_path / f"{failing}"
        steps: list[int] = []
        with pytest.raises(RunError, match="the disk is full"):
            _play_slowly(out, steps)
        assert steps == [*range(1, failing + 1)]
        assert _saved(out) == [step for step in (2, 4) if step < failing]


class Told:
    """A hook that is told of checkpoints, and measures the run's own weights."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, str, str, bool]] = []

    @gankit.hookimpl
    def gankit_on_checkpoint(self, run: gankit.Run, path: str) -> None:
        """Note where it was called, and whether all was there."""
        thread = threading.current_thread().name
        whole = checkpoint.read(Path(path)).step == run.step
        self.seen.append((run.step, Path(path).name, thread, whole))
        run.measure("seen", run.step)


def test_a_hook_is_told_of_a_checkpoint_in_the_step_that_it_is_of(
    tmp_path: Path,
) -> None:
    """In the thread that plays, when all of it is there: what it measures belongs."""
    told = Told()
    here = threading.current_thread().name
    run = gankit.train(
        make_assembly(train=STEPS), out=tmp_path / "run", watchers={"told": told}
    )
    assert told.seen == [(step, f"{step:08d}", here, True) for step in (2, 4, 6)]
    assert run.measured["seen"] == (6, 6.0)


def test_what_a_hook_saves_is_there_when_it_returns(tmp_path: Path) -> None:
    """Though another one was being written."""
    seen: list[tuple[int, list[int]]] = []

    class Saves:
        @gankit.hookimpl
        def gankit_after_step(self, run: gankit.Run) -> None:
            if run.step in (3, 5):
                path = run.save()
                assert path is not None
                assert checkpoint.read(path).step == run.step
                seen.append((run.step, _saved(tmp_path / "run")))

    gankit.train(
        make_assembly(train=STEPS), out=tmp_path / "run", watchers={"x": Saves()}
    )
    assert seen == [(3, [2, 3]), (5, [2, 3, 4, 5])]


class Ends:
    """A hook that ends a run in step 3, while a checkpoint waits for its gate."""

    def __init__(self, gate: Gate, error: Exception | None) -> None:
        self.gate, self.error = gate, error

    @gankit.hookimpl
    def gankit_after_step(self, run: gankit.Run) -> None:
        """Leave, or raise."""
        if run.step == 3:
            threading.Timer(0.05, self.gate.opened.set).start()
            if self.error is not None:
                raise self.error
            run.leave()


@pytest.mark.parametrize("error", [None, ValueError("a hook")])
def test_whoever_leaves_or_fails_waits_for_what_is_written(
    error: Exception | None, gate: Gate, tmp_path: Path
) -> None:
    """The checkpoint of before is whole then, and so is the last one."""
    out, ends = tmp_path / "run", {"ends": Ends(gate, error)}
    with nullcontext() if error is None else pytest.raises(HookError):
        gankit.train(make_assembly(train=STEPS), out=out, watchers=ends)
    assert _saved(out) == [2, 3]
    assert not list((out / "checkpoints").glob(".*"))


def test_a_copy_shares_nothing_with_what_goes_on() -> None:
    """Tensors, tables, lists and sets within each other, and of their own kinds."""
    state: dict[str, Any] = {
        "moments": [torch.ones(2), (torch.zeros(1), 3)],
        "seen": {"a": {1, 2}},
    }
    held = copied(state)
    state["moments"][0].add_(1)
    state["moments"][1][0].add_(1)
    state["seen"]["a"].add(3)
    state["moments"].append(4)
    state["later"] = 1
    assert held.keys() == {"moments", "seen"}
    assert [held["moments"][0].tolist(), held["moments"][1][0].tolist()] == [
        [1.0, 1.0],
        [0.0],
    ]
    assert len(held["moments"]) == 2
    assert held["seen"] == {"a": {1, 2}}
