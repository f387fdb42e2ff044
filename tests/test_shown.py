"""What ``gankit show`` gives: a block to paste, papers, source; and JSON of it all."""

from __future__ import annotations

import inspect
import json
import re
import tomllib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from gankit.cli import run
from gankit.plugins.background import papers_of, source_of
from gankit.plugins.discovery import discover
from gankit.plugins.registry import Entry, Registry
from gankit.recipe.files import registered
from gankit.recipe.pasting import block_to_paste
from gankit.recipe.recipe import structure_recipe
from gankit.recipe.using import Use, structure_use
from sites import HEAD, Site, yields

DOCS = Path(__file__).parents[1] / "docs"
REGISTRY = discover()
ENTRIES = [e for e in REGISTRY.entries() if e.part.kind != "recipe"]

Capture = pytest.CaptureFixture[str]
WriteFile = Callable[[str, str], Path]


def _pasted(text: str, entry: Entry) -> dict[str, Any]:
    """Return the block that a text is, as a recipe would have it."""
    table = tomllib.loads(text)
    if entry.kind.block:
        (block,) = table[entry.kind.block]
    else:
        block = table.get(entry.part.kind) or table["PLACE"]["OPTION"]
    return dict(block)


def _used(block: dict[str, Any], entry: Entry, registry: Registry) -> Use:
    problems: list[str] = []
    use = structure_use(entry.part.kind, block, "here", registry, problems)
    assert problems == []
    assert use is not None
    return use


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: f"{e.part.kind} {e.name}")
def test_the_block_of_every_part_is_one_that_a_recipe_takes(entry: Entry) -> None:
    """It is that part; what is required has a comment, all else is the default."""
    text = block_to_paste(entry, REGISTRY)
    use = _used(_pasted(text, entry), entry, REGISTRY)
    assert use.entry is entry
    required = {option.name for option in entry.options if option.required}
    told = re.findall(r"^(\w+) = .*  # required: .+$", text, re.MULTILINE)
    assert set(told) == required
    needed = {name: _pasted(text, entry)[name] for name in required}
    defaults = _used({"use": entry.name, **needed}, entry, REGISTRY)
    assert use == defaults


HARD = """
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import Annotated, Any, Literal

from gankit import Count, Fraction, OfKind, Positive, Range
from gankit.contracts import Loss

ALoss = Annotated[Callable[[], Loss], OfKind("loss")]

class Needs:
    def __init__(self, *, flag: bool, count: Count, share: Fraction, rate: Positive,
                 many: Annotated[int, Range(at_least=3, at_most=8)],
                 cold: Annotated[float, Range(at_most=-2.5)],
                 narrow: Annotated[float, Range(above=0.25, at_most=0.5)],
                 word: str, place: Path, either: int | str, maybe: None | float,
                 mode: Literal["soft", "hard"], pair: tuple[int, str],
                 several: tuple[Count, ...], names: list[str],
                 table: dict[str, float], anything: Any, inner: ALoss): ...

def mixture(*, inner: ALoss): ...

class Lines:
    def __repr__(self):
        return "two\\n  lines"

class Greek:
    def __init__(self, *, λ: int, β: float = 0.5, δ: Lines = Lines()): ...

class Has:
    def __init__(self, *, end: float = inf, none: int | None = None,
                 text: str = 'a "quoted" \\\\ line\\n\\x7fé', small: float = 1e-07,
                 flags: tuple[bool, ...] = (True, False), form: type = dict,
                 table: dict[str, int] = {"a b": 1, "c": 2},
                 loss: ALoss | None = None): ...

""" + yields(
    "Part('penalty', 'needs', Needs)",
    "Part('penalty', 'has', Has)",
    "Part('penalty', 'greek', Greek)",
    "Part('loss', 'a-mixture', mixture)",  # the first, and it requires another
)


@pytest.fixture
def hard(plugin_file: WriteFile) -> Registry:
    """Give a registry with options of every type there is."""
    return discover([plugin_file("hard_parts.py", HEAD + HARD)])


def test_a_placeholder_is_of_the_type_that_is_required(hard: Registry) -> None:
    """Whatever the type and its limits; of a part, one that itself requires nothing."""
    entry = hard.find("penalty", "needs")
    text = block_to_paste(entry, hard)
    use = _used(_pasted(text, entry), entry, hard)
    assert use.options["many"] in range(3, 9)
    assert use.options["cold"] <= -2.5
    assert 0.25 < use.options["narrow"] <= 0.5
    assert use.options["mode"] == "soft"
    assert use.options["maybe"] == 1.0
    inner = use.options["inner"].entry
    assert inner.part.kind == "loss"
    assert not any(option.required for option in inner.options)
    assert "share = 1.0  # required: a number at least 0 and at most 1\n" in text
    assert 'place = "..."  # required: a path\n' in text


