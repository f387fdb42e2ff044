"""Where a recipe stands: a registered name, a TOML file, or a table."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import date, time
from importlib import resources
from pathlib import Path
from typing import Any

from gankit.errors import PluginError, RecipeError
from gankit.plugins.registry import Entry, Registry


def load_table(
    source: str | Path | Mapping[str, Any], registry: Registry
) -> tuple[str, dict[str, Any], Path]:
    """Return a recipe's name, its raw table, and the folder its paths start from."""
    if isinstance(source, Mapping):
        return "recipe", dict(source), Path()
    path = Path(source).expanduser()
    if path.suffix == ".toml" or path.is_file():
        table = _parse(_read(path), str(source))
        recorded = table.get("provenance", {})
        name = (
            recorded.get("recipe", path.stem)
            if isinstance(recorded, dict)
            else path.stem
        )
        return Path(str(name)).name, table, path.parent  # it names a folder
    entry = registry.find("recipe", str(source))
    return entry.part.name, registered_table(entry), Path()


def registered_table(entry: Entry) -> dict[str, Any]:
    """Return the raw table of a registered recipe.

    Raises:
        PluginError: its file cannot be read.
        RecipeError: it is not TOML.
    """
    text, _ = registered(entry)
    return _parse(text, entry.name)


def registered(entry: Entry) -> tuple[str, Path]:
    """Return the text of a registered recipe, and its file.

    Raises:
        PluginError: it cannot be read.
    """
    package, _, file = str(entry.part.factory).partition(":")
    try:
        found = resources.files(package).joinpath(file)
        return found.read_text("utf-8"), Path(str(found))
    except (ImportError, OSError, TypeError) as error:  # TypeError: no package
        raise PluginError(f"recipe {entry.name!r} cannot be read: {error}") from error


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        raise RecipeError(f"there is no recipe file {str(path)!r}", []) from None
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(
            f"the recipe file {str(path)!r} cannot be read: {error}", []
        ) from error


def _parse(text: str, where: str) -> dict[str, Any]:
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(
            f"the recipe {where!r} is not valid TOML: {error}", []
        ) from error
    return _without_dates(table)  # type: ignore[no-any-return] # a dict gives a dict


def _without_dates(value: Any) -> Any:
    """Turn TOML's dates, which no option takes, back to text."""
    if isinstance(value, dict):
        return {k: _without_dates(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_without_dates(v) for v in value]
    return value.isoformat() if isinstance(value, date | time) else value
