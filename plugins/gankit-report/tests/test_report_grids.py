"""Grids: what is not there is trained, what fails is a row, what stopped goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from gankit.cli import run
from gankit.errors import UsageError
from gankit_report.grids import FAILED, Plan, cells, parse_grid
from sites import forget_modules_of
from tiny import LABELLED, tree, write

Capture = pytest.CaptureFixture[str]

# a command that scores, a loss that is soon not finite, and Ctrl-C in one of the runs
CODE = """
import json
import os
import signal
from pathlib import Path

import click
from attrs import define

import gankit
from gankit import Command, Part, hookimpl


@define
class Bursting:
    steps: int = 0

    def discriminator(self, step):
        self.steps += 1
        loss = step.fake_logits.mean() - step.real_logits.mean()
        return loss * (float("nan") if self.steps > 2 else 1.0)

    def generator(self, step):
        return -step.fake_logits.mean()


class Reading(Bursting):
    needs = ("captions",)


@click.command()
@click.argument("run")
@click.argument("metric")
def evaluate(run, metric):
    step = gankit.load(run, device="cpu").step
    with Path(run, "asked.txt").open("a") as file:
        file.write(f"{metric}\\n")
    score = {"name": metric, "title": metric, "value": float(step), "step": step}
    Path(run, "scores.json").write_text(json.dumps({"scores": [score]}))


@hookimpl
def gankit_after_step(run):
    if run.step == 3 and run.folder.name.startswith("noise.size=9"):
        os.kill(os.getpid(), signal.SIGINT)


@hookimpl
def gankit_parts():
    yield Part("loss", "bursting", Bursting)
    yield Part("loss", "reading", Reading)


@hookimpl
def gankit_commands():
    yield Command("evaluate", "grid_parts:evaluate", "Score a run.")
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give the tiny recipe, in a folder that is the current one."""
    monkeypatch.chdir(tmp_path)
    return write(tmp_path, LABELLED)


@pytest.fixture
def plugin(tmp_path: Path) -> Iterator[list[str]]:
    """Give the arguments that load a local plugin file."""
    path = tmp_path / "grid_parts.py"
    path.write_text(CODE, "utf-8")
    # which has an `evaluate` of its own
    yield ["--plugin", str(path), "--disable-plugin", "gankit-metrics"]
    forget_modules_of(tmp_path)


def _folders(out: str = "out") -> list[str]:
    return sorted(path.name for path in Path(out).iterdir())


def test_a_grid_is_every_combination_with_every_seed() -> None:
    """Two by two by three; seeds count from the recipe's that is asked for."""
    plan = Plan(
        recipe="x",
        overrides=("train.seed=5",),
        grid=parse_grid(["a.use=p,q", "b.c=[1, 2],[3]"]),
        seeds=3,
        out=Path("out"),
    )
    found = cells(plan)
    assert len(found) == len({cell.folder for cell in found}) == 12
    assert found[0].changes == ("a.use=p", "b.c=[1, 2]")
    assert [cell.seed for cell in found[:3]] == [5, 6, 7]
    assert found[0].folder == Path("out/a.use=p+b.c=1-2+seed=5")


def test_two_cells_have_two_folders() -> None:
    """What would share one is refused before anything is trained."""
    grid = parse_grid(["k=[1, 2],1-2"])
    plan = Plan(recipe="x", overrides=(), grid=grid, seeds=1, out=Path("out"))
    with pytest.raises(UsageError, match=r"two .* have the folder 'k=1-2\+seed=0'"):
        cells(plan)


def test_commas_within_brackets_and_quotes_divide_nothing() -> None:
    """As lists and texts of TOML have them."""
    (grid,) = parse_grid(['k=[1, [2]], "a,b" ,{x=1, y=2},c'])
    assert grid == ("k", ("[1, [2]]", '"a,b"', "{x=1, y=2}", "c"))


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        (["loss.use"], "it names nothing"),
        (["loss.use="], "it names nothing"),
        (["=a"], "it names nothing"),
        (["a=1", "a=2"], "a is there twice; give all values at once"),
        (["a=1,1"], "a value is there twice"),
        (["train.seed=1,2"], "say how many by --seeds"),
    ],
)
def test_a_grid_that_names_nothing_is_refused(grid: list[str], said: str) -> None:
    """Before anything is read."""
    with pytest.raises(UsageError, match=said):
        parse_grid(grid)


