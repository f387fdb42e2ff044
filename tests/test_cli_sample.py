"""``gankit sample``: the same seed, the same picture; the rest is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy
import pytest

from gankit.cli import run

Capture = pytest.CaptureFixture[str]


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


def test_interpolation_walks_between_conditions(labelled: str, tmp_path: Path) -> None:
    """In a row the noise is held: two columns are the samples of either label."""
    path = str(tmp_path / "walk.npy")
    labels = ["--label", "mode 1", "--label", "mode 2"]
    walk = ["--interpolate-conditions", "-n", "4", "-o", path]
    assert run(["sample", labelled, *labels, *walk]) == 0
    walked = numpy.load(path)
    for column, label in enumerate(("mode 1", "mode 2")):
        plain = ["--label", label, "-n", "2", "-o", path]
        assert run(["sample", labelled, *plain]) == 0
        assert (walked[column::2] == numpy.load(path)).all()


def test_labels_take_turns(labelled: str, tmp_path: Path, capsys: Capture) -> None:
    """As captions do."""
    labels = ["--label", "mode 1", "--label", "2", "--json"]
    _drawn([labelled, *labels], tmp_path)
    said = json.loads(capsys.readouterr().out)
    assert said["captions"] == ["mode 1", "2"] * 2


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
        ("captioned", ["--label", "1"], "on its captions: it takes no label"),
        ("labelled", ["--label", "mode 9"], "no class 'mode 9'; did you mean 'mode 3'"),
        ("labelled", ["--label", "7"], "no class '7'; the classes are 'mode 0'"),
        ("captioned", ["--text", "日本"], "the caption '日本' has nothing that"),
        (
            "labelled",
            ["--interpolate", "--interpolate-conditions"],
            "--interpolate and --interpolate-conditions are two walks; choose one",
        ),
        (
            "unlabelled",
            ["--interpolate-conditions"],
            "this run is not conditioned: it has no conditions to walk between",
        ),
        (
            "labelled",
            ["--interpolate-conditions", "--label", "1"],
            "label: a walk has two ends; give two to walk between, not 1",
        ),
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
