"""The block of a recipe that uses a part, written out to be pasted."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from gankit.contracts.limits import Range
from gankit.errors import PluginError
from gankit.plugins.options import Option
from gankit.plugins.registry import Entry, Registry, names
from gankit.recipe.recipe import NEEDED
from gankit.recipe.using import kind_within
from gankit.recipe.values import can_state, default_of, default_text, unstructure
from gankit.recipe.words import UNHELD, describe, is_union

_SINGLE = (*NEEDED, "conditioner", "noise")  # kinds with one part in a recipe
_WITHIN = """\
# PLACE.OPTION: the block and the option of the part that takes it, as loss.first
[PLACE.OPTION]"""


def block_to_paste(entry: Entry, registry: Registry) -> str:
    """Write the block of a recipe that uses a part, with all of its options.

    Those that are required have a placeholder of their type, and a comment that says
    what they take. Others have their defaults; a default that no recipe can state is
    told in a comment.
    """
    kind = entry.kind
    head = f"[[{kind.block}]]" if kind.block else f"[{kind.name}]"
    if not kind.block and kind.name not in _SINGLE:
        head = _WITHIN
    of_kind = registry.entries(kind.name)
    use = names(of_kind)[of_kind.index(entry)]
    lines = [_line(option, registry) for option in entry.options]
    return "\n".join([head, f"use = {_toml(use)}", *lines])


def _line(option: Option, registry: Registry) -> str:
    takes = describe(option.type)
    if not option.required:
        default = default_of(option)
        if can_state(default, option.type):
            return f"{_key(option.name)} = {_toml(unstructure(default))}"
        stands = "none" if default is None else default_text(option)
        told = f"# {option.name}: {stands} by default"
        return told if takes == UNHELD else f"{told}; it takes {takes}"
    kind = kind_within(option)
    value = _placeholder(option.type) if kind is None else _any_part(kind, registry)
    told = "; ".join(filter(None, (takes, option.help)))
    return f"{_key(option.name)} = {_toml(value)}  # required: {told}"


def _any_part(kind: str, registry: Registry) -> dict[str, str]:
    """Return the block of a part of a kind that needs no options, if there is one."""
    entries = registry.entries(kind)
    for entry, name in zip(entries, names(entries), strict=True):
        with suppress(PluginError):  # one that cannot be imported stands for nothing
            if not any(option.required for option in entry.options):
                return {"use": name}
    return {"use": "..."}


def _placeholder(kind: Any) -> Any:
    """Return a value that a type takes."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _within(args[0], [note for note in args[1:] if isinstance(note, Range)])
    if origin is Literal:
        return args[0]
    if is_union(kind):
        return _placeholder(next(inner for inner in args if inner is not type(None)))
    if origin is tuple and args[-1:] != (...,):
        return [_placeholder(inner) for inner in args]
    if origin in (tuple, list):
        return [_placeholder(args[0])]
    plain: dict[Any, Any] = {bool: False, int: 1, float: 1.0, str: "...", Path: "..."}
    plain |= {dict: {}, tuple: [], list: []}
    return plain.get(origin or kind, "...")


def _within(kind: Any, limits: list[Range]) -> Any:
    """Return a number within limits, if there is one among the obvious."""
    value = _placeholder(kind)
    if kind not in (int, float):
        return value
    ends = [
        e for r in limits for e in (r.at_least, r.at_most, r.above) if e is not None
    ]
    tried = [value, *ends, *(end + 1 for end in ends), sum(ends) / max(len(ends), 1)]
    fitting = (t for t in tried if all(r.holds(kind(t)) for r in limits))
    return kind(next(fitting, value))


def _toml(value: Any) -> str:
    """Write a value as TOML does in one line."""
    if isinstance(value, dict):
        pairs = (f"{_key(key)} = {_toml(inner)}" for key, inner in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, str):  # JSON's strings are TOML's, but for one character
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml(name)
