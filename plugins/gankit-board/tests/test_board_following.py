"""Runs are followed while somebody looks."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import gankit
from gankit_board import following
from gankit_board.found import Library
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
