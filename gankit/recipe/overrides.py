"""``key=value`` from the command line, and how it merges with a recipe."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from datetime import date, time
from typing import Any

from gankit.errors import RecipeError, nearest

Change = tuple[tuple[str, ...], Any]
# whether another name is of the part that a block uses, whose `use` is at a path
Same = Callable[[tuple[str, ...], Mapping[str, Any], Any], bool]

_PLAYERS = (("generator",), ("discriminator",))

# setting the one unsets the other
_EXCLUSIVE: dict[tuple[str, ...], str] = {
    ("train", "steps"): "epochs",
    ("train", "epochs"): "steps",
}


def parse_overrides(overrides: Iterable[str] | Mapping[str, Any]) -> list[Change]:
    """Turn ``["a.b=1"]`` or ``{"a.b": 1}`` or ``{"a": {"b": 1}}`` to paths and values.

    Raises:
        RecipeError: an override has no ``=``, or no key.
    """
    if isinstance(overrides, Mapping):
        return [(tuple(key.split(".")), value) for key, value in overrides.items()]
    changes, problems = [], []
    for text in overrides:
        key, equals, value = text.partition("=")
        path = tuple(part.strip() for part in key.split("."))
        if not equals or not all(path):
            problems.append(f"{text!r} is not of the form key=value, as loss.use=hinge")
        changes.append((path, _value(value)))
    if problems:
        raise RecipeError("these overrides cannot be read:", problems)
    return changes


def override(
    table: Mapping[str, Any],
    changes: Iterable[Change],
    blocks: Iterable[str],
    same: Same = lambda path, block, other: bool(block["use"] == other),
) -> dict[str, Any]:
    """Return the table with changes made.

    A block merges only while its ``use`` stays the same: another part has other
    options, so the old ones are dropped. The value of an option is replaced whole,
    also if it is a table; a path that leads into it changes one entry.

    Args:
        table: a recipe; it stays as it was.
        changes: in any order, but that the last one of a setting counts.
        blocks: the blocks that there are.
        same: whether another name is of the part that a block uses.

    Raises:
        RecipeError: a path leads nowhere.
    """
    changed = deepcopy(dict(table))
    flat = [leaf for path, value in changes for leaf in _leaves(path, value)]
    flat = [wider for change in flat for wider in _for_both_players(table, change)]
    problems: list[str] = []
    for path, value in sorted(flat, key=_turn):
        _set(changed, path, _copied(value), list(blocks), same, problems)
    if problems:
        raise RecipeError("these overrides cannot be made:", problems)
    return changed


def _turn(change: Change) -> int:
    """Put whole lists first, then every `use`, outer ones before inner ones.

    So `generator.width=9 generator.use=x` keeps the width, and an entry of a list that
    is new can be changed. The rest stays as it came.
    """
    path, value = change
    if len(path) == 1 and isinstance(value, list):
        return 0
    return len(path) if path[-1] == "use" else sys.maxsize


def _leaves(path: tuple[str, ...], value: Any) -> Iterable[Change]:
    """Take a block apart into its settings."""
    if not isinstance(value, Mapping) or not value or _is_option(path):
        yield path, value
        return
    for key, inner in value.items():
        yield from _leaves((*path, *str(key).split(".")), inner)


def _is_option(path: tuple[str, ...]) -> bool:
    """Tell whether a path is that of a part's option; an optimiser's has no tables."""
    block = 2 if path[1:2] and path[1].isdigit() else 1  # or an entry of a list of them
    return path[0] != "optimizer" and len(path) > block


def _copied(value: Any) -> Any:
    """Copy tables and lists, which later changes are made in."""
    if isinstance(value, Mapping):
        return {key: _copied(inner) for key, inner in value.items()}
    return [_copied(v) for v in value] if isinstance(value, list) else value


def _for_both_players(table: Mapping[str, Any], change: Change) -> Iterable[Change]:
    """Let a change of the shared optimiser reach the players that have their own."""
    path, value = change
    yield change
    optimizer = table.get("optimizer")
    if (
        path[0] != "optimizer"
        or path[1:2] in _PLAYERS
        or not isinstance(optimizer, dict)
    ):
        return
    for (player,) in _PLAYERS:
        if isinstance(optimizer.get(player), dict):
            yield ("optimizer", player, *path[1:]), value


def _set(
    table: dict[str, Any],
    path: tuple[str, ...],
    value: Any,
    blocks: list[str],
    same: Same,
    problems: list[str],
) -> None:
    *parents, last = path
    here: Any = table
    for depth, key in enumerate(parents):
        if isinstance(here, list):
            if not key.isdigit() or int(key) >= len(here):
                problems.append(
                    f"{'.'.join(path)}: {'.'.join(path[:depth])} has {len(here)} "
                    f"entries, numbered from 0, and no entry {key!r}"
                )
                return
            here = here[int(key)]
            continue
        if depth == 0 and key not in blocks:
            hint = nearest(key, blocks) or f"; there are {', '.join(blocks)}"
            problems.append(f"{'.'.join(path)}: a recipe has no block {key!r}{hint}")
            return
        if not isinstance(here.get(key), dict | list):
            here[key] = {}
        here = here[key]
    if isinstance(here, list):
        problems.append(f"{'.'.join(path)}: name an entry by its number and an option")
        return
    # a block of noise without a part has the options of none
    old = "use" in here or path == ("noise", "use")
    if last == "use" and old and not ("use" in here and same(path, here, value)):
        here.clear()
    here.pop(_EXCLUSIVE.get(path, ""), None)
    here[last] = value


def _value(text: str) -> Any:
    """Read a TOML value; what is none, as a bare word, is a string."""
    try:
        (value,) = tomllib.loads(f"value = {text}").values()
    except ValueError:  # not TOML, or more than one value
        return text
    return text if isinstance(value, date | time) else value
