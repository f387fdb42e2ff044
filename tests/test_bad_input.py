"""Bad input: one clear error, exit code 2, nothing written or lost."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from PIL import Image

from gankit.cli import run
from tiny import tree

Capture = pytest.CaptureFixture[str]


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
    before = tree(tmp_path), tree(Path(labelled))
    unread = ["dataset.use=image-folder", "dataset.root=gone"]  # the folder comes first
    assert run(["train", recipe, *unread, "--out", str(out)]) == 2
    assert said in capsys.readouterr().err
    assert (tree(tmp_path), tree(Path(labelled))) == before


def test_a_folder_without_permission_is_refused(
    recipe: str, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is computed."""
    monkeypatch.setattr("gankit.runs.folder.os.access", lambda path, mode: False)
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
        [
            "conditioner 'label': the data set has no annotation",
            "choose a data set that",
        ],
    ),
    "no conditioner": (
        ["conditioner.use=none"],
        ["no conditioner named 'none'", "conditioner=none leaves it out"],
    ),
    "captions of none": (
        ["conditioner.use=char-cnn-rnn"],
        ["conditioner 'char-cnn-rnn'", "no annotation 'captions'"],
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
    "no such products": (["train.precision=tf32"], ["'tf32' needs a GPU"]),
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
    before = tree(Path())
    assert run(["train", recipe, *overrides]) == 2
    captured = capsys.readouterr()
    assert all(words in captured.err for words in said), captured.err
    assert captured.err.rpartition("reading the data")[2].count("error: ") == 1
    assert "Traceback" not in captured.err
    assert captured.out == ""
    assert tree(Path()) == before
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
    before = tree(Path())
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert "Traceback" not in captured.err
    assert tree(Path()) == before


def test_a_disk_that_fills_up_is_the_user_s_to_mend(
    recipe: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a plugin's fault, though a hook writes; what was saved before is whole."""

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("gankit.runs.checkpoint.save_file", full)
    assert run(["train", recipe]) == 2
    captured = capsys.readouterr()
    (line,) = [line for line in captured.err.splitlines() if "error" in line]
    assert line.startswith("error: cannot write 'runs/tiny-1/checkpoints/00000002': No")
    assert "free some space" in line
    assert "--disable-plugin" not in line
