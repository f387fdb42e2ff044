"""The documentation says what is so: its code runs, its commands are understood."""

from __future__ import annotations

import inspect
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

import gankit
from gankit import hookspecs
from gankit.cli import COMMANDS, Context, cli, run
from gankit.game.step import Step
from gankit.plugins.discovery import discover
from gankit.plugins.importing import resolve
from gankit.recipe.recipe import read_recipe
from sites import forget_modules_of

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(p for p in DOCS.rglob("*.md") if "_build" not in p.parts)
TUTORIALS = [page for page in PAGES if page.parent.name == "tutorials"]

_BLOCK = re.compile(
    r"^```(?P<tag>[^`\n]*)\n(?P<head>(?::\w+:[^\n]*\n)*)\n?(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\((?P<target>[^)\s]*)\)")


@frozen
class Block:
    """A fenced block: its language, the file that it shows, if any, and its text."""

    language: str
    file: str | None
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
        language = found["tag"].removeprefix("{code-block} ")
        line = text.count("\n", 0, found.start()) + 1
        yield Block(language, file and file[1], found["text"], line)


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


def check(command: Typed, capsys: pytest.CaptureFixture[str]) -> None:
    """Compare what is shown with what is so; a recipe that is trained is only read."""
    if not command.command.startswith("gankit"):
        return
    if command.output:
        capsys.readouterr()
        run(shlex.split(command.command)[1:])
        said = capsys.readouterr()
        assert said.out + said.err == command.output, command.command
        return
    name, params, files = parsed(command.command)
    if name == "train":
        source, overrides = params["recipe"] or "quickstart", params["overrides"]
        if "=" in source:
            source, overrides = "quickstart", (source, *overrides)
        read_recipe(source, overrides, plugins=files)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give the empty folder that a reader works in."""
    folder = tmp_path / "desk"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("GANKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("GANKIT_DISABLE_PLUGINS", raising=False)
    yield folder
    forget_modules_of(tmp_path)


@pytest.mark.parametrize(
    "page",
    [*TUTORIALS, DOCS / "hooks.md", DOCS / "parts.md"],
    ids=lambda page: page.stem,
)
def test_a_reader_can_follow(
    page: Path, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Block by block: files are written, Python runs, commands answer as shown."""
    names: dict[str, Any] = {"__name__": page.stem}
    for block in blocks(page):
        if block.file:
            (desk / block.file).parent.mkdir(parents=True, exist_ok=True)
            (desk / block.file).write_text(block.text, "utf-8")
        elif block.language == "python":
            shifted = "\n" * block.line + block.text
            exec(compile(shifted, str(page), "exec"), names)
        elif block.language == "console":
            for command in typed(block):
                check(command, capsys)


def test_the_package_of_the_tutorial_is_found(
    desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Installed as its pyproject.toml says, its loss is a part like any other."""
    import tomllib

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
