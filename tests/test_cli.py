"""The command line: what it writes, what it says, and with which code it ends."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from PIL import Image

from gankit.cli import COMMANDS, progress, run
from gankit.registry import Registry
from sites import HEAD, Site, yields
from tiny import CAPTIONED, LABELLED, metrics, without, write

Capture = pytest.CaptureFixture[str]
WriteFile = Callable[[str, str], Path]


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep fitted encoders from the user's own cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANKIT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Train on labelled points, once; tests only read the run."""
    return _trained(tmp_path_factory.mktemp("labelled"), LABELLED)


@pytest.fixture(scope="module")
def captioned(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Train on captioned pictures, once; tests only read the run."""
    return _trained(tmp_path_factory.mktemp("captioned"), CAPTIONED)


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Train without a conditioner, once; tests only read the run."""
    folder = tmp_path_factory.mktemp("unlabelled")
    return _trained(folder, without(LABELLED, "conditioner"))


def _trained(folder: Path, table: dict[str, Any]) -> str:
    out = str(folder / "run")
    assert run(["train", write(folder, table), "--out", out]) == 0
    return out


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Write the tiny recipe into a folder of its own, which is the current one."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return write(folder, LABELLED)


def _tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_run_folder_holds_recipe_metrics_samples_and_checkpoints(
    labelled: str,
) -> None:
    """A line for each logged step, a grid for each sampled, the newest two saved."""
    folder = Path(labelled)
    assert [line["step"] for line in metrics(folder)] == [1, 2, 3, 4, 5, 6]
    assert all(
        {"loss/generator", "loss/discriminator", "D(x)", "D(G(z))"} <= line.keys()
        for line in metrics(folder)
    )
    penalised = [line["step"] for line in metrics(folder) if "penalty/R1" in line]
    assert penalised == [1, 3, 5]  # every second step, from the first
    samples = sorted(path.name for path in (folder / "samples").iterdir())
    assert samples == ["00000003.png", "00000006.png"]
    checkpoints = sorted(path.name for path in (folder / "checkpoints").iterdir())
    assert checkpoints == ["00000004", "00000006"]
    assert 'use = "hinge"' in (folder / "recipe.toml").read_text("utf-8")


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
    assert "tiny: 1 steps on 40 items, resident on cpu" in captured.err
    assert "step 1 of 1" in captured.err
    assert run(["train", recipe, "train.steps=1"]) == 0
    assert Path("runs/tiny-2/recipe.toml").is_file()


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
    for word in ("2/2", "steps/s", "D loss", "G loss", "D(x)", "D(G(z))"):
        assert word in shown


def test_a_recipe_of_its_own_is_the_default(capsys: Capture) -> None:
    """``gankit train key=value`` is about quickstart, the recipe that needs nothing."""
    assert run(["train", "loss.use=hinj"]) == 2
    assert "the recipe 'quickstart' cannot be followed" in capsys.readouterr().err


OTHER_RUN = "holds another run; go on with it by `gankit resume "


@pytest.mark.parametrize("kind", ["run", "folder", "file", "inside a file"])
def test_an_output_that_holds_something_is_refused_and_untouched(
    kind: str, recipe: str, labelled: str, tmp_path: Path, capsys: Capture
) -> None:
    """Whether it is a run, anything else, or no folder at all."""
    out, said = {
        "run": (Path(labelled), OTHER_RUN),
        "folder": (tmp_path / "full", "is not empty, and holds no run"),
        "file": (tmp_path / "file", "is a file; choose a folder with --out"),
        "inside a file": (tmp_path / "file" / "x", "cannot be made"),
    }[kind]
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("years of work", "utf-8")
    (tmp_path / "file").write_text("mine", "utf-8")
    before = _tree(tmp_path), _tree(Path(labelled))
    assert run(["train", recipe, "--out", str(out)]) == 2
    assert said in capsys.readouterr().err
    assert (_tree(tmp_path), _tree(Path(labelled))) == before


def test_a_folder_without_permission_is_refused(
    recipe: str, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is computed."""
    monkeypatch.setattr("gankit.runs.os.access", lambda path, mode: False)
    assert run(["train", recipe, "--out", str(tmp_path / "out")]) == 2
    captured = capsys.readouterr()
    assert "no permission to write in" in captured.err
    assert "choose another with --out" in captured.err
    assert "reading the data" not in captured.err


BAD: dict[str, tuple[list[str], list[str]]] = {
    "unknown part": (["loss.use=hinj"], ["no loss named 'hinj'; did you mean 'hinge'"]),
    "a part of another kind": (["loss.use=r1"], ["it is the name of a penalty"]),
    "unknown option": (
        ["generator.hiden=[3]"],
        ["generator.hiden: no such option; did"],
    ),
    "unknown block": (
        ["los.use=hinge"],
        ["a recipe has no block 'los'; did you mean 'l"],
    ),
    "wrong type": (["train.steps=3.7"], ["train.steps: 3.7 is not a whole number"]),
    "wrong bool": (
        ["train.batch_size=true"],
        ["train.batch_size: true is not a whole number"],
    ),
    "wrong range": (["generator.dropout=2"], ["generator.dropout: 2 is not a number"]),
    "wrong word": (["train.order=both"], ["'both' is not one of 'alternating', 'simu"]),
    "two at once": (
        ["train.steps=0", "noise.size=-1"],
        ["train.steps: 0 is not", "noise.size: -1 is not"],
    ),
    "no override": (["hinge"], ["'hinge' is not of the form key=value"]),
    "optimiser's range": (["optimizer.lr=-1"], ["optimizer: torch.optim.Adam refuses"]),
    "optimiser's parameters": (["optimizer.use=Muon"], ["Muon cannot train the"]),
    "endless": (["train.epochs=inf"], ["train.epochs: inf is not a number above 0"]),
    "large batch": (
        ["train.batch_size=41"],
        ["train.batch_size: 41 is more than the 40 items", "set it to 40 or less"],
    ),
    "unlabelled data": (
        ["dataset.use=image-folder", "dataset.root=pictures", "generator.output=tanh"],
        ["conditioner 'label': the data set has no labels", "choose a data set with"],
    ),
    "captions of none": (
        ["conditioner.use=char-cnn-rnn"],
        ["conditioner 'char-cnn-rnn'", "no captions"],
    ),
    "wrong size": (
        ["dataset.use=shapes", "dataset.size=20", "generator.use=dcgan"],
        ["dcgan works on sizes that are powers of two", "20x20"],
    ),
    "no image": (["generator.use=dcgan"], ["dcgan works on images (C, H, W)"]),
    "wrong range of output": (
        ["generator.output=tanh"],
        ["values in [-1, 1], and the data set has values without bounds"],
    ),
    "no folder": (
        ["dataset.use=image-folder", "dataset.root=gone"],
        ["gone"],
    ),
    "no device": (
        ["train.device=cuda:7"],
        ["there is no device 'cuda:7' here", "'cpu'"],
    ),
    "no such device": (["train.device=gpu"], ["there is no device 'gpu' here"]),
    "no such precision": (["train.precision=fp16"], ["'fp16' needs a GPU"]),
    "no plugin": (["plugins=['gone.py']"], ["there is no plugin file", "gone.py"]),
    "contradiction": (
        ["train.order=simultaneous", "train.discriminator_updates=2"],
        ["in simultaneous order each player moves once"],
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_clear_error_and_nothing_is_written(
    case: str, recipe: str, capsys: Capture
) -> None:
    """Exit code 2, no traceback, no run folder."""
    overrides, said = BAD[case]
    Path("pictures").mkdir()
    for i in range(40):
        Image.new("RGB", (8, 8), (i, 0, 0)).save(f"pictures/{i}.png")
    before = _tree(Path())
    assert run(["train", recipe, *overrides]) == 2
    captured = capsys.readouterr()
    assert all(words in captured.err for words in said), captured.err
    assert captured.err.rpartition("reading the data")[2].count("error: ") == 1
    assert "Traceback" not in captured.err
    assert captured.out == ""
    assert _tree(Path()) == before
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["train", "quikstart"],
            "no recipe named 'quikstart'; did you mean 'quickstart'",
        ),
        (["train", "gone.toml"], "there is no recipe file 'gone.toml'"),
        (["train", "broken.toml"], "'broken.toml' is not valid TOML"),
        (["train", "broken.toml"], "line 2"),
        (["train", "tiny.toml", "--plugin", "gone.py"], "there is no plugin file"),
        (["train", "tiny.toml", "--lr", "3"], "No such option"),
        (["resume", "gone"], "'gone' does not exist: it has no recipe.toml"),
        (["resume", "."], "'.' is not a run folder: it has no recipe.toml"),
        (["sample", "gone"], "'gone' does not exist"),
        (["resume"], "Missing argument"),
        (
            ["list", "generater"],
            "no kind of part is named 'generater'; did you mean 'g",
        ),
        (["show", "loss", "hinj"], "no loss named 'hinj'; did you mean 'hinge'"),
        (["show", "lost", "hinge"], "no kind of part is named 'lost'; did you mean 'l"),
        (["show", "dataset"], "name a dataset; `gankit list dataset` shows what there"),
        (["tarin"], "No such command 'tarin'"),
    ],
)
def test_what_is_not_there_is_named_with_what_is(
    arguments: list[str], said: str, recipe: str, capsys: Capture
) -> None:
    """On every command; exit code 2, and nothing is written."""
    Path("broken.toml").write_text("[dataset]\nuse = points\n", "utf-8")
    before = _tree(Path())
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert "Traceback" not in captured.err
    assert _tree(Path()) == before


def test_a_disk_that_fills_up_is_the_user_s_to_mend(
    recipe: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a plugin's fault, though a hook writes; what was saved before is whole."""

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("gankit.checkpoint.save_file", full)
    assert run(["train", recipe]) == 2
    captured = capsys.readouterr()
    (line,) = [line for line in captured.err.splitlines() if "error" in line]
    assert line.startswith("error: cannot write 'runs/tiny-1/checkpoints/00000002': No")
    assert "free some space" in line
    assert "--disable-plugin" not in line


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


def _drawn(arguments: list[str], folder: Path, count: int = 4) -> bytes:
    path = folder / "drawn.png"
    assert run(["sample", *arguments, "-n", str(count), "-o", str(path)]) == 0
    return path.read_bytes()


def test_the_same_seed_draws_the_same_picture(
    labelled: str, tmp_path: Path, capsys: Capture
) -> None:
    """Another seed, or another label, another one."""
    first = _drawn([labelled, "--label", "mode 1", "--seed", "3"], tmp_path)
    assert capsys.readouterr().out == f"4 samples in {tmp_path / 'drawn.png'}\n"
    assert _drawn([labelled, "--label", "mode 1", "--seed", "3"], tmp_path) == first
    assert _drawn([labelled, "--label", "1", "--seed", "3"], tmp_path) == first
    assert _drawn([labelled, "--label", "mode 1", "--seed", "4"], tmp_path) != first
    assert _drawn([labelled, "--label", "mode 2", "--seed", "3"], tmp_path) != first


def test_the_last_grid_of_a_run_is_what_sampling_it_gives(
    unlabelled: str, captioned: str, tmp_path: Path
) -> None:
    """The moving average, the noise and the texts come back from the checkpoint."""
    for folder in (unlabelled, captioned):
        last = Path(folder) / "samples" / "00000006.png"
        assert _drawn([folder], tmp_path) == last.read_bytes()


def test_sampling_says_what_it_drew_as_json(
    captioned: str, tmp_path: Path, capsys: Capture
) -> None:
    """With the caption of each; several captions take turns."""
    texts = ["--text", "a red circle", "--text", "a blue square"]
    _drawn([captioned, *texts, "--json"], tmp_path)
    assert json.loads(capsys.readouterr().out) == {
        "file": str(tmp_path / "drawn.png"),
        "samples": 4,
        "seed": 0,
        "captions": ["a red circle", "a blue square"] * 2,
    }


def test_interpolation_walks_between_noises(captioned: str, tmp_path: Path) -> None:
    """In two columns there are only the ends, which are the noises of plain sampling.

    In three there is something between them.
    """
    text = ["--text", "a red circle"]
    ends = _drawn([captioned, *text, "--interpolate"], tmp_path)
    assert ends == _drawn([captioned, *text], tmp_path)
    walk = _drawn([captioned, *text, "--interpolate"], tmp_path, count=9)
    assert walk != _drawn([captioned, *text], tmp_path, count=9)


@pytest.mark.parametrize(
    ("kind", "arguments", "said"),
    [
        (
            "unlabelled",
            ["--label", "1"],
            "this run is not conditioned: it takes no lab",
        ),
        ("unlabelled", ["--text", "x"], "this run is not conditioned: it takes no cap"),
        (
            "labelled",
            ["--text", "x"],
            "is conditioned on its label: it takes no captions",
        ),
        ("captioned", ["--label", "1"], "on its captions: it takes no labels"),
        ("labelled", ["--label", "mode 9"], "no class 'mode 9'; did you mean 'mode 3'"),
        ("labelled", ["--label", "7"], "no class '7'; the classes are 'mode 0'"),
        ("captioned", ["--text", "日本"], "the caption '日本' has nothing that"),
        ("labelled", ["-n", "0"], "0 is not in the range x>=1"),
        ("labelled", ["-o", "grid.what"], "cannot write 'grid.what'"),
        ("labelled", ["-o", "gone/grid.png"], "cannot write 'gone/grid.png'"),
        ("labelled", ["--device", "cuda:7"], "there is no device 'cuda:7' here"),
    ],
)
def test_what_cannot_be_sampled_is_refused(
    kind: str,
    arguments: list[str],
    said: str,
    recipe: str,
    request: pytest.FixtureRequest,
    capsys: Capture,
) -> None:
    """With exit code 2, and no picture."""
    folder = request.getfixturevalue(kind)
    capsys.readouterr()
    assert run(["sample", folder, *arguments]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert "Traceback" not in captured.err
    assert [path.name for path in Path().iterdir()] == ["tiny.toml"]


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
        here, there = (_tree(Path(folder, part)) for folder in (whole, parted))
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
    before = _tree(Path(labelled))
    assert run(["resume", labelled, *overrides]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert "Traceback" not in captured.err
    assert _tree(Path(labelled)) == before


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
    assert run(["train", recipe, "--plugin", str(path)]) == 1
    assert not list(Path("runs/tiny-1/checkpoints").iterdir())
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_list_is_what_is_registered(capsys: Capture) -> None:
    """As a table, and as JSON; of all kinds, and of one."""
    entries = Registry().entries()
    assert run(["list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(entries)
    assert run(["list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(e["kind"], e["long_name"]) for e in listed] == [
        (e.part.kind, e.name) for e in entries
    ]
    assert run(["list", "loss", "--json"]) == 0
    assert {e["kind"] for e in json.loads(capsys.readouterr().out)} == {"loss"}


def test_two_parts_of_one_name_are_listed_by_their_long_names(
    site: Site, capsys: Capture
) -> None:
    """What is listed can be asked for."""
    for name in ("one-gan", "two-gan"):
        site.install(name, yields("Part('loss', 'odd', 'operator:neg')"))
    assert run(["list", "loss"]) == 0
    names = [line.split()[1] for line in capsys.readouterr().out.splitlines()]
    assert {"one-gan/odd", "two-gan/odd", "hinge"} <= set(names)
    assert "odd" not in names


def test_a_part_is_shown_with_its_options(capsys: Capture) -> None:
    """Type, default and help, from the signature and the docstring."""
    assert run(["show", "penalty", "r1"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("penalty gankit-losses/r1 ")
    (row,) = [line for line in shown.splitlines() if line.startswith("every ")]
    assert row.split()[1] == "1"
    assert "a whole number at least 1" in row
    assert "Args:" not in shown
    assert run(["show", "penalty", "r1", "--json"]) == 0
    described = json.loads(capsys.readouterr().out)
    assert described["long_name"] == "gankit-losses/r1"
    assert described["options"]["properties"]["every"]["minimum"] == 1
    assert run(["show", "penalty", "r1", "--schema"]) == 0
    assert json.loads(capsys.readouterr().out) == described["options"]


def test_a_recipe_is_shown_as_it_is_written_resolved_and_as_a_schema(
    capsys: Capture,
) -> None:
    """The file with its comments; every option; what an editor needs."""
    assert run(["show", "recipe", "quickstart"]) == 0
    assert capsys.readouterr().out.startswith("# Drawn scenes from their captions")
    assert run(["show", "recipe", "quickstart", "--json"]) == 0
    resolved = json.loads(capsys.readouterr().out)
    assert resolved["train"]["log_every"] == 50  # a default
    assert run(["show", "recipe", "quickstart", "--schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    Draft202012Validator(schema).validate(resolved)


def test_recipes_and_plugins_are_listed(capsys: Capture) -> None:
    """As tables and as JSON."""
    assert run(["recipes"]) == 0
    assert "quickstart" in capsys.readouterr().out
    assert run(["recipes", "--json"]) == 0
    assert {e["kind"] for e in json.loads(capsys.readouterr().out)} == {"recipe"}
    assert run(["plugins", "--json"]) == 0
    (papers,) = [
        p for p in json.loads(capsys.readouterr().out) if p["plugin"] == "gankit-papers"
    ]
    assert papers["status"] == "loaded"


def test_a_plugin_can_be_left_out_of_one_call(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before or after the command, or by the environment."""
    for arguments in (
        ["--disable-plugin", "gankit-losses", "list", "loss", "--json"],
        ["list", "loss", "--json", "--disable-plugin", "gankit-losses"],
    ):
        assert run(arguments) == 0
        assert json.loads(capsys.readouterr().out) == []
    monkeypatch.setenv("GANKIT_DISABLE_PLUGINS", "gankit-losses")
    assert run(["plugins"]) == 0
    (line,) = [x for x in capsys.readouterr().out.splitlines() if "disabled" in x]
    assert line.split() == ["gankit-losses", "disabled"]
    assert run(["show", "loss", "gankit-losses/hinge"]) == 2
    assert "the plugin 'gankit-losses' is disabled" in capsys.readouterr().err


def test_the_doctor_finds_what_is_wrong(site: Site, capsys: Capture) -> None:
    """A plugin that fails, and a part that cannot be imported; then its code is 1."""
    assert run(["doctor"]) == 0
    assert capsys.readouterr().out.endswith("nothing is wrong\n")
    site.install("bad-gan", "raise RuntimeError('no chip')")
    site.install("lost-gan", yields("Part('loss', 'lost', 'no_such_module:x')"))
    assert run(["doctor", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert len(found["problems"]) == 2
    assert "'bad-gan' failed at import" in found["problems"][0]
    assert "loss 'lost-gan/lost': cannot import" in found["problems"][1]
    assert "cpu" in found["devices"]
    assert run(["doctor"]) == 1
    assert "2 problems" in capsys.readouterr().out


COMMAND = """
import click
@click.command()
@click.argument("word")
def say(word):
    click.echo(word * 2)
    return 3
"""


def test_a_plugin_adds_a_command_but_cannot_replace_one(
    site: Site, capsys: Capture
) -> None:
    """It is listed with its summary, and imported when it is called."""
    extra = "Command('extra', 'extra_gan_command:say', 'Say it twice')"
    other = "Command('train', 'nowhere:x', 'Never')"
    site.install("extra-gan", yields(extra, other, hook="gankit_commands"))
    assert run(["--help"]) == 0
    helped = capsys.readouterr().out
    assert "Say it twice" in helped
    assert "Never" not in helped
    (site.folder / "extra_gan_command.py").write_text(COMMAND, "utf-8")
    assert run(["extra", "ho"]) == 3
    assert capsys.readouterr().out == "hoho\n"


def test_a_plugin_s_command_that_cannot_be_imported_is_named(
    site: Site, capsys: Capture
) -> None:
    """As every other part of it would be."""
    extra = "Command('extra', 'no_such_module:say', 'Say it twice')"
    site.install("extra-gan", yields(extra, hook="gankit_commands"))
    assert run(["extra"]) == 2
    assert "cannot import 'no_such_module:say'" in capsys.readouterr().err


@pytest.mark.parametrize("command", [command.name for command in COMMANDS])
def test_every_command_has_help(command: str, capsys: Capture) -> None:
    """With the two options that every command takes."""
    assert run([command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"gankit {command}" in shown
    assert "--plugin FILE" in shown
    assert "--disable-plugin NAME" in shown
