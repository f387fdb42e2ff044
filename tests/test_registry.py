"""The registry: names, kinds, ambiguity, absence, and all or none of a plugin."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gankit.cli import run
from gankit.errors import PartError, PluginError
from gankit.plugins.discovery import discover
from gankit.plugins.registry import Failure, Registry, names
from sites import HEAD, Site, yields

WriteFile = Callable[[str, str], Path]

ODD = "Part('loss', 'odd', 'math:floor')"


def _failure(registry: Registry, plugin: str) -> Failure:
    (failure,) = [f for f in registry.failures if f.plugin == plugin]
    return failure


def _names(registry: Registry, plugin: str) -> set[str]:
    return {e.part.name for e in registry.entries() if e.plugin.name == plugin}


REFUSED: dict[str, tuple[str, str]] = {
    "raises": (f"{HEAD}\n@hookimpl\ndef gankit_parts(): 1 / 0\n", "ZeroDivisionError"),
    "raises midway": (yields(ODD, "1 / 0"), "ZeroDivisionError"),
    "exits midway": (yields(ODD, "exit(4)"), "SystemExit: 4"),
    "gives a number": (
        f"{HEAD}\n@hookimpl\ndef gankit_parts(): return 3\n",
        "iterable",
    ),
    "gives nothing": (f"{HEAD}\n@hookimpl\ndef gankit_parts(): ...\n", "iterable"),
    "yields a stranger": (yields(ODD, "('loss', 'x')"), "yielded ('loss', 'x'), not a"),
    "unknown kind": (
        yields(ODD, "Part('lost', 'x', 'a:b')"),
        "no kind of part is named 'lost'; did you mean 'loss'?",
    ),
    "two of one name": (yields(ODD, ODD), "it brings two parts loss 'odd'"),
    "no name": (yields(ODD, "Part('loss', '', 'a:b')"), "'' cannot name a part"),
    "a slash": (yields(ODD, "Part('loss', 'a/b', 'a:b')"), "'a/b' cannot name a part"),
    "a space": (yields(ODD, "Part('loss', 'a b', 'a:b')"), "letters, digits, '-'"),
    "name no string": (yields(ODD, "Part('loss', 3, 'a:b')"), "'name' must be"),
    "kind no string": (yields(ODD, "Part(['loss'], 'x', 'a:b')"), "'kind' must be"),
    "summary no string": (
        yields(ODD, "Part('loss', 'x', 'a:b', summary=None)"),
        "'summary' must be",
    ),
    "factory no factory": (yields(ODD, "Part('loss', 'x', 3)"), "callable"),
    "a kind there is": (yields(ODD, "Kind('loss', 'x')"), "'loss' exists already"),
    "kind without name": (yields(ODD, "Kind(None, 'x')"), "'name' must be"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_of_a_plugin_that_errs_no_part_is_taken(case: str, site: Site) -> None:
    """Not even those that were yielded before; and no other plugin loses any."""
    code, reason = REFUSED[case]
    before = discover()
    site.install("bad-gan", code, version="3.1")
    site.install("good-gan", yields("Part('loss', 'kept', 'math:floor')"))
    registry = discover()
    failure = _failure(registry, "bad-gan")
    assert (failure.stage, failure.source) == ("parts", "3.1")
    assert reason in failure.reason
    assert _names(registry, "bad-gan") == set()
    assert _names(registry, "good-gan") == {"kept"}
    assert len(registry.entries()) == len(before.entries()) + 1
    assert set(registry.kinds) == set(before.kinds)


def test_two_plugins_may_bring_one_name_which_then_has_to_be_said_in_full(
    site: Site,
) -> None:
    """The short name is refused with both long ones, each of which is found."""
    site.install("one-gan", yields(ODD))
    site.install("two-gan", yields(ODD))
    registry = discover()
    assert registry.failures == ()
    with pytest.raises(PartError) as caught:
        registry.find("loss", "odd")
    assert str(caught.value) == (
        "several plugins bring a loss named 'odd'; "
        "say which: 'one-gan/odd' or 'two-gan/odd'"
    )
    for plugin in ("one-gan", "two-gan"):
        assert registry.find("loss", f"{plugin}/odd").plugin.name == plugin
    listed = dict(zip(registry.entries(), names(registry.entries()), strict=True))
    odd = {name for entry, name in listed.items() if entry.part.name == "odd"}
    assert odd == {"one-gan/odd", "two-gan/odd"}


def test_one_name_may_be_used_in_two_kinds(site: Site) -> None:
    """A part is its kind and its name."""
    site.install("acme-gan", yields(ODD, "Part('penalty', 'odd', 'math:ceil')"))
    registry = discover()
    assert registry.find("loss", "odd").factory(1.5) == 1
    assert registry.find("penalty", "odd").factory(1.5) == 2


def test_a_new_kind_serves_other_plugins_whatever_their_order(site: Site) -> None:
    """Kinds are gathered first: 'a-gan' comes before the plugin of its part's kind."""
    site.install("a-gan", yields("Part('gauge', 'odd', 'math:floor')"))
    site.install("b-gan", yields("Kind('gauge', 'A number', given=1)"))
    registry = discover()
    assert registry.failures == ()
    entry = registry.find("gauge", "odd")
    assert (entry.name, entry.kind.given) == ("a-gan/odd", 1)
    assert [e.part.name for e in registry.entries("gauge")] == ["odd"]


