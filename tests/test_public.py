"""What is public: names, hooks, commands; each of them documented."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

import gankit
import gankit.testing
from gankit import hookspecs
from gankit.cli import COMMANDS
from gankit.plugins.importing import resolve

DOCS = Path(__file__).parents[1] / "docs"
HOOKS = sorted(name for name in vars(hookspecs) if name.startswith("gankit_"))


def test_these_are_the_public_names() -> None:
    """A change of this list is a change of what everybody may rely on."""
    assert sorted(gankit.__all__) == [
        "Assembly",
        "BrokenItem",
        "Classes",
        "Command",
        "Context",
        "Count",
        "DataError",
        "Facts",
        "Fraction",
        "Item",
        "Judge",
        "Kind",
        "Noise",
        "NonNegative",
        "OfKind",
        "Optimizer",
        "Part",
        "Picture",
        "Player",
        "Positive",
        "Processes",
        "Range",
        "Recipe",
        "Report",
        "Run",
        "RunWarning",
        "Sampler",
        "Samples",
        "Shapes",
        "Step",
        "Tags",
        "Texts",
        "Train",
        "UNBOUNDED",
        "Update",
        "Vector",
        "Whole",
        "assemble",
        "assemble_dataset",
        "full_precision",
        "hookimpl",
        "invert",
        "joined",
        "load",
        "load_judge",
        "pack",
        "plugin_options",
        "read_data",
        "read_recipe",
        "resume",
        "resuming",
        "starting",
        "train",
        "unpack",
    ]


def test_this_is_the_public_name_of_the_kit() -> None:
    """All else of gankit.testing may change."""
    assert gankit.testing.__all__ == ["parametrize_parts"]


@pytest.mark.parametrize("name", gankit.__all__)
def test_a_public_name_is_there_and_listed(name: str) -> None:
    """Also one that is imported on first use."""
    assert getattr(gankit, name) is not None
    assert name in dir(gankit)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    """Lazy names must not change what hasattr and pickle expect."""
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = gankit.trian
    assert not hasattr(gankit, "__wrapped__")


def test_these_are_the_hooks() -> None:
    """The moments that a plugin may join; each says in a sentence when it is."""
    assert HOOKS == [
        "gankit_after_run",
        "gankit_after_step",
        "gankit_after_update",
        "gankit_before_run",
        "gankit_commands",
        "gankit_on_checkpoint",
        "gankit_on_error",
        "gankit_on_samples",
        "gankit_on_warning",
        "gankit_parts",
    ]
    assert all(getattr(hookspecs, name).__doc__ for name in HOOKS)


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_documented(hook: str) -> None:
    """In docs/hooks.md, by its name."""
    assert hook in (DOCS / "hooks.md").read_text("utf-8")


@pytest.mark.parametrize("command", [command.name for command in COMMANDS])
def test_every_command_is_documented(command: str) -> None:
    """In docs/cli.md, as it is typed."""
    assert f"gankit {command}" in (DOCS / "cli.md").read_text("utf-8")


def test_a_command_is_listed_by_the_name_it_has() -> None:
    """The table that spares importing commands says what they are."""
    for command in COMMANDS:
        found = resolve(command.target)
        assert isinstance(found, click.Command)
        assert found.help
        assert all(p.help for p in found.params if isinstance(p, click.Option))


def test_the_version_is_told_by_module_and_command() -> None:
    """``python -m gankit --version``."""
    done = subprocess.run(
        [sys.executable, "-m", "gankit", "--version"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip().endswith(gankit.__version__)
