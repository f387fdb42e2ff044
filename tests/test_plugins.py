"""Discovery: each plugin in isolation, each failure remembered with its reason."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gankit import hookimpl
from gankit.errors import HookError, PluginError, RunError
from gankit.plugins.discovery import discover
from gankit.plugins.hooks import Hooks
from gankit.plugins.importing import resolve
from gankit.plugins.registry import Failure, LeftOut, Registry
from sites import HEAD, Site, yields

WriteFile = Callable[[str, str], Path]

GOOD = yields("Part('loss', 'kept', 'math:floor')")
MISSPELT = f"{HEAD}\n@hookimpl\ndef gankit_after_stepp(run): ...\n"
UNMARKED = f"{HEAD}\ndef gankit_after_step(run): ...\n"
UNASKED = f"{HEAD}\n@hookimpl\ndef gankit_after_step(rum): ...\n"

FAILING: dict[str, tuple[str, str, dict[str, Any]]] = {
    "raises": (
        "import",
        "RuntimeError: no chip",
        {"code": "raise RuntimeError('no chip')"},
    ),
    "exits": ("import", "SystemExit: 3", {"code": "raise SystemExit(3)"}),
    "is no Python": ("import", "SyntaxError: ", {"code": "def def"}),
    "lacks its module": (
        "import",
        "No module named 'gone'",
        {"entries": {"bad": "gone"}},
    ),
    "lacks its attribute": ("import", "'gone'", {"entries": {"bad": "bad_gan:gone"}}),
    "has a wrong entry": ("import", "Error", {"entries": {"bad": "not a module!"}}),
    "misspells a hook": ("hooks", "gankit_after_stepp", {"code": MISSPELT}),
    "does not mark a hook": (
        "hooks",
        "'gankit_after_step' would never be called; mark it with @gankit.hookimpl",
        {"code": UNMARKED},
    ),
    "misspells an argument": ("hooks", "'rum'", {"code": UNASKED}),
    "needs another core": (
        "version",
        "it needs gankit>=9 and this is gankit 0.",
        {"code": GOOD, "requires": ["attrs", "gankit>=9"]},
    ),
    "needs an older core": (
        "version",
        "it needs gankit<0.1",
        {"code": GOOD, "requires": ["gankit<0.1"]},
    ),
    "has wrong requirements": (
        "version",
        "InvalidRequirement",
        {"code": GOOD, "requires": ["gankit is nice"]},
    ),
}


def _failure(found: Registry, plugin: str) -> Failure:
    (failure,) = [f for f in found.failures if f.plugin == plugin]
    return failure


def _loaded(found: Registry) -> dict[str, str]:
    return {plugin.name: plugin.source for plugin in found.plugins}


@pytest.mark.parametrize("case", FAILING)
def test_one_failing_plugin_stops_no_other_and_is_remembered(
    case: str, site: Site
) -> None:
    """Its name, version, stage and reason are kept, in one line; the others load."""
    stage, reason, made = FAILING[case]
    before = _loaded(discover())
    site.install("bad-gan", version="3.1", **made)
    site.install("good-gan", GOOD, version="1.2")
    found = discover()
    failure = _failure(found, "bad-gan")
    assert (failure.stage, failure.source) == (stage, "3.1")
    assert reason in failure.reason
    assert "\n" not in failure.reason
    assert str(failure).startswith(f"plugin 'bad-gan' failed at {stage}: ")
    assert _loaded(found) == before | {"good-gan": "1.2"}


def test_a_misspelt_hook_is_answered_with_the_hooks_there_are(site: Site) -> None:
    """The author sees at once what the right name would have been."""
    site.install("bad-gan", MISSPELT)
    reason = _failure(discover(), "bad-gan").reason
    assert "the hooks are 'gankit_parts'" in reason
    assert "'gankit_after_step'" in reason


def test_all_of_them_at_once_leave_the_others_loading(site: Site) -> None:
    """Every failure is there, none hides another, and no module is left registered."""
    before = _loaded(discover())
    for number, (_, _, made) in enumerate(FAILING.values()):
        site.install(f"bad{number}-gan", **made)
    found = discover()
    assert len(found.failures) == len(FAILING)
    assert _loaded(found) == before
    assert found.hooks.names() == set(before)


@pytest.mark.parametrize(
    "requirement",
    ["gankit>=9", "Gankit >=9", "gankit>=9; python_version >= '3.11'"],
)
def test_a_plugin_for_another_core_is_not_even_imported(
    requirement: str, site: Site
) -> None:
    """What was made for other contracts must not run against these."""
    site.install("bad-gan", GOOD, requires=[requirement])
    discover()
    assert "bad_gan" not in sys.modules


@pytest.mark.parametrize(
    "requirement",
    [
        "gankit>=9; extra == 'future'",
        "gankit>=9; python_version < '3'",
        "gankit-losses>=9",
        "gankit_other>=9",
        "gankit",
        "gankit>=0.0.1,<99",
    ],
)
def test_only_the_core_s_own_requirement_that_holds_here_counts(
    requirement: str, site: Site
) -> None:
    """Other distributions that begin with gankit, other Pythons, and extras, do not."""
    site.install("acme-gan", GOOD, requires=[requirement])
    assert _loaded(discover())["acme-gan"] == "1.0"


def test_two_distributions_may_use_one_entry_point_name(site: Site) -> None:
    """A plugin is named by its distribution, so that neither hides the other."""
    site.install("one-gan", GOOD, entries={"models": "one_gan"})
    site.install("two-gan", GOOD, entries={"models": "two_gan"})
    assert {"one-gan", "two-gan"} <= _loaded(discover()).keys()


def test_entry_points_of_one_distribution_are_told_apart(site: Site) -> None:
    """With several, each plugin bears the entry point's name too."""
    (site.folder / "second_gan.py").write_text(GOOD, "utf-8")
    site.install("one-gan", GOOD, entries={"a": "one_gan", "b": "second_gan"})
    assert {"one-gan.a", "one-gan.b"} <= _loaded(discover()).keys()


