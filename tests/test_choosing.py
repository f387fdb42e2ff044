"""Which plugins are loaded, and what a run says of those that it is made with."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from gankit.cli import run
from gankit.contracts.kinds import Origin
from gankit.errors import PartError, PluginError
from gankit.plugins.discovery import discover
from gankit.plugins.registry import LeftOut, Registry
from sites import HEAD, Site, yields
from tiny import sha256

Capture = pytest.CaptureFixture[str]
WriteFile = Callable[[str, str], Path]

GOOD = yields("Part('loss', 'kept', 'math:floor')")
NEVER = "raise SystemExit('never')"
WATCHES = f"{HEAD}\n@hookimpl\ndef gankit_before_run(run): ...\n"


@pytest.fixture
def choose(site: Site, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Registry]:
    """Give what discovers plugins, of which these alone are to be loaded."""

    def discovered(names: str) -> Registry:
        monkeypatch.setenv("GANKIT_LOAD_PLUGINS", names)
        return discover()

    return discovered


Choose = Callable[[str], Registry]


def _loaded(registry: Registry) -> list[str]:
    return [plugin.name for plugin in registry.plugins]


@pytest.mark.parametrize("names", ["", " ", ",", " , "])
def test_of_no_names_none_is_loaded_or_imported(
    names: str, site: Site, choose: Choose
) -> None:
    """Not even to ask what it brings; each is there, and left out."""
    site.install("bad-gan", NEVER, version="3.1")
    registry = choose(names)
    assert registry.plugins == registry.failures == registry.entries() == ()
    why = "not named by GANKIT_LOAD_PLUGINS"
    assert LeftOut("bad-gan", "3.1", why) in registry.left_out
    assert "bad_gan" not in sys.modules


@pytest.mark.parametrize("names", ["good-gan", " good-gan ,", "Good_Gan", "good.gan"])
def test_only_what_is_named_is_loaded(names: str, site: Site, choose: Choose) -> None:
    """In any spelling that is one distribution's."""
    site.install("good-gan", GOOD)
    site.install("bad-gan", NEVER)
    registry = choose(names)
    assert _loaded(registry) == ["good-gan"]
    assert registry.failures == ()
    assert "good-gan" not in {other.plugin for other in registry.left_out}


@pytest.mark.parametrize(
    ("names", "loaded"),
    [
        ("two-gan", ["two-gan.first", "two-gan.second"]),
        ("two-gan.first", ["two-gan.first"]),
        ("second", ["two-gan.second"]),
    ],
)
def test_a_name_is_a_distribution_s_or_an_entry_point_s(
    names: str, loaded: list[str], site: Site, choose: Choose
) -> None:
    """Of a distribution all entry points are loaded."""
    (site.folder / "second_gan.py").write_text(GOOD, "utf-8")
    points = {"first": "two_gan", "second": "second_gan"}
    site.install("two-gan", GOOD, entries=points)
    assert _loaded(choose(names)) == loaded


def test_an_entry_point_cannot_pass_for_a_distribution(
    site: Site, choose: Choose
) -> None:
    """Anybody may give an entry point the name of what is trusted."""
    site.install("good-gan", GOOD)
    site.install("bad-gan", NEVER, entries={"good-gan": "bad_gan"})
    assert _loaded(choose("good-gan")) == ["good-gan"]
    assert "bad_gan" not in sys.modules


def test_a_distribution_without_a_name_cannot_pass_for_one_that_has_it(
    site: Site, choose: Choose
) -> None:
    """Its entry point has no other name, and does not change that of a sound plugin."""
    site.install("good-gan", GOOD)
    info = site.install("evil-gan", NEVER, entries={"good-gan": "evil_gan"})
    told = (info / "METADATA").read_text("utf-8").replace("Name: evil-gan\n", "")
    (info / "METADATA").write_text(told, "utf-8")
    registry = choose("good-gan")
    assert _loaded(registry) == ["good-gan"]
    assert "evil_gan" not in sys.modules
    assert [o.plugin for o in registry.left_out].count("good-gan") == 1


