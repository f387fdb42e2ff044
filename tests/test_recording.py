"""What a hook measures: in which line it is, and which checkpoint it makes the best."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gankit.cli import run
from sites import HEAD
from test_docs import DOCS, blocks
from tiny import metrics

WriteFile = Callable[[str, str], Path]

RECORD = next(b.text for b in blocks(DOCS / "hooks.md") if b.file == "my_record.py")

LONG = ["train.steps=300", "train.sample_every=0", "train.checkpoint_every=0"]


def _measured(name: str, folder: str = "run") -> dict[int, float]:
    """Return the values of a measurement by the steps of the lines that hold it."""
    return {m["step"]: m[name] for m in metrics(Path(folder)) if name in m}


def _train(recipe: str, plugin: Path, *overrides: str, out: str = "run") -> int:
    return run(["train", recipe, *overrides, "--plugin", str(plugin), "--out", out])


def test_what_the_documented_hook_measures_is_in_the_line_of_its_step(
    recipe: str, plugin_file: WriteFile
) -> None:
    """The lowest loss so far, which the lines of these steps tell as well."""
    path = plugin_file("my_record.py", RECORD)
    options = [*LONG, "train.log_every=50", "train.checkpoint_every=100"]
    options += ["train.best=lowest", "train.keep=1"]
    assert _train(recipe, path, *options) == 0
    losses = _measured("loss/generator")
    assert list(losses) == [50, 100, 150, 200, 250, 300]
    seen = [losses[step] for step in (100, 200, 300)]
    assert _measured("lowest") == {100 * n: min(seen[:n]) for n in (1, 2, 3)}
    best = 100 * (1 + seen.index(min(seen)))
    kept = sorted(int(path.name) for path in Path("run/checkpoints").iterdir())
    assert kept == sorted({best, 300})


def test_what_is_measured_between_two_lines_is_in_the_second(
    recipe: str, plugin_file: WriteFile
) -> None:
    """The documented hook measures at 100, 200 and 300, and a line comes every 70."""
    path = plugin_file("my_record.py", RECORD)
    assert _train(recipe, path, *LONG, "train.log_every=70") == 0
    assert list(_measured("loss/generator")) == [70, 140, 210, 280, 300]
    assert list(_measured("lowest")) == [140, 210, 300]


SCORE = """
@hookimpl{marked}
def {hook}(run):
    run.measure("score", {{1: 3.0, 2: 1.0, 3: float("nan"), 4: 2.0}}[run.step])
"""


@pytest.mark.parametrize(
    ("hook", "marked"),
    [
        ("gankit_after_step", ""),
        ("gankit_after_step", "(tryfirst=True)"),
        ("gankit_after_step", "(trylast=True)"),
        ("gankit_on_samples", ""),
    ],
)
def test_a_score_is_in_its_line_and_chooses_the_checkpoint_of_its_step(
    hook: str, marked: str, recipe: str, plugin_file: WriteFile
) -> None:
    """However its hook is marked; what is no number is null, and never the best."""
    code = HEAD + SCORE.format(hook=hook, marked=marked)
    path = plugin_file("acme_score.py", code)
    every = [f"train.{name}_every=1" for name in ("log", "sample", "checkpoint")]
    options = [*every, "train.steps=4", "train.keep=1", "train.best=score"]
    assert _train(recipe, path, *options) == 0
    assert _measured("score") == {1: 3.0, 2: 1.0, 3: None, 4: 2.0}
    kept = sorted(int(path.name) for path in Path("run/checkpoints").iterdir())
    assert kept == [2, 4]


LATE = """
import os


@hookimpl
def gankit_after_step(run):
    run.measure("each", run.step)
    assert run.step != int(os.environ.get("FAIL_AT", "0")), "no chip"


@hookimpl
def gankit_on_checkpoint(run):
    run.measure("of checkpoint", run.step)


@hookimpl
def gankit_after_run(run):
    run.measure("of run", run.step)
"""


@pytest.fixture
def late(recipe: str, plugin_file: WriteFile) -> Callable[..., int]:
    """Give what trains six steps, with lines of 4 and 6 and checkpoints of 3 and 6."""
    path = plugin_file("acme_late.py", HEAD + LATE)
    options = ["train.log_every=4", "train.checkpoint_every=3"]
    return lambda out: _train(recipe, path, *options, out=out)


def _names(folder: str) -> list[tuple[int, dict[str, float]]]:
    ours = ("each", "of checkpoint", "of run")
    return [
        (line["step"], {k: line[k] for k in ours if k in line})
        for line in metrics(Path(folder))
    ]


def test_what_is_measured_after_the_line_of_its_step_gets_one_of_its_own(
    late: Callable[..., int],
) -> None:
    """With what waits for a line, so that nothing is told twice, or never."""
    assert late(out="run") == 0
    assert _names("run") == [
        (3, {"each": 3, "of checkpoint": 3}),
        (4, {"each": 4}),
        (6, {"each": 6}),
        (6, {"of checkpoint": 6}),
        (6, {"of run": 6}),
    ]


@pytest.mark.parametrize("failing", [4, 5, 6])
def test_a_resumed_run_has_the_lines_of_one_that_never_stopped(
    failing: int, late: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of what hooks have measured, when it goes on from the checkpoint of 3."""
    assert late(out="whole") == 0
    monkeypatch.setenv("FAIL_AT", str(failing))
    assert late(out="parted") == 1
    monkeypatch.delenv("FAIL_AT")
    shutil.rmtree(f"parted/checkpoints/{failing:08d}")
    assert run(["resume", "parted"]) == 0
    assert metrics(Path("parted")) == metrics(Path("whole"))


def test_tensorboard_has_what_hooks_measure_at_its_own_step(
    late: Callable[..., int],
) -> None:
    """Once each, whether the step is logged or not."""
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing import event_accumulator

    assert late(out="run") == 0
    events = event_accumulator.EventAccumulator("run").Reload()
    points = {
        name: [(point.step, point.value) for point in events.Scalars(name)]
        for name in ("each", "of checkpoint", "of run", "loss/generator")
    }
    assert points["each"] == [(step, step) for step in (1, 2, 3, 4, 5, 6)]
    assert points["of checkpoint"] == [(3, 3), (6, 6)]
    assert points["of run"] == [(6, 6)]
    assert [step for step, _ in points["loss/generator"]] == [4, 6]
