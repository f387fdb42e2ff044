"""Runs are followed while somebody looks."""

from __future__ import annotations

import json
import shutil
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import gankit
from gankit_board import following
from gankit_board.app import Board
from gankit_board.drawer import Drawer
from gankit_board.following import Following
from gankit_board.found import Found, Library
from tiny import LABELLED


def test_whoever_comes_back_finds_what_is_new(
    serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a while in which nobody has looked, and nothing was done; at once."""
    monkeypatch.setattr(following, "_IDLE", 0.2)
    root = tmp_path / "runs"
    root.mkdir()
    board = serve(root)
    for name in ("one", "two"):
        count = len(board.ask("/api/runs").json()["runs"])
        time.sleep(3)
        gankit.train(LABELLED, {"train.steps": 1}, out=root / name)
        began = time.monotonic()
        board.until("/api/runs", "count", count + 1)
        assert time.monotonic() - began < 2.5


def test_curves_wait_for_no_look_at_all_runs(
    serve: Any, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which takes long where there are thousands; nor do the facts of a run."""
    root = tmp_path / "runs"
    shutil.copytree(trained / "scenes", root / "scenes")
    looked = threading.Event()
    monkeypatch.setattr(Library, "renew", lambda _: looked.wait(60))
    board = serve(root)
    board.until("/api/curves?run=scenes", "share", 1.0)
    with (root / "scenes" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 7, "seconds": 99.0, "loss/generator": 1.0}\n')
    began = time.monotonic()
    while board.ask("/api/curves?run=scenes").json()["steps"][-1] != 7:
        assert time.monotonic() - began < 30
        time.sleep(0.1)
    assert board.ask("/api/run?run=scenes").json()["step"] == 7
    looked.set()


def test_a_run_is_told_while_another_thread_reads_on(tmp_path: Path) -> None:
    """Warnings that come, and a file that begins again, are no error of an answer."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "recipe.toml").write_text("[train]\nsteps = 1000\n")
    run = Found("a", tmp_path / "a")
    board = Board(Following(Library(tmp_path)), Drawer(), "runs")
    metrics, over = run.folder / "metrics.jsonl", threading.Event()

    def play() -> None:
        lines = 0
        while not over.is_set():
            lines = lines % 400 + 50  # it begins again now and then
            warned = ({"seconds": i, "step": i, "warning": "w"} for i in range(lines))
            metrics.write_text("".join(f"{json.dumps(one)}\n" for one in warned))
            run.renew()

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread = threading.Thread(target=play)
    thread.start()
    try:
        told = [board._one(run) for _ in range(300)]
    finally:
        over.set()
        thread.join()
        sys.setswitchinterval(before)
    assert any(one["warnings"] for one in told)
