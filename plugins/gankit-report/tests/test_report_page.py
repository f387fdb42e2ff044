"""The page of a run: whole in one file, and honest of what is not there."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy
import pytest
import tomli_w
import torch
from PIL import Image

import gankit
from gankit.cli import run
from gankit_report import pictures, told
from gankit_report.page import Wishes, render
from gankit_report.record import read_record
from tiny import CAPTIONED, LABELLED, without

WISHES = Wishes(device="cpu", items=20)
# an unconditional run of pictures, which are grey and of a side of 16
PLAIN = without(CAPTIONED, "conditioner", "augmentations") | {
    "loss": {"use": "hinge"},
    "dataset": CAPTIONED["dataset"] | {"items": 40},
    "train": CAPTIONED["train"] | {"sample_every": 1, "steps": 12},
}


class Page(HTMLParser):
    """What a page refers to, how it is nested, and what it says."""

    VOID = frozenset({"meta", "img", "br", "use", "path", "link", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.tags: set[str] = set()
        self.said: dict[str, str] = {}  # by section
        self.cells: dict[str, list[bytes]] = {}
        self.section = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        """Note what it refers to."""
        given = dict(attrs)
        self.tags.add(tag)
        self.ids += [given["id"]] if "id" in given else []
        self.targets += [given[k] for k in ("src", "href") if k in given]
        if tag == "section":
            self.section = given["id"]
        if tag == "img":
            data = base64.b64decode(given["src"].partition(",")[2])
            self.cells.setdefault(self.section, []).append(data)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        """Note what it refers to; nothing is open after it."""
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        """Hold that it is the one that was opened last."""
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note what is said."""
        self.said[self.section] = self.said.get(self.section, "") + data

    def pictures(self, section: str) -> list[numpy.ndarray]:
        """Return the pictures of a section, pixel by pixel."""
        every = self.cells.get(section, [])
        return [numpy.asarray(Image.open(io.BytesIO(data))) for data in every]


def _trained(folder: Path, table: dict[str, Any]) -> Path:
    gankit.train(table, out=folder / "run")
    return folder / "run"


