"""Checkpoints: whole or absent, checked by digest, never unpickled."""

from __future__ import annotations

import errno
import io
import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from attrs import evolve
from safetensors import safe_open
from torch import nn

from games import Judge, Labels, Linear, Logistic, make_assembly
from gankit import hookimpl, train
from gankit.contracts import Shapes
from gankit.contracts.kinds import Origin
from gankit.errors import PluginError, RunError
from gankit.game.settings import PLAYERS, Optimizer
from gankit.plugins.discovery import discover
from gankit.runs import checkpoint
from gankit.runs.checkpoint import CONDITIONS, MANIFEST, STATE, WEIGHTS, latest, read
from gankit.runs.preparation import prepare
from gankit.runs.restoring import restore as restore_into
from gankit.runs.run import Run
from tiny import tree

CPU = torch.device("cpu")
FILES = (WEIGHTS, STATE, CONDITIONS, MANIFEST)


def _run(folder: Path, **parts: Any) -> Run:
    assembly = make_assembly(conditioner=Labels(), train={"ema": 50}, **parts)
    return prepare(assembly, discover().hooks, folder=lambda: folder)


def _play(run: Run, steps: int) -> None:
    for _ in range(steps):
        run.game.play(run.step)
        run.step += 1


def _state(run: Run) -> dict[str, Any]:
    """Return everything that a run is made of, with tensors as lists."""
    state: dict[str, Any] = {k: n.state_dict() for k, n in run.game.networks().items()}
    for name, thing in run.game.stateful().items():
        state[name] = thing.state_dict()  # type: ignore[attr-defined] # it is stateful
    listed: dict[str, Any] = _listed(state)
    return listed


