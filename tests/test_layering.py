"""The one rule: the core imports no plugin and names no part; plugins are strangers."""

from __future__ import annotations

import ast
import json
import re
import statistics
import subprocess
import sys
import tomllib
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import gankit
from gankit.cli import run
from gankit.plugins.discovery import discover
from tiny import LABELLED, write

ROOT = Path(__file__).parents[1]
CORE = sorted((ROOT / "gankit").rglob("*.py"))
PACKAGES = sorted((ROOT / "plugins").glob("*/pyproject.toml"))
SOURCES = sorted(path for p in PACKAGES for path in p.parent.rglob("src/**/*.py"))

# words that are a part's name and a word of the protocol too, and where they stand
EXEMPT = {
    ("string", "label"): "what a conditioner reads: a label, or captions",
    ("identifier", "label"): "the class index of an Item, and what --label asks for",
    ("identifier", "pixels"): "what pictures are made of, where grids are drawn",
    ("identifier", "probe"): "how run health looks at a generator",
    ("identifier", "shapes"): "Shapes, the sizes that a network must fit",
    ("string", "quickstart"): "what `gankit train` without a recipe promises to train",
}
# what a user has who asks for what imports it
ASKED_FOR = {"pytest": "gankit.testing.parametrize_parts makes tests for it"}
# distributions whose import name is another
IMPORTED_AS = {"pillow": "PIL", "tomli-w": "tomli_w"}


def _plain(word: str) -> str:
    """Fold NonSaturating, non_saturating and non-saturating into one."""
    return re.sub(r"[^a-z0-9]", "", word.lower())


def _words(source: str) -> Iterator[tuple[str, str]]:
    """Give every string and identifier of a module, docstrings and comments aside."""
    tree = ast.parse(source)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) not in docstrings:
                yield "string", node.value
            continue
        for name in ("id", "attr", "arg", "name", "asname"):
            if isinstance(word := getattr(node, name, None), str):
                yield "identifier", word


def _named(source: str, parts: set[str]) -> set[tuple[str, str]]:
    """Return which part names a module holds: as strings, short or long, or names."""
    folded = {_plain(part): part for part in parts}
    named = set()
    for form, word in _words(source):
        short = word.rpartition("/")[2]
        part = short if form == "string" else folded.get(_plain(word))
        named |= {(form, part)} if part in parts else set()
    return named


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _distribution(path: Path) -> str:
    name: str = tomllib.loads(path.read_text("utf-8"))["project"]["name"]
    return name


# each may import what stands in a line below its own, and what is in its own room
ROOMS = (
    ("cli",),
    ("testing",),
    ("packing",),
    ("api", "loading"),
    ("watchers",),
    ("runs", "recipe"),
    ("game",),
    ("data",),
    ("compute", "plugins"),
    ("hookspecs",),
    ("contracts",),
    ("randomness", "errors", "cache"),
)
# arrows that point up, of types alone
UPWARD = {
    ("hookspecs", "runs"): "hooks are given a run, its reports and its samples",
    ("hookspecs", "game"): "and updates",
    ("contracts", "game"): "a loss is given a step",
    ("contracts", "data"): "a data set gives facts and items",
    ("contracts", "runs"): "an inversion is given a sampler",
}


def _place(path: Path) -> str:
    """Return the room of a module, or its own name where it stands outside."""
    return path.relative_to(ROOT / "gankit").with_suffix("").parts[0]


def _taken(path: Path) -> set[str]:
    """Return the other rooms that a module imports from, types alone included."""
    names = {n for n in _imports(path) if n.partition(".")[0] == "gankit"}
    return {n.split(".")[1] for n in names - {"gankit.__version__"}} - {_place(path)}


@pytest.mark.parametrize(
    "path",
    [p for p in CORE if not p.name.startswith("__") or p.parent != ROOT / "gankit"],
    ids=lambda path: "/".join(path.parts[-2:]),
)
def test_an_import_points_down_the_list_of_rooms(path: Path) -> None:
    """So that each room can be read knowing only those below it."""
    level = {room: i for i, rooms in enumerate(ROOMS) for room in rooms}
    own = _place(path)
    up = {room for room in _taken(path) if level[room] <= level[own]}
    assert {(own, room) for room in up} - UPWARD.keys() == set()


def test_no_arrow_up_is_named_in_vain() -> None:
    """Each exception is still needed."""
    arrows = {(_place(path), room) for path in CORE for room in _taken(path)}
    assert UPWARD.keys() <= arrows


@pytest.fixture(scope="module")
def part_names() -> set[str]:
    """Give the short names of every first-party part, asked of the registry."""
    ours, registry = {_distribution(path) for path in PACKAGES}, discover()
    assert ours <= {plugin.name for plugin in registry.plugins}, "install plugins/*"
    entries = [e for e in registry.entries() if e.plugin.name in ours]
    return {entry.part.name for entry in entries}


def test_the_finder_of_names_finds_them() -> None:
    """In strings as they are, in identifiers in any spelling, never in docstrings."""
    source = '''
"""r1 is named here."""
import gankit_losses.least_squares as LeastSquares
def hinge(r2): "mlp"
x = "gankit-dcgan/dcgan"
y = f"{x}/mnist", "Hinge"
thing.maxout = "a sentence about minimax"
class Model:
    """shapes"""
    "quickstart"
'''
    parts = {"r1", "r2", "mlp", "hinge", "dcgan", "mnist", "maxout", "minimax"}
    assert _named(source, parts | {"least-squares", "quickstart", "shapes"}) == {
        ("identifier", "least-squares"),
        ("identifier", "hinge"),
        ("identifier", "r2"),
        ("string", "dcgan"),
        ("string", "mnist"),
        ("identifier", "maxout"),
        ("string", "quickstart"),
    }


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.name)
def test_the_core_names_no_part(path: Path, part_names: set[str]) -> None:
    """A first-party part has no privilege that a stranger's lacks."""
    named = _named(path.read_text("utf-8"), part_names)
    assert named - EXEMPT.keys() == set()


