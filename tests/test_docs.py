"""The documentation says what is so: its code runs, its commands are understood."""

from __future__ import annotations

import inspect
import re
import shlex
import subprocess
import sys
import time
import tomllib
import venv
import warnings
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from attrs import frozen

import gankit
from gankit import hookspecs
from gankit.cli import COMMANDS, Context, cli, run
from gankit.game.step import Step
from gankit.plugins.discovery import discover
from gankit.plugins.importing import resolve
from gankit.recipe.recipe import read_recipe
from sites import Site, forget_modules_of

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(p for p in DOCS.rglob("*.md") if "_build" not in p.parts)
TUTORIALS = [page for page in PAGES if page.parent.name == "tutorials"]
PUBLISH = DOCS / "tutorials" / "publish-a-plugin.md"
# pages whose recipes need nothing that is not on the page: each is trained, two steps
TRAINED = {"models-that-are-not-ours", "your-own-dataset", "your-own-network"}
FEW = ("train.steps=2", "train.batch_size=8", "train.samples=4")

_BLOCK = re.compile(
    r"^```(?P<tag>[^`\n]*)\n(?P<head>(?::\w+:[^\n]*\n)*)\n?(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\((?P<target>[^)\s]*)\)")


@frozen
class Block:
    """A fenced block: its language, file and name, if it has any, and its text."""

    language: str
    file: str | None
    name: str | None
    text: str
    line: int


@frozen
class Typed:
    """A command of a console block, and what it is shown to answer."""

    command: str
    output: str


def blocks(page: Path) -> Iterator[Block]:
    """Read the fenced blocks of a page."""
    text = page.read_text("utf-8")
    for found in _BLOCK.finditer(text):
        file = re.search(r'^:caption: "`(.+)`"$', found["head"], re.MULTILINE)
        name = re.search(r"^:name: (.+)$", found["head"], re.MULTILINE)
        language, shown = found["tag"].removeprefix("{code-block} "), found["text"]
        if language.startswith("{literalinclude} "):
            where = page.parent / language.partition(" ")[2]
            language, shown = where.suffix, where.read_text("utf-8")
        line = text.count("\n", 0, found.start()) + 1
        yield Block(language, file and file[1], name and name[1], shown, line)


def typed(block: Block) -> Iterator[Typed]:
    """Read the commands of a console block."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield Typed(command, output)


def parsed(command: str) -> tuple[str, dict[str, Any], list[str]]:
    """Let click parse a command line: name, parameters, plugin files."""
    words = shlex.split(command)[1:]
    every = (*COMMANDS, *discover().commands)
    targets = {known.name: known.target for known in every}
    at = next(i for i, word in enumerate(words) if word in targets)
    outer = cli.make_context("gankit", words[: at + 1], obj=Context())
    inner = resolve(targets[words[at]])
    context = inner.make_context(words[at], words[at + 1 :], parent=outer)
    return words[at], context.params, context.obj.files


def as_shown(shown: str, said: str) -> bool:
    """Compare what a page shows with what a command says.

    In a line … stands for what another machine says otherwise; a line of it alone for
    anything, before what is shown too, because errors come after the output here.
    """
    parts = [
        ".*" if line == "…\n" else re.escape(line).replace("…", "[^\n]+")
        for line in shown.splitlines(keepends=True)
    ]
    compare = re.search if ".*" in parts else re.fullmatch
    return compare("".join(parts), said, re.DOTALL) is not None


def check(command: Typed, capsys: pytest.CaptureFixture[str], *, trained: bool) -> None:
    """Compare what is shown with what is so; a recipe is read, or trained a little."""
    if not command.command.startswith("gankit"):
        return
    if command.output:
        capsys.readouterr()
        with warnings.catch_warnings():  # which the command line tells
            warnings.simplefilter("default", FutureWarning)
            run(shlex.split(command.command)[1:])
        said = capsys.readouterr()
        assert as_shown(command.output, said.out + said.err), said.out + said.err
        return
    name, params, files = parsed(command.command)
    if name == "train":
        source, overrides = params["recipe"] or "quickstart", params["overrides"]
        if "=" in source:
            source, overrides = "quickstart", (source, *overrides)
        recipe = read_recipe(source, overrides, plugins=files)
        again = (Path(source).name, params["processes"]) == ("recipe.toml", 1)
        if trained or again:  # or the recipe of a run that the page has made
            items = "items" in recipe.dataset.options
            few = (*FEW, *(["dataset.items=64"] if items else []))
            assert run([*shlex.split(command.command)[1:], *few]) == 0


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give the empty folder that a reader works in."""
    folder = tmp_path / "desk"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("GANKIT_CACHE", str(tmp_path / "cache"))
    for name in ("GANKIT_LOAD_PLUGINS", "GANKIT_DISABLE_PLUGINS"):
        monkeypatch.delenv(name, raising=False)
    yield folder
    forget_modules_of(tmp_path)


