"""Style transfer in the playground: as `gankit sample --style` does it."""

from __future__ import annotations

import base64
import io
import json
import shlex
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
from PIL import Image

from gankit.cli import run as command

INVERSIONS = """
import time
from gankit import Part, hookimpl

class Corners:
    def __call__(self, sampler, pictures, *, folder, progress):
        folder.mkdir(exist_ok=True)
        (folder / "corners.txt").write_text("kept")
        progress(1, 2, "looking at corners")
        progress(2, 2, f"corners: kept in {folder}")
        return pictures.mean(1)[:, ::15, ::15].flatten(1)

class Slow:
    def __call__(self, sampler, pictures, *, folder, progress):
        for step in range(1000):
            progress(step, 1000, "taking its time")
            time.sleep(1)

@hookimpl
def gankit_parts():
    yield Part("inversion", "corners", Corners)
    yield Part("inversion", "slow", Slow)
"""
TEXTS = ["a red circle", "it's $HOME"]


@pytest.fixture
def styled(serve: Any, trained: Path, tmp_path: Path) -> Iterator[Any]:
    """Give a board of a copied run, with inversions of a local file."""
    shutil.copytree(trained / "scenes", tmp_path / "my runs" / "scenes")
    plugin = tmp_path / "corners.py"
    plugin.write_text(INVERSIONS)
    plugins, disable = [str(plugin)], ["gankit-scaffold"]
    yield serve(tmp_path / "my runs", plugins=plugins, disable=disable)
    sys.modules.pop("corners", None)  # by which the command has imported the file


