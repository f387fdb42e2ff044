"""A start from weights that are there: what fits is taken, and the rest is said."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import gankit
from gankit.cli import run
from gankit.errors import RunError
from tiny import CAPTIONED, LABELLED, tree, write


def _latest(folder: str | Path) -> Path:
    return max((Path(folder) / "checkpoints").iterdir())


def _weights(folder: str | Path, step: int | None = None) -> dict[str, Tensor]:
    at = _latest(folder) if step is None else Path(folder, "checkpoints", f"{step:08d}")
    return load_file(at / "weights.safetensors")


def _begun(table: dict[str, Any], start: str | Path, out: Path) -> gankit.Run:
    """Prepare a run from elsewhere, and play nothing."""
    with gankit.starting(
        table, {"train.start_from": str(start), "train.steps": 2}, out=out
    ) as begun:
        return begun


def _now(begun: gankit.Run) -> dict[str, Tensor]:
    return {
        f"{name}/{key}": tensor
        for name, network in begun.game.networks().items()
        for key, tensor in network.state_dict().items()
    }


def test_all_weights_of_the_same_recipe_are_taken(
    labelled: str, tmp_path: Path
) -> None:
    """To the bit, those of the average too; step, optimisers and its age are new."""
    begun = _begun(LABELLED, labelled, tmp_path / "run")
    there, here = _weights(labelled), _now(begun)
    assert there.keys() == here.keys()
    assert all(torch.equal(there[name], here[name]) for name in there)
    assert begun.step == 0
    assert begun.game.average is not None
    assert begun.game.average.seen == 0
    assert not begun.game.generator.optimizer.state


def test_the_very_checkpoint_is_written_down(labelled: str, tmp_path: Path) -> None:
    """So that the recipe of the run begins there again, whatever the other run does."""
    _begun(LABELLED, labelled, tmp_path / "run")
    recipe = tomllib.loads((tmp_path / "run" / "recipe.toml").read_text("utf-8"))
    assert recipe["train"]["start_from"] == str(_latest(labelled))
    record = json.loads((tmp_path / "run" / "start.json").read_text("utf-8"))
    assert record["from"] == str(_latest(labelled))
    assert record["step"] == 6
    manifest = json.loads((_latest(labelled) / "manifest.json").read_text("utf-8"))
    assert record["sha256"] == manifest["files"]["weights.safetensors"]
    names = {
        f"{part}/{name}"
        for part, told in record["parts"].items()
        for name in told["taken"]
    }
    assert names == _weights(labelled).keys()


def test_the_recipe_of_such_a_run_is_followed_to_the_same_bits(
    labelled: str, tmp_path: Path
) -> None:
    """`gankit train RUN/recipe.toml` repeats it, its start too."""
    one, other = tmp_path / "one", tmp_path / "other"
    start = ["--from", labelled]
    assert run(["train", write(tmp_path, LABELLED), "--out", str(one), *start]) == 0
    assert run(["train", str(one / "recipe.toml"), "--out", str(other)]) == 0
    assert tree(_latest(one)) == tree(_latest(other))
    assert (one / "start.json").read_bytes() == (other / "start.json").read_bytes()


def test_a_run_goes_on_without_what_it_began_with(
    labelled: str, tmp_path: Path
) -> None:
    """Its own checkpoint has all."""
    out = tmp_path / "run"
    few = {"train.start_from": labelled, "train.steps": 2}
    gankit.train(LABELLED, few, out=out)
    text = (out / "recipe.toml").read_text("utf-8")
    gone = text.replace(str(_latest(labelled)), str(tmp_path / "gone"))
    assert gone != text
    (out / "recipe.toml").write_text(gone, "utf-8")
    assert gankit.resume(out, {"train.steps": 3}).step == 3


def test_of_another_shape_the_rest_is_taken(
    labelled: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And what is not, is said: both shapes, part by part."""
    wider = LABELLED | {"generator": LABELLED["generator"] | {"hidden": [8, 8]}}
    out = tmp_path / "run"
    recipe = write(tmp_path, wider)
    few = ["train.steps=1", "--from", labelled, "--out", str(out)]
    assert run(["train", recipe, *few]) == 0
    said = capsys.readouterr()
    text = said.out + said.err
    assert f"started from step 6 of {_latest(labelled)}" in text
    # the first layer and the output are as before; the layer between is new
    assert "generator: took 4 of 6 tensors, not hidden.1.0.weight: is not there" in text
    assert "discriminator: took all" in text
    narrow = LABELLED | {"generator": LABELLED["generator"] | {"hidden": [4]}}
    begun = _begun(narrow, labelled, tmp_path / "narrow")
    (note,) = (n for n in begun.notes if n.startswith("generator"))
    assert "(8, 6) there, (4, 6) here" in note
    (bias,) = (k for k in _weights(labelled) if k.startswith("generator/output.bias"))
    assert torch.equal(_now(begun)[bias], _weights(labelled)[bias])


