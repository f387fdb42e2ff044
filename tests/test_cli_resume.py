"""``gankit resume``, and everything that ends a run before its time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from gankit.cli import run
from sites import HEAD, yields
from tiny import CAPTIONED, LABELLED, metrics, tree, without, write

Capture = pytest.CaptureFixture[str]
WriteFile = Callable[[str, str], Path]


RESUMED = {
    "labelled": LABELLED,
    "captioned": CAPTIONED,
    "two updates": {
        **without(LABELLED, "conditioner", "penalties"),
        "train": {**LABELLED["train"], "discriminator_updates": 2, "ema": 0},
    },
}


@pytest.mark.parametrize("case", RESUMED)
def test_a_resumed_run_is_the_run_that_never_stopped(case: str, tmp_path: Path) -> None:
    """Bit for bit: weights, optimisers, average, metrics and pictures."""
    recipe = write(tmp_path, RESUMED[case])
    whole, parted = str(tmp_path / "whole"), str(tmp_path / "parted")
    assert run(["train", recipe, "--out", whole]) == 0
    assert run(["train", recipe, "train.steps=3", "--out", parted]) == 0
    assert run(["resume", parted, "train.steps=6"]) == 0
    assert metrics(Path(parted)) == metrics(Path(whole))
    for part in ("checkpoints/00000006", "samples"):
        here, there = (tree(Path(folder, part)) for folder in (whole, parted))
        assert there == here


def test_a_finished_run_that_is_resumed_stays_as_it_was(
    recipe: str, capsys: Capture
) -> None:
    """There is nothing left to do, and nothing is done twice."""
    assert run(["train", recipe]) == 0
    before = metrics(Path("runs/tiny-1"))
    assert run(["resume", "runs/tiny-1"]) == 0
    assert metrics(Path("runs/tiny-1")) == before
    assert "done: 6 steps" in capsys.readouterr().out


def test_a_resumed_run_keeps_what_was_overridden(recipe: str, capsys: Capture) -> None:
    """To resume it once more needs no second telling."""
    assert run(["train", recipe, "train.steps=2"]) == 0
    assert run(["resume", "runs/tiny-1", "train.steps=4"]) == 0
    assert run(["resume", "runs/tiny-1", "--json"]) == 0
    *_, first, last = capsys.readouterr().out.splitlines()
    assert json.loads(first)["steps"] == json.loads(last)["step"] == 4


def test_lines_that_a_resumed_run_writes_again_are_dropped(recipe: str) -> None:
    """Those after the checkpoint, and a last line that was cut off."""
    assert run(["train", recipe, "train.steps=5", "train.checkpoint_every=2"]) == 0
    folder = Path("runs/tiny-1")
    for file in (folder / "checkpoints" / "00000005").iterdir():
        file.unlink()
    with (folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"step": 6, "loss/gen')
    assert run(["resume", "runs/tiny-1", "train.steps=6"]) == 0
    assert [line["step"] for line in metrics(folder)] == [1, 2, 3, 4, 5, 6]


def test_a_damaged_checkpoint_is_named_and_passed_over(
    recipe: str, capsys: Capture
) -> None:
    """The user learns what was lost, in words and in JSON."""
    assert run(["train", recipe]) == 0
    weights = Path("runs/tiny-1/checkpoints/00000006/weights.safetensors")
    for arguments in ([], ["--json"]):
        weights.write_bytes(weights.read_bytes()[:-1])
        capsys.readouterr()
        assert run(["resume", "runs/tiny-1", *arguments]) == 0
        captured = capsys.readouterr()
        said = captured.err + captured.out
        assert "00000006' is damaged: weights.safetensors is not what was writ" in said
        assert "going on from runs/tiny-1/checkpoints/00000004" in said
    weights.unlink()
    assert run(["sample", "runs/tiny-1"]) == 0
    assert "00000006' is damaged: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["generator.hidden=[9]"], "generator: 3 tensors differ"),
        (
            ["loss.use=least-squares"],
            "loss: the checkpoint has gankit-losses/hinge ",
        ),
        (["optimizer.use=SGD"], "optimizer.discriminator: the checkpoint has amsgrad"),
        (["conditioner=none"], "conditioner: the checkpoint has gankit-conditioners/l"),
        (["train.ema=0"], "average"),
        (["loss.use=hinj"], "no loss named 'hinj'"),
    ],
)
def test_a_run_cannot_go_on_with_other_parts(
    overrides: list[str], said: str, labelled: str, capsys: Capture
) -> None:
    """It is refused with what differs, and the run is untouched."""
    before = tree(Path(labelled))
    assert run(["resume", labelled, *overrides]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert "Traceback" not in captured.err
    assert tree(Path(labelled)) == before


def _wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    limit = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < limit, "training did not begin"
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_step_saves_and_says_how_to_resume(
    number: signal.Signals, recipe: str
) -> None:
    """From another process, as from a terminal; then the run goes on from there."""
    table = {**LABELLED, "train": {**LABELLED["train"], "checkpoint_every": 0}}
    write(Path(), table)
    arguments = ["train", recipe, "train.steps=10_000_000", "--out", "run"]
    process = subprocess.Popen(
        [sys.executable, "-m", "gankit", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    measured = Path("run/metrics.jsonl")
    _wait_for(lambda: measured.exists() and measured.stat().st_size > 999, process)
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"stopped by {number.name} at step " in out
    assert "and saved; go on with `gankit resume run`" in out
    (saved,) = Path("run/checkpoints").iterdir()
    done = int(saved.name)
    assert metrics(Path("run"))[-1]["step"] == done
    assert run(["resume", "run", f"train.steps={done + 3}"]) == 0
    assert [line["step"] for line in metrics(Path("run"))] == [*range(1, done + 4)]


def test_an_interruption_before_training_leaves_nothing(
    recipe: str, plugin_file: WriteFile, capsys: Capture
) -> None:
    """Exit code 1, no traceback, no folder."""
    interrupt = "def slow():\n    raise KeyboardInterrupt\n"
    path = plugin_file("slow.py", interrupt + yields("Part('dataset', 'slow', slow)"))
    assert run(["train", recipe, "dataset.use=slow", "--plugin", str(path)]) == 1
    said = capsys.readouterr().err.strip()
    assert said == "stopped at once; what was saved before is kept"
    assert not Path("runs").exists()


def test_a_second_signal_stops_at_once(recipe: str, plugin_file: WriteFile) -> None:
    """As one who presses Ctrl-C twice expects."""
    hook = (
        "import signal\n@hookimpl\ndef gankit_after_step(run):\n"
        "    for _ in range(2):\n        signal.raise_signal(signal.SIGINT)\n"
    )
    path = plugin_file("impatient.py", HEAD + hook)
    # what runs in the background may have been told to ignore it
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert run(["train", recipe, "--plugin", str(path)]) == 1
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert not list(Path("runs/tiny-1/checkpoints").iterdir())


def test_an_optimisers_option_can_be_changed_on_resumption(recipe: str) -> None:
    """The checkpoint's own options give way to those that were asked for."""
    assert run(["train", recipe, "train.steps=2"]) == 0
    assert run(["resume", "runs/tiny-1", "train.steps=3", "optimizer.lr=0.0"]) == 0
    folders = sorted(Path("runs/tiny-1/checkpoints").iterdir())
    before, after = (load_file(f / "weights.safetensors") for f in folders)
    played = [name for name in before if not name.startswith("average/")]
    assert len(played) > 4
    assert all(torch.equal(before[name], after[name]) for name in played)
