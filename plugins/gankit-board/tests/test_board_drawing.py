"""The playground draws what `gankit sample` draws."""

from __future__ import annotations

import base64
import io
import json
import shlex
import shutil
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy
import pytest
import tomli_w
from PIL import Image

import gankit
from gankit.cli import run as command
from gankit_board.drawn_routes import Wish


def _drawn(board: Any, **wish: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    answer = board.ask("/api/draw", wish)
    assert answer.status == 200, answer.body
    said = [json.loads(line) for line in answer.body.splitlines()]
    assert "done" in said[-1], said[-1]
    return [one for one in said[:-1] if "pictures" in one], said[-1]


def _pixels(data: bytes) -> numpy.ndarray:
    return numpy.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


WISHES: list[dict[str, Any]] = [
    {"run": "scenes", "conditions": ["a red circle above a blue square"], "seed": 7},
    {"run": "scenes", "count": 5, "truncation": 0.5},
    {"run": "scenes", "what": "noises", "count": 9, "seed": 2},
    {"run": "scenes", "what": "conditions", "count": 9, "conditions": ["a", "b's"]},
    {"run": "points", "conditions": ["2", "0"], "count": 70},
]


@pytest.mark.parametrize("wish", WISHES, ids=str)
def test_the_pixels_are_those_of_the_command(
    board: Any, trained: Path, tmp_path: Path, wish: dict[str, Any]
) -> None:
    """The command that the page gives to copy writes the very same picture."""
    _, done = _drawn(board, **wish)
    grid = board.ask(f"/api/drawn/{done['drawing']}.png")
    assert grid.headers["content-type"] == "image/png"
    words = shlex.split(done["command"])
    assert words[:3] == ["gankit", "sample", str(trained / wish["run"])]
    file = tmp_path / "same.png"
    assert command([*words[1:], "-o", str(file)]) == 0
    assert (_pixels(grid.body) == _pixels(file.read_bytes())).all()


def test_pictures_come_as_they_are_made(board: Any, trained: Path) -> None:
    """A batch at a time, each picture with its caption, pixel by pixel."""
    texts = ["a red circle", "a blue star"]
    some, done = _drawn(board, run="scenes", count=70, seed=3, conditions=texts)
    assert [len(one["pictures"]) for one in some] == [64, 6]
    drawn = gankit.load(trained / "scenes", device="cpu").sample(
        70, seed=3, captions=texts
    )
    captions = [caption for one in some for caption in one["captions"]]
    assert captions == list(drawn.captions)
    pictures = [base64.b64decode(p) for one in some for p in one["pictures"]]
    for picture, sample in zip(pictures, drawn.samples, strict=True):
        expected = (sample * 255).round().byte().permute(1, 2, 0).numpy()
        assert (_pixels(picture) == expected).all()
    archive = board.ask(f"/api/drawn/{done['drawing']}.zip")
    with zipfile.ZipFile(io.BytesIO(archive.body)) as opened:
        names = opened.namelist()
        assert len(names) == 71
        assert opened.read(names[1]) == pictures[0]


def test_what_is_nearest_to_a_picture(board: Any, trained: Path) -> None:
    """Of all training items, by a search of another kind; and of points none are."""
    _, done = _drawn(board, run="scenes", count=3, seed=1)
    wish = {"run": "scenes", "drawing": done["drawing"], "place": 2}
    told = board.ask("/api/near", wish).json()
    data = gankit.assemble_dataset(gankit.read_recipe(trained / "scenes/recipe.toml"))
    items = numpy.stack([numpy.asarray(data[i].sample) for i in range(len(data))])
    drawn = gankit.load(trained / "scenes", device="cpu").sample(3, seed=1)
    sample = drawn.samples[2].double().numpy()
    far = ((items / 255.0 - sample) ** 2).mean((1, 2, 3)) ** 0.5
    nearest = numpy.argsort(far, kind="stable")[:6]
    assert told["apart"] == pytest.approx(far[nearest], abs=1e-5)
    assert (told["looked"], told["of"]) == (24, 24)
    for picture, place in zip(told["pictures"], nearest, strict=True):
        pixels = _pixels(base64.b64decode(picture))
        assert (pixels == items[place].transpose(1, 2, 0)).all()
    for wrong in ({"place": 3}, {"place": "1"}, {"drawing": "x"}):
        assert board.ask("/api/near", wish | wrong).status == 422
    _, done = _drawn(board, run="points", count=1)
    wish = {"run": "points", "drawing": done["drawing"], "place": 0}
    assert board.ask("/api/near", wish).status == 422


def test_points_are_drawn_as_a_plot(board: Any) -> None:
    """They are no pictures: there is the plot alone."""
    some, done = _drawn(board, run="points", count=4)
    assert [one["pictures"] for one in some] == [[]]
    assert board.ask(f"/api/drawn/{done['drawing']}.png").status == 200


def test_what_a_run_can_be_asked_for(board: Any) -> None:
    """Classes by name; of texts the run's own are suggested."""
    points = board.ask("/api/open", {"run": "points"}).json()
    assert points["reads"] == "label"
    assert points["classes"] == [f"mode {i}" for i in range(4)]
    scenes = board.ask("/api/open", {"run": "scenes"}).json()
    assert (scenes["reads"], scenes["classes"]) == ("captions", [])
    assert scenes["suggested"]
    assert scenes["step"] == 6


def test_a_wrong_class_says_what_there_is(board: Any) -> None:
    """As the command line does; and the next request is answered."""
    answer = board.ask("/api/draw", {"run": "points", "conditions": ["seven"]})
    error = json.loads(answer.body.splitlines()[-1])["error"]
    assert "'seven'" in error
    assert "'mode 3'" in error
    _drawn(board, run="points", count=2, conditions=["3"])


def test_a_run_of_parts_that_are_not_here_is_shown(
    serve: Any, trained: Path, tmp_path: Path
) -> None:
    """With what to install; drawing from it says what is missing."""
    root = tmp_path / "runs"
    shutil.copytree(trained / "points", root / "points")
    path = root / "points" / "recipe.toml"
    path.write_text(path.read_text().replace("gankit-losses/", "acme-losses/"))
    board = serve(root)
    told = board.ask("/api/run?run=points").json()
    assert told["missing"] == ["acme-losses"]
    answer = board.ask("/api/draw", {"run": "points"})
    assert "acme-losses" in json.loads(answer.body.splitlines()[-1])["error"]


def test_differences_to_the_named_recipe(
    serve: Any, trained: Path, tmp_path: Path
) -> None:
    """Of one that is registered; of another it is said that it cannot be."""
    root = tmp_path / "runs"
    name = "gaussians"
    table = gankit.read_recipe(name, ["train.steps=7", "loss.use=hinge"]).as_table()
    (root / "a").mkdir(parents=True)
    (root / "a" / "recipe.toml").write_text(tomli_w.dumps(table))
    shutil.copytree(trained / "points", root / "points")
    board = serve(root)
    rows = board.ask("/api/named?run=a").json()["rows"]
    found = {row["option"]: (row["run"], row["named"]) for row in rows}
    assert found.keys() == {"train.steps", "loss.use"}
    assert found["train.steps"][0] == 7
    answer = board.ask("/api/named?run=points")
    assert answer.status == 422
    assert "recipe" in answer.json()["error"]


@pytest.mark.parametrize("name", ["{root}/evil.toml", "~nobody/x.toml", "{root}/plain"])
def test_a_run_that_names_a_file_as_its_recipe_runs_nothing(
    serve: Any, tmp_path: Path, name: str
) -> None:
    """Whoever wrote the run may have written that file, and plugins for it."""
    root, ran = tmp_path / "runs", tmp_path / "ran"
    (root / "a").mkdir(parents=True)
    (tmp_path / "evil.py").write_text(f"open({str(ran)!r}, 'w').close()")
    recipe = tomli_w.dumps({"plugins": ["evil.py"], "train": {"steps": 1}})
    for file in ("evil.toml", "plain"):
        (tmp_path / file).write_text(recipe)
    table = {"provenance": {"recipe": name.format(root=tmp_path)}}
    (root / "a" / "recipe.toml").write_text(tomli_w.dumps(table))
    answer = serve(root).ask("/api/named?run=a")
    assert answer.status == 422
    assert "no plugin brings a recipe" in answer.json()["error"]
    assert not ran.exists()


def test_whoever_stops_waiting_frees_the_next(board: Any) -> None:
    """A request whose page has gone is ended, and the next one answered."""
    _drawn(board, run="scenes", count=1)
    connection = board.connect("/api/draw", {"run": "scenes", "count": 256})
    connection.close()
    time.sleep(0.1)
    _drawn(board, run="scenes", count=2)


def test_a_process_that_has_ended_is_started_again(board: Any) -> None:
    """As one that the system has killed for its memory."""
    _drawn(board, run="scenes", count=1)
    process = board.drawer._process
    process.kill()
    answer = board.ask("/api/draw", {"run": "scenes", "count": 1})
    said = json.loads(answer.body.splitlines()[-1])
    assert "done" in said or "has ended" in said["error"]
    _drawn(board, run="scenes", count=1)


def test_a_command_quotes_what_a_shell_would_read() -> None:
    """Nothing that is typed into the page is more than an argument."""
    wish = Wish(run="r", conditions=["a; rm -rf $HOME", "it's"], seed=3)
    line = wish.command("runs/my run", 5, "--text", ["--plugin", "my parts.py"])
    words = shlex.split(line)
    assert words[2] == "runs/my run"
    assert words[words.index("--text") + 1] == "a; rm -rf $HOME"
    assert words[-2:] == ["--plugin", "my parts.py"]
    other = Wish(run="r", conditions=["yaw=0.5, pitch=0"]).command(
        "r", 5, "--set pose=", []
    )
    assert shlex.split(other)[-3] == "pose=yaw=0.5, pitch=0"