def _listed(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.to_dense().tolist()
    if isinstance(value, dict):
        return {key: _listed(inner) for key, inner in value.items()}
    return [_listed(v) for v in value] if isinstance(value, list | tuple) else value


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save checkpoints of the steps 2 and 4, once."""
    run = _run(tmp_path_factory.mktemp("run"))
    for _ in range(2):
        _play(run, 2)
        path = run.save()
    return path.parent


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """Give a folder with whole checkpoints of the steps 2 and 4."""
    return shutil.copytree(saved, tmp_path / "checkpoints")


def test_everything_stateful_comes_back_to_the_bit(tmp_path: Path) -> None:
    """Networks, running statistics, optimisers, the moving average and its clock."""
    run, other = _run(tmp_path), _run(tmp_path, seed=5)
    _play(run, 3)
    found = read(run.save())
    assert _state(other) != _state(run)
    other.restore(found)
    assert _state(other) == _state(run)
    assert (found.step, other.step) == (3, 3)
    assert found.facts == run.data.facts
    assert found.conditions() == run.sampler.conditions


def test_a_restored_run_plays_on_as_the_other_does(tmp_path: Path) -> None:
    """Nothing that the game looks at is left out of the checkpoint."""
    run, other = _run(tmp_path), _run(tmp_path, seed=5)
    _play(run, 3)
    other.restore(read(run.save()))
    _play(run, 4)
    _play(other, 4)
    assert _state(other) == _state(run)


def test_weights_are_safetensors_and_the_rest_is_read_without_pickle(
    folder: Path,
) -> None:
    """Anybody can read them with no gankit, and nobody has to trust them."""
    path = folder / "00000004"
    with safe_open(path / WEIGHTS, "pt") as file:
        networks = {name.partition("/")[0] for name in file.keys()}  # noqa: SIM118
    assert networks == {"generator", "discriminator", "conditioner", "average"}
    state = torch.load(path / STATE, weights_only=True)
    assert state["game"]["average"] == {"seen": 32}
    assert {"optimizer.generator", "optimizer.discriminator"} <= state["game"].keys()
    manifest = json.loads((path / MANIFEST).read_text("utf-8"))
    assert manifest["step"] == 4
    assert manifest["files"].keys() == {WEIGHTS, STATE, CONDITIONS}


def test_the_newest_whole_one_is_found(folder: Path) -> None:
    """By its step; a cut-off one beside it, and other files, do not count."""
    partial = folder / ".00000006.partial"
    partial.mkdir()
    (partial / MANIFEST).write_text("{", "utf-8")
    (folder / "notes").mkdir()
    (folder / "00000007").write_text("a file", "utf-8")
    found, damaged = latest(folder)
    assert found.step == 4
    assert [line.split("'")[1] for line in damaged] == [str(folder / "00000007")]
    assert [p.name for p in checkpoint.all_in(folder)][:2] == ["00000002", "00000004"]


def test_a_partial_one_that_was_left_behind_is_replaced(tmp_path: Path) -> None:
    """With nothing of it in the new one."""
    run = _run(tmp_path)
    partial = tmp_path / "checkpoints" / ".00000000.partial"
    partial.mkdir(parents=True)
    (partial / "left").write_text("x", "utf-8")
    path = run.save()
    assert sorted(p.name for p in path.iterdir()) == sorted(FILES)
    assert [p.name for p in path.parent.iterdir()] == ["00000000"]


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


DAMAGE: dict[str, Callable[[Path], None]] = {
    "one bit": _flip,
    "one byte short": _truncate,
    "empty": lambda path: path.write_bytes(b"") and None,
    "missing": Path.unlink,
}


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_one_is_named_and_passed_over(
    kind: str, file: str, folder: Path
) -> None:
    """Whichever of its files, and however little."""
    DAMAGE[kind](folder / "00000004" / file)
    found, (line,) = latest(folder)
    assert found.step == 2
    assert line.startswith(f"the checkpoint {str(folder / '00000004')!r} is damaged: ")


def test_every_bit_of_the_manifest_counts(folder: Path) -> None:
    """A wrong step or class name would be believed as readily as a right one."""
    path = folder / "00000004" / MANIFEST
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        data = bytearray(whole)
        data[place] ^= 1
        path.write_bytes(data)
        try:
            found = read(path.parent)
        except RunError:
            continue
        path.write_bytes(whole)  # white space between the values may be another
        assert found == read(path.parent)


def test_without_a_whole_one_all_damaged_ones_are_listed(folder: Path) -> None:
    """The user has to know that there is nothing to go on from, and why."""
    for step in ("00000002", "00000004"):
        _flip(folder / step / WEIGHTS)
    with pytest.raises(RunError, match="no whole checkpoint in") as caught:
        latest(folder)
    assert str(caught.value).count("is damaged: weights.safetensors is not what") == 2
    with pytest.raises(RunError, match="no whole checkpoint in"):
        latest(folder / "gone")


@pytest.mark.parametrize(
    ("writer", "error"),
    [
        ("save_file", OSError(errno.ENOSPC, "No space left on device")),
        ("save_file", checkpoint.SafetensorError("No space left on device (os err)")),
        ("torch.save", RuntimeError("[enforce fail] write failed: No space left on")),
    ],
    ids=["write", "safetensors", "torch"],
)
def test_a_full_disk_leaves_what_was_there(
    writer: str, error: Exception, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing half is left; the error says what to do."""

    def fail(*_: Any, **__: Any) -> None:
        raise error

    run = _run(folder.parent)
    run.restore(latest(folder)[0])
    _play(run, 1)
    monkeypatch.setattr(f"gankit.runs.checkpoint.{writer}", fail)
    with pytest.raises(RunError, match=r"No space left on.*free some space or choose"):
        run.save()
    assert sorted(p.name for p in folder.iterdir()) == ["00000002", "00000004"]
    assert latest(folder)[0].step == 4


_LIMITED = """
import resource, sys
from pathlib import Path
from test_checkpoint import _run
run = _run(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), -1))
try:
    run.save()
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of files are Linux's")
def test_a_disk_that_really_takes_no_more(tmp_path: Path) -> None:
    """The system refuses the write, and whatever was writing, the user is told."""
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED, str(tmp_path), "100"],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent,
    )
    assert done.stdout.startswith("RunError cannot write ")
    assert list((tmp_path / "checkpoints").iterdir()) == []


class _Payload:
    """Writes a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)


