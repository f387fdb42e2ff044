"""A start for who writes a plugin: ``gankit new plugin``."""

from __future__ import annotations

from collections.abc import Iterator

from gankit import Command, hookimpl


@hookimpl
def gankit_commands() -> Iterator[Command]:
    """Yield the command that writes a package."""
    yield Command("new", "gankit_scaffold.command:new", "Start a package of your own.")
