"""Fixtures that more than one test module asks for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from gankit.cli import run
from gankit.plugins.discovery import discover
from gankit.plugins.registry import Registry
from sites import Site, forget_modules_of
from tables import CODE
from tiny import CAPTIONED, LABELLED, without, write

# tensors are tiny here, and threads only get into each other's way
os.environ.setdefault("OMP_NUM_THREADS", "1")

# the same examples in every run, on machines of any speed
settings.register_profile("gankit", derandomize=True, deadline=None, database=None)
settings.load_profile("gankit")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Give a place to install plugins in, which this test's process searches."""
    for name in ("GANKIT_LOAD_PLUGINS", "GANKIT_DISABLE_PLUGINS"):
        monkeypatch.delenv(name, raising=False)
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


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep fitted encoders from the user's own cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANKIT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Write the tiny recipe into a folder of its own, which is the current one."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return write(folder, LABELLED)


@pytest.fixture(scope="session")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Train on labelled points, once; tests only read the run."""
    return _trained(tmp_path_factory.mktemp("labelled"), LABELLED)


@pytest.fixture(scope="session")
def captioned(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Train on captioned pictures, once; tests only read the run."""
    return _trained(tmp_path_factory.mktemp("captioned"), CAPTIONED)


@pytest.fixture(scope="session")
def unlabelled(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Train without a conditioner, once; tests only read the run."""
    folder = tmp_path_factory.mktemp("unlabelled")
    return _trained(folder, without(LABELLED, "conditioner"))


def _trained(folder: Path, table: dict[str, Any]) -> str:
    out = str(folder / "run")
    assert run(["train", write(folder, table), "--out", out]) == 0
    return out


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give a local plugin file with a part of each kind that recipes need."""
    folder = tmp_path_factory.mktemp("parts")
    path = folder / "recipe_parts.py"
    path.write_text(CODE, "utf-8")
    yield path
    forget_modules_of(folder)


@pytest.fixture(scope="module")
def registry(parts: Path) -> Registry:
    """Give a registry with these parts."""
    return discover([parts])