def _forge(path: Path, file: str, content: bytes) -> None:
    """Replace a file, and make the manifest say that it is right."""
    (path / file).write_bytes(content)
    manifest = json.loads((path / MANIFEST).read_text("utf-8"))
    manifest["files"][file] = checkpoint.digest_of_file(path / file)
    del manifest["digest"]
    manifest["digest"] = checkpoint._digest_of(manifest)
    (path / MANIFEST).write_text(json.dumps(manifest), "utf-8")


@pytest.mark.parametrize("how", ["torch", "pickle"])
def test_code_in_a_checkpoint_is_refused_and_not_run(
    how: str, folder: Path, tmp_path: Path
) -> None:
    """Though its digests are right: a checkpoint may come from anybody."""
    marker = tmp_path / "marker"
    content = io.BytesIO()
    if how == "torch":
        torch.save({"optimizer.generator": _Payload(marker)}, content)
    else:
        pickle.dump({"optimizer.generator": _Payload(marker)}, content)
    _forge(folder / "00000004", STATE, content.getvalue())
    found, damaged = latest(folder)
    assert (found.step, damaged) == (4, ())
    run = _run(tmp_path)
    before = _state(run)
    with pytest.raises(RunError, match=r"state\.pt' is not what gankit writes"):
        run.restore(found)
    assert not marker.exists()
    assert _state(run) == before


@pytest.mark.parametrize("content", [b"", b"\x80\x02.", b"{" * 64])
@pytest.mark.parametrize("file", [WEIGHTS, STATE])
def test_other_contents_are_refused_by_name(
    file: str, content: bytes, folder: Path, tmp_path: Path
) -> None:
    """Never by whatever the reading library happens to raise."""
    _forge(folder / "00000004", file, content)
    with pytest.raises(RunError, match=f"{file}' is not what gankit writes"):
        _run(tmp_path).restore(latest(folder)[0])


def _wider() -> dict[str, Any]:
    shapes = Shapes((2,), 3, Labels.size)

    class Wider(Linear):
        def __init__(self) -> None:
            super().__init__(shapes)
            self.more = nn.Linear(1, 5)

    return {"generator": Wider()}


def _plainer() -> dict[str, Any]:
    judge = Judge(Shapes((2,), 3, Labels.size))
    judge.layer = nn.Linear(5, 1, bias=False)
    return {"discriminator": judge}


def _sgd() -> dict[str, Any]:
    sgd = Optimizer(use="SGD", options={"lr": 0.1})
    return {"optimizers": dict.fromkeys(PLAYERS, sgd)}


class Counting(Logistic):
    """A loss with a state."""

    def state_dict(self) -> dict[str, int]:
        """Return it."""
        return {"count": 1}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Take it."""


OTHERS: dict[str, tuple[Callable[[], dict[str, Any]], str]] = {
    "more weights": (
        _wider,
        "generator: 2 tensors differ, as more.weight: the checkpoint has none, this "
        "run (5, 1)",
    ),
    "fewer weights": (
        _plainer,
        "discriminator: 1 tensors differ, as layer.bias: the checkpoint has (1,), this "
        "run none",
    ),
    "another optimiser": (
        _sgd,
        "optimizer.generator: the checkpoint has amsgrad betas ",
    ),
    "another state": (
        lambda: {"loss": Counting()},
        "loss is in only one of the two",
    ),
}


@pytest.mark.parametrize("case", OTHERS)
def test_a_checkpoint_of_other_parts_is_refused(case: str, folder: Path) -> None:
    """It says which and how they differ, and changes nothing."""
    parts, problem = OTHERS[case]
    found = latest(folder)[0]
    run = _run(folder.parent, **parts())
    before = _state(run)
    with pytest.raises(RunError, match="is of another run:") as caught:
        run.restore(found)
    assert f"\n  - {problem}" in str(caught.value)
    assert _state(run) == before


def test_parts_are_compared_by_name_and_compatible_version(folder: Path) -> None:
    """A small update of a plugin does not cost a run; another plugin's part does."""
    run = _run(folder.parent)
    found = latest(folder)[0]

    def restore(*loss: str) -> None:
        restore_into(
            evolve(found, parts={"loss": Origin("acme-gan", "odd", "1.0")}),
            run.game,
            {"loss": Origin(*loss)} if loss else {},
        )

    restore("acme-gan", "odd", "1.3")
    with pytest.raises(RunError, match=r"acme-gan: the checkpoint is of version 1\.0"):
        restore("acme-gan", "odd", "2.0")
    with pytest.raises(RunError, match=r"loss: the checkpoint has acme-gan/odd 1\.0, "):
        restore("other-gan", "odd", "1.0")
    with pytest.raises(RunError, match=r"this run acme-gan/odd-ring 1\.0"):
        restore("acme-gan", "odd-ring", "1.0")
    with pytest.raises(RunError, match=r"loss: .* this run none"):
        restore()


