"""Many processes: real ones, started as a user starts them, with real signals."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file

from gankit.cli import run
from gankit.compute.processes import Processes, _LostContactError
from gankit.errors import GankitError, RunError
from tiny import CAPTIONED, LABELLED, metrics, tree, without, write

# a penalty with a state of its own: a moving average of the real logits
PARTS = """
import os
from gankit import Part, hookimpl

class Drift:
    def __init__(self, weight: float = 0.1, every: int = 1):
        self.weight, self.every = weight, every
        self.mean, self.calls = 0.0, 0

    def __call__(self, step):
        value = step.real_logits.mean()
        self.mean = 0.9 * self.mean + 0.1 * float(value.detach())
        self.calls += 1
        return (value - self.mean) ** 2

    def state_dict(self):
        return {"mean": self.mean, "calls": self.calls}

    def load_state_dict(self, state):
        self.mean, self.calls = state["mean"], state["calls"]

@hookimpl
def gankit_parts():
    yield Part("penalty", "drift", Drift)
"""
PICTURES: dict[str, Any] = {
    "dataset": {"use": "shapes", "items": 24, "size": 16},
    "conditioner": {"use": "label"},
    "noise": {"size": 4},
    "generator": {"use": "dcgan", "width": 2},
    "discriminator": {"use": "dcgan", "width": 2},
    "loss": {"use": "relativistic"},
    "penalties": [
        {"use": "r1", "weight": 0.1},
        {"use": "r2", "weight": 0.1, "every": 2},
        {"use": "drift"},
    ],
    "augmentations": [{"use": "ada", "probability": 0.2}],
    "schedule": {
        "augmentations": {"0": {"probability": {"use": "cosine", "to": 0.8, "end": 6}}}
    },
    "train": {**LABELLED["train"], "reduce": "exact"},
}
CASES = {
    "batch norm, r1 and r2, a scheduled ada, a part with a state": PICTURES,
    "captions, streamed, both players at once": {
        **CAPTIONED,
        "train": {**CAPTIONED["train"], "reduce": "exact", "workers": 1},
    },
}
# what a plugin may do to one of the processes, in a step
FAULT = """
import os, signal
from gankit import hookimpl

@hookimpl
def gankit_after_step(run):
    if run.step == 3 and run.processes.rank == {rank}:
        {deed}
"""
LIMIT = 90.0  # seconds in which every process has to end, on a slow machine


_MARK = "GANKIT_TESTED_BY"  # every process that a test starts inherits it


def _python(*words: object, **more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", _MARK: str(os.getpid()), **more},
    )


def _gankit(*words: object, **more: str) -> subprocess.Popen[str]:
    return _python("gankit", *words, **more)


def _ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for the end; nothing that it has started may be left then."""
    try:
        out, err = process.communicate(timeout=LIMIT)
    finally:
        process.kill()
    assert _left() == []
    return process.returncode, out, err


def _environ(folder: Path) -> str:
    try:
        return (folder / "environ").read_text("utf-8", errors="replace")
    except OSError:
        return ""


def _left() -> list[str]:
    """Name the processes of this test that are still there."""
    limit = time.monotonic() + 10
    while True:
        found = [
            folder.name
            for folder in Path("/proc").iterdir()
            if folder.name.isdigit() and f"{_MARK}={os.getpid()}" in _environ(folder)
        ]
        if not found or time.monotonic() > limit:
            return found
        time.sleep(0.2)


@pytest.fixture
def plugin(tmp_path: Path) -> Callable[[str, str], Path]:
    """Give what writes a plugin file that other processes load."""

    def write_it(name: str, code: str) -> Path:
        path = tmp_path / f"{name}.py"
        path.write_text(code, "utf-8")
        return path

    return write_it


@pytest.fixture(scope="module", params=CASES)
def case(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[object]]:
    """Run a recipe in one process; give its folder, and what to train it with."""
    folder = tmp_path_factory.mktemp("exact")
    parts = folder / "drift_parts.py"
    parts.write_text(PARTS, "utf-8")
    words: list[object] = [write(folder, CASES[request.param]), "--plugin", parts]
    code, _, err = _ended(_gankit("train", *words, "--out", folder / "alone"))
    assert code == 0, err
    return folder / "alone", words


def _same(here: Path, there: Path) -> None:
    assert metrics(here) == metrics(there)
    for part in ("checkpoints/00000006", "samples"):
        assert tree(here / part) == tree(there / part)


