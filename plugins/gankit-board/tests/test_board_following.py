"""Runs are followed while somebody looks."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

import gankit
from gankit_board import following
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