def _word(text: str) -> str:
    """Return equal text in an object of its own."""
    return "".join(list(text))


def _numbers() -> torch.Tensor:
    return torch.arange(12.0).reshape(3, 4)


# equal contents; of the second, all that can be is one object, or a part of another
_SHARED, _PAIR = _numbers(), [_word("a pair"), 2.5]
CONTENTS: dict[str, tuple[Any, Any]] = {
    "strings": (
        {_word("some words"): [_word("some words"), _word("cpu")]},
        {"some words": ["some words", "cpu"]},
    ),
    "lists": ([[_word("a pair"), 2.5], [_word("a pair"), 2.5]], [_PAIR, _PAIR]),
    "one tensor twice": ([_numbers(), _numbers()], [_SHARED, _SHARED]),
    "rows": ([_numbers(), _numbers()[1:].clone()], [_SHARED, _SHARED[1:]]),
    "a column": (_numbers()[:, 2].clone(), _SHARED[:, 2]),
    "a scalar": (torch.tensor(7.0), _SHARED[1, 3]),
    "an expanded one": (torch.ones(3, 2), torch.ones(1).expand(3, 2)),
    "a transposed one": (_numbers().t().clone(), _SHARED.t()),
    "a row of a transposed one": (_numbers().t()[:1].clone(), _SHARED.t()[:1]),
    "none of a tensor": (torch.zeros(0, 4), _SHARED[:0]),
    "a parameter": (_numbers(), nn.Parameter(_SHARED)),
    "sparse ones": ([_numbers().to_sparse()] * 2, [_SHARED.to_sparse()] * 2),
    "bytes and sizes": (
        [b"12", bytes([49, 50]), torch.Size([3]), torch.Size([3])],
        [b"12"] * 2 + [torch.Size([3])] * 2,
    ),
}


def _saved(folder: Path, contents: Any, **hooks: Any) -> Path:
    run = _run(folder)
    held = checkpoint.content(
        step=3,
        networks=run.game.networks(),
        states={"loss": contents},
        kept=hooks,
        said={},
        facts=run.data.facts,
        conditions=(),
        parts={},
        memory_format="contiguous",
        compiled=(),
    )
    return checkpoint.save(folder, held)


@pytest.mark.filterwarnings("ignore:Validating sparse tensor invariants")
@pytest.mark.parametrize("kind", CONTENTS)
def test_equal_contents_are_equal_bytes(kind: str, tmp_path: Path) -> None:
    """However they came about; and what was loaded is saved as it was."""
    apart, shared = CONTENTS[kind]
    first, second = (
        _saved(tmp_path / name, contents)
        for name, contents in (("apart", apart), ("shared", shared))
    )
    assert _listed(read(first).state()) == _listed(read(second).state())
    assert tree(first) == tree(second)
    again = _saved(tmp_path / "again", read(first).state()["game"]["loss"])
    assert tree(again) == tree(first)


