"""``gankit new plugin``."""

from __future__ import annotations

from pathlib import Path

import click

from gankit import plugin_options
from gankit_scaffold.naming import named
from gankit_scaffold.writing import KINDS, write


@click.group()
def new() -> None:
    """Start a package of your own."""


@new.command()
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(sorted(KINDS)),
    default="loss",
    show_default=True,
    help="What its part is.",
)
@click.option("--out", metavar="DIR", help="Where to write it.  [default: ./NAME]")
@plugin_options
def plugin(name: str, kind: str, out: str | None) -> None:
    """Write a package NAME that adds one working part to gankit.

    It installs, passes its tests, lint and type checks as it is, and brings a recipe
    that trains with the part. Nothing is overwritten.

    \b
    gankit new plugin gankit-focal
    gankit new plugin gankit-codes --kind conditioner
    """  # noqa: D301 # the backslash is click's, and keeps the lines apart
    names = named(name)
    folder = Path(out or names.distribution)
    write(names, kind, folder)
    click.echo(f"{folder} is a package with the {kind} {names.part!r}; next:")
    click.echo(f"  pip install -e '{folder}[dev]'")
    click.echo(f"  pytest {folder}")
    click.echo(f"  gankit train try-{names.part}")
