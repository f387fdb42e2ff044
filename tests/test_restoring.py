"""Which checkpoints are kept, which one is taken, and what it may be taken up by."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from attrs import evolve

import gankit
from games import make_assembly
from gankit.cli import run
from gankit.contracts.kinds import Origin
from gankit.errors import RunError
from gankit.plugins.discovery import discover
from gankit.runs import checkpoint
from gankit.runs import folder as runs
from gankit.runs.checkpoint import MANIFEST, latest, read
from gankit.runs.preparation import prepare
from gankit.runs.restoring import changed_versions
from gankit.runs.run import Run
from sites import HEAD
from tiny import LABELLED, write

Capture = pytest.CaptureFixture[str]
WriteFile = Callable[[str, str], Path]

# a score of each step, as a plugin that computes a distance would measure it
SCORES = """
SCORES = {1: 5.0, 2: 3.0, 3: float("nan"), 4: 4.0, 5: 3.0, 6: 9.0}

@hookimpl
def gankit_after_step(run):
    run.measure("score", SCORES[run.step])
"""
ALL = ("train.checkpoint_every=1", "train.keep=1")


def _steps(folder: str = "runs/tiny-1") -> list[int]:
    return sorted(int(p.name) for p in Path(folder, "checkpoints").iterdir())


def _train(plugin_file: WriteFile, *overrides: str) -> int:
    path = plugin_file("scores.py", HEAD + SCORES)
    recipe = write(Path(), LABELLED)
    return run(["train", recipe, *overrides, "--plugin", str(path)])


def test_the_newest_and_those_of_every_so_many_steps_are_kept(recipe: str) -> None:
    """The rest is removed when a newer one is there."""
    assert run(["train", recipe, *ALL, "train.keep_every=3"]) == 0
    assert _steps() == [3, 6]
    assert run(["train", recipe, "train.checkpoint_every=1", "train.keep=3"]) == 0
    assert _steps("runs/tiny-2") == [4, 5, 6]


@pytest.mark.parametrize(("best_is", "best"), [("lowest", 2), ("highest", 1)])
def test_the_best_by_a_metric_is_kept(
    best_is: str, best: int, recipe: str, plugin_file: WriteFile
) -> None:
    """The first of equals; a score that is not finite is none; the last step's too."""
    overrides = (*ALL, "train.best=score", f"train.best_is={best_is}", "train.steps=5")
    assert _train(plugin_file, *overrides) == 0
    assert _steps() == [best, 5]
    drawn = [
        gankit.load("runs/tiny-1", checkpoint=which).sample(2).samples
        for which in ("best", best, 5, "latest")
    ]
    assert torch.equal(drawn[0], drawn[1])
    assert torch.equal(drawn[2], drawn[3])
    assert not torch.equal(drawn[1], drawn[2])


def test_a_resumed_run_remembers_the_best(recipe: str, plugin_file: WriteFile) -> None:
    """It was not the run's last."""
    assert _train(plugin_file, *ALL, "train.best=score", "train.steps=4") == 0
    assert _steps() == [2, 4]
    path = str(plugin_file("scores.py", HEAD + SCORES))
    assert run(["resume", "runs/tiny-1", "train.steps=6", "--plugin", path]) == 0
    assert _steps() == [2, 6]


def test_the_best_can_be_chosen_by_a_measurement_of_the_step(recipe: str) -> None:
    """Any number in metrics.jsonl will do."""
    assert run(["train", recipe, *ALL, "train.best=loss/generator"]) == 0
    lines = Path("runs/tiny-1/metrics.jsonl").read_text("utf-8").splitlines()
    losses = {(line := json.loads(t))["step"]: line["loss/generator"] for t in lines}
    lowest = min(losses, key=lambda step: (losses[step], step))
    assert _steps() == sorted({lowest, 6})


