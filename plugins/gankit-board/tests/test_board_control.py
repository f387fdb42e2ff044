"""What `--control` allows: to stop a run, to go on with one, to start a recipe."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gankit_board import marks

RECIPE = "gankit-papers/gaussians"
ENDLESS = {
    "train.steps": "1_000_000",
    "train.batch_size": "16",
    "train.sample_every": "50",
    "train.log_every": "5",
    "train.device": "cpu",
    "dataset.samples": "200",
}


def _until(truth: Callable[[], Any], seconds: float = 180) -> Any:
    limit = time.monotonic() + seconds
    while not (told := truth()):
        assert time.monotonic() < limit
        time.sleep(0.1)
    return told


def _state(folder: Path) -> str:
    mark = marks.read(folder)
    return mark.state if mark else ""


def test_nothing_changes_anything_unless_it_is_asked_for(
    board: Any, trained: Path
) -> None:
    """There is no such answer."""
    assert board.ask("/api/runs").json()["control"] is False
    for path in ("stop", "resume", "start"):
        answer = board.ask(f"/api/{path}", {"run": "scenes", "recipe": RECIPE})
        assert answer.status == 404, path
    assert board.ask("/api/begun").status == 404


def test_control_asks_everybody_for_a_token(trained: Path) -> None:
    """On this machine too, where others may have accounts."""
    words = ["board", str(trained), "--port", "0", "--control"]
    with subprocess.Popen(
        [sys.executable, "-m", "gankit", *words],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    ) as board:
        assert board.stdout is not None
        assert "/?token=" in board.stdout.readline()
        board.terminate()
        assert board.wait(30) == 0


def test_a_recipe_is_started_stopped_and_gone_on_with(
    serve: Any, tmp_path: Path
) -> None:
    """As by the commands: the step is finished, saved, and nothing is lost."""
    root = tmp_path / "runs"
    root.mkdir()
    board = serve(root, control=True)
    told = board.ask("/api/start", {"recipe": RECIPE, "changes": ENDLESS}).json()
    assert told["name"] == "gaussians-1"
    assert told["command"].startswith(f"gankit train {RECIPE} train.steps=1_000_000 ")
    folder = root / "gaussians-1"
    _until(lambda: _state(folder) == "playing")
    board.until("/api/run?run=gaussians-1", "state", "running")
    again = board.ask("/api/resume", {"run": "gaussians-1"})
    assert (again.status, "runs already" in again.json()["error"]) == (422, True)
    assert board.ask("/api/stop", {"run": "gaussians-1"}).status == 200
    _until(lambda: _state(folder) == "stopped")
    mark = marks.read(folder)
    assert mark is not None
    assert mark.said == "SIGINT"
    assert (folder / "checkpoints" / f"{mark.step:08d}").is_dir()
    _until(lambda: not mark.alive)
    total = str(mark.step + 3)
    wish = {"run": "gaussians-1", "changes": {"train.steps": total}}
    assert board.ask("/api/resume", wish).status == 200
    _until(lambda: _state(folder) == "finished")
    assert tomllib.loads((folder / "recipe.toml").read_text())["train"]["steps"] == int(
        total
    )
    gone = board.ask("/api/stop", {"run": "gaussians-1"})
    assert (gone.status, "does not say" in gone.json()["error"]) == (422, True)


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"recipe": "gaussian"}, "no recipe 'gaussian'"),
        ({"recipe": "../../etc/x.toml"}, "no recipe"),
        ({"changes": {"train.steps": "many"}}, "train.steps"),
        ({"changes": {"train.step": "3", "loss.use": "hinj"}}, "'hinge'"),
        ({"changes": {"--out": "/tmp/x"}}, "'--out' is no option"),
        ({"changes": {"plugins": '["/tmp/evil.py"]'}}, "plugin files"),
        ({"changes": {"train.steps": 3}}, "give a text"),
        ({"changes": [3]}, "changes"),
    ],
    ids=str,
)
def test_what_is_asked_for_is_checked_as_the_command_line_checks_it(
    steered: Any, wish: dict[str, Any], said: str
) -> None:
    """Before anything is begun, with all that is wrong."""
    answer = steered.ask("/api/start", {"recipe": RECIPE} | wish)
    assert answer.status == 422
    assert said in answer.json()["error"]
    assert steered.ask("/api/begun").json() == {"begun": []}


def test_a_form_is_made_of_the_schema(steered: Any) -> None:
    """With names, types, ranges and help, and what the recipe has."""
    told = steered.ask(f"/api/form?recipe={RECIPE}").json()
    batch = told["schema"]["properties"]["train"]["properties"]["batch_size"]
    assert (batch["type"], batch["minimum"]) == ("integer", 1)
    assert told["table"]["dataset"]["use"] == "gankit-datasets/gaussians"


def test_what_a_command_says_when_it_fails_is_shown(
    serve: Any, tmp_path: Path, trained: Path
) -> None:
    """As a change that is refused only when the run goes on."""
    root = tmp_path / "runs"
    shutil.copytree(trained / "points", root / "points")
    board = serve(root, control=True)
    wish = {"run": "points", "changes": {"generator.hidden": "[9]"}}
    assert board.ask("/api/resume", wish).status == 200

    def failed() -> Any:
        (one,) = board.ask("/api/begun").json()["begun"]
        return one if one["state"] == "failed" else None

    told = _until(failed)
    assert told["said"].startswith("error:")
    assert "generator" in told["said"]


def test_a_run_of_another_machine_is_not_stopped(
    serve: Any, tmp_path: Path, trained: Path
) -> None:
    """Nor a process that only has the number of one that has ended."""
    root = tmp_path / "runs"
    shutil.copytree(trained / "points", root / "points")
    board = serve(root, control=True)
    here = os.uname().nodename
    for mark, said in (
        (marks.Mark("playing", host="elsewhere", pid=os.getpid()), "on elsewhere"),
        (marks.Mark("playing", host=here, pid=os.getpid(), born=1), "is gone"),
    ):
        marks.write(root / "points", mark)
        answer = board.ask("/api/stop", {"run": "points"})
        assert answer.status == 422
        assert said in answer.json()["error"]


ODD = """a  'b' "c" $HOME `id` \\ !1 ;é"""


def test_a_word_is_quoted_as_a_shell_reads_it(steered: Any, page: Any) -> None:
    """As Python's shlex does it, for all that can be typed."""
    words = [
        "",
        "a",
        "a b",
        "it's",
        "$HOME",
        "`id`",
        "a\nb",
        "\\",
        "~",
        "é",
        "a=1,2",
        ODD,
    ]
    page.goto(steered.address)
    quoted = page.evaluate(
        "async words => words.map((await import('/page/base.js')).quoted)", words
    )
    assert quoted == [shlex.quote(word) for word in words]
    told = subprocess.run(
        ["sh", "-c", "printf '%s\\0' " + " ".join(quoted)],
        capture_output=True,
        check=True,
    )
    assert told.stdout.decode().split("\0")[:-1] == words


