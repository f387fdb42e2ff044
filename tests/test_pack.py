"""A run in one file: sampled, judged and started from like its folder."""

from __future__ import annotations

import hashlib
import json
import shutil
import tomllib
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

import gankit
from gankit.cli import run
from gankit.errors import RunError, UsageError
from gankit.runs.pack import STATES, folded, unfolded
from tiny import LABELLED

STATEFUL = '''
"""A noise with a state of its own."""

import torch
from gankit import Part, hookimpl


class Wandering:
    size = 2

    def __init__(self):
        self.by = torch.zeros(2)

    def __call__(self, count, rng):
        return torch.randn(count, 2, generator=rng, device=rng.device) + self.by

    def state_dict(self):
        return {"by": self.by, "seen": (1, "a", None)}

    def load_state_dict(self, state):
        assert state["seen"] == (1, "a", None)
        self.by = state["by"] + 1.0


@hookimpl
def gankit_parts():
    yield Part("noise", "wandering", Wandering)
'''


@pytest.mark.parametrize("which", ["labelled", "captioned", "unlabelled"])
def test_a_packed_run_draws_what_its_folder_draws(
    which: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """To the bit; the file needs nothing of the folder."""
    folder = request.getfixturevalue(which)
    path = gankit.pack(folder, tmp_path / "a.safetensors")
    there, here = gankit.load(folder), gankit.load(path)
    assert torch.equal(there.sample(6).samples, here.sample(6).samples)
    assert there.sample(6).captions == here.sample(6).captions
    assert there.step == here.step == 6
    samples = there.sample(4)
    conditions = there.conditions[:4]
    judged = [
        gankit.load_judge(x).judge(samples.samples, conditions) for x in (folder, path)
    ]
    assert torch.equal(*judged)


def test_a_packed_run_is_started_from(labelled: str, tmp_path: Path) -> None:
    """With all that a run's folder gives."""
    path = gankit.pack(labelled, tmp_path / "a.safetensors")
    with gankit.starting(
        LABELLED, {"train.start_from": str(path)}, out=tmp_path / "run"
    ) as begun:
        networks = begun.game.networks()
    assert begun.notes[0] == f"started from step 6 of {path}"
    weights = load_file(
        max(Path(labelled, "checkpoints").iterdir()) / "weights.safetensors"
    )
    for name, tensor in weights.items():
        network, _, key = name.partition("/")
        assert torch.equal(networks[network].state_dict()[key], tensor)


def test_the_commands_pack_sample_and_unpack(
    labelled: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As the page shows them."""
    monkeypatch.chdir(tmp_path)
    assert run(["pack", labelled, "-o", "points.safetensors"]) == 0
    assert run(["sample", "points.safetensors", "-n", "4", "-o", "a.npy"]) == 0
    assert run(["sample", labelled, "-n", "4", "-o", "b.npy"]) == 0
    assert Path("a.npy").read_bytes() == Path("b.npy").read_bytes()
    assert run(["unpack", "points.safetensors", "-o", "page", "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["files"] == ["page/README.md", "page/picture.png", "page/recipe.toml"]
    card = Path("page/README.md").read_text("utf-8")
    assert card.startswith("---\nlibrary_name: gankit\n")
    assert 'gankit.load("points.safetensors")' in card
    assert "gankit-mlp" in card
    assert "trained for 6 steps" in card
    with Image.open("page/picture.png") as picture:
        assert picture.size == (480, 480)
    recipe = tomllib.loads(Path("page/recipe.toml").read_text("utf-8"))
    assert recipe["generator"]["hidden"] == [8]


def _score(**changes: Any) -> dict[str, Any]:
    """Return a score as an evaluator writes it."""
    told = {"title": "kid[net@12]", "metric": "kid", "options": {"subsets": 9}}
    told |= {"value": 0.01234, "spread": 0.0021, "better": "lower", "step": 6}
    told |= {"samples": 2000, "split": "test", "provenance": {"data": "ab"}}
    return {**told, "name": "kid", "values": [0.01234], **changes}


def _rows(folder: Path, scores: list[dict[str, Any]], aside: Path) -> list[list[str]]:
    """Pack a run with these scores; return the rows of the table in its card."""
    (folder / "scores.json").write_text(json.dumps({"scores": scores}), "utf-8")
    path = gankit.pack(folder, aside / "a.safetensors")
    gankit.unpack(path, aside / "page")
    card = (aside / "page" / "README.md").read_text("utf-8")
    shutil.rmtree(aside / "page")
    found = [line for line in card.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in found]


def test_the_card_has_the_scores_of_this_checkpoint(
    labelled: str, tmp_path: Path
) -> None:
    """Not another's; with a digest that changes with whatever makes them differ."""
    folder = Path(shutil.copytree(labelled, tmp_path / "run"))
    plain = _score()
    others = [_score(step=4, value=9.0), _score(title="a|b", value=None, spread=None)]
    head, first, second = _rows(folder, [plain, *others], tmp_path)
    assert head == ["score", "value", "of", "measured by"]
    wanted = "0.01234 ± 0.0021 (lower is better)"
    assert first[:3] == ["kid[net@12]", wanted, "2,000 samples, against 'test'"]
    assert second[:2] == ["a/b", "not finite (lower is better)"]
    # by hand: of canonical JSON, of what has to be alike and nothing else
    alike = ("title", "metric", "options", "samples", "split", "provenance")
    text = json.dumps({name: plain[name] for name in alike}, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    assert first[3] == f"`{digest}`"
    again = _rows(folder, [_score(value=5.0, spread=None, error=0.5)], tmp_path)
    assert again[1][1:] == ["5 ± 0.5 (lower is better)", first[2], first[3]]
    # where the same was measured, and on what, makes no difference
    here, there = (
        _score(
            options={"weights": f"{place}/w.pt"},
            provenance={"dataset": f"my.py/mine {place}/my.py", "device": device},
            values=[1, 2],
        )
        for place, device in (("/here", "cpu"), ("/there/too", "cuda"))
    )
    (_, one), (_, other) = (_rows(folder, [told], tmp_path) for told in (here, there))
    assert one == other
    assert one[2] == "2 times 2,000 samples, against 'test'"
    for change in ({"provenance": {"data": "cd"}}, {"options": {}}, {"samples": 10}):
        other = _rows(folder, [_score(**change)], tmp_path)
        assert other[1][3] != first[3]


def test_a_run_without_scores_has_no_table_and_damaged_ones_are_told_of(
    labelled: str, tmp_path: Path
) -> None:
    """With what to do; no pack is written."""
    folder = Path(shutil.copytree(labelled, tmp_path / "run"))
    assert _rows(folder, [], tmp_path) == []
    for text in ("{", '{"scores": 3}', '{"scores": [{"step": 6}]}'):
        (folder / "scores.json").write_text(text, "utf-8")
        with pytest.raises(RunError, match=r"scores\.json is damaged .*remove it"):
            gankit.pack(folder, tmp_path / "b.safetensors")
    assert not (tmp_path / "b.safetensors").exists()


def test_other_programs_read_it(labelled: str, tmp_path: Path) -> None:
    """Weights as tensors, a picture as bytes, texts at its head; no optimiser."""
    path = gankit.pack(labelled, tmp_path / "a.safetensors")
    tensors = load_file(path)
    png = tensors.pop("picture.png").numpy().tobytes()
    with Image.open(BytesIO(png)) as picture:
        assert picture.format == "PNG"
    weights = load_file(
        max(Path(labelled, "checkpoints").iterdir()) / "weights.safetensors"
    )
    assert tensors.keys() == weights.keys()
    with safe_open(path, "pt") as file:
        assert file.metadata()["format"] == "pt"


def test_no_path_of_this_machine_is_told(tmp_path: Path) -> None:
    """Of absolute ones the last name is left; plugin files are not named."""
    file = tmp_path / "wander.py"
    file.write_text(STATEFUL, "utf-8")
    table = LABELLED | {"noise": {"use": "wandering"}, "plugins": [str(file)]}
    gankit.train(table, {"train.steps": 1}, out=tmp_path / "run")
    path = gankit.pack(tmp_path / "run", tmp_path / "a.safetensors")
    assert str(tmp_path).encode() not in path.read_bytes()
    with pytest.raises(UsageError) as told:
        gankit.load(path)
    assert "the plugin file 'wander' (noise 'wandering'): give it with --plugin" in str(
        told.value
    )
    loaded = gankit.load(path, plugins=[file])
    assert torch.equal(loaded.noise.by, torch.ones(2))  # type: ignore[attr-defined]


def test_a_package_that_is_missing_is_named(labelled: str, tmp_path: Path) -> None:
    """With its version, its parts, and what to install."""
    path = gankit.pack(labelled, tmp_path / "a.safetensors")
    with pytest.raises(UsageError) as told:
        gankit.load(path, disable=["gankit-mlp"])
    lines = str(told.value).splitlines()
    assert lines[1].startswith("  - gankit-mlp 0.1.0 (generator 'mlp'")
    assert lines[1].endswith("pip install gankit-mlp")
    assert "the plugin 'gankit-mlp' is left out" in lines[-1]


def test_a_pack_names_no_code_to_run(labelled: str, tmp_path: Path) -> None:
    """A plugin file that a stranger has put into it is not imported."""
    path = gankit.pack(labelled, tmp_path / "a.safetensors")
    with safe_open(path, "pt") as file:
        texts = file.metadata()
    evil = tmp_path / "evil.py"
    evil.write_text("raise SystemExit('run')", "utf-8")
    recipe = f"plugins = [{json.dumps(str(evil))}]\n" + texts["gankit.recipe"]
    save_file(load_file(path), path, texts | {"gankit.recipe": recipe})
    assert len(gankit.load(path).sample(2).samples) == 2


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ({"gankit.pack": "{"}, "is damaged"),
        ({"gankit.recipe": "="}, "is damaged"),
        ({"gankit.pack": '{"format": 1, "step": 6}'}, "is damaged"),
        ({"gankit.pack": '{"format": 9, "versions": {"gankit": "9.0"}}'}, "gankit 9.0"),
    ],
)
def test_a_damaged_pack_is_one_error(
    harm: dict[str, str], said: str, labelled: str, tmp_path: Path
) -> None:
    """Also one of a later gankit."""
    path = gankit.pack(labelled, tmp_path / "a.safetensors")
    with safe_open(path, "pt") as file:
        texts = file.metadata()
    save_file(load_file(path), path, texts | harm)
    with pytest.raises(RunError, match=said):
        gankit.load(path)


def test_what_cannot_be_packed_or_loaded_is_one_error(
    labelled: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run without a checkpoint, another suffix, a file that is cut off."""
    bare = tmp_path / "bare"
    shutil.copytree(labelled, bare)
    shutil.rmtree(bare / "checkpoints")
    path = tmp_path / "a.safetensors"
    assert run(["pack", str(bare), "-o", str(path)]) == 2
    assert "there is no whole checkpoint" in capsys.readouterr().err
    assert run(["pack", str(tmp_path), "-o", str(path)]) == 2
    assert "is not a run folder" in capsys.readouterr().err
    assert run(["pack", labelled, "-o", str(tmp_path / "a.zip")]) == 2
    assert "name it a.safetensors" in capsys.readouterr().err
    assert not path.exists()
    gankit.pack(labelled, path)
    with pytest.raises(RunError, match="holds the checkpoint of step 6 alone"):
        gankit.load(path, checkpoint=4)
    assert run(["pack", str(path), "-o", str(tmp_path / "b.safetensors")]) == 2
    assert "is a file, and this needs a run folder" in capsys.readouterr().err
    assert run(["unpack", str(path), "-o", str(tmp_path / "page")]) == 0
    mine = tmp_path / "page" / "README.md"
    mine.write_text("mine")
    assert run(["unpack", str(path), "-o", str(tmp_path / "page")]) == 2
    assert "README.md" in capsys.readouterr().err
    assert mine.read_text() == "mine"
    whole = path.read_bytes()
    path.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    with pytest.raises(RunError, match="tensors are not those that were written"):
        gankit.load(path)
    path.write_bytes(whole[:-100])
    with pytest.raises(RunError, match=r"it is no whole \.safetensors file"):
        gankit.load(path)
    save_file({"w": torch.zeros(2)}, path)
    with pytest.raises(RunError, match="holds tensors and no recipe"):
        gankit.load(path)
    assert run(["resume", str(path)]) == 2
    assert "is a file, and this needs a run folder" in capsys.readouterr().err


_LEAF = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
)
_NEST = st.recursive(
    _LEAF,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(st.text() | st.integers(), inner)
    ),
    max_leaves=8,
)


@given(_NEST)
def test_a_state_is_read_as_it_was_written(state: Any) -> None:
    """Through JSON; tuples stay tuples, and keys of dictionaries numbers."""
    held: dict[str, Tensor] = {}
    told = json.loads(json.dumps(folded({"s": state, "t": torch.ones(2)}, held)))
    tensors = {f"{STATES}/{name}": tensor for name, tensor in held.items()}
    again = unfolded(told, tensors)
    assert again["s"] == state
    assert type(again["s"]) is type(state)
    assert torch.equal(again["t"], torch.ones(2))


def test_a_state_that_a_pack_cannot_hold_is_refused() -> None:
    """Rather than written as something else."""
    with pytest.raises(TypeError, match="a pack cannot hold"):
        folded({"a": {1, 2}}, {})


def test_the_file_replaces_another_whole(labelled: str, tmp_path: Path) -> None:
    """And leaves nothing beside it."""
    path = tmp_path / "a.safetensors"
    path.write_text("old", "utf-8")
    gankit.pack(labelled, path)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