@pytest.mark.parametrize("count", [2, 4])
def test_exact_gives_the_same_bits_in_any_number_of_processes(
    count: int, case: tuple[Path, list[object]], tmp_path: Path
) -> None:
    """Weights, optimisers, average, the part's state, metrics, and pictures."""
    alone, words = case
    shared = tmp_path / "shared"
    process = _gankit("train", *words, "--processes", count, "--out", shared)
    code, out, err = _ended(process)
    assert code == 0, err
    assert out.count("done: 6 steps") == 1
    _same(shared, alone)


def test_a_run_stopped_on_four_goes_on_in_one(
    case: tuple[Path, list[object]], tmp_path: Path
) -> None:
    """To the bits of the run that one process never stopped."""
    alone, words = case
    stop = tmp_path / "stopping.py"
    deed = "os.kill(os.getpid(), signal.SIGTERM)"
    stop.write_text(FAULT.format(rank=2, deed=deed), "utf-8")
    folder = tmp_path / "moved"
    words = [*words, "--plugin", stop, "--processes", 4, "--out", folder]
    code, out, err = _ended(_gankit("train", *words))
    assert (code, "stopped by SIGTERM at step 3, and saved" in out) == (1, True), err
    assert [p.name for p in (folder / "checkpoints").iterdir()][-1:] == ["00000003"]
    words = ["resume", folder, "--disable-plugin", "stopping"]
    code, _, err = _ended(_gankit(*words))
    assert code == 0, err
    _same(folder, alone)


def test_fast_in_two_processes_is_exact_in_two_shards(tmp_path: Path) -> None:
    """Of two terms there is one sum, whoever adds it up."""
    recipe = write(tmp_path, without(LABELLED, "conditioner"))
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    exact = ["train.reduce=exact", "train.shards=2", "--out", alone]
    assert _ended(_gankit("train", recipe, *exact))[0] == 0
    code, _, err = _ended(_gankit("train", recipe, "--processes", 2, "--out", shared))
    assert code == 0, err
    _same(shared, alone)


FAULTS = {
    "raises": ('raise ValueError("on purpose")', "raised ValueError: on purpose"),
    "killed": ("os.kill(os.getpid(), signal.SIGKILL)", "was killed by SIGKILL"),
    "other weights": (
        "next(run.game.generator.network.parameters()).data += 1",
        "has other weights than the first; a hook that changes the game",
    ),
}


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("fault", ["raises", "killed"])
def test_every_process_fails_when_one_does(
    fault: str, rank: int, tmp_path: Path, plugin: Callable[[str, str], Path]
) -> None:
    """Soon, with the first cause on top, and with nothing lost."""
    deed, said = FAULTS[fault]
    bad = plugin("bad", FAULT.format(rank=rank, deed=deed))
    recipe, folder = write(tmp_path, LABELLED), tmp_path / "run"
    words = ["train.checkpoint_every=0", "--plugin", bad, "--out", folder]
    start = time.monotonic()
    process = _gankit("train", recipe, *words, "--processes", 2)
    code, _, err = _ended(process)
    assert code == 1
    assert time.monotonic() - start < LIMIT
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert said in errors[0]
    assert "Traceback" not in err
    assert err.count("error: process 0 of 2 failed") == 0
    # the first process saves what was whole, unless it is the one that was killed
    kept = [] if (fault, rank) == ("killed", 0) else ["00000003"]
    assert [p.name for p in (folder / "checkpoints").iterdir()] == kept
    if kept:
        assert f"step 3 was saved; go on with `gankit resume {folder}`" in err


@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_that_is_lost_while_the_others_save_is_named(
    rank: int, tmp_path: Path, plugin: Callable[[str, str], Path]
) -> None:
    """Once; not the hook in which the others have noticed."""
    bad = plugin("bad", FAULT.format(rank=rank, deed=FAULTS["killed"][0]))
    recipe, folder = write(tmp_path, LABELLED), tmp_path / "run"
    words = ["train.checkpoint_every=3", "--plugin", bad, "--out", folder]
    code, _, err = _ended(_gankit("train", recipe, *words, "--processes", 4))
    assert code == 1
    assert "was killed by SIGKILL" in err
    assert err.count("lost contact with another, which said nothing") == 1
    assert "the hook gankit_after_step of plugin 'gankit.checkpoints'" not in err