@pytest.fixture(scope="module")
def points(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train on labelled points."""
    return _trained(tmp_path_factory.mktemp("points"), LABELLED)


@pytest.fixture(scope="module")
def captioned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train on captioned pictures."""
    return _trained(tmp_path_factory.mktemp("captioned"), CAPTIONED)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train on pictures without conditions."""
    return _trained(tmp_path_factory.mktemp("plain"), PLAIN)


def _page(folder: Path, wishes: Wishes = WISHES) -> Page:
    return Page(render(read_record(folder), wishes))


@pytest.mark.parametrize("kind", ["points", "captioned", "plain"])
def test_a_page_needs_nothing_else(kind: str, request: pytest.FixtureRequest) -> None:
    """No script, no other file; each link leads to a place in it."""
    page = _page(request.getfixturevalue(kind))
    assert not page.tags & {"script", "link", "iframe", "object"}
    assert len(page.ids) == len(set(page.ids))
    inner = {f"#{name}" for name in page.ids}
    assert all(t.startswith("data:image/webp") or t in inner for t in page.targets)
    assert {"#samples", "#training", "#scores", "#curves", "#recipe"} <= set(
        page.targets
    )


def test_samples_are_those_of_the_seed(captioned: Path) -> None:
    """To the last bit, where they are small; each above its caption."""
    page = _page(captioned)
    drawn = gankit.load(captioned, device="cpu").sample(12)
    for shown, sample in zip(page.pictures("samples"), drawn.samples, strict=True):
        pixels = (sample * 255).round().byte().permute(1, 2, 0).numpy()
        assert (shown == pixels).all()
    for caption in drawn.captions:
        assert caption in page.said["samples"]


def test_a_filmstrip_follows_the_same_cells(plain: Path) -> None:
    """A column for each chosen step, a row for each of the four samples of a grid."""
    page = _page(plain)
    steps = told.spread_steps(range(1, 13), 8)
    shown = page.pictures("training")
    assert len(shown) == 4 * len(steps)
    last = shown[len(steps) - 1 :: len(steps)]
    drawn = gankit.load(plain, device="cpu").sample(4)
    for cell, sample in zip(last, drawn.samples, strict=True):
        pixels = (sample * 255).round().byte().permute(1, 2, 0).numpy()
        assert (cell == pixels).all()
    first = Image.open(plain / "samples" / "00000001.png")
    cut = first.crop(drawn.cells()[0]).resize((16, 16), Image.Resampling.NEAREST)
    assert (shown[0] == numpy.asarray(cut)).all()


def test_transparent_pictures_stay_so_in_a_page() -> None:
    """Each in its own cell, to the last bit, over whatever ground the page has."""
    samples = torch.tensor([0.2, 0.4, 1.0, 0.6]).view(1, 4, 1, 1).expand(1, 4, 8, 8)
    assert pictures.are_pictures(samples)
    (cell,) = pictures.cells(samples)
    data = base64.b64decode(cell.uri.partition(",")[2])
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.mode == "RGBA"
        assert picture.getpixel((4, 4)) == (51, 102, 255, 153)


def test_walks_between_conditions_are_shown(captioned: Path, plain: Path) -> None:
    """Where there are conditions; else that is said."""
    assert len(_page(captioned).pictures("conditions")) >= 2 * 8
    said = _page(plain).said["conditions"]
    assert "The run is not conditioned: there is nothing to walk between." in said


def test_the_nearest_training_items_are_shown(plain: Path) -> None:
    """Beside six samples, of those that were looked through."""
    page = _page(plain)
    assert len(page.pictures("neighbours")) == 6 * 5
    assert "among 20 of 40 training items" in page.said["neighbours"]
    every = _page(plain, Wishes(device="cpu", items=99)).said["neighbours"]
    assert "among all 40 of 40 training items" in every


def test_points_are_plotted(points: Path) -> None:
    """Before those of the data; nearness by pixels has no meaning."""
    page = _page(points)
    assert page.pictures("samples") == []
    assert "generated" in page.said["samples"]
    assert "real" in page.said["samples"]
    assert "Samples are no pictures" in page.said["neighbours"]
    # three pairs of the four modes would need six
    assert page.said["conditions"].count("→") == 2


def test_data_that_is_not_read_is_told_of(plain: Path, tmp_path: Path) -> None:
    """Because that was asked for, or because it is not on this machine."""
    page = _page(plain, Wishes(device="cpu", items=0))
    assert "was not to be read (--items 0)" in page.said["neighbours"]
    gone = ("dataset.use=image-folder", f"dataset.root={tmp_path / 'gone'}")
    page = _page(plain, Wishes(device="cpu", overrides=gone))
    assert "The data cannot be read here: " in page.said["neighbours"]
    assert str(tmp_path / "gone") in page.said["neighbours"]
    assert len(page.pictures("samples")) == 48


def test_a_part_that_raises_costs_its_section(
    captioned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts are strangers'; the rest of the page is made."""

    def raising(*_: object, **__: object) -> None:
        raise TypeError("no walks\nhere")

    monkeypatch.setattr(gankit.Sampler, "interpolate", raising)
    page = _page(captioned)
    assert "It cannot be drawn: no walks here" in page.said["noises"]
    assert len(page.pictures("samples")) == 12
    assert len(page.pictures("conditions")) >= 2 * 8


def test_a_run_without_a_checkpoint_has_a_page(plain: Path, tmp_path: Path) -> None:
    """Its grids are shown whole, and the rest says why it is not there."""
    folder = tmp_path / "young"
    shutil.copytree(plain, folder, ignore=shutil.ignore_patterns("checkpoints"))
    page = _page(folder)
    assert len(page.pictures("training")) == 8
    for section in ("samples", "noises", "conditions", "neighbours"):
        said = page.said[section]
        assert "There is no checkpoint yet. The first is due at step 2." in said


def test_a_run_that_has_just_begun_has_a_page(tmp_path: Path) -> None:
    """It has a recipe, and nothing else."""
    table = gankit.read_recipe(LABELLED).as_table()
    (tmp_path / "recipe.toml").write_text(tomli_w.dumps(table), "utf-8")
    page = _page(tmp_path)
    assert "No grid of samples has been drawn yet" in page.said["training"]
    assert "Nothing has been measured yet." in page.said["curves"]
    assert "run gankit evaluate" in page.said["scores"]


def test_parts_that_are_not_here_are_told_of(points: Path, tmp_path: Path) -> None:
    """The page is made without what they would draw."""
    folder = tmp_path / "foreign"
    shutil.copytree(points, folder)
    recipe = (folder / "recipe.toml").read_text("utf-8")
    other = recipe.replace("gankit-mlp/mlp", "elsewhere/net")
    (folder / "recipe.toml").write_text(other, "utf-8")
    said = _page(folder).said["samples"]
    assert "The generator cannot be loaded here: " in said
    assert "elsewhere/net" in said


def test_scores_are_told_with_what_they_were_measured(
    points: Path, tmp_path: Path
) -> None:
    """And what a stranger has written is text, whatever it looks like."""
    folder = tmp_path / "scored"
    shutil.copytree(points, folder)
    score = {
        "name": "kid",
        "title": "kid[<b>net</b>@57]",
        "value": 0.01234567,
        "spread": 0.0004,
        "values": [0.0119, 0.0127],
        "error": 0.0002,
        "better": "lower",
        "step": 6,
        "checkpoint": "best",
        "samples": 10000,
        "split": "test",
        "details": {"subsets": 100},
        "provenance": {"resize": "bicubic"},
    }
    (folder / "scores.json").write_text(json.dumps({"scores": [score]}), "utf-8")
    (folder / "metrics.jsonl").write_text(
        '{"step": 6, "<script>": 1.0, "seconds": 1.0}\n'
        '{"step": 6, "warning": "collapse", "text": "<script>alert(1)</script>"}\n',
        "utf-8",
    )
    page = _page(folder)
    assert "script" not in page.tags
    assert "<script>alert(1)</script>" in "".join(page.said.values())
    said = " ".join(page.said["scores"].split())
    for word in ("kid[<b>net</b>@57]", "0.01235", "± 0.0004", "n = 2: 0.0119, 0.0127"):
        assert word in said
    for word in ("lower is better", "10,000", "test", "6 (best)", "bicubic", "subsets"):
        assert word in said


def test_steps_of_a_filmstrip_are_few_and_spread() -> None:
    """Never more than there are, each once, the first and the last among them."""
    for count in range(1, 40):
        steps = [100 * (i + 1) for i in range(count)]
        chosen = told.spread_steps(steps, 8)
        assert len(chosen) == min(count, 8)
        assert chosen == sorted(set(chosen))
        assert {steps[0], steps[-1]} <= set(chosen)
    # 100 times the root of ten, again and again: 316, 1000, 3162
    hundreds = range(100, 10_001, 100)
    assert told.spread_steps(hundreds, 5) == [100, 300, 1000, 3200, 10000]


def test_the_command_says_what_it_wrote(
    points: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once; a file that is there is not written over, unless that is asked for."""
    path = tmp_path / "page.html"
    asked = ["report", str(points), "-o", str(path), "--items", "0", "--device", "cpu"]
    assert run(asked) == 0
    assert re.fullmatch(r".*page\.html: \d+ kB\n", capsys.readouterr().out)
    before = path.read_bytes()
    assert run(asked) == 2
    assert "exists; name another with -o, or write over it" in capsys.readouterr().err
    assert path.read_bytes() == before
    assert run([*asked, "--force", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said == {"file": str(path), "bytes": path.stat().st_size}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["gone"], "'gone' does not exist: it has no recipe.toml"),
        (["{run}", "-o", "gone/page.html"], "there is no folder 'gone' to write into"),
        (["{run}", "-o", "."], "'.' is a folder; name a file with -o"),
    ],
)
def test_what_cannot_be_reported_is_refused(
    arguments: list[str],
    said: str,
    points: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Before anything is computed, with exit code 2."""
    monkeypatch.chdir(tmp_path)
    assert run(["report", *(a.format(run=points) for a in arguments)]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""
