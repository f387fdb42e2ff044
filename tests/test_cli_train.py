"""``gankit train``: what it writes, and what it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest

from gankit.cli import progress, run
from sites import HEAD, yields
from tiny import metrics

Capture = pytest.CaptureFixture[str]
WriteFile = Callable[[str, str], Path]


def test_a_run_folder_holds_recipe_metrics_samples_and_checkpoints(
    labelled: str,
) -> None:
    """A line for each logged step, a grid for each sampled, the newest two saved."""
    folder = Path(labelled)
    assert [line["step"] for line in metrics(folder)] == [1, 2, 3, 4, 5, 6]
    assert all(
        {"loss/generator", "loss/discriminator", "AUC"} <= line.keys()
        for line in metrics(folder)
    )
    penalised = [line["step"] for line in metrics(folder) if "penalty/R1" in line]
    assert penalised == [1, 3, 5]  # every second step, from the first
    samples = sorted(path.name for path in (folder / "samples").iterdir())
    assert samples == ["00000003.png", "00000006.png"]
    checkpoints = sorted(path.name for path in (folder / "checkpoints").iterdir())
    assert checkpoints == ["00000004", "00000006"]
    assert 'use = "gankit-losses/hinge"' in (folder / "recipe.toml").read_text("utf-8")


def test_training_says_where_the_run_is_and_what_to_do_next(
    recipe: str, capsys: Capture
) -> None:
    """The folder is runs/RECIPE-N, the first that is free."""
    assert run(["train", recipe, "train.steps=1"]) == 0
    captured = capsys.readouterr()
    assert captured.out == (
        "done: 1 steps; pictures in runs/tiny-1/samples; "
        "more with `gankit sample runs/tiny-1`\n"
    )
    assert "tiny: 1 steps on 40 items; run folder" in captured.err
    assert "data: resident on cpu: samples take" in captured.err
    assert "step 1 of 1" in captured.err
    assert run(["train", recipe, "train.steps=1"]) == 0
    assert Path("runs/tiny-2/recipe.toml").is_file()


VECTORS = """
import torch
from gankit import Facts, Item


class Vectors:
    facts = Facts((5,), sample_range=(float("-inf"), float("inf")))

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return Item(torch.full((5,), float(index)))
"""


def test_without_a_picture_none_is_promised(recipe: str, capsys: Capture) -> None:
    """Drawing may be left out."""
    off = ["--disable-plugin", "gankit.pictures"]
    assert run(["train", recipe, "train.steps=1", *off, "--out", "off"]) == 0
    said = capsys.readouterr().out
    assert said == "done: 1 steps; draw samples with `gankit sample off`\n"
    assert list(Path("off", "samples").iterdir()) == []


def test_samples_that_are_no_pictures_are_drawn_and_written_as_numbers(
    recipe: str, plugin_file: WriteFile, capsys: Capture
) -> None:
    """Five numbers are no image and no point."""
    code = HEAD + VECTORS + yields("Part('dataset', 'vectors', Vectors)")
    path = str(plugin_file("acme_vectors.py", code))
    vectors = ["dataset.use=vectors", "conditioner=none", "--plugin", path]
    assert run(["train", recipe, "train.steps=1", *vectors, "--out", "run"]) == 0
    assert "pictures in run/samples" in capsys.readouterr().out
    words = ["sample", "run", "-n", "3", "-o", "x.npy", "--plugin", path]
    assert run(words) == 0
    assert numpy.load("x.npy").shape == (3, 5)


def test_with_json_every_line_is_json(recipe: str, capsys: Capture) -> None:
    """And nothing is said in words."""
    assert run(["train", recipe, "train.steps=2", "--json"]) == 0
    captured = capsys.readouterr()
    first, *steps, last = map(json.loads, captured.out.splitlines())
    assert captured.err == ""
    assert (first["run"], first["steps"], first["items"]) == ("runs/tiny-1", 2, 40)
    assert [line["step"] for line in steps] == [1, 2]
    assert last == {"run": "runs/tiny-1", "step": 2, "stopped": None}


def test_on_a_terminal_there_is_a_live_line(
    recipe: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It shows steps, losses and judgements, and is there at the end."""
    monkeypatch.setattr(progress, "watcher", progress.Live)
    monkeypatch.setenv("COLUMNS", "160")
    assert run(["train", recipe, "train.steps=2"]) == 0
    shown = " ".join(capsys.readouterr().err.split())
    for word in ("2/2", "steps/s", " D ", " G ", "AUC"):
        assert word in shown


def test_a_recipe_of_its_own_is_the_default(capsys: Capture) -> None:
    """``gankit train key=value`` is about quickstart, the recipe that needs nothing."""
    assert run(["train", "loss.use=hinj"]) == 2
    assert "the recipe 'quickstart' cannot be followed" in capsys.readouterr().err


def test_an_error_of_a_plugin_is_named_and_the_run_can_go_on(
    recipe: str, plugin_file: WriteFile, capsys: Capture
) -> None:
    """Exit code 1: it is not the user's mistake. Without it, the run resumes."""
    hook = (
        "@hookimpl\ndef gankit_after_step(run):\n    assert run.step < 5, 'no chip'\n"
    )
    path = plugin_file("acme_watch.py", f"{HEAD}\n{hook}")
    assert run(["train", recipe, "--plugin", str(path)]) == 1
    said = capsys.readouterr().err
    assert (
        "the hook gankit_after_step of plugin 'acme_watch' raised AssertionErr" in said
    )
    assert "--disable-plugin acme_watch" in said
    assert run(["resume", "runs/tiny-1", "--disable-plugin", "acme_watch"]) == 0
    assert [line["step"] for line in metrics(Path("runs/tiny-1"))] == [1, 2, 3, 4, 5, 6]


def test_a_loss_from_a_local_file_trains_by_name(
    recipe: str, plugin_file: WriteFile
) -> None:
    """Ten lines, no package; the run remembers the file."""
    code = (
        HEAD
        + """
class Ring:
    def __init__(self, *, scale: float = 1.0):
        self.scale = scale
    def discriminator(self, step):
        return (step.fake_logits - step.real_logits).mean() * self.scale
    def generator(self, step):
        return -step.fake_logits.mean()

@hookimpl
def gankit_parts():
    yield Part("loss", "ring", Ring)
"""
    )
    path = plugin_file("my_parts.py", code)
    arguments = ["loss.use=ring", "loss.scale=0.5", "train.steps=2"]
    assert run(["train", recipe, *arguments, "--plugin", str(path)]) == 0
    text = Path("runs/tiny-1/recipe.toml").read_text("utf-8")
    assert f'loss = "my_parts/ring {path}"' in text
    assert run(["resume", "runs/tiny-1", "train.steps=3"]) == 0
    assert run(["sample", "runs/tiny-1"]) == 0


def test_a_run_whose_pictures_are_gone_ends_all_the_same(
    recipe: str, capsys: Capture
) -> None:
    """It says how to draw samples, not where some are that are not."""
    off = ["--disable-plugin", "gankit.pictures"]
    assert run(["train", recipe, "--out", "runs/bare", *off]) == 0
    assert "draw samples with `gankit sample" in capsys.readouterr().out
    Path("runs/bare/samples").rmdir()
    assert run(["resume", "runs/bare", "train.steps=7", *off]) == 0
    assert "draw samples with `gankit sample" in capsys.readouterr().out