def test_weights_that_are_not_finite_in_one_process_hang_no_other(
    tmp_path: Path, plugin: Callable[[str, str], Path]
) -> None:
    """All go back, and find it again."""
    deed = "next(run.game.generator.network.parameters()).data.fill_(float('nan'))"
    bad = plugin("bad", FAULT.format(rank=1, deed=deed))
    recipe, folder = write(tmp_path, LABELLED), tmp_path / "run"
    words = ["train.checkpoint_every=3", "--plugin", bad, "--out", folder]
    code, _, err = _ended(_gankit("train", recipe, *words, "--processes", 2))
    assert code == 1
    assert "process 1 has other weights than the first" in err


def test_a_hook_that_changes_one_process_is_found_out(
    tmp_path: Path, plugin: Callable[[str, str], Path]
) -> None:
    """Before what it has made of the run is saved; going back mends it once."""
    deed, said = FAULTS["other weights"]
    bad = plugin("bad", FAULT.format(rank=1, deed=deed))
    recipe, folder = write(tmp_path, LABELLED), tmp_path / "run"
    words = ["--plugin", bad, "--out", folder, "--processes", 2]
    code, _, err = _ended(_gankit("train", recipe, *words))
    assert code == 1
    assert f"process 1 {said}" in err
    assert "the run has diverged at step 4 (again, after going back)" in err
    steps = sorted(p.name for p in (folder / "checkpoints").iterdir())
    assert steps == ["00000002"]


def test_a_users_mistake_is_told_once(tmp_path: Path) -> None:
    """Though every process makes it."""
    process = _gankit("train", "dgcan", "--processes", 3)
    code, _, err = _ended(process)
    assert code == 2
    assert err.count("no recipe named 'dgcan'; did you mean 'dcgan'") == 1
    assert err.count("error") == 1


def test_a_plugin_s_command_shares_its_work_as_the_docs_show(
    labelled: str, plugin: Callable[[str, str], Path]
) -> None:
    """Two processes find what one does, and the first tells it."""
    page = Path(__file__).parents[1] / "docs" / "many-processes.md"
    shown = page.read_text("utf-8").partition(':caption: "`my_command.py`"\n\n')[2]
    file = plugin("my_command", shown.partition("```")[0])
    told = [
        _ended(_gankit("--plugin", file, "brightness", labelled, "--processes", n))
        for n in (1, 2)
    ]
    assert told[0] == told[1]
    code, out, err = told[0]
    assert (code, err) == (0, "")
    assert re.fullmatch(r"-?\d\.\d{3}\n", out)


def test_where_processes_are_joined_within_others_a_failure_is_told_once() -> None:
    """By the one that failed; or, where all fail in the same words, by one of them."""
    inner, outer = dist.HashStore(), dist.HashStore()

    def leave(rank: int, error: BaseException) -> GankitError:
        for store in (inner, outer):
            error = Processes(rank, 2, rank, 2, store).blame(error)
        assert isinstance(error, GankitError)
        return error

    failed = leave(1, RunError("no room"))
    lost = leave(0, _LostContactError("closed"))
    assert str(lost) == "process 1 of 2 failed: no room"
    assert (failed.told_elsewhere, lost.told_elsewhere) == (False, True)
    inner, outer = dist.HashStore(), dist.HashStore()
    alike = [leave(rank, RunError("no room")) for rank in (1, 0)]
    assert [error.told_elsewhere for error in alike] == [False, True]


def _until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    limit = time.monotonic() + LIMIT
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < limit, "training did not begin"
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_to_the_launcher_stops_all_at_one_step(
    number: signal.Signals, tmp_path: Path
) -> None:
    """They save and end; even if the launcher itself cannot tell them to."""
    table = {**LABELLED, "train": {**LABELLED["train"], "checkpoint_every": 0}}
    recipe, folder = write(tmp_path, table), tmp_path / "run"
    words = ["train.steps=10_000_000", "--out", folder, "--processes", 2]
    process = _gankit("train", recipe, *words)
    measured = folder / "metrics.jsonl"
    _until(lambda: measured.exists() and measured.stat().st_size > 999, process)
    children = _children(process.pid)
    assert len(children) == 2
    process.send_signal(number)
    out, err = process.communicate(timeout=LIMIT)
    limit = time.monotonic() + LIMIT
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < limit, "a process is left behind"
        time.sleep(0.1)
    (saved,) = (folder / "checkpoints").iterdir()
    assert metrics(folder)[-1]["step"] == int(saved.name)
    if number == signal.SIGKILL:
        return
    assert process.returncode == 1
    assert f"stopped by {number.name} at step {int(saved.name):,}, and saved" in out
    assert "Traceback" not in err


