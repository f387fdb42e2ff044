"""The commands that look around, and the commands that plugins add."""

from __future__ import annotations

import json

import pytest
from jsonschema import Draft202012Validator

from gankit.cli import COMMANDS, Context, run
from gankit.errors import UsageError
from gankit.plugins.discovery import discover
from sites import Site, yields

Capture = pytest.CaptureFixture[str]


def test_the_list_is_what_is_registered(capsys: Capture) -> None:
    """As a table, and as JSON; of all kinds, and of one."""
    entries = discover().entries()
    assert run(["list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(entries)
    assert run(["list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(e["kind"], e["long_name"]) for e in listed] == [
        (e.part.kind, e.name) for e in entries
    ]
    assert run(["list", "loss", "--json"]) == 0
    assert {e["kind"] for e in json.loads(capsys.readouterr().out)} == {"loss"}


def test_two_parts_of_one_name_are_listed_by_their_long_names(
    site: Site, capsys: Capture
) -> None:
    """What is listed can be asked for."""
    for name in ("one-gan", "two-gan"):
        site.install(name, yields("Part('loss', 'odd', 'operator:neg')"))
    assert run(["list", "loss"]) == 0
    names = [line.split()[1] for line in capsys.readouterr().out.splitlines()]
    assert {"one-gan/odd", "two-gan/odd", "hinge"} <= set(names)
    assert "odd" not in names


def test_a_part_is_shown_with_its_options(capsys: Capture) -> None:
    """Type, default and help, from the signature and the docstring."""
    assert run(["show", "penalty", "r1"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("penalty gankit-losses/r1 ")
    (row,) = [line for line in shown.splitlines() if line.startswith("every  ")]
    assert row.split()[1] == "1"
    assert "a whole number at least 1" in row
    assert "Args:" not in shown
    assert run(["show", "penalty", "r1", "--json"]) == 0
    described = json.loads(capsys.readouterr().out)
    assert described["long_name"] == "gankit-losses/r1"
    assert described["options"]["properties"]["every"]["minimum"] == 1
    assert run(["show", "penalty", "r1", "--schema"]) == 0
    assert json.loads(capsys.readouterr().out) == described["options"]


NETWORK = """
from torch import nn
from gankit import Shapes


class Net(nn.Module):
    def __init__(self, shapes: Shapes, *, form: type = nn.ReLU,
                 pair: tuple = (1, None)): ...
"""


def test_a_part_without_a_docstring_is_shown_without_one(
    site: Site, capsys: Capture
) -> None:
    """Not with torch's; and a default is shown also if no recipe can state it."""
    named = yields("Part('generator', 'net', 'quiet_net:Net', summary='A net')")
    site.install("quiet-gan", named)
    (site.folder / "quiet_net.py").write_text(NETWORK, "utf-8")
    assert run(["show", "generator", "net"]) == 0
    assert capsys.readouterr().out == (
        "generator quiet-gan/net 1.0: A net\n"
        "\n"
        "OPTION  DEFAULT    TAKES                    MEANING\n"
        "form    ReLU       what no recipe can hold\n"
        "pair    (1, None)  a list\n"
        "\n"
        "[generator]\n"
        'use = "net"\n'
        "# form: ReLU by default\n"
        "# pair: (1, None) by default; it takes a list\n"
        "\n"
        f"source: {site.folder / 'quiet_net.py'}, line 6\n"
    )
    assert run(["show", "generator", "net", "--schema"]) == 0
    assert json.loads(capsys.readouterr().out)["properties"] == {
        "form": {"not": {}},
        "pair": {"type": "array"},
    }


def test_a_recipe_is_shown_as_it_is_written_resolved_and_as_a_schema(
    capsys: Capture,
) -> None:
    """The file with its comments; every option; what an editor needs."""
    assert run(["show", "recipe", "quickstart"]) == 0
    assert capsys.readouterr().out.startswith("# Drawn scenes from their captions")
    assert run(["show", "recipe", "quickstart", "--json"]) == 0
    resolved = json.loads(capsys.readouterr().out)
    assert resolved["train"]["log_every"] == 50  # a default
    assert run(["show", "recipe", "quickstart", "--schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    Draft202012Validator(schema).validate(resolved)


def test_recipes_and_plugins_are_listed(capsys: Capture) -> None:
    """As tables and as JSON."""
    assert run(["recipes"]) == 0
    assert "quickstart" in capsys.readouterr().out
    assert run(["recipes", "--json"]) == 0
    assert {e["kind"] for e in json.loads(capsys.readouterr().out)} == {"recipe"}
    assert run(["plugins", "--json"]) == 0
    (papers,) = [
        p for p in json.loads(capsys.readouterr().out) if p["plugin"] == "gankit-papers"
    ]
    assert papers["status"] == "loaded"
    assert "quickstart" in papers["parts"]["recipe"]


def test_a_plugin_can_be_left_out_of_one_call(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before or after the command, or by the environment."""
    for arguments in (
        ["--disable-plugin", "gankit-losses", "list", "loss", "--json"],
        ["list", "loss", "--json", "--disable-plugin", "gankit-losses"],
    ):
        assert run(arguments) == 0
        assert json.loads(capsys.readouterr().out) == []
    monkeypatch.setenv("GANKIT_DISABLE_PLUGINS", "gankit-losses")
    assert run(["plugins"]) == 0
    (line,) = [x for x in capsys.readouterr().out.splitlines() if "disabled" in x]
    assert line.split() == ["gankit-losses", "0.1.0", "left", "out:", "disabled"]
    assert run(["show", "loss", "gankit-losses/hinge"]) == 2
    assert "the plugin 'gankit-losses' is disabled" in capsys.readouterr().err


@pytest.mark.parametrize("count", [0, -1])
def test_no_process_can_do_no_work(count: int) -> None:
    """A command whose option takes any number would else end without a word."""
    with pytest.raises(UsageError, match=rf"^{count} processes can do no work; ask "):
        Context().launch(count)


def test_the_doctor_finds_what_is_wrong(site: Site, capsys: Capture) -> None:
    """A plugin that fails, and a part that cannot be imported; then its code is 1."""
    assert run(["doctor"]) == 0
    assert capsys.readouterr().out.endswith("nothing is wrong\n")
    site.install("bad-gan", "raise RuntimeError('no chip')")
    site.install("lost-gan", yields("Part('loss', 'lost', 'no_such_module:x')"))
    assert run(["doctor", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert len(found["problems"]) == 2
    assert "'bad-gan' failed at import" in found["problems"][0]
    assert "loss 'lost-gan/lost': cannot import" in found["problems"][1]
    assert "cpu" in found["devices"]
    assert run(["doctor"]) == 1
    assert "2 problems" in capsys.readouterr().out


COMMAND = """
import click
@click.command()
@click.argument("word")
def say(word):
    click.echo(word * 2)
    return 3
"""


def test_a_plugin_adds_a_command_but_cannot_replace_one(
    site: Site, capsys: Capture
) -> None:
    """It is listed with its summary, and imported when it is called."""
    extra = "Command('extra', 'extra_gan_command:say', 'Say it twice')"
    other = "Command('train', 'nowhere:x', 'Never')"
    site.install("extra-gan", yields(extra, other, hook="gankit_commands"))
    assert run(["--help"]) == 0
    helped = capsys.readouterr().out
    assert "Say it twice" in helped
    assert "Never" not in helped
    (site.folder / "extra_gan_command.py").write_text(COMMAND, "utf-8")
    assert run(["extra", "ho"]) == 3
    assert capsys.readouterr().out == "hoho\n"


def test_a_plugin_s_command_that_cannot_be_imported_is_named(
    site: Site, capsys: Capture
) -> None:
    """As every other part of it would be."""
    extra = "Command('extra', 'no_such_module:say', 'Say it twice')"
    site.install("extra-gan", yields(extra, hook="gankit_commands"))
    assert run(["extra"]) == 2
    assert "cannot import 'no_such_module:say'" in capsys.readouterr().err


@pytest.mark.parametrize("command", [command.name for command in COMMANDS])
def test_every_command_has_help(command: str, capsys: Capture) -> None:
    """With the two options that every command takes."""
    assert run([command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"gankit {command}" in shown
    assert "--plugin FILE" in shown
    assert "--disable-plugin NAME" in shown
