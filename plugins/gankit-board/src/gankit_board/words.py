"""Words of command lines that the page gives to copy."""

from __future__ import annotations

from collections.abc import Sequence


def of_plugins(files: Sequence[str], disable: Sequence[str]) -> list[str]:
    """Write the plugins that the board was started with, as any command takes them."""
    named = [word for file in files for word in ("--plugin", file)]
    return named + [word for one in disable for word in ("--disable-plugin", one)]


def no_option(path: str) -> str:
    """Write a path so that no command takes it for an option."""
    return f"./{path}" if path.startswith("-") else path