def test_a_telephone_has_room_for_the_form(steered: Any, page: Any) -> None:
    """However long the line of a recipe or of a part is that can be chosen."""
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(f"{steered.address}/new")
    page.get_by_label("Recipe", exact=True).select_option(RECIPE)
    page.locator(".command").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_page_starts_stops_and_goes_on(serve: Any, page: Any, tmp_path: Path) -> None:
    """From a form; what cannot be is said in it, and the rest of it stays."""
    root = tmp_path / "runs"
    root.mkdir()
    board = serve(root, control=True)
    page.goto(board.address)
    page.get_by_role("link", name="Start a recipe").click()
    page.get_by_label("Recipe", exact=True).select_option(RECIPE)
    steps = page.get_by_label("train.steps", exact=True)
    steps.fill("0")
    page.locator("small.wrong", has_text="at least 1").wait_for()
    page.get_by_role("button", name="Start").click()
    page.get_by_role("alert").filter(has_text="train.steps").wait_for()
    steps.fill("1000000")
    page.get_by_label("train.log_every").fill("5")
    page.get_by_label("Anything else").fill("train.batch_size=16\ndataset.samples=200")
    assert "train.steps=1000000" in page.locator(".command").inner_text()
    description = page.get_by_label("Anything else")
    before = description.input_value()
    description.fill(f"{before}\ndescription={ODD}")
    words = shlex.split(page.locator(".command").inner_text())
    assert words[:3] == ["gankit", "train", RECIPE]
    assert words[-1] == f"description={ODD}"
    description.fill(before)
    page.get_by_role("button", name="Start").click()
    page.locator(".row .name", has_text="gaussians-1").click()
    page.get_by_role("button", name="Stop, and save").click()
    page.locator(".head .pill.stopped").wait_for()
    step = marks.read(root / "gaussians-1").step  # type: ignore[union-attr]
    page.get_by_label("Changes of its recipe").fill(f"train.steps={step + 2}")
    page.get_by_role("button", name="Go on").click()
    page.locator(".head .pill.finished").wait_for()