def test_only_the_name_of_a_distribution_has_several_spellings(
    site: Site, choose: Choose, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Entry points that differ by a dash are two."""
    (site.folder / "second_gan.py").write_text(GOOD, "utf-8")
    points = {"a-b": "two_gan", "a_b": "second_gan"}
    site.install("two-gan", GOOD, entries=points)
    assert _loaded(choose("two-gan.a-b")) == ["two-gan.a-b"]
    monkeypatch.setenv("GANKIT_DISABLE_PLUGINS", "two-gan.a-b")
    assert _loaded(choose("Two_Gan")) == ["two-gan.a_b"]


def test_an_entry_point_of_several_distributions_is_refused(
    site: Site, choose: Choose
) -> None:
    """It is not known which is trusted."""
    for name in ("one-gan", "two-gan"):
        site.install(name, NEVER, entries={"models": name.replace("-", "_")})
    with pytest.raises(PluginError) as caught:
        choose("models")
    assert str(caught.value) == (
        "GANKIT_LOAD_PLUGINS: 'models' is an entry point of each of "
        "'one-gan', 'two-gan'; name the distribution that you mean"
    )


@pytest.mark.parametrize("command", ["list", "plugins", "--help", "show loss hinge"])
def test_a_name_that_nothing_has_is_one_line_that_says_what_there_is(
    command: str, site: Site, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """With the nearest; nothing is imported, and the code is the user's."""
    site.install("acme-gan", NEVER)
    monkeypatch.setenv("GANKIT_LOAD_PLUGINS", "gankit-losses,acme-gann")
    assert run(command.split()) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        "error: GANKIT_LOAD_PLUGINS: no plugin is named 'acme-gann'; "
        "did you mean 'acme-gan'?; the plugins that are installed are 'acme-gan', "
    )
    assert "'gankit-papers'" in line
    assert "acme_gan" not in sys.modules