def _children(parent: int) -> list[int]:
    stats = (path.read_text("utf-8") for path in Path("/proc").glob("[0-9]*/stat"))
    fields = [(text.split(" ")[0], text.rpartition(") ")[2].split()) for text in stats]
    return [int(pid) for pid, rest in fields if int(rest[1]) == parent]


def _torchrun(*words: object) -> subprocess.Popen[str]:
    return _python("torch.distributed.run", *words)


def test_torchrun_starts_a_failed_run_again_where_it_was(
    tmp_path: Path, plugin: Callable[[str, str], Path]
) -> None:
    """The same command goes on from the latest checkpoint, to the same bits."""
    deed = (
        'if os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":\n'
        "            os.kill(os.getpid(), signal.SIGKILL)"
    )
    bad = plugin("once", FAULT.format(rank=1, deed=deed))
    table = {**LABELLED, "train": {**LABELLED["train"], "reduce": "exact"}}
    recipe = write(tmp_path, table)
    whole, folder = tmp_path / "whole", tmp_path / "run"
    code, _, err = _ended(_gankit("train", recipe, "--out", whole))
    assert code == 0, err
    words = ["-m", "gankit", "train", recipe, "--plugin", bad, "--out", folder]
    how = ["--standalone", "--nproc-per-node=2", "--max-restarts=1"]
    code, out, err = _ended(_torchrun(*how, *words))
    assert code == 0, err
    assert out.count("done: 6 steps") == 1
    assert metrics(folder) == metrics(whole)
    here, there = (
        load_file(f / "checkpoints/00000006/weights.safetensors")
        for f in (folder, whole)
    )
    assert all(torch.equal(here[name], there[name]) for name in there)


def _port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _nodes(*words: object) -> list[tuple[int, str, str]]:
    """Run two nodes with one process each, which meet by torchrun's rendezvous."""
    how = ["--nnodes=2", "--nproc-per-node=1", "--rdzv-id=gankit"]
    how += ["--rdzv-backend=c10d", f"--rdzv-endpoint=127.0.0.1:{_port()}"]
    nodes = [_torchrun(*how, *words) for _ in range(2)]
    try:
        said = [node.communicate(timeout=LIMIT) for node in nodes]
    finally:
        for node in nodes:
            node.kill()
    return [(node.returncode, *s) for node, s in zip(nodes, said, strict=True)]


def test_torchrun_starts_a_run_on_two_nodes_again(
    tmp_path: Path, plugin: Callable[[str, str], Path]
) -> None:
    """Though each node counts its restarts for itself."""
    deed = (
        "if not os.path.exists(os.environ['ONCE']):\n"
        "            open(os.environ['ONCE'], 'w').close()\n"
        "            os.kill(os.getpid(), signal.SIGKILL)"
    )
    bad = plugin("once", FAULT.format(rank=1, deed=deed))
    table = {**LABELLED, "train": {**LABELLED["train"], "reduce": "exact"}}
    recipe = write(tmp_path, table)
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    words = ["-m", "gankit", "train", recipe, "--plugin", bad, "--out", shared]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ONCE", str(tmp_path / "happened"))
        ends = _nodes("--max-restarts=2", *words)
    assert [code for code, _, _ in ends] == [0, 0], ends
    assert (tmp_path / "happened").exists()
    assert run(["train", recipe, "--out", str(alone)]) == 0
    assert metrics(shared) == metrics(alone)


def test_torchrun_shares_a_run_among_nodes(tmp_path: Path) -> None:
    """Two that meet by its own rendezvous have the bits of one process."""
    table = {**LABELLED, "train": {**LABELLED["train"], "reduce": "exact"}}
    recipe = write(tmp_path, table)
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    ends = _nodes("-m", "gankit", "train", recipe, "--out", shared)
    assert [code for code, _, _ in ends] == [0, 0], ends
    assert sum(out.count("done: 6 steps") for _, out, _ in ends) == 1
    assert run(["train", recipe, "--out", str(alone)]) == 0
    _same(shared, alone)