def test_of_two_plugins_that_bring_one_kind_the_first_is_kept(site: Site) -> None:
    """The second fails with all of its parts, and is named."""
    site.install("a-gan", yields("Kind('gauge', 'first')"))
    site.install("b-gan", yields("Kind('gauge', 'second')", ODD))
    registry = discover()
    assert registry.kind("gauge").summary == "first"
    assert "'gauge' exists already" in _failure(registry, "b-gan").reason
    assert _names(registry, "b-gan") == set()


def test_a_kind_outlives_the_parts_that_failed_beside_it(site: Site) -> None:
    """Parts of other plugins are of it, and they have done nothing wrong."""
    site.install("a-gan", yields("Kind('gauge', 'x')", "Part('lost', 'x', 'a:b')"))
    site.install("b-gan", yields("Part('gauge', 'odd', 'math:floor')"))
    registry = discover()
    assert [failure.plugin for failure in registry.failures] == ["a-gan"]
    assert registry.find("gauge", "odd").name == "b-gan/odd"


def test_an_absent_part_is_answered_with_the_nearest_names(site: Site) -> None:
    """Of its own kind only."""
    site.install("acme-gan", yields("Part('loss', 'odd-loss', 'math:floor')"))
    with pytest.raises(PartError, match=r"no loss named 'odd-los'; did you mean ") as c:
        discover().find("loss", "odd-los")
    assert "'odd-loss'" in str(c.value)


def test_an_absent_part_that_resembles_nothing_points_to_the_list() -> None:
    """There is no guess worth making."""
    with pytest.raises(PartError) as caught:
        discover().find("penalty", "zzzzzzzz")
    assert str(caught.value) == (
        "no penalty named 'zzzzzzzz'; `gankit list penalty` shows what there is"
    )


def test_the_name_of_another_kind_is_recognised(site: Site) -> None:
    """To ask for a penalty among the losses is a mistake of place."""
    site.install("acme-gan", yields("Part('penalty', 'qqqq', 'math:floor')"))
    with pytest.raises(PartError, match="it is the name of a penalty"):
        discover().find("loss", "qqqq")


def test_an_absent_part_names_again_every_plugin_that_failed(site: Site) -> None:
    """At whichever stage: the part may be one of theirs."""
    site.install("a-gan", "raise RuntimeError('no chip')")
    site.install("b-gan", yields(ODD, "1 / 0"))
    site.install("c-gan", requires=["gankit>=9"])
    with pytest.raises(PartError) as caught:
        discover().find("loss", "odd")
    message = str(caught.value)
    for plugin, reason in (
        ("a-gan' failed at import", "no chip"),
        ("b-gan' failed at parts", "ZeroDivisionError"),
        ("c-gan' failed at version", "gankit>=9"),
    ):
        assert f"it may be in a plugin '{plugin}" in message
        assert reason in message


def test_a_word_of_a_summary_leads_to_the_part(site: Site) -> None:
    """Whole words, in any case; an empty name is in all of them and leads nowhere."""
    told = "Part('loss', 'odd', 'math:floor', summary='Earth mover distance')"
    site.install("acme-gan", yields(told))
    registry = discover()
    with pytest.raises(PartError, match="'earth'; did you mean 'odd', by the summary"):
        registry.find("loss", "earth")
    for name in ("ear", ""):
        with pytest.raises(PartError) as caught:
            registry.find("loss", name)
        assert "summary" not in str(caught.value)


def test_a_part_of_a_disabled_plugin_says_so(site: Site) -> None:
    """By its long name it is known whose it was."""
    site.install("acme-gan", yields(ODD))
    registry = discover(disable=["acme-gan"])
    with pytest.raises(PartError, match="the plugin 'acme-gan' is disabled"):
        registry.find("loss", "acme-gan/odd")