def _picture(path: Path, side: int = 40) -> Path:
    """Write a picture whose corners differ."""
    pixels = numpy.zeros((side, side, 3), numpy.uint8)
    pixels[:, side // 2 :] = 255
    pixels[side // 2 :] //= 3
    Image.fromarray(pixels).save(path)
    return path


def _wish(data: bytes, **more: Any) -> dict[str, Any]:
    told = {"picture": base64.b64encode(data).decode(), "file": "style.png"}
    return {"run": "scenes", **told, "by": "corners"} | more


def _said(board: Any, wish: dict[str, Any]) -> list[dict[str, Any]]:
    answer = board.ask("/api/style", wish)
    assert answer.status == 200, answer.body
    return [json.loads(line) for line in answer.body.splitlines()]


def _pixels(data: bytes) -> numpy.ndarray:
    return numpy.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def _same(
    words: list[str], picture: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> numpy.ndarray:
    """Return what a command of the page draws, for a run that has kept nothing."""
    run = Path(words[2])
    shutil.rmtree(run / "inversions")
    monkeypatch.chdir(picture.parent)
    out = folder / "same.png"
    assert command([*words[1:], "-o", str(out)]) == 0
    return _pixels(out.read_bytes())


def test_a_style_gives_the_pixels_of_the_command(
    styled: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the inversion and the plugins it was drawn with; nothing else is written."""
    picture = _picture(tmp_path / "-my 'bird.png")
    run = tmp_path / "my runs" / "scenes"
    before = {path for path in run.rglob("*") if path.is_file()}
    wish = _wish(
        picture.read_bytes(), file=picture.name, conditions=TEXTS, seed=9, device="cpu"
    )
    said = _said(styled, wish)
    after = {path for path in run.rglob("*") if path.is_file()}
    assert after - before == {run / "inversions" / "corners.txt"}
    notes = [one["note"] for one in said if "note" in one]
    assert notes == [
        "-my 'bird.png is 40x40, and samples are 16x16: its middle is cut out and "
        "resized"
    ]
    doing = [(one["steps"], one["of"]) for one in said if "doing" in one]
    assert doing == [(1, 2), (2, 2)]
    done = said[-1]
    words = shlex.split(done["command"])
    assert words[words.index("--style") + 1] == "./-my 'bird.png"
    grid = styled.ask(f"/api/drawn/{done['drawing']}.png").body
    assert (_pixels(grid) == _same(words, picture, tmp_path, monkeypatch)).all()


def test_a_picture_of_the_page_is_drawn_in_other_captions(
    styled: Any, page: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is uploaded, and a sample that was drawn and chosen."""
    picture = _picture(tmp_path / "bird.png")
    page.goto(f"{styled.address}/run?run=scenes")
    page.get_by_role("button", name="Load the generator").click()
    page.get_by_text("In the style of a picture").click()
    page.get_by_role("button", name="Draw", exact=True).click()
    page.get_by_role("alert").filter(has_text="choose the picture").wait_for()
    page.get_by_label("Choose a picture").set_input_files(str(picture))
    page.get_by_label("Inversion").select_option("corners/corners")
    page.get_by_label("What to draw, one a line").fill("\n".join(TEXTS))
    page.get_by_role("button", name="Draw", exact=True).click()
    page.get_by_text("its middle is cut out and resized").wait_for()
    page.locator(".command").wait_for()
    assert page.locator(".tiles img").count() == 2
    _compare(page, picture, tmp_path, monkeypatch)
    page.get_by_role("button", name="a red circle").first.click()
    page.get_by_role("button", name="Take the style of picture 1").click()
    page.get_by_role("link", name="Save it, for the command").wait_for()
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Save it, for the command").click()
    sample = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(sample)
    first = page.locator(".command").inner_text()
    page.get_by_role("button", name="Draw", exact=True).click()
    page.get_by_text("kept in", exact=False).last.wait_for()
    page.locator(".command", has_text=sample.name).wait_for()
    assert page.locator(".command").inner_text() != first
    _compare(page, sample, tmp_path, monkeypatch)


def _compare(
    page: Any, picture: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with page.expect_download() as waiting:
        page.get_by_role("link", name="PNG").click()
    downloaded = folder / "downloaded.png"
    waiting.value.save_as(downloaded)
    words = shlex.split(page.locator(".command").inner_text())
    assert words[words.index("--style") + 1] == picture.name
    same = _same(words, picture, folder, monkeypatch)
    assert (_pixels(downloaded.read_bytes()) == same).all()


def test_what_takes_long_is_shown_and_can_be_stopped(
    styled: Any, page: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process is ended, the picture laid aside is gone, and the next is drawn."""
    aside = tmp_path / "aside"
    aside.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(aside))
    page.goto(f"{styled.address}/run?run=scenes")
    page.get_by_role("button", name="Load the generator").click()
    page.get_by_text("In the style of a picture").click()
    file = str(_picture(tmp_path / "bird.png"))
    page.get_by_label("Choose a picture").set_input_files(file)
    page.get_by_label("Inversion").select_option("corners/slow")
    page.get_by_role("button", name="Draw", exact=True).click()
    page.get_by_text("taking its time, step 2 of 1,000").wait_for()
    (laid,) = aside.iterdir()
    assert laid.stat().st_mode & 0o077 == 0
    process = styled.drawer._process
    page.get_by_role("button", name="Stop", exact=True).click()
    limit = time.monotonic() + 60
    while process.returncode is None or any(aside.iterdir()):
        assert time.monotonic() < limit
        time.sleep(0.05)
    page.get_by_label("Inversion").select_option("corners/corners")
    page.get_by_role("button", name="Draw", exact=True).click()
    page.locator(".command").wait_for()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"picture": "no base64"}, "no base64"),
        ({"picture": 3}, "base64"),
        ({"picture": base64.b64encode(b"GIF89a").decode()}, "give one as PNG"),
        ({"picture": base64.b64encode(b"%!PS-Adobe-3.0").decode()}, "give one as PNG"),
        ({"file": "../x.png"}, "without a folder"),
        ({"file": ""}, "without a folder"),
        ({"file": "a\nb"}, "without a folder"),
        ({"file": "a\ud800b"}, "without a folder"),
        ({"by": 3}, "by"),
    ],
)
def test_an_upload_is_checked(board: Any, change: dict[str, Any], said: str) -> None:
    """That it is a picture, and has a name; before anything is drawn."""
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "png")
    answer = board.ask("/api/style", _wish(file.getvalue()) | change)
    assert answer.status == 422
    assert said in answer.json()["error"]


def test_an_upload_is_bounded(board: Any) -> None:
    """In bytes and, because few bytes may hold many, in pixels."""
    assert board.ask("/api/style", {"picture": "A" * (17 << 20)}).status == 413
    large = board.ask("/api/style", _wish(bytes((12 << 20) + 1)))
    assert (large.status, "more than 12 MB" in large.json()["error"]) == (422, True)
    file = io.BytesIO()
    Image.new("1", (10_000, 5_000)).save(file, "png")
    bomb = board.ask("/api/style", _wish(file.getvalue()))
    assert (bomb.status, "10000x5000 pixels" in bomb.json()["error"]) == (422, True)


def test_a_torn_picture_and_a_wrong_class_are_told(styled: Any, tmp_path: Path) -> None:
    """In the words of the command line, with the name that the user knows."""
    data = _picture(tmp_path / "style.png").read_bytes()
    (torn,) = _said(styled, _wish(data[:-40]))
    assert torn["error"].startswith("style style.png: cannot be read as a picture")
    (none,) = _said(styled, _wish(data, by="nobody"))
    assert "no inversion named 'nobody'" in none["error"]


def test_without_an_inversion_the_page_says_what_is_needed(
    serve: Any, page: Any, trained: Path
) -> None:
    """In a line; and who asks all the same is told so."""
    board = serve(trained, disable=["gankit-dcgan"])
    assert board.ask("/api/open", {"run": "points"}).json()["inversions"] == []
    board = serve(trained)
    page.route("**/api/open", _without_inversions)
    page.goto(f"{board.address}/run?run=scenes")
    page.get_by_role("button", name="Load the generator").click()
    page.get_by_text("Style transfer needs an inversion").wait_for()
    assert page.get_by_text("In the style of a picture").count() == 0


def _without_inversions(route: Any) -> None:
    answer = route.fetch()
    route.fulfill(response=answer, json=answer.json() | {"inversions": []})


def test_the_process_that_draws_has_a_low_priority(board: Any) -> None:
    """So that a run that trains goes on."""
    assert board.ask("/api/open", {"run": "scenes"}).status == 200
    pid = board.drawer._process.pid
    nice = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[16]
    assert int(nice) >= 10