def test_a_metric_that_nothing_measures_is_named(recipe: str, capsys: Capture) -> None:
    """With those there are; the run goes on, because it may be measured later."""
    assert run(["train", recipe, "train.best=loss/genrator"]) == 0
    said = capsys.readouterr().err
    assert said.count("train.best: nothing has measured 'loss/genrator'") == 1
    assert "did you mean 'loss/generator'" in said


@pytest.mark.parametrize(
    ("which", "said"),
    [
        ("3", "there is no checkpoint of step 3; there are 4, 6"),
        ("best", "this run has kept no best checkpoint; train with train.best set"),
        ("newest", "no checkpoint 'newest'; say 'latest', 'best' or a step"),
    ],
)
def test_a_checkpoint_that_is_not_there_is_refused(
    which: str, said: str, labelled: str, capsys: Capture
) -> None:
    """With those there are."""
    assert run(["sample", labelled, "--checkpoint", which, "-o", "x.png"]) == 2
    assert said in capsys.readouterr().err
    assert not Path("x.png").exists()


def test_a_kept_checkpoint_is_drawn_from(labelled: str, tmp_path: Path) -> None:
    """By its step, on the command line."""
    out = [str(tmp_path / name) for name in ("four.png", "six.png", "last.png")]
    for file, which in zip(out, ("4", "6", "latest"), strict=True):
        assert run(["sample", labelled, "--checkpoint", which, "-o", file]) == 0
    four, six, last = (Path(file).read_bytes() for file in out)
    assert four != six == last


def _rewritten(folder: Path, **changes: Any) -> None:
    """Change a manifest as another version of gankit would have written it."""
    path = folder / MANIFEST
    manifest = json.loads(path.read_text("utf-8"))
    del manifest["digest"]
    manifest |= changes
    manifest["digest"] = checkpoint._digest_of(manifest)
    path.write_text(json.dumps(manifest), "utf-8")


def test_a_later_format_is_refused_by_name(recipe: str, capsys: Capture) -> None:
    """Rather than read as far as it is understood."""
    assert run(["train", recipe, "train.steps=2"]) == 0
    (folder,) = Path("runs/tiny-1/checkpoints").iterdir()
    versions = {"gankit": "0.9.0", "torch": "3.0"}
    _rewritten(folder, format=2, versions=versions)
    assert run(["resume", "runs/tiny-1"]) == 2
    said = "gankit 0.9.0 has written it in a format that gankit 0.1.0 does not know"
    assert said in capsys.readouterr().err


def test_an_incompatible_version_is_refused_and_another_is_told(
    recipe: str, capsys: Capture
) -> None:
    """0.2 may compute something else; another torch computes other bits."""
    assert run(["train", recipe, "train.steps=2"]) == 0
    (folder,) = Path("runs/tiny-1/checkpoints").iterdir()
    now = json.loads((folder / MANIFEST).read_text("utf-8"))["versions"]
    _rewritten(folder, versions=now | {"gankit": "0.2.0"})
    assert run(["resume", "runs/tiny-1"]) == 2
    said = "gankit: the checkpoint is of version 0.2.0, and 0.1.0 is installed"
    assert said in capsys.readouterr().err
    _rewritten(folder, versions=now | {"torch": "2.6.1"})
    assert run(["resume", "runs/tiny-1", "train.steps=3"]) == 0
    said = f"note: torch was 2.6.1, and is {torch.__version__}: the run goes on, but"
    assert said in capsys.readouterr().err


def test_a_run_goes_on_in_another_precision(recipe: str) -> None:
    """Weights and optimisers are float32 in every one."""
    assert run(["train", recipe, "train.steps=3"]) == 0
    for step, precision in ((4, "bf16"), (5, "fp32")):
        words = [f"train.steps={step}", f"train.precision={precision}"]
        assert run(["resume", "runs/tiny-1", *words]) == 0
    assert _steps()[-1] == 5


def _with_scaler(folder: Path, *, enabled: bool) -> Run:
    run = prepare(make_assembly(), discover().hooks, folder=lambda: folder)
    for player in (run.game.generator, run.game.discriminator):
        player.scaler = torch.amp.GradScaler("cpu", enabled=enabled, init_scale=8.0)
    return run