@pytest.mark.parametrize("ask", ["entries", "kind"])
def test_an_unknown_kind_is_answered_with_the_kinds(ask: str) -> None:
    """The nearest, and all of them."""
    with pytest.raises(PartError) as caught:
        getattr(discover(), ask)("generater")
    assert "no kind of part is named 'generater'; did you mean 'generator'" in str(
        caught.value
    )
    assert "'augmentation', " in str(caught.value)


def test_entries_are_in_the_order_of_kinds_and_names(site: Site) -> None:
    """Whatever the order in which plugins yield them."""
    parts = ("Part('loss', 'z', 'a:b')", "Part('generator', 'z', 'a:b')")
    site.install("z-gan", yields(*parts, "Part('loss', 'y', 'a:b')"))
    site.install("y-gan", yields("Part('loss', 'z', 'a:b')"))
    mine = [e for e in discover().entries() if e.plugin.name in ("y-gan", "z-gan")]
    assert [(e.part.kind, e.name) for e in mine] == [
        ("generator", "z-gan/z"),
        ("loss", "z-gan/y"),
        ("loss", "y-gan/z"),
        ("loss", "z-gan/z"),
    ]


@pytest.mark.parametrize(
    ("factory", "reason"),
    [
        ("no_such_module:X", "No module named 'no_such_module'"),
        ("math:nothing", "nothing"),
        ("math:pi", "'math:pi' is not callable"),
    ],
)
def test_a_factory_that_is_none_is_told_only_when_it_is_used(
    factory: str, reason: str, site: Site
) -> None:
    """Listing imports nothing; using names the kind, the part and its plugin."""
    site.install("acme-gan", yields(f"Part('loss', 'odd', {factory!r})"))
    entry = discover().find("loss", "odd")
    with pytest.raises(PluginError, match=r"loss 'acme-gan/odd': .*") as caught:
        _ = entry.options
    assert reason in str(caught.value)


def test_a_local_file_may_give_the_factory_itself_or_its_name(
    plugin_file: WriteFile,
) -> None:
    """A string finds the file's own module under its stem."""
    code = "def made(*, size: int = 3): return size\n" + yields(
        "Part('loss', 'a', made)", "Part('loss', 'b', 'mine:made')"
    )
    registry = discover([plugin_file("mine.py", code)])
    for name in ("a", "b"):
        entry = registry.find("loss", name)
        assert (entry.name, entry.factory()) == (f"mine/{name}", 3)
        assert [option.name for option in entry.options] == ["size"]


ALL_BAD: dict[str, dict[str, Any]] = {
    "raises-gan": {"code": "raise SystemExit('no chip')"},
    "hook-gan": {"code": f"{HEAD}\n@hookimpl\ndef gankit_afterstep(): ...\n"},
    "same-gan": {"code": yields("Part('loss', 'twin', 'math:floor')")},
    "twin-gan": {"code": yields("Part('loss', 'twin', 'math:floor')")},
    "core-gan": {"code": yields(ODD), "requires": ["gankit>=9"]},
    "kind-gan": {"code": yields(ODD, "Part('lost', 'x', 'a:b')")},
    "half-gan": {"code": yields(ODD, "1 / 0")},
    "commands-gan": {"code": yields("1 / 0", hook="gankit_commands")},
    "nothing-gan": {"code": yields("None", hook="gankit_commands")},
    "silent-gan": {"code": yields("Command('x', 'y:z', None)", hook="gankit_commands")},
}
FAILED = set(ALL_BAD) - {"same-gan", "twin-gan"}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("--help", 0),
        ("list", 0),
        ("list loss --json", 0),
        ("plugins", 0),
        ("recipes", 0),
        ("show loss hinge --json", 0),
        ("train --help", 0),
        ("show loss twin", 2),
        ("no-such-command", 2),
    ],
)
def test_with_every_bad_plugin_at_once_each_command_keeps_working(
    arguments: str, code: int, site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    """Same exit codes as without them, and no traceback."""
    for name, made in ALL_BAD.items():
        site.install(name, **made)
    assert run(arguments.split()) == code
    captured = capsys.readouterr()
    assert "Traceback" not in captured.out + captured.err


def test_every_bad_plugin_is_named_with_its_reason(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    """``gankit plugins`` gives each its stage and error; good ones are loaded."""
    for name, made in ALL_BAD.items():
        site.install(name, **made)
    assert run(["plugins"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert {name for name, line in lines.items() if "FAILED" in line} == FAILED
    assert "no chip" in lines["raises-gan"]
    assert "gankit_afterstep" in lines["hook-gan"]
    assert "needs gankit>=9" in lines["core-gan"]
    assert lines["twin-gan"].endswith("loss 1")