def test_a_restart_needs_a_folder_that_it_can_find(
    recipe: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else the second attempt would begin another run; it is said before the first."""
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "3")
    assert run(["train", recipe]) == 2
    assert "name it with --out DIR" in capsys.readouterr().err
    assert not Path("runs").exists()


def test_each_process_reads_its_share_alone(
    tmp_path: Path, plugin: Callable[[str, str], Path]
) -> None:
    """Of every batch, and of the first look at the data."""
    code = """
import os
from pathlib import Path
import torch
from gankit import Facts, Item, Part, hookimpl

class Files:
    facts = Facts((2,), sample_range=(float("-inf"), float("inf")))
    def __len__(self):
        return 600
    def __getitem__(self, index):
        with open(Path(os.environ["SEEN"]) / os.environ["RANK"], "a") as file:
            file.write(f"{index}\\n")
        return Item(torch.tensor([float(index), 0.0]))

@hookimpl
def gankit_parts():
    yield Part("dataset", "files", Files)
"""
    parts = plugin("file_parts", code)
    table = {
        **without(LABELLED, "conditioner", "penalties"),
        "dataset": {"use": "files"},
        "discriminator": {"use": "mlp", "hidden": [4]},
        "train": {
            **LABELLED["train"],
            "batch_size": 12,
            "steps": 30,
            "data": "streamed",
            "workers": 0,
            "sample_every": 0,
        },
    }
    seen = tmp_path / "seen"
    seen.mkdir()
    words = [write(tmp_path, table), "--plugin", parts, "--out", tmp_path / "run"]
    words += ["--processes", 2, "--disable-plugin", "gankit.health"]
    code_, _, err = _ended(_gankit("train", *words, SEEN=str(seen)))
    assert code_ == 0, err
    reads = [list(map(int, (seen / str(r)).read_text().split())) for r in range(2)]
    # a few for the trial of all parts, one for the form; then chunks of 256 take turns
    assert reads[1][: -30 * 6] == [*range(4), 0, *range(256, 512)]
    trained = [own[-30 * 6 :] for own in reads]
    assert not set(trained[0]) & set(trained[1])  # 360 of 600 items: no second pass


def test_values_that_are_not_finite_in_one_process_stop_the_update_in_all(
    tmp_path: Path, plugin: Callable[[str, str], Path]
) -> None:
    """The origin is named, wherever it is, and the run goes on with equal weights."""
    code = """
import os
from attrs import frozen
from gankit import Part, hookimpl
from torch.nn.functional import softplus

@frozen
class Poisoned:
    def discriminator(self, step):
        bad = float("nan") if step.index == 2 and os.environ["RANK"] == "1" else 1.0
        return (softplus(-step.real_logits) + softplus(step.fake_logits)).mean() * bad
    def generator(self, step):
        return softplus(-step.fake_logits).mean()

@hookimpl
def gankit_parts():
    yield Part("loss", "poisoned", Poisoned)
"""
    parts = plugin("poisoned_parts", code)
    table = {**without(LABELLED, "penalties"), "loss": {"use": "poisoned"}}
    folder = tmp_path / "run"
    words = [write(tmp_path, table), "--plugin", parts, "--out", folder]
    code_, _, err = _ended(_gankit("train", *words, "--processes", 2))
    assert code_ == 0, err
    said = "the loss Poisoned of the discriminator is NaN in step 3"
    assert err.count(said) == 1
    lines = [json.loads(t) for t in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "warning" in line] == [3]
    assert re.search(r"step 6 of 6 .* D \d", err)


def test_an_error_in_one_caller_s_loop_ends_all(tmp_path: Path) -> None:
    """Soon, with the first cause on top; nobody waits for who does not come."""
    recipe = write(tmp_path, LABELLED)
    code = (
        "import gankit, os\n"
        f"with gankit.starting({recipe!r}, out={str(tmp_path / 'run')!r}) as run:\n"
        "    for report in run.steps():\n"
        "        if report.step == 2 and os.environ['RANK'] == '1':\n"
        "            raise KeyError('mine')\n"
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    meeting = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, "OMP_NUM_THREADS": "1", **meeting, "RANK": rank},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in ("0", "1")
    ]
    said = [process.communicate(timeout=LIMIT)[1] for process in both]
    assert [process.returncode for process in both] == [1, 1], said
    assert "KeyError: 'mine'" in said[1]
    assert "process 1 of 2 failed: KeyError: 'mine'" in said[0]
