"""What docs/policy.md promises: how something goes, and runs of older versions."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path

import pytest
import torch
from packaging.version import Version
from safetensors.torch import load_file

import gankit
from gankit.cli import run, told_in_a_line
from tiny import tree

RECORDED = Path(__file__).parent / "recorded" / "0.1"


def test_what_a_user_has_to_change_is_said_in_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Not as Python does, with a path and a line of somebody's code; once for each."""
    with warnings.catch_warnings(record=True) as others, told_in_a_line():
        warnings.simplefilter("default")
        for category in (FutureWarning, FutureWarning, DeprecationWarning):
            warnings.warn(f"{category.__name__}: write new", category, stacklevel=1)
    assert capsys.readouterr().err == "warning: FutureWarning: write new\n"
    assert [other.category for other in others] == [DeprecationWarning]


def test_a_library_s_own_warning_says_where_it_comes_from(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A plugin's does not, nor the core's, where they are installed beside it."""
    files = [
        f"/v/lib/python3/site-packages/{name}"
        for name in ("torch/hub.py", "gankit_losses/hinge.py", "gankit/recipe/using.py")
    ]
    with warnings.catch_warnings(record=True) as others, told_in_a_line():
        warnings.simplefilter("always")
        for file in [*files, "<attrs generated methods my_loss.Soft>", "my_loss.py"]:
            warnings.warn_explicit("write\n  new", FutureWarning, file, 1)
    assert capsys.readouterr().err == "warning: write new\n" * 4
    assert [other.filename for other in others] == files[:1]


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """Give a copy of the run that 0.1 has recorded."""
    manifest = next(RECORDED.glob("checkpoints/*/manifest.json"))
    there = json.loads(manifest.read_text("utf-8"))["versions"]["torch"]
    if Version(torch.__version__) < Version(there):
        pytest.skip(f"torch {there} has recorded options that this one does not have")
    return shutil.copytree(RECORDED, tmp_path / "run")


def test_a_run_of_0_1_draws_what_it_drew(recorded: Path) -> None:
    """Its weights, moving average, conditions and range are read as they were meant."""
    drawn = gankit.load(recorded, device="cpu").sample(6, seed=3).samples
    torch.testing.assert_close(
        drawn, load_file(recorded / "drawn.safetensors")["drawn"]
    )


def test_a_run_of_0_1_goes_on(recorded: Path) -> None:
    """To the steps that its recipe has, and to more."""
    before = (recorded / "metrics.jsonl").read_text("utf-8").splitlines()
    run = gankit.resume(recorded, {"train.steps": 14})
    assert run.step == 14
    lines = (recorded / "metrics.jsonl").read_text("utf-8").splitlines()
    assert lines[: len(before)] == before
    assert json.loads(lines[-1])["step"] == 14


def test_a_run_of_another_version_is_refused_in_words_and_kept(
    recorded: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The error names both versions, and what to install."""
    before = tree(recorded)
    monkeypatch.setattr("gankit.runs.restoring.core_version", lambda: "0.3.1")
    assert run(["resume", str(recorded), "train.steps=14"]) == 2
    told = capsys.readouterr().err
    assert "gankit: the checkpoint is of version 0.1.0, and 0.3.1 is installed" in told
    assert "install a version that begins alike" in told
    assert "Traceback" not in told
    assert tree(recorded) == before
