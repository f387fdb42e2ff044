"""How many threads compute: as many as have a core each, and the same later on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import gankit
from gankit.cli import run as cli
from gankit.compute import threads
from tiny import LABELLED

Monkey = pytest.MonkeyPatch
Busy = Callable[..., None]


@pytest.fixture
def busy(tmp_path: Path, monkeypatch: Monkey) -> Busy:
    """Give what makes a machine of four cores that others keep busy for a while."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(threads, "cores", lambda: {0, 1, 2, 3})
    monkeypatch.setattr(threads, "_STAT", tmp_path / "stat")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)

    def keep(*shares: float) -> None:
        def stat(seconds: int) -> None:
            lines = ["cpu  1 2 3 4 5 6 7 8 9 10"]
            for core, share in enumerate(shares):
                work, idle = (
                    100 + int(share * seconds),
                    200 + int((1 - share) * seconds),
                )
                # a third of the work is the user's, the rest the system's; idle
                # time is half waiting for disks; guests' time is the user's again
                lines.append(
                    f"cpu{core} {work // 3} 0 {work - work // 3} {idle // 2} "
                    f"{idle - idle // 2} 0 0 0 {work // 3} 0"
                )
            (tmp_path / "stat").write_text("\n".join(lines) + "\nintr 5\n")

        stat(0)
        monkeypatch.setattr(threads, "_BEGUN", ({}, 0.0))
        monkeypatch.setattr(threads.time, "sleep", lambda _: stat(1000))

    return keep


@pytest.mark.parametrize(
    ("shares", "there"),
    [
        ((0, 0, 0, 0), 0),
        ((1, 0, 0, 0), 1),
        ((0.5, 0.6, 0, 0), 1),
        ((0.1, 0.1, 0.1, 0.1), 0),
        ((1, 1, 1, 1), 4),
        ((0, 0, 0, 0, 1, 1), 0),  # two that this process may not use
    ],
)
def test_a_core_is_busy_by_its_share_of_time(
    busy: Busy, shares: tuple[float, ...], there: int
) -> None:
    """Shares are added up: two halves are one core."""
    busy(*shares)
    assert threads.busy_cores() == there


@pytest.mark.parametrize(
    ("shares", "count"),
    [((0, 0, 0, 0), 4), ((1, 0, 0, 0), 3), ((1, 1, 1, 0), 1), ((1, 1, 1, 1), 1)],
)
def test_threads_are_as_many_as_free_cores(
    busy: Busy, monkeypatch: Monkey, shares: tuple[float, ...], count: int
) -> None:
    """At least one, and what is fewer than usual is told with its reason."""
    busy(*shares)
    told: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", told.append)
    with threads.computing() as said:
        assert told == [count]
    assert told == [count, 4]
    if count == 4:
        assert said == ()
    else:
        assert said[0].startswith(
            f"cores that are busy with other work: {sum(shares)} of 4; threads that "
            f"compute: {count}, not 4"
        )


def test_a_run_that_goes_on_keeps_its_number(busy: Busy, monkeypatch: Monkey) -> None:
    """Whatever the cores do now, for its bits; and how to change it is told."""
    busy(1, 1, 1, 0)
    told: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", told.append)
    with threads.computing(3) as said:
        assert told == [3]
    assert said[0].startswith("threads that compute: 3, as before")
    with threads.computing(4) as said:
        assert said == ()


def test_whoever_sets_the_number_is_obeyed(busy: Busy, monkeypatch: Monkey) -> None:
    """And told, where a run goes on, that its bits are other ones."""
    busy(1, 1, 1, 0)
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    told: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", told.append)
    for recorded in (None, 4):
        with threads.computing(recorded) as said:
            assert said == ()
    with threads.computing(2) as said:
        assert said[0].startswith(
            "OMP_NUM_THREADS is 4, and this run has computed with 2"
        )
    assert set(told) == {4}


def test_a_machine_that_does_not_tell_is_taken_as_free(
    busy: Busy, monkeypatch: Monkey, tmp_path: Path
) -> None:
    """Where there is no such file, as on macOS."""
    busy(1, 1, 1, 1)
    monkeypatch.setattr(threads, "_STAT", tmp_path / "none")
    assert threads.busy_cores() == 0


@pytest.mark.parametrize(
    "text",
    ["", "\n\n", "cpu0 1 2\n", "cpu0 a b c d e f g h\n", "cpu0 0 0 0 0 0 0 0 0\n"],
)
def test_a_machine_that_tells_it_otherwise_is_taken_as_free(
    text: str, busy: Busy, monkeypatch: Monkey, tmp_path: Path
) -> None:
    """No run fails for what it only wanted to be faster by."""
    busy(1, 1, 1, 1)
    (tmp_path / "other").write_text(text)
    monkeypatch.setattr(threads, "_STAT", tmp_path / "other")
    assert threads.busy_cores() == 0


def test_a_checkpoint_holds_the_number_and_a_resumed_run_has_it(
    tmp_path: Path, monkeypatch: Monkey
) -> None:
    """A run begun on a busy machine goes on with one thread on a free one."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(threads, "cores", lambda: {0, 1, 2, 3})
    monkeypatch.setattr(threads, "busy_cores", lambda: 2)
    usual = torch.get_num_threads()
    torch.set_num_threads(4)
    out = tmp_path / "run"
    try:
        begun = gankit.train(LABELLED, {"train.steps": 2}, out=out)
        monkeypatch.setattr(threads, "busy_cores", lambda: 0)
        gankit.resume(out, {"train.steps": 4})
        assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(usual)
    assert begun.notes[0].startswith("cores that are busy with other work: 2 of 4")
    for step in (2, 4):
        manifest = out / f"checkpoints/{step:08d}/manifest.json"
        assert json.loads(manifest.read_text("utf-8"))["threads"] == 2


@pytest.mark.parametrize(
    "asked", [{}, {"GOMP_SPINCOUNT": "7"}, {"OMP_WAIT_POLICY": "x"}]
)
def test_the_command_line_lets_waiting_threads_sleep_soon(
    asked: dict[str, str],
) -> None:
    """Before torch is imported, and unless somebody has set how they wait."""
    free = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    environment = {k: v for k, v in os.environ.items() if k not in free} | asked
    code = (
        "import os, sys; from gankit import cli; cli.run = lambda _: print("
        "os.environ.get('GOMP_SPINCOUNT'), 'torch' in sys.modules); cli.main([])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    spins = asked.get("GOMP_SPINCOUNT", "None" if asked else "50000")
    assert ended.stdout.split() == [spins, "False"]


def test_doctor_tells_of_cores_and_of_what_a_run_would_do(
    busy: Busy, capsys: pytest.CaptureFixture[str], monkeypatch: Monkey
) -> None:
    """With the variables that are set."""
    monkeypatch.setattr("gankit.cli.doctor.cores", lambda: {0, 1, 2, 3})
    monkeypatch.setenv("GOMP_SPINCOUNT", "5")
    busy(1, 0, 0, 0)
    assert cli(["doctor", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cores"] == (
        "4, 1 busy with other work, a run begun now computes with 3, GOMP_SPINCOUNT=5"
    )