def test_no_exemption_is_idle(part_names: set[str]) -> None:
    """Each is of a part that there is, and is needed somewhere."""
    named = {n for path in CORE for n in _named(path.read_text("utf-8"), part_names)}
    assert EXEMPT.keys() <= named


def test_the_core_imports_what_it_declares_and_nothing_else() -> None:
    """No plugin, nothing of torchvision; and no dependency is declared in vain."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    declared = {re.split(r"[<>=!~ \[;]", d)[0] for d in project["dependencies"]}
    imported = {name.partition(".")[0] for path in CORE for name in _imports(path)}
    outside = imported - set(sys.stdlib_module_names) - {"gankit", *ASKED_FOR}
    assert outside == {IMPORTED_AS.get(name, name) for name in declared}


@pytest.mark.parametrize(
    "path", SOURCES, ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_a_first_party_plugin_uses_public_names_only(path: Path) -> None:
    """What it takes from gankit, a stranger may take too."""
    taken = [name for name in _imports(path) if name.partition(".")[0] == "gankit"]
    private = [n for n in taken if any(p.startswith("_") for p in n.split("."))]
    assert private == [name for name in private if name == "gankit.__version__"]


def test_a_plugin_imports_only_plugins_that_it_depends_on() -> None:
    """Each can be installed alone."""
    for package in PACKAGES:
        project = tomllib.loads(package.read_text("utf-8"))["project"]
        needed = {re.split(r"[<>=!~ \[;]", d)[0] for d in project["dependencies"]}
        own = project["name"].replace("-", "_")
        sources = package.parent.rglob("src/**/*.py")
        imported = {n.partition(".")[0] for p in sources for n in _imports(p)}
        foreign = {name for name in imported if name.startswith("gankit")} - {own}
        assert foreign <= {name.replace("-", "_") for name in needed}


def test_no_module_is_longer_than_an_evening_allows() -> None:
    """300 lines, in the core and in its plugins."""
    lines = {path: path.read_text("utf-8").count("\n") for path in [*CORE, *SOURCES]}
    assert {path: n for path, n in lines.items() if n > 300} == {}


# what an evening's reading is: from a contract to the loop that plays by it
EVENING = (
    "contracts/__init__",
    "game/step",
    "game/game",
    "game/players",
    "game/assembly",
    "game/settings",
    "recipe/recipe",
    "recipe/building",
    "data/reading",
    "data/feed",
    "runs/run",
)


def test_the_core_of_the_core_is_read_in_an_evening() -> None:
    """At most 2,300 lines."""
    lines = {
        path: (ROOT / "gankit" / f"{path}.py").read_text("utf-8").count("\n")
        for path in EVENING
    }
    assert sum(lines.values()) <= 2300, lines


def test_six_hops_lead_from_the_command_to_autograd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that enters the next function of gankit is a hop, and so is the last."""
    seen: list[list[str]] = []
    backward = torch.autograd.backward

    def watched(*args: Any, **kwargs: Any) -> None:
        core = str(Path(gankit.__file__).parent)
        here = [f for f in traceback.extract_stack() if f.filename.startswith(core)]
        named = [f"{'/'.join(Path(f.filename).parts[-2:])}:{f.name}" for f in here]
        seen.append(named[named.index("cli/train.py:train") :])
        backward(*args, **kwargs)

    monkeypatch.setattr("torch.autograd.backward", watched)
    recipe = write(tmp_path, LABELLED)
    assert run(["train", recipe, "train.steps=1", "--out", str(tmp_path / "run")]) == 0
    assert seen
    assert all(len(path) <= 6 for path in seen), seen[0]


QUICK = [
    "import gankit",
    "--help",
    "list",
    "plugins",
    "recipes",
    "train --help",
    "check --help",
]
_PROBE = """
import json, resource, sys
{action}
used = resource.getrusage(resource.RUSAGE_SELF)
heavy = [m for m in ("torch", "torchvision", "numpy", "PIL") if m in sys.modules]
print(json.dumps([heavy, used.ru_utime + used.ru_stime]), file=sys.stderr)
"""


def _probe(command: str) -> tuple[list[str], float]:
    run = f"from gankit.cli import run; assert run({command.split()}) == 0"
    action = command if command.startswith("import") else run
    done = subprocess.run(
        [sys.executable, "-c", _PROBE.format(action=action)],
        check=True,
        capture_output=True,
        text=True,
    )
    heavy, seconds = json.loads(done.stderr.splitlines()[-1])
    return heavy, seconds


@pytest.mark.parametrize("command", QUICK)
def test_what_should_answer_in_a_blink_imports_no_torch(command: str) -> None:
    """Nor anything else that is heavy."""
    heavy, _ = _probe(command)
    assert heavy == []


def test_the_list_costs_less_than_four_tenths_of_a_second() -> None:
    """Of processor time, which does not count what else the machine does."""
    assert statistics.median(_probe("list")[1] for _ in range(3)) < 0.4