def test_what_no_recipe_can_state_is_told_in_a_comment(hard: Registry) -> None:
    """All else is written so that TOML reads the default again."""
    entry = hard.find("penalty", "has")
    text = block_to_paste(entry, hard)
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        "# end: inf by default; it takes a number",
        "# none: none by default; it takes a whole number",
        "# form: dict by default",
        "# loss: none by default; it takes a loss: a table that names one by use",
    ]
    assert _pasted(text, entry) == {
        "use": "has",
        "text": 'a "quoted" \\ line\n\x7fé',
        "small": 1e-07,
        "flags": [True, False],
        "table": {"a b": 1, "c": 2},
    }


def test_a_block_is_toml_whatever_options_and_defaults_are_called(
    hard: Registry,
) -> None:
    """A bare key is ASCII alone, and a comment ends with its line."""
    entry = hard.find("penalty", "greek")
    text = block_to_paste(entry, hard)
    assert _pasted(text, entry) == {"use": "greek", "λ": 1, "β": 0.5}
    assert text.endswith("# δ: two lines by default")


def test_a_block_is_pasted_into_a_recipe() -> None:
    """In the place of the one that is there, or below the others of its list."""
    entry = REGISTRY.find("recipe", "quickstart")
    table = tomllib.loads(registered(entry)[0])
    rest = tomli_w.dumps({k: v for k, v in table.items() if k != "loss"})
    loss, penalty = REGISTRY.find("loss", "hinge"), REGISTRY.find("penalty", "r1")
    pasted = [block_to_paste(part, REGISTRY) for part in (loss, penalty)]
    mended = structure_recipe(
        "mine", tomllib.loads("\n".join([rest, *pasted])), REGISTRY
    )
    assert mended.loss.entry is loss
    assert mended.penalties[-1].entry is penalty


def test_a_part_within_another_says_so() -> None:
    """No block of a recipe is of its kind."""
    entry = REGISTRY.find("features", "pixels")
    first, second, *_ = block_to_paste(entry, REGISTRY).splitlines()
    assert (first[0], second) == ("#", "[PLACE.OPTION]")


PAPERS: dict[str, tuple[str, ...]] = {
    'Lim & Ye 2017, "Geometric GAN"; Miyato et al. 2018, equations 16 and 17.': (
        'Lim & Ye 2017, "Geometric GAN"',
        "Miyato et al. 2018",
    ),
    "Reed et al. (2016): GAN-CLS; again Reed et al., 2016.": ("Reed et al. 2016",),
    "First Zhao et al. 2020, then Zhao et al. 2020, “Differentiable\n    things”.": (
        'Zhao et al. 2020, "Differentiable things"',
    ),
    "Jolicoeur-Martineau 2019 (there RSGAN); O'Neil 1999, Bińkowski et al. 2018": (
        "Jolicoeur-Martineau 2019",
        "O'Neil 1999",
        "Bińkowski et al. 2018",
    ),
    "Xiao, Rasul and Vollgraf 2017; noise, Metz and O'Hara 2017": (
        "Xiao, Rasul and Vollgraf 2017",
        "Metz and O'Hara 2017",
    ),
    "Since 2014, in May 2019, at CVPR 2020, of size 2000, and dropout 2014.": (),
    "See arXiv:1705.02894, https://doi.org/10.1000/x-1. and https://a.org/2014.": (
        "arXiv:1705.02894",
        "https://doi.org/10.1000/x-1",
    ),
}


@pytest.mark.parametrize("text", PAPERS)
def test_papers_are_those_that_a_docstring_names(text: str) -> None:
    """Once each, with the title where one is given; not every year is a paper's."""

    def factory() -> None: ...

    factory.__doc__ = text
    factory.__module__ = "no module of ours"
    assert papers_of(factory) == PAPERS[text]
    assert papers_of(partial(factory)) == PAPERS[text]


def test_every_loss_of_ours_names_its_paper() -> None:
    """So that the rule by which papers are found fits how docstrings are written."""
    ours = [e for e in REGISTRY.entries("loss") if e.plugin.name == "gankit-losses"]
    assert {e.part.name for e in ours if not papers_of(e.factory)} == set()
    (hinge,) = [e for e in ours if e.part.name == "hinge"]
    assert papers_of(hinge.factory) == (
        'Lim & Ye 2017, "Geometric GAN"',
        "Miyato et al. 2018",
    )


class _Called:
    def __call__(self) -> None: ...


def test_the_source_is_where_a_factory_is_defined() -> None:
    """Of a class, a function, what wraps one, and an object that is called."""
    here, at = Path(__file__), inspect.getsourcelines(_Called)[1]
    assert source_of(_Called) == source_of(_Called()) == (here, at)
    assert source_of(partial(_Called)) == (here, at)
    assert source_of(print) is None
    assert source_of(dict) is None


TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "string or null": lambda value: value is None or isinstance(value, str),
    "number or null": lambda value: value is None or type(value) in (int, float),
    "true or false": lambda value: isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "list of strings": lambda value: (
        all(isinstance(v, str) for v in value) and isinstance(value, list)
    ),
}


def _documented(command: str) -> dict[str, str]:
    """Read the fields of a command's JSON, with their types, from docs/cli.md."""
    text = (DOCS / "cli.md").read_text("utf-8")
    section = text.partition(f"\n## `gankit {command}`\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| `(\w+)` \| ([^|]+?) \|", section, re.MULTILINE))


def _agrees(told: dict[str, Any], fields: dict[str, str]) -> None:
    assert list(told) == list(fields)
    wrong = {k: (v, fields[k]) for k, v in told.items() if not TYPES[fields[k]](v)}
    assert wrong == {}


def _json(words: str, capsys: Capture) -> Any:
    assert run(words.split()) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("asked", "command"),
    [
        ("list --json", "list"),
        ("list loss --json", "list"),
        ("recipes --json", "list"),
        ("plugins --json", "plugins"),
        ("plugins --json --disable-plugin gankit-losses", "plugins"),
    ],
)
def test_lists_as_json_are_as_documented(
    asked: str, command: str, capsys: Capture
) -> None:
    """Every field of every entry, and no other."""
    told = _json(asked, capsys)
    assert told
    for one in told:
        _agrees(one, _documented(command))


@pytest.mark.parametrize("name", ["loss hinge", "dataset image-folder", "metric kid"])
def test_a_part_as_json_is_as_documented(name: str, capsys: Capture) -> None:
    """All that is shown in words is in it."""
    told = _json(f"show {name} --json", capsys)
    _agrees(told, _documented("show"))
    assert run(["show", *name.split()]) == 0
    shown = capsys.readouterr().out
    said = [told["long_name"], told["summary"], told["description"], told["toml"]]
    said += [f"{told['file']}, line {told['line']}"]
    for text in (*said, *told["papers"]):
        assert text in shown


def test_a_recipe_as_json_is_the_resolved_one(capsys: Capture) -> None:
    """As a run keeps it: reading it again gives it again."""
    told = _json("show recipe quickstart --json", capsys)
    assert structure_recipe("quickstart", told, REGISTRY).as_table() == told


def test_a_recipe_is_shown_as_registered_whatever_lies_here(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of that name is not what was asked for."""
    told = _json("show recipe gankit-papers/gaussians --json", capsys)
    (tmp_path / "gaussians").write_text("no = 'recipe'", "utf-8")
    monkeypatch.chdir(tmp_path)
    assert _json("show recipe gaussians --json", capsys) == told


def test_a_recipe_is_shown_with_its_file(capsys: Capture) -> None:
    """In a comment, so that what is shown is still the recipe."""
    assert run(["show", "recipe", "gaussians"]) == 0
    shown = capsys.readouterr().out
    text, path = registered(REGISTRY.find("recipe", "gaussians"))
    assert tomllib.loads(shown) == tomllib.loads(text)
    assert shown.splitlines()[-1].startswith(f"# {path}, of gankit-papers ")


def test_the_block_in_the_documentation_is_the_one_that_is_shown() -> None:
    """To the letter."""
    text = (DOCS / "cli.md").read_text("utf-8")
    entry = REGISTRY.find("dataset", "image-folder")
    assert f"```toml\n{block_to_paste(entry, REGISTRY)}\n```\n" in text


def test_a_plugin_is_shown_with_all_that_it_brings(site: Site, capsys: Capture) -> None:
    """What it adds, whether it watches, and how long importing it took."""
    slow = "import time\ntime.sleep(0.05)\n"
    hook = "\n@hookimpl\ndef gankit_after_run(run): ...\n"
    command = yields("Command('ask', 'a:b', 'Ask')", hook="gankit_commands")
    parts = yields("Part('loss', 'b', 'a:b')", "Part('loss', 'a', 'a:b')")
    site.install("much-gan", slow + command + parts + hook, version="1.2")
    (told,) = [p for p in _json("plugins --json", capsys) if p["plugin"] == "much-gan"]
    assert told.pop("import_ms") >= 50
    assert told == {
        "plugin": "much-gan",
        "version": "1.2",
        "file": None,
        "status": "loaded",
        "reason": "",
        "note": "",
        "parts": {"loss": ["a", "b"]},
        "commands": ["ask"],
        "watches": True,
    }
    assert run(["plugins"]) == 0
    (line,) = [x for x in capsys.readouterr().out.splitlines() if "much-gan" in x]
    assert line.endswith(" ms  loss 2, command ask, watches every run")
