"""Style transfer: pictures become noise, which is held while texts change."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
import torch
from PIL import Image

import gankit
from gankit import Classes, Facts
from gankit.cli import run
from gankit.errors import UsageError
from gankit.plugins.discovery import discover
from gankit.runs.styling import find_inversion, read_pictures

Capture = pytest.CaptureFixture[str]
Plugin = Callable[[str, str], Path]

# noise that tells the picture: its corners' greys
CORNERS = """
from gankit import Part, hookimpl

class Corners:
    def __call__(self, sampler, pictures, *, folder, progress):
        folder.mkdir(exist_ok=True)
        (folder / "corners.txt").write_text(str(len(pictures)))
        progress(1, 1, "looking at corners")
        return pictures.mean(1)[:, ::15, ::15].flatten(1)

class Few:
    def __call__(self, sampler, pictures, *, folder, progress):
        return pictures.mean((1, 2, 3))

class Choosy:
    def __call__(self, sampler, pictures, *, folder, progress):
        raise ValueError("it inverts nothing; try corners")

class Sized:
    def __init__(self, size: int):
        self.size = size

@hookimpl
def gankit_parts():
    for kind in (Corners, Few, Choosy, Sized):
        yield Part("inversion", kind.__name__.lower(), kind)
"""


@pytest.fixture
def mine(captioned: str, tmp_path: Path, plugin_file: Plugin) -> list[str]:
    """Give arguments that sample a copy of a run, with inversions of a local file."""
    shutil.copytree(captioned, tmp_path / "run")
    plugin = plugin_file("corners.py", CORNERS)
    return ["sample", str(tmp_path / "run"), "--plugin", str(plugin)]


def picture(folder: Path, side: int = 16, name: str = "style.png") -> str:
    """Write a picture whose corners differ."""
    pixels = numpy.zeros((side, side, 3), numpy.uint8)
    pixels[:, side // 2 :] = 255
    pixels[side // 2 :] //= 3
    path = str(folder / name)
    Image.fromarray(pixels).save(path)
    return path


def test_each_picture_is_drawn_with_each_text(
    mine: list[str], tmp_path: Path, capsys: Capture
) -> None:
    """A row for a picture: what its noise and each text give, by hand."""
    styles = [picture(tmp_path), picture(tmp_path, name="other.png")]
    Image.open(styles[1]).rotate(180).save(styles[1])
    texts = ["a red circle", "a blue square", "a green triangle"]
    asked = [word for style in styles for word in ("--style", style)]
    asked += [word for text in texts for word in ("--text", text)]
    out = tmp_path / "drawn.npy"
    words = [*mine, *asked, "--style-by", "corners", "-o", str(out), "--json"]
    assert run(words) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["captions"] == texts * 2
    sampler = gankit.load(tmp_path / "run", device="cpu")
    noises = torch.tensor([[0, 1, 0, 85 / 255], [85 / 255, 0, 1, 0]])
    for row, noise in enumerate(noises):
        expected = sampler.generate(noise.repeat(3, 1), texts).samples.numpy()
        assert (numpy.load(out)[3 * row : 3 * row + 3] == expected).all()
    assert (tmp_path / "run" / "inversions" / "corners.txt").read_text() == "2"


def test_a_row_is_a_row_of_the_grid(captioned: str) -> None:
    """Two noises with three texts lie in two rows of three."""
    sampler = gankit.load(captioned, device="cpu")
    texts = ["a red circle", "a blue square", "a green triangle"]
    cells = sampler.restyle(torch.randn(2, 4), captions=texts).cells()
    tops, lefts = [box[1] for box in cells], [box[0] for box in cells]
    assert tops == [tops[0]] * 3 + [tops[3]] * 3
    assert lefts == lefts[:3] * 2
    assert len({*tops}) == 2
    assert len({*lefts}) == 3


def test_without_conditions_there_is_one_column(unlabelled: str) -> None:
    """What the noise gives."""
    sampler, noise = gankit.load(unlabelled, device="cpu"), torch.randn(3, 2)
    drawn = sampler.restyle(noise, seed=5)
    assert torch.equal(drawn.samples, sampler.generate(noise, seed=5).samples)
    assert drawn.columns == 1


def test_a_picture_of_another_size_is_resized_with_a_note(
    mine: list[str], tmp_path: Path, capsys: Capture
) -> None:
    """One of the right size is taken as it is, and nothing is said."""
    for side, noted in ((16, False), (64, True)):
        style = picture(tmp_path, side)
        text = ["--text", "a red circle", "--style-by", "corners"]
        out = str(tmp_path / "drawn.png")
        assert run([*mine, "--style", style, *text, "-o", out]) == 0
        said = capsys.readouterr().err
        note = "is 64x64, and samples are 16x16: its middle is cut out and resized"
        assert (note in said) == noted


def test_pictures_are_read_as_samples_are(tmp_path: Path) -> None:
    """In [0, 1], or the data's own range; grey, colour; transparency on white."""
    layer = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    layer.paste((0, 0, 255, 255), (0, 0, 2, 4))
    layer.save(path := str(tmp_path / "layer.png"))
    notes: list[str] = []
    read = read_pictures([path], Facts((3, 4, 4)), notes.append)
    assert read[0, :, 0].T.tolist() == [[0, 0, 1]] * 2 + [[1, 1, 1]] * 2
    grey = read_pictures([path], Facts((1, 4, 4), sample_range=(-1.0, 1.0)), print)
    assert grey.shape == (1, 1, 4, 4)
    assert grey[0, 0, 0, 3] == 1
    clear = read_pictures([path], Facts((4, 4, 4)), print)
    assert clear[0, 3, 0].tolist() == [1, 1, 0, 0]
    assert notes == []


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (
            Facts((2,), label=Classes(("a", "b"))),
            r"samples of this run are of .*\(2,\)",
        ),
        (Facts((7, 4, 4)), r"\(7, 4, 4\)"),
        (
            Facts((1, 4, 4), sample_range=(float("-inf"), float("inf"))),
            "from -inf to inf",
        ),
    ],
)
def test_samples_that_no_picture_can_be_like_are_refused(
    facts: Facts, said: str, tmp_path: Path
) -> None:
    """Points, seven channels, floats without black and white."""
    with pytest.raises(UsageError, match=said):
        read_pictures([picture(tmp_path)], facts, print)