def test_a_distribution_without_metadata_stops_nothing(site: Site) -> None:
    """What an interrupted installation has left is a plugin named by its entry."""
    before = _loaded(discover())
    (site.install("torn-gan", GOOD, entries={"torn": "torn_gan"}) / "METADATA").unlink()
    site.install("good-gan", GOOD)
    found = discover()
    assert before.keys() | {"good-gan"} <= _loaded(found).keys()
    names = {*_loaded(found), *(failure.plugin for failure in found.failures)}
    assert "torn" in names


@pytest.mark.parametrize("how", ["environment", "call"])
def test_a_disabled_plugin_is_not_imported_and_is_listed(
    how: str, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even one that would break everything can be left out."""
    site.install("bad-gan", "raise SystemExit('never')")
    site.install("good-gan", GOOD)
    if how == "environment":
        monkeypatch.setenv("GANKIT_DISABLE_PLUGINS", " bad-gan , other,")
    found = discover(disable=["bad-gan"] if how == "call" else [])
    assert found.left_out == (LeftOut("bad-gan", "1.0", "disabled"),)
    assert found.failures == ()
    assert "good-gan" in _loaded(found)
    assert "bad_gan" not in sys.modules


def test_a_local_file_is_a_plugin_named_by_its_stem(plugin_file: WriteFile) -> None:
    """Its source is its path, and its hooks are called."""
    path = plugin_file("my_parts.py", GOOD)
    found = discover([path])
    assert _loaded(found)["my_parts"] == str(path)
    assert found.files == (path,)
    entry = found.find("loss", "kept")
    assert (entry.name, entry.plugin.name) == ("my_parts/kept", "my_parts")


def test_a_local_file_named_twice_is_loaded_once(
    plugin_file: WriteFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by other spellings of its path, and by another discovery: one module."""
    path = plugin_file("my_parts.py", "import builtins\nbuiltins.runs += 1\n" + GOOD)
    monkeypatch.setattr("builtins.runs", 0, raising=False)
    monkeypatch.chdir(path.parent)
    found = discover([path, "my_parts.py", path.parent / "." / "my_parts.py"])
    assert [plugin.name for plugin in found.plugins].count("my_parts") == 1
    discover([path])
    import builtins

    assert vars(builtins)["runs"] == 1


WRONG_FILES: dict[str, tuple[str, str, str]] = {
    "syntax": ("mine.py", "def def", r"mine\.py' failed: SyntaxError: .*line 1"),
    "raises": ("mine.py", "1 / 0", r"mine\.py' failed: ZeroDivisionError: division"),
    "exits": ("mine.py", "raise SystemExit(2)", r"mine\.py' failed: SystemExit: 2"),
    "hook": ("mine.py", MISSPELT, r"gankit_after_stepp.*; the hooks are "),
    "module": ("json.py", GOOD, r"has the name of the module 'json'; rename the file"),
    "not imported": ("wave.py", GOOD, r"has the name of the module 'wave'; rename"),
    "not Python": (
        "mine.txt",
        GOOD,
        r"mine\.txt' is not a Python file; .* ends in \.py",
    ),
    "dotted": ("my.parts.py", GOOD, r"my\.parts"),
}


@pytest.mark.parametrize("case", WRONG_FILES)
def test_a_local_file_that_fails_is_refused(case: str, plugin_file: WriteFile) -> None:
    """It was asked for by name, so that going on without it would be wrong."""
    name, code, message = WRONG_FILES[case]
    with pytest.raises(PluginError, match=message):
        discover([plugin_file(name, code)])


def test_a_failed_local_file_leaves_no_half_module(plugin_file: WriteFile) -> None:
    """Once mended it loads."""
    path = plugin_file("mine.py", "raise ValueError")
    with pytest.raises(PluginError):
        discover([path])
    assert "mine" not in sys.modules
    plugin_file("mine.py", GOOD + "# mended")
    assert "mine" in _loaded(discover([path]))


@pytest.mark.parametrize("place", ["gone.py", "."])
def test_a_path_without_a_file_is_refused(place: str, tmp_path: Path) -> None:
    """A folder is no plugin file either."""
    with pytest.raises(PluginError, match=r"there is no plugin file .*give the path"):
        discover([tmp_path / place])


def test_two_local_files_of_one_name_are_refused(plugin_file: WriteFile) -> None:
    """Else the parts of the second would silently be the first's."""
    paths = [plugin_file(f"{folder}/mine.py", GOOD) for folder in ("a", "b")]
    with pytest.raises(PluginError, match=r"b/mine\.py' has the name of the module"):
        discover(paths)


def test_a_local_file_cannot_take_an_installed_plugin_s_name(
    site: Site, plugin_file: WriteFile
) -> None:
    """The long names of its parts would not be its own."""
    site.install("acme", GOOD, entries={"acme": "acme_module"})
    (site.folder / "acme.py").rename(site.folder / "acme_module.py")
    with pytest.raises(PluginError, match="a plugin named 'acme' is already loaded"):
        discover([plugin_file("acme.py", GOOD)])


def test_a_disabled_local_file_is_not_run(plugin_file: WriteFile) -> None:
    """Disabling is by name, wherever the plugin comes from."""
    path = plugin_file("mine.py", "raise ValueError")
    assert "mine" not in _loaded(discover([path], disable=["mine"]))


class _Watcher:
    """Does one thing before a run."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.act = act

    @hookimpl
    def gankit_before_run(self) -> None:
        """Ask for no argument: hooks are given only what they name."""
        self.act()


def _fail() -> None:
    raise KeyError("no such chip")


def test_an_error_in_a_hook_names_plugin_hook_and_remedy() -> None:
    """The user can go on without that plugin; its author gets the traceback."""
    hooks = Hooks()
    hooks.add("innocent", _Watcher(list))
    hooks.add("acme-gan", _Watcher(_fail))
    with pytest.raises(HookError, match="KeyError: 'no such chip'") as caught:
        hooks.call("gankit_before_run", run=None)
    error = caught.value
    assert (error.plugin, error.hook) == ("acme-gan", "gankit_before_run")
    assert "--disable-plugin acme-gan" in str(error)
    assert isinstance(error.__cause__, KeyError)
    assert not isinstance(error, ValueError)  # it is not the user's mistake


def test_an_error_in_an_installed_plugin_s_hook_names_it(site: Site) -> None:
    """A plain function of a module is found as well as a method."""
    hook = "@hookimpl\ndef gankit_after_run(run):\n    return 1 / run\n"
    site.install("acme-gan", f"{HEAD}\n{hook}")
    with pytest.raises(HookError, match="ZeroDivisionError") as caught:
        discover(disable=["gankit-board"]).hooks.call("gankit_after_run", run=0)
    assert caught.value.plugin == "acme-gan"


def test_an_error_in_a_hook_is_not_that_of_the_one_around_it() -> None:
    """A wrapper is in every traceback; what it wraps is at fault."""

    class Around:
        @hookimpl(wrapper=True)
        def gankit_before_run(self) -> Iterator[None]:
            """Look at what the others do."""
            return (yield)

    hooks = Hooks()
    hooks.add("acme-gan", _Watcher(_fail))
    hooks.add("gankit.metrics", Around())
    with pytest.raises(HookError) as caught:
        hooks.call("gankit_before_run", run=None)
    assert caught.value.plugin == "acme-gan"


def test_an_error_of_gankit_s_own_passes_through_a_hook_unchanged() -> None:
    """A full disk is the user's to mend, whichever hook was writing."""

    def full() -> None:
        raise RunError("cannot write: no space left")

    hooks = Hooks()
    hooks.add("gankit.metrics", _Watcher(full))
    with pytest.raises(RunError, match=r"^cannot write: no space left$"):
        hooks.call("gankit_before_run", run=None)


def test_an_error_in_a_hook_called_by_a_hook_is_told_once() -> None:
    """The innermost plugin is the one at fault."""
    hooks = Hooks()
    hooks.add("acme-gan", _Watcher(_fail))

    class Outer:
        @hookimpl
        def gankit_after_run(self) -> None:
            """Tell of something that happens within."""
            hooks.call("gankit_before_run", run=None)

    hooks.add("gankit.checkpoints", Outer())
    with pytest.raises(HookError) as caught:
        hooks.call("gankit_after_run", run=None)
    assert caught.value.plugin == "acme-gan"


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("no_such_module:thing", "No module named 'no_such_module'"),
        ("math:no_such_thing", "no_such_thing"),
        ("math", "math"),
        ("math:floor.deeper", "deeper"),
    ],
)
def test_a_factory_that_cannot_be_imported_is_named(target: str, reason: str) -> None:
    """The whole target and what stopped the import."""
    with pytest.raises(PluginError, match=f"cannot import '{target}'.*{reason}"):
        resolve(target)


def test_a_plugin_that_imports_torch_by_itself_is_told_so(site: Site) -> None:
    """By ``gankit plugins``, because it makes every command slower."""
    site.install("heavy-gan", "import torch\n" + GOOD)
    site.install("light-gan", GOOD)
    done = subprocess.run(
        [sys.executable, "-m", "gankit", "plugins"],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(site.folder), *sys.path]),
        },
        check=True,
        capture_output=True,
        text=True,
    )
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert "it imports torch" in lines["heavy-gan"]
    assert [line for line in lines.values() if "torch" in line] == [lines["heavy-gan"]]