def test_what_is_named_and_disabled_is_left_out(
    site: Site, choose: Choose, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever disables it has a reason."""
    site.install("bad-gan", NEVER)
    site.install("good-gan", GOOD)
    monkeypatch.setenv("GANKIT_DISABLE_PLUGINS", "bad_gan")
    registry = choose("good-gan,bad-gan")
    assert _loaded(registry) == ["good-gan"]
    assert LeftOut("bad-gan", "1.0", "disabled") in registry.left_out


def test_a_distribution_is_disabled_with_all_its_entry_points(site: Site) -> None:
    """By its own name, which none of its plugins has."""
    points = {"first": "bad_gan", "second": "bad_gan"}
    site.install("bad-gan", NEVER, entries=points)
    registry = discover(disable=["bad-gan"])
    assert registry.failures == ()
    assert [o.plugin for o in registry.left_out] == ["bad-gan.first", "bad-gan.second"]


def test_a_local_file_is_loaded_whatever_is_chosen(
    site: Site, monkeypatch: pytest.MonkeyPatch, plugin_file: WriteFile
) -> None:
    """Whoever names it has chosen it."""
    monkeypatch.setenv("GANKIT_LOAD_PLUGINS", "")
    assert _loaded(discover([plugin_file("mine.py", GOOD)])) == ["mine"]


def test_a_part_that_is_not_there_may_be_in_what_is_left_out(
    site: Site, choose: Choose
) -> None:
    """By its long name it surely is."""
    site.install("good-gan", GOOD)
    registry = choose("")
    with pytest.raises(PartError) as caught:
        registry.find("loss", "kept")
    assert str(caught.value) == (
        "no loss named 'kept'; it may be in one that is left out, as `gankit plugins` "
        "says"
    )
    with pytest.raises(PartError) as caught:
        registry.find("loss", "good-gan/kept")
    assert str(caught.value) == (
        "no loss named 'good-gan/kept'; the plugin 'good-gan' is not named by "
        "GANKIT_LOAD_PLUGINS"
    )


def test_in_use_is_whose_parts_are_used_and_who_watches(
    site: Site, plugin_file: WriteFile
) -> None:
    """With versions; a local file has its path."""
    watching = discover().in_use([])  # our own
    site.install("parts-gan", GOOD, version="1.2")
    site.install("idle-gan", GOOD)
    site.install("watching-gan", WATCHES, version="3.4")
    path = plugin_file("mine.py", yields("Part('loss', 'mine', 'math:floor')"))
    registry = discover([path])
    parts = [Origin("parts-gan", "kept", "1.2"), Origin("mine", "mine", str(path))]
    assert registry.in_use(parts) == watching | {
        "parts-gan": "1.2",
        "watching-gan": "3.4",
        "mine": str(path),
    }
    assert registry.in_use([]) == watching | {"watching-gan": "3.4"}


# the first watches every run
USED = {
    "gankit-board",
    "gankit-conditioners",
    "gankit-datasets",
    "gankit-losses",
    "gankit-mlp",
}


def test_a_run_says_once_what_it_is_made_with_and_writes_it_down(
    recipe: str, site: Site, capsys: Capture
) -> None:
    """Before its first step, and in its recipe."""
    site.install("watching-gan", WATCHES, version="3.4")
    site.install("idle-gan", GOOD)
    assert run(["train", recipe, "train.steps=2", "--out", "run"]) == 0
    lines = capsys.readouterr().err.splitlines()
    (at,) = [i for i, line in enumerate(lines) if line.startswith("plugins: ")]
    assert at < next(i for i, line in enumerate(lines) if line.startswith("step 1 "))
    told = dict(pair.split() for pair in lines[at].removeprefix("plugins: ").split(","))
    assert told.keys() == USED | {"watching-gan"}
    assert told["watching-gan"] == "3.4"
    written = tomllib.loads(Path("run/recipe.toml").read_text("utf-8"))
    assert written["provenance"]["plugins"] == told


def test_a_run_that_is_watched_has_the_bits_of_one_that_is_not(
    recipe: str, site: Site, capsys: Capture
) -> None:
    """It says who watches, for scripts too, and its checkpoints do not."""
    assert run(["train", recipe, "--out", "alone"]) == 0
    site.install("watching-gan", WATCHES, version="3.4")
    capsys.readouterr()
    assert run(["train", recipe, "--out", "watched", "--json"]) == 0
    first = json.loads(capsys.readouterr().out.splitlines()[0])
    assert first["plugins"].keys() == USED | {"watching-gan"}
    assert sha256(Path("watched")) == sha256(Path("alone"))


def test_a_run_that_a_launcher_starts_again_goes_on_with_another_watcher(
    recipe: str, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder holds the same run; another recipe's is refused, as ever."""
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "3")
    assert run(["train", recipe, "--out", "run"]) == 0
    before = sha256(Path("run"))
    site.install("watching-gan", WATCHES, version="3.4")
    assert run(["train", recipe, "--out", "run"]) == 0
    assert sha256(Path("run")) == before
    assert run(["train", recipe, "train.seed=9", "--out", "run"]) != 0


MANY = 30


def test_among_many_a_broken_one_is_said_once(site: Site, capsys: Capture) -> None:
    """The others are listed as if it were not there."""
    for number in range(MANY):
        site.install(
            f"many{number}-gan", yields(f"Part('loss', 'many{number}', 'math:floor')")
        )
    site.install("bad-gan", "raise RuntimeError('no chip')")
    assert run(["list", "loss"]) == 0
    said = capsys.readouterr()
    assert said.err == (
        "warning: plugin 'bad-gan' failed at import: RuntimeError: no chip; "
        "see `gankit plugins`\n"
    )
    listed = {line.split()[1] for line in said.out.splitlines()}
    assert {f"many{number}" for number in range(MANY)} <= listed