def test_an_average_begins_as_the_generator_where_there_is_none(
    labelled: str, tmp_path: Path
) -> None:
    """And a generator as the average, where a file has that alone."""
    weights = _weights(labelled)
    path = tmp_path / "plain.safetensors"
    alone = {k: t for k, t in weights.items() if k.startswith("generator/")}
    save_file(alone, path)
    now = _now(_begun(LABELLED, path, tmp_path / "one"))
    for name, tensor in alone.items():
        assert torch.equal(now[name], tensor)
        assert torch.equal(now[name.replace("generator", "average")], tensor)
    average = {k: t for k, t in weights.items() if k.startswith("average/")}
    save_file(average, path)
    now = _now(_begun(LABELLED, path, tmp_path / "other"))
    for name, tensor in average.items():
        assert torch.equal(now[name.replace("average", "generator")], tensor)


def test_names_without_a_network_are_the_generators(
    labelled: str, tmp_path: Path
) -> None:
    """As a state_dict of torch has them."""
    weights = {
        k.partition("/")[2]: t
        for k, t in _weights(labelled).items()
        if k.startswith("generator/")
    }
    path = tmp_path / "state.safetensors"
    save_file(weights, path)
    begun = _begun(LABELLED, path, tmp_path / "run")
    state = begun.game.generator.network.state_dict()
    assert all(torch.equal(state[k], t) for k, t in weights.items())
    assert begun.notes[0] == f"started from {path}"
    assert any(n.startswith("discriminator: took 0 of") for n in begun.notes)


def test_a_fitted_encoder_is_taken_whole_and_not_fitted_again(
    captioned: str, tmp_path: Path
) -> None:
    """What the generator was told by, it is told by again."""
    begun = _begun(CAPTIONED, captioned, tmp_path / "run")
    there = _weights(captioned)
    state = begun.game.networks()["conditioner"].state_dict()
    assert state
    assert all(torch.equal(there[f"conditioner/{k}"], t) for k, t in state.items())
    assert any("it is not fitted again" in note for note in begun.notes)


def test_an_encoder_of_another_size_is_fitted_anew(
    captioned: str, tmp_path: Path
) -> None:
    """A part of it would mean nothing."""
    larger = CAPTIONED | {"conditioner": CAPTIONED["conditioner"] | {"size": 6}}
    begun = _begun(larger, captioned, tmp_path / "run")
    (note,) = (n for n in begun.notes if n.startswith("conditioner"))
    assert note.startswith("conditioner: took nothing (")
    assert note.endswith("; it is fitted anew")
    table = {"train.steps": 2}
    with gankit.starting(larger, table, out=tmp_path / "cold") as cold:
        alone = cold.game.networks()["conditioner"].state_dict()
    state = begun.game.networks()["conditioner"].state_dict()
    assert all(torch.equal(alone[k], t) for k, t in state.items())


@pytest.fixture
def strange(tmp_path: Path) -> str:
    """Write a file of tensors, none of which is of a network here."""
    path = tmp_path / "strange.safetensors"
    save_file({"w": torch.zeros(3), "n": torch.zeros(())}, path)
    return str(path)


def test_weights_of_which_none_fits_are_one_error(
    strange: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is written or read; it says what is there and what is here."""
    out = tmp_path / "run"
    recipe = write(tmp_path, LABELLED)
    assert run(["train", recipe, "--from", strange, "--out", str(out)]) == 2
    said = capsys.readouterr().err
    assert f"nothing of '{strange}' fits this run" in said
    assert "generator: w (3,) there, hidden.0.0.weight (8, 6) here" in said
    assert "Traceback" not in said
    assert not out.exists()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("nowhere", "there is no such run folder or file"),
        ("empty", "it is neither a run folder nor a checkpoint"),
        ("new", "there is no whole checkpoint"),
        ("text.safetensors", "it is no whole .safetensors file"),
    ],
)
def test_what_nobody_can_start_from_is_one_error(
    source: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Early, with what to give instead."""
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("new/checkpoints").mkdir(parents=True)
    Path("text.safetensors").write_text("weights", "utf-8")
    with pytest.raises(RunError, match=said):
        gankit.train(LABELLED, {"train.start_from": source}, out="run")
    assert not Path("run").exists()