@pytest.mark.parametrize(
    "page",
    PAGES,
    ids=lambda page: page.stem,
)
def test_a_reader_can_follow(
    page: Path, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Block by block: files are written, Python runs, commands answer as shown.

    What has a name has a test of its own.
    """
    names: dict[str, Any] = {"__name__": page.stem}
    for block in blocks(page):
        if block.name:
            continue
        if block.file:
            (desk / block.file).parent.mkdir(parents=True, exist_ok=True)
            (desk / block.file).write_text(block.text, "utf-8")
        elif block.language == "python":
            shifted = "\n" * block.line + block.text
            exec(compile(shifted, str(page), "exec"), names)
        elif block.language == "toml":
            tomllib.loads(block.text)
        elif block.language == "console":
            for command in typed(block):
                check(command, capsys, trained=page.stem in TRAINED)


def test_the_package_of_the_tutorial_is_found(
    desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Installed as its pyproject.toml says, its loss is a part like any other."""
    files = {b.file: b.text for b in blocks(DOCS / "tutorials" / "your-own-loss.md")}
    project = tomllib.loads(files["gankit-average-ls/pyproject.toml"])["project"]
    module = desk / "gankit_average_ls"
    info = desk / f"{module.name}-{project['version']}.dist-info"
    for folder in (module, info):
        folder.mkdir()
    start = f"gankit-average-ls/src/{module.name}/__init__.py"
    loss = files["my_loss.py"].partition("\n\n\n@hookimpl")[0]
    (module / "__init__.py").write_text(files[start], "utf-8")
    (module / "average_ls.py").write_text(loss, "utf-8")
    points = project["entry-points"]["gankit"].items()
    lines = ["[gankit]", *(f"{key} = {value}" for key, value in points)]
    (info / "entry_points.txt").write_text("\n".join(lines), "utf-8")
    lines = ["Metadata-Version: 2.1", f"Name: {project['name']}"]
    lines += [f"Version: {project['version']}"]
    lines += [f"Requires-Dist: {wanted}" for wanted in project["dependencies"]]
    (info / "METADATA").write_text("\n".join(lines), "utf-8")
    registry = discover()
    assert not registry.failures
    entry = registry.find("loss", "gankit-average-ls/average-ls")
    assert [(o.name, o.default) for o in entry.options] == [("margin", 1.0)]


def _named(page: Path, name: str) -> Block:
    """Return the block of a page that has this name."""
    (block,) = (block for block in blocks(page) if block.name == name)
    return block


def _skip_without(*tools: str) -> None:
    """Skip where what builds packages is not there; import none of it."""
    for tool in tools:
        try:
            major = int(version(tool).partition(".")[0])
        except PackageNotFoundError:
            pytest.skip(f"{tool} is not installed")
        if tool == "setuptools" and major < 77:
            pytest.skip(f"setuptools is of version {major}, and 77 is asked for")


def _fresh_python(folder: Path) -> str:
    """Make an environment that has what this one has, and takes more; return Python."""
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    asked = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    place = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
    own = [path for path in sys.path if path.endswith("-packages")]
    lines = [f"import site; site.addsitedir({path!r})" for path in own]
    Path(place.strip(), "of-the-tests.pth").write_text("\n".join(lines), "utf-8")
    return str(python)


def test_few_commands_lead_from_nothing_to_a_run(desk: Path) -> None:
    """At most five, in at most ten minutes; the last one trains with the new loss."""
    _skip_without("pip", "setuptools")
    python = _fresh_python(desk.parent / "fresh")
    commands = [t.command for t in typed(_named(PUBLISH, "from-nothing"))]
    assert len(commands) <= 5
    begun = time.monotonic()
    for command in commands:
        words = shlex.split(command)
        # what it depends on is here already, and nothing is downloaded by a test
        if words[0] == "pip":
            words += ["--no-deps", "--no-build-isolation", "--no-index"]
        done = subprocess.run(
            [python, "-m", *words], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    assert time.monotonic() - begun < 600
    (trained,) = (desk / "runs").iterdir()
    assert 'use = "gankit-focal/focal"' in (trained / "recipe.toml").read_text("utf-8")
    assert list((trained / "checkpoints").iterdir())


def test_the_wheel_of_a_new_package_holds_what_it_needs(desk: Path) -> None:
    """Its entry point, its recipe and the mark of its types."""
    _skip_without("build", "setuptools")
    assert run(["new", "plugin", "gankit-focal"]) == 0
    *_, build = (shlex.split(t.command) for t in typed(_named(PUBLISH, "wheel")))
    # what builds it is here already, and nothing is downloaded by a test
    words = [*build[1:], "--wheel", "--no-isolation"]
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = (desk / "gankit-focal" / "dist").iterdir()
    assert f"gankit-focal/dist/{wheel.name}" in PUBLISH.read_text("utf-8")
    with ZipFile(wheel) as held:
        names = set(held.namelist())
        (points,) = (name for name in names if name.endswith("entry_points.txt"))
        assert "gankit-focal = gankit_focal" in held.read(points).decode()
    files = ("__init__.py", "focal.py", "py.typed", "try-focal.toml")
    assert {f"gankit_focal/{file}" for file in files} <= names


@pytest.mark.parametrize("name", ["asked-failed", "list-failed", "plugins-failed"])
def test_a_plugin_that_fails_is_shown_as_the_page_says(
    name: str, site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its reason; one that was made for an older core."""
    site.install("gankit-focal", version="0.1.0", requires=["gankit>=0.0,<0.1"])
    (command,) = typed(_named(PUBLISH, name))
    run(shlex.split(command.command)[1:])
    said = capsys.readouterr()
    given = " ".join((said.out + said.err).split())
    for line in command.output.splitlines():
        assert " ".join(line.split()) in given


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_commands_in_the_text_are_understood(page: Path) -> None:
    """Also those that stand in a sentence, as `gankit list KIND`."""
    shown = [
        t.command for b in blocks(page) if b.language == "console" for t in typed(b)
    ]
    prose = _BLOCK.sub("", page.read_text("utf-8"))
    inline = re.findall(r"(?<!`)`(gankit [a-z][^`]*)`(?!`)", prose)
    for command in [*shown, *inline]:
        words = shlex.split(" ".join(command.split()))
        if words[0] != "gankit" or words[1:2] == ["--help"]:
            continue
        known = {c.name for c in (*COMMANDS, *discover().commands)}
        assert any(word in known for word in words), command
        if command in shown:
            parsed(command)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_links_lead_somewhere(page: Path) -> None:
    """To a page that is there, and to a heading that it has."""
    prose = _BLOCK.sub("", page.read_text("utf-8"))
    for found in _LINK.finditer(prose):
        target, _, anchor = found["target"].partition("#")
        if target.startswith("http"):
            continue
        there = (page.parent / target).resolve() if target else page
        assert there.is_file(), found[0]
        if anchor:
            heads = re.findall(r"^#+ (.+)$", there.read_text("utf-8"), re.MULTILINE)
            assert anchor in {_slug(head) for head in heads}, found[0]


def test_every_page_is_in_the_index() -> None:
    """And every entry of the index is a page."""
    tables = re.findall(
        r"^```\{toctree\}\n(.*?)^```$",
        (DOCS / "index.md").read_text("utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    entries = [
        line
        for table in tables
        for line in table.splitlines()
        if line and not line.startswith(":")
    ]
    pages = {str(page.relative_to(DOCS).with_suffix("")) for page in PAGES}
    assert sorted(entries) == sorted(pages - {"index"})


def _asked(page: str, directive: str) -> set[str]:
    text = (DOCS / page).read_text("utf-8")
    return set(re.findall(rf"^```\{{{directive}\}} (.+)$", text, re.MULTILINE))


def test_every_kind_and_recipe_is_printed() -> None:
    """By the directives that ask the registry."""
    registry = discover()
    kinds = set(registry.kinds) - {"recipe"}
    pages = ("parts.md", "measuring.md")
    assert set().union(*(_asked(p, "gankit-parts") for p in pages)) == kinds
    recipes = {entry.part.name for entry in registry.entries("recipe")}
    assert _asked("recipes.md", "gankit-recipe") == recipes


def test_every_hook_and_command_is_printed() -> None:
    """By the directives that ask the core."""
    hooks = {name for name in vars(hookspecs) if name.startswith("gankit_")}
    assert _asked("hooks.md", "gankit-hook") == hooks
    assert _asked("cli.md", "gankit-cli") == {command.name for command in COMMANDS}


def test_every_command_of_a_plugin_of_ours_is_printed() -> None:
    """On the page that tells of it."""
    ours = {path.name.replace("-", "_") for path in (DOCS.parent / "plugins").iterdir()}
    named = {
        command.name
        for command in discover().commands
        if command.target.partition(".")[0] in ours
    }
    assert named == {
        name
        for page in PAGES
        if page.name != "cli.md"
        for name in _asked(str(page.relative_to(DOCS)), "gankit-cli")
    }


def test_every_hook_comes_with_advice() -> None:
    """A sentence of ours beside what is generated."""
    prose = _BLOCK.sub("", (DOCS / "hooks.md").read_text("utf-8"))
    for section in re.split(r"^### ", prose, flags=re.MULTILINE)[1:]:
        head, _, advice = section.partition("\n")
        assert advice.strip(), head


@pytest.mark.parametrize("name", gankit.__all__)
def test_every_public_name_is_described(name: str) -> None:
    """In docs/python-api.md, as it is written in code."""
    text = (DOCS / "python-api.md").read_text("utf-8")
    assert re.search(rf"\bgankit\.{name}\b", text)


def test_the_table_of_a_step_is_the_step() -> None:
    """All that a loss may look at, and nothing that is not there."""
    text = (DOCS / "how-a-step-works.md").read_text("utf-8")
    table = text.partition("| attribute |")[2].partition("\n\n")[0]
    cells = re.findall(r"^\| (.+?) \|", table, re.MULTILINE)
    listed = {name for cell in cells for name in re.findall(r"`(\w+)", cell)}
    made = re.findall(r"self\.([a-z]\w*) =", inspect.getsource(Step.__init__))
    offered = {*made, *(n for n in vars(Step) if not n.startswith("_"))}
    assert listed == offered - {"measurements"}


def _slug(head: str) -> str:
    return re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-")
