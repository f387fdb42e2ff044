"""Fixtures that more than one test module asks for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from sites import Site, forget_modules_of

# tensors are tiny here, and threads only get into each other's way
os.environ.setdefault("OMP_NUM_THREADS", "1")

# the same examples in every run, on machines of any speed
settings.register_profile("gankit", derandomize=True, deadline=None, database=None)
settings.load_profile("gankit")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Give a place to install plugins in, which this test's process searches."""
    monkeypatch.delenv("GANKIT_DISABLE_PLUGINS", raising=False)
    made = Site(tmp_path / "site")
    monkeypatch.syspath_prepend(made.folder)
    yield made
    forget_modules_of(tmp_path)


@pytest.fixture
def plugin_file(tmp_path: Path) -> Iterator[Callable[[str, str], Path]]:
    """Give what writes a local plugin file of a name with some code."""

    def write(name: str, code: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code, "utf-8")
        return path

    yield write
    forget_modules_of(tmp_path)
