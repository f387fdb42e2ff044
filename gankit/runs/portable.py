"""Values that others are given, without where things lie here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def portable(value: Any) -> Any:
    """Keep the last name of each absolute path: where things lie is nobody's affair.

    A path is a text, or the last of what a text says after a space, as an origin's.
    """
    if isinstance(value, Mapping):
        return {key: portable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [portable(inner) for inner in value]
    if isinstance(value, str):
        if Path(value).is_absolute():
            return Path(value).name
        said, space, path = value.partition(" ")
        return f"{said}{space}{Path(path).name}" if Path(path).is_absolute() else value
    return value