class _Keeps:
    """A hook whose state is whatever it is given."""

    def __init__(self, value: Any) -> None:
        self.value = value

    @hookimpl
    def gankit_after_step(self) -> None:
        """Watch."""

    def state_dict(self) -> dict[str, Any]:
        """Return it."""
        return {"value": self.value}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take it up."""
        self.value = state["value"]


class _Own:
    """What only code could make again."""


_RING: list[Any] = []
_RING.append(_RING)

UNFIT: dict[str, tuple[Callable[[], Any], str]] = {
    "lambda": (lambda: lambda: 0, "lambda"),
    "generator": (lambda: iter(i for i in ()), "generator"),
    "file": (lambda: sys.__stdout__, "TextIOWrapper"),
    "object": (_Own, "_Own"),
    "ring": (lambda: _RING, "cyclic"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_a_state_that_cannot_be_saved_is_refused_before_the_first_step(
    case: str, tmp_path: Path
) -> None:
    """By the place of the hook in the recipe, and what its state holds."""
    make, said = UNFIT[case]
    hook = _Keeps(make())
    with pytest.raises(PluginError, match=rf"^the state of hooks\.0 holds .*{said}"):
        train(make_assembly(hooks=[hook]), out=tmp_path / "run")
    assert not any(tmp_path.rglob(MANIFEST))


@pytest.mark.parametrize("case", UNFIT)
def test_a_state_that_has_become_so_is_named_and_leaves_nothing(
    case: str, tmp_path: Path
) -> None:
    """Its author is named, not who saves; the checkpoints before it stay whole."""
    make, said = UNFIT[case]
    run, kept = _run(tmp_path), _Keeps(0)
    run.keep("mine", kept)
    first = run.save()
    _play(run, 1)
    kept.value = make()
    with pytest.raises(PluginError, match=rf"^the state of mine holds .*{said}"):
        run.save()
    assert list((tmp_path / "checkpoints").iterdir()) == [first]


class _Extra(Judge):
    """A discriminator with a state that is no tensor."""

    def get_extra_state(self) -> dict[str, int]:
        """Return it."""
        return {"seen": 1}

    def set_extra_state(self, state: dict[str, int]) -> None:
        """Take it up."""


def test_a_network_whose_state_is_no_tensor_is_refused(tmp_path: Path) -> None:
    """With its place, its class and the key, before there is a folder."""
    said = r"discriminator _Extra holds no tensor under '_extra_state', but a dict"
    with pytest.raises(PluginError, match=said):
        train(
            make_assembly(discriminator=_Extra(Shapes((2,), 3))), out=tmp_path / "run"
        )
    assert not (tmp_path / "run").exists()


def test_a_hook_that_cannot_say_its_state_is_named(tmp_path: Path) -> None:
    """Before the first step, and not as a state that could not be restored."""
    hook = _Keeps(0)
    del hook.value
    with pytest.raises(
        RunError, match=r"^hooks\.0 '_Keeps' cannot say its state: AttributeError"
    ):
        train(make_assembly(hooks=[hook]), out=tmp_path / "run")


def test_a_state_under_the_name_of_a_part_hides_none(tmp_path: Path) -> None:
    """A hook may call its state as the game calls one; each is looked at."""
    run = _run(tmp_path)
    run.keep("guard", _Keeps(0))
    run.game.guard.state_dict = lambda: {"value": _Own()}  # type: ignore[method-assign]
    with pytest.raises(PluginError, match=r"^the state of guard holds"):
        run.save()
    assert not any((tmp_path / "checkpoints").iterdir())


def test_hooks_that_keep_a_state_may_do_so_in_any_order(tmp_path: Path) -> None:
    """One that was left out for a while comes back before the others."""
    one = _saved(tmp_path / "one", 0, first={"a": 1}, second={"b": 2})
    other = _saved(tmp_path / "other", 0, second={"b": 2}, first={"a": 1})
    assert tree(one) == tree(other)


def test_a_dense_tensor_keeps_its_strides(tmp_path: Path) -> None:
    """Sums over channels that come last are not made in the order of others."""
    last = torch.zeros(2, 3, 4, 5).to(memory_format=torch.channels_last)
    found = read(_saved(tmp_path, last)).state()["game"]["loss"]
    assert found.stride() == last.stride() == (60, 1, 15, 3)


def test_a_restored_run_is_saved_as_the_one_that_it_is(tmp_path: Path) -> None:
    """With optimisers and all, to the byte, at once and some steps later."""
    run, other = _run(tmp_path / "run"), _run(tmp_path / "other", seed=5)
    _play(run, 3)
    path = run.save()
    other.restore(read(path))
    assert tree(other.save()) == tree(path)
    for each in (run, other):
        _play(each, 2)
    assert tree(other.save()) == tree(run.save())
