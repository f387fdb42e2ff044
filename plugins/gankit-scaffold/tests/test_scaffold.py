"""Packages that `gankit new plugin` writes: they work, and nothing is overwritten."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import gankit
from gankit.cli import run
from gankit.contracts import kinds
from gankit_scaffold.naming import named
from gankit_scaffold.writing import KINDS
from sites import Site
from tiny import tree


def test_there_is_a_part_for_each_kind_but_recipes() -> None:
    """A recipe is in each package."""
    assert {*KINDS} == {kind.name for kind in kinds.KINDS} - {"recipe"}


def new(*words: str | Path, code: int = 0) -> None:
    """Run the command."""
    assert run(["new", "plugin", *map(str, words)]) == code


def packages(site: Site, folder: Path) -> list[Path]:
    """Write a package of each kind, and install it as pip would."""
    made = []
    for kind in KINDS:
        made.append(folder / f"gankit-a-{kind}")
        new(made[-1].name, "--kind", kind, "--out", made[-1])
        told = tomllib.loads((made[-1] / "pyproject.toml").read_text("utf-8"))
        project = told["project"]
        info = site.install(
            project["name"],
            version=project["version"],
            requires=project["dependencies"],
            entries=project["entry-points"]["gankit"],
        )
        (site.folder / f"{info.name.partition('-')[0]}.py").unlink()
    return made


def test_a_package_of_each_kind_passes_its_own_tests(tmp_path: Path) -> None:
    """Each is listed, its recipe trains, and its part does what it says.

    The conformance kit is among them, with tens of checks of each.
    """
    site = Site(tmp_path / "site")
    made = packages(site, tmp_path)
    sources = [str(package / "src") for package in made]
    path = os.pathsep.join([str(site.folder), *sources, *sys.path])
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-W", "error"),
            *("--import-mode=importlib", "-p", "no:cacheprovider"),
            *("--rootdir", tmp_path, *made),
        ],
        env={**os.environ, "PYTHONPATH": path},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    # one truth a part, and a run of its recipe; the hook's truth is a run
    tests = sum(
        file.read_text("utf-8").count("\ndef test_")
        for package in made
        for file in package.rglob("test_[!c]*.py")
    )
    assert tests >= 2 * len(made) - 1
    found = re.fullmatch(r"(\d+) passed in .*", done.stdout.splitlines()[-1])
    assert found, done.stdout[-300:]
    assert int(found[1]) >= tests + 10 * len(made)


def test_the_pin_is_of_this_version_and_names_stand_where_they_must(
    tmp_path: Path,
) -> None:
    """A plugin for this core, whose module imports no torch."""
    new("Gankit_Two.Words", "--out", tmp_path / "here")
    told = tomllib.loads((tmp_path / "here" / "pyproject.toml").read_text("utf-8"))
    assert told["project"]["name"] == "gankit-two-words"
    major, minor, _ = gankit.__version__.split(".")
    pin = f"gankit[papers]>={major}.{minor},<{major}.{int(minor) + 1}"
    assert pin in told["project"]["dependencies"]
    assert told["project"]["entry-points"]["gankit"] == {
        "gankit-two-words": "gankit_two_words"
    }
    files = {*tree(tmp_path / "here")}
    assert {
        "src/gankit_two_words/two_words.py",
        "src/gankit_two_words/try-two-words.toml",
        "tests/test_two_words.py",
        ".github/workflows/test.yml",
    } <= files
    text = "".join(part.decode() for part in tree(tmp_path / "here").values())
    assert "class TwoWords:" in text
    assert "$" not in text.replace("\n$ ", "")


def test_what_comes_next_is_said(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Three commands, which begin where the user is."""
    monkeypatch.chdir(tmp_path)
    new("gankit-focal")
    assert capsys.readouterr().out.splitlines() == [
        "gankit-focal is a package with the loss 'focal'; next:",
        "  pip install -e 'gankit-focal[dev]'",
        "  pytest gankit-focal",
        "  gankit train try-focal",
    ]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("2fast", "'2fast' is no name for a package: it begins with a letter"),
        ("my loss", "is no name for a package"),
        ("loss-", "ends with a letter or a digit"),
        ("gankit-2d", "a module '2d', which Python cannot import; choose"),
        ("class", "a module 'class', which Python cannot import"),
        ("gankit", "gankit 0.1.0 is installed already; choose another name"),
        ("gankit-losses", "gankit-losses 0.1.0 is installed already"),
        ("json", "would shadow the module 'json'"),
        ("gankit-", "is no name for a package"),
        ("numpy.core", ""),
    ],
)
def test_a_name_that_cannot_be_is_refused(
    name: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In words, with another one; nothing is written."""
    if not said:
        assert named(name).module == "numpy_core"
        return
    new(name, "--out", tmp_path / "here", code=2)
    assert said in capsys.readouterr().err
    assert not (tmp_path / "here").exists()


def test_nothing_is_overwritten_and_nothing_is_left_half_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not even an empty folder is taken."""
    (tmp_path / "here").mkdir()
    new("gankit-focal", "--out", tmp_path / "here", code=2)
    assert "is there already, and nothing is overwritten" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    new("gankit-focal", "--out", tmp_path / "file" / "below", code=2)
    assert "cannot be written" in capsys.readouterr().err
    assert tree(tmp_path) == {"file": b""}