def test_a_file_that_is_no_picture_is_refused_by_name(
    mine: list[str], tmp_path: Path, capsys: Capture
) -> None:
    """One that is not there, and one that is something else; before anything runs."""
    (tmp_path / "text.png").write_text("no picture")
    for name, reason in (
        ("text.png", "cannot identify image file"),
        ("nowhere.png", "No such file or directory\n"),
    ):
        words = [*mine, "--style-by", "corners", "--style", str(tmp_path / name)]
        assert run(words) == 2
        said = capsys.readouterr().err
        assert f"{name}: cannot be read as a picture: {reason}" in said
        assert "Traceback" not in said


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["-n", "4"], "-n means nothing beside --style"),
        (["--truncation", "1"], "--truncation means nothing"),
        (["--interpolate"], "--interpolate means nothing"),
        (["--interpolate-conditions"], "--interpolate-conditions means nothing"),
        (["--label", "3"], "conditioned on its captions: it takes no label"),
        (["--style-by", "nobody"], "no inversion named 'nobody'"),
        (["--style-by", "sized"], "cannot do without 'size'"),
        (["--style-by", "few"], "gave (1,), not noise of the shape (1, 4)"),
        (["--style-by", "choosy"], "Choosy: it inverts nothing; try corners"),
        ([], "there are several inversions, 'choosy', 'corners'"),
    ],
)
def test_what_does_not_go_with_a_style_is_said(
    more: list[str], said: str, mine: list[str], tmp_path: Path, capsys: Capture
) -> None:
    """In one error, and no traceback."""
    style_by = [] if "--style-by" in more or not more else ["--style-by", "corners"]
    out = ["-o", str(tmp_path / "drawn.png")]
    words = [*mine, "--style", picture(tmp_path), *style_by, *more, *out]
    assert run(words) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert "Traceback" not in shown


def test_who_finds_noise_is_only_asked_of_pictures(
    mine: list[str], capsys: Capture
) -> None:
    """``--style-by`` alone is an error."""
    assert run([*mine, "--style-by", "corners"]) == 2
    assert "--style-by says who finds noise for a --style" in capsys.readouterr().err


def test_the_only_inversion_is_taken_and_none_is_an_error() -> None:
    """That of gankit-dcgan; without that plugin there is none."""
    assert type(find_inversion(discover())).__name__ == "StyleEncoder"
    with pytest.raises(UsageError, match="no plugin that is loaded brings one"):
        find_inversion(discover(disable=["gankit-dcgan"]))
