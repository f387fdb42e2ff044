"""Recipes beside each other: which options differ."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any

_SILENT = ("description", "provenance", "plugins")  # blocks that change nothing

_NAME = re.compile("[A-Za-z0-9._-]+")  # of a distribution


def options(table: Mapping[str, Any]) -> dict[str, Any]:
    """Name the options of a resolved recipe by their paths, as ``train.steps``."""
    return dict(_leaves({k: v for k, v in table.items() if k not in _SILENT}))


def differences(
    run: Mapping[str, Any], named: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Say in which options a run's recipe differs from the one it is named after.

    Options of a part that is another one follow from that, and are left out.
    """
    mine, theirs = options(run), options(named)
    return [
        {"option": key, "run": mine.get(key), "named": theirs.get(key)}
        for key in differing([mine, theirs])
    ]


def differing(tables: list[dict[str, Any]]) -> list[str]:
    """Name the options that are not the same in all, those that only follow aside."""
    keys = dict.fromkeys(key for table in tables for key in table)
    unlike = [k for k in keys if len({repr(t.get(k)) for t in tables}) > 1]
    blocks = [key.removesuffix("use") for key in unlike if key.endswith(".use")]
    return [
        key
        for key in unlike
        if key.endswith(".use")
        or all(key in table for table in tables)
        or not any(key.startswith(block) for block in blocks)
    ]


def missing(table: Mapping[str, Any]) -> list[str]:
    """Name the plugins that a run was made with and that are not installed here."""
    origin = table.get("provenance", {})
    parts = origin.get("parts", {}) if isinstance(origin, Mapping) else {}
    names = {str(part).partition("/")[0] for part in dict(parts).values()}
    files = [str(f) for f in table.get("plugins", [])]
    return sorted(
        name if _NAME.fullmatch(name) else "?"  # it is shown as what to install
        for name in names
        if not _installed(name) and not _is_file(name, files)
    )


def _installed(name: str) -> bool:
    try:
        distribution(name)
    except (PackageNotFoundError, ValueError):
        return False
    return True


def _is_file(name: str, files: list[str]) -> bool:
    stems = [file.replace("\\", "/").rpartition("/")[2] for file in files]
    return name in stems or f"{name}.py" in stems


def _leaves(table: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        here = f"{path}.{key}" if path else str(key)
        if isinstance(value, list) and any(isinstance(v, Mapping) for v in value):
            value = {str(i): inner for i, inner in enumerate(value)}
        if isinstance(value, Mapping):
            yield from _leaves(value, here)
        else:
            yield here, value