def test_what_is_there_is_neither_trained_nor_scored_again(
    recipe: str, plugin: list[str], capsys: Capture
) -> None:
    """The same command once more changes no file; a wider grid adds to it."""
    asked = [*plugin, "compare", recipe, "--out", "out", "--metric", "kid"]
    narrow = [*asked, "--grid", "noise.size=2", "--seeds", "1", "--json"]
    assert run(narrow) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["groups"][0]["scores"][0]["mean"] == 6
    before = tree(Path("out"))
    assert run(narrow) == 0
    assert tree(Path("out")) == before
    capsys.readouterr()
    assert run([*asked, "--grid", "noise.size=2,3", "--seeds", "1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [g["differs"] for g in told["groups"]] == [
        {"noise.size": "2"},
        {"noise.size": "3"},
    ]
    after = tree(Path("out"))
    assert before.items() <= after.items()
    assert after["noise.size=2+seed=0/asked.txt"] == b"kid\n"


def test_a_cell_that_fails_is_a_row(
    recipe: str, plugin: list[str], capsys: Capture
) -> None:
    """A part that is not there, parts that do not fit, a run that diverges."""
    losses = "hinge,bursting,hinj,reading"
    asked = [*plugin, "compare", recipe, "--grid", f"loss.use={losses}"]
    asked += ["--out", "out", "--json", "train.checkpoint_every=0"]
    assert run(asked) == 0
    groups = json.loads(capsys.readouterr().out)["groups"]
    problems = {g["differs"]["loss.use"]: g["runs"][0]["problem"] for g in groups}
    assert "run `gankit evaluate" in problems["hinge"]
    assert "the run has diverged" in problems["bursting"]
    assert problems["hinj"].startswith("loss.use: no loss named 'hinj'; did you mean")
    assert "captions" in problems["reading"]
    assert _folders() == ["loss.use=bursting+seed=0", "loss.use=hinge+seed=0"]
    # what has diverged would again, and is not tried while that is written down
    written = Path("out/loss.use=bursting+seed=0")
    assert "diverged" in (written / FAILED).read_text("utf-8")
    before = tree(written)
    assert run(asked) == 0
    assert tree(written) == before


def test_a_grid_of_which_nothing_can_be_followed_is_refused(
    recipe: str, capsys: Capture
) -> None:
    """A misspelled key is no finding about parts."""
    assert run(["compare", recipe, "--grid", "noise.sise=1,2", "--out", "out"]) == 2
    assert "noise.sise: no such option" in capsys.readouterr().err
    assert not Path("out").exists()


def test_a_grid_that_was_stopped_goes_on(
    recipe: str, plugin: list[str], capsys: Capture
) -> None:
    """The run is saved, the rest does not begin, and the same command ends it all."""
    asked = [*plugin, "compare", recipe, "--grid", "noise.size=9,3", "--out", "out"]
    assert run(asked) == 1
    said = capsys.readouterr().err
    assert "stopped by SIGINT, and saved; the same command goes on" in said
    assert _folders() == ["noise.size=9+seed=0"]
    assert _steps("out/noise.size=9+seed=0") == 3
    assert run(asked) == 0
    assert [_steps(f"out/{name}") for name in _folders()] == [6, 6]


def _steps(folder: str) -> int:
    return max(int(path.name) for path in Path(folder, "checkpoints").iterdir())


def test_a_folder_of_another_run_is_refused(recipe: str, capsys: Capture) -> None:
    """Before any cell is trained."""
    asked = ["compare", recipe, "--grid", "noise.size=2,3", "--out", "out"]
    assert run(["train", recipe, "--out", "out/noise.size=3+seed=0"]) == 0
    capsys.readouterr()
    assert run(asked) == 2
    said = capsys.readouterr().err
    assert "'out/noise.size=3+seed=0' holds another run: it differs in 'noise.s" in said
    assert _folders() == ["noise.size=3+seed=0"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["loss.use=hinge", "--out", "out"], "name a recipe before 'loss.use=hinge'"),
        (["quickstart"], "name a folder for the grid's runs with --out DIR"),
        (["gone-recipe", "--out", "out"], "no recipe named 'gone-recipe'"),
    ],
)
def test_a_grid_needs_a_recipe_and_a_folder(
    arguments: list[str], said: str, capsys: Capture
) -> None:
    """With exit code 2."""
    assert run(["compare", *arguments, "--grid", "loss.use=hinge"]) == 2
    assert said in capsys.readouterr().err


def test_a_grid_that_cannot_be_scored_is_trained(recipe: str, capsys: Capture) -> None:
    """Where nothing is installed that evaluates, which is said."""
    asked = ["compare", recipe, "--grid", "noise.size=2", "--out", "out"]
    assert run(["--disable-plugin", "gankit-metrics", *asked, "--metric", "kid"]) == 0
    assert "there is no command `gankit evaluate` here" in capsys.readouterr().err
    assert _steps("out/noise.size=2+seed=0") == 6