def test_the_scaler_of_fp16_comes_and_goes_with_it(tmp_path: Path) -> None:
    """Its scale is kept where both have one; else it starts anew, or not at all."""
    half = _with_scaler(tmp_path / "half", enabled=True)
    half.game.play(0)
    half.game.generator.scaler.update(2.0)
    found = read(half.save())
    again = _with_scaler(tmp_path, enabled=True)
    again.restore(found)
    assert again.game.generator.scaler.get_scale() == 2.0
    whole = _with_scaler(tmp_path / "whole", enabled=False)
    whole.restore(found)
    half.restore(read(whole.save()))
    assert half.game.generator.scaler.get_scale() == 2.0


_OTHER = """
import sys
from gankit.cli import run
sys.exit(run(["resume", "runs/tiny-1"]))
"""


def test_two_processes_cannot_train_one_run(
    recipe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second is refused, and the first does not notice."""
    assert run(["train", recipe]) == 0
    with runs.claimed(Path("runs/tiny-1")):
        limited = _OTHER.replace("import sys", "import sys, gankit.runs as r", 1)
        limited = limited.replace("sys.exit", "r._LEAVING = 0.1\nsys.exit")
        other = subprocess.run(
            [sys.executable, "-c", limited], capture_output=True, text=True, check=False
        )
    assert other.returncode == 2
    assert "another process is training the run in 'runs/tiny-1'" in other.stderr
    with runs.claimed(Path("runs/tiny-1")):
        pass
    monkeypatch.setattr(runs, "_LEAVING", 0.1)
    with (
        runs.claimed(Path("runs/tiny-1")),
        pytest.raises(RunError, match="another process"),
        runs.claimed(Path("runs/tiny-1")),
    ):
        pass


HOOK = """
import numpy as np

class Kept:
    def __init__(self, state):
        self.state = state
    def state_dict(self):
        return self.state
    def load_state_dict(self, state):
        self.state = state

kept = Kept({state})

@hookimpl
def gankit_before_run(run):
    run.keep("{name}", kept)
    print("kept", kept.state)

@hookimpl
def gankit_after_step(run):
    run.measure("fid", np.float64(run.step))
    kept.state["steps"] = run.step
"""


def _hook(plugin_file: WriteFile, state: str = "{}", name: str = "mine") -> str:
    code = HOOK.replace("{state}", state).replace("{name}", name)
    return str(plugin_file("kept_hook.py", HEAD + code))


def test_a_score_of_numpys_is_saved_as_a_number(
    recipe: str, plugin_file: WriteFile
) -> None:
    """Else no checkpoint of the run could be loaded again."""
    hook = _hook(plugin_file)
    assert run(["train", recipe, "train.steps=2", "--plugin", hook]) == 0
    assert run(["resume", "runs/tiny-1", "train.steps=3", "--plugin", hook]) == 0


def test_a_state_that_cannot_be_loaded_again_is_not_saved(
    recipe: str, plugin_file: WriteFile, capsys: Capture
) -> None:
    """It is refused while there is still something to be done about it."""
    hook = _hook(plugin_file, "{'n': np.float64(1.0)}")
    assert run(["train", recipe, "--plugin", hook]) == 2
    said = capsys.readouterr().err
    assert re.search(r"the state of mine holds 'numpy\.", said), said
    assert "numbers, strings, tensors, lists and dictionaries" in said
    saved, _ = latest(Path("runs/tiny-1/checkpoints"))
    assert saved.step == 0, "refused before the first step"
    assert "mine" not in saved.state()["hooks"]


def test_the_state_of_a_hook_that_is_left_out_once_is_not_lost(
    recipe: str, plugin_file: WriteFile, capsys: Capture
) -> None:
    """It comes back with the hook."""
    hook = _hook(plugin_file)
    assert run(["train", recipe, "train.steps=2", "--plugin", hook]) == 0
    without_it = ["--disable-plugin", "kept_hook"]
    assert run(["resume", "runs/tiny-1", "train.steps=3", *without_it]) == 0
    capsys.readouterr()
    assert run(["resume", "runs/tiny-1", "train.steps=4", "--plugin", hook]) == 0
    assert "kept {'steps': 2}" in capsys.readouterr().out


def test_two_hooks_cannot_keep_one_name(
    recipe: str, plugin_file: WriteFile, capsys: Capture
) -> None:
    """One of the states would be lost."""
    hook = _hook(plugin_file, name="gankit.health")
    assert run(["train", recipe, "--plugin", hook]) == 2
    said = "two hooks keep a state named 'gankit.health'; name it as your plugin"
    assert said in capsys.readouterr().err


def test_the_best_by_another_metric_is_another(
    recipe: str, plugin_file: WriteFile
) -> None:
    """An old score of another kind is no measure for it."""
    best = ("train.best=score", "train.best_is=highest")
    assert _train(plugin_file, *ALL, *best, "train.steps=2") == 0
    path = str(plugin_file("scores.py", HEAD + SCORES))
    other = ["train.best=loss/generator", "train.best_is=lowest", "train.steps=4"]
    assert run(["resume", "runs/tiny-1", *other, "--plugin", path]) == 0
    found = read(Path("runs/tiny-1/checkpoints/00000004"))
    best_now = found.state()["hooks"]["gankit.checkpoints"]
    assert best_now["metric"] == "loss/generator"
    assert best_now["step"] in (3, 4)


def test_a_refused_resumption_changes_nothing(
    recipe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the recipe that the next one would follow."""
    assert run(["train", recipe]) == 0
    before = Path("runs/tiny-1/recipe.toml").read_bytes()
    monkeypatch.setattr(runs, "_LEAVING", 0.1)
    with runs.claimed(Path("runs/tiny-1")):
        assert run(["resume", "runs/tiny-1", "train.steps=99"]) == 2
    assert Path("runs/tiny-1/recipe.toml").read_bytes() == before


def test_the_path_of_a_plugin_file_is_no_version(
    recipe: str, plugin_file: WriteFile, capsys: Capture
) -> None:
    """A project that has moved goes on without a word."""
    folder = Path("runs/tiny-1/checkpoints/00000006")
    assert run(["train", recipe]) == 0
    found = read(folder)
    here = found.parts | {"loss": Origin("my_loss", "mine", "/new/my_loss.py")}
    old = Origin("my_loss", "mine", "/old/my_loss.py")
    there = evolve(found, parts=found.parts | {"loss": old})
    assert changed_versions(there, here) == ()


def test_a_hook_that_stops_a_run_has_done_what_was_asked(
    recipe: str, plugin_file: WriteFile, capsys: Capture
) -> None:
    """Exit code 0, or a launcher would start it again; a signal's is 1."""
    stop = "@hookimpl\ndef gankit_after_step(run):\n    run.stop('enough')\n"
    path = str(plugin_file("patience.py", HEAD + stop))
    assert run(["train", recipe, "--plugin", path]) == 0
    assert "stopped by enough at step 1, and saved" in capsys.readouterr().out


def test_errors_reach_every_plugin_in_pluggys_order(
    recipe: str, plugin_file: WriteFile, capsys: Capture
) -> None:
    """Those that come first, as what saves, are first also when something failed."""
    code = (
        "import pluggy\n"
        "@hookimpl\ndef gankit_after_step(run):\n    raise ValueError\n"
        "@hookimpl(trylast=True)\ndef gankit_on_error(run):\n"
        "    print('last', [p.name for p in (run.folder / 'checkpoints').iterdir()])\n"
    )
    path = str(plugin_file("late.py", HEAD + code))
    for _ in range(4):
        assert run(["train", recipe, "--plugin", path]) == 1
        assert "last ['00000001']" in capsys.readouterr().out
